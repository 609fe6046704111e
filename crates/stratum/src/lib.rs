//! Serving miners: Stratum V1 sessions, difficulty control, jobs and their fan-out.
//!
//! | module | for |
//! |---|---|
//! | [`protocol`] | what a miner's protocol is to the gateway |
//! | [`session`] | one miner's Stratum V1 session, pure |
//! | [`v2`] | Stratum V2: encryption, channels, one connection's session |
//! | [`agents`] | what is known of miners by their names |
//! | [`vardiff`] | its difficulty control, pure |
//! | [`start_classes`] | the class that each machine was last found to have |
//! | [`check`] | a share's arithmetic, pure |
//! | `lane` | templates to stamped jobs, seals; [`LaneWork`] |
//! | `merged` | auxiliary chains: what is offered, and what of it a share solves |
//! | `blocks` | found blocks to the node, and again after a crash |
//! | `gateway` | sockets, threads, rounds, bounds; [`Gateway`] |
//! | `transport`, [`tls`] | encryption between socket and session, and whose certificate |
//! | [`places`], [`prefixes`] | how many V2 channels, and each one's own extranonces |
//! | [`proxy`] | whose connection a load balancer passes on, pure |
//! | [`seen`] | which shares came already, exact and bounded |
//! | [`client`] | the miner's side, for the reference worker |
//! | [`limits`] | every bound, with its reason |
//!
//! Promises: *accepted* is said only of shares that are in the log; a share is judged at the class
//! that its job was given at and credited at most once; a found block is in the log and on its way
//! before anything else is done; one miner's bytes hurt that miner at most.
//!
//! Must not know: customers, contracts, money, databases. Whose a machine is and what to stamp come
//! through [`Machines`] and [`Stamps`].

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod agents;
mod blocks;
pub mod check;
pub mod client;
mod difficulty;
mod epochs;
mod error;
pub mod eth;
mod gateway;
mod hexes;
mod kept_jobs;
mod lane;
pub mod limits;
mod machines;
mod merged;
mod meter;
mod notify;
mod outage;
pub mod places;
pub mod prefixes;
pub mod protocol;
pub mod proxy;
pub mod seen;
mod seldom;
pub mod session;
pub mod start_classes;
mod templates;
pub mod tls;
mod transport;
pub mod v2;
pub mod vardiff;
mod work;

pub use difficulty::{class_of_wire_difficulty, target_of_wire_difficulty};
pub use error::StratumError;
pub use gateway::{
    ConnectionFigures, Gateway, GatewayFigures, GatewayOptions, GatewayTotals, HandOver,
    KeptConnection, ListenKind, Listening, SessionInfo, handles_for_miners,
};
pub use lane::{LaneWork, LaneWorkOptions, TAG_BYTES_MAX, TAG_BYTES_MERGED_MAX};
pub use machines::{Authorized, Destination, Machines, Refused, Stamps};
pub use merged::{AUX_JOB_EVERY_MIN, AUX_POLL, AUX_SILENT_MAX, AuxChain};
pub use work::{LiveJob, OwnJob, WorkState};
