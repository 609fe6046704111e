//! Everything that is written of hosting contracts, held against what it follows from.
//!
//! | what | is held against |
//! |---|---|
//! | terms | their hash, the operator's signature, the contract's own columns |
//! | bills, carries, what is owed | the terms, as an owner checks a statement |
//! | first epoch, end, what came back | the terms and the owners of the machine |
//! | certificates | their signatures by today's key or one of before, each other, the contract |
//! | what was paid: prices, bills, what came back | the journal, customer by customer |
//!
//! Taken as given are energy and time up as measured, and what waits for an owner's address.

use crate::certificate;
use crate::contract::{Contract, HostingState};
use crate::service::Hosting;
use crate::{HostingError, Result, sql};
use gruve_farm::MachineOwner;
use gruve_ledger::Account;
use gruve_statement::hosting::{HostingChecker, HostingPosition};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Asset, Bps, ContractId, EpochNumber, MachineId};
use std::collections::{BTreeMap, BTreeSet};

/// Findings kept at most; more of the same tell nothing new.
const FINDINGS_MAX: usize = 100;

/// Contracts read at once.
const PAGE: u32 = 500;

/// What an audit of hosting contracts found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostingAudit {
    /// Contracts looked at.
    pub contracts: u64,
    /// Bills recomputed.
    pub bills: u64,
    /// Certificates checked.
    pub certificates: u64,
    /// What is wrong, in words; empty is good.
    pub findings: Vec<String>,
}

impl HostingAudit {
    fn find(&mut self, what: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(what);
        }
    }
}

/// What a kind of entries has posted to accounts: debits positive.
type Posted = BTreeMap<(Account, Asset), i64>;

/// What contracts say was paid, by the kind of its entries.
#[derive(Default)]
struct Paid {
    sales: Posted,
    bills: Posted,
    backs: Posted,
}

fn transfer(all: &mut Posted, (from, to): (Account, Account), asset: Asset, minor: i64) {
    for (account, by) in [(from, minor), (to, minor.saturating_neg())] {
        let sum = all.entry((account, asset)).or_default();
        *sum = sum.saturating_add(by);
    }
}

impl Hosting {
    /// Looks at all contracts. Thorough, and as slow as the tables are long: for `gruve admin audit`.
    ///
    /// # Errors
    /// The database's. What does not hold is not an error but a finding.
    pub async fn audit(&self, tx: &mut Tx) -> Result<HostingAudit> {
        let mut audit = HostingAudit::default();
        let (mut paid, mut machines) = (Paid::default(), BTreeSet::new());
        let mut after = ContractId::from_bytes([0; 16]);
        loop {
            let rows = tx.fetch_all(sql::ALL_AFTER, &params![after, PAGE]).await?;
            for row in &rows {
                after = row.get("id")?;
                audit.contracts += 1;
                let c = match Contract::read(row) {
                    Ok(c) => c,
                    Err(HostingError::Store(e)) => return Err(e.into()),
                    Err(e) => {
                        audit.find(format!("hosting contract {after}: {e}"));
                        continue;
                    }
                };
                machines.insert(c.machine);
                for what in self.audit_contract(tx, &c, &mut paid, &mut audit.bills).await? {
                    audit.find(format!("hosting contract {}: {what}", c.id));
                }
            }
            if rows.len() < PAGE as usize {
                break;
            }
        }
        for machine in machines {
            self.audit_certificates(tx, machine, &mut audit).await?;
        }
        for (kind, wanted) in [
            ("hosting-sale", paid.sales),
            ("hosting-bill", paid.bills),
            ("hosting-back", paid.backs),
        ] {
            compare(kind, wanted, gruve_ledger::sums_of_kind(tx, kind).await?, &mut audit);
        }
        Ok(audit)
    }

    async fn audit_contract(
        &self,
        tx: &mut Tx,
        c: &Contract,
        paid: &mut Paid,
        bills: &mut u64,
    ) -> Result<Vec<String>> {
        let mut wrong = self.audit_terms(c);
        let Some(from) = c.from else {
            let is_open = matches!(
                c.state,
                HostingState::Offered | HostingState::Ordered | HostingState::Withdrawn
            );
            let is_bare = c.until.is_none() && c.bills == 0 && c.arrears == 0 && c.ended.is_none();
            if !is_open || !is_bare {
                wrong.push(format!("it is {} and has no first epoch", c.state.name()));
            }
            return Ok(wrong);
        };
        self.audit_bills(tx, c, from, (&mut wrong, bills, paid)).await?;
        if c.price.minor > 0 {
            let seller = match c.replaces {
                Some(old) => match crate::service::find(tx, old).await {
                    Ok(old) => Account::CustomerAvailable(old.account),
                    Err(_) => {
                        wrong.push("the contract before it is missing".to_owned());
                        Account::OperatorRevenue
                    }
                },
                None => Account::OperatorRevenue,
            };
            let from = Account::CustomerAvailable(c.account);
            transfer(&mut paid.sales, (from, seller), c.price.asset, c.price.minor);
        }
        if let Some((_, _, minor @ 1..)) = c.ended {
            let to = Account::CustomerAvailable(c.account);
            transfer(&mut paid.backs, (Account::OperatorRevenue, to), c.back_asset(), minor);
        }
        let own = MachineOwner::Account(c.account);
        let last = c.until.map_or(from, |until| until.back(1).max(from));
        for epoch in [from, last] {
            if c.until != Some(from) && self.farm.owner_in(tx, c.machine, epoch).await? != own {
                wrong.push(format!("in epoch {epoch} the machine is another's"));
            }
        }
        Ok(wrong)
    }

    /// The terms against their hash, their signature and the columns that are read in their stead.
    fn audit_terms(&self, c: &Contract) -> Vec<String> {
        let mut wrong = Vec::new();
        if crate::contract::sha256(&c.terms_bytes) != c.terms_hash {
            wrong.push("its terms have another hash".to_owned());
        }
        let terms = match c.agreed() {
            Ok(terms) => terms,
            Err(e) => return vec![e.to_string()],
        };
        if c.signed.is_some() || c.from.is_some() {
            let by = c.signed.map(|(key, _)| key).filter(|key| self.is_own(key));
            let verified = self
                .signed_terms(c)
                .map(|file| by.is_some_and(|by| file.verified(Some(&by)).is_ok()));
            // What was accepted before there were plans is not signed.
            if c.signed.is_some() && !verified.unwrap_or(false) {
                wrong.push("the operator has not signed its terms".to_owned());
            }
        }
        let (t, minimum) = (&c.terms, terms.minimum_payout_minor.unwrap_or(0));
        let plan = (terms.plan.clone(), terms.plan_version);
        let by_itself = c.from.and_then(|from| terms.term_end(from.0)).or(terms.until_epoch);
        let checks = [
            (terms.lane == c.lane, "lane"),
            (terms.kind == t.kind.name(), "kind"),
            (terms.scheme == t.scheme.name(), "scheme"),
            (terms.pay_from == t.pay_from.name(), "what bills are taken from"),
            (terms.asset == t.asset, "what bills are in"),
            (terms.energy_minor_per_kwh == t.energy_minor_per_kwh, "price of energy"),
            (terms.fee_minor_per_day == t.fee_minor_per_day, "fee"),
            (terms.service_level_bps == t.level.get(), "service level"),
            ((terms.price_asset, terms.price_minor) == (c.price.asset, c.price.minor), "price"),
            (terms.term_epochs.unwrap_or(0) == t.term_epochs, "term"),
            (minimum == t.minimum_payout_minor, "minimum payout"),
            (terms.earnings_fee_bps == t.earnings_fee.map(Bps::get), "fee on earnings"),
            (plan.0.as_deref() == c.plan.as_ref().map(|p| p.id.as_str()), "plan"),
            (plan.1 == c.plan.as_ref().map(|p| p.version), "plan's version"),
            (by_itself == c.term_end.map(|e| e.0), "end of the term"),
        ];
        let differs = checks.into_iter().filter(|(same, _)| !same);
        wrong.extend(differs.map(|(_, what)| format!("its {what} is not that of its terms")));
        wrong
    }

    /// The bills, as an owner checks them, and how the contract stands after them.
    async fn audit_bills(
        &self,
        tx: &mut Tx,
        c: &Contract,
        from: EpochNumber,
        (wrong, bills, paid): (&mut Vec<String>, &mut u64, &mut Paid),
    ) -> Result<()> {
        let checker = self.signed_terms(c).map(|file| HostingChecker::begin(file, None));
        let Ok(Ok(mut checker)) = checker else {
            wrong.push("its statement cannot be checked".to_owned());
            return Ok(());
        };
        // The terms may be older than the house's key.
        checker = checker.or_by([self.signer.verifying_key().to_bytes()]);
        let (mut next, mut sum) = (Some(1), 0i64);
        while let Some(first) = next {
            let page = match self.statement_in(tx, c, from, first, Vec::new()).await {
                Ok(page) => page,
                Err(HostingError::Store(e)) => return Err(e.into()),
                Err(e) => {
                    wrong.push(format!("its statement: {e}"));
                    return Ok(());
                }
            };
            if let Err(e) = checker.page(&page) {
                wrong.push(format!("its statement: {e}"));
                return Ok(());
            }
            *bills += u64::try_from(page.bills.len()).unwrap_or(u64::MAX);
            sum = page.bills.iter().fold(sum, |sum, b| sum.saturating_add(b.paid_minor));
            next = page.next_bill;
        }
        let closing = checker.finish().closing;
        let begun = HostingPosition::begin(from.0);
        let closing = if c.bills == 0 { begun } else { closing };
        let carries = (u128::from(c.carry.energy), u128::from(c.carry.fee));
        let billed = c.billed_to.map_or(from.0, |e| e.0.saturating_add(1));
        if carries != (closing.energy_carry.0, closing.fee_carry.0) {
            wrong.push("it carries on other fractions than its bills".to_owned());
        }
        if billed != closing.billed_until || c.until.is_some_and(|until| billed > until.0) {
            wrong.push("it is billed up to another epoch than its bills".to_owned());
        }
        let is_over = matches!(c.state, HostingState::Closing | HostingState::Ended);
        let is_known = is_over || c.state == HostingState::Active;
        if !is_known || (is_over && c.until.is_none_or(|until| billed < until.0)) {
            wrong.push(format!("it is {} where its bills are not", c.state.name()));
        }
        if sum > 0 {
            let to = Account::OperatorRevenue;
            let from = Account::CustomerAvailable(c.account);
            transfer(&mut paid.bills, (from, to), c.terms.asset, sum);
        }
        Ok(())
    }

    /// A machine's certificates: each signed, and naming the one before.
    async fn audit_certificates(
        &self,
        tx: &mut Tx,
        machine: MachineId,
        audit: &mut HostingAudit,
    ) -> Result<()> {
        let rows = tx.fetch_all(sql::CERTIFICATES, &params![machine]).await?;
        let mut owners: Vec<(ContractId, AccountId, EpochNumber, String)> = Vec::new();
        let mut previous = String::new();
        for (n, row) in (1u64..).zip(&rows) {
            audit.certificates += 1;
            let (signed, checked) = self.checked(row)?;
            match checked {
                Err(e) => audit.find(format!("certificate {n} of machine {machine}: {e}")),
                Ok(c) if (c.number, c.machine, &c.previous) != (n, machine, &previous) => audit
                    .find(format!(
                        "certificate {n} of machine {machine} does not follow the others"
                    )),
                Ok(c) => owners.push((c.contract, c.owner, c.from_epoch, c.terms)),
            }
            previous = hex::encode(certificate::hash(&signed.certificate));
        }
        for row in tx.fetch_all(sql::OF_MACHINE, &params![machine]).await? {
            let c = Contract::read(&row)?;
            let Some(from) = c.from else { continue };
            let wanted = (c.id, c.account, from, hex::encode(c.terms_hash));
            if !owners.contains(&wanted) {
                audit.find(format!("hosting contract {}: no certificate says so", c.id));
            }
        }
        Ok(())
    }
}

fn compare(kind: &str, wanted: Posted, mut posted: Posted, audit: &mut HostingAudit) {
    for ((account, asset), minor) in wanted {
        let said = posted.remove(&(account.clone(), asset)).unwrap_or(0);
        if said != minor {
            audit.find(format!(
                "{kind}: {account} has {said} minor units of {asset} in the journal, {minor} by the contracts"
            ));
        }
    }
    for ((account, asset), minor) in posted.into_iter().filter(|(_, minor)| *minor != 0) {
        audit.find(format!(
            "{kind}: {account} has {minor} minor units of {asset} in the journal, 0 by the contracts"
        ));
    }
}
