//! The web: JSON API, pages, live updates, metrics.
//!
//! # For what
//! [`serve`] (or [`router`] under a server of one's own) over an [`AppState`] that holds the
//! services of the rooms below. Customers buy, watch and withdraw here; anybody reads lanes,
//! blocks and books.
//!
//! # Promises
//! - No route exists without a declared [`Access`]; the access puts the gate in front of the handler.
//! - What belongs to somebody else is not found, in the same words as what does not exist.
//! - Nothing that changes something is taken from another site's page; the API takes no cookies.
//! - Pages are complete without scripts; nothing is loaded from elsewhere; no style or script is
//!   written into a page.
//! - A request is bounded in size, in time and in what it makes the house hold; an address in its
//!   connections.
//! - Pressing a button twice buys once and withdraws once.
//!
//! # What this room must not know
//! Tables of other rooms, protocols of miners and nodes, keys. It decides nothing about money: it
//! asks, shows and hands on.
//!
//! Start reading at `app.rs`, the list of routes.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod api;
mod app;
mod assets;
mod client;
mod console;
mod contract_letters;
mod conversion;
mod crowd;
mod deciding;
mod device;
mod exposition;
mod extract;
mod failure;
mod figures;
mod gate;
mod hook_fault;
mod hook_signature;
mod hosted;
mod layout;
mod leaving;
mod live;
mod log_readers;
mod lookout;
mod machine_sale;
mod manual;
mod metrics;
mod money;
mod network;
mod once;
mod openapi;
mod operating;
mod ops;
mod overview;
mod pages;
mod passkeys;
mod patience;
mod plot;
mod protecting;
mod qr;
mod record;
mod reviews;
mod routes;
mod scopes;
mod security;
mod serve;
mod shared;
mod state;
mod trade;
mod view;
mod visitor;
mod watch;
mod webhooks;
mod withdrawing;
mod words;

pub use api::funds::FundsShelf;
pub use app::{router, routes};
pub use conversion::ConversionRules;
pub use crowd::CallPace;
pub use exposition::{Exposition, FamilyKind, Unit};
pub use hook_fault::HookFault;
pub use hook_signature::HookSecret;
pub use hosted::HandError;
pub use live::Pulse;
pub use log_readers::{LiveLogReader, LogReaderKind};
pub use lookout::{Lookout, Topic};
pub use machine_sale::{MachinePaid, SaleRooms, machine_expired, machine_paid};
pub use once::ONCE_MIGRATIONS;
pub use openapi::{document, document_text};
pub use record::{PublicRecord, ReceiptOf, Receipts};
pub use reviews::REVIEW_MIGRATIONS;
pub use routes::{Access, RouteInfo};
pub use serve::{ConnectionLimits, serve, serve_metrics};
pub use state::{
    AppState, LaneParticulars, LiveChain, LiveFarm, LiveNode, LiveSession, MIGRATIONS, MetricsFor,
    NoGateway, Services, WebConfig,
};
pub use watch::{
    DiskSpace, Hook, HookSender, Looker, Rule, Threshold, Thresholds, WATCH_MIGRATIONS, WatchConfig,
};
pub use webhooks::{WEBHOOK_MIGRATIONS, WebhookConfig, is_public};
pub use words::in_chosen_language;
