//! Every contract held against what it follows from: its terms, its statement, its postings.
//!
//! A statement is recomputed from its signed terms as its customer would, which finds a changed number in whatever table
//! it is read from: delivered work, units, accruals, settlements, upkeep, pauses, charges. Beside it stands what
//! a statement does not show: that the terms are those that were signed, that the columns read in their stead say the
//! same, and that the journal has moved what the contract says.

use super::FINDINGS_MAX;
use crate::close::LaneState;
use crate::contract::Contract;
use crate::metered::Metered;
use crate::pages::Pages;
use crate::statement::{Neighbours, Span};
use crate::{ContractState, Market, MarketError, Result, papers};
use gruve_ledger::{Account, balances};
use gruve_statement::terms::{
    FeeRule, MaintenanceRule, PriceRule, Rules, SchemeRule, SettlementRule, ShortfallRule,
};
use gruve_statement::{Checker, SignedTerms, Terms};
use gruve_store::{Row, Tx, params, statements};
use gruve_units::{AccountId, Accrual, Amount, Asset, ContractId, EpochNumber, Hashes};

statements! {
    ALL_LEASES = "SELECT id, account, terms, start_epoch, ended_epoch FROM market_contracts
        WHERE lane = $1 AND id > $2 ORDER BY id LIMIT $3";
    /// What was held stands in rows of its own, on no page.
    ALL_METERED = "SELECT id, account, terms FROM market_metered WHERE lane = $1 AND id > $2
        ORDER BY id LIMIT $3";
}

/// Contracts read at once.
const PAGE: u32 = 500;

/// What an audit of all contracts found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContractAudit {
    /// Contracts whose statements were recomputed from their terms.
    pub statements: u64,
    /// Lines of them.
    pub lines: u64,
    /// Contracts that have no statement: the operator's own, and those from before its facts were kept.
    pub without: u64,
    /// What is wrong, in words; empty is good.
    pub findings: Vec<String>,
}

impl ContractAudit {
    pub(super) fn find(&mut self, what: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(what);
        }
    }
}

impl Market {
    /// Recomputes every contract, and what the journal has of contracts and settlements. Thorough, and as slow as the
    /// tables are long: for `gruve admin audit`.
    ///
    /// # Errors
    /// The database's. What does not hold is not an error but a finding.
    pub async fn audit_contracts(&self, tx: &mut Tx) -> Result<ContractAudit> {
        let mut audit = ContractAudit::default();
        for lane in &self.config().lanes {
            let closed = LaneState::read(tx, &lane.lane).await?.closed;
            let mut pages = Pages::by_id(ALL_LEASES, &params![lane.lane.clone()]).of(PAGE);
            while let Some(rows) = pages.next(tx).await? {
                let spans: Vec<Span> =
                    rows.iter().map(|r| span(r, closed)).collect::<Result<_>>()?;
                let (mut rows, mut spans) = (&rows[..], &spans[..]);
                while !rows.is_empty() {
                    let n = Neighbours::together(spans);
                    let near = match Neighbours::read(tx, &lane.lane, &spans[..n]).await {
                        Ok(near) => Some(near),
                        // Told of each contract that stands on it.
                        Err(MarketError::Broken(_)) => None,
                        Err(e) => return Err(e),
                    };
                    for row in &rows[..n] {
                        self.audit_contract(tx, row, near.as_ref(), &mut audit).await?;
                    }
                    (rows, spans) = (&rows[n..], &spans[n..]);
                }
            }
            let mut pages = Pages::by_id(ALL_METERED, &params![lane.lane.clone()]).of(PAGE);
            while let Some(rows) = pages.next(tx).await? {
                for row in &rows {
                    self.audit_contract(tx, row, None, &mut audit).await?;
                }
            }
        }
        self.audit_sums(tx, &mut audit).await?;
        Ok(audit)
    }

    async fn audit_contract(
        &self,
        tx: &mut Tx,
        row: &Row,
        near: Option<&Neighbours>,
        audit: &mut ContractAudit,
    ) -> Result<()> {
        let (id, account): (ContractId, AccountId) = (row.get("id")?, row.get("account")?);
        let bytes: Vec<u8> = row.get("terms")?;
        let mut find = |what: &str| audit.find(format!("contract {id}: {what}"));
        let lease = match Contract::find(tx, id).await {
            Ok(c) => Some(c),
            Err(MarketError::UnknownContract) => None,
            Err(e) => return unless_broken(e, &mut find),
        };
        let meter = match &lease {
            Some(_) => None,
            None => match Metered::find(tx, id).await {
                Ok(c) => Some(c),
                Err(e) => return unless_broken(e, &mut find),
            },
        };
        let hash = lease.as_ref().map(|c| c.terms_hash).or(meter.as_ref().map(|c| c.terms_hash));
        if hash != Some(gruve_statement::terms::hash(&bytes)) {
            find("its terms have another hash");
        }
        if let Ok(terms) = Terms::parse(&bytes) {
            let differs = match (&lease, &meter) {
                (Some(c), _) => lease_differs(c, &terms),
                (None, Some(c)) => meter_differs(c, &terms),
                (None, None) => None,
            };
            if let Some(what) = differs {
                find(&format!("its {what} is not that of its terms"));
            }
        }
        if let Some(c) = &lease {
            self.audit_price(tx, c, &mut find).await?;
        }
        let signature = papers::signature(tx, id).await?;
        let Ok(file) = SignedTerms::new(id, bytes, signature) else {
            find("its terms are no text");
            return Ok(());
        };
        match self.recomputed(tx, account, file, near).await {
            Ok(Ok(lines)) => {
                audit.statements += 1;
                audit.lines += u64::try_from(lines).unwrap_or(u64::MAX);
                Ok(())
            }
            Ok(Err(what)) => {
                find(&format!("its statement: {what}"));
                Ok(())
            }
            Err(MarketError::NoStatement(_)) => {
                audit.without += 1;
                Ok(())
            }
            Err(e) => unless_broken(e, &mut find),
        }
    }

    /// The statement as its customer checks it; how many lines, or the first thing that is wrong.
    async fn recomputed(
        &self,
        tx: &mut Tx,
        account: AccountId,
        file: SignedTerms,
        near: Option<&Neighbours>,
    ) -> Result<std::result::Result<usize, String>> {
        let id = file.contract;
        let mut checker = match Checker::begin(file, None) {
            // The terms may be older than the house's key.
            Ok(checker) => checker.or_by(self.terms_key()),
            // Terms of the first form have no rules that could be computed by.
            Err(gruve_statement::TermsError::Unreadable(_)) => {
                return Err(MarketError::NoStatement("its terms are from before they had rules"));
            }
            Err(e) => return Ok(Err(e.to_string())),
        };
        let mut next = Some(None);
        while let Some(from) = next {
            let page = self.statement_in(tx, account, id, (from, usize::MAX), near).await?;
            if let Err(wrong) = checker.page(&page) {
                return Ok(Err(wrong.to_string()));
            }
            next = page.next_epoch.map(|epoch| Some(EpochNumber(epoch)));
        }
        Ok(Ok(checker.finish().lines))
    }

    /// What of a price is prepaid, earned and refunded, against the journal's account of the contract.
    async fn audit_price(
        &self,
        tx: &mut Tx,
        c: &Contract,
        find: &mut impl FnMut(&str),
    ) -> Result<()> {
        use ContractState::{
            Active, AwaitingPayment, Cancelled, ChargedBack, Completed, Expired, Refunded, Starting,
        };
        let (price, earned, refunded) = (c.price.minor, c.recognised, c.refunded);
        let wanted = match c.state {
            AwaitingPayment | Cancelled | Expired => 0,
            Starting | Active => price - earned,
            Completed | Refunded | ChargedBack => 0,
        };
        let is_ended = matches!(c.state, Completed | Refunded | ChargedBack);
        let is_begun = is_ended || c.state == Active;
        let nothing = (Hashes::ZERO, Hashes::ZERO, 0, 0);
        let had = (c.delivered, c.given(), earned, c.life.paused_epochs);
        if !is_begun && (had != nothing || c.maintenance_due != Accrual::ZERO) {
            find("it has not begun, and something was delivered, earned or counted");
        }
        if c.enrolled && c.state != Active {
            find("it is on the roll and does not run");
        }
        // What was kept for a payment taken back, its statement recomputes.
        let kept = c.state == ChargedBack && price > earned + refunded;
        if is_ended && price != earned + refunded && !kept {
            find("what of its price was earned and refunded is not its price");
        }
        // One that was paid and taken back has its whole price back.
        let may_be_back = match c.state {
            Refunded | ChargedBack => true,
            Cancelled => refunded == price,
            _ => false,
        };
        if refunded != 0 && !may_be_back {
            find("something is refunded that is not");
        }
        let most = crate::settle::earned_of_price(price, c.given(), c.work);
        if most.is_ok_and(|most| earned > most || (is_ended && earned != most)) {
            find("another part of its price is earned than of its work");
        }
        let account = [Account::PrepaidWork(c.id)];
        let there = balances(tx, &account, c.price.asset).await?;
        if there.first().map(|a| a.minor) != Some(wanted) {
            find("what is prepaid of it is another amount in the journal");
        }
        Ok(())
    }
}

/// The epochs in which a contract may have lines.
fn span(row: &Row, closed: Option<EpochNumber>) -> Result<Span> {
    let (start, ended): (Option<EpochNumber>, Option<EpochNumber>) =
        (row.get("start_epoch")?, row.get("ended_epoch")?);
    let last = ended.into_iter().chain(closed).min();
    // What has not begun has none.
    let span = start.zip(last).filter(|(start, last)| start <= last);
    let (from, before) = span.map(|(start, last)| (start, last.next())).unwrap_or_default();
    Ok((row.get("id")?, from, before))
}

/// A number that cannot be read is a finding; the database's own errors end the audit.
fn unless_broken(e: MarketError, find: &mut impl FnMut(&str)) -> Result<()> {
    match e {
        MarketError::Broken(_) | MarketError::Overflow(_) | MarketError::UnknownContract => {
            find(&e.to_string());
            Ok(())
        }
        other => Err(other),
    }
}

/// What stands in a lease's columns otherwise than in its terms.
fn lease_differs(c: &Contract, t: &Terms) -> Option<&'static str> {
    let price = Amount::new(t.price.asset, t.price.minor);
    let own: Vec<Asset> = t.earns.clone();
    let checks = [
        (t.contract.is_none_or(|id| id == c.id), "id"),
        (t.plan == *c.plan, "plan"),
        (t.plan_version == c.plan_version, "plan's version"),
        (t.lane == c.lane, "lane"),
        (own.first() == Some(&c.asset), "coin"),
        (t.hashrate == c.hashrate, "hashrate"),
        (t.epoch_us == c.epoch_us, "length of epochs"),
        (t.epoch_work == c.epoch_work, "work of an epoch"),
        (t.term_epochs == c.term, "term"),
        (t.work == c.work, "work"),
        (price == c.price, "price"),
        (t.sold_at_us.is_none_or(|at| at == c.created.0), "time of sale"),
        (maintenance(&t.rules.maintenance).is_none_or(|m| m == c.maintenance), "upkeep"),
        (fee(&t.rules) == c.fee.get(), "fee"),
        (
            ShortfallRule::MadeGood { catch_up_bps: c.catch_up_bps, extension_epochs: c.extension }
                == t.rules.shortfall,
            "way of making good",
        ),
        (
            minimum(&t.rules).is_none_or(|m| m == c.life.rules.minimum_payout_minor),
            "minimum payout",
        ),
    ];
    checks.into_iter().find(|(same, _)| !same).map(|(_, what)| what)
}

/// The operator's part of what work earns.
fn fee(rules: &Rules) -> u16 {
    match (&rules.scheme, &rules.fee) {
        (SchemeRule::Fpps { fee_bps, .. }, _) => *fee_bps,
        (_, FeeRule::PartOfEarnings { bps }) => *bps,
    }
}

/// What must wait before anything is settled; none where the terms do not say.
fn minimum(rules: &Rules) -> Option<u64> {
    match rules.settlement {
        SettlementRule::EveryEpochs { minimum_minor, .. } => Some(minimum_minor),
        SettlementRule::NotStated => None,
    }
}

/// The same of a metered contract.
fn meter_differs(c: &Metered, t: &Terms) -> Option<&'static str> {
    let is_priced = matches!(t.rules.price, PriceRule::PerHashrateDay { .. });
    let checks = [
        (t.contract.is_none_or(|id| id == c.id), "id"),
        (t.plan == c.plan, "plan"),
        (t.plan_version == c.plan_version, "plan's version"),
        (t.lane == c.lane, "lane"),
        (t.earns.first() == Some(&c.asset), "coin"),
        (t.hashrate == c.hashrate, "hashrate"),
        (t.epoch_us == c.epoch_us, "length of epochs"),
        (t.epoch_work == c.epoch_work, "work of an epoch"),
        (!is_priced || t.price.asset == c.pay_asset, "asset that is paid in"),
        (t.sold_at_us.is_none_or(|at| at == c.created.0), "time of start"),
        (maintenance(&t.rules.maintenance).is_none_or(|m| m == c.maintenance), "upkeep"),
        (fee(&t.rules) == c.fee.get(), "fee"),
        (minimum(&t.rules).is_none_or(|m| m == c.minimum), "minimum payout"),
    ];
    checks.into_iter().find(|(same, _)| !same).map(|(_, what)| what)
}

/// What upkeep costs in the lane's own coin, by the terms.
fn maintenance(rule: &MaintenanceRule) -> Option<u64> {
    let MaintenanceRule::PerDelivered { order } = rule;
    order.first().map(|u| u.minor_per_th_day)
}

#[cfg(test)]
mod tests {
    use super::STATEMENTS;
    use gruve_store::testing::prepare_all;
    use gruve_store::{Store, laws};

    async fn every_statement_prepares(store: Store) {
        let w = crate::world::World::new(store).await;
        prepare_all(&w.store, STATEMENTS).await;
        prepare_all(&w.store, super::super::sums::STATEMENTS).await;
        prepare_all(&w.store, super::super::STATEMENTS).await;
    }

    laws! { statements: [every_statement_prepares] }
}
