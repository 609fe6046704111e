//! Reading a bank's statement: ISO 20022 `camt.053`, any version whose elements have these names
//! (001.02 to 001.13 do).
//!
//! Pure: bytes in, entries out. Promises: one entry that cannot be read is one [`Read::Malformed`]
//! with what is wrong, and all others are there; a file that is no such statement, or cannot be read
//! as XML, is refused whole. What it must not know: invoices, customers, what was read before.
//!
//! | element | meaning here |
//! |---|---|
//! | `Stmt/Acct/Id/IBAN` (or `Othr/Id`) | whose statement |
//! | `Bal` | what the account had before (`OPBD`, else `PRCD`) and after (`CLBD`) |
//! | `Ntry/Sts` | only `BOOK` counts; pending ones come again when booked |
//! | `Ntry/CdtDbtInd`, `RvslInd` | credits are pay-ins; what left the account, or takes a credit back, a person must judge |
//! | `NtryDtls/TxDtls` | the single payments of an entry that collects several; of what left, the whole where they cannot be read |
//! | `AcctSvcrRef` | the bank's own reference, unique for the account |
//! | `RmtInf`, `EndToEndId` | where a customer's reference stands |

use super::xml::{Document, Element, Step};
use gruve_units::{Amount, Asset};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a file at most: a bank's busy day with ten thousand entries has some 15 MB.
pub const FILE_BYTES_MAX: usize = 32 << 20;
/// Entries of a file at most; each is a transaction of the database.
const ENTRIES_MAX: usize = 50_000;
/// Characters kept of what a payer wrote, and of a name. The standard's longest free text is 500.
const KEPT_CHARS: usize = 500;

/// One statement of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankStatement {
    /// The account, as an IBAN or the bank's own number, without spaces.
    pub account: String,
    /// The statement's own id.
    pub id: String,
    /// What stands in it, in order.
    pub entries: Vec<Read>,
    /// Entries that are not booked yet.
    pub passed: usize,
    /// What the account had before and after, or why that is not known.
    pub balances: Result<Balances, String>,
}

/// What the account had before a statement's entries and after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balances {
    /// Before.
    pub opening: Amount,
    /// Of which day, as `2026-11-20`.
    pub opened_on: String,
    /// After.
    pub closing: Amount,
    /// Of which day.
    pub closed_on: String,
}

/// One entry as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// A payment to us.
    Credit(BankEntry),
    /// Booked, but not plainly a payment of a customer: a person must look. The text says why.
    Odd(BankEntry, &'static str),
    /// It cannot be read.
    Malformed {
        /// What is wrong with it.
        why: String,
        /// The hash of what stood there.
        content: [u8; 32],
    },
}

/// A payment in a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankEntry {
    /// The bank's own reference, if it gives one.
    pub own_ref: Option<String>,
    /// How much; below zero where the bank takes something away.
    pub amount: Amount,
    /// The booking's day, as `2026-11-21`.
    pub booked_on: String,
    /// Who paid; of what left the account, who was paid.
    pub payer: String,
    /// From which account, or to which.
    pub payer_account: String,
    /// What the payer wrote, in all the places there are for it.
    pub text: String,
    /// The hash of all this but the bank's reference.
    pub content: [u8; 32],
}

/// What is said of what left the account.
pub(super) const LEFT: &str = "it left the account: say what it was";

/// Reads a file.
///
/// # Errors
/// In words, when it is no statement of this kind.
pub fn read_statements(bytes: &[u8]) -> Result<Vec<BankStatement>, String> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(format!("it is larger than {} MiB", FILE_BYTES_MAX >> 20));
    }
    let mut document = Document::new(bytes)?;
    let mut path: Vec<String> = Vec::new();
    let (mut statements, mut entries) = (Vec::new(), 0);
    let mut is_statement = false;
    let mut current = Draft::default();
    loop {
        match document.step()? {
            Step::Begin(e) => {
                path.push(e.name.clone());
                let at: Vec<&str> = path.iter().map(String::as_str).collect();
                match at.as_slice() {
                    ["Document", "BkToCstmrStmt"] => is_statement = true,
                    ["Document", "BkToCstmrStmt", "Stmt"] => current = Draft::default(),
                    ["Document", "BkToCstmrStmt", "Stmt", "Ntry"] => {
                        entries += 1;
                        if entries > ENTRIES_MAX {
                            return Err(format!("it has more than {ENTRIES_MAX} entries"));
                        }
                        current.entry(&document.whole(e)?);
                        path.pop();
                    }
                    ["Document", "BkToCstmrStmt", "Stmt", "Acct"] => {
                        current.account = account_of(&document.whole(e)?);
                        path.pop();
                    }
                    ["Document", "BkToCstmrStmt", "Stmt", "Bal"] => {
                        current.balance(&document.whole(e)?);
                        path.pop();
                    }
                    ["Document", "BkToCstmrStmt", "Stmt", "Id"] => {
                        current.id = short(document.whole(e)?.text());
                        path.pop();
                    }
                    ["Document", ..] | [] => {}
                    _ => return Err("it is no camt.053 statement: its root is not Document".into()),
                }
            }
            Step::End => {
                if path.pop().as_deref() == Some("Stmt") && path.len() == 2 {
                    statements.push(std::mem::take(&mut current).finish()?);
                }
            }
            Step::Over => break,
        }
    }
    if !is_statement {
        return Err("it is no camt.053 statement: it has no BkToCstmrStmt".into());
    }
    Ok(statements)
}

#[derive(Default)]
struct Draft {
    account: Option<String>,
    id: String,
    entries: Vec<Read>,
    passed: usize,
    /// By their codes, the first of each.
    balances: BTreeMap<String, Result<(Amount, String), String>>,
}

impl Draft {
    fn balance(&mut self, balance: &Element) {
        let code = balance.text_at(&["Tp", "CdOrPrtry", "Cd"]).unwrap_or_default();
        if !matches!(code, "OPBD" | "PRCD" | "CLBD") {
            return;
        }
        self.balances.entry(code.to_owned()).or_insert_with(|| read_balance(balance));
    }

    fn balances(&mut self) -> Result<Balances, String> {
        let mut take = |code: &str| self.balances.remove(code);
        let (before, after) = (take("OPBD").or(take("PRCD")), take("CLBD"));
        let (opening, opened_on) = before.ok_or("it has no opening balance (OPBD)")??;
        let (closing, closed_on) = after.ok_or("it has no closing balance (CLBD)")??;
        if opening.asset != closing.asset {
            return Err("its balances are of two currencies".to_owned());
        }
        Ok(Balances { opening, opened_on, closing, closed_on })
    }

    fn entry(&mut self, entry: &Element) {
        match read_entry(entry) {
            Ok(read) if read.is_empty() => self.passed += 1,
            Ok(read) => self.entries.extend(read),
            Err(why) => self.entries.push(Read::Malformed { why, content: content_of(entry) }),
        }
    }

    fn finish(mut self) -> Result<BankStatement, String> {
        let balances = self.balances();
        let account = self.account.ok_or("a statement does not say of which account it is")?;
        let Draft { id, entries, passed, .. } = self;
        Ok(BankStatement { account, id, entries, passed, balances })
    }
}

fn account_of(account: &Element) -> Option<String> {
    let id = account.child("Id")?;
    let text = id.text_at(&["IBAN"]).or_else(|| id.text_at(&["Othr", "Id"]))?;
    Some(text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect())
}

/// The payments of an entry; none where it is passed over.
fn read_entry(entry: &Element) -> Result<Vec<Read>, String> {
    let status = entry.text_at(&["Sts", "Cd"]).or_else(|| entry.text_at(&["Sts"]));
    match status {
        Some("BOOK") => {}
        Some("PDNG" | "INFO" | "FUTR") => return Ok(Vec::new()),
        Some(other) => return Err(format!("its status {:?} is unknown", short(other))),
        None => return Err("it has no status (Sts)".into()),
    }
    let is_credit = direction(entry)?;
    let details: Vec<&Element> = entry.all("NtryDtls").flat_map(|d| d.all("TxDtls")).collect();
    let is_reversal = matches!(entry.text_at(&["RvslInd"]), Some("true" | "1"));
    let is_return = details.iter().any(|d| d.child("RtrInf").is_some());
    let is_back = is_reversal || is_return;
    // Whom it came from, or where it went.
    let other = if is_credit || is_back { "Dbtr" } else { "Cdtr" };
    let whole = amount_of(entry.child("Amt"))?;
    let booked_on = day_of(entry)?;
    let own_ref = own_reference(entry.text_at(&["AcctSvcrRef"]));
    let odd = match (is_credit, is_back) {
        (true, false) => None,
        (true, true) => Some("the bank gives back a payment that had left the account"),
        (false, true) => Some("the bank takes back a payment that had come in"),
        (false, false) => Some(LEFT),
    };
    let payment =
        |details: &Element, amount, own| payment(entry, details, amount, &booked_on, own, other);
    let mut made = match details.as_slice() {
        [] => vec![payment(entry, whole, own_ref)],
        [one] => {
            let own = own_reference(one.text_at(&["Refs", "AcctSvcrRef"])).or(own_ref);
            vec![payment(one, whole, own)]
        }
        many => match parts(many, is_credit, whole, own_ref.as_deref(), &payment) {
            Ok(made) => made,
            // What left is booked by what the account lost: banks write the parts of it as they like.
            Err(_) if !is_credit => vec![payment(entry, whole, own_ref)],
            Err(why) => return Err(why),
        },
    };
    if !is_credit {
        for entry in &mut made {
            entry.amount = entry.amount.checked_neg().map_err(|e| e.to_string())?;
            entry.content = entry.hash();
        }
    }
    Ok(made
        .into_iter()
        .map(|e| odd.map_or(Read::Credit(e.clone()), |why| Read::Odd(e, why)))
        .collect())
}

/// The single payments of an entry that collects several.
fn parts(
    many: &[&Element],
    is_credit: bool,
    whole: Amount,
    own_ref: Option<&str>,
    payment: &dyn Fn(&Element, Amount, Option<String>) -> BankEntry,
) -> Result<Vec<BankEntry>, String> {
    let mut made = Vec::with_capacity(many.len());
    let mut sum = Amount::zero(whole.asset);
    for (at, one) in many.iter().enumerate() {
        if one.child("CdtDbtInd").is_some() && direction(one)? != is_credit {
            return Err("one of its payments goes the other way".into());
        }
        let stated = one.child("Amt").or_else(|| one.at(&["AmtDtls", "TxAmt", "Amt"]));
        let part = amount_of(stated)?;
        sum = sum.checked_add(part).map_err(|_| "its payments are of several currencies")?;
        let own = own_reference(one.text_at(&["Refs", "AcctSvcrRef"]))
            .or_else(|| own_ref.map(|r| format!("{r}/{at}")));
        made.push(payment(one, part, own));
    }
    if sum != whole {
        return Err(format!("its payments come to {sum}, and it says {whole}"));
    }
    // One reference for all of them is not each one's own.
    let refs: Vec<String> = made.iter().filter_map(|m| m.own_ref.clone()).collect();
    if refs.iter().collect::<BTreeSet<_>>().len() < refs.len() {
        for (at, one) in made.iter_mut().enumerate() {
            one.own_ref = one.own_ref.take().map(|r| format!("{r}/{at}"));
        }
    }
    Ok(made)
}

fn direction(of: &Element) -> Result<bool, String> {
    match of.text_at(&["CdtDbtInd"]) {
        Some("CRDT") => Ok(true),
        Some("DBIT") => Ok(false),
        _ => Err("it does not say whether it is a credit or a debit (CdtDbtInd)".into()),
    }
}

fn amount_of(amount: Option<&Element>) -> Result<Amount, String> {
    let read = written(amount)?;
    if read.minor <= 0 {
        return Err(format!("its amount {read} is not above zero"));
    }
    Ok(read)
}

/// A balance's amount, below zero where the account owes, and its day.
fn read_balance(balance: &Element) -> Result<(Amount, String), String> {
    let said = |why: String| format!("a balance cannot be read: {why}");
    let amount = written(balance.child("Amt")).map_err(said)?;
    if amount.minor < 0 {
        return Err(said("it is below zero and not a debit".to_owned()));
    }
    let amount = if direction(balance).map_err(said)? { Ok(amount) } else { amount.checked_neg() };
    let day = day_at(balance.child("Dt")).map_err(said)?;
    Ok((amount.map_err(|e| said(e.to_string()))?, day))
}

fn written(amount: Option<&Element>) -> Result<Amount, String> {
    let amount = amount.ok_or("it has no amount (Amt)")?;
    let currency = amount.attribute("Ccy").ok_or("its amount has no currency")?;
    let asset: Option<Asset> = currency.parse().ok().filter(|a: &Asset| a.is_fiat());
    let asset =
        asset.ok_or_else(|| format!("its currency {:?} is not taken here", short(currency)))?;
    let read = Amount::parse_decimal(asset, amount.text().trim_end_matches('.'));
    read.map_err(|_| format!("its amount {:?} cannot be read", short(amount.text())))
}

fn day_of(entry: &Element) -> Result<String, String> {
    let booked = entry.child("BookgDt").ok_or("it has no booking date (BookgDt)")?;
    day_at(Some(booked)).map_err(|text| format!("its booking {text}"))
}

/// The day that stands in an element, alone or with a time.
fn day_at(of: Option<&Element>) -> Result<String, String> {
    let Some(booked) = of else { return Err("date is missing".to_owned()) };
    let text = booked.text_at(&["Dt"]).or_else(|| booked.text_at(&["DtTm"])).unwrap_or_default();
    let day: String = text.chars().take(10).collect();
    let is_day = day.len() == 10
        && day.bytes().enumerate().all(|(at, b)| match at {
            4 | 7 => b == b'-',
            _ => b.is_ascii_digit(),
        });
    if is_day { Ok(day) } else { Err(format!("date {:?} cannot be read", short(text))) }
}

/// The bank's reference; words that say there is none are none.
fn own_reference(text: Option<&str>) -> Option<String> {
    let text = text?;
    let is_none = ["NOTPROVIDED", "NONREF", "NONE"].iter().any(|w| text.eq_ignore_ascii_case(w));
    (!is_none).then(|| short(text))
}

fn payment(
    entry: &Element,
    details: &Element,
    amount: Amount,
    booked_on: &str,
    own_ref: Option<String>,
    other: &str,
) -> BankEntry {
    let parties = details.child("RltdPties");
    let name = |p: &Element| {
        let name = p.text_at(&[other, "Pty", "Nm"]).or_else(|| p.text_at(&[other, "Nm"]));
        name.map(short)
    };
    let payer = parties.and_then(name).unwrap_or_default();
    let from = |p: &Element| {
        let id = p.at(&[&format!("{other}Acct"), "Id"])?;
        id.text_at(&["IBAN"]).or_else(|| id.text_at(&["Othr", "Id"])).map(short)
    };
    let payer_account = parties.and_then(from).unwrap_or_default();
    let mut words: Vec<&str> = Vec::new();
    if let Some(info) = details.child("RmtInf") {
        for strd in info.all("Strd") {
            words.extend(strd.text_at(&["CdtrRefInf", "Ref"]));
        }
        words.extend(info.all("Ustrd").map(Element::text));
    }
    words.extend(details.text_at(&["Refs", "EndToEndId"]));
    words.extend(details.text_at(&["AddtlTxInf"]));
    words.extend(entry.text_at(&["AddtlNtryInf"]));
    let text = short(&words.join(" "));
    let mut made = BankEntry {
        own_ref,
        amount,
        booked_on: booked_on.to_owned(),
        payer,
        payer_account,
        text,
        content: [0; 32],
    };
    made.content = made.hash();
    made
}

impl BankEntry {
    fn hash(&self) -> [u8; 32] {
        let amount = self.amount.to_string();
        let fields: [&str; 5] =
            [&amount, &self.booked_on, &self.payer, &self.payer_account, &self.text];
        let mut hasher = Sha256::new();
        for field in fields {
            feed(&mut hasher, field);
        }
        hasher.finalize().into()
    }
}

/// The hash of an entry that could not be read.
fn content_of(entry: &Element) -> [u8; 32] {
    let mut hasher = Sha256::new();
    entry.walk(&mut |text| feed(&mut hasher, text));
    hasher.finalize().into()
}

fn feed(hasher: &mut Sha256, text: &str) {
    hasher.update((text.len() as u64).to_be_bytes());
    hasher.update(text.as_bytes());
}

/// What is kept of a text: its first characters, without those that do not print.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(KEPT_CHARS).collect()
}

#[cfg(test)]
mod tests;
