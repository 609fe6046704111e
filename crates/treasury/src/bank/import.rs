//! Statements taken into the books, entry by entry.

use super::camt::{BankEntry, BankStatement, Read, read_statements};
use super::reference::references_in;
use crate::{Method, PayInFor, Result, Treasury, TreasuryError, sql};
use gruve_store::{Tx, params, transact};
use gruve_units::{Amount, Asset, BankEntryId, InvoiceId};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Characters kept of a file's name.
const NAME_CHARS_MAX: usize = 120;

/// What became of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The same file was read before; nothing was done.
    pub is_known: bool,
    /// Entries that paid their invoice.
    pub matched: u32,
    /// Entries that wait for a person.
    pub waiting: u32,
    /// Entries that were taken before.
    pub known: u32,
    /// What the bank has not booked yet.
    pub passed: u32,
    /// Entries that could not be booked now, with the reason: giving the file again tries them again.
    pub failed: Vec<String>,
}

/// What is done with an entry.
enum Decision {
    /// It was taken before.
    Known,
    /// It pays an invoice.
    Pays(InvoiceId),
    /// A person must say.
    Waits(String),
}

impl Treasury {
    /// Takes a statement's entries, each in a transaction of its own.
    ///
    /// # Errors
    /// [`TreasuryError::Statement`] when the file is none, or of an account that is not configured:
    /// nothing was done then. The database's.
    pub async fn import_statement(&self, name: &str, bytes: &[u8]) -> Result<Imported> {
        let hash: [u8; 32] = Sha256::digest(bytes).into();
        if self.knows_file(&hash).await? {
            return Ok(Imported { is_known: true, ..Imported::default() });
        }
        let statements = read_statements(bytes).map_err(TreasuryError::Statement)?;
        for statement in &statements {
            if !self.0.banks.iter().any(|b| b.iban == statement.account) {
                let account = &statement.account;
                let what = format!("its account {account} is not in the configuration");
                return Err(TreasuryError::Statement(what));
            }
        }
        let mut done = Imported::default();
        for statement in &statements {
            done.passed += u32::try_from(statement.passed).unwrap_or(u32::MAX);
            self.note_balances(statement).await?;
            self.passing("bank statement noted")?;
            self.import_entries(statement, &mut done).await?;
        }
        if done.failed.is_empty() {
            let name: String = name.chars().take(NAME_CHARS_MAX).collect();
            let entries = done.matched + done.waiting + done.known;
            let values = params![hash, name.as_str(), entries, self.now()];
            transact!(self.0.store, tx -> Result<()> => {
                tx.execute(sql::INSERT_BANK_FILE, &values).await?;
                Ok(())
            })?;
        }
        Ok(done)
    }

    async fn knows_file(&self, hash: &[u8; 32]) -> Result<bool> {
        let mut tx = self.0.store.read().await?;
        Ok(tx.fetch_optional(sql::BANK_FILE, &params![*hash]).await?.is_some())
    }

    async fn import_entries(&self, statement: &BankStatement, done: &mut Imported) -> Result<()> {
        for (place, read) in places(statement) {
            let taken = transact!(self.0.store, tx -> Result<Decision> => {
                let decision = self.take_entry(tx, &place, read).await?;
                self.passing("bank entry taken, before commit")?;
                Ok(decision)
            });
            match taken {
                Ok(Decision::Known) => done.known += 1,
                Ok(Decision::Pays(_)) => done.matched += 1,
                Ok(Decision::Waits(_)) => done.waiting += 1,
                Err(e @ TreasuryError::BrokenOff(_)) => return Err(e),
                Err(error) => {
                    tracing::error!(statement = %statement.id, %error, "a bank entry is not booked");
                    done.failed.push(error.to_string());
                }
            }
            self.passing("bank entry committed")?;
        }
        Ok(())
    }

    async fn take_entry(&self, tx: &mut Tx, place: &Place<'_>, read: &Read) -> Result<Decision> {
        let statement = place.statement;
        let doubt = match place.seen(tx).await? {
            Seen::Before(_) => return Ok(Decision::Known),
            Seen::Never => None,
            Seen::Perhaps(why) => Some(why.to_owned()),
        };
        let (entry, decision) = match read {
            Read::Malformed { why, .. } => {
                (None, Decision::Waits(format!("it cannot be read: {why}")))
            }
            Read::Odd(e, why) => (Some(e), Decision::Waits((*why).to_owned())),
            Read::Credit(e) => (Some(e), self.whose(tx, statement, e).await?),
        };
        let decision = match doubt {
            Some(why) => Decision::Waits(why),
            None => decision,
        };
        self.write_entry(tx, place, entry, &decision, matches!(read, Read::Credit(_))).await?;
        Ok(decision)
    }

    /// Which invoice an entry pays.
    async fn whose(
        &self,
        tx: &mut Tx,
        statement: &BankStatement,
        entry: &BankEntry,
    ) -> Result<Decision> {
        let waits = |why: String| Ok(Decision::Waits(why));
        let asset = entry.amount.asset;
        let is_ours = |b: &crate::BankAccount| b.iban == statement.account && b.asset == asset;
        if !self.0.banks.iter().any(is_ours) {
            return waits(format!("it is in {asset}, and the account is of another currency"));
        }
        let mut named = Vec::new();
        for reference in references_in(&entry.text) {
            named.extend(self.invoice_by_reference(tx, reference).await?);
        }
        let id = match named.as_slice() {
            [] => {
                let alike = self.invoices_of_amount(tx, entry.amount).await?;
                let ids: Vec<String> = alike.iter().map(ToString::to_string).collect();
                return waits(match ids.as_slice() {
                    [] => "it names no invoice".to_owned(),
                    _ => {
                        format!("it names no invoice; open ones of its amount: {}", ids.join(", "))
                    }
                });
            }
            [id] => *id,
            _ => return waits("it names several invoices".to_owned()),
        };
        let invoice = self.invoice_row(tx, id).await?.ok_or(TreasuryError::NoInvoice)?;
        if invoice.asset() != asset {
            return waits(format!("it is in {asset}, its invoice {id} in {}", invoice.asset()));
        }
        Ok(Decision::Pays(id))
    }

    async fn write_entry(
        &self,
        tx: &mut Tx,
        place: &Place<'_>,
        entry: Option<&BankEntry>,
        decision: &Decision,
        came: bool,
    ) -> Result<()> {
        let now = self.now();
        let id = BankEntryId::new(now, self.0.entropy.as_ref());
        // What came stands in the books at once, be it known whose it is or not; what a person must
        // judge first (a reversal, a double) does not.
        let is_doubtful = matches!(decision, Decision::Waits(w) if DOUBTS.contains(&w.as_str()));
        let payment = match (entry, decision) {
            (Some(e), Decision::Pays(invoice)) => {
                let whose = PayInFor::Invoice(*invoice);
                Some(self.take_payment(tx, Method::Bank, &id.to_string(), e.amount, whose).await?.0)
            }
            (Some(e), Decision::Waits(_)) if came && !is_doubtful => {
                let (external, whose) = (id.to_string(), PayInFor::Nobody);
                Some(self.take_payment(tx, Method::Bank, &external, e.amount, whose).await?.0)
            }
            _ => None,
        };
        let (state, reason) = match decision {
            Decision::Waits(why) => ("waiting", Some(why.as_str())),
            _ => ("matched", None),
        };
        let text = |of: fn(&BankEntry) -> &str| entry.map_or("", of);
        let asset: Option<Asset> = entry.map(|e| e.amount.asset);
        let minor: Option<i64> = entry.map(|e: &BankEntry| -> Amount { e.amount }).map(|a| a.minor);
        let values = params![
            id,
            place.statement.account.as_str(),
            place.statement.id.as_str(),
            place.own_ref,
            place.content,
            place.number,
            place.at as u64,
            asset,
            minor,
            text(|e| &e.booked_on),
            text(|e| &e.payer),
            text(|e| &e.payer_account),
            text(|e| &e.text),
            state,
            reason,
            payment,
            now
        ];
        tx.execute(sql::INSERT_BANK_ENTRY, &values).await?;
        Ok(())
    }
}

const SAME_CONTENT: &str = "it says what an entry of another statement said, and the bank gives no reference by which to \
     tell them apart: it may be the same payment";
const OTHER_REF: &str = "it says what an entry of another statement said, and only the bank's reference is another: it may be the \
     same payment, named anew";
const SAME_REF: &str = "the bank gives it the reference of an entry that said something else";

/// Why an entry may be one that is booked already.
pub(super) const DOUBTS: [&str; 3] = [SAME_CONTENT, OTHER_REF, SAME_REF];

/// Where an entry stands, and by what it is known again.
pub(super) struct Place<'a> {
    statement: &'a BankStatement,
    /// As the how many-th.
    at: usize,
    own_ref: Option<&'a str>,
    content: [u8; 32],
    number: i64,
}

/// The entries of a statement with their places.
pub(super) fn places(statement: &BankStatement) -> impl Iterator<Item = (Place<'_>, &Read)> {
    // How often the same was said before in this statement.
    let mut said: HashMap<[u8; 32], i64> = HashMap::new();
    statement.entries.iter().enumerate().map(move |(at, read)| {
        let (content, own_ref) = match read {
            Read::Credit(e) | Read::Odd(e, _) => (e.content, e.own_ref.as_deref()),
            Read::Malformed { content, .. } => (*content, None),
        };
        let number = *said.entry(content).and_modify(|n| *n += 1).or_insert(0);
        (Place { statement, at, own_ref, content, number }, read)
    })
}

pub(super) enum Seen {
    Before(BankEntryId),
    Never,
    Perhaps(&'static str),
}

impl Place<'_> {
    pub(super) async fn seen(&self, tx: &mut Tx) -> Result<Seen> {
        let given = params![self.statement.account.as_str(), self.content, self.own_ref];
        let mut seen = Seen::Never;
        for row in tx.fetch_all(sql::BANK_ENTRIES_ALIKE, &given).await? {
            let (own_ref, content): (Option<String>, [u8; 32]) =
                (row.get("own_ref")?, row.get("content")?);
            let is_same_content = content == self.content;
            let (statement, number): (String, i64) = (row.get("statement")?, row.get("number")?);
            match (self.own_ref, own_ref.as_deref()) {
                (Some(own), Some(theirs)) if own == theirs && is_same_content => {
                    return Ok(Seen::Before(row.get("id")?));
                }
                (Some(own), Some(theirs)) if own == theirs => seen = Seen::Perhaps(SAME_REF),
                // Two references of the bank's own are two payments where one statement has both. In another
                // one, or in the same issued anew, the bank may have named the same payment again.
                (Some(_), Some(_)) => {
                    let is_other = statement != self.statement.id || number == self.number;
                    if is_same_content && is_other {
                        seen = Seen::Perhaps(OTHER_REF);
                    }
                }
                (None, None) if statement == self.statement.id && number == self.number => {
                    return Ok(Seen::Before(row.get("id")?));
                }
                // Two entries of one statement are two payments.
                (None, None) if statement == self.statement.id => {}
                _ if is_same_content => seen = Seen::Perhaps(SAME_CONTENT),
                _ => {}
            }
        }
        Ok(seen)
    }
}
