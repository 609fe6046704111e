//! Hosting of a machine: its terms, the statement of its bills, and checking one against the other. Pure.
//!
//! A bill is a line: what was measured of its epochs (energy, time up) and what the balance held are facts; energy, fee,
//! credit, what is due, waived and owed follow from the terms and the lines before it. The operator signs the
//! terms at the sale and each page of a statement.

mod blocks;
mod end;
mod terms;

pub use blocks::{BlockLine, BlockPart, HOSTING_BLOCKS_MAX};
pub use end::{EndedBy, HostingEnd};
pub use terms::{
    Back, EARNINGS_RULE, END_RULE, ENERGY_RULE, FEE_RULE, HOSTING_TERMS, HOSTING_TERMS_1,
    HOSTING_TERMS_2, HostingTerms, LEVEL_RULE, LEVEL_RULE_1,
};

use crate::check::Wrong;
use crate::document::Big;
use crate::replay::must;
use crate::terms::{SignedTerms, TermsError};
use blocks::AgreedFee;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use gruve_units::{Asset, ContractId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The form of a statement.
pub const HOSTING_STATEMENT: &str = "gruve hosting statement 1";
/// Bills on a page at most.
pub const HOSTING_BILLS_MAX: usize = 500;

/// Microjoules of a kilowatt-hour.
const UJ_PER_KWH: u128 = 3_600_000_000_000;
/// Microseconds of a day.
const US_PER_DAY: u128 = 86_400_000_000;

/// How the bills stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostingPosition {
    /// Bills written.
    pub bills: i64,
    /// All epochs before this one are billed.
    pub billed_until: u64,
    /// Carried of energy, in minor units divided by 3.6·10¹².
    pub energy_carry: Big,
    /// Carried of the fee, in minor units divided by 8.64·10¹⁰.
    pub fee_carry: Big,
    /// Owed.
    pub arrears_minor: i64,
    /// Taken so far.
    pub paid_minor: i64,
    /// Given up so far.
    pub waived_minor: i64,
}

/// A bill, line by line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BillLine {
    /// Its number, from 1.
    pub number: i64,
    /// A fact: when it was written, microseconds UTC since 1970.
    pub at_us: i64,
    /// The first epoch that it is of.
    pub from_epoch: u64,
    /// The epoch after its last. Energy of earlier epochs that was told late is in it, too.
    pub until_epoch: u64,
    /// A fact: the energy measured, microjoules.
    pub energy_uj: Big,
    /// The length of its epochs, microseconds.
    pub span_us: u64,
    /// A fact: of that, the time that the machine was up.
    pub up_us: u64,
    /// The energy, minor units.
    pub energy_minor: i64,
    /// The hosting fee.
    pub fee_minor: i64,
    /// Given back for time that the machine was not up.
    pub credit_minor: i64,
    /// Energy and fee less the credit.
    pub due_minor: i64,
    /// A fact: what was taken of this and of what was owed.
    pub paid_minor: i64,
    /// Not taken any more.
    pub waived_minor: i64,
    /// Owed after it.
    pub arrears_minor: i64,
}

/// A page of a hosting contract's statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostingStatement {
    /// [`HOSTING_STATEMENT`].
    pub format: String,
    /// The contract.
    pub contract: ContractId,
    /// Under which terms.
    pub terms_sha256: String,
    /// Length of an epoch, microseconds.
    pub epoch_us: u64,
    /// The contract's first epoch.
    pub start_epoch: u64,
    /// The epoch that is no longer its own, once that is known.
    pub end_epoch: Option<u64>,
    /// That somebody ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<HostingEnd>,
    /// How it stood before the page.
    pub opening: HostingPosition,
    /// The bills, oldest first.
    pub bills: Vec<BillLine>,
    /// How it stands after them.
    pub closing: HostingPosition,
    /// The number of the first bill of the next page, where there is more.
    pub next_bill: Option<i64>,
    /// On the last page: blocks that paid the owner themselves, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BlockLine>,
    /// The operator's key, hexadecimal.
    pub operator_key: Option<String>,
    /// Its signature; see [`HostingStatement::signed_message`].
    pub signature: Option<String>,
}

impl HostingStatement {
    /// Reads a page.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(json: &str) -> Result<HostingStatement, String> {
        let page: HostingStatement = serde_json::from_str(json).map_err(|e| e.to_string())?;
        if page.bills.len() > HOSTING_BILLS_MAX {
            return Err(format!("it has more than {HOSTING_BILLS_MAX} bills"));
        }
        if page.blocks.len() > HOSTING_BLOCKS_MAX {
            return Err(format!("it has more than {HOSTING_BLOCKS_MAX} blocks"));
        }
        Ok(page)
    }

    /// What the operator signs: the form, a line end, and the SHA-256 of the page's JSON with key and signature null.
    ///
    /// # Errors
    /// When the page cannot be written, which none causes.
    pub fn signed_message(&self) -> Result<Vec<u8>, serde_json::Error> {
        let bare = HostingStatement { operator_key: None, signature: None, ..self.clone() };
        let hash = Sha256::digest(serde_json::to_vec(&bare)?);
        Ok([format!("{HOSTING_STATEMENT}\n").as_bytes(), &hash].concat())
    }

    /// The page with the operator's signature.
    ///
    /// # Errors
    /// As [`HostingStatement::signed_message`].
    pub fn signed(mut self, key: &SigningKey) -> Result<HostingStatement, serde_json::Error> {
        let message = self.signed_message()?;
        self.operator_key = Some(hex::encode(key.verifying_key().to_bytes()));
        self.signature = Some(hex::encode(key.sign(&message).to_bytes()));
        Ok(self)
    }
}

/// `⌊(price · amount + carry) / unit⌋` and what is left.
fn priced(price: i64, amount: u128, carry: u128, unit: u128) -> Result<(i64, u128), String> {
    let too_large = || "an amount does not fit".to_owned();
    let price = u128::try_from(price).map_err(|_| "a price is negative".to_owned())?;
    let sum = price.checked_mul(amount).and_then(|p| p.checked_add(carry)).ok_or_else(too_large)?;
    Ok((i64::try_from(sum / unit).map_err(|_| too_large())?, sum % unit))
}

/// What of a fee is given back where a machine promised to be up `level_bps` of `span` was up for `up`.
fn credit(fee: i64, level_bps: u16, span: u64, up: u64) -> Result<i64, String> {
    let promised = u128::from(level_bps) * u128::from(span);
    let kept = u128::from(up) * 10_000;
    if kept >= promised {
        return Ok(0);
    }
    let fee = u128::try_from(fee).map_err(|_| "a fee is negative".to_owned())?;
    let credit =
        fee.checked_mul(promised - kept).ok_or("a credit does not fit")?.div_ceil(promised);
    i64::try_from(credit).map_err(|_| "a credit does not fit".to_owned())
}

impl HostingPosition {
    /// A contract that no bill was written of.
    #[must_use]
    pub fn begin(start_epoch: u64) -> HostingPosition {
        HostingPosition { billed_until: start_epoch, ..HostingPosition::default() }
    }

    /// Takes a bill: recomputes it from its facts and compares every number.
    ///
    /// # Errors
    /// The first number that does not follow.
    pub fn take(
        &mut self,
        terms: &HostingTerms,
        epoch_us: u64,
        b: &BillLine,
    ) -> Result<(), String> {
        must("number", b.number, self.bills + 1)?;
        must("from_epoch", b.from_epoch, self.billed_until)?;
        let epochs = b.until_epoch.checked_sub(b.from_epoch).ok_or("it ends before it begins")?;
        let span = epochs.checked_mul(epoch_us).ok_or("its time does not fit")?;
        must("span_us", b.span_us, span)?;
        if b.up_us > b.span_us {
            return Err(format!("up_us {} is longer than its time", b.up_us));
        }
        let (price, fee) = (terms.energy_minor_per_kwh, terms.fee_minor_per_day);
        let (energy, energy_carry) = priced(price, b.energy_uj.0, self.energy_carry.0, UJ_PER_KWH)?;
        let (fee, fee_carry) = priced(fee, b.span_us.into(), self.fee_carry.0, US_PER_DAY)?;
        let credit = credit(fee, terms.service_level_bps, b.span_us, b.up_us)?;
        must("energy_minor", b.energy_minor, energy)?;
        must("fee_minor", b.fee_minor, fee)?;
        must("credit_minor", b.credit_minor, credit)?;
        let due = energy.checked_add(fee - credit).ok_or("what is due does not fit")?;
        must("due_minor", b.due_minor, due)?;
        let owed = self.arrears_minor.checked_add(due).ok_or("what is owed does not fit")?;
        if b.paid_minor < 0 || b.paid_minor > owed {
            return Err(format!("paid_minor is {} and can be {owed} at most", b.paid_minor));
        }
        let open = owed - b.paid_minor;
        let (waived, arrears) = if terms.pay_from == "earnings" { (open, 0) } else { (0, open) };
        must("waived_minor", b.waived_minor, waived)?;
        must("arrears_minor", b.arrears_minor, arrears)?;
        let sum = |a: i64, b: i64| a.checked_add(b).ok_or("a sum does not fit");
        *self = HostingPosition {
            bills: b.number,
            billed_until: b.until_epoch,
            energy_carry: Big(energy_carry),
            fee_carry: Big(fee_carry),
            arrears_minor: arrears,
            paid_minor: sum(self.paid_minor, b.paid_minor)?,
            waived_minor: sum(self.waived_minor, waived)?,
        };
        Ok(())
    }
}

/// What was found to hold of a hosting contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostingReport {
    /// The contract.
    pub contract: String,
    /// The machine's serial number, by the terms.
    pub serial: String,
    /// What bills are in.
    pub asset: Asset,
    /// Under which terms.
    pub terms_sha256: String,
    /// Whose signature the terms carry.
    pub terms_signed_by: Option<String>,
    /// Pages recomputed, each signed.
    pub pages: usize,
    /// Bills recomputed.
    pub bills: usize,
    /// Blocks that paid the owner themselves, recomputed.
    pub blocks: usize,
    /// The first bill of what was not given.
    pub next_bill: Option<i64>,
    /// How it stands by them.
    pub closing: HostingPosition,
}

/// Reads the pages of a hosting contract's statement one after the other.
#[derive(Clone, Debug)]
pub struct HostingChecker {
    file: SignedTerms,
    terms: HostingTerms,
    by: String,
    /// Keys of the operator's besides the one that signed the terms, by which pages may be signed, too.
    later: Vec<[u8; 32]>,
    position: Option<HostingPosition>,
    span: Option<(u64, u64)>,
    report: HostingReport,
}

impl HostingChecker {
    /// Opens the terms: hash, signature (by `key`, if one is given) and rules.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn begin(file: SignedTerms, key: Option<[u8; 32]>) -> Result<HostingChecker, TermsError> {
        let by = file.verified(key.as_ref())?.to_owned();
        let terms = HostingTerms::parse(file.terms.as_bytes())?;
        let report = HostingReport {
            contract: file.contract.to_string(),
            serial: terms.serial.clone(),
            asset: terms.asset,
            terms_sha256: file.sha256.clone(),
            terms_signed_by: Some(by.clone()),
            pages: 0,
            bills: 0,
            blocks: 0,
            next_bill: None,
            closing: HostingPosition::default(),
        };
        let later = Vec::new();
        Ok(HostingChecker { file, terms, by, later, position: None, span: None, report })
    }

    /// Takes pages that are signed by one of these keys as well: an operator who has changed his key signs terms' later
    /// statements with the new one.
    #[must_use]
    pub fn or_by(mut self, keys: impl IntoIterator<Item = [u8; 32]>) -> HostingChecker {
        self.later.extend(keys);
        self
    }

    /// Recomputes the next page.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn page(&mut self, page: &HostingStatement) -> Result<(), Wrong> {
        let number = self.report.pages + 1;
        let around = |place: &str, why: String| Wrong {
            page: number,
            line: None,
            place: place.to_owned(),
            why,
        };
        self.head(page).map_err(|why| around("head", why))?;
        let mut position =
            self.position.unwrap_or_else(|| HostingPosition::begin(page.start_epoch));
        if page.opening != position {
            return Err(around("opening", "it is not how the page before ends".into()));
        }
        for (i, bill) in page.bills.iter().enumerate() {
            let taken = position.take(&self.terms, page.epoch_us, bill);
            let taken = taken.and_then(|()| within_end(page.end_epoch, bill));
            taken.map_err(|why| Wrong {
                page: number,
                line: Some(i + 1),
                place: format!("bill {}", bill.number),
                why,
            })?;
        }
        if page.closing != position {
            return Err(around("closing", "it is not what its bills come to".into()));
        }
        if page.next_bill.is_some_and(|next| next != position.bills + 1) {
            return Err(around("head", "next_bill is not the one after the last".into()));
        }
        blocks::check(&page.blocks, self.agreed_fee(page)).map_err(|(n, why)| Wrong {
            page: number,
            line: None,
            place: format!("block {}", n + 1),
            why,
        })?;
        self.signature(page).map_err(|why| around("signature", why))?;
        self.position = Some(position);
        self.span = Some((page.epoch_us, page.start_epoch));
        self.report.pages = number;
        self.report.bills += page.bills.len();
        self.report.blocks += page.blocks.len();
        self.report.next_bill = page.next_bill;
        self.report.closing = position;
        Ok(())
    }

    /// What was found.
    #[must_use]
    pub fn finish(self) -> HostingReport {
        self.report
    }

    /// What may be taken of blocks, and in which time.
    fn agreed_fee(&self, page: &HostingStatement) -> Option<AgreedFee> {
        let micros =
            |epoch: u64| i64::try_from(epoch.saturating_mul(page.epoch_us)).unwrap_or(i64::MAX);
        let (from_us, until_us) =
            (micros(page.start_epoch), page.end_epoch.map_or(i64::MAX, micros));
        self.terms.earnings_fee_bps.map(|bps| AgreedFee { bps, from_us, until_us })
    }

    fn head(&self, page: &HostingStatement) -> Result<(), String> {
        if page.format != HOSTING_STATEMENT {
            return Err(format!("the format {:?} is not known here", page.format));
        }
        must("contract", page.contract, self.file.contract)?;
        must("terms_sha256", page.terms_sha256.as_str(), self.file.sha256.as_str())?;
        if let Some(agreed) = self.terms.epoch_us {
            must("epoch_us", page.epoch_us, agreed)?;
        }
        match (&page.ended, page.end_epoch) {
            (Some(ended), Some(end)) => {
                must("end_epoch", end, ended.epoch)?;
                ended.check(&self.terms, page.start_epoch)?;
            }
            (Some(_), None) => return Err("it was ended and has no end".into()),
            (None, Some(end)) => match self.terms.term_end(page.start_epoch) {
                Some(by_itself) => must("end_epoch", end, by_itself)?,
                // From before it was written down who ends a contract.
                None if self.terms.end_rule.is_none() => {}
                None => return Err("it has no term, and nobody has ended it".into()),
            },
            (None, None) => {}
        }
        match self.span {
            Some(before) if before != (page.epoch_us, page.start_epoch) => {
                Err("epoch_us or start_epoch is another one than on the page before".into())
            }
            Some(_) if self.report.next_bill.is_none() => {
                Err("the page before it was the last".into())
            }
            _ => Ok(()),
        }
    }

    fn signature(&self, page: &HostingStatement) -> Result<(), String> {
        let wrong = || "it is not the operator's over this page".to_owned();
        let (Some(key), Some(signature)) = (&page.operator_key, &page.signature) else {
            return Err("it is missing".into());
        };
        let is_later = self.later.iter().any(|later| hex::encode(later) == *key);
        if !is_later && *key != self.by {
            return Err(
                "it is of another key than the terms' (after a change of keys name both)".into()
            );
        }
        let (mut by, mut bytes) = ([0u8; 32], [0u8; 64]);
        hex::decode_to_slice(key, &mut by).map_err(|_| wrong())?;
        hex::decode_to_slice(signature, &mut bytes).map_err(|_| wrong())?;
        let by = VerifyingKey::from_bytes(&by).map_err(|_| wrong())?;
        let message = page.signed_message().map_err(|e| e.to_string())?;
        by.verify_strict(&message, &Signature::from_bytes(&bytes)).map_err(|_| wrong())
    }
}

fn within_end(end: Option<u64>, bill: &BillLine) -> Result<(), String> {
    match end {
        Some(end) if bill.until_epoch > end => {
            Err(format!("it reaches beyond the contract's end, epoch {end}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
