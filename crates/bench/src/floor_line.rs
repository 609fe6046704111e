//! What the floor reads of a line: enough of JSON for honest miners, and no more.

/// A request, by its parts as they stand in the line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    /// As written, to be echoed.
    pub(crate) id: &'a [u8],
    pub(crate) method: &'a [u8],
    /// The string parameters in order; at most six.
    pub(crate) params: [&'a [u8]; 6],
}

/// Reads an object whose values are strings without escapes, numbers, words, or a list of those;
/// keys in any order. `None` for anything else.
pub(crate) fn read(line: &[u8]) -> Option<Request<'_>> {
    let mut rest = skip(line).strip_prefix(b"{")?;
    let mut request = Request::default();
    loop {
        let (key, after) = string(skip(rest))?;
        let after = skip(skip(after).strip_prefix(b":")?);
        rest = match key {
            b"params" => list(after, &mut request.params)?,
            b"id" => scalar(after, &mut request.id)?,
            b"method" => {
                let (method, after) = string(after)?;
                request.method = method;
                after
            }
            _ => scalar(after, &mut &[][..])?,
        };
        rest = skip(rest);
        match rest.split_first()? {
            (b',', after) => rest = after,
            (b'}', _) => return Some(request),
            _ => return None,
        }
    }
}

fn skip(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|b| b.is_ascii_whitespace()).count();
    &text[blanks..]
}

/// A string without escapes, and what follows it.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let end = text.iter().position(|b| matches!(b, b'"' | b'\\')).filter(|e| text[*e] == b'"')?;
    Some((&text[..end], &text[end + 1..]))
}

/// A number, word or string as written.
fn scalar<'a>(text: &'a [u8], into: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = if text.starts_with(b"\"") {
        string(text)?.0.len() + 2
    } else {
        text.iter().position(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'{' | b'['))?
    };
    *into = &text[..end];
    (end > 0).then(|| &text[end..])
}

fn list<'a>(text: &'a [u8], params: &mut [&'a [u8]; 6]) -> Option<&'a [u8]> {
    let mut rest = skip(text.strip_prefix(b"[")?);
    if let Some(after) = rest.strip_prefix(b"]") {
        return Some(after);
    }
    for i in 0.. {
        let mut item: &[u8] = &[];
        rest = match string(rest) {
            Some((content, after)) => {
                item = content;
                after
            }
            None => scalar(rest, &mut item)?,
        };
        if let Some(slot) = params.get_mut(i) {
            *slot = item;
        }
        rest = skip(rest);
        match rest.split_first()? {
            (b',', after) => rest = skip(after),
            (b']', after) => return Some(after),
            _ => return None,
        }
    }
    None
}

/// Exactly `N` bytes of hexadecimal digits.
pub(crate) fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_any_order() {
        for line in [
            r#"{"id":7,"method":"m","params":["a","b",null,4]}"#,
            r#" { "params" : [ "a" , "b" , null , 4 ] , "id" : 7 , "method" : "m" }"#,
        ] {
            let r = read(line.as_bytes()).unwrap();
            assert_eq!((r.id, r.method, r.params[1]), (&b"7"[..], &b"m"[..], &b"b"[..]), "{line}");
        }
        assert_eq!(read(br#"{"id":"x","method":"m","params":[]}"#).unwrap().id, br#""x""#);
    }

    #[test]
    fn what_is_not_such_an_object_is_nothing() {
        for bad in ["", "{", "{}", "[]", r#"{"id":1"#, r#"{"id":"\"}"#, r#"{"params":[[1]]}"#] {
            assert_eq!(read(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(unhex::<2>(b"00ff"), Some([0, 255]));
        assert_eq!((unhex::<2>(b"00f"), unhex::<2>(b"00fg")), (None, None));
    }
}
