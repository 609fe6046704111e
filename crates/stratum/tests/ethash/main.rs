//! The Ethash family as miners, nodes and restarts see it.
#![allow(clippy::unwrap_used, missing_docs)]

mod bad_inputs;
mod counting;
mod dialects;
mod firmware;
mod gateway;
mod kill;
mod lane;
mod node;
mod push;
mod rig;
mod stamped;
mod swarm;
