//! The agent of a site: it asks the machines on its network how they are, once a minute, and tells the house.
//!
//! # For what
//! The house need not reach into a site's network: the agent connects outwards, with the site's token, over
//! HTTPS (or HTTP on the operator's own lines). [`run`] is all of it; [`Agent`] is one round at a time.
//!
//! # Promises
//! - what was read is written to disk before it is sent, and kept until the house has said that it has it
//!   ([`spool`]); a cut line, a house that is down and a restart lose nothing while the spool has room;
//! - the spool is bounded: when it is full the oldest goes, and the house counts what is missing;
//! - a machine that is silent, slow, lies, or answers without end costs its own reading and nobody else's
//!   ([`api`]);
//! - nothing is ever changed on a machine: the agent asks only what anybody on the network may ask.
//!
//! # Must not know
//! Databases, owners, money.
//!
//! # Why the vendors' API is spoken here
//! The one API that nearly all makers have kept (cgminer's, JSON over TCP port 4028) is spoken by [`api`], and that of
//! the firmware that tells the power of machines whose stock firmware does not by [`braiins`]: small, bounded in time and
//! size, and all that the program holds unless it is built otherwise. The `asic-rs` crate speaks many makers' APIs; it brings
//! some 80 packages, a second TLS provider among them, and bounds no answer's size. So it stands behind the feature
//! `asic-rs`, in the module `asic`. All are behind [`Vendor`].

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod api;
#[cfg(feature = "asic-rs")]
pub mod asic;
pub mod braiins;
mod config;
mod http;
mod line;
mod run;
pub mod said;
pub mod simulator;
pub mod spool;

pub use config::{AgentConfig, Api, AsicRsLogin, ConfigError, MACHINES_MAX, MachineAddress};
pub use http::{House, HouseError};
pub use run::{Agent, AgentError, Round, run};

use async_trait::async_trait;
use gruve_farm::Said;

/// A maker's API.
#[async_trait]
pub trait Vendor: Send + Sync {
    /// What a machine says of itself.
    async fn ask(&self, address: &str) -> Result<Said, Fault>;
}

/// Why a machine's reading is missing. The text is told to the house.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No connection.
    #[error("does not answer")]
    Unreachable,
    /// Nothing, or not all, within the time.
    #[error("answers too slowly")]
    Slow,
    /// More than any machine has to say.
    #[error("answers without end")]
    Endless,
    /// Not what the API says.
    #[error("answers what cannot be read")]
    Garbage,
    /// It says that it is in trouble.
    #[error("says: {0}")]
    Refused(String),
}
