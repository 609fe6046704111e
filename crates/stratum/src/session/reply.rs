//! Replies: always id, result and error, one line each.

use std::io::Write as _;

/// Why a share or a request was refused: the code miners know and the words for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 20 other, 21 stale, 22 duplicate, 23 low difficulty, 24 unauthorised, 25 not subscribed.
    pub code: u8,
    /// In words, without characters that JSON escapes.
    pub words: &'static str,
}

impl Refusal {
    pub(crate) const fn new(code: u8, words: &'static str) -> Refusal {
        Refusal { code, words }
    }

    /// Whether only a broken or hostile machine is refused so: stale and doubled shares come from
    /// honest ones, and a full disk or a full table is ours.
    #[must_use]
    pub fn is_bad(self) -> bool {
        !matches!(self.code, 21 | 22) && self != TOO_MANY && self != NOT_STORED
    }
}

pub(crate) const SHAPE: Refusal = Refusal::new(20, "malformed parameters");
pub(crate) const EXTRANONCE: Refusal = Refusal::new(20, "extranonce2 must be 16 hex digits");
pub(crate) const NTIME: Refusal = Refusal::new(20, "ntime must be 8 hex digits");
pub(crate) const NTIME_RANGE: Refusal = Refusal::new(20, "ntime out of range");
pub(crate) const NONCE: Refusal = Refusal::new(20, "nonce must be 8 hex digits");
pub(crate) const VERSION: Refusal = Refusal::new(20, "version bits outside the mask");
/// A coinbase with two merge-mining tags proves nothing to any auxiliary chain.
pub(crate) const SECOND_TAG: Refusal = Refusal::new(20, "the extranonce holds a merge-mining tag");
/// See [`crate::limits::SEEN_PER_JOB_MAX`].
pub const TOO_MANY: Refusal = Refusal::new(20, "too many shares of one job");
/// The log cannot take the share: not credited, may be sent again.
pub const NOT_STORED: Refusal = Refusal::new(20, "the share could not be stored");
/// See [`crate::limits::TRANSACTIONS_CHARS_MAX`].
pub(crate) const TOO_LONG: Refusal =
    Refusal::new(20, "the job's transactions are too long for a line, or were listed before");
pub(crate) const UNKNOWN_METHOD: Refusal = Refusal::new(20, "unknown method");
/// See [`crate::limits::WORKERS_MAX`].
pub(crate) const TOO_MANY_LOGINS: Refusal = Refusal::new(24, "too many logins on one connection");
/// The session was not given this job, or it lives no longer.
pub const NO_SUCH_JOB: Refusal = Refusal::new(21, "job not found");
/// The chain has moved on.
pub const STALE: Refusal = Refusal::new(21, "stale job");
/// The job's epoch is sealed.
pub const SEALED: Refusal = Refusal::new(21, "stale: the epoch is closed");
/// Sent before.
pub const DUPLICATE: Refusal = Refusal::new(22, "duplicate share");
/// Above the target of its job's class.
pub const LOW: Refusal = Refusal::new(23, "low difficulty");
/// The job's block would pay the owner of other machines on the connection.
pub(crate) const NOT_OWN: Refusal = Refusal::new(21, "stale: another owner's job");
pub(crate) const UNAUTHORISED: Refusal = Refusal::new(24, "not authorised");
pub(crate) const NOT_SUBSCRIBED: Refusal = Refusal::new(25, "not subscribed");

/// A result; `result` is JSON.
pub(crate) fn ok(out: &mut Vec<u8>, id: &str, result: &str) {
    // Writing to a Vec cannot fail.
    let _ = writeln!(out, r#"{{"id":{id},"result":{result},"error":null}}"#);
}

/// The answer to an accepted share: the one reply there are many of.
pub(crate) fn accepted(out: &mut Vec<u8>, id: &[u8]) {
    out.extend_from_slice(b"{\"id\":");
    out.extend_from_slice(id);
    out.extend_from_slice(b",\"result\":true,\"error\":null}\n");
}

/// A refusal. `result` is `false` for shares and logins, as ckpool has it, so that firmware which
/// looks only there understands.
pub(crate) fn refused(out: &mut Vec<u8>, id: impl AsRef<[u8]>, result: &str, refusal: Refusal) {
    let Refusal { code, words } = refusal;
    out.extend_from_slice(b"{\"id\":");
    out.extend_from_slice(id.as_ref());
    let _ = writeln!(out, r#","result":{result},"error":[{code},"{words}",null]}}"#);
}
