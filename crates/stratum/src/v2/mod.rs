//! Stratum V2, the mining protocol: encrypted by Noise, binary, many channels on a connection.
//!
//! | module | for |
//! |---|---|
//! | [`keys`] | the authority key pair that clients pin |
//! | [`noise`] | handshake and encryption of one connection |
//! | `frame`, `message` | bytes to messages and back, by the `stratum-core` family of crates |
//! | `channel`, `jobs` | what a channel is, and which jobs a connection was given |
//! | [`session`] | one connection, pure: messages in, messages out |
//!
//! **Classes.** The class of a job stands inside its coinbase, so channels of different classes
//! never share a job. The channels of one class on one connection are one *group*; a job that all
//! of them may have goes to the group in one message.
//!
//! | what happens | what is sent, in one write |
//! |---|---|
//! | channel opened | success with target and group; a future job; the block it stands on, which activates it |
//! | new block | a future job of the group, activated at once |
//! | fresh transactions, new epoch | a job that is active at once; the old ones go on counting |
//! | harder class | target; the new group's members; a job of that class, active at once |
//! | easier class | the same, but as a future job activated on the *same* block, which makes all older jobs void |
//!
//! A future job is activated in the write that brings it: none ever waits, so none can be activated
//! after its class or epoch is over. The last row is there because clients differ in what a target
//! means for the job at hand: those of `channels_sv2` keep a job's target, others would send
//! shares of the old job at the new, lower difficulty. What the old job still earned in that
//! moment is judged at the old job's class, as everywhere in this house.
//!
//! An extended channel keeps its extranonce prefix for life: `translator_sv2` 0.6 closes the
//! connections of V1 miners without `mining.set_extranonce` when it changes. A standard channel
//! gets another one (`SetExtranoncePrefix`) where it goes back to a class at which it had the
//! newest job before: the same header space would bring the same shares again.

mod channel;
mod frame;
mod jobs;
pub mod keys;
mod message;
pub mod noise;
pub mod session;

pub use keys::{AuthorityKey, KeyError};
pub use noise::{NoiseError, NoiseServer, NoiseTransport};
pub use session::Session;
