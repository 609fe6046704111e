//! Gruve's own gateway as a server to be measured: the real lane, the real share log in a folder on
//! a disk, the real loop; only the node, the stamps and the logins are stand-ins.

use crate::BenchError;
use crate::child::{Control, Doors};
use crate::eth_house;
use crate::sockets::now_ns;
use crate::stand_in::{Everybody, OneStamp, StandInNode};
use gruve_sharelog::{
    Durability, LogReader, Options, Owner, Position, Record, ShareLog, ShareRecord,
};
use gruve_stratum::protocol::Lane;
use gruve_stratum::tls::{TlsServer, TlsSource};
use gruve_stratum::v2::{AuthorityKey, NoiseServer};
use gruve_stratum::{Gateway, GatewayOptions, LaneWork, LaneWorkOptions, ListenKind, Listening};
use gruve_units::{Class, Duration, EpochRule, SystemClock, SystemEntropy};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An epoch longer than any run, so that none is closed within it.
const EPOCH: Duration = Duration::from_secs(24 * 3_600);

/// How a gateway is set up for a measurement.
#[derive(Clone, Debug)]
pub struct HouseOptions {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The only class: neither the easiest nor the hardest is another, so that difficulty control
    /// decides often and changes nothing.
    pub class: Class,
    /// How often there is a job with new transactions.
    pub refresh: Duration,
    /// The folder of the share log; a temporary one that is removed afterwards if `None`.
    pub log: Option<PathBuf>,
    /// Threads that serve connections.
    pub threads: usize,
    /// Whether shares are answered after the sync.
    pub fsync: bool,
    /// Whether there are ports for V1 over TLS and for V2 beside, at the same address.
    pub encrypted: bool,
    /// Whether the lane is of the Ethash family.
    pub ethash: bool,
}

/// Serves until told to stop.
///
/// # Errors
/// When the gateway cannot be started.
pub fn run(options: HouseOptions, control: Control) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(BenchError::Poll)?;
    let temporary = match options.log {
        Some(_) => None,
        None => Some(tempfile::tempdir().map_err(BenchError::Poll)?),
    };
    let dir = match (&options.log, &temporary) {
        (Some(dir), _) => dir.clone(),
        (None, Some(dir)) => dir.path().join("sharelog"),
        (None, None) => return Err(BenchError::Server("there is no folder for the log")),
    };
    let result = runtime.block_on(serve(options, &dir, control));
    runtime.shutdown_timeout(Duration::from_secs(2));
    result
}

async fn serve(options: HouseOptions, dir: &Path, control: Control) -> Result<(), BenchError> {
    let mut kept = Options::default();
    if options.fsync {
        kept.durability = Durability::Fsync;
    }
    let log = ShareLog::open(dir, kept).map_err(BenchError::Log)?;
    log.count_cost();
    if options.ethash {
        let lane = eth_house::lane(EPOCH, &log)?;
        served(&options, dir, &log, Arc::new(lane.clone()), || {}, control).await?;
        lane.stop().await;
        return Ok(());
    }
    let node = StandInNode::new().map(Arc::new).ok_or(BenchError::Server("no such chain"))?;
    let work = LaneWork::start(lane(&node, &log, options.refresh)?).map_err(BenchError::Gateway)?;
    let lane = Arc::new(work.clone());
    served(&options, dir, &log, lane, move || node.move_tip(), control).await?;
    work.stop().await;
    Ok(())
}

/// Serves a lane until told to stop; `move_tip` is what makes a new job.
async fn served(
    options: &HouseOptions,
    dir: &Path,
    log: &ShareLog,
    lane: Arc<dyn Lane>,
    move_tip: impl Fn() + Send + 'static,
    mut control: Control,
) -> Result<(), BenchError> {
    let failed = |source| BenchError::Listen { address: options.listen, source };
    let listener = TcpListener::bind(options.listen).map_err(failed)?;
    let class = options.class;
    let entropy = Arc::new(SystemEntropy);
    let mut gateway =
        GatewayOptions::new(listener, (class, class), class, Arc::new(SystemClock), entropy);
    // One machine plays a whole farm.
    gateway.connections_max = usize::MAX;
    gateway.connections_per_address_max = usize::MAX;
    gateway.connections_per_account_max = usize::MAX;
    gateway.idle_max = EPOCH;
    if options.encrypted {
        gateway.listeners.extend(encrypted(options.listen.ip(), dir)?);
    }
    gateway.threads = options.threads;
    let mut jobs = lane.jobs();
    let gateway =
        Gateway::start(gateway, lane, Arc::new(Everybody)).map_err(BenchError::Gateway)?;
    jobs.wait_for(Option::is_some).await.map_err(|_| BenchError::Server("no job"))?;
    let at = |n: usize| gateway.addresses().get(n).copied();
    control.listening_at(gateway.address(), Doors { tls: at(1), v2: at(2) });
    let obeyed = tokio::task::spawn_blocking({
        let log = log.clone();
        move || obey(control, &move_tip, &log)
    });
    obeyed.await.map_err(|_| BenchError::Server("a command failed"))??;
    gateway.shutdown().await;
    Ok(())
}

/// A port for V1 over TLS and one for V2, with keys of this run alone.
fn encrypted(ip: IpAddr, dir: &Path) -> Result<[Listening; 2], BenchError> {
    let listener = || {
        let address = SocketAddr::from((ip, 0));
        TcpListener::bind(address).map_err(|source| BenchError::Listen { address, source })
    };
    let folder = dir.to_owned();
    let tls = TlsServer::open(TlsSource::Own { folder, names: vec!["gruve.bench".to_owned()] });
    let tls = tls.map_err(|_| BenchError::Server("no certificate can be made"))?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let key = AuthorityKey::generate(&SystemEntropy);
    let noise = NoiseServer::new(key, Duration::from_secs(3_600), clock, entropy);
    Ok([
        Listening::new(listener()?, ListenKind::V1Tls(Arc::new(tls))),
        Listening::new(listener()?, ListenKind::V2(Arc::new(noise))),
    ])
}

fn lane(
    node: &Arc<StandInNode>,
    log: &ShareLog,
    refresh: Duration,
) -> Result<LaneWorkOptions, BenchError> {
    let no_epoch = BenchError::Server("no such epoch");
    Ok(LaneWorkOptions {
        kept_jobs: None,
        lane: "btc".parse().map_err(|_| BenchError::Server("no such lane"))?,
        node: Arc::<StandInNode>::clone(node),
        epoch_rule: EpochRule::new(EPOCH, Duration::from_secs(10)).ok_or(no_epoch)?,
        stamps: Arc::new(OneStamp),
        pay_to: vec![0x51],
        tag: b"/gruve bench/".to_vec(),
        refresh,
        poll: Duration::from_secs(1),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        share_log: log.clone(),
        aux: Vec::new(),
    })
}

/// Obeys until told to stop.
fn obey(mut control: Control, move_tip: &dyn Fn(), log: &ShareLog) -> Result<(), BenchError> {
    let (mut reader, mut house) = (log.reader(Position::START), log.reader(Position::START));
    let (mut shares, mut of_house) = (0, 0);
    while let Some(command) = control.wait_command() {
        match command.as_str() {
            "job" => {
                let at = now_ns();
                move_tip();
                control.answer(at);
            }
            "count" => {
                shares += count(&mut reader, |_| true)?;
                control.answer(shares);
            }
            "count house" => {
                of_house += count(&mut house, |share| share.owner == Owner::House)?;
                control.answer(of_house);
            }
            "log" => {
                let (appends, syncs) = log.cost();
                let spent = (appends + syncs).as_nanos();
                control.answer(u64::try_from(spent).unwrap_or(u64::MAX));
            }
            _ => break,
        }
    }
    Ok(())
}

/// Shares of this kind from here to the end of the log, read as any reader of the log reads them.
fn count(reader: &mut LogReader, which: impl Fn(&ShareRecord) -> bool) -> Result<u64, BenchError> {
    let mut shares = 0;
    while let Some((_, record)) = reader.next().map_err(BenchError::Log)? {
        shares += u64::from(matches!(record, Record::Share(share) if which(&share)));
    }
    Ok(shares)
}
