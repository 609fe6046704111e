//! Measuring servers of Stratum, V1 and V2: a load generator, a floor to compare with, and Gruve's own
//! gateway as a process to be measured.
//!
//! | module | for |
//! |---|---|
//! | [`cli`] | `gruve bench stratum` and its modes |
//! | [`submit()`] | shares a second, latency at a rate, mixes of good and bad |
//! | [`broadcast()`], [`storm()`], [`idle()`] | a job to everybody; many connections at once; many for long |
//! | [`soak()`] | more for long than one process may have, on several gateways |
//! | [`hostile()`], `swarm` | honest miners beside clients that mean no good |
//! | [`floor`] | the least a server can do: parse, hash, answer |
//! | [`gateway`], `eth_house`, `stand_in` | the real gateway on a stand-in node |
//! | [`compare()`] | the two in turn, each on one core, and their ratio |
//! | [`beside()`] | a server of V2 and the gateway's own port for it, in turn |
//! | `fleet`, `connection`, `shares`, `wire`, `v2`, `eth` | the generator: one thread, thousands of connections |
//! | [`child`] | servers as processes of their own |
//!
//! Promises: shares are honest (no hash is claimed that was not computed, where it matters); every
//! answer is matched to its request by id; what was acknowledged is counted to the last, so that it
//! can be held against a log; a figure whose generator was the limit says so.
//!
//! Must not know: customers, contracts, databases. Nothing here is part of serving miners.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod beside;
mod broadcast;
pub mod child;
pub mod cli;
mod compare;
mod connection;
mod error;
mod eth;
mod eth_house;
mod fleet;
pub mod floor;
mod floor_line;
pub mod gateway;
mod histogram;
mod hostile;
mod idle;
mod mix;
mod print;
mod shares;
mod soak;
mod sockets;
mod stand_in;
mod storm;
mod submit;
mod swarm;
mod template;
mod v2;
mod wire;

pub use beside::{BesideOptions, BesideReport, BesideRow, beside};
pub use broadcast::{BroadcastOptions, BroadcastReport, Round, broadcast};
pub use compare::{Column, ColumnReport, CompareOptions, CompareReport, Pair, compare};
pub use error::BenchError;
pub use eth::EthDialect;
pub use fleet::FleetOptions;
pub use histogram::{Histogram, Quantiles};
pub use hostile::{HostileOptions, HostileReport, hostile};
pub use idle::{IdleOptions, IdleReport, idle};
pub use mix::{Kind, Mix};
pub use soak::{SoakOptions, SoakPart, SoakReport, soak};
pub use storm::{StormOptions, StormReport, storm};
pub use submit::{KindReport, SubmitOptions, SubmitReport, submit};
pub use swarm::{Attack, AttackReport};
pub use v2::{ChannelKind, V2Options, authority_of};
