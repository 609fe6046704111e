//! The words of the pages in the visitor's language.
//!
//! # For what
//! The source says everything in English; [`t`], [`say!`], [`text!`] and [`counted!`] give it in the
//! language that is spoken in the current request. A language is one file, `words/<code>.toml`, and one
//! line in [`FILES`]: what English sentence is which sentence there, and how numbers, amounts and times
//! are written ([`Locale`]).
//!
//! # Promises
//! - What a language does not have is said in English; nothing is left out and nothing panics.
//! - A sentence with values is one entry with `{places}`, never pieces glued together: languages order
//!   words differently. Values stand in it escaped.
//! - What programs read (the API, files, form values) is English with a decimal point: no language is
//!   spoken there.
//!
//! # What this must not know
//! Pages and requests, the headers that state a language apart ([`wanted`]).

mod catalogue;
mod spoken;

pub(crate) use catalogue::Language;
pub(crate) use spoken::{all, find, speaking, spoken, wanted};

use maud::{Markup, html};

/// The languages besides English: code and file.
const FILES: &[(&str, &str)] = &[("nb", include_str!("../../words/nb.toml"))];

/// A text in the spoken language; the English itself where there is no translation.
pub(crate) fn t(english: &str) -> &str {
    spoken().word(english)
}

/// A sentence with values as plain text: `{name}` stands for the value of that name.
pub(crate) fn with_text(english: &str, values: &[(&str, String)]) -> String {
    let mut out = String::new();
    for piece in pieces(t(english)) {
        match piece {
            Piece::Words(w) => out.push_str(w),
            Piece::Place(name) => match values.iter().find(|(n, _)| *n == name) {
                Some((_, value)) => out.push_str(value),
                None => out.extend(["{", name, "}"]),
            },
        }
    }
    out
}

/// A sentence with values as a part of a page; the words are escaped, values are what they are.
pub(crate) fn with_markup(english: &str, values: &[(&str, Markup)]) -> Markup {
    let of = |name: &str| values.iter().find(|(n, _)| *n == name).map(|(_, value)| value);
    html! {
        @for piece in pieces(t(english)) {
            @match piece {
                Piece::Words(w) => (w),
                Piece::Place(name) => @match of(name) {
                    Some(value) => (value),
                    None => { "{" (name) "}" },
                },
            }
        }
    }
}

/// The form of a counted sentence that fits `n`: `one` where the language speaks of one, else `other`.
pub(crate) fn form_for<'a>(one: &'a str, other: &'a str, n: u128) -> &'a str {
    spoken().form(one, other, n)
}

/// A message that a room below wrote in English, in the spoken language. Exact where it is known as it
/// stands; else by the entry whose words are in it, its places filled with what stands there.
pub(crate) fn heard(message: &str) -> String {
    spoken().heard(message)
}

/// The same for rooms that write to customers: a sentence in the language of that code, where it is one; else in
/// that of the visitor whose request is being answered; in English where there is none.
#[must_use]
pub fn in_chosen_language(sentence: &str, code: Option<&str>) -> String {
    code.and_then(find).unwrap_or_else(spoken).heard(sentence)
}

/// A piece of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// To be said as it stands.
    Words(&'a str),
    /// Where the value of that name stands.
    Place(&'a str),
}

/// The pieces of an entry. A brace that opens no name is a word like others.
pub(crate) fn pieces(entry: &str) -> Vec<Piece<'_>> {
    let is_name =
        |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let (mut out, mut rest, mut from) = (Vec::new(), entry, 0);
    while let Some(open) = rest[from..].find('{').map(|i| i + from) {
        let name = rest[open + 1..].split_once('}').map(|(name, _)| name).filter(|n| is_name(n));
        let Some(name) = name else {
            from = open + 1;
            continue;
        };
        if open > 0 {
            out.push(Piece::Words(&rest[..open]));
        }
        out.push(Piece::Place(name));
        rest = &rest[open + name.len() + 2..];
        from = 0;
    }
    if !rest.is_empty() {
        out.push(Piece::Words(rest));
    }
    out
}

/// A sentence with values as a part of a page: `say!("Pay {sum} until {end}.", sum = amount(a), end = time(t))`.
/// A value is whatever a template takes.
macro_rules! say {
    ($english:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::words::with_markup($english, &[$((stringify!($name), maud::html! { ($value) })),*])
    };
}

/// A sentence with values as plain text, for attributes and messages.
macro_rules! text {
    ($english:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::words::with_text($english, &[$((stringify!($name), ($value).to_string())),*])
    };
}

/// A counted sentence as plain text: `counted!("{n} epoch", "{n} epochs", n)`. The entry's key is the
/// second form.
macro_rules! counted {
    ($one:literal, $other:literal, $n:expr) => {{
        let n = u128::try_from($n).unwrap_or(u128::MAX);
        let form = $crate::words::form_for($one, $other, n);
        $crate::words::filled(form, &[("n", $crate::money::grouped(n))])
    }};
}

/// An entry that is already in the spoken language, its places filled.
pub(crate) fn filled(entry: &str, values: &[(&str, String)]) -> String {
    let of = |name| values.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| v.as_str());
    let piece = |p| match p {
        Piece::Words(w) => w,
        Piece::Place(name) => of(name),
    };
    pieces(entry).into_iter().map(piece).collect()
}

pub(crate) use {counted, say, text};

#[cfg(test)]
mod tests;
