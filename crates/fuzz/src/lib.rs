//! What random input must not do to any wire: one function a wire, two drivers.
//!
//! | driver | where | input |
//! |---|---|---|
//! | libFuzzer, guided by coverage, for as long as one likes | `fuzz/`, run by `scripts/fuzz` | grows from the seeds |
//! | seeded mutation, the same every time, minutes | `tests/short.rs`, part of every test run | the seeds, changed |
//!
//! A target takes any bytes and panics when a promise does not hold. The seeds are files in
//! `testdata/fuzz/NAME/`; inputs that once broke something stay there.
//!
//! May know every room below the house, and (feature `house`) its configuration. Nothing knows it.

// Its whole work is to fail loudly.
#![allow(clippy::unwrap_used, missing_docs)]

pub mod blocks;
#[cfg(feature = "house")]
pub mod config;
pub mod ethash;
pub mod funds;
pub mod heads;
mod input;
mod jobs;
mod ledger;
pub mod mutate;
pub mod node_answers;
pub mod noise;
pub mod proxy;
pub mod record;
mod secret;
pub mod share_log;
pub mod v1_lines;
mod v1_rig;
pub mod v1_session;
pub mod v2_session;
pub mod verifier;
pub mod zmq;

/// A wire under random input.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of its seeds' folder and of its libFuzzer program.
    pub name: &'static str,
    /// Runs one input; panics when a promise does not hold.
    pub run: fn(&[u8]),
    /// Pieces that seeded mutation splices in; libFuzzer finds its own.
    pub words: &'static [&'static [u8]],
}

/// Words of JSON and of lines.
const JSON_WORDS: &[&[u8]] = &[
    b"\n",
    b"\r\n",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b"null",
    b"1e400",
    b"-1",
    b"\\u0000",
    b"\xff\xfe",
    b"18446744073709551616",
    b"\"params\":",
];

#[cfg(feature = "house")]
const TOML_WORDS: &[&[u8]] =
    &[b"\n", b"\"", b"[[lane]]\n", b"[[plan]]\n", b"-1", b"9223372036854775808", b"nan", b"= "];

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "blocks", run: blocks::run, words: &[b"\xff\xff\xff\xff", b"\0\x01", b"\xfd"] },
    #[cfg(feature = "house")]
    Target { name: "config", run: config::run, words: TOML_WORDS },
    Target { name: "ethash", run: ethash::run, words: JSON_WORDS },
    Target {
        name: "funds",
        run: funds::run,
        words: &[b"GRUVRSV1", b"GRUVOWE1", b"\xff\xff\xff\xff", b"smp", b"ful", b"\x03BTC"],
    },
    Target {
        name: "heads",
        run: heads::run,
        words: &[
            b"\x81\x04null",
            b"\x89\0",
            b"\x88\x02\x03\xe8",
            b"\x81\x7e",
            b"\x82\x7f",
            br#"{"method":"eth_subscription","params":{"subscription":"0x1"}}"#,
        ],
    },
    Target { name: "node_answers", run: node_answers::run, words: JSON_WORDS },
    Target { name: "noise", run: noise::run, words: &[] },
    Target {
        name: "proxy",
        run: proxy::run,
        words: &[b"\x03\0\x04\0\0\0\0", b"\xff\xff", b"\0\0", b"PROXY TCP4 "],
    },
    Target {
        name: "record",
        run: record::run,
        words: &[
            b"GRUVREC1",
            b"GRUVSLD1",
            b"GRUVPLC1",
            b"gruve epoch 2\0",
            b"gruve epoch 3\0",
            b"\xff\xff\xff\xff",
            b"\n\n\xe2\x80\x94 ",
        ],
    },
    Target { name: "share_log", run: share_log::run, words: &[b"GVFR", b"GRUVELG1", b"GRUVELG2"] },
    Target { name: "v1_lines", run: v1_lines::run, words: JSON_WORDS },
    Target { name: "v1_session", run: v1_session::run, words: &[] },
    Target { name: "v2_session", run: v2_session::run, words: &[] },
    Target { name: "verifier", run: verifier::run, words: &[b"\0", b"\xff"] },
    Target {
        name: "zmq",
        run: zmq::run,
        words: &[
            b"\x01\x08rawblock",
            b"\x01\x09hashblock",
            b"\x01\x08sequence",
            b"\x04\x07\x04PING\0\x0a",
            b"\x02\0\0\0\0\0\0\x01\0",
            b"\0\x04\x01\0\0\0",
        ],
    },
];

/// The target of that name.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn target(name: &str) -> Target {
    *TARGETS.iter().find(|t| t.name == name).expect("a target of that name")
}
