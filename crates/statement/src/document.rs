//! A statement: everything that happened to a contract, line by line, with all that each line was computed from.
//!
//! Lines stand in the order in which the house did them: in the closing of an epoch its work, the contract's end, blocks
//! shared out, blocks credited, settlements; after it, blocks reversed. Each carries the SHA-256 of the hash before
//! it (32 zero bytes before the first of a page) and of itself, its object without spaces and with the fields in
//! their order here, so that a change is found at its place; the operator signs the page.
//!
//! Long contracts have pages: each begins with the position at which the one before it ended.

mod earned;
mod life;
mod position;

pub use earned::{FoundLine, Limited, MeterLine, Metered, PricedJob, PricedLine, UsageLine};
pub use life::{
    AsideLine, Choice, ChoiceLine, Decision, DecisionLine, DollarsLine, FreezeLine, JudgementLine,
    OwedLine, PauseLine, Why,
};
pub use position::{Holding, Position};

use crate::terms::Money;
use gruve_units::{Asset, ContractId, Hashes};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// The format that is written and read.
pub const FORMAT: &str = "gruve statement 1";
/// Epochs with work of one page at most: a month of ten-minute ones, some three megabytes.
pub const EPOCHS_MAX: usize = 4_464;
/// Bytes of a page that are read: ten times what the house writes.
pub const BYTES_MAX: u64 = 64 << 20;

/// A whole number up to 128 bits, in JSON a decimal string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Big(pub u128);

impl Serialize for Big {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Big {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map(Big).map_err(serde::de::Error::custom)
    }
}

/// One page of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// [`FORMAT`].
    pub format: String,
    /// The contract.
    pub contract: ContractId,
    /// Under which terms.
    pub terms_sha256: String,
    /// When it was written, microseconds UTC since 1970.
    pub made_at_us: i64,
    /// Its first epoch: the one after the payment.
    pub start_epoch: Option<u64>,
    /// Before which epoch everything must have been delivered.
    pub hard_end_epoch: Option<u64>,
    /// The first epoch of this page.
    pub from_epoch: u64,
    /// The last.
    pub to_epoch: u64,
    /// Where the next page begins, if there is one.
    pub next_epoch: Option<u64>,
    /// How the contract stood before the first line.
    pub opening: Position,
    /// What happened.
    pub lines: Vec<Chained>,
    /// How it stood after the last one.
    pub closing: Position,
    /// The same by day (UTC), by the beginning of the line's epoch.
    pub days: Vec<Day>,
    /// By the meter, the same by hour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<Day>,
    /// The operator's key, hexadecimal.
    pub operator_key: Option<String>,
    /// Its signature; see [`Statement::signed_message`].
    pub signature: Option<String>,
}

/// A line with its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chained {
    /// What happened.
    pub line: Line,
    /// Hexadecimal; see [`chain`].
    pub sha256: String,
}

fn is_nothing(work: &Hashes) -> bool {
    *work == Hashes::ZERO
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_free(n: &i64) -> bool {
    *n == 0
}

fn is_none(n: &Big) -> bool {
    n.0 == 0
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Line {
    /// Work of an epoch.
    Epoch(EpochLine),
    /// The contract ended.
    End(EndLine),
    /// A block was shared out.
    Accrual(AccrualLine),
    /// A block is deep enough: its earnings wait for the next settlement.
    Credit(CreditLine),
    /// Earnings became balance.
    Settlement(SettlementLine),
    /// A block was taken off its chain.
    Reversal(ReversalLine),
    /// What it had paid was taken back.
    TakeBack(TakeBackLine),
    /// FPPS paid an epoch's work.
    Priced(PricedLine),
    /// SOLO: a block fell to the contract.
    Found(FoundLine),
    /// Work of an epoch by the meter.
    Usage(UsageLine),
    /// A contract by the meter stopped, went on or ended.
    Meter(MeterLine),
    /// Missed work was set aside.
    Aside(AsideLine),
    /// It was judged whose doing that was.
    Judgement(JudgementLine),
    /// Its owner chose, or did not.
    Choice(ChoiceLine),
    /// Work that was not delivered was paid for.
    Owed(OwedLine),
    /// What was decided about a pause.
    Decision(DecisionLine),
    /// The clock stood still.
    Pause(PauseLine),
    /// It stood still because the payment was disputed.
    Freeze(FreezeLine),
    /// Upkeep in dollars became upkeep in coins.
    Dollars(DollarsLine),
}

impl Line {
    /// The epoch in whose closing, or after it, this happened.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        match self {
            Line::Epoch(l) => l.epoch,
            Line::End(l) => l.epoch,
            Line::Accrual(l) => l.epoch,
            Line::Credit(l) => l.epoch,
            Line::Settlement(l) => l.epoch,
            Line::Reversal(l) => l.epoch,
            Line::TakeBack(l) => l.epoch,
            Line::Priced(l) => l.epoch,
            Line::Found(l) => l.epoch,
            Line::Usage(l) => l.epoch,
            Line::Meter(l) => l.epoch,
            Line::Aside(l) => l.epoch,
            Line::Judgement(l) => l.epoch,
            Line::Choice(l) => l.epoch,
            Line::Owed(l) => l.epoch,
            Line::Decision(l) => l.epoch,
            Line::Pause(l) => l.epoch,
            Line::Freeze(l) => l.epoch,
            Line::Dollars(l) => l.epoch,
        }
    }

    /// What it is, in words, for whoever looks for it.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Line::Epoch(l) => format!("epoch {}", l.epoch),
            Line::End(l) => format!("the end in epoch {}", l.epoch),
            Line::Accrual(l) => {
                format!("{} of block {} accrued in epoch {}", l.asset, l.block, l.epoch)
            }
            Line::Credit(l) => {
                format!("{} of block {} credited in epoch {}", l.asset, l.block, l.epoch)
            }
            Line::Settlement(l) => format!("settlement {} of {}", l.number, l.asset),
            Line::Reversal(l) => format!("{} of block {} reversed", l.asset, l.block),
            Line::TakeBack(l) => format!("settlement {} of {}, taken back", l.number, l.asset),
            Line::Priced(l) => format!("{} of epoch {}'s work priced", l.asset, l.of_epoch),
            Line::Found(l) => format!("{} of block {} found", l.asset, l.block),
            Line::Usage(l) => format!("usage of epoch {}", l.epoch),
            Line::Meter(l) => format!("{} with epoch {}", l.what.name(), l.epoch),
            Line::Aside(l) => format!("work of epoch {} set aside", l.epoch),
            Line::Judgement(l) => format!("judgement about epoch {}", l.of_epoch),
            Line::Choice(l) => format!("choice about epoch {}", l.of_epoch),
            Line::Owed(l) => format!("{} paid for work of epoch {}", l.asset, l.of_epoch),
            Line::Decision(l) => format!("decision in epoch {}", l.epoch),
            Line::Pause(l) => format!("pause from epoch {} to {}", l.from_epoch, l.epoch),
            Line::Freeze(l) => format!("freeze from epoch {} to {}", l.from_epoch, l.epoch),
            Line::Dollars(l) => format!("upkeep in dollars up to epoch {}", l.epoch),
        }
    }
}

/// Work of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochLine {
    /// Which.
    pub epoch: u64,
    /// When it began, microseconds UTC since 1970.
    pub began_us: i64,
    /// A fact: all work of the house's machines.
    pub house_work: Hashes,
    /// A fact: what all contracts together should have got.
    /// The operator's own contracts, which come last, are not in it.
    pub entitled_all: Hashes,
    /// A fact: what the operator was left with.
    pub surplus: Hashes,
    /// What this contract should get.
    pub entitled: Hashes,
    /// Earlier shortfall made good.
    pub made_good: Hashes,
    /// What it got, with that.
    pub delivered: Hashes,
    /// All it got so far.
    pub delivered_sum: Hashes,
    /// What is missing so far.
    pub shortfall: Hashes,
    /// Upkeep of this epoch, 2^-64 minor units.
    pub upkeep: Big,
    /// All that is owed and not taken.
    pub upkeep_due: Big,
    /// Units of each asset, in the order of the terms.
    pub units: Vec<Units>,
}

/// Units of one asset in an epoch: 2^64 is one block's work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Units {
    /// Of which.
    pub asset: Asset,
    /// A fact: those of all work on the lane.
    pub all: Big,
    /// A fact: those of the house's work.
    pub house: Big,
    /// This contract's.
    pub own: Big,
}

/// The contract ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndLine {
    /// With which epoch.
    pub epoch: u64,
    /// Whether all work was delivered.
    pub complete: bool,
    /// What was given back.
    pub refund: Money,
    /// Where its payment was taken back, what of the price was kept for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged_back: Option<ChargedBack>,
}

/// A contract ended because its payment was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChargedBack {
    /// A fact: what was taken back and the balance no longer had, minor units of the price's asset.
    pub lost_minor: i64,
    /// Of the price of the work not delivered, what was kept for it.
    pub kept_minor: i64,
}

/// A block was shared out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccrualLine {
    /// In the closing of which epoch.
    pub epoch: u64,
    /// Of which chain.
    pub asset: Asset,
    /// A fact: the block, as explorers write it.
    pub block: String,
    /// Which of its lives: counted up each time it comes back to the chain.
    pub life: u64,
    /// A fact: its height.
    pub height: u64,
    /// A fact: what it pays.
    pub reward_minor: i64,
    /// A fact: its window ends before this epoch.
    pub before_epoch: u64,
    /// A fact: the first epoch in its window; none when there was no work at all.
    pub first_epoch: Option<u64>,
    /// A fact: all units of that epoch.
    pub first_units: Big,
    /// A fact: all units of the window's later epochs.
    pub after_units: Big,
    /// This contract's units of the first epoch.
    pub own_first: Big,
    /// And of the later ones.
    pub own_after: Big,
    /// What it earns, 2^-64 minor units.
    pub accrual: Big,
}

/// A block is deep enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditLine {
    /// In the closing of which epoch.
    pub epoch: u64,
    /// Of which chain.
    pub asset: Asset,
    /// The block.
    pub block: String,
    /// Which of its lives.
    pub life: u64,
    /// What it earned.
    pub accrual: Big,
}

/// Earnings became balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettlementLine {
    /// In the closing of which epoch: the last of its range.
    pub epoch: u64,
    /// The first of its range.
    pub from_epoch: u64,
    /// A fact: when, microseconds UTC since 1970.
    pub at_us: i64,
    /// Of what.
    pub asset: Asset,
    /// Counted from one for each asset.
    pub number: u64,
    /// Whole minor units settled.
    pub gross_minor: i64,
    /// The operator's part.
    pub fee_minor: i64,
    /// Upkeep taken.
    pub maintenance_minor: i64,
    /// Upkeep that nothing was left for: the operator's loss.
    pub waived_minor: i64,
    /// What the balance got.
    pub net_minor: i64,
    /// Fee carried on, ten-thousandths of a minor unit.
    pub fee_carry: u32,
    /// Earnings carried on, 2^-64 minor units, below one where all was paid.
    pub carried: Big,
    /// FPPS, where not all was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited: Option<Limited>,
}

/// A block was taken off its chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReversalLine {
    /// After the closing of which epoch.
    pub epoch: u64,
    /// A fact: when, microseconds UTC since 1970.
    pub at_us: i64,
    /// Of which chain.
    pub asset: Asset,
    /// The block.
    pub block: String,
    /// Which of its lives.
    pub life: u64,
    /// What is taken out again.
    pub accrual: Big,
}

/// What a block had paid was taken back. The numbers are what came back, all positive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeBackLine {
    /// After the closing of which epoch.
    pub epoch: u64,
    /// Of what.
    pub asset: Asset,
    /// Counted on with the settlements.
    pub number: u64,
    /// The block.
    pub block: String,
    /// Which of its lives.
    pub life: u64,
    /// Whole minor units that were settled and are not earned any more.
    pub gross_minor: i64,
    /// Of them what the operator had taken.
    pub fee_minor: i64,
    /// And what the customer had been credited.
    pub net_minor: i64,
}

/// What a day's lines come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Day {
    /// Days since 1970-01-01; of an hour, hours.
    pub day: u64,
    /// The same as a date, `2026-11-21`; of an hour, `2026-11-21 14h`.
    pub date: String,
    /// Epochs with work.
    pub epochs: u64,
    /// What should have been delivered.
    pub entitled: Hashes,
    /// What was.
    pub delivered: Hashes,
    /// Of each asset, in the order of the terms.
    pub assets: Vec<DayAsset>,
    /// By the meter: what it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Used>,
}

/// What the work of a day or hour cost by the meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    /// The least price of its epochs, minor units …
    pub price_least_minor: i64,
    /// … the most, …
    pub price_most_minor: i64,
    /// … for this much for a day, by the last of them.
    pub price_hashrate: gruve_units::Hashrate,
    /// What was charged.
    pub charged_minor: i64,
}

/// What a day's lines come to in one asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayAsset {
    /// Of which.
    pub asset: Asset,
    /// Accrued, 2^-64 minor units.
    pub accrued: Big,
    /// Reversed.
    pub reversed: Big,
    /// Settled, less what was taken back.
    pub gross_minor: i64,
    /// The operator's part of it.
    pub fee_minor: i64,
    /// Upkeep taken.
    pub maintenance_minor: i64,
    /// Upkeep waived.
    pub waived_minor: i64,
    /// What the balance got.
    pub net_minor: i64,
    /// Paid besides, for work that was not delivered.
    #[serde(default, skip_serializing_if = "is_free")]
    pub owed_paid_minor: i64,
}

/// The hash after a line: SHA-256 of the 32 bytes before it and of the line's text.
///
/// # Errors
/// When the line cannot be written, which none causes.
pub fn chain(before: &[u8; 32], line: &Line) -> Result<[u8; 32], serde_json::Error> {
    let text = serde_json::to_vec(line)?;
    Ok(Sha256::new().chain_update(before).chain_update(&text).finalize().into())
}

/// Chains lines.
///
/// # Errors
/// As [`chain`].
pub fn chained(lines: Vec<Line>) -> Result<Vec<Chained>, serde_json::Error> {
    let mut hash = [0; 32];
    let mut all = Vec::with_capacity(lines.len());
    for line in lines {
        hash = chain(&hash, &line)?;
        all.push(Chained { line, sha256: hex::encode(hash) });
    }
    Ok(all)
}

/// The date of a day since 1970-01-01.
#[must_use]
pub fn date(day: u64) -> String {
    // Howard Hinnant, *chrono-compatible low-level date algorithms*: days of 400 years from 0000-03-01.
    let z = day.min(1 << 40) + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (d, m) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    format!("{:04}-{m:02}-{d:02}", yoe + era * 400 + u64::from(m <= 2))
}

impl Statement {
    /// Reads a page.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn parse(json: &str) -> Result<Statement, String> {
        if json.len() as u64 > BYTES_MAX {
            return Err(format!("it has more than {BYTES_MAX} bytes"));
        }
        // By way of a value: numbers inside tagged objects are read so.
        let value: serde_json::Value = serde_json::from_str(json).map_err(|e| e.to_string())?;
        let statement: Statement = serde_json::from_value(value).map_err(|e| e.to_string())?;
        if statement.format != FORMAT {
            return Err(format!("the format {:?} is not known here", statement.format));
        }
        Ok(statement)
    }

    /// What the operator signs: the text `gruve statement 1`, a line feed, and the SHA-256 of the page without spaces and
    /// without key and signature (both null).
    ///
    /// # Errors
    /// When the page cannot be written, which none causes.
    pub fn signed_message(&self) -> Result<Vec<u8>, serde_json::Error> {
        let bare = Statement { operator_key: None, signature: None, ..self.clone() };
        let hash = Sha256::digest(serde_json::to_vec(&bare)?);
        Ok([format!("{FORMAT}\n").as_bytes(), &hash].concat())
    }
}
