//! Figures put together from several rooms.

use crate::api::page::Pair;
use crate::failure::Failure;
use crate::hosted::farm_failure;
use crate::money::{asset_name, local, percent};
use crate::state::{AppState, is_something};
use crate::view::{BalanceView, BookLine, BooksView, LaneView, StatementView};
use crate::words::t;
use gruve_ledger::{AccountKind, balance_before, customer_balances, lines_of, totals};
use gruve_market::{AssetReconciliation, LaneStats};
use gruve_treasury::WalletReconciliation;
use gruve_units::{AccountId, Amount, Asset, EpochNumber, Hashrate, LaneId, Timestamp};
use std::collections::BTreeMap;

/// One of a customer's own machines, connected now.
pub(crate) struct OwnMachine {
    pub(crate) name: String,
    pub(crate) lane: LaneId,
    pub(crate) hashrate: Hashrate,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
}

impl AppState {
    /// All lanes, figures and what is live.
    pub(crate) async fn lanes(&self) -> Result<Vec<LaneView>, Failure> {
        let all = self.market().lane_stats().await?;
        let public = &self.config().lanes;
        // Ten thousand machines are gone through once, however many lanes there are.
        let mut connected: BTreeMap<LaneId, usize> = BTreeMap::new();
        for session in self.live().sessions() {
            *connected.entry(session.lane).or_default() += 1;
        }
        Ok(all
            .into_iter()
            .map(|stats| {
                let of = public.iter().find(|p| p.lane == stats.lane);
                let coins = std::iter::once(stats.asset).chain(stats.aux.iter().map(|a| a.asset));
                let known = |asset| Some((asset, self.live().network(&stats.lane, asset)?));
                LaneView {
                    figures: coins.filter_map(known).collect(),
                    network: of
                        .map_or_else(|| asset_name(stats.asset).to_owned(), |p| p.network.clone()),
                    stratum: of.and_then(|p| p.stratum.clone()),
                    machines: connected.get(&stats.lane).copied().unwrap_or(0),
                    stats,
                }
            })
            .collect())
    }

    /// What of a lane's proven capacity is never sold.
    pub(crate) fn never_sold(&self, stats: &LaneStats) -> Hashrate {
        let lane = self.market().config().lane(&stats.lane);
        lane.map_or(Hashrate::ZERO, |c| {
            Hashrate(c.capacity_reserve_bps.of(stats.proven_capacity.0))
        })
    }

    /// A customer's balances, by asset; assets never touched are left out.
    pub(crate) async fn balances(&self, account: AccountId) -> Result<Vec<BalanceView>, Failure> {
        let mut of: BTreeMap<Asset, BalanceView> = BTreeMap::new();
        let empty = |asset| BalanceView {
            asset,
            available: Amount::zero(asset),
            held: Amount::zero(asset),
            maturing: Amount::zero(asset),
        };
        let mut tx = self.store().read().await?;
        for (which, amount) in customer_balances(&mut tx, account).await? {
            let b = of.entry(amount.asset).or_insert_with(|| empty(amount.asset));
            match which.kind() {
                AccountKind::CustomerAvailable => b.available = amount,
                AccountKind::CustomerHeld => b.held = amount,
                _ => {}
            }
        }
        drop(tx);
        for amount in self.market().maturing(account).await? {
            of.entry(amount.asset).or_insert_with(|| empty(amount.asset)).maturing = amount;
        }
        Ok(of.into_values().filter(|b| is_something(&[b.available, b.held, b.maturing])).collect())
    }

    /// The newest entries of a customer's available balance before one of them, newest first.
    pub(crate) async fn statement(
        &self,
        account: AccountId,
        before: Option<Pair<i64>>,
        limit: u32,
    ) -> Result<Vec<StatementView>, Failure> {
        let mut all = Vec::new();
        let mut tx = self.store().read().await?;
        let before = before.map(|p| (p.0, p.1));
        for (which, balance) in customer_balances(&mut tx, account).await? {
            if which.kind() != AccountKind::CustomerAvailable {
                continue;
            }
            let asset = balance.asset;
            let mut after = match before {
                Some(place) => balance_before(&mut tx, &which, asset, place).await?,
                None => balance,
            };
            for line in lines_of(&mut tx, &which, asset, before, limit).await? {
                all.push(StatementView {
                    place: Pair(line.seq, line.line),
                    at: line.at,
                    what: entry_words(&line.kind),
                    change: line.amount,
                    after,
                });
                after = after.checked_sub(line.amount).unwrap_or(after);
            }
        }
        all.sort_by_key(|line| std::cmp::Reverse(line.place));
        all.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(all)
    }

    /// A customer's own machines that are connected.
    pub(crate) async fn machines_of(&self, account: AccountId) -> Result<Vec<OwnMachine>, Failure> {
        let sessions = self.live().sessions_of(account);
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        let known = self.farm().machines_of(gruve_farm::MachineOwner::Account(account)).await?;
        Ok(sessions
            .into_iter()
            .map(|s| OwnMachine {
                name: known
                    .iter()
                    .find(|m| m.id == s.machine)
                    .map_or_else(|| s.machine.to_string(), |m| m.name.clone()),
                lane: s.lane,
                hashrate: s.hashrate,
                accepted: s.accepted,
                rejected: s.rejected,
            })
            .collect())
    }

    /// When a lane is settled next: the end of an epoch.
    pub(crate) fn next_settlement(&self, lane: &LaneId) -> Option<Timestamp> {
        let lane = self.market().config().lane(lane)?;
        let every = lane.settle_every_epochs.max(1);
        let now = lane.epoch_rule.at(self.now());
        let last = EpochNumber(now.0 / every * every + (every - 1));
        Some(lane.epoch_rule.seal_at(last))
    }

    /// The books of every asset, the wallet beside them.
    pub(crate) async fn books(&self) -> Result<Vec<BooksView>, Failure> {
        let mut tx = self.store().read().await?;
        let rewards = self.market().reconciliation(&mut tx).await?;
        let wallets = self.treasury().assets();
        let mut out = Vec::new();
        for asset in Asset::ALL {
            let earned = rewards.assets.iter().find(|a| a.asset == asset);
            let wallet = if wallets.contains(&asset) {
                Some(self.treasury().reconcile(&mut tx, asset).await?)
            } else {
                None
            };
            if earned.is_none() && wallet.is_none() {
                continue;
            }
            let kinds = totals(&mut tx, asset).await?;
            out.push(one_asset(asset, earned, wallet, kinds));
        }
        Ok(out)
    }

    /// What a lane's work found against what it should have found.
    pub(crate) async fn luck(&self, lane: &LaneId) -> Result<LuckView, Failure> {
        let luck = self.farm().lane_luck(lane).await.map_err(|e| farm_failure(&e))?;
        Ok(LuckView {
            found: luck.found,
            expected_milli: luck.expected_milli(),
            permille: luck.permille(),
            chance_of_so_few: luck.chance_of_so_few(),
        })
    }
}

/// Found against expected, of a lane's own chain.
pub(crate) struct LuckView {
    pub(crate) found: u64,
    expected_milli: u128,
    pub(crate) permille: Option<u128>,
    pub(crate) chance_of_so_few: f64,
}

impl LuckView {
    /// Whether any work has been counted: the count comes some minutes behind the blocks.
    pub(crate) const fn is_counted(&self) -> bool {
        self.expected_milli > 0 || self.found > 0
    }

    /// Blocks expected, to a thousandth.
    pub(crate) fn expected(&self) -> String {
        local(&self.expected_text())
    }

    /// The same as programs read it.
    pub(crate) fn expected_text(&self) -> String {
        format!("{}.{:03}", self.expected_milli / 1_000, self.expected_milli % 1_000)
    }

    /// Found of expected in percent; a dash before there was work.
    pub(crate) fn percent(&self) -> String {
        self.permille.map_or_else(|| "–".to_owned(), |p| percent(p, 1_000))
    }
}

fn one_asset(
    asset: Asset,
    earned: Option<&AssetReconciliation>,
    wallet: Option<WalletReconciliation>,
    kinds: Vec<(AccountKind, Amount)>,
) -> BooksView {
    let line = |code, label, meaning, amount| BookLine { code, label, meaning, amount };
    let zero = Amount::zero(asset);
    let mut view = BooksView {
        asset,
        rewards: zero,
        parts: Vec::new(),
        wallet: Vec::new(),
        wallet_on_chain: zero,
        wei_below: None,
        adds_up: true,
        differences: Vec::new(),
        accounts: kinds
            .into_iter()
            .map(|(kind, amount)| {
                let (label, meaning) = kind_words(kind);
                line(kind.name(), label, meaning, amount)
            })
            .collect(),
    };
    if let Some(e) = earned {
        view.rewards = e.block_rewards;
        view.parts = vec![
            line("customers", "Customers", "Credited to customers, after fees", e.customers),
            line(
                "operator",
                "Operator",
                "Fees, and the work the operator mined for itself",
                e.operator,
            ),
            line(
                "window_reserve",
                "Window reserve",
                "Fell to the part of a PPLNS window that nobody had filled",
                e.window_reserve,
            ),
            line(
                "fpps_reserve",
                "FPPS reserve",
                "For the work that FPPS has paid, whatever was found",
                e.fpps_reserve,
            ),
            line(
                "maturing",
                "Maturing",
                "Earned by somebody, not yet credited: the block is young or the settlement has not run",
                e.maturing,
            ),
            line(
                "remainder",
                "Remainder",
                "Fractions below the smallest unit, carried until they make a whole one",
                e.remainder,
            ),
        ];
        view.adds_up &= e.adds_up;
        view.differences.extend(e.differences.iter().cloned());
    }
    if let Some(w) = wallet {
        view.wallet_on_chain = w.on_chain;
        view.wei_below = w.wei_below;
        view.wallet = vec![
            line("hot", "Spendable", "Coins the house can sign for", w.books_hot),
            line(
                "maturing",
                "Maturing",
                "Block rewards the chain does not let anybody spend yet",
                w.books_maturing,
            ),
        ];
        if !w.agrees() {
            view.adds_up = false;
            view.differences.push(format!("The wallet and the books differ by {}.", w.difference));
        }
    }
    view
}

/// A kind of account in words: a name and what stands on it.
const fn kind_words(kind: AccountKind) -> (&'static str, &'static str) {
    match kind {
        AccountKind::CustomerAvailable => ("Customers, available", "Theirs to withdraw"),
        AccountKind::CustomerHeld => {
            ("Customers, held", "Set aside for payouts and invoices under way")
        }
        AccountKind::PrepaidWork => ("Prepaid work", "Paid for, not yet delivered"),
        AccountKind::Rewards => ("Rewards not settled", "Owed to whoever earned them"),
        AccountKind::OperatorRevenue => ("Operator's revenue", "What the operator has earned"),
        AccountKind::WindowReserve => ("Window reserve", "Unfilled parts of windows"),
        AccountKind::FppsReserve => ("FPPS reserve", "Against bad luck"),
        AccountKind::Remainder => ("Remainder", "What truncation left"),
        AccountKind::Loss => ("Operator's loss", "Never a customer's"),
        AccountKind::NetworkFees => ("Network fees", "Paid to miners, payment services and banks"),
        AccountKind::TaxPayable => ("Tax payable", "Taken for the state"),
        AccountKind::ChargeBacks => ("Charge-backs", "Pay-ins taken back"),
        AccountKind::UnmatchedReceipts => ("Unmatched receipts", "Came in, nobody found yet"),
        AccountKind::ChainHot => ("Chain, spendable", "In the house's wallet"),
        AccountKind::ChainCold => ("Chain, cold", "Under keys kept elsewhere"),
        AccountKind::ChainMaturing => ("Chain, maturing", "Block rewards not spendable yet"),
        AccountKind::Clearing => ("Clearing", "Coming in"),
        AccountKind::PayoutsInFlight => ("Payouts in flight", "Sent, not yet in a block"),
        AccountKind::Capital => ("Operator's capital", "The operator's own coins"),
    }
}

/// What an entry of the journal did, for the customer whose balance it changed.
fn entry_words(kind: &str) -> String {
    let known = match kind {
        "treasury-receipt" | "treasury-credit" | "treasury-invoice-closed" => "Payment received",
        "treasury-payment" | "treasury-payment-matched" => "Payment received",
        "treasury-conversion" => "Coin taken for an invoice in another currency",
        "treasury-conversion-back" => "Refund of what a coin was taken for: the coin comes back",
        "treasury-from-balance" => "Invoice paid from your balance: set aside",
        "treasury-taken-back" => "A payment given back, or taken back by your bank",
        "treasury-refund-undone" => "A refund was not possible: back in your balance",
        "treasury-receipt-undone" | "treasury-credit-undone" => {
            "Payment undone: its block left the chain"
        }
        "treasury-payout-held" => "Payout requested: set aside",
        "treasury-payout-returned" => "Payout ended: back in your balance",
        "treasury-paid-out" => "Payout: what the network fee left over",
        "market-sale" => "Contract paid",
        "market-hold" => "Set aside for an epoch by the meter",
        "market-unhold" => "Set aside for an epoch by the meter, and not used",
        "market-metered" => "Work by the meter, charged",
        "market-owed" => "Paid for work that was missed or done while paused",
        "market-cancel" => "Contract cancelled: its price comes back",
        "hosting-bill" => "Bill of a hosted machine",
        "hosting-sale" => "Machine paid",
        "hosting-back" => "Given back of a lease that the operator ended",
        "treasury-sent-back" => "A payment was sent back",
        "market-refund" => "Refund for work not delivered",
        "market-settlement" => "Earnings settled",
        "market-take-back" => "Earnings taken back: the block left the chain",
        other => other,
    };
    t(known).to_owned()
}
