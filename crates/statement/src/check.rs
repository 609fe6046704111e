//! A statement against its terms, page by page. Pure.

use crate::days::{by_day, by_hour};
use crate::document::{self, Line, Position, Statement, chain};
use crate::metered::METERED_FORMAT;
use crate::replay::{Replay, must};
use crate::terms::{PriceRule, SignedTerms, Terms, TermsError};
use ed25519_dalek::{Signature, VerifyingKey};
use gruve_units::{Duration, Hashes};
use ruint::aliases::U256;
use serde::Serialize;

/// The first thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("page {page}, {place}: {why}")]
pub struct Wrong {
    /// Which page, counted from one; zero where it is the terms.
    pub page: usize,
    /// Which line of it, counted from one; none for what stands around the lines.
    pub line: Option<usize>,
    /// The same in words.
    pub place: String,
    /// What is wrong with it.
    pub why: String,
}

/// What was found to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The contract.
    pub contract: String,
    /// Under which terms.
    pub terms_sha256: String,
    /// Whose signature the terms carry.
    pub terms_signed_by: Option<String>,
    /// Pages recomputed.
    pub pages: usize,
    /// Of them signed by the operator.
    pub signed_pages: usize,
    /// Lines recomputed.
    pub lines: usize,
    /// The last epoch in them.
    pub to_epoch: u64,
    /// Whether there is more than was given.
    pub next_epoch: Option<u64>,
    /// How the contract stands by them.
    pub closing: Position,
}

/// Reads pages one after the other.
#[derive(Clone, Debug)]
pub struct Checker {
    file: SignedTerms,
    key: Option<[u8; 32]>,
    /// Keys of the operator's besides the one that signed the terms, by which pages may be signed, too.
    later: Vec<[u8; 32]>,
    replay: Option<Replay>,
    terms: Terms,
    report: Report,
    /// Where the next page must begin.
    next: Option<u64>,
}

/// Checks the terms' own numbers: that work is rate times time, and the price as its rule says.
///
/// # Errors
/// What does not follow.
pub fn check_terms(terms: &Terms) -> Result<(), String> {
    let epoch = Duration::from_micros(terms.epoch_us);
    must("epoch_work", terms.epoch_work, terms.hashrate.work_in(epoch))?;
    if terms.earns.is_empty() || terms.epoch_work == Hashes::ZERO {
        return Err("nothing is sold".into());
    }
    if terms.format == METERED_FORMAT {
        return Ok(());
    }
    let work = terms.epoch_work.0.checked_mul(u128::from(terms.term_epochs));
    must("work", terms.work, Hashes(work.ok_or("the work does not fit")?))?;
    if terms.work == Hashes::ZERO {
        return Err("nothing is sold".into());
    }
    match &terms.rules.price {
        PriceRule::AsStated => Ok(()),
        PriceRule::PerHashrateDay { minor, hashrate } => {
            let day = U256::from(hashrate.0) * U256::from(86_400u32);
            if day == U256::ZERO {
                return Err("the price is of no hashrate".into());
            }
            let price = (U256::from(terms.work.0) * U256::from(*minor)).div_ceil(day);
            let price = price.max(U256::from(1u8));
            must("the price", U256::from(terms.price.minor.unsigned_abs()), price)
        }
    }
}

impl Checker {
    /// Opens the terms: hash, signature (by `key`, if one is given), and their own numbers.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn begin(file: SignedTerms, key: Option<[u8; 32]>) -> Result<Checker, TermsError> {
        let terms = file.open(key.as_ref())?;
        check_terms(&terms).map_err(TermsError::Unreadable)?;
        let report = Report {
            contract: file.contract.to_string(),
            terms_sha256: file.sha256.clone(),
            terms_signed_by: file.operator_key.clone(),
            pages: 0,
            signed_pages: 0,
            lines: 0,
            to_epoch: 0,
            next_epoch: None,
            closing: Position::begin(&terms.earns),
        };
        Ok(Checker { file, key, later: Vec::new(), replay: None, terms, report, next: None })
    }

    /// Takes pages that are signed by one of these keys as well: an operator who has changed his key signs terms' later
    /// statements with the new one.
    #[must_use]
    pub fn or_by(mut self, keys: impl IntoIterator<Item = [u8; 32]>) -> Checker {
        self.later.extend(keys);
        self
    }

    /// Recomputes the next page.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn page(&mut self, page: &Statement) -> Result<(), Wrong> {
        let number = self.report.pages + 1;
        let around = |place: &str, why: String| Wrong {
            page: number,
            line: None,
            place: place.to_owned(),
            why,
        };
        self.head(page).map_err(|why| around("head", why))?;
        let mut replay = match self.replay.take() {
            Some(replay) => replay,
            None => Replay::begin(self.terms.clone(), page.start_epoch),
        };
        if page.opening != *replay.position() {
            return Err(around("opening", differs(&page.opening, replay.position())));
        }
        lines(page, number, &mut replay)?;
        if page.closing != *replay.position() {
            return Err(around("closing", differs(&page.closing, replay.position())));
        }
        if page.hard_end_epoch != replay.hard_end() {
            return Err(around("head", "hard_end_epoch is not as the terms say".into()));
        }
        self.sums(page).map_err(|(place, why)| around(place, why))?;
        let signed = self.signature(page).map_err(|why| around("signature", why))?;
        self.report.pages = number;
        self.report.signed_pages += usize::from(signed);
        self.report.lines += page.lines.len();
        self.report.to_epoch = page.to_epoch;
        self.report.next_epoch = page.next_epoch;
        self.report.closing = page.closing.clone();
        self.next = page.next_epoch;
        self.replay = Some(replay);
        Ok(())
    }

    /// What was found.
    #[must_use]
    pub fn finish(self) -> Report {
        self.report
    }

    /// The sums of days, and by the meter of hours.
    fn sums(&self, page: &Statement) -> Result<(), (&'static str, String)> {
        let lines = || page.lines.iter().map(|l| &l.line);
        let (epoch_us, earns) = (self.terms.epoch_us, &self.terms.earns);
        let days = by_day(epoch_us, earns, lines()).map_err(|why| ("days", why))?;
        let hours = if self.terms.format == METERED_FORMAT {
            by_hour(epoch_us, earns, lines()).map_err(|why| ("hours", why))?
        } else {
            Vec::new()
        };
        for (place, is, said) in [("days", &days, &page.days), ("hours", &hours, &page.hours)] {
            let at = (0..is.len().max(said.len())).find(|i| is.get(*i) != said.get(*i));
            if let Some(at) = at {
                let name = is.get(at).or(said.get(at)).map_or("", |d| &d.date);
                return Err((place, format!("{name} is not what its lines come to")));
            }
        }
        Ok(())
    }

    fn head(&self, page: &Statement) -> Result<(), String> {
        if page.format != document::FORMAT {
            return Err(format!("the format {:?} is not known here", page.format));
        }
        must("contract", page.contract, self.file.contract)?;
        must("terms_sha256", page.terms_sha256.as_str(), self.file.sha256.as_str())?;
        if self.replay.as_ref().is_some_and(|replay| replay.start != page.start_epoch) {
            return Err("start_epoch is another one than on the page before".into());
        }
        let from = match (&self.replay, self.next) {
            (None, _) => page.start_epoch.unwrap_or(page.from_epoch),
            (Some(_), Some(next)) => next,
            (Some(_), None) => return Err("the page before it was the last".into()),
        };
        must("from_epoch", page.from_epoch, from)?;
        match page.next_epoch {
            Some(next) => must("next_epoch", next, page.to_epoch.saturating_add(1)),
            None => Ok(()),
        }
    }

    /// Whether the page is signed, by the key that signed the terms.
    fn signature(&self, page: &Statement) -> Result<bool, String> {
        let wrong = || "it is not the operator's over this page".to_owned();
        let (Some(key), Some(signature)) = (&page.operator_key, &page.signature) else {
            let must_be = self.file.operator_key.is_some() || self.key.is_some();
            return if must_be || page.operator_key != page.signature {
                Err("it is missing".into())
            } else {
                Ok(false)
            };
        };
        let asked = self.key.map(hex::encode).or_else(|| self.file.operator_key.clone());
        let is_later = self.later.iter().any(|later| hex::encode(later) == *key);
        if !is_later && asked.is_some_and(|asked| asked != *key) {
            return Err(
                "it is of another key than the terms' (after a change of keys name both)".into()
            );
        }
        let mut by = [0u8; 32];
        hex::decode_to_slice(key, &mut by).map_err(|_| wrong())?;
        let mut bytes = [0u8; 64];
        hex::decode_to_slice(signature, &mut bytes).map_err(|_| wrong())?;
        let by = VerifyingKey::from_bytes(&by).map_err(|_| wrong())?;
        let message = page.signed_message().map_err(|e| e.to_string())?;
        by.verify_strict(&message, &Signature::from_bytes(&bytes)).map_err(|_| wrong())?;
        Ok(true)
    }
}

/// All lines of a page: each by its hash, then by what the terms make of those before it.
fn lines(page: &Statement, number: usize, replay: &mut Replay) -> Result<(), Wrong> {
    let wrong = |at: usize, why: String| Wrong {
        page: number,
        line: Some(at + 1),
        place: format!("line {} ({})", at + 1, page.lines[at].line.title()),
        why,
    };
    let mut hash = [0u8; 32];
    for (i, line) in page.lines.iter().enumerate() {
        hash = chain(&hash, &line.line).map_err(|e| wrong(i, e.to_string()))?;
        if hex::encode(hash) != line.sha256 {
            return Err(wrong(i, "its hash is another one: the line was changed".into()));
        }
        if !(page.from_epoch..=page.to_epoch).contains(&line.line.epoch()) {
            return Err(wrong(i, "its epoch is not of this page".into()));
        }
    }
    let mut at = 0;
    while at < page.lines.len() {
        let end = group_end(page, at);
        let group: Vec<&Line> = page.lines[at..end].iter().map(|l| &l.line).collect();
        replay.take(&group).map_err(|why| wrong(at, why))?;
        at = end;
    }
    let last = page.lines.len().saturating_sub(1);
    match replay.check_finished() {
        Err(why) if !page.lines.is_empty() => Err(wrong(last, why)),
        _ => Ok(()),
    }
}

/// Settlements of one closing are checked together.
fn group_end(page: &Statement, at: usize) -> usize {
    let Line::Settlement(first) = &page.lines[at].line else { return at + 1 };
    let more = page.lines[at + 1..].iter().take_while(|l| match &l.line {
        Line::Settlement(s) => s.epoch == first.epoch,
        _ => false,
    });
    at + 1 + more.count()
}

/// Where two positions differ first.
fn differs(said: &Position, is: &Position) -> String {
    let by_asset = said.assets.iter().zip(&is.assets).find(|(a, b)| a != b);
    let checks = [
        must("delivered", said.delivered, is.delivered),
        must("upkeep_due", said.upkeep_due.0, is.upkeep_due.0),
        must("refunded_minor", said.refunded_minor, is.refunded_minor),
        must("compensated", said.compensated, is.compensated),
        must("undecided", said.undecided, is.undecided),
        must("paused_epochs", said.paused_epochs, is.paused_epochs),
        must("dollars", said.dollars.0, is.dollars.0),
        must("charged_minor", said.charged_minor, is.charged_minor),
        must("cost_carry", said.cost_carry.0, is.cost_carry.0),
        match by_asset {
            None => Ok(()),
            Some((a, b)) => must("accrued", a.accrued.0, b.accrued.0)
                .and_then(|()| must("matured", a.matured.0, b.matured.0))
                .and_then(|()| must("settled_minor", a.settled_minor, b.settled_minor))
                .and_then(|()| must("net_minor", a.net_minor, b.net_minor))
                .and_then(|()| must("fee_carry", a.fee_carry, b.fee_carry))
                .and_then(|()| must("settlements", a.settlements, b.settlements))
                .and_then(|()| must("owed_paid_minor", a.owed_paid_minor, b.owed_paid_minor))
                .map_err(|why| format!("{}: {why}", b.asset)),
        },
    ];
    let first = checks.into_iter().find_map(Result::err);
    first.unwrap_or_else(|| "it names other assets than the terms".to_owned())
}
