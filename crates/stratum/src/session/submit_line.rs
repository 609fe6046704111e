//! The one line that comes often, read without a JSON parser: `mining.submit` as firmware writes it.
//!
//! Promises: what is read here is what [`super::request`] would read, always; whatever is in the
//! least unusual (escapes, other keys, numbers, line breaks, anything beyond ASCII) is left to it.

/// A share as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubmitLine<'a> {
    /// The id, to be echoed.
    pub(crate) id: &'a [u8],
    /// Login, job, extranonce 2, time, nonce.
    pub(crate) fields: [&'a [u8]; 5],
    /// Version bits, when there was a sixth.
    pub(crate) bits: Option<&'a [u8]>,
}

/// Bytes that may stand in a string as they are: printable ASCII but for the quote and the
/// backslash.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        plain[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    plain
};

/// The longest id that is read here: any number that a float holds exactly, and words.
const ID_BYTES_MAX: usize = 15;

/// `None` for anything but a share of the usual form.
pub(crate) fn read(line: &[u8]) -> Option<SubmitLine<'_>> {
    let mut rest = Rest(line.trim_ascii());
    let (mut id, mut params, mut has_method) = (None, None, false);
    rest.expect(b'{')?;
    loop {
        match rest.word()? {
            b"id" if id.is_none() => {
                rest.expect(b':')?;
                id = Some(rest.id()?);
            }
            b"method" if !has_method => {
                rest.expect(b':')?;
                has_method = rest.word()? == b"mining.submit";
                if !has_method {
                    return None;
                }
            }
            b"params" if params.is_none() => {
                rest.expect(b':')?;
                params = Some(rest.list()?);
            }
            _ => return None,
        }
        match rest.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    let (fields, bits) = params?;
    (has_method && rest.0.is_empty()).then_some(SubmitLine { id: id?, fields, bits })
}

/// The parameters: five, and perhaps a sixth.
type Words<'a> = ([&'a [u8]; 5], Option<&'a [u8]>);

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn skip_spaces(&mut self) {
        while let [b' ', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    /// The next byte that is no space.
    fn next(&mut self) -> Option<u8> {
        self.skip_spaces();
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// A string of plain characters.
    fn word(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let end = self.0.iter().position(|b| !PLAIN[usize::from(*b)])?;
        let (word, rest) = self.0.split_at(end);
        let [b'"', rest @ ..] = rest else { return None };
        self.0 = rest;
        Some(word)
    }

    /// A whole number without sign, or a word; as it was written.
    fn id(&mut self) -> Option<&'a [u8]> {
        self.skip_spaces();
        let before = self.0;
        if before.first() == Some(&b'"') {
            self.word()?;
        } else {
            let digits = before.iter().take_while(|b| b.is_ascii_digit()).count();
            if digits == 0 || (digits > 1 && before[0] == b'0') {
                return None;
            }
            self.0 = &before[digits..];
        }
        let id = &before[..before.len() - self.0.len()];
        (id.len() <= ID_BYTES_MAX).then_some(id)
    }

    /// Five or six words.
    fn list(&mut self) -> Option<Words<'a>> {
        self.expect(b'[')?;
        let mut fields: [&[u8]; 5] = [&[]; 5];
        for (i, field) in fields.iter_mut().enumerate() {
            if i > 0 {
                self.expect(b',')?;
            }
            *field = self.word()?;
        }
        match self.next()? {
            b']' => Some((fields, None)),
            b',' => {
                let bits = self.word()?;
                self.expect(b']')?;
                Some((fields, Some(bits)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::{self, Line, Params};
    use super::*;
    use proptest::prelude::*;

    /// What the JSON parser makes of a line, in the same form.
    fn by_parser(line: &[u8]) -> Option<(String, Vec<String>)> {
        let Line::Request(request) = request::read(line) else { return None };
        if request.method != "mining.submit" {
            return None;
        }
        let params = Params::read(&request.params)?;
        let words = (0..6).map_while(|i| params.text(i)).map(String::from).collect();
        Some((request.id.to_owned(), words))
    }

    fn agrees(line: &[u8]) -> bool {
        read(line).is_none_or(|quick| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let words = quick.fields.into_iter().chain(quick.bits).map(text).collect();
            by_parser(line) == Some((text(quick.id), words))
        })
    }

    #[test]
    fn the_lines_of_real_firmware_are_read_here() {
        for line in [
            r#"{"id":4,"method":"mining.submit","params":["w","j","0001","6600","dead"]}"#,
            r#"{"params": ["w", "j", "0001", "6600", "dead", "00002000"], "id": 3, "method": "mining.submit"}"#,
            r#"{"method": "mining.submit", "params": ["a.b", "j", "01", "66", "de"], "id":4}"#,
            "{\"id\":\"xy\",\"method\":\"mining.submit\",\"params\":[\"w\",\"j\",\"1\",\"2\",\"\"]}\r",
        ] {
            assert!(read(line.as_bytes()).is_some(), "{line}");
            assert!(agrees(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn anything_unusual_is_left_to_the_parser() {
        for line in [
            r#"{"id":4,"method":"mining.subscribe","params":["w","j","1","2","3"]}"#,
            r#"{"id":4,"id":4,"method":"mining.submit","params":["w","j","1","2","3"]}"#,
            r#"{"id":04,"method":"mining.submit","params":["w","j","1","2","3"]}"#,
            r#"{"id":null,"method":"mining.submit","params":["w","j","1","2","3"]}"#,
            r#"{"id":4,"method":"mining.submit","params":["w","j","1","2"]}"#,
            r#"{"id":4,"method":"mining.submit","params":["w","j","1","2","3","4","5"]}"#,
            r#"{"id":4,"method":"mining.submit","params":["w","j","1","2","3",null]}"#,
            r#"{"id":4,"method":"mining.submit","params":["w\u0041","j","1","2","3"]}"#,
            r#"{"id":4,"method":"mining.submit","params":["w","j","1","2","3"],}"#,
            r#"{"id":4,"method":"mining.submit","params":["w","j","1","2","3"]} x"#,
            r#"{"id":4,"method":"mining.submit","params":["⛏","j","1","2","3"]}"#,
            r#"{"id":4,"method":"mining.submit"}"#,
        ] {
            assert_eq!(read(line.as_bytes()), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_read_otherwise_than_by_the_parser(
            mut keys in Just(["id", "method", "params"]).prop_shuffle(),
            id in r#"[0-9]{1,17}|"[ -~]{0,5}"|null|-1|1e3|[0-9]\.[0-9]"#,
            words in proptest::collection::vec(
                prop_oneof![
                    20 => r#""[a-zA-Z0-9.]{0,9}""#,
                    1 => r#""[ -~]{0,9}""#,
                    1 => r#""\PC{0,2}""#,
                    1 => r#""\\u00[46]1""#,
                    1 => "null|7",
                ],
                3..8,
            ),
            gaps in proptest::collection::vec(" {0,2}|\t", 8),
            twice in 0usize..9,
            cut in 0usize..400,
        ) {
            if twice < 3 {
                keys[0] = keys[twice];
            }
            let value = |key: &str| match key {
                "id" => id.clone(),
                "method" => "\"mining.submit\"".to_owned(),
                _ => format!("[{}]", words.join(&format!("{},{}", gaps[0], gaps[1]))),
            };
            let [a, b, c] = keys.map(|k| format!("\"{k}\"{}:{}{}", gaps[2], gaps[3], value(k)));
            let line = format!("{}{{{a}{},{b},{}{c}{}}}{}", gaps[4], gaps[5], gaps[6], gaps[7], gaps[0]);
            prop_assert!(agrees(line.as_bytes()), "{line}");
            let bytes = line.as_bytes();
            prop_assert!(agrees(&bytes[..cut.min(bytes.len())]));
        }
    }
}
