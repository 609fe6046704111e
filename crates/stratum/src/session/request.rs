//! One line to a request. Pure, bounded, and never more than one pass over the bytes.

use crate::limits::ID_BYTES_MAX;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Parameters looked at; what comes after is ignored.
const PARAMS_READ: usize = 8;

/// What a line is.
#[derive(Debug)]
pub(crate) enum Line<'a> {
    /// Nothing, or white space.
    Empty,
    /// The beginning of an HTTP request.
    Http,
    /// Not Stratum.
    Bad,
    /// A request.
    Request(Request<'a>),
    /// An answer to something: it has no method.
    Answer(Answer<'a>),
}

/// An answer to a request of ours.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    /// The id as it was written.
    pub(crate) id: &'a str,
    result: Option<&'a RawValue>,
}

impl Answer<'_> {
    /// The result, if it is a text.
    pub(crate) fn text(&self) -> Option<String> {
        serde_json::from_str(self.result?.get()).ok()
    }
}

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The id as it was written, to be echoed; `null` when there was none.
    pub(crate) id: &'a str,
    pub(crate) method: Cow<'a, str>,
    /// The parameters' JSON.
    pub(crate) params: Cow<'a, str>,
}

impl Request<'_> {
    /// Whether nobody waits for an answer.
    pub(crate) fn is_notification(&self) -> bool {
        self.id == "null"
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
}

pub(crate) fn read(line: &[u8]) -> Line<'_> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Line::Empty;
    }
    if !line.starts_with(b"{") {
        return if is_http(line) { Line::Http } else { Line::Bad };
    }
    let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(line) else { return Line::Bad };
    let id = envelope.id.map_or("null", RawValue::get);
    if !may_be_echoed(id) {
        return Line::Bad;
    }
    let Some(method) = envelope.method else {
        return Line::Answer(Answer { id, result: envelope.result });
    };
    let params = envelope.params.map_or("[]", RawValue::get);
    // `mining.suggest_difficulty(1000)`: the parameters stand in the method.
    if let Some((name, inner)) = method.strip_suffix(')').and_then(|m| m.split_once('(')) {
        let params = format!("[{inner}]");
        return Line::Request(Request {
            id,
            method: Cow::Owned(name.to_owned()),
            params: Cow::Owned(params),
        });
    }
    Line::Request(Request { id, method, params: Cow::Borrowed(params) })
}

fn is_http(line: &[u8]) -> bool {
    [&b"GET "[..], b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"CONNECT ", b"PRI * "]
        .iter()
        .any(|m| line.starts_with(m))
}

/// An id is echoed as it was written, when that is short and a reader could take it: a number
/// beyond what a float holds (`1e400`) is refused.
fn may_be_echoed(id: &str) -> bool {
    id.len() <= ID_BYTES_MAX
        && (!id.starts_with(|c: char| c == '-' || c.is_ascii_digit())
            || id.parse::<f64>().is_ok_and(f64::is_finite))
}

/// The first parameters of a list.
#[derive(Debug, Default)]
pub(crate) struct Params<'a> {
    items: [Option<&'a RawValue>; PARAMS_READ],
}

impl<'a> Params<'a> {
    /// `None` when they are not a list.
    pub(crate) fn read(params: &'a str) -> Option<Params<'a>> {
        serde_json::from_str(params).ok()
    }

    /// The parameter's JSON, unless missing or null.
    pub(crate) fn raw(&self, i: usize) -> Option<&'a str> {
        self.items.get(i).copied().flatten().map(RawValue::get).filter(|r| *r != "null")
    }

    /// A string parameter.
    pub(crate) fn text(&self, i: usize) -> Option<Cow<'a, str>> {
        let raw = self.raw(i)?;
        let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
        if inner.contains('\\') {
            serde_json::from_str(raw).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(inner))
        }
    }

    /// A number, or a string that holds one.
    pub(crate) fn number(&self, i: usize) -> Option<f64> {
        let raw = self.raw(i)?;
        raw.trim_matches('"').trim().parse().ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Params<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct List<'a>(Params<'a>);
        impl<'de: 'a, 'a> Visitor<'de> for List<'a> {
            type Value = Params<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of parameters")
            }

            fn visit_seq<S: SeqAccess<'de>>(mut self, mut s: S) -> Result<Params<'a>, S::Error> {
                for slot in &mut self.0.items {
                    let Some(item) = s.next_element::<&'de RawValue>()? else {
                        return Ok(self.0);
                    };
                    *slot = Some(item);
                }
                while s.next_element::<IgnoredAny>()?.is_some() {}
                Ok(self.0)
            }
        }
        d.deserialize_seq(List(Params::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(line: &str) -> Request<'_> {
        match read(line.as_bytes()) {
            Line::Request(r) => r,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ids_of_any_kind_are_kept_as_written() {
        for id in ["1", "-1", "1.50", "\"auth\"", "null", "[]", "{\"a\":1}", "true", "\"\\u0041\""]
        {
            let line = format!(r#"{{"params":[],"method":"x","id":{id}}}"#);
            assert_eq!(request(&line).id, id);
        }
    }

    #[test]
    fn what_is_not_a_request_is_told_apart() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let deep_id = format!(r#"{{"id":{deep},"method":"x"}}"#);
        let deep_params = format!(r#"{{"id":1,"method":"x","params":{deep}}}"#);
        let long_id = format!(r#"{{"id":"{}","method":"x"}}"#, "a".repeat(200));
        for bad in [
            "not json",
            r#"{"id":1"#,
            &deep,
            &deep_id,
            &long_id,
            r#"{"id":1e400,"method":"x","params":[]}"#,
            r#"{"id":1,"method":7}"#,
            r#"{"id":1,"id":2,"method":"x"}"#,
            r#"[{"id":1,"method":"x"}]"#,
            r#"[1,"x",[]]"#,
            "{\"id\":1,\"method\":\"\u{0}\"}",
        ] {
            assert!(matches!(read(bad.as_bytes()), Line::Bad), "{bad:.60}");
        }
        assert!(Params::read(&request(&deep_params).params).is_some(), "looked at, not descended");
        assert!(matches!(read(b"{\"id\":1,\"method\":\"\xff\"}"), Line::Bad));
        assert!(matches!(read(b" \r"), Line::Empty));
        assert!(matches!(read(b"GET / HTTP/1.1\r"), Line::Http));
        assert!(matches!(read(br#"{"id":7,"result":"pong","error":null}"#), Line::Answer(_)));
    }

    #[test]
    fn parameters_in_the_method_string_are_found() {
        let r = request(r#"{"id":3,"method":"mining.suggest_difficulty(1000)","params":[]}"#);
        assert_eq!(r.method, "mining.suggest_difficulty");
        assert_eq!(Params::read(&r.params).unwrap().number(0), Some(1000.0));
        let r = request(r#"{"id":3,"method":"mining.get_transactions(4f\")","params":[]}"#);
        assert!(Params::read(&r.params).is_none());
    }

    #[test]
    fn parameters_are_read_by_place_and_extra_ones_ignored() {
        let p = Params::read(r#"["a",null,"\u0062",4,5,6,7,8,9,{"x":[]}]"#).unwrap();
        assert_eq!(p.text(0).as_deref(), Some("a"));
        assert_eq!(p.text(1), None);
        assert_eq!(p.text(2).as_deref(), Some("b"));
        assert_eq!(p.text(3), None);
        assert_eq!(p.text(9), None);
        for not_a_list in ["{}", "null", "\"a\"", "7"] {
            assert!(Params::read(not_a_list).is_none());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Line::Request(r) = read(&line) {
                let _ = Params::read(&r.params);
            }
        }

        #[test]
        fn no_near_json_panics(line in r#"\{("id"|"method"|"params"):("[a-z\\"]{0,4}"|[0-9e.+-]{0,6}|\[[\[\]",0-9]{0,9}\]|null)(,("id"|"method"|"params"):("[a-z.()]{0,9}"|\[\])){0,3}\}?"#) {
            if let Line::Request(r) = read(line.as_bytes()) {
                let p = Params::read(&r.params);
                let _ = p.map(|p| (p.text(0), p.number(0)));
            }
        }
    }
}
