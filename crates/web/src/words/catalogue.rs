//! A language: its words and how it writes figures, read from its file.

use super::{Piece, pieces};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// Bytes of words that an entry must have to be looked for in messages.
const PATTERN_MIN: usize = 4;

/// How figures and times are written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Locale {
    /// The language in its own words, for the choice at the foot of the pages.
    pub(crate) name: String,
    /// Other codes by which browsers ask for it.
    #[serde(default)]
    pub(crate) also: Vec<String>,
    /// Between whole and fraction.
    pub(crate) decimal: char,
    /// Between thousands.
    pub(crate) group: char,
    /// A date with the places `{y}`, `{m}`, `{d}` (two digits), `{day}` (as it is spoken) and `{month}`.
    pub(crate) date: String,
    /// A clock with `{h}`, `{min}` and `{s}`.
    pub(crate) clock: String,
    /// A time with `{date}` and `{clock}`; always UTC.
    pub(crate) time: String,
    /// The months for `{month}`, twelve.
    pub(crate) months: Vec<String>,
}

/// An entry of a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Entry {
    Word(String),
    Counted { one: String, other: String },
}

/// A language's file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    locale: Locale,
    /// What the pages say.
    words: BTreeMap<String, Entry>,
    /// What rooms below say in their errors, with a capital and a full stop.
    #[serde(default)]
    messages: BTreeMap<String, String>,
}

/// A language that pages can be in.
#[derive(Clone, Debug)]
pub(crate) struct Language {
    /// As in `html lang` and `Accept-Language`.
    pub(crate) code: &'static str,
    pub(crate) locale: Locale,
    words: HashMap<String, String>,
    counted: HashMap<String, (String, String)>,
    /// What of the words stands under `[messages]`, by the English.
    messages: Vec<String>,
    /// Messages with places, the most words first.
    patterns: Vec<(String, String)>,
}

impl Language {
    /// The language that the source is written in.
    pub(crate) fn english() -> Language {
        let months = ["01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12"];
        Language {
            code: "en",
            locale: Locale {
                name: "English".to_owned(),
                also: Vec::new(),
                decimal: '.',
                group: '\u{202f}',
                date: "{y}-{m}-{d}".to_owned(),
                clock: "{h}:{min}:{s}".to_owned(),
                time: "{date} {clock}\u{a0}UTC".to_owned(),
                months: months.map(str::to_owned).to_vec(),
            },
            words: HashMap::new(),
            counted: HashMap::new(),
            messages: Vec::new(),
            patterns: Vec::new(),
        }
    }

    /// The language of a file.
    pub(crate) fn read(code: &'static str, file: &str) -> Result<Language, String> {
        let file: File = toml::from_str(file).map_err(|e| e.to_string())?;
        if file.locale.months.len() != 12 {
            return Err("a year has twelve months".to_owned());
        }
        let (mut words, mut counted) = (HashMap::new(), HashMap::new());
        for (english, entry) in file.words {
            match entry {
                Entry::Word(w) => drop(words.insert(english, w)),
                Entry::Counted { one, other } => drop(counted.insert(english, (one, other))),
            }
        }
        let messages = file.messages.keys().cloned().collect();
        words.extend(file.messages);
        Ok(Language::of(code, file.locale, words, counted, messages))
    }

    fn of(
        code: &'static str,
        locale: Locale,
        words: HashMap<String, String>,
        counted: HashMap<String, (String, String)>,
        messages: Vec<String>,
    ) -> Language {
        // Only what rooms below say is looked for in messages: short sentences of pages would fit anything.
        let is_pattern = |k: &String| {
            said(k) >= PATTERN_MIN && pieces(k).iter().any(|p| matches!(p, Piece::Place(_)))
        };
        let own = |k: &String| Some((k.clone(), words.get(k)?.clone()));
        let mut patterns: Vec<_> =
            messages.iter().filter(|k| is_pattern(k)).filter_map(own).collect();
        patterns.sort_by_key(|(k, _)| (std::cmp::Reverse(said(k)), k.clone()));
        Language { code, locale, words, counted, messages, patterns }
    }

    /// A language for tests that has every entry of this one, said as `⟦English⟧`: what a page shows
    /// outside of such brackets was never translated.
    pub(crate) fn pseudo(&self) -> Language {
        let wrapped = |k: &String| (k.clone(), bracketed(k));
        let words = self.words.keys().map(wrapped).collect();
        let both = |k: &String| (k.clone(), (bracketed(k), bracketed(k)));
        let counted = self.counted.keys().map(both).collect();
        let locale = Locale { name: "⟦Pseudo⟧".to_owned(), ..Language::english().locale };
        Language::of("en-XA", locale, words, counted, self.messages.clone())
    }

    pub(super) fn word<'a>(&'static self, english: &'a str) -> &'a str {
        self.words.get(english).map_or(english, String::as_str)
    }

    pub(super) fn form<'a>(&'static self, one: &'a str, other: &'a str, n: u128) -> &'a str {
        let own = self.counted.get(other).map(|(one, other)| (one.as_str(), other.as_str()));
        let (one, other) = own.unwrap_or((one, other));
        if n == 1 { one } else { other }
    }

    pub(super) fn heard(&self, message: &str) -> String {
        self.heard_within(message, true).unwrap_or_else(|| message.to_owned())
    }

    /// A message; what stands at its places may be another one, and no deeper.
    fn heard_within(&self, message: &str, is_whole: bool) -> Option<String> {
        if let Some(w) = self.words.get(message) {
            return Some(w.clone());
        }
        self.patterns.iter().find_map(|(english, own)| {
            let values = places(english, message)?;
            let inner = |v: &str| if is_whole { self.heard_within(v, false) } else { None };
            let value = |v: &str| inner(v).unwrap_or_else(|| self.figure(v));
            let values: Vec<_> = values.into_iter().map(|(n, v)| (n, value(v))).collect();
            Some(super::filled(own, &values))
        })
    }

    /// A figure with this language's decimal mark; anything else as it is.
    pub(crate) fn figure(&self, s: &str) -> String {
        let number = s.split_once(' ').map_or(s, |(number, _)| number);
        let is_figure = number.starts_with(|c: char| c.is_ascii_digit() || c == '-')
            && number.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-'))
            && number.bytes().filter(|b| *b == b'.').count() == 1;
        if !is_figure {
            return s.to_owned();
        }
        s.replacen('.', self.locale.decimal.encode_utf8(&mut [0; 4]), 1)
    }

    /// Everything it has, English and own, for the tests.
    #[cfg(test)]
    pub(crate) fn entries(&self) -> Vec<(&str, Vec<&str>)> {
        let words = self.words.iter().map(|(k, v)| (k.as_str(), vec![v.as_str()]));
        let counted =
            self.counted.iter().map(|(k, (a, b))| (k.as_str(), vec![a.as_str(), b.as_str()]));
        words.chain(counted).collect()
    }
}

/// How much an entry says without its places.
fn said(entry: &str) -> usize {
    let words = |p: &Piece<'_>| match p {
        Piece::Words(w) => w.len(),
        Piece::Place(_) => 0,
    };
    pieces(entry).iter().map(words).sum()
}

/// Each run of words in brackets; places stay outside, so that what stands in them is seen.
fn bracketed(entry: &str) -> String {
    let one = |p: Piece<'_>| match p {
        Piece::Words(w) => {
            let inner = w.trim();
            if inner.is_empty() {
                w.to_owned()
            } else {
                w.replacen(inner, &format!("⟦{inner}⟧"), 1)
            }
        }
        Piece::Place(name) => format!("{{{name}}}"),
    };
    pieces(entry).into_iter().map(one).collect()
}

/// What stands at the places of a pattern in a message, if it is such a message.
fn places<'p, 'm>(pattern: &'p str, message: &'m str) -> Option<Vec<(&'p str, &'m str)>> {
    let (mut out, mut rest, mut open) = (Vec::new(), message, None);
    let all = pieces(pattern);
    for (i, piece) in all.iter().enumerate() {
        match piece {
            Piece::Words(w) => {
                let is_last = i + 1 == all.len();
                let at = if is_last { rest.len().checked_sub(w.len()) } else { rest.find(w) }?;
                if !rest.get(at..)?.starts_with(w) {
                    return None;
                }
                match open.take() {
                    Some(name) => out.push((name, &rest[..at])),
                    None if at > 0 => return None,
                    None => {}
                }
                rest = &rest[at + w.len()..];
            }
            // Two places beside each other have no border.
            Piece::Place(_) if open.is_some() => return None,
            Piece::Place(name) => open = Some(*name),
        }
    }
    match open {
        Some(name) => out.push((name, rest)),
        None if !rest.is_empty() => return None,
        None => {}
    }
    Some(out)
}
