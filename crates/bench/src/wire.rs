//! The generator's side of the wire: what servers say, read cheaply, and submits, written cheaply.
//!
//! The generator must not be the limit of what it measures, so the reply that a good server
//! sends most, `{"id":7,"result":true,"error":null}`, is read without a JSON parser. Everything
//! else goes through one.

use gruve_stratum::client::ClientJob;
use serde_json::Value;

/// A server's answer to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) id: u64,
    pub(crate) outcome: Outcome,
}

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted,
    /// With the server's code; 0 where it gives none.
    Refused(i64),
}

/// One line from a server.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    Reply(Reply),
    /// The reply to `mining.subscribe`, id 1: extranonce 1 and the size of extranonce 2.
    Subscribed(Vec<u8>, usize),
    Difficulty(f64),
    /// A new extranonce for jobs that come after it.
    Extranonce(Vec<u8>, usize),
    Job(Box<ClientJob>),
    /// Something that a load generator need not heed.
    Other,
    /// Not Stratum.
    Bad,
}

/// The id of the subscribe request; authorize is the next, submits follow.
pub(crate) const SUBSCRIBE_ID: u64 = 1;
pub(crate) const AUTHORIZE_ID: u64 = 2;

/// Reads a line, without its newline.
pub(crate) fn read(line: &[u8]) -> Line {
    match quick_accept(line) {
        Some(id) => Line::Reply(Reply { id, outcome: Outcome::Accepted }),
        None => read_json(line),
    }
}

/// `{"id":digits,"result":true` and whatever follows.
fn quick_accept(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(b"{\"id\":")?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    if !(1..=18).contains(&digits)
        || !rest[digits..].starts_with(b",\"result\":true,\"error\":null}")
    {
        return None;
    }
    Some(rest[..digits].iter().fold(0, |n, b| n * 10 + u64::from(b - b'0')))
}

fn read_json(line: &[u8]) -> Line {
    let Ok(Value::Object(message)) = serde_json::from_slice(line) else { return Line::Bad };
    if let Some(method) = message.get("method").and_then(Value::as_str) {
        let params = message.get("params").and_then(Value::as_array);
        return notification(method, params.map_or(&[], Vec::as_slice));
    }
    let Some(id) = message.get("id").and_then(Value::as_u64) else { return Line::Other };
    let result = message.get("result").unwrap_or(&Value::Null);
    let error = message.get("error").unwrap_or(&Value::Null);
    if id == SUBSCRIBE_ID
        && let Some([_, extranonce1, size]) = result.as_array().map(Vec::as_slice)
        && let Some((extranonce1, size)) = extranonce(extranonce1, size)
    {
        return Line::Subscribed(extranonce1, size);
    }
    let is_good = *result == Value::Bool(true) && error.is_null();
    let outcome = if is_good { Outcome::Accepted } else { Outcome::Refused(code(error)) };
    Line::Reply(Reply { id, outcome })
}

fn notification(method: &str, params: &[Value]) -> Line {
    match (method, params) {
        ("mining.notify", params) => {
            ClientJob::from_notify(params).map_or(Line::Bad, |job| Line::Job(Box::new(job)))
        }
        ("mining.set_difficulty", [d, ..]) => d.as_f64().map_or(Line::Bad, Line::Difficulty),
        ("mining.set_extranonce", [extranonce1, size, ..]) => extranonce(extranonce1, size)
            .map_or(Line::Bad, |(extranonce1, size)| Line::Extranonce(extranonce1, size)),
        _ => Line::Other,
    }
}

/// Extranonces as any real server has them; a stranger's 1 GB is not taken.
fn extranonce(extranonce1: &Value, size: &Value) -> Option<(Vec<u8>, usize)> {
    let extranonce1 = hex::decode(extranonce1.as_str()?).ok()?;
    let size = usize::try_from(size.as_u64()?).ok()?;
    (extranonce1.len() <= 32 && (1..=32).contains(&size)).then_some((extranonce1, size))
}

/// `[21,"…",null]`, or `{"code":21,…}`; else 0.
pub(crate) fn code(error: &Value) -> i64 {
    let code = match error {
        Value::Array(parts) => parts.first(),
        Value::Object(parts) => parts.get("code"),
        _ => None,
    };
    code.and_then(Value::as_i64).unwrap_or(0)
}

/// What is tried of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Try {
    pub(crate) extranonce2: u64,
    pub(crate) nonce: u32,
}

/// The parts of a submit that stay the same from one share to the next.
#[derive(Debug, Default)]
pub(crate) struct SubmitText {
    /// From after the id to before the extranonce.
    head: Vec<u8>,
    /// From after the extranonce to before the nonce.
    middle: Vec<u8>,
}

impl SubmitText {
    pub(crate) fn new(user: &str, job: &str, ntime: u32) -> SubmitText {
        let user = serde_json::to_string(user).unwrap_or_else(|_| "\"\"".to_owned());
        let job = serde_json::to_string(job).unwrap_or_else(|_| "\"\"".to_owned());
        let head = format!(r#","method":"mining.submit","params":[{user},{job},""#);
        let middle = format!(r#"","{ntime:08x}",""#);
        SubmitText { head: head.into_bytes(), middle: middle.into_bytes() }
    }

    /// Writes one submit; extranonce 2 in `size` bytes.
    pub(crate) fn write(&self, id: u64, this: Try, size: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":");
        push_number(id, out);
        out.extend_from_slice(&self.head);
        push_extranonce2(this.extranonce2, size, out);
        out.extend_from_slice(&self.middle);
        push_hex(&this.nonce.to_be_bytes(), out);
        out.extend_from_slice(b"\"]}\n");
    }

    /// Writes a submit whose extranonce 2 is a byte short.
    pub(crate) fn write_malformed(&self, id: u64, this: Try, size: usize, out: &mut Vec<u8>) {
        self.write(id, this, size.saturating_sub(1), out);
    }
}

fn push_number(mut n: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(n % 10).unwrap_or(0);
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The number, most significant byte first, in this many bytes: a short field wraps.
pub(crate) fn extranonce2_bytes(number: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size.saturating_sub(8)];
    bytes.extend_from_slice(&number.to_be_bytes()[8 - size.min(8)..]);
    bytes
}

fn push_extranonce2(number: u64, size: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + 2 * size.saturating_sub(8), b'0');
    push_hex(&number.to_be_bytes()[8 - size.min(8)..], out);
}

/// Writes bytes as lower-case hexadecimal digits.
fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(id: u64, outcome: Outcome) -> Line {
        Line::Reply(Reply { id, outcome })
    }

    #[test]
    fn replies_of_every_server_s_shape_are_read() {
        for (line, expected) in [
            (r#"{"id":7,"result":true,"error":null}"#, reply(7, Outcome::Accepted)),
            (r#"{"error":null,"result":true,"id":7}"#, reply(7, Outcome::Accepted)),
            (r#"{"id":7,"result":true}"#, reply(7, Outcome::Accepted)),
            (
                r#"{"id":8,"result":false,"error":[21,"stale",null]}"#,
                reply(8, Outcome::Refused(21)),
            ),
            (
                r#"{"id":8,"result":null,"error":{"code":22,"message":"x"}}"#,
                reply(8, Outcome::Refused(22)),
            ),
            (r#"{"id":8,"result":true,"error":[23,"low",null]}"#, reply(8, Outcome::Refused(23))),
            (r#"{"id":9,"result":false,"error":"bad"}"#, reply(9, Outcome::Refused(0))),
            (
                r#"{"id":null,"method":"mining.set_difficulty","params":[0.5]}"#,
                Line::Difficulty(0.5),
            ),
            (r#"{"id":1,"method":"mining.ping","params":[]}"#, Line::Other),
            ("nonsense", Line::Bad),
        ] {
            assert_eq!(read(line.as_bytes()), expected, "{line}");
        }
        let subscribed = r#"{"id":1,"result":[[["mining.notify","a"]],"0a0b",4],"error":null}"#;
        assert_eq!(read(subscribed.as_bytes()), Line::Subscribed(vec![10, 11], 4));
        let absurd = r#"{"id":1,"result":[[],"0a",1000000000],"error":null}"#;
        assert!(!matches!(read(absurd.as_bytes()), Line::Subscribed(..)));
    }

    #[test]
    fn extranonces_are_written_as_they_are_hashed() {
        for size in [1, 4, 8, 11] {
            let mut text = Vec::new();
            push_extranonce2(0x0123_4567_89ab_cdef, size, &mut text);
            let bytes = extranonce2_bytes(0x0123_4567_89ab_cdef, size);
            assert_eq!((hex::decode(text).unwrap(), bytes.len()), (bytes, size));
        }
    }

    #[test]
    fn a_submit_is_the_line_a_miner_sends() {
        let mut out = Vec::new();
        let this = Try { extranonce2: 0xab, nonce: 42 };
        SubmitText::new("w", "j1", 0x66).write(1204, this, 2, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"id\":1204,\"method\":\"mining.submit\",\
             \"params\":[\"w\",\"j1\",\"00ab\",\"00000066\",\"0000002a\"]}\n"
        );
    }
}
