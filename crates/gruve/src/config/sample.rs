//! The configuration that `gruve config init` writes.

/// A commented configuration for one BTC and one LTC lane.
pub const SAMPLE: &str = include_str!("sample.toml");
