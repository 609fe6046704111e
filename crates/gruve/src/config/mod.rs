//! The configuration file: what it may say, and what is wrong with it and where.
//!
//! Reading is in two steps. [`Config::parse`] takes the text to a [`Config`] or to a list of
//! [`Fault`]s, each with the place it is at; nothing is opened, connected to or created here.

mod aux_chain;
mod doors;
mod duration;
mod ethash;
mod metrics;
mod sample;
mod tls;

pub use aux_chain::AuxConfig;
pub use doors::{AgentConfig, PublicDoor};
pub use duration::Span;
pub use ethash::EthashConfig;
pub use metrics::MetricsConfig;
pub use sample::SAMPLE;
pub use tls::TlsConfig;

use gruve_chain::NODES_MAX;
use gruve_market::PlanConfig;
use gruve_stratum::proxy::Network;
use gruve_units::{Asset, Bps, Class, Duration, EpochRule, Hashrate, LaneId};
use serde::Deserialize;
use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use tls::{NO_PROXIES, proxies_are_told};

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
    /// Where the books are.
    #[serde(default)]
    pub database: DatabaseConfig,
    /// Streams of work.
    #[serde(default, rename = "lane")]
    pub lanes: Vec<LaneConfig>,
    /// Offers to customers.
    #[serde(default, rename = "plan")]
    pub plans: Vec<PlanConfig>,
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
    /// `https://host[:port]` as browsers see it, when a proxy stands in front and changes `Host`.
    pub origin: Option<String>,
    /// Addresses of proxies in front: not limited in their connections, and believed about whom
    /// they speak for (`X-Forwarded-For`).
    pub trusted_proxies: Vec<IpAddr>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            secure_cookies: false,
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
}

impl LaneConfig {
    /// Its nodes with the keys they stand at: `node`, or `nodes[0]` and so on.
    pub fn nodes(&self) -> impl Iterator<Item = (String, &NodeConfig)> {
        named_nodes(self.node.as_ref(), &self.nodes)
    }

    fn node_faults(&self, fault: impl FnMut(String, String)) {
        let has_cookies = self.asset != Asset::Etc;
        node_faults(self.node.as_ref(), &self.nodes, has_cookies, fault);
    }
}

fn named_nodes<'a>(
    node: Option<&'a NodeConfig>,
    nodes: &'a [NodeConfig],
) -> impl Iterator<Item = (String, &'a NodeConfig)> {
    let one = node.into_iter().map(|node| ("node".to_owned(), node));
    one.chain(nodes.iter().enumerate().map(|(i, node)| (format!("nodes[{i}]"), node)))
}

fn node_faults(
    node: Option<&NodeConfig>,
    nodes: &[NodeConfig],
    has_cookies: bool,
    mut fault: impl FnMut(String, String),
) {
    match (node, nodes.len()) {
        (Some(_), 0) | (None, 1..=NODES_MAX) => {}
        (Some(_), _) => {
            fault("nodes".into(), "write [lane.node] or [[lane.nodes]], not both".into());
        }
        (None, _) => {
            let what = format!("write [lane.node], or 1 to {NODES_MAX} [[lane.nodes]]");
            fault("nodes".into(), what);
        }
    }
    let mut seen = HashSet::new();
    for (key, node) in named_nodes(node, nodes) {
        let place = format!("{key}.url");
        if !node.url.starts_with("http://") {
            fault(place, "write http://host:port (nodes speak plain HTTP)".into());
        } else if !seen.insert(node.url.trim_end_matches('/')) {
            fault(place, "is a node of this lane already".into());
        }
        let is_named = !node.user.is_empty() || !node.password.is_empty();
        if node.cookie_file.is_some() && (is_named || !has_cookies) {
            let what =
                "write either cookie_file (of nodes of Bitcoin's kind), or user and password";
            fault(format!("{key}.cookie_file"), what.into());
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

impl Config {
    /// Reads the text of a configuration; relative paths in it are below `base`.
    ///
    /// # Errors
    /// Every fault found, never an empty list.
    pub fn parse(text: &str, base: &Path) -> Result<Config, Vec<Fault>> {
        let mut config: Config = toml::from_str(text).map_err(|e| vec![syntax_fault(text, &e)])?;
        if config.house.data.is_relative() {
            config.house.data = base.join(&config.house.data);
        }
        for lane in &mut config.lanes {
            if let Some(file) = lane.stratum.v2.as_mut().and_then(|v2| v2.key_file.as_mut()) {
                *file = base.join(&*file);
            }
            if let Some(tls) = &mut lane.stratum.tls {
                tls.resolve(base);
            }
        }
        let faults = config.faults();
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    /// The database's address.
    #[must_use]
    pub fn database_url(&self) -> String {
        let default = || format!("sqlite:{}", self.house.data.join("gruve.db").display());
        self.database.url.clone().unwrap_or_else(default)
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |place: String, what: String| faults.push(Fault { place, what });
        let origin = &self.house.origin;
        if origin.is_empty() || origin.len() > 200 || origin.contains(['\n', '+', ' ']) {
            let what = "write a name like `gruve.example/log`: 1 to 200 characters, no space, no +";
            fault("house.origin".into(), what.into());
        }
        let schemes = ["http://", "https://"];
        if let Some(set) = &self.http.origin
            && (!schemes.iter().any(|s| set.starts_with(s)) || set.ends_with('/'))
        {
            let what = "write it as browsers do: https://mine.example, without a slash at the end";
            fault("http.origin".into(), what.into());
        }
        if self.lanes.is_empty() || self.lanes.len() > LANES_MAX {
            fault("lane".into(), format!("write 1 to {LANES_MAX} [[lane]] sections"));
        }
        let mut seen = HashSet::new();
        let mut ports = HashSet::from([self.http.listen]);
        if let Some(listen) = self.metrics.listen
            && listen.port() != 0
            && !ports.insert(listen)
        {
            fault("metrics.listen".into(), format!("{listen} is used twice in this file"));
        }
        for Fault { place, what } in self.metrics.faults() {
            fault(place, what);
        }
        for (i, lane) in self.lanes.iter().enumerate() {
            let at = |key: &str| format!("lane[{i}].{key}");
            if !seen.insert(lane.id.clone()) {
                fault(at("id"), format!("`{}` names a lane already", lane.id));
            }
            let v2 = lane.stratum.v2.as_ref().map(|v2| ("stratum.v2.listen", v2.listen));
            for (key, listen) in [("stratum.listen", lane.stratum.listen)].into_iter().chain(v2) {
                if listen.port() != 0 && !ports.insert(listen) {
                    fault(at(key), format!("{listen} is used twice in this file"));
                }
            }
            if EpochRule::new(lane.epoch.0, lane.grace.0).is_none() {
                fault(at("grace"), "must be shorter than the epoch".into());
            }
            if let Some(what) = no_lane(lane.asset) {
                fault(at("asset"), what);
            }
            lane.ethash.faults(lane, |key, what| fault(at(&format!("ethash.{key}")), what.into()));
            if lane.tag.is_empty() || lane.tag.len() > 32 || !lane.tag.is_ascii() {
                fault(at("tag"), "write 1 to 32 ASCII characters".into());
            }
            lane.node_faults(|key, what| fault(at(&key), what));
            for Fault { place, what } in aux_chain::faults(lane, i) {
                fault(place, what);
            }
            let confirmations_max = if lane.asset == Asset::Etc { 100_000 } else { 1_000 };
            if !(1..=confirmations_max).contains(&lane.confirmations.unwrap_or(1)) {
                fault(at("confirmations"), format!("write 1 to {confirmations_max}"));
            }
            if lane.asset == Asset::Etc {
                if !(1..=confirmations_max).contains(&lane.maturity.unwrap_or(1)) {
                    fault(at("maturity"), format!("write 1 to {confirmations_max}"));
                }
            } else if lane.maturity.is_some() && lane.network != NetworkConfig::Dev {
                let what = "only the dev network may set it: elsewhere it is the chain's rule";
                fault(at("maturity"), what.into());
            }
            if lane.settle_every == 0 || lane.capacity_epochs == 0 {
                fault(at("settle_every"), "write at least 1 (capacity_epochs as well)".into());
            }
            if lane.auto_approve_minor < 0 {
                fault(at("auto_approve_minor"), "write 0 (every payout waits) or more".into());
            }
            if lane.keep_shares.is_some_and(|keep| keep.0 < KEEP_SHARES_MIN) {
                fault(at("keep_shares"), "write at least 1d, or leave it out: for ever".into());
            }
            let s = &lane.stratum;
            if let Some(tls) = &s.tls {
                if tls.listen.port() != 0 && !ports.insert(tls.listen) {
                    let what = format!("{} is used twice in this file", tls.listen);
                    fault(at("stratum.tls.listen"), what);
                }
                for Fault { place, what } in tls.faults(&at("stratum.tls")) {
                    fault(place, what);
                }
            }
            for (key, threads) in [("threads", Some(s.threads)), ("hash_threads", s.hash_threads)] {
                if threads.is_some_and(|n| !(1..=THREADS_MAX).contains(&n)) {
                    fault(at(&format!("stratum.{key}")), format!("write 1 to {THREADS_MAX}"));
                }
            }
            if !proxies_are_told(s.proxy_protocol.as_deref()) {
                fault(at("stratum.proxy_protocol"), NO_PROXIES.into());
            }
            let v2 = s.v2.as_ref().and_then(|v2| v2.proxy_protocol.as_deref());
            if !proxies_are_told(v2) {
                fault(at("stratum.v2.proxy_protocol"), NO_PROXIES.into());
            }
            for (n, agent) in s.agents.iter().enumerate() {
                for Fault { place, what } in agent.faults(&at(&format!("stratum.agent[{n}]"))) {
                    fault(place, what);
                }
            }
            if let (Some(min), Some(max)) = (s.class_min, s.class_max)
                && min > max
            {
                fault(at("stratum.class_min"), "is above class_max".into());
            }
        }
        for (i, plan) in self.plans.iter().enumerate() {
            if !seen.contains(&plan.lane) {
                fault(format!("plan[{i}].lane"), format!("there is no lane `{}`", plan.lane));
            }
        }
        let (mut sites, mut machines) = (HashSet::new(), HashSet::new());
        for (i, site) in self.sites.iter().enumerate() {
            if !sites.insert(&site.name) {
                fault(format!("site[{i}].name"), format!("`{}` names a site already", site.name));
            }
            let mut here = HashSet::new();
            for (j, machine) in site.machines.iter().enumerate() {
                if !here.insert(&machine.name) || !machines.insert((&machine.lane, &machine.name)) {
                    let what =
                        format!("`{}` names a machine of this site or lane already", machine.name);
                    fault(format!("site[{i}].machine[{j}].name"), what);
                }
                if !seen.contains(&machine.lane) {
                    let place = format!("site[{i}].machine[{j}].lane");
                    fault(place, format!("there is no lane `{}`", machine.lane));
                }
            }
        }
        faults
    }
}

/// Why a coin has no lane of its own.
fn no_lane(asset: Asset) -> Option<String> {
    match asset {
        Asset::Btc | Asset::Ltc | Asset::Etc => None,
        Asset::Eth => Some(
            "ETH cannot be mined: it left proof of work on 15 September 2022 at block 15,537,393; an \
             Ethash chain is mined under its own name, as ETC"
                .into(),
        ),
        other => Some(format!("{other} has no lane of its own: BTC, LTC or ETC")),
    }
}

fn syntax_fault(text: &str, error: &toml::de::Error) -> Fault {
    let place = error.span().map_or_else(
        || "file".to_owned(),
        |span| {
            let before = &text[..span.start.min(text.len())];
            let line = before.matches('\n').count() + 1;
            let column = before.len() - before.rfind('\n').map_or(0, |p| p + 1) + 1;
            format!("line {line}, column {column}")
        },
    );
    Fault { place, what: error.message().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        match Config::parse(text, Path::new("/base")) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn the_sample_that_init_writes_is_valid() {
        assert_eq!(faults(SAMPLE), Vec::<String>::new());
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let text = SAMPLE.replacen("[http]", "[http]\nlisen = \"x\"", 1);
        let found = faults(&text);
        assert!(found[0].starts_with("line ") && found[0].contains("lisen"), "{found:?}");
    }

    #[test]
    fn every_fault_is_told_at_once_with_its_place() {
        let text = SAMPLE.replacen("grace = \"30s\"", "grace = \"11m\"", 1).replacen(
            "url = \"http://",
            "url = \"https://",
            1,
        );
        let found = faults(&text);
        assert!(found.iter().any(|f| f.starts_with("lane[0].grace")), "{found:?}");
        assert!(found.iter().any(|f| f.starts_with("lane[0].node.url")), "{found:?}");
    }

    #[test]
    fn a_lane_for_eth_is_refused_with_the_day_on_which_it_left_proof_of_work() {
        let found = faults(&SAMPLE.replacen("asset = \"LTC\"", "asset = \"ETH\"", 1));
        assert!(
            found[0].starts_with("lane[1].asset") && found[0].contains("15,537,393"),
            "{found:?}"
        );
    }

    #[test]
    fn a_lane_has_one_node_or_several_and_none_twice() {
        let one = "[lane.node]\nurl = \"http://127.0.0.1:8332\"";
        assert!(SAMPLE.contains("[lane.node]\n# Bitcoin Core's RPC."));
        let sample = SAMPLE.replacen(
            "# Bitcoin Core's RPC. Give user and password, or the node's cookie file.\n",
            "",
            1,
        );
        let with = |nodes: &str| faults(&sample.replacen(one, nodes, 1));
        assert!(with(one).is_empty(), "{:?}", with(one));
        let several = "[[lane.nodes]]\nurl = \"http://10.0.0.2:8332\"\n[[lane.nodes]]\nurl = \"http://10.0.0.1:8332\"";
        assert!(with(several).is_empty(), "{:?}", with(several));
        let twice = with(&several.replace("10.0.0.2", "10.0.0.1"));
        assert!(twice[0].starts_with("lane[0].nodes[1].url"), "{twice:?}");
        let both = with(&format!("{several}\nuser = \"u\"\n{one}"));
        assert!(both[0].starts_with("lane[0].nodes:"), "{both:?}");
        let none = with("[lane.unknown]\nurl = \"x\"");
        assert!(none[0].contains("unknown"), "{none:?}");
    }

    #[test]
    fn names_given_twice_and_amounts_below_zero_are_told() {
        let machine = |name: &str| {
            format!("[[site.machine]]\nname = \"{name}\"\nlane = \"btc\"\nnameplate = \"1 TH/s\"\n")
        };
        let site = |name: &str, machines: &[&str]| {
            let machines: String = machines.iter().map(|m| machine(m)).collect();
            format!("\n[[site]]\nname = \"{name}\"\n{machines}")
        };
        let begin = SAMPLE.find("[[site]]").unwrap();
        let at = SAMPLE.find("auto_approve_minor = ").unwrap() + "auto_approve_minor = ".len();
        let lanes = [&SAMPLE[..at], "-", &SAMPLE[at..begin]].concat();
        let lanes = lanes.replacen("grace = ", "keep_shares = \"5m\"\ngrace = ", 1);
        let text = lanes + &site("x", &["a", "a", "b"]) + &site("y", &["b"]) + &site("x", &["c"]);
        let found = faults(&text);
        let places: Vec<&str> = found.iter().map(|f| f.split(':').next().unwrap()).collect();
        assert_eq!(
            places,
            [
                "lane[0].auto_approve_minor",
                "lane[0].keep_shares",
                "site[0].machine[1].name",
                "site[1].machine[0].name",
                "site[2].name",
            ],
            "{found:?}"
        );
    }

    #[test]
    fn a_lane_has_threads_and_not_too_many() {
        let with = |set: &str| {
            let text = SAMPLE.replacen("# threads = 1\n# Threads that hash", set, 1);
            faults(&text)
        };
        assert!(with("threads = 4\nhash_threads = 2\n# Threads that hash").is_empty());
        let none = with("threads = 0\nhash_threads = 257\n# Threads that hash");
        let places: Vec<&str> = none.iter().map(|f| f.split(':').next().unwrap()).collect();
        assert_eq!(places, ["lane[0].stratum.threads", "lane[0].stratum.hash_threads"]);
    }

    #[test]
    fn a_plan_on_a_lane_that_is_not_there_is_refused() {
        let text = SAMPLE.replacen(
            "[[plan]]\nid = \"btc-30\"\nlane = \"btc\"",
            "[[plan]]\nid = \"btc-30\"\nlane = \"nix\"",
            1,
        );
        assert!(faults(&text).iter().any(|f| f.starts_with("plan[0].lane")), "{:?}", faults(&text));
    }
}
