//! Stratum V1 as a miner sees it.
#![allow(clippy::unwrap_used, missing_docs)]

mod bad_inputs;
mod closed_jobs;
mod dev_chain;
mod figures;
mod firmware;
mod gateway;
mod handover;
mod hostile;
mod kill;
mod lane;
mod merged;
mod miner;
mod node;
mod owners;
mod peer;
mod proxy;
mod rounds;
mod session;
mod share_vectors;
mod start_classes;
mod tips;
mod two_chains;
mod unasked;
mod vardiff;
mod wire;
