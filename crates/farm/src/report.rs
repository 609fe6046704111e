//! What a site's agent sends and hears back, as JSON.

use serde::{Deserialize, Serialize};

/// Samples of one report at most: an answer within some tenths of a second, 128 KiB of JSON.
pub const SAMPLES_MAX: usize = 256;

/// Fans of a machine that are kept: the largest have four, their supplies two.
pub const FANS_MAX: usize = 8;

/// What an agent sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// By ascending number, [`SAMPLES_MAX`] at most.
    pub samples: Vec<Sample>,
}

/// One look at one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Its number, for ever ascending.
    pub seq: u64,
    /// When, in microseconds since 1970 by the agent's clock.
    pub at_us: i64,
    /// The machine's serial number.
    pub serial: String,
    /// What the machine said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
    /// Why it said nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// What a machine says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// Hashes per second.
    #[serde(default)]
    pub hashes_per_second: Option<u64>,
    /// Watts, by its own sensor.
    #[serde(default)]
    pub watts: Option<u32>,
    /// The hottest of its sensors, in degrees Celsius.
    #[serde(default)]
    pub temperature_c: Option<i32>,
    /// Its fans, in turns a minute.
    #[serde(default)]
    pub fans_rpm: Vec<u32>,
    /// Seconds since its mining program began.
    #[serde(default)]
    pub uptime_s: Option<u64>,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The number expected next: all before are taken and may be forgotten.
    pub next: u64,
    /// Samples of this report that were new.
    pub taken: u64,
    /// Of those, the ones that could not be used: unknown machine, impossible time.
    pub refused: u64,
}
