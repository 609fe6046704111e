//! Which language is spoken: what there is, what a browser asks for, and the one of this request.

use super::{FILES, Language};
use std::future::Future;
use std::sync::LazyLock;

/// Languages in one `Accept-Language` header that are looked at; browsers send a handful.
const ASKED_MAX: usize = 20;

/// English first, the others in the order of their files, the pseudo-language of tests last.
static LANGUAGES: LazyLock<Vec<Language>> = LazyLock::new(|| {
    let mut all = vec![Language::english()];
    for (code, file) in FILES {
        match Language::read(code, file) {
            Ok(l) => all.push(l),
            // The files are compiled in and read by a test: nobody ever meets this.
            Err(e) => tracing::error!(%code, error = %e, "a language cannot be read"),
        }
    }
    let pseudo = all.get(1).map(Language::pseudo);
    all.extend(pseudo);
    all
});

tokio::task_local! {
    static SPOKEN: &'static Language;
}

/// The languages to choose from.
pub(crate) fn all() -> &'static [Language] {
    LANGUAGES.split_last().map_or(&[], |(_, choice)| choice)
}

/// The language of a code; the pseudo-language only where it is asked for by its own.
pub(crate) fn find(code: &str) -> Option<&'static Language> {
    LANGUAGES.iter().find(|l| l.code == code)
}

/// The language of this request; English where there is none.
pub(crate) fn spoken() -> &'static Language {
    SPOKEN.try_with(|l| *l).unwrap_or(&LANGUAGES[0])
}

/// Does something in a language.
pub(crate) async fn speaking<F: Future>(language: &'static Language, work: F) -> F::Output {
    SPOKEN.scope(language, work).await
}

/// The language that an `Accept-Language` header likes most among those there are (RFC 9110, 12.5.4);
/// English where it names none of them.
pub(crate) fn wanted(accept: &str) -> &'static Language {
    let mut best: Option<(&'static Language, u16)> = None;
    for part in accept.split(',').take(ASKED_MAX) {
        let mut parts = part.split(';').map(str::trim);
        let tag = parts.next().unwrap_or_default();
        let weight = parts.find_map(|p| p.strip_prefix("q=")).map_or(1_000, thousandths);
        let primary = tag.split('-').next().unwrap_or_default();
        let fits = |l: &&Language| {
            let mut codes = std::iter::once(l.code).chain(l.locale.also.iter().map(String::as_str));
            codes.any(|c| c.eq_ignore_ascii_case(primary))
        };
        let Some(language) = all().iter().find(fits) else { continue };
        if weight > 0 && best.is_none_or(|(_, w)| weight > w) {
            best = Some((language, weight));
        }
    }
    best.map_or(&LANGUAGES[0], |(l, _)| l)
}

/// A weight between 0 and 1 with at most three decimals, in thousandths; what cannot be read counts least.
fn thousandths(q: &str) -> u16 {
    let (whole, part) = q.split_once('.').unwrap_or((q, ""));
    let digits = format!("{part:0<3}");
    match (whole, digits.get(..3).and_then(|d| d.parse::<u16>().ok())) {
        ("1", _) => 1_000,
        ("0", Some(n)) => n,
        _ => 0,
    }
}
