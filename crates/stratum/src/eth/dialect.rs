//! What the dialects write. Pure.
//!
//! | | NiceHash | stratum/1 | eth-proxy |
//! |---|---|---|---|
//! | begins with | `mining.subscribe` naming `EthereumStratum/1.0.0` | any other `mining.subscribe` | `eth_submitLogin` |
//! | work | `mining.notify` job, seed, header, clean | `mining.notify` job, header, seed, target, clean | `result` header, seed, target, height |
//! | difficulty | `mining.set_difficulty` | in the work | in the work |
//! | job's name | number and class | header hash | header hash |
//! | nonces | the connection's own part | any | any |
//! | replies | id, result, error | id, result, error | JSON-RPC 2.0 |
//!
//! The orders are ethminer's, which reads them by place. In JSON-RPC 2.0 a good reply has *no*
//! error: ethminer hangs up on `"error":null` beside a result.

use super::work::EthWork;
use crate::hexes;
use crate::session::reply::{self, Refusal};
use gruve_units::{Class, JobId};
use std::io::Write as _;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// EthereumStratum/1.0.0.
    NiceHash,
    /// `mining.*` with targets, as ethminer's `stratum://`.
    Stratum,
    /// `eth_*`, as ethminer's `stratum1://`.
    EthProxy,
}

/// How replies are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Always id, result and error.
    Stratum,
    /// Result or error.
    JsonRpc,
}

impl Form {
    /// Of the reply to a method.
    pub(crate) fn of(method: &str) -> Form {
        if method.starts_with("eth_") { Form::JsonRpc } else { Form::Stratum }
    }

    /// A result; `result` is JSON.
    pub(crate) fn ok(self, out: &mut Vec<u8>, id: &str, result: &str) {
        match self {
            Form::Stratum => reply::ok(out, id, result),
            // Writing to a Vec cannot fail, here and below.
            Form::JsonRpc => {
                let _ = writeln!(out, r#"{{"id":{id},"jsonrpc":"2.0","result":{result}}}"#);
            }
        }
    }

    /// A refusal of a share or login (`result` is `false`) or of another request (`null`).
    pub(crate) fn refused(self, out: &mut Vec<u8>, id: &str, result: &str, refusal: Refusal) {
        match self {
            Form::Stratum => reply::refused(out, id, result, refusal),
            Form::JsonRpc => {
                let words = format!("\"{}\"", refusal.words);
                json_rpc_error(out, id, result, refusal.code, &words);
            }
        }
    }

    /// A login that is not let in, and why.
    pub(crate) fn login_refused(self, out: &mut Vec<u8>, id: &str, why: &str) {
        let why = serde_json::to_string(why).unwrap_or_else(|_| "\"\"".to_owned());
        let code = reply::UNAUTHORISED.code;
        match self {
            Form::Stratum => {
                let _ =
                    writeln!(out, r#"{{"id":{id},"result":false,"error":[{code},{why},null]}}"#);
            }
            Form::JsonRpc => json_rpc_error(out, id, "false", code, &why),
        }
    }
}

fn json_rpc_error(out: &mut Vec<u8>, id: &str, result: &str, code: u8, words: &str) {
    let error = format!(r#"{{"code":{code},"message":{words}}}"#);
    let _ = writeln!(out, r#"{{"id":{id},"jsonrpc":"2.0","result":{result},"error":{error}}}"#);
}

/// Characters of a NiceHash job's name: sixteen for the work's, two for the class.
const JOB_CHARS: usize = 18;

/// A NiceHash job's name: hex, as its specification asks.
fn job_name(name: JobId, class: Class) -> String {
    format!("{name}{:02x}", class.k())
}

/// The work's name and the class in a NiceHash job's name. Upper case is another name.
pub(crate) fn read_job_name(text: &str) -> Option<(JobId, Class)> {
    if text.len() != JOB_CHARS || text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let (name, class) = text.split_at_checked(16)?;
    let class = hexes::array::<1>(class).and_then(|[k]| Class::new(k))?;
    hexes::array(name).map(|n| (JobId(u64::from_be_bytes(n)), class))
}

/// `mining.notify` for NiceHash's dialect.
pub(crate) fn nicehash_notify(out: &mut Vec<u8>, work: &EthWork, class: Class, clean: bool) {
    let job = job_name(work.name(), class);
    let (seed, header) = (hex::encode(work.seed_hash), hex::encode(work.header_hash));
    let params = format!(r#"["{job}","{seed}","{header}",{clean}]"#);
    let _ = writeln!(out, r#"{{"id":null,"method":"mining.notify","params":{params}}}"#);
}

/// `mining.notify` with a target.
pub(crate) fn stratum_notify(out: &mut Vec<u8>, work: &EthWork, class: Class, clean: bool) {
    let (seed, header) = (hex::encode(work.seed_hash), hex::encode(work.header_hash));
    let target = hex::encode(class.target().to_be_bytes());
    let params = format!(r#"["{header}","0x{header}","0x{seed}","0x{target}",{clean}]"#);
    let _ = writeln!(out, r#"{{"id":null,"method":"mining.notify","params":{params}}}"#);
}

/// The result of `eth_getWork`: header, seed, target, and the height where it is known.
pub(crate) fn get_work_result(work: &EthWork, class: Class) -> String {
    let (seed, header) = (hex::encode(work.seed_hash), hex::encode(work.header_hash));
    let target = hex::encode(class.target().to_be_bytes());
    let height = work.height.map_or(String::new(), |h| format!(r#","0x{h:x}""#));
    format!(r#"["0x{header}","0x{seed}","0x{target}"{height}]"#)
}

/// A nonce of eight bytes, with or without prefix, in either case.
pub(crate) fn whole_nonce(text: &str) -> Option<u64> {
    hexes::array(without_prefix(text)).map(u64::from_be_bytes)
}

/// A NiceHash miner's part of a nonce: exactly so many bytes, without prefix.
pub(crate) fn part_of_nonce(text: &str, bytes: usize) -> Option<u64> {
    let mut nonce = [0; 8];
    let own = nonce.len().checked_sub(bytes).and_then(|from| nonce.get_mut(from..))?;
    hexes::into(text, own).then(|| u64::from_be_bytes(nonce))
}

/// A hash of 32 bytes, with or without prefix, in either case.
pub(crate) fn hash(text: &str) -> Option<[u8; 32]> {
    hexes::array(without_prefix(text))
}

fn without_prefix(text: &str) -> &str {
    text.strip_prefix("0x").unwrap_or(text)
}

/// A rate as `eth_submitHashrate` has it: hex of any length up to 32 bytes, with prefix.
pub(crate) fn rate(text: &str) -> Option<u128> {
    let digits = text.strip_prefix("0x")?;
    if digits.is_empty() || digits.len() > 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    // More than any machine's by far is as much as can be said.
    if digits.is_empty() {
        Some(0)
    } else {
        Some(u128::from_str_radix(digits, 16).unwrap_or(u128::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nonces_are_read_by_their_exact_length() {
        assert_eq!(whole_nonce("0x00000000DEADbeef"), Some(0xdead_beef));
        assert_eq!(whole_nonce("00000000deadbeef"), Some(0xdead_beef));
        for bad in [
            "",
            "0x",
            "0xdeadbeef",
            "0x0x000000deadbeef",
            "0x00000000deadbeef0",
            "deadbeefdeadbeeg",
        ] {
            assert_eq!(whole_nonce(bad), None, "{bad:?}");
        }
        assert_eq!(part_of_nonce("6a909d9bbc0f", 6), Some(0x6a90_9d9b_bc0f));
        for bad in ["000031496f", "0x6a909d9bbc", "6a909d9bbc0f00", ""] {
            assert_eq!(part_of_nonce(bad, 6), None, "{bad:?}");
        }
    }

    #[test]
    fn rates_have_any_length_up_to_32_bytes() {
        assert_eq!(rate("0x500000"), Some(0x50_0000));
        assert_eq!(rate(&format!("0x{:0>64}", "500000")), Some(0x50_0000));
        assert_eq!(rate(&format!("0x{}", "f".repeat(64))), Some(u128::MAX));
        assert_eq!(rate("0x0"), Some(0));
        for bad in ["", "0x", "500000", "0x-1", "0xg", &format!("0x{}", "0".repeat(65))] {
            assert_eq!(rate(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_jobs_name_is_read_back_and_nothing_else_is(name: u64, k in 0u8..=100, other in ".{0,40}") {
            let class = Class::new(k).unwrap();
            prop_assert_eq!(read_job_name(&job_name(JobId(name), class)), Some((JobId(name), class)));
            if let Some((name, class)) = read_job_name(&other) {
                prop_assert_eq!(job_name(name, class), other);
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,80}", bytes in 0usize..10) {
            let _ = (whole_nonce(&text), part_of_nonce(&text, bytes), hash(&text), rate(&text));
        }
    }
}
