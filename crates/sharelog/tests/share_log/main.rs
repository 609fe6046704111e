//! The share log's public face.
#![allow(clippy::unwrap_used, missing_docs)]

mod log;
mod recovery;
mod support;
mod versions;
