//! The Ethash family: works from a node, three dialects for miners, verification.
//!
//! | module | for |
//! |---|---|
//! | `work` | one work, and the works that live |
//! | `claims` | which nonces of a header have been counted, for all miners together |
//! | `extranonce` | each NiceHash connection's own part of the nonces |
//! | `dialect` | what the dialects write, pure |
//! | `session` | one connection's session, pure; `submit`: its shares |
//! | [`verify`] | caches by the algorithm's epochs, made ahead of need; hashing |
//! | `form` | which of the algorithm's epochs a work is of |
//! | `stamped` | the stamp in the header, where the node lets it be set |
//! | `past` | what the log says of earlier lives |
//! | `lane` | works from the node to the sessions, seals to the log; [`EthLane`] |
//! | `solutions` | found blocks to the node, and again after a crash |
//!
//! Promises: a nonce counts once for a header hash, whoever sends it, in whatever dialect and class,
//! also after a restart; a header hash has one class for a session, or its job's name says the
//! class; what a share counts is its class, never what its hash happens to reach.
//!
//! The node makes the header, and all miners hash the same one. Where the node lets its blocks' words be set, they are the
//! stamp (`stamped`); where not, the lane shows work, but not for whom it was done.
//!
//! Hashes of the family are written most significant byte first. [`crate::protocol::Solved`] has the
//! proof-of-work hash in internal byte order as everywhere, which for this family is the reverse.

mod claims;
mod dialect;
mod extranonce;
mod form;
mod lane;
mod past;
mod session;
mod solutions;
mod stamped;
mod submit;
pub mod verify;
mod work;

pub use extranonce::{Extranonce1, Extranonces};
pub use form::{EpochFault, EpochForm};
pub use lane::{EthLane, EthLaneOptions};
pub use session::{EthSession, Sessions};
pub use work::{EthState, EthWork};
