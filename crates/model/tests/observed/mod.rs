//! What the market shows, in the model's words, and how the two compare.

use crate::world::{World, lane};
use gruve_ledger::Account;
use gruve_market::ContractState;
use gruve_model::{BigInt, Id, Line, MeterState, Model, State, Who};
use gruve_store::{Row, params};
use gruve_units::{AccountId, Asset, ContractId, Hashes};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// The lane's assets, in its order.
pub(crate) const ASSETS: [Asset; 2] = [Asset::Btc, Asset::Doge];

/// Contracts and whose they are.
type Owned = [(AccountId, ContractId)];
/// Balances, zeros left out.
type Balances = BTreeMap<(gruve_model::Account, usize), BigInt>;
/// Accrued, matured, settled, credited and the fee carried.
type Standings = BTreeMap<(usize, Who), [BigInt; 5]>;
/// Range, gross, fee, maintenance, waived and net of every settlement.
type Settlements = BTreeMap<(usize, Who), Vec<[BigInt; 7]>>;
/// State, refund and every line.
type Contracts = BTreeMap<Id, (State, BigInt, Vec<Line>)>;
/// Work that a contract is owed for, by contract, epoch, and whether of a pause.
type Owed = BTreeMap<(Id, u64, bool), BigInt>;
/// State, charged and delivered by the meter.
type Meters = BTreeMap<Id, (MeterState, BigInt, BigInt)>;

/// What stands in the books at a moment.
#[derive(Debug)]
pub(crate) struct Observed {
    balances: Balances,
    standings: Standings,
    /// Surplus and house work of the last epochs.
    epochs: BTreeMap<u64, (BigInt, BigInt)>,
    meters: Meters,
    owed: Owed,
    in_full: Option<(Settlements, Contracts)>,
}

fn account(key: &str) -> Option<gruve_model::Account> {
    use gruve_model::Account as M;
    Some(match key.parse::<Account>().ok()? {
        Account::CustomerAvailable(id) => M::Available(id.to_bytes()),
        Account::CustomerHeld(id) => M::Held(id.to_bytes()),
        Account::FppsReserve => M::FppsReserve,
        Account::PrepaidWork(id) => M::Prepaid(id.to_bytes()),
        Account::Rewards(_) => M::Rewards,
        Account::OperatorRevenue => M::Revenue,
        Account::WindowReserve => M::WindowReserve,
        Account::Remainder => M::Remainder,
        Account::Loss => M::Loss,
        Account::ChargeBacks => M::ChargeBacks,
        Account::ChainHot => M::Hot,
        Account::ChainMaturing => M::Maturing,
        Account::Clearing(method) if method == "reorganisation" => M::Reorganisation,
        _ => return None,
    })
}

fn asset(row: &Row) -> usize {
    let asset: Asset = row.get("asset").unwrap();
    ASSETS.into_iter().position(|a| a == asset).unwrap()
}

fn who(row: &Row) -> Who {
    of_columns(row.get("kind").unwrap(), row.get("beneficiary").unwrap())
}

fn of_columns(kind: i64, id: Id) -> Who {
    match kind {
        0 => Who::Operator,
        1 => Who::Contract(id),
        2 => Who::Account(id),
        3 => Who::WindowReserve,
        4 => Who::Remainder,
        5 => Who::FppsReserve,
        6 => Who::Fpps(id),
        other => panic!("a beneficiary of kind {other}"),
    }
}

fn minor(row: &Row, column: &str) -> BigInt {
    BigInt::from(row.get::<i64>(column).unwrap())
}

/// Reads everything; settlements and lines only `in_full`.
pub(crate) async fn observe(
    w: &World,
    (contracts, metered): (&Owned, &Owned),
    in_full: bool,
) -> Observed {
    let mut tx = w.store.read().await.unwrap();
    let mut balances = Balances::new();
    let sql = "SELECT account, asset, minor FROM ledger_balances WHERE minor <> 0";
    for row in tx.fetch_all(sql, &[]).await.unwrap() {
        let key: String = row.get("account").unwrap();
        let account = account(&key).unwrap_or_else(|| panic!("the model has no account {key}"));
        balances.insert((account, asset(&row)), minor(&row, "minor"));
    }
    let mut standings = Standings::new();
    for (at, asset) in ASSETS.into_iter().enumerate() {
        for s in w.market.standings(&mut tx, &lane(), asset).await.unwrap() {
            let standing = [
                BigInt::from(s.accrued.0),
                BigInt::from(s.matured.0),
                s.settled.into(),
                s.net.into(),
                s.fee_carry.into(),
            ];
            let (kind, id) = s.who.columns();
            standings.insert((at, of_columns(kind, id)), standing);
        }
    }
    let mut epochs = BTreeMap::new();
    let sql = "SELECT epoch, house_work, allocated, surplus FROM market_epochs
        WHERE lane = $1 ORDER BY epoch DESC LIMIT 20";
    for row in tx.fetch_all(sql, &params![lane()]).await.unwrap() {
        let hashes = |column| BigInt::from(row.get::<Hashes>(column).unwrap().0);
        let (house, surplus) = (hashes("house_work"), hashes("surplus"));
        assert_eq!(hashes("allocated") + &surplus, house, "allocated and surplus are the work");
        epochs.insert(row.get("epoch").unwrap(), (surplus, house));
    }
    let meters = observe_meters(w, metered).await;
    let mut owed = Owed::new();
    let sql = "SELECT contract, epoch, kind, hashes FROM market_owed";
    for row in tx.fetch_all(sql, &[]).await.unwrap() {
        let is_paused = row.get::<String>("kind").unwrap() == "paused";
        let key = (row.get("contract").unwrap(), row.get("epoch").unwrap(), is_paused);
        owed.insert(key, row.get::<Hashes>("hashes").unwrap().0.into());
    }
    let mut observed = Observed { balances, standings, epochs, meters, owed, in_full: None };
    if in_full {
        let mut settlements = Settlements::new();
        let sql = "SELECT asset, kind, beneficiary, from_epoch, to_epoch, gross_minor, fee_minor,
            maintenance_minor, waived_minor, net_minor FROM market_settlements
            ORDER BY asset, kind, beneficiary, number";
        for row in tx.fetch_all(sql, &[]).await.unwrap() {
            let columns = [
                "from_epoch",
                "to_epoch",
                "gross_minor",
                "fee_minor",
                "maintenance_minor",
                "waived_minor",
                "net_minor",
            ];
            let line = columns.map(|c| minor(&row, c));
            settlements.entry((asset(&row), who(&row))).or_default().push(line);
        }
        observed.in_full = Some((settlements, observe_contracts(w, contracts).await));
    }
    tx.rollback().await.unwrap();
    observed
}

async fn observe_meters(w: &World, metered: &[(AccountId, ContractId)]) -> Meters {
    let mut all = Meters::new();
    for (owner, id) in metered {
        let view = w.market.metered(*owner, *id).await.unwrap();
        let state = match view.state {
            gruve_market::metered::MeteredState::Active => MeterState::Active,
            gruve_market::metered::MeteredState::Stopped => MeterState::Stopped,
            gruve_market::metered::MeteredState::Ending => MeterState::Ending,
            gruve_market::metered::MeteredState::Ended => MeterState::Ended,
        };
        all.insert(id.to_bytes(), (state, view.charged.minor.into(), view.delivered.0.into()));
    }
    all
}

async fn observe_contracts(w: &World, contracts: &[(AccountId, ContractId)]) -> Contracts {
    let mut all = Contracts::new();
    for (owner, id) in contracts {
        let view = w.market.contract(*owner, *id).await.unwrap();
        let state = match view.state {
            ContractState::AwaitingPayment => State::Waiting,
            ContractState::Starting | ContractState::Active => State::Running,
            ContractState::Completed => State::Completed,
            ContractState::Refunded => State::Refunded,
            ContractState::ChargedBack => State::ChargedBack,
            _ => State::Expired,
        };
        let line = |l: &gruve_market::EpochLine| Line {
            epoch: l.epoch.0,
            entitled: l.entitled.0.into(),
            delivered: l.delivered.0.into(),
            made_good: l.made_good.0.into(),
            shortfall: l.shortfall.0.into(),
            units: l.units.into(),
        };
        // Newest first.
        let lines = view.epochs.iter().rev().map(line).collect();
        all.insert(id.to_bytes(), (state, view.refunded.minor.into(), lines));
    }
    all
}

/// The first of two maps' differences.
fn differ<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    market: &BTreeMap<K, V>,
    model: &BTreeMap<K, V>,
) -> Result<(), String> {
    let keys = market.keys().chain(model.keys());
    match keys.into_iter().find(|k| market.get(k) != model.get(k)) {
        None => Ok(()),
        Some(k) => Err(format!(
            "{what} {k:?}: the market has {:?}, the model {:?}",
            market.get(k),
            model.get(k)
        )),
    }
}

impl Observed {
    /// Whether the model says the same, to the last bit; otherwise the first difference.
    pub(crate) fn agrees_with(&self, model: &Model) -> Result<(), String> {
        let zero = BigInt::from(0);
        let epochs = model.surplus.clone();
        let known: BTreeMap<_, _> =
            epochs.into_iter().filter(|(e, _)| self.epochs.contains_key(e)).collect();
        differ("epoch", &self.epochs, &known)?;
        let balances = model.balances().clone();
        let balances = balances.into_iter().filter(|(_, n)| *n != zero).collect();
        differ("balance", &self.balances, &balances)?;
        let standing = |s: &gruve_model::Standing| {
            [&s.accrued, &s.matured, &s.settled, &s.net, &s.fee_carry].map(Clone::clone)
        };
        let standings =
            model.standings().iter().map(|(key, s)| (*key, standing(s))).collect::<Standings>();
        differ("standing", &self.standings, &standings)?;
        let meters = model.meters().map(|(id, state, charged, delivered)| {
            (id, (state, charged.clone(), delivered.clone()))
        });
        differ("contract by the meter", &self.meters, &meters.collect())?;
        let owed = model.owed().map(|(id, epoch, paused, n)| ((id, epoch, paused), n.clone()));
        differ("work owed for", &self.owed, &owed.collect())?;
        let Some((settlements, contracts)) = &self.in_full else { return Ok(()) };
        let mut expected = Settlements::new();
        for (key, s) in model.standings().iter().filter(|(_, s)| !s.lines.is_empty()) {
            let line = |l: &gruve_model::SettlementLine| {
                let epochs = [l.from, l.to].map(BigInt::from);
                let [from, to] = epochs;
                let minor = [&l.gross, &l.fee, &l.maintenance, &l.waived, &l.net].map(Clone::clone);
                let [gross, fee, maintenance, waived, net] = minor;
                [from, to, gross, fee, maintenance, waived, net]
            };
            expected.insert(*key, s.lines.iter().map(line).collect());
        }
        differ("settlements of", settlements, &expected)?;
        let expected = model
            .contracts()
            .map(|(id, state, lines, refunded)| (id, (state, refunded.clone(), lines.to_vec())));
        differ("contract", contracts, &expected.collect())
    }

    /// What must hold whatever the rules are; `rewards` are those shared out, of each asset.
    pub(crate) fn assert_properties(&self, rewards: [BigInt; 2]) {
        let zero = BigInt::from(0);
        for (at, rewards) in rewards.into_iter().enumerate() {
            // FPPS pays beside the blocks; its reserve stands in their windows.
            let of = self
                .standings
                .iter()
                .filter(|((a, who), _)| *a == at && !matches!(who, Who::Fpps(_)));
            let accrued: BigInt = of.map(|(_, s)| s[0].clone()).sum();
            assert_eq!(accrued, rewards << 64, "customers, operator, reserve and remainder");
            let of = self.balances.iter().filter(|((_, a), _)| *a == at);
            let debit = |account: &gruve_model::Account| {
                use gruve_model::Account as M;
                matches!(account, M::Loss | M::Hot | M::Maturing | M::Reorganisation)
            };
            let sum = of.fold(
                BigInt::from(0),
                |sum, ((account, _), n)| {
                    if debit(account) { sum + n } else { sum - n }
                },
            );
            assert_eq!(sum, zero, "all postings of an asset");
        }
        for ((account, _), n) in &self.balances {
            assert!(*n >= zero || account.may_be_negative(), "{account:?} holds {n}");
        }
    }
}
