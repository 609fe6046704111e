//! The Ethash family as miners, nodes and restarts see it.
#![allow(clippy::unwrap_used, missing_docs)]

mod bad_inputs;
mod counting;
mod dialects;
mod firmware;
mod gateway;
mod kill;
mod known;
mod lane;
// A miner's end of a socket, made for V1's tests.
#[path = "../stratum_v1/line.rs"]
mod line;
mod node;
mod order;
mod ports;
mod push;
mod rig;
mod stamped;
mod swarm;
