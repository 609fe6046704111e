//! Pages of lists: `?limit=&after=`, `{"items": […], "next": …}`.
//!
//! A list is sorted by a key that no row changes, so that rows which come meanwhile push none out of a page
//! that was not yet read and none into one that was. The cursor is that key, written so that nobody is tempted
//! to read it.

use crate::failure::Failure;
use crate::openapi::{Answer, Fine, List, requests};
use std::fmt::Display;
use std::str::FromStr;

/// Rows of a page when none are asked for.
const ROWS_USUAL: u32 = 100;
/// Rows of a page at most: of the widest, contracts, some 400 kB and a tenth of a second.
const ROWS_MAX: u32 = 500;

requests! {
    /// Which page of a list.
    struct Page {
        /// Rows at most, 1 to 500; 100 if left out.
        limit: Option<u32>,
        /// `next` of the page before.
        after: Option<String>,
    }
}

/// A key of two parts: a moment or a number, and what tells rows of the same one apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair<K>(pub(crate) i64, pub(crate) K);

impl<K: Display> Display for Pair<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl<K: FromStr> FromStr for Pair<K> {
    type Err = ();

    fn from_str(text: &str) -> Result<Pair<K>, ()> {
        let (number, key) = text.split_once('.').ok_or(())?;
        Ok(Pair(number.parse().map_err(|_| ())?, key.parse().map_err(|_| ())?))
    }
}

impl Page {
    /// Rows of the page.
    pub(crate) fn rows(&self) -> Result<u32, Failure> {
        match self.limit.unwrap_or(ROWS_USUAL) {
            n @ 1..=ROWS_MAX => Ok(n),
            _ => Err(Failure::bad_request(format!("`limit` must be 1 to {ROWS_MAX}."))),
        }
    }

    /// The same of fewer rows at most: where each row takes much to read, a page holds less than was asked for.
    pub(crate) fn at_most(self, rows_max: u32) -> Result<Page, Failure> {
        Ok(Page { limit: Some(self.rows()?.min(rows_max)), after: self.after })
    }

    /// Rows to be read: one more, to know whether there is another page.
    pub(crate) fn wanted(&self) -> Result<u32, Failure> {
        Ok(self.rows()? + 1)
    }

    /// The key behind which the page begins.
    pub(crate) fn behind<K: FromStr>(&self) -> Result<Option<K>, Failure> {
        let Some(text) = &self.after else { return Ok(None) };
        let read =
            || -> Option<K> { String::from_utf8(hex::decode(text).ok()?).ok()?.parse().ok() };
        let wrong = || Failure::bad_request("`after` is the `next` of a page of the same list.");
        read().map(Some).ok_or_else(wrong)
    }

    /// The page, of one row more where there is another.
    pub(crate) fn give<T, B, K: Display>(
        &self,
        rows: Vec<T>,
        key: impl Fn(&T) -> K,
        body: impl Fn(&T) -> B,
    ) -> Result<Fine<List<B>>, Failure> {
        let (rows, next) = self.cut(rows, key)?;
        Ok(Answer(List { items: rows.iter().map(body).collect(), next }))
    }

    /// The rows of the page, of one more where there is another, and the name of the next page.
    pub(crate) fn cut<T, K: Display>(
        &self,
        mut rows: Vec<T>,
        key: impl Fn(&T) -> K,
    ) -> Result<(Vec<T>, Option<String>), Failure> {
        let most = usize::try_from(self.rows()?).unwrap_or(usize::MAX);
        let is_more = rows.len() > most;
        rows.truncate(most);
        let next = rows.last().filter(|_| is_more).map(|row| hex::encode(key(row).to_string()));
        Ok((rows, next))
    }
}
