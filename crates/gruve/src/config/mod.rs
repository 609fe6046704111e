//! The configuration file: what it may say, and what is wrong with it and where.
//!
//! Reading is in two steps. [`Config::parse`] takes the text to a [`Config`] or to a list of
//! [`Fault`]s, each with the place it is at; nothing is opened, connected to or created here.

mod alerts;
mod aux_chain;
mod bank;
mod check;
mod conversion;
mod depth;
mod doors;
mod duration;
mod ethash;
mod files;
mod funds;
mod hot_wallet;
mod keys;
mod lane;
mod limits;
mod mail;
mod metrics;
mod notes;
mod pay_in_chain;
mod record;
mod remote;
mod sample;
mod signer;
mod tls;
mod webhooks;

pub use alerts::AlertsConfig;
pub use aux_chain::AuxConfig;
pub use bank::BankConfig;
pub use conversion::ConversionConfig;
pub(crate) use conversion::currencies;
pub use depth::{DepthConfig, steps_of};
pub use doors::{AgentConfig, PublicDoor};
pub use duration::Span;
pub use ethash::EthashConfig;
pub use funds::FundsConfig;
pub use hot_wallet::HotWalletConfig;
pub use keys::KeysConfig;
pub use limits::LimitConfig;
pub use mail::{AccountsConfig, MailConfig, MailSecurity};
pub use metrics::MetricsConfig;
pub use pay_in_chain::PayInChainConfig;
pub(crate) use pay_in_chain::network_of;
pub use record::{MirrorConfig, RecordConfig, WitnessConfig};
pub use remote::{CardConfig, CoinServerConfig};
pub use sample::SAMPLE;
pub use signer::SignerConfig;
pub use tls::TlsConfig;
pub use webhooks::WebhooksConfig;

use gruve_chain::{BadZmqAddress, NODES_MAX, Push};
use gruve_market::{PlanConfig, PriceRules, QuoteRules};
use gruve_stratum::proxy::Network;
use gruve_units::{AccountId, Asset, Bps, Class, Duration, EpochRule, Hashrate, LaneId};
use serde::Deserialize;
use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// Most lanes one process runs: each holds its own sockets, log and threads.
pub const LANES_MAX: usize = 16;

/// Everything an operator sets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The operator's house.
    pub house: HouseConfig,
    /// The web server.
    #[serde(default)]
    pub http: HttpConfig,
    /// The operator's own metrics.
    #[serde(default)]
    pub metrics: MetricsConfig,
    /// The public record.
    #[serde(default)]
    pub record: RecordConfig,
    /// How the house writes to its customers, if it does.
    #[serde(default)]
    pub mail: Option<MailConfig>,
    /// What holds for accounts.
    #[serde(default)]
    pub accounts: AccountsConfig,
    /// When the operator is told of what goes wrong.
    #[serde(default)]
    pub alerts: AlertsConfig,
    /// What customers' webhooks may reach.
    #[serde(default)]
    pub webhooks: WebhooksConfig,
    /// Where the books are.
    #[serde(default)]
    pub database: DatabaseConfig,
    /// Streams of work.
    #[serde(default, rename = "lane")]
    pub lanes: Vec<LaneConfig>,
    /// Chains whose coin is taken and mined nowhere.
    #[serde(default, rename = "pay_in_chain")]
    pub pay_in_chains: Vec<PayInChainConfig>,
    /// Offers to customers.
    #[serde(default, rename = "plan")]
    pub plans: Vec<PlanConfig>,
    /// What a quote may outlive.
    #[serde(default)]
    pub quotes: QuoteRules,
    /// Whose prices in dollars count.
    #[serde(default)]
    pub prices: PriceRules,
    /// Statements of funds.
    #[serde(default)]
    pub funds: FundsConfig,
    /// Bank accounts that customers may pay to.
    #[serde(default, rename = "bank")]
    pub banks: Vec<BankConfig>,
    /// What leaves in a day.
    #[serde(default, rename = "payout_limit")]
    pub limits: Vec<LimitConfig>,
    /// Where the passphrase of the wallets' seed comes from.
    #[serde(default)]
    pub keys: KeysConfig,
    /// Caps of hot wallets.
    #[serde(default, rename = "hot_wallet")]
    pub hot_wallets: Vec<HotWalletConfig>,
    /// How deep larger pay-ins must be.
    #[serde(default, rename = "pay_in_depth")]
    pub depths: Vec<DepthConfig>,
    /// Coins whose keys are kept elsewhere.
    #[serde(default, rename = "signer")]
    pub signers: Vec<SignerConfig>,
    /// Cards.
    #[serde(default)]
    pub stripe: Option<CardConfig>,
    /// A BTCPay Server.
    #[serde(default)]
    pub btcpay: Option<CoinServerConfig>,
    /// Coins for what is priced in another currency.
    #[serde(default)]
    pub conversion: Option<ConversionConfig>,
    /// Facilities and the machines in them.
    #[serde(default, rename = "site")]
    pub sites: Vec<SiteConfig>,
}

/// `[house]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HouseConfig {
    /// The operator's name, as customers see it.
    pub name: String,
    /// The name of the operator's log; it stands inside every stamp and may never change.
    pub origin: String,
    /// Folder for keys, share logs and, by default, the database.
    pub data: PathBuf,
    /// Password that the operator's own machines send; made and kept in the data folder if unset.
    #[serde(default)]
    pub machine_password: Option<String>,
    /// Accounts of the operator's own: their contracts come last when work is short.
    #[serde(default)]
    pub operator_accounts: BTreeSet<AccountId>,
    /// When an accepted share is acknowledged: `group` (written, synced within 10 ms) or `fsync`.
    #[serde(default)]
    pub durability: DurabilityConfig,
}

/// `durability`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DurabilityConfig {
    /// Answered once written; synced in groups within 10 ms.
    #[default]
    Group,
    /// Answered after the sync.
    Fsync,
}

/// Shares are kept at least so long: an operator who looks at yesterday must find it.
const KEEP_SHARES_MIN: Duration = Duration::from_secs(86_400);

/// Threads of each kind that a lane may have: as many as the largest machines have cores. Each costs a
/// stack and, on scrypt lanes, 1 MiB to hash in.
const THREADS_MAX: usize = 256;

/// `[http]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Address of dashboards and API.
    pub listen: SocketAddr,
    /// Set when customers come by https (behind a TLS proxy): cookies are then `Secure`.
    pub secure_cookies: bool,
    /// Whether staff needs a second factor to reach the console; where unset, it does where customers come by
    /// https, so that a house on one's own machine is tried without.
    pub staff_second_factor: Option<bool>,
    /// `https://host[:port]` as browsers see it, when a proxy stands in front and changes `Host`.
    pub origin: Option<String>,
    /// Addresses of proxies in front: not limited in their connections, and believed about whom
    /// they speak for (`X-Forwarded-For`).
    pub trusted_proxies: Vec<IpAddr>,
}

impl HttpConfig {
    /// Whether staff needs a second factor.
    #[must_use]
    pub fn is_staff_factor_demanded(&self) -> bool {
        self.staff_second_factor.unwrap_or(self.secure_cookies)
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            secure_cookies: false,
            staff_second_factor: None,
            origin: None,
            trusted_proxies: Vec::new(),
        }
    }
}

/// `[database]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    /// `sqlite:PATH` or `postgres://…`; a SQLite file in the data folder if unset.
    pub url: Option<String>,
}

/// `[[lane]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneConfig {
    /// The lane's name.
    pub id: LaneId,
    /// The coin it mines.
    pub asset: Asset,
    /// Which of the coin's networks.
    #[serde(default)]
    pub network: NetworkConfig,
    /// The node, where there is one.
    #[serde(default)]
    pub node: Option<NodeConfig>,
    /// The nodes, where there are several: the first is preferred at the start.
    #[serde(default)]
    pub nodes: Vec<NodeConfig>,
    /// What a lane of the Ethash family needs beside.
    #[serde(default)]
    pub ethash: EthashConfig,
    /// Chains that are merge-mined by the same work.
    #[serde(default)]
    pub aux: Vec<AuxConfig>,
    /// Where machines connect.
    pub stratum: StratumConfig,
    /// Length of an epoch.
    #[serde(default = "default_epoch")]
    pub epoch: Span,
    /// How long after an epoch's end its work is still taken.
    #[serde(default = "default_grace")]
    pub grace: Span,
    /// Text in the coinbase.
    #[serde(default = "default_tag")]
    pub tag: String,
    /// Blocks before a pay-in counts as confirmed; 3, or on account chains what the chain's table
    /// says, if unset.
    #[serde(default)]
    pub confirmations: Option<u64>,
    /// Blocks before a reward may be spent; only the `dev` network may set it, and account chains,
    /// which have no such rule of their own.
    #[serde(default)]
    pub maturity: Option<u64>,
    /// Part of the lane's proven hashpower that is never sold, in basis points.
    #[serde(default = "default_reserve")]
    pub reserve_bps: Bps,
    /// Closed epochs that proven capacity is measured over.
    #[serde(default = "default_capacity_epochs")]
    pub capacity_epochs: u32,
    /// Epochs between settlements.
    #[serde(default = "default_settle")]
    pub settle_every: u32,
    /// Fee on what outside miners earn, in basis points.
    #[serde(default)]
    pub outside_fee_bps: Bps,
    /// Payouts up to this many minor units are approved without a person.
    #[serde(default = "default_auto_approve")]
    pub auto_approve_minor: i64,
    /// How much the network's difficulty may move before a quote is void, in basis points; none where the
    /// chain's difficulty stands between retargets and a tenth elsewhere, if unset.
    #[serde(default)]
    pub quote_difficulty_bps: Option<Bps>,
    /// How long accounted shares are kept; for ever if unset.
    #[serde(default)]
    pub keep_shares: Option<Span>,
}

/// `[lane.node]`, `[[lane.nodes]]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// `http://host:port`
    pub url: String,
    /// RPC user.
    #[serde(default)]
    pub user: String,
    /// RPC password.
    #[serde(default)]
    pub password: String,
    /// The node's cookie file, in place of user and password.
    #[serde(default)]
    pub cookie_file: Option<PathBuf>,
    /// Where it publishes over ZeroMQ, or `off`; if unset it is asked. Not of the Ethash family.
    #[serde(default)]
    pub zmq: Option<String>,
    /// Where it tells of new blocks over a WebSocket (`ws://host:port`). Of the Ethash family only.
    #[serde(default)]
    pub websocket: Option<String>,
}

impl NodeConfig {
    /// Whether and where its notifications over ZeroMQ are heard.
    ///
    /// # Errors
    /// When the address is none.
    pub fn push(&self) -> Result<Push, BadZmqAddress> {
        match self.zmq.as_deref() {
            None => Ok(Push::Ask),
            Some("off") => Ok(Push::Off),
            Some(address) => address.parse().map(Push::At),
        }
    }
}

impl LaneConfig {
    /// Its nodes with the keys they stand at: `node`, or `nodes[0]` and so on.
    pub fn nodes(&self) -> impl Iterator<Item = (String, &NodeConfig)> {
        named_nodes(self.node.as_ref(), &self.nodes)
    }

    fn node_faults(&self, fault: impl FnMut(String, String)) {
        let has_cookies = self.asset != Asset::Etc;
        node_faults("lane", self.node.as_ref(), &self.nodes, has_cookies, fault);
    }
}

fn named_nodes<'a>(
    node: Option<&'a NodeConfig>,
    nodes: &'a [NodeConfig],
) -> impl Iterator<Item = (String, &'a NodeConfig)> {
    let one = node.into_iter().map(|node| ("node".to_owned(), node));
    one.chain(nodes.iter().enumerate().map(|(i, node)| (format!("nodes[{i}]"), node)))
}

/// What is wrong with the nodes of a section of the file.
fn node_faults(
    section: &str,
    node: Option<&NodeConfig>,
    nodes: &[NodeConfig],
    has_cookies: bool,
    mut fault: impl FnMut(String, String),
) {
    match (node, nodes.len()) {
        (Some(_), 0) | (None, 1..=NODES_MAX) => {}
        (Some(_), _) => {
            let what = format!("write [{section}.node] or [[{section}.nodes]], not both");
            fault("nodes".into(), what);
        }
        (None, _) => {
            let what = format!("write [{section}.node], or 1 to {NODES_MAX} [[{section}.nodes]]");
            fault("nodes".into(), what);
        }
    }
    let mut seen = HashSet::new();
    for (key, node) in named_nodes(node, nodes) {
        let place = format!("{key}.url");
        if !node.url.starts_with("http://") {
            fault(place, "write http://host:port (nodes speak plain HTTP)".into());
        } else if !seen.insert(node.url.trim_end_matches('/')) {
            fault(place, "is a node of this chain already".into());
        }
        let is_named = !node.user.is_empty() || !node.password.is_empty();
        if node.cookie_file.is_some() && (is_named || !has_cookies) {
            let what =
                "write either cookie_file (of nodes of Bitcoin's kind), or user and password";
            fault(format!("{key}.cookie_file"), what.into());
        }
        if node.zmq.is_some() && !has_cookies {
            fault(format!("{key}.zmq"), "is for nodes of Bitcoin's kind".into());
        } else if let Err(problem) = node.push() {
            fault(format!("{key}.zmq"), format!("{problem}; or off"));
        }
        match &node.websocket {
            Some(_) if has_cookies => {
                fault(format!("{key}.websocket"), "is for nodes of the Ethash family".into());
            }
            Some(address) if !address.starts_with("ws://") => {
                fault(format!("{key}.websocket"), "write ws://host:port".into());
            }
            _ => {}
        }
    }
}

impl fmt::Debug for NodeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeConfig").field("url", &self.url).finish_non_exhaustive()
    }
}

/// `[lane.stratum]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StratumConfig {
    /// Address machines connect to.
    pub listen: SocketAddr,
    /// Easiest class: 2^k hashes a share.
    #[serde(default)]
    pub class_min: Option<Class>,
    /// Hardest class.
    #[serde(default)]
    pub class_max: Option<Class>,
    /// Class of a machine not seen before.
    #[serde(default)]
    pub class_start: Option<Class>,
    /// Time between shares that each machine is steered to.
    #[serde(default = "default_share_interval")]
    pub share_interval: Span,
    /// Threads that serve connections.
    #[serde(default = "default_threads")]
    pub threads: usize,
    /// Threads that hash, where hashing is slow; one less than there are cores if unset.
    #[serde(default)]
    pub hash_threads: Option<usize>,
    /// Networks of the load balancers that connections come through.
    #[serde(default)]
    pub proxy_protocol: Option<Vec<Network>>,
    /// Where miners know it to be.
    #[serde(default)]
    pub public: Option<PublicDoor>,
    /// What is known of miners by their names.
    #[serde(default, rename = "agent")]
    pub agents: Vec<AgentConfig>,
    /// Encrypted Stratum V1, beside the other.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Stratum V2, beside V1.
    #[serde(default)]
    pub v2: Option<StratumV2Config>,
}

/// `[lane.stratum.v2]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StratumV2Config {
    /// Address that V2 machines and proxies connect to.
    pub listen: SocketAddr,
    /// File with the secret half of the authority key; made and kept in the data folder if unset.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// Networks of the load balancers that connections come through.
    #[serde(default)]
    pub proxy_protocol: Option<Vec<Network>>,
}

/// `network`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkConfig {
    /// The coin's main network.
    #[default]
    Mainnet,
    /// Its test network.
    Testnet,
    /// A private chain of the real node.
    Regtest,
    /// The development chain built into Gruve.
    Dev,
}

/// `[[site]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteConfig {
    /// The facility's name.
    pub name: String,
    /// The operator's machines in it.
    #[serde(default, rename = "machine")]
    pub machines: Vec<MachineConfig>,
}

/// `[[site.machine]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineConfig {
    /// The machine's name: it logs in as `house.NAME`.
    pub name: String,
    /// The lane it works on.
    pub lane: LaneId,
    /// What its maker promises.
    pub nameplate: Hashrate,
}

fn default_epoch() -> Span {
    Span(Duration::from_secs(600))
}
fn default_grace() -> Span {
    Span(Duration::from_secs(30))
}
fn default_tag() -> String {
    "/Gruve/".to_owned()
}
fn default_reserve() -> Bps {
    Bps::new(1_000).unwrap_or(Bps::ZERO)
}
const fn default_capacity_epochs() -> u32 {
    144
}
const fn default_settle() -> u32 {
    144
}
const fn default_auto_approve() -> i64 {
    10_000_000
}
const fn default_threads() -> usize {
    1
}
fn default_share_interval() -> Span {
    Span(Duration::from_secs(5))
}

/// One thing wrong with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key, as `lane[0].epoch`, or `line 3, column 7` where the text itself is malformed.
    pub place: String,
    /// What is wrong and what to write instead.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

#[cfg(test)]
mod tests;
