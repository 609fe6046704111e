//! The rows that a statement is made of.

use super::{Kind, Neighbours, STATEMENT_EPOCHS_MAX, Subject, life, schemes, usage};
use crate::bulk::accruals;
use crate::bulk::lines::{self, LineOf};
use crate::contract::Contract;
use crate::{ContractState, MarketError, Result, freeze};
use gruve_statement::document::{
    AccrualLine, Big, ChargedBack, CreditLine, EndLine, EpochLine, Line, ReversalLine,
    SettlementLine, TakeBackLine, Units,
};
use gruve_statement::terms::SchemeRule;
use gruve_store::{FETCH_ROWS_MAX, Row, Tx, Value, params, statements};
use gruve_units::{Accrual, Asset, EpochNumber, Hashes, Timestamp};
use std::collections::BTreeMap;

/// Epochs read at once: some ten megabytes of pages.
const EPOCHS_AT_ONCE: u32 = 5_000;
/// Nothing was delivered.
const NO_WORK: Hashes = Hashes::ZERO;
/// Blocks and settlements of a contract at most: what one question may give.
const EVENTS_MAX: u32 = 99_999;

const _: () = assert!((EVENTS_MAX as usize) < FETCH_ROWS_MAX);

statements! {
    EPOCH_FACTS = "SELECT epoch, house_work, surplus FROM market_epochs
        WHERE lane = $1 AND epoch >= $2 AND epoch <= $3";
    UNIT_FACTS = "SELECT s.epoch AS epoch, s.entitled AS entitled, s.house_units AS house_units,
        w.units AS all_units FROM market_sums s JOIN market_windows w
        ON w.lane = s.lane AND w.asset = s.asset AND w.epoch = s.epoch
        WHERE s.lane = $1 AND s.asset = $2 AND s.epoch >= $3 AND s.epoch <= $4";
    ACCRUALS_OF = "SELECT a.asset AS asset, a.block_hash AS block_hash, a.generation AS generation,
        a.minor AS minor, a.fraction_high AS fraction_high, a.fraction_low AS fraction_low,
        r.height AS height, r.minor AS reward, f.before_epoch AS before_epoch,
        f.first_epoch AS first_epoch, f.first_units AS first_units, f.after_units AS after_units,
        f.accrued_epoch AS accrued_epoch, f.credited_epoch AS credited_epoch,
        f.reversed_epoch AS reversed_epoch, f.reversed_at AS reversed_at
        FROM market_accruals a
        JOIN market_rewards r ON r.asset = a.asset AND r.block_hash = a.block_hash
        LEFT JOIN market_lives f ON f.asset = a.asset AND f.block_hash = a.block_hash
        AND f.generation = a.generation
        WHERE a.lane = $1 AND a.kind = $2 AND a.beneficiary = $3 AND a.reversal = 0
        ORDER BY r.height, a.asset, a.block_hash, a.generation LIMIT $4";
    /// The same of blocks whose accruals stand on pages: the page on which a beneficiary would stand.
    ACCRUAL_PAGES_OF = "SELECT f.asset AS asset, f.block_hash AS block_hash,
        f.generation AS generation, r.height AS height, r.minor AS reward,
        f.before_epoch AS before_epoch, f.first_epoch AS first_epoch,
        f.first_units AS first_units, f.after_units AS after_units,
        f.accrued_epoch AS accrued_epoch, f.credited_epoch AS credited_epoch,
        f.reversed_epoch AS reversed_epoch, f.reversed_at AS reversed_at,
        (SELECT p.body FROM market_accrual_pages p WHERE p.asset = f.asset
        AND p.block_hash = f.block_hash AND p.generation = f.generation AND p.first <= $2
        ORDER BY p.first DESC LIMIT 1) AS body
        FROM market_lives f
        JOIN market_rewards r ON r.asset = f.asset AND r.block_hash = f.block_hash
        WHERE f.lane = $1 AND f.before_epoch >= $3
        ORDER BY r.height, f.asset, f.block_hash, f.generation LIMIT $4";
    SETTLEMENTS_OF = "SELECT s.number AS number, s.from_epoch AS from_epoch,
        s.to_epoch AS to_epoch, s.gross_minor AS gross_minor, s.fee_minor AS fee_minor,
        s.maintenance_minor AS maintenance_minor, s.waived_minor AS waived_minor,
        s.net_minor AS net_minor, s.at AS at, t.block_hash AS block_hash,
        t.generation AS generation FROM market_settlements s
        LEFT JOIN market_take_backs t ON t.lane = s.lane AND t.asset = s.asset
        AND t.kind = s.kind AND t.beneficiary = s.beneficiary AND t.number = s.number
        WHERE s.lane = $1 AND s.asset = $2 AND s.kind = $3 AND s.beneficiary = $4
        ORDER BY s.number LIMIT $5";
    ENDED = "SELECT ended_epoch FROM market_contracts WHERE id = $1";
}

pub(super) fn missing() -> MarketError {
    MarketError::NoStatement("it has lines from before their facts were kept")
}

fn big(row: &Row, column: &str) -> Result<Big> {
    let bytes: Option<[u8; 16]> = row.get(column)?;
    Ok(Big(u128::from_be_bytes(bytes.ok_or_else(missing)?)))
}

fn who(subject: &Subject) -> (i64, [u8; 16]) {
    subject.who.columns()
}

/// The work of all epochs, oldest first; running totals are not filled in.
pub(super) async fn epochs(
    tx: &mut Tx,
    subject: &Subject,
    c: &Contract,
    near: Option<&Neighbours>,
) -> Result<Vec<Line>> {
    if let Some(own) = near.and_then(|near| near.of(c.id))
        && let Some(all) = known_epochs(tx, subject, c, own).await?
    {
        return Ok(all);
    }
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let mut some = lines::of_contract(tx, c.id, c.asset, before, EPOCHS_AT_ONCE).await?;
        let is_last = some.len() < EPOCHS_AT_ONCE as usize;
        before = some.last().map(|(epoch, _)| *epoch);
        let span = some.first().zip(some.last()).map(|((to, _), (from, _))| (*from, *to));
        let facts = Facts::read(tx, subject, span).await?;
        for (epoch, line) in some.drain(..) {
            all.push(Line::Epoch(facts.line(subject, epoch, &line)?));
        }
        if all.len() > STATEMENT_EPOCHS_MAX {
            return Err(MarketError::NoStatement("it is longer than can be written"));
        }
        if is_last {
            all.reverse();
            return Ok(all);
        }
    }
}

/// The same, of lines on pages that were read before; `None` where many are of before there were pages.
async fn known_epochs(
    tx: &mut Tx,
    subject: &Subject,
    c: &Contract,
    own: &[LineOf],
) -> Result<Option<Vec<Line>>> {
    // The largest number a column holds.
    let first = own.first().map_or(EpochNumber(i64::MAX.cast_unsigned()), |(epoch, _)| *epoch);
    let mut old = lines::of_before_pages(tx, c.id, c.asset, first, EPOCHS_AT_ONCE).await?;
    if old.len() == EPOCHS_AT_ONCE as usize {
        return Ok(None);
    }
    old.reverse();
    let mut all = Vec::with_capacity(old.len() + own.len());
    for some in [&old[..], own].iter().flat_map(|list| list.chunks(EPOCHS_AT_ONCE as usize)) {
        let span = some.first().zip(some.last()).map(|((from, _), (to, _))| (*from, *to));
        let facts = Facts::read(tx, subject, span).await?;
        for (epoch, line) in some {
            all.push(Line::Epoch(facts.line(subject, *epoch, line)?));
        }
    }
    Ok(Some(all))
}

/// What the lane's epochs say of themselves.
#[derive(Default)]
pub(super) struct Facts {
    /// The house's work and the operator's surplus.
    pub(super) work: BTreeMap<EpochNumber, (Hashes, Hashes)>,
    /// All entitlements, the house's units and all units, by asset.
    pub(super) units: BTreeMap<(EpochNumber, Asset), (Hashes, Big, Big)>,
}

impl Facts {
    /// Of the epochs between two, both included.
    pub(super) async fn read(
        tx: &mut Tx,
        subject: &Subject,
        span: Option<(EpochNumber, EpochNumber)>,
    ) -> Result<Facts> {
        let Some((from, to)) = span else { return Ok(Facts::default()) };
        let lane = &subject.lane;
        let mut facts = Facts::default();
        for row in tx.fetch_all(EPOCH_FACTS, &params![lane.clone(), from, to]).await? {
            let work = (row.get("house_work")?, row.get("surplus")?);
            facts.work.insert(row.get("epoch")?, work);
        }
        for asset in &subject.terms.earns {
            let given = params![lane.clone(), *asset, from, to];
            for row in tx.fetch_all(UNIT_FACTS, &given).await? {
                let sums =
                    (row.get("entitled")?, big(&row, "house_units")?, big(&row, "all_units")?);
                facts.units.insert((row.get("epoch")?, *asset), sums);
            }
        }
        Ok(facts)
    }

    fn line(&self, subject: &Subject, epoch: EpochNumber, line: &lines::Line) -> Result<EpochLine> {
        let (house_work, surplus) = *self.work.get(&epoch).ok_or_else(missing)?;
        let (mut entitled_all, mut units) = (NO_WORK, Vec::new());
        for asset in &subject.terms.earns {
            let (entitled, house, all) = *self.units.get(&(epoch, *asset)).ok_or_else(missing)?;
            let own = line.units.iter().find(|(a, _)| a == asset).map_or(0, |(_, own)| *own);
            entitled_all = entitled;
            units.push(Units { asset: *asset, all, house, own: Big(own) });
        }
        Ok(EpochLine {
            epoch: epoch.0,
            began_us: began_us(subject, epoch),
            house_work,
            entitled_all,
            surplus,
            entitled: line.entitled,
            made_good: line.made_good,
            delivered: line.delivered,
            delivered_sum: NO_WORK,
            shortfall: line.shortfall,
            upkeep: Big(0),
            upkeep_due: Big(0),
            units,
        })
    }
}

/// When an epoch begins.
pub(super) fn began_us(subject: &Subject, epoch: EpochNumber) -> i64 {
    let began = i128::from(epoch.0) * i128::from(subject.terms.epoch_us);
    i64::try_from(began).unwrap_or(i64::MAX)
}

/// Where in an epoch a line stands. Settlements are kept together in the order of the terms' assets.
pub(super) type Place = (u64, u8, u64);

/// What else happened, oldest first.
pub(super) async fn events(tx: &mut Tx, subject: &Subject) -> Result<Vec<Line>> {
    let mut all: Vec<(Place, Line)> = Vec::new();
    let mut backs = settlements(tx, subject, &mut all).await?;
    earned(tx, subject, &mut all, &mut backs).await?;
    if !backs.is_empty() {
        return Err(missing());
    }
    schemes::priced(tx, subject, &mut all).await?;
    match &subject.kind {
        Kind::Lease(c) => {
            ended(tx, c, &mut all).await?;
            life::happenings(tx, c, &mut all).await?;
        }
        Kind::Metered(c) => usage::events(tx, c, &mut all).await?,
    }
    // Stable: what stands at one place is in the order in which it was read.
    all.sort_by_key(|(place, _)| *place);
    Ok(all.into_iter().map(|(_, line)| line).collect())
}

async fn ended(tx: &mut Tx, c: &Contract, all: &mut Vec<(Place, Line)>) -> Result<()> {
    let row = tx.fetch_one(ENDED, &params![c.id]).await?;
    if let Some(epoch) = row.get::<Option<EpochNumber>>("ended_epoch")? {
        let refund = gruve_units::Amount::new(c.price.asset, c.refunded).into();
        let charged_back = match c.state {
            ContractState::ChargedBack => Some(charged_back(tx, c, epoch).await?),
            _ => None,
        };
        let end = EndLine { epoch: epoch.0, complete: c.given() == c.work, refund, charged_back };
        all.push(((epoch.0, 1, 0), Line::End(end)));
    }
    Ok(())
}

/// What of the price was kept when its payment was taken back.
async fn charged_back(tx: &mut Tx, c: &Contract, ended: EpochNumber) -> Result<ChargedBack> {
    Ok(ChargedBack {
        lost_minor: freeze::lost_by(tx, c.id, ended).await?,
        kept_minor: c.price.minor - c.recognised - c.refunded,
    })
}

/// Take-backs by the life of the block they are of.
type Backs = BTreeMap<LifeKey, TakeBackLine>;

/// A life of a block: its asset, hash and number.
type LifeKey = (Asset, Vec<u8>, u64);

async fn settlements(
    tx: &mut Tx,
    subject: &Subject,
    all: &mut Vec<(Place, Line)>,
) -> Result<Backs> {
    let (kind, id) = who(subject);
    let mut backs = Backs::new();
    let limits = schemes::limits(tx, subject).await?;
    for (order, asset) in (0u64..).zip(&subject.terms.earns) {
        let lane = subject.lane.clone();
        let given = params![lane, *asset, kind, id, EVENTS_MAX];
        let rows = read(tx, SETTLEMENTS_OF, &given).await?;
        for row in &rows {
            if row.get::<i64>("gross_minor")? < 0 {
                let (key, line) = take_back(row, *asset)?;
                backs.insert(key, line);
            } else {
                let mut line = settlement(row, *asset)?;
                line.limited = limits.get(&(*asset, line.epoch)).copied();
                all.push(((line.epoch, 5, order), Line::Settlement(line)));
            }
        }
    }
    Ok(backs)
}

pub(super) async fn read(tx: &mut Tx, sql: &'static str, given: &[Value]) -> Result<Vec<Row>> {
    let rows = tx.fetch_all(sql, given).await?;
    if rows.len() >= EVENTS_MAX as usize {
        return Err(MarketError::NoStatement("it has more blocks than can be written"));
    }
    Ok(rows)
}

fn settlement(row: &Row, asset: Asset) -> Result<SettlementLine> {
    Ok(SettlementLine {
        epoch: row.get("to_epoch")?,
        from_epoch: row.get("from_epoch")?,
        at_us: row.get::<Timestamp>("at")?.0,
        asset,
        number: row.get("number")?,
        gross_minor: row.get("gross_minor")?,
        fee_minor: row.get("fee_minor")?,
        maintenance_minor: row.get("maintenance_minor")?,
        waived_minor: row.get("waived_minor")?,
        net_minor: row.get("net_minor")?,
        fee_carry: 0,
        carried: Big(0),
        limited: None,
    })
}

fn take_back(row: &Row, asset: Asset) -> Result<(LifeKey, TakeBackLine)> {
    let hash: Vec<u8> = row.get::<Option<Vec<u8>>>("block_hash")?.ok_or_else(missing)?;
    let life: u64 = row.get::<Option<u64>>("generation")?.ok_or_else(missing)?;
    let minor = |column| Ok::<i64, MarketError>(-row.get::<i64>(column)?);
    let line = TakeBackLine {
        epoch: 0,
        asset,
        number: row.get("number")?,
        block: shown(&hash),
        life,
        gross_minor: minor("gross_minor")?,
        fee_minor: minor("fee_minor")?,
        net_minor: minor("net_minor")?,
    };
    Ok(((asset, hash, life), line))
}

/// A hash as explorers write it.
fn shown(internal: &[u8]) -> String {
    let mut bytes = internal.to_vec();
    bytes.reverse();
    hex::encode(bytes)
}

async fn earned(
    tx: &mut Tx,
    subject: &Subject,
    all: &mut Vec<(Place, Line)>,
    backs: &mut Backs,
) -> Result<()> {
    let (kind, id) = who(subject);
    let given = params![subject.lane.clone(), kind, id, EVENTS_MAX];
    let mut parts = Vec::new();
    for row in read(tx, ACCRUALS_OF, &given).await? {
        let part = accruals::old_part(&row)?;
        parts.push((row, part));
    }
    // No window before its first epoch holds anything of it.
    let key = accruals::page_key(subject.who);
    let start = subject.start.unwrap_or_default();
    let given = params![subject.lane.clone(), key, start, EVENTS_MAX];
    for row in read(tx, ACCRUAL_PAGES_OF, &given).await? {
        let Some(body) = row.get::<Option<Vec<u8>>>("body")? else { continue };
        if let Some(part) = accruals::part_of(&body, subject.who)? {
            parts.push((row, part));
        }
    }
    parts.sort_by_key(|(row, _)| place_of(row).ok());
    let mut reversed = Vec::new();
    for (row, part) in &parts {
        let accrual = accrual(row, *part)?;
        let of = |epoch| CreditLine {
            epoch,
            asset: accrual.asset,
            block: accrual.block.clone(),
            life: accrual.life,
            accrual: accrual.accrual,
        };
        if let Some(epoch) = row.get::<Option<u64>>("credited_epoch")? {
            all.push(((epoch, 3, 0), Line::Credit(of(epoch))));
        }
        if let Some(at) = row.get::<Option<Timestamp>>("reversed_at")? {
            let epoch = row.get::<Option<u64>>("reversed_epoch")?.ok_or_else(missing)?;
            let hash: Vec<u8> = row.get("block_hash")?;
            reversed.push((epoch, at, std::cmp::Reverse(accrual.height), hash, of(epoch)));
        }
        let line = match subject.terms.rules.scheme {
            SchemeRule::Solo { .. } => schemes::found(tx, subject, accrual).await?,
            _ => Line::Accrual(accrual),
        };
        all.push(((line.epoch(), 2, 0), line));
    }
    // A chain is taken back from its tip.
    reversed.sort_by(|a, b| (a.0, a.1, a.2, &a.3).cmp(&(b.0, b.1, b.2, &b.3)));
    for (order, (epoch, at, _, hash, was)) in (0u64..).zip(reversed) {
        let key = (was.asset, hash, was.life);
        let line = ReversalLine {
            epoch,
            at_us: at.0,
            asset: was.asset,
            block: was.block,
            life: was.life,
            accrual: was.accrual,
        };
        all.push(((epoch, 6, order), Line::Reversal(line)));
        if let Some(mut back) = backs.remove(&key) {
            back.epoch = epoch;
            all.push(((epoch, 6, order), Line::TakeBack(back)));
        }
    }
    Ok(())
}

/// Where a life of a block stands among all.
fn place_of(row: &Row) -> Result<(u64, String, Vec<u8>, u64)> {
    Ok((row.get("height")?, row.get("asset")?, row.get("block_hash")?, row.get("generation")?))
}

fn accrual(row: &Row, amount: Accrual) -> Result<AccrualLine> {
    let epoch = row.get::<Option<u64>>("accrued_epoch")?.ok_or_else(missing)?;
    Ok(AccrualLine {
        epoch,
        asset: row.get("asset")?,
        block: shown(&row.get::<Vec<u8>>("block_hash")?),
        life: row.get("generation")?,
        height: row.get("height")?,
        reward_minor: row.get("reward")?,
        before_epoch: row.get::<Option<u64>>("before_epoch")?.ok_or_else(missing)?,
        first_epoch: row.get("first_epoch")?,
        first_units: big(row, "first_units")?,
        after_units: big(row, "after_units")?,
        own_first: Big(0),
        own_after: Big(0),
        accrual: Big(amount.0),
    })
}

#[cfg(test)]
mod tests {
    use super::STATEMENTS;
    use gruve_store::testing::prepare_all;
    use gruve_store::{Store, laws};

    async fn every_statement_prepares(store: Store) {
        let w = crate::world::World::new(store).await;
        prepare_all(&w.store, STATEMENTS).await;
    }

    laws! { statements: [every_statement_prepares] }
}
