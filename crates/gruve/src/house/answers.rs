//! The small questions that rooms ask of rooms above or beside them, answered.

use super::error::HouseError;
use super::hosted::{Owners, coins_back};
use super::in_block::InBlock;
use super::lane::{ChainFigures, RunningLane};
use super::metrics;
use super::parts::Parts;
use async_trait::async_trait;
use gruve_accounts::Accounts;
use gruve_chain::eth::EthNodeGroup;
use gruve_chain::{ChainStanding, NetworkFigures, Node as _, NodeGroup, NodeHealth};
use gruve_farm::{Farm, MachineOwner};
use gruve_hosting::{Ended, Hosting, PaymentDispute as MachineDispute, PaymentWord as MachineWord};
use gruve_market::{Market, MarketError, Paid, PaymentDispute, PaymentWord, StampSource};
use gruve_proof::places::Payees;
use gruve_proof::stamp;
use gruve_sharelog::Owner;
use gruve_store::Tx;
use gruve_stratum::{
    Authorized, Destination, Gateway, GatewayFigures, Machines, Refused, SessionInfo, Stamps,
};
use gruve_treasury::{Dispute, DisputeStands, Invoice, InvoiceSink, Purpose, SinkError};
use gruve_units::{
    Asset, Blame, Blamed, Bps, Class, Clock, ContractId, EpochNumber, LaneId, MachineId,
};
use gruve_web::{
    Exposition, LiveChain, LiveFarm, LiveLogReader, LiveNode, LiveSession, MachinePaid, MetricsFor,
    SaleRooms, machine_expired, machine_paid,
};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Whose machine this is: `house.MACHINE` with the machines' password, or `ACCOUNT.MACHINE`.
///
/// An account must exist; its password is not asked for, as pools have it: what a login finds is
/// earned by the account it names. A stranger may therefore work in somebody's name, and put names of
/// machines beside the customer's own; the farm sees to it that those never keep a new one out
/// ([`gruve_farm::OUTSIDE_MACHINES_MAX`]). Names of accounts are public, so that one does not exist is
/// said in so many words: it is nearly always a slip of the pen, and opening an account tells it too.
pub struct Logins {
    /// Customers.
    pub accounts: Accounts,
    /// Machines.
    pub farm: Farm,
    /// Whose machines are that have changed hands.
    pub owners: Arc<Owners>,
}

#[async_trait]
impl Machines for Logins {
    fn owners_change(&self) -> bool {
        self.owners.is_any()
    }

    fn owner_in(&self, machine: MachineId, epoch: EpochNumber, at_login: Owner) -> Owner {
        self.owners.owner_in(machine, epoch, at_login)
    }

    async fn authorize(
        &self,
        lane: &LaneId,
        user: &str,
        password: &str,
    ) -> Result<Authorized, Refused> {
        let (account, machine) = user.split_once('.').unwrap_or((user, ""));
        if account == "house" {
            let id =
                self.farm.house_login(password, machine, lane).await.map_err(|e| refuse(&e))?;
            return Ok(Authorized { owner: Owner::House, machine: id });
        }
        let id = self.accounts.account_by_name(account).await.map_err(|e| refuse(&e))?;
        let id = id.ok_or_else(|| {
            Refused(format!(
                "no account {account:?}: open one on the dashboard, log in as account.machine"
            ))
        })?;
        let owner = MachineOwner::Account(id);
        let machine =
            self.farm.machine_for_login(owner, machine, lane).await.map_err(|e| refuse(&e))?;
        Ok(Authorized { owner: Owner::Account(id), machine })
    }
}

/// What a miner is told: its own mistakes in full, ours in general.
fn refuse(error: &dyn Blamed) -> Refused {
    match error.blame() {
        Blame::Rejected => Refused(error.to_string()),
        Blame::Transient | Blame::Fatal => {
            tracing::warn!(%error, "a login could not be looked up");
            Refused("cannot look the login up now; try again".to_owned())
        }
    }
}

/// The stamp of an epoch's work, over the accountant's checkpoints.
pub struct HouseStamps {
    /// The checkpoints.
    pub source: Arc<StampSource>,
    /// The operator's log.
    pub origin: String,
    /// The operator's public key.
    pub operator_key: [u8; 32],
    /// Owners who are paid by the block itself.
    pub in_block: Arc<InBlock>,
}

impl Stamps for HouseStamps {
    fn stamp(&self, lane: &LaneId, epoch: EpochNumber) -> (EpochNumber, [u8; 32]) {
        let (at, checkpoint) = self.source.latest_checkpoint(lane, epoch.back(2));
        (at, stamp::commitment(&self.origin, &self.operator_key, lane, epoch, &checkpoint))
    }

    fn class_max(&self, lane: &LaneId, checkpoint_of: EpochNumber) -> Class {
        self.source.class_max(lane, checkpoint_of)
    }

    fn destinations(
        &self,
        lane: &LaneId,
        epoch: EpochNumber,
        checkpoint_of: EpochNumber,
    ) -> Arc<[Destination]> {
        let mut all = self.in_block.destinations(lane, epoch);
        // With what was published of the house's fee, should it be another by now.
        all.retain_mut(|to| {
            let payees = Payees { script: to.script.clone(), others: to.others.clone() };
            let fee = self.source.may_pay(lane, checkpoint_of, to.owner, &payees);
            let least = fee.and_then(|fee| i64::try_from(fee.least).ok());
            let (Some(fee), Some(least)) = (fee, least) else { return false };
            if fee.bps > Bps::ZERO {
                (to.fee, to.least) = (fee.bps, least);
            }
            true
        });
        all.into()
    }
}

/// What a paid or expired invoice means.
pub struct InvoiceOutcome {
    /// Whose contracts start.
    pub market: Market,
    /// Whose machines are ordered.
    pub hosting: Hosting,
    /// Their serial numbers.
    pub farm: Farm,
    /// Who is told.
    pub accounts: Accounts,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl InvoiceSink for InvoiceOutcome {
    async fn paid(&self, tx: &mut Tx, invoice: &Invoice) -> Result<(), SinkError> {
        let Purpose::Contract(contract) = invoice.purpose else { return Ok(()) };
        let rooms = SaleRooms {
            market: &self.market,
            hosting: &self.hosting,
            farm: &self.farm,
            accounts: &self.accounts,
        };
        let machine = machine_paid(tx, rooms, invoice, contract).await;
        match machine.map_err(|e| SinkError::of(&e))? {
            None => {}
            Some(MachinePaid::Begins(_) | MachinePaid::Already) => return Ok(()),
            Some(MachinePaid::LeftInBalance) => {
                tracing::info!(%contract, "a machine was paid and has gone; the money is in the balance");
                return Ok(());
            }
        }
        let paid = self.market.invoice_paid(tx, contract, self.clock.now()).await;
        if let Paid::LeftInBalance = paid.map_err(|e| SinkError::of(&e))? {
            tracing::info!(%contract, "paid too late to start; the money is in the balance");
        }
        Ok(())
    }

    async fn expired(&self, tx: &mut Tx, invoice: &Invoice) -> Result<(), SinkError> {
        let Purpose::Contract(contract) = invoice.purpose else { return Ok(()) };
        if machine_expired(tx, &self.hosting, contract).await.map_err(|e| SinkError::of(&e))? {
            return Ok(());
        }
        self.market.invoice_expired(tx, contract).await.map_err(|e| SinkError::of(&e))
    }

    async fn disputed(
        &self,
        tx: &mut Tx,
        invoice: &Invoice,
        dispute: &Dispute<'_>,
    ) -> Result<(), SinkError> {
        let Purpose::Contract(contract) = invoice.purpose else { return Ok(()) };
        let word = match dispute.stands {
            DisputeStands::Open => PaymentDispute::Open,
            DisputeStands::Won => PaymentDispute::Won,
            DisputeStands::Lost(lost) => PaymentDispute::Lost(lost),
        };
        let what = match self.market.payment_disputed(tx, contract, dispute.name, word).await {
            Ok(PaymentWord::Nothing) => return Ok(()),
            Ok(PaymentWord::Freezes(epoch)) => format!(
                "The card payment of your contract {contract} is disputed: from epoch {epoch} on it gets no work, and \
                 its end stands still, until that is settled."
            ),
            Ok(PaymentWord::Thaws(epoch)) => format!(
                "The dispute about the payment of your contract {contract} is over: it goes on with epoch {epoch}."
            ),
            Ok(PaymentWord::Ends(epoch)) => format!(
                "The payment of your contract {contract} was taken back: the contract ends with epoch {epoch}."
            ),
            Err(MarketError::UnknownContract) => {
                let told = self.machine_disputed(tx, contract, dispute).await;
                match told.map_err(|e| SinkError::of(&e))? {
                    Some(told) => told,
                    None => return Ok(()),
                }
            }
            Err(e) => return Err(SinkError::of(&e)),
        };
        let told = self.accounts.tell_owner(tx, invoice.account, &what).await;
        told.map_err(|e| SinkError::of(&e))
    }
}

impl InvoiceOutcome {
    /// What a dispute means for a machine, in words for its owner; nothing where nothing changes.
    async fn machine_disputed(
        &self,
        tx: &mut Tx,
        contract: ContractId,
        dispute: &Dispute<'_>,
    ) -> Result<Option<String>, HouseError> {
        let word = match dispute.stands {
            DisputeStands::Open => MachineDispute::Open,
            DisputeStands::Won => MachineDispute::Won,
            DisputeStands::Lost(lost) => MachineDispute::Lost(lost.minor),
        };
        let what = self.hosting.payment_disputed(tx, contract, dispute.name, word).await?;
        Ok(match what {
            None | Some(MachineWord::Nothing) => None,
            Some(MachineWord::Freezes) => Some(format!(
                "The card payment of your machine (contract {contract}) is disputed: it can be handed on to nobody, \
                 and what it earns stays in your balance, until that is settled."
            )),
            Some(MachineWord::Thaws) => Some(format!(
                "The dispute about the payment of your machine (contract {contract}) is over: the machine stays yours."
            )),
            Some(MachineWord::Ends(ended)) => {
                coins_back(tx, &self.hosting, contract, ended, self.clock.now()).await?;
                Some(machine_taken_back(contract, &ended))
            }
        })
    }
}

/// That a machine's payment was taken back, to who was its owner: each sentence on a line, as each is said in the owner's
/// language.
fn machine_taken_back(contract: ContractId, ended: &Ended) -> String {
    let until = ended.until;
    let mut told = vec![format!(
        "The payment of your machine (contract {contract}) was taken back: it is no longer yours from epoch {until} on."
    )];
    told.extend(ended.back.map(|b| format!("{b} of its price came back to your balance.")));
    told.join("\n")
}

/// The gateways of this process, as the dashboards see them.
#[derive(Clone, Default)]
pub struct Gateways(Arc<Mutex<Vec<Gateway>>>);

impl Gateways {
    /// One more gateway.
    pub fn add(&self, gateway: Gateway) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(gateway);
    }

    /// What they count, and their sessions.
    fn figures(&self) -> (Vec<GatewayFigures>, Vec<SessionInfo>) {
        let gateways = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let figures = gateways.iter().map(Gateway::figures).collect();
        (figures, gateways.iter().flat_map(Gateway::snapshot).collect())
    }

    /// Shows a message on a lane's machines, all or one login's; gives to how many it was sent.
    /// Blocks, a second at the most.
    pub fn tell(&self, lane: &LaneId, to: Option<&str>, text: &str) -> usize {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|g| g.lane() == lane).map(|g| g.tell(to, text)).sum()
    }

    /// All of them, to be stopped.
    pub fn take(&self) -> Vec<Gateway> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The gateways, and the nodes behind them.
pub struct Line {
    /// The gateways of this process.
    pub gateways: Gateways,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The nodes of each lane.
    pub nodes: Vec<(LaneId, Arc<NodeGroup>)>,
    /// How the following of each lane's chain stands.
    pub chains: Vec<(LaneId, Asset, watch::Receiver<ChainStanding>)>,
    /// Difficulty, fees and hashprice of each lane's chains.
    pub figures: Vec<ChainFigures>,
    /// The nodes of each lane of the Ethash family.
    pub eth_nodes: Vec<(LaneId, Asset, Arc<EthNodeGroup>)>,
    /// Who reads each lane's share log.
    pub log_readers: Vec<watch::Receiver<Vec<LiveLogReader>>>,
}

impl Line {
    /// The lanes that run, and the chains that are paid on alone.
    pub(super) fn of(
        parts: &Parts,
        lanes: &[RunningLane],
        gateways: Gateways,
        pay_ins: Vec<(LaneId, Asset, watch::Receiver<ChainStanding>)>,
    ) -> Line {
        let chains_of = |l: &RunningLane| {
            // In the order of the figures: its own chain first.
            let all = std::iter::once(&l.standing).chain(&l.aux_standings);
            let assets = l.figures.iter().map(|(asset, _)| *asset);
            let of = |(a, standing): (_, &watch::Receiver<_>)| (l.id.clone(), a, standing.clone());
            assets.zip(all).map(of).collect::<Vec<_>>()
        };
        let eth_nodes_of = |l: &RunningLane| {
            let (asset, _) = l.figures.first()?;
            Some((l.id.clone(), *asset, parts.eth_nodes.get(&l.id)?.clone()))
        };
        let paid_on = parts.pay_ins.iter().map(|c| (c.name.clone(), c.asset, c.nodes.clone()));
        Line {
            gateways,
            clock: parts.clock.clone(),
            nodes: parts.all_nodes(),
            chains: lanes.iter().flat_map(chains_of).chain(pay_ins).collect(),
            figures: lanes.iter().flat_map(RunningLane::all_figures).collect(),
            eth_nodes: lanes.iter().filter_map(eth_nodes_of).chain(paid_on).collect(),
            log_readers: lanes.iter().map(|l| l.log_readers.clone()).collect(),
        }
    }
}

impl LiveFarm for Line {
    fn sessions(&self) -> Vec<LiveSession> {
        self.gateways.sessions()
    }

    fn write_metrics(&self, out: &mut Exposition, whom: MetricsFor) {
        let (figures, sessions) = self.gateways.figures();
        let lanes: Vec<LaneId> = figures.iter().map(|f| f.lane.clone()).collect();
        metrics::write_gateways(out, &figures);
        metrics::write_sessions(out, &lanes, &sessions);
        if whom == MetricsFor::Operator {
            metrics::write_machines(out, &sessions, self.clock.as_ref());
        }
    }

    fn nodes(&self) -> Vec<LiveNode> {
        let of = |lane: &LaneId, asset: Asset, health: Vec<NodeHealth>| {
            let lane = lane.clone();
            health.into_iter().map(move |n| LiveNode {
                lane: lane.clone(),
                asset,
                name: n.name,
                standing: n.standing.name(),
                is_chosen: n.is_chosen,
                height: n.height,
                peers: n.peers,
                template_age: n.template_age,
                failures: n.failures,
            })
        };
        let blocks = self
            .nodes
            .iter()
            .flat_map(|(lane, group)| of(lane, group.params().asset, group.health()));
        let accounts =
            self.eth_nodes.iter().flat_map(|(lane, asset, group)| of(lane, *asset, group.health()));
        blocks.chain(accounts).collect()
    }

    fn network(&self, lane: &LaneId, asset: Asset) -> Option<NetworkFigures> {
        let (.., seen) = self.figures.iter().find(|(id, coin, _)| id == lane && *coin == asset)?;
        *seen.borrow()
    }

    fn log_readers(&self) -> Vec<LiveLogReader> {
        self.log_readers.iter().flat_map(|told| told.borrow().clone()).collect()
    }

    fn chains(&self) -> Vec<LiveChain> {
        let of = |(lane, asset, standing): &(LaneId, Asset, watch::Receiver<ChainStanding>)| {
            let standing = standing.borrow();
            LiveChain {
                lane: lane.clone(),
                asset: *asset,
                standing: standing.name(),
                is_sound: standing.is_sound(),
                height: standing.at().map(|at| at.height),
            }
        };
        self.chains.iter().map(of).collect()
    }
}

impl LiveFarm for Gateways {
    fn sessions(&self) -> Vec<LiveSession> {
        let gateways = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sessions = gateways.iter().flat_map(Gateway::snapshot);
        sessions
            .map(|s| LiveSession {
                lane: s.lane,
                machine: s.machine,
                owner: match s.owner {
                    Owner::House => MachineOwner::House,
                    Owner::Account(id) => MachineOwner::Account(id),
                },
                hashrate: s.hashrate_estimate,
                accepted: s.accepted,
                rejected: s.rejected,
                connected_at: s.connected_at,
                last_share_at: s.last_share_at,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_units::{Amount, Asset};

    #[test]
    fn a_machine_whose_payment_was_taken_back_is_told_of_in_sentences_of_the_owners_language() {
        let contract = ContractId::from_bytes([7; 16]);
        let back = Amount::new(Asset::Btc, 1_500);
        for (back, lines) in [(None, 1), (Some(back), 2)] {
            let told =
                machine_taken_back(contract, &Ended { until: EpochNumber(9), back, left: 0 });
            assert_eq!(told.lines().count(), lines, "{told}");
            for line in told.lines() {
                let said = gruve_web::in_chosen_language(line, Some("nb"));
                assert!(said != line && said.ends_with('.'), "{line}: {said}");
            }
        }
    }
}
