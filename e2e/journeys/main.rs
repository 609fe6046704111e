//! The journeys that the pages are for, each walked to its end in real browsers at one house that runs: a lease by the
//! keyboard alone, pay as you go, a machine of one's own, an operator's day, and coming back after a second factor is
//! lost. Each on the screens that `screens` says. Every page on the way is looked at as `chromium` says.
//!
//! `GRUVE_PICTURES=docs/pictures cargo test -p gruve --test journeys` makes the documents' pictures anew.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../chromium/mod.rs"]
mod chromium;
mod desk;
mod doorway;
mod house;
mod letters;
mod people;
mod screens;
#[path = "../support/mod.rs"]
mod support;

mod hosted;
mod lease;
mod live;
mod metered;
mod operator;
mod recovery;
