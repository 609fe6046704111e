//! One lane running: jobs, gateway, follower, accountant.

use super::StartError;
use super::acceptance::{self, Signing};
use super::answers::Gateways;
use super::chores;
use super::ethash;
use super::following;
use super::hosted;
use super::legacy;
use super::listeners;
use super::log_readers::LogReaders;
use super::messages;
use super::network;
use super::nodes;
use super::parts::{self, Parts};
use super::record::Publishing;
use super::rules;
use super::sink::HouseSink;
use super::trimming::Trimming;
use crate::config::{AgentConfig, LaneConfig};
use crate::estate::Estate;
use crate::signals;
use gruve_chain::follow::{Followable, Options as FollowOptions};
use gruve_chain::{
    ChainParams, ChainStanding, Family, Follower, NetworkFigures, Node, NodeError, NodeGroup,
    address_for_script,
};
use gruve_market::{Accountant, MarketError};
use gruve_sharelog::{LogError, ShareLog};
use gruve_stratum::eth::EthLane;
use gruve_stratum::protocol::Lane;
use gruve_stratum::tls::TlsServer;
use gruve_stratum::{
    AuxChain, Gateway, GatewayOptions, LaneWork, LaneWorkOptions, ListenKind, Listening,
};
use gruve_units::{Algorithm, Asset, Blame, Blamed, Class, LaneId};
use gruve_web::{LaneParticulars, LiveLogReader};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often a job with the newest transactions is made.
const REFRESH: Duration = Duration::from_secs(30);

/// How often a node without long polling is asked for its tip.
const POLL: Duration = Duration::from_secs(1);

/// How often a node that does not answer at start is asked again.
const NODE_AGAIN: Duration = Duration::from_secs(5);

/// Where a lane's jobs come from.
pub enum LaneJobs {
    /// The house makes the blocks.
    Blocks(LaneWork),
    /// The node does.
    Ethash(EthLane),
}

impl LaneJobs {
    fn lane(&self) -> Arc<dyn Lane> {
        match self {
            LaneJobs::Blocks(work) => Arc::new(work.clone()),
            LaneJobs::Ethash(lane) => Arc::new(lane.clone()),
        }
    }

    /// Stops, and waits for found blocks under way.
    pub async fn stop(&self) {
        match self {
            LaneJobs::Blocks(work) => work.stop().await,
            LaneJobs::Ethash(lane) => lane.stop().await,
        }
    }

    /// What the next program goes on with; nothing where the node still has all of it.
    pub fn keep(&self) -> Option<Vec<u8>> {
        match self {
            LaneJobs::Blocks(work) => work.keep(),
            LaneJobs::Ethash(_) => None,
        }
    }
}

/// A lane's chain by its coin, and what is known of its network.
pub type ChainFigures = (LaneId, Asset, watch::Receiver<Option<NetworkFigures>>);

/// A lane that runs.
pub struct RunningLane {
    /// Its name.
    pub id: LaneId,
    /// Where machines connect.
    pub stratum: SocketAddr,
    /// Where V2 machines and proxies connect, and the key that they pin.
    pub stratum_v2: Option<(SocketAddr, String)>,
    /// Where machines connect encrypted, and under which identity.
    pub stratum_tls: Option<(SocketAddr, Arc<TlsServer>)>,
    /// Its jobs.
    pub work: LaneJobs,
    /// How the following of its chain stands.
    pub standing: watch::Receiver<ChainStanding>,
    /// The same of the chains merge-mined with it.
    pub aux_standings: Vec<watch::Receiver<ChainStanding>>,
    /// Difficulty, fees and hashprice of its chains, its own first.
    pub figures: Vec<(Asset, watch::Receiver<Option<NetworkFigures>>)>,
    /// Who reads its share log, and how far each is.
    pub log_readers: watch::Receiver<Vec<LiveLogReader>>,
    network: String,
}

impl RunningLane {
    /// The figures of its chains, with its name.
    pub fn all_figures(&self) -> impl Iterator<Item = ChainFigures> + '_ {
        self.figures.iter().map(|(asset, seen)| (self.id.clone(), *asset, seen.clone()))
    }

    /// Who signs what its gateway accepts; nobody where shares carry no stamp, and so stand in no record.
    pub(super) fn signing(
        &self,
        parts: &Parts,
        record: Arc<Publishing>,
        data: &Path,
    ) -> Option<Signing> {
        let LaneJobs::Blocks(work) = &self.work else { return None };
        let rule = parts.market.config().lanes.iter().find(|l| l.lane == self.id)?.epoch_rule;
        let (log, clock) = (work.share_log().clone(), parts.clock.clone());
        Some(Signing::new(record, self.id.clone(), log, rule, clock, data))
    }

    /// What pages say of it.
    pub fn particulars(&self) -> LaneParticulars {
        LaneParticulars {
            lane: self.id.clone(),
            network: self.network.clone(),
            stratum: Some(format!("stratum+tcp://{}", self.stratum)),
        }
    }
}

/// Classes of a lane whose configuration names none: easiest, hardest, first. SHA-256d machines
/// do 10^9 to 10^15 hashes a second, scrypt ones 10^6 to 10^11, Ethash ones 10^7 to 10^10.
fn usual_classes(algorithm: Algorithm) -> (u8, u8, u8) {
    match algorithm {
        Algorithm::Scrypt => (16, 44, 27),
        Algorithm::Ethash | Algorithm::Etchash => (16, 48, 30),
        Algorithm::Sha256d => (32, 60, 42),
    }
}

/// The easiest class that a lane's gateways give.
pub(super) fn easiest(config: &LaneConfig) -> Result<Class, StartError> {
    Ok(classes(config, nodes::chain_params(config)?.algorithm).0.0)
}

/// The class that a lane's machines begin with.
pub(super) fn first(config: &LaneConfig) -> Result<Class, StartError> {
    Ok(classes(config, nodes::chain_params(config)?.algorithm).1)
}

/// The classes that a lane's gateways give, and the one that machines begin with.
fn classes(config: &LaneConfig, algorithm: Algorithm) -> ((Class, Class), Class) {
    let usual = usual_classes(algorithm);
    let class = |set: Option<Class>, usual| set.or(Class::new(usual)).unwrap_or(Class::ZERO);
    let range =
        (class(config.stratum.class_min, usual.0), class(config.stratum.class_max, usual.1));
    (range, class(config.stratum.class_start, usual.2).clamp(range.0, range.1))
}

/// Whether a lane's node is to put the stamp into its blocks' `extraData`.
pub(super) fn stamps_headers(config: &LaneConfig) -> Result<bool, StartError> {
    let is_ethash = nodes::chain_params(config)?.family() == Family::Ethash;
    Ok(is_ethash && config.ethash.stamp.unwrap_or(true))
}

/// Asking a node which chain it is of.
pub(super) type Checking = Pin<Box<dyn Future<Output = Result<(), NodeError>> + Send>>;

/// Waits until a node answers, and makes sure that it is of the lane's chain; `false` when the
/// house stops first. Without this a house pointed at another network would book its coins.
///
/// # Errors
/// When it is of another chain, or refuses us.
pub(super) async fn is_right_chain(
    check: impl Fn() -> Checking + Send,
    stopped: &mut watch::Receiver<bool>,
) -> Result<bool, NodeError> {
    // Said once, and again when it is another fault: a node may be away for days.
    let mut told = String::new();
    loop {
        match check().await {
            Ok(()) => return Ok(true),
            Err(e) if e.blame() == Blame::Transient => {
                let fault = e.to_string();
                if fault != told {
                    tracing::warn!("waiting for the node: {fault}");
                    told = fault;
                }
            }
            Err(e) => return Err(e),
        }
        tokio::select! {
            () = tokio::time::sleep(NODE_AGAIN) => {}
            _ = stopped.wait_for(|s| *s) => return Ok(false),
        }
    }
}

/// Reads the certificate again at each hangup signal; a bad one changes nothing.
async fn renew_when_told(
    lane: LaneId,
    server: Arc<TlsServer>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    let Some(mut hangups) = signals::hangups() else { return Ok(()) };
    loop {
        tokio::select! {
            told = hangups.recv() => if told.is_none() { return Ok(()) },
            _ = stopped.wait_for(|s| *s) => return Ok(()),
        }
        match server.reload() {
            Ok(fingerprint) => tracing::info!(%lane, %fingerprint, "certificate read again"),
            Err(error) => tracing::error!(%lane, %error, "the certificate stays as it was"),
        }
    }
}

/// Starts a lane's parts in `tasks`; they end when `stopped` turns true.
///
/// # Errors
/// When its log, its port or its settings cannot be used.
pub fn start(
    config: &LaneConfig,
    parts: &Parts,
    gateways: &Gateways,
    estate: &mut Estate,
    tasks: &mut JoinSet<Result<(), String>>,
    stopped: &watch::Receiver<bool>,
) -> Result<RunningLane, StartError> {
    let id = config.id.clone();
    let params = nodes::chain_params(config)?;
    let log = parts.share_log(&id)?;
    let work = start_work(config, params, parts, estate, log.clone())?;
    let doors = open_doors(config, params.algorithm, &work, parts, estate)?;
    if let Some((_, server)) = &doors.tls {
        tasks.spawn(renew_when_told(id.clone(), server.clone(), stopped.clone()));
    }
    gateways.add(doors.gateway);
    let said = listeners::folder(parts, &id)?.join(messages::FOLDER);
    tasks.spawn(messages::pass_on(id.clone(), said, gateways.clone(), stopped.clone()));

    let standing = match params.family() {
        Family::Bitcoin => {
            let node = parts.nodes[&id].clone();
            follow_blocks((&id, true), node, params, parts, &work, tasks, stopped)
        }
        Family::Ethash => {
            let follower = ethash::follower(config, &params, parts)?;
            let node = parts.eth_nodes[&id].clone();
            let check = move || -> Checking {
                let node = node.clone();
                Box::pin(async move { node.check_chain().await })
            };
            follow((&id, config.asset), follower, check, parts, &work, tasks, stopped)
        }
    };
    let opened = parts.aux.get(&id).map(Vec::as_slice).unwrap_or_default();
    let aux_standings: Vec<_> = opened
        .iter()
        .map(|chain| {
            let (node, params) = (chain.nodes.clone(), chain.params);
            follow_blocks((&id, false), node, params, parts, &work, tasks, stopped)
        })
        .collect();
    let own = std::iter::once((params, &standing));
    let figures = own.chain(opened.iter().map(|c| c.params).zip(&aux_standings));
    let market = &parts.market;
    let figures = figures
        .map(|(of, standing)| {
            (of.asset, network::start(&id, of, market.clone(), standing, tasks, stopped))
        })
        .collect();
    let log_readers = count(config, params.algorithm, parts, log, tasks, stopped);
    let network = match params.family() {
        Family::Bitcoin => titles(params, &nodes::aux_params(config)?),
        Family::Ethash => ethash::title(&params, config),
    };
    let (stratum, stratum_tls, stratum_v2) = (doors.stratum, doors.tls, doors.v2);
    Ok(RunningLane {
        id,
        stratum,
        stratum_tls,
        stratum_v2,
        work,
        standing,
        aux_standings,
        figures,
        log_readers,
        network,
    })
}

/// A lane's gateway and where it listens.
struct Doors {
    gateway: Gateway,
    stratum: SocketAddr,
    tls: Option<(SocketAddr, Arc<TlsServer>)>,
    v2: Option<(SocketAddr, String)>,
}

fn open_doors(
    config: &LaneConfig,
    algorithm: Algorithm,
    work: &LaneJobs,
    parts: &Parts,
    estate: &mut Estate,
) -> Result<Doors, StartError> {
    let id = &config.id;
    let (range, first) = classes(config, algorithm);
    let listener =
        parts::listen(config.stratum.listen, &format!("lane.stratum.listen of {id}"), estate)?;
    let mut options =
        GatewayOptions::new(listener, range, first, parts.clock.clone(), parts.entropy.clone());
    options.share_interval = config.stratum.share_interval.0;
    options.threads = config.stratum.threads;
    options.hash_threads = config.stratum.hash_threads.unwrap_or(options.hash_threads);
    (options.kept, options.next_extranonce) = legacy::miners(estate, id);
    // No lane's miners may take the handles of another's, or those of node and database.
    let handles =
        gruve_stratum::handles_for_miners() / (parts.nodes.len() + parts.eth_nodes.len()).max(1);
    options.connections_max = options.connections_max.min(handles);
    options.start_classes = Some(listeners::folder(parts, id)?.join("classes"));
    options.listeners[0].proxies = listeners::proxies(config.stratum.proxy_protocol.as_ref());
    options.listeners[0].public = listeners::public(config.stratum.public.as_ref());
    options.agents = config.stratum.agents.iter().map(AgentConfig::rule).collect();
    let mut tls = None;
    if let Some(set) = &config.stratum.tls {
        let (listening, server) = listeners::encrypted(config, set, parts, estate)?;
        tls = Some((options.listeners.len(), server));
        options.listeners.push(listening);
    }
    let noise = match &config.stratum.v2 {
        None => None,
        Some(v2) => {
            let listener =
                parts::listen(v2.listen, &format!("lane.stratum.v2.listen of {id}"), estate)?;
            let noise = parts.noise(v2)?;
            let kind = ListenKind::V2(Arc::clone(&noise));
            let proxies = listeners::proxies(v2.proxy_protocol.as_ref());
            options.listeners.push(Listening { proxies, ..Listening::new(listener, kind) });
            Some(noise)
        }
    };
    let gateway = Gateway::start(options, work.lane(), parts.logins.clone())
        .map_err(|e| StartError::Stratum(id.clone(), e))?;
    let v2 = noise
        .zip(gateway.addresses().last().copied())
        .map(|(noise, address)| (address, noise.authority().public_text()));
    let tls = tls.map(|(n, server)| (gateway.addresses()[n], server));
    Ok(Doors { stratum: gateway.address(), gateway, tls, v2 })
}

/// Starts what counts a lane's work out of its log: machine by machine, and into the books. Gives how far those are who read it.
fn count(
    config: &LaneConfig,
    algorithm: Algorithm,
    parts: &Parts,
    log: ShareLog,
    tasks: &mut JoinSet<Result<(), String>>,
    stopped: &watch::Receiver<bool>,
) -> watch::Receiver<Vec<LiveLogReader>> {
    let id = &config.id;
    let (farm, ends) = (parts.farm.clone(), stopped.clone());
    tasks.spawn(hosted::count_proven(id.clone(), algorithm, log.clone(), farm, ends));
    tasks.spawn(chores::trim_energy(id.clone(), parts.hosting.clone(), stopped.clone()));
    let accountant = Accountant::new(parts.market.clone());
    let readers = LogReaders {
        lane: id.clone(),
        rule: rules::epoch_rule(config),
        log: log.clone(),
        farm: parts.farm.clone(),
        signed: parts.folder.join(&acceptance::place_name(id)),
    };
    if let Some(keep) = config.keep_shares {
        let readers = readers.clone();
        let trimming = Trimming { readers, clock: parts.clock.clone(), keep: keep.0 };
        tasks.spawn(trimming.run(accountant.clone(), stopped.clone()));
    }
    let (told, log_readers) = watch::channel(Vec::new());
    tasks.spawn(readers.run(accountant.clone(), told, stopped.clone()));
    let (lane, mut ends) = (id.clone(), stopped.clone());
    tasks.spawn(async move {
        let over = async move { drop(ends.wait_for(|s| *s).await) };
        accountant.run(lane.clone(), log, over).await.map_err(|e| {
            let is_other = |e: &LogError| matches!(e, LogError::NoRecord(_) | LogError::Trimmed { .. });
            let hint = match &e {
                MarketError::Log(e) if is_other(e) => {
                    "; this share log is not the one that the books were made from: stop the house and put that \
                     one's folder (sharelog/LANE in house.data) back"
                }
                _ => "",
            };
            format!("accounts of lane {lane}: {e}{hint}")
        })
    });
    log_readers
}

/// A lane's chains in words.
fn titles(own: ChainParams, aux: &[ChainParams]) -> String {
    let all = std::iter::once(&own).chain(aux);
    all.map(ChainParams::title).collect::<Vec<_>>().join(" with ")
}

/// The chains that a lane is merge-mined for, their rewards going to the house's wallets.
fn aux_chains(config: &LaneConfig, parts: &Parts) -> Result<Vec<AuxChain>, StartError> {
    let opened = parts.aux.get(&config.id).map(Vec::as_slice).unwrap_or_default();
    let mut chains = Vec::new();
    for chain in opened {
        let asset = chain.params.asset;
        let script = parts.treasury.coinbase_script(asset)?;
        // A wallet's own script always has an address form on its chain.
        let pay_to = address_for_script(&chain.params, &script).unwrap_or_default();
        chains.push(AuxChain { asset, nodes: chain.proofs.clone(), pay_to });
    }
    Ok(chains)
}

/// Begins to make jobs, or to fetch them.
fn start_work(
    config: &LaneConfig,
    params: ChainParams,
    parts: &Parts,
    estate: &mut Estate,
    log: ShareLog,
) -> Result<LaneJobs, StartError> {
    if params.family() == Family::Ethash {
        return ethash::work(config, &params, parts, log).map(LaneJobs::Ethash);
    }
    let id = config.id.clone();
    let work = LaneWork::start(LaneWorkOptions {
        lane: id.clone(),
        node: parts.nodes[&id].clone(),
        epoch_rule: rules::epoch_rule(config),
        stamps: parts.stamps.clone(),
        pay_to: parts.treasury.coinbase_script(config.asset)?,
        tag: config.tag.clone().into_bytes(),
        refresh: REFRESH,
        poll: POLL,
        clock: parts.clock.clone(),
        entropy: parts.entropy.clone(),
        share_log: log,
        aux: aux_chains(config, parts)?,
        kept_jobs: legacy::jobs(estate, &id),
    });
    work.map(LaneJobs::Blocks).map_err(|e| StartError::Stratum(id, e))
}

/// Follows a chain: the lane's own, or one merge-mined with it.
fn follow_blocks(
    (id, is_own): (&LaneId, bool),
    node: Arc<NodeGroup>,
    params: ChainParams,
    parts: &Parts,
    work: &LaneJobs,
    tasks: &mut JoinSet<Result<(), String>>,
    stopped: &watch::Receiver<bool>,
) -> watch::Receiver<ChainStanding> {
    let sink = HouseSink {
        store: parts.store.clone(),
        treasury: parts.treasury.clone(),
        market: parts.market.clone(),
        lane: id.clone(),
        asset: params.asset,
        params,
        // Blocks of merge-mined chains pay the house: their nodes make them.
        hosting: is_own.then(|| parts.hosting.clone()),
    };
    let options = FollowOptions::for_chain(&params);
    let follower = Follower::new(node.clone(), params, Arc::new(sink), options);
    let check = move || -> Checking {
        let node = node.clone();
        Box::pin(async move { node.check_chain().await })
    };
    follow((id, params.asset), follower, check, parts, work, tasks, stopped)
}

/// Follows the lane's chain, once its node was found to be of it.
fn follow<C: Followable + 'static>(
    (id, asset): (&LaneId, Asset),
    follower: Arc<Follower<C>>,
    check: impl Fn() -> Checking + Send + Sync + 'static,
    parts: &Parts,
    work: &LaneJobs,
    tasks: &mut JoinSet<Result<(), String>>,
    stopped: &watch::Receiver<bool>,
) -> watch::Receiver<ChainStanding> {
    let (market, treasury) = (parts.market.clone(), parts.treasury.clone());
    let held = following::Held { lane: id.clone(), asset, market, treasury };
    let standing = following::start(held, check, follower.clone(), tasks, stopped);
    // A new job on another block means a new block: no need to wait for the next poll.
    let mut jobs = work.lane().jobs();
    tasks.spawn(async move {
        while jobs.changed().await.is_ok() {
            follower.nudge();
        }
        Ok(())
    });
    standing
}
