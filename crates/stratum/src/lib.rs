//! Stratum serving: sessions, difficulty, job fan-out.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod client;
mod difficulty;
mod hexes;

pub use difficulty::{class_of_wire_difficulty, target_of_wire_difficulty};
