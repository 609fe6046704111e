//! The development chain by its public face: its refusals, branches, file, mempool and RPC.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../devchain_support/mod.rs"]
mod devchain_support;

mod branches;
mod file;
mod house;
mod merged;
mod outside;
mod pace;
mod pool;
mod refusals;
mod rpc;
mod wallet;
