//! Stratum V2 as a client sees it: the client's side is made of the reference crates.
#![allow(clippy::unwrap_used, missing_docs)]

mod channels;
mod client;
mod hostile;
// What sessions are given, made for V1's tests.
#[path = "../stratum_v1/jobs.rs"]
mod jobs;
mod merged;
mod noise;
// What a gateway needs around it, made for V1's tests.
#[allow(dead_code)]
#[path = "../stratum_v1/node.rs"]
mod node;
// A machine in simulated time, made for V1's tests.
#[path = "../stratum_v1/poisson.rs"]
mod poisson;
mod proxy;
mod shares;
mod swarm;
mod tcp;
// The same of merge-mining.
#[allow(dead_code)]
#[path = "../stratum_v1/two_chains.rs"]
mod two_chains;
mod unusual;
mod vardiff;

/// What that node asks its tests for.
mod miner {
    pub(crate) use crate::client::{HARD, class, machine, template};
}
