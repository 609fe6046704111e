//! The rooms opened over one folder and one database, before anything runs.

use super::answers::{HouseStamps, InvoiceOutcome, Logins};
use super::ethash;
use super::files::{FileError, Folder, Holding, read_secret_text};
use super::hosted::{Bills, Owners};
use super::record::{self, Publishing};
use crate::config::{
    Config, DurabilityConfig, LaneConfig, NetworkConfig, NodeConfig, StratumV2Config, steps_of,
};
use crate::estate::Estate;
use ed25519_dalek::SigningKey;
use gruve_accounts::{AccountRules, Accounts, AccountsError, MailRules, PasskeyRules, Role, Vault};
use gruve_chain::auxpow::{AuxGroup, AuxNode};
use gruve_chain::eth::EthNodeGroup;
use gruve_chain::{
    ChainError, ChainParams, Family, GroupOptions, NetworkName, Node, NodeError, NodeGroup,
    Retarget, RpcNode, params_for,
};
use gruve_farm::{Farm, FarmError, HouseSecret, MachineOwner, NewMachine};
use gruve_hosting::{Hosting, HostingError};
use gruve_market::{Market, MarketConfig, MarketError};
use gruve_sharelog::{Durability, LogError, ShareLog};
use gruve_store::{Store, StoreError};
use gruve_stratum::StratumError;
use gruve_stratum::tls::TlsError;
use gruve_stratum::v2::{AuthorityKey, KeyError, NoiseServer};
use gruve_treasury::{ChainWallet, Seed, SeedError, Treasury, TreasuryConfig, TreasuryError};
use gruve_units::{Asset, Bps, Clock, Duration, Entropy, EpochRule, LaneId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

/// What secrets that the house must read again are sealed with, in the data folder.
const VAULT_FILE: &str = "vault.key";

/// The authority key of V2 connections, in the data folder.
const AUTHORITY_FILE: &str = "stratum-v2.key";

/// How long a certificate holds. Each connection gets a new one, and clients look at it then only.
const CERTIFICATE_VALIDITY: Duration = Duration::from_secs(3600);

/// Depth at which a pay-in counts where neither the operator nor the chain's table says more.
const CONFIRMATIONS: u64 = 3;

/// Why the platform does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or the folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database.
    #[error("the database: {0}")]
    Store(#[from] StoreError),
    /// The customers' room.
    #[error("accounts: {0}")]
    Accounts(#[from] AccountsError),
    /// The machines' room.
    #[error("the farm: {0}")]
    Farm(#[from] FarmError),
    /// Hosted machines.
    #[error("hosted machines: {0}")]
    Hosting(#[from] HostingError),
    /// Plans and lanes.
    #[error("lanes and plans: {0}")]
    Market(#[from] MarketError),
    /// The wallets.
    #[error("the treasury: {0}")]
    Treasury(#[from] TreasuryError),
    /// The wallets' secret.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// Where the wallets' passphrase comes from.
    #[error("the passphrase of the wallets' seed: {0}")]
    Passphrase(String),
    /// The cold address of a hot wallet.
    #[error("hot_wallet of {0}: sweep_to: {1}")]
    HotWallet(Asset, String),
    /// A signer elsewhere.
    #[error("signer of {0}: {1}")]
    Signer(Asset, String),
    /// A chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A node's address.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A share log.
    #[error("the share log of lane {0}: {1}")]
    Log(LaneId, LogError),
    /// The miners' room.
    #[error("lane {0}: {1}")]
    Stratum(LaneId, StratumError),
    /// The identity of encrypted connections.
    #[error("lane {0}: {1}")]
    Tls(LaneId, Box<TlsError>),
    /// The mail server.
    #[error("mail: {0}")]
    Mail(String),
    /// A port.
    #[error("cannot listen on {address} ({key}): {source}; set {key} to another address")]
    Port {
        /// The address.
        address: SocketAddr,
        /// The configuration's key.
        key: String,
        /// Why.
        source: std::io::Error,
    },
    /// Those who sign the log's heads.
    #[error("{0}")]
    Witnesses(String),
    /// A socket.
    #[error("a socket cannot be used: {0}")]
    Socket(std::io::Error),
    /// The key that signs for V2 connections.
    #[error("{}: {fault}", .path.display())]
    AuthorityKey {
        /// Where it is kept.
        path: PathBuf,
        /// What is wrong with it.
        fault: KeyError,
    },
    /// The public record.
    #[error("the public record: {0}")]
    Record(#[from] gruve_proof::publish::PublishError),
    /// The place that the public record is copied to.
    #[error("{0}")]
    Mirror(String),
    /// The public log was begun under another name.
    #[error(
        "house.origin or record.recovery_key is not what the public log began with: put back what was there before"
    )]
    RecordBegan,
    /// Another key is in force.
    #[error(
        "operator.key is not the key that the public log says is in force: put that one back, or run \
         gruve admin rotate-key (with --recovery when it is lost)"
    )]
    RecordKey,
    /// Statements of funds.
    #[error("statements of funds: {0}")]
    Funds(String),
    /// The machines' password is too short to be one.
    #[error("house.machine_password: write at least 16 characters")]
    MachinePassword,
}

/// A merge-mined chain of a lane.
#[derive(Clone)]
pub struct AuxParts {
    /// Its rules.
    pub params: ChainParams,
    /// Its nodes: to follow the chain, to pay.
    pub nodes: Arc<NodeGroup>,
    /// The same nodes: blocks to be proven, proofs.
    pub proofs: Arc<AuxGroup>,
}

/// The opened rooms.
pub struct Parts {
    /// The folder, locked.
    pub folder: Folder,
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Customers.
    pub accounts: Accounts,
    /// Machines.
    pub farm: Farm,
    /// Plans, contracts, epochs.
    pub market: Market,
    /// Wallets.
    pub treasury: Treasury,
    /// The nodes of each lane; [`NodeGroup::health`] tells how they stand.
    pub nodes: BTreeMap<LaneId, Arc<NodeGroup>>,
    /// The nodes of each lane of the Ethash family.
    pub eth_nodes: BTreeMap<LaneId, Arc<EthNodeGroup>>,
    /// The merge-mined chains of each lane.
    pub aux: BTreeMap<LaneId, Vec<AuxParts>>,
    /// The password that the house's machines send.
    pub machine_password: String,
    /// Machines that customers own.
    pub hosting: Hosting,
    pub(super) owners: Arc<Owners>,
    pub(super) logins: Arc<Logins>,
    pub(super) stamps: Arc<HouseStamps>,
    operator: SigningKey,
    durability: DurabilityConfig,
}

impl Parts {
    /// Opens folder, keys, database and rooms; makes what is not there yet.
    ///
    /// # Errors
    /// What cannot be used, and why.
    pub async fn open(
        config: &Config,
        holding: Holding,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Parts, StartError> {
        let folder = Folder::open(&config.house.data, holding)?;
        let passphrase = config.keys.passphrase().map_err(StartError::Passphrase)?;
        let seed_file = folder.join("wallet.seed");
        let seed = Seed::open_or_create_with(&seed_file, entropy.as_ref(), passphrase.as_ref())?;
        drop(passphrase);
        let operator = SigningKey::from_bytes(&folder.secret("operator.key", entropy.as_ref())?);
        let machine_password = match &config.house.machine_password {
            Some(set) => set.clone(),
            None => hex::encode(folder.secret("machine.password", entropy.as_ref())?),
        };
        let secret = HouseSecret::new(&machine_password).ok_or(StartError::MachinePassword)?;

        let store = Store::open(&config.database_url()).await?;
        store.migrate("ledger", gruve_ledger::MIGRATIONS).await?;
        store.migrate("treasury", gruve_treasury::MIGRATIONS).await?;
        Accounts::migrate(&store).await?;
        Farm::migrate(&store).await?;
        let vault = Vault::new(&folder.secret(VAULT_FILE, entropy.as_ref())?);
        let rules = AccountRules { vault, ..account_rules(config) };
        let (clock_of, entropy_of) = (clock.clone(), entropy.clone());
        let accounts = Accounts::with_rules(store.clone(), clock_of, entropy_of, rules);
        look_at_seals(&accounts, &folder).await?;
        let farm = Farm::new(store.clone(), clock.clone(), entropy.clone());
        let rules = config.lanes.iter().map(|l| (l.id.clone(), epoch_rule(l))).collect();
        let farm = farm.with_house_secret(secret).with_rules(rules);
        Hosting::migrate(&store).await?;

        let mut nodes: BTreeMap<LaneId, Arc<NodeGroup>> = BTreeMap::new();
        let mut eth_nodes: BTreeMap<LaneId, Arc<EthNodeGroup>> = BTreeMap::new();
        let mut aux = BTreeMap::new();
        let mut treasury = TreasuryConfig::new(seed);
        for lane in &config.lanes {
            let params = chain_params(lane)?;
            keep_epoch(&folder, lane)?;
            if params.family() == Family::Ethash {
                let (chain, wallet) = ethash::open(lane, &params, &treasury.seed)?;
                treasury = treasury.with_accounts(wallet);
                eth_nodes.insert(lane.id.clone(), chain);
                continue;
            }
            let node = open_nodes(lane, params)?;
            let mut wallet = ChainWallet::new(params, node.clone());
            wallet.confirmations = lane.confirmations.unwrap_or(CONFIRMATIONS);
            wallet.payouts.auto_approve_max = lane.auto_approve_minor;
            treasury = treasury.with_chain(wallet);
            nodes.insert(lane.id.clone(), node);
            let opened = open_aux(lane)?;
            for (chain, set) in opened.iter().zip(&lane.aux) {
                let mut wallet = ChainWallet::new(chain.params, chain.nodes.clone());
                wallet.confirmations = set.confirmations;
                wallet.payouts.auto_approve_max = set.auto_approve_minor;
                treasury = treasury.with_chain(wallet);
            }
            aux.insert(lane.id.clone(), opened);
        }
        set_hot_wallets(config, &mut treasury)?;
        for wallet in &mut treasury.chains {
            wallet.depths = steps_of(&config.depths, wallet.params.asset);
        }
        for wallet in &mut treasury.accounts {
            wallet.depths = steps_of(&config.depths, wallet.asset);
        }
        for set in &config.signers {
            let signer = set.signer(&config.house.data);
            let signer = signer.map_err(|why| StartError::Signer(set.asset, why))?;
            let wallet = treasury.chains.iter_mut().find(|w| w.params.asset == set.asset);
            wallet.ok_or(TreasuryError::NoWallet(set.asset))?.signer = Some(signer);
        }
        for bank in config.banks.iter().filter(|b| b.enabled) {
            treasury = treasury.with_bank(bank.account());
        }
        treasury.limits = config.limits.iter().map(|l| l.limits()).collect();
        let origin = config.http.origin.as_deref().unwrap_or_default();
        let stripe = config.stripe.as_ref().filter(|s| s.enabled);
        treasury.stripe = stripe.map(|s| s.service(origin));
        let btcpay = config.btcpay.as_ref().filter(|b| b.enabled);
        treasury.btcpay = btcpay.map(|b| b.service(origin));
        let market = market_config(config)?;
        let market = Market::new(store.clone(), clock.clone(), entropy.clone(), market)?;
        market.sign_terms_with(operator.clone());
        market.prepare().await?;
        let treasury = Treasury::new(store.clone(), clock.clone(), entropy.clone(), treasury)?;
        treasury.check_keys().await?;
        furnish(&farm, config).await?;

        let owners = Arc::new(Owners::default());
        owners.load(&farm).await?;
        let (store_too, key) = (store.clone(), operator.clone());
        let (clock_too, entropy_too) = (clock.clone(), entropy.clone());
        let origin = &config.house.origin;
        let hosting = Hosting::new(store_too, farm.clone(), clock_too, entropy_too, key, origin);
        market.tell_settlements_to(Arc::new(Bills(hosting.clone())));
        treasury.tell_invoices_to(Arc::new(InvoiceOutcome {
            market: market.clone(),
            hosting: hosting.clone(),
            farm: farm.clone(),
            accounts: accounts.clone(),
            clock: clock.clone(),
        }));
        let logins = Arc::new(Logins {
            accounts: accounts.clone(),
            farm: farm.clone(),
            owners: owners.clone(),
        });
        let stamps = Arc::new(HouseStamps {
            source: market.stamp_source(),
            origin: config.house.origin.clone(),
            operator_key: operator.verifying_key().to_bytes(),
        });
        Ok(Parts {
            folder,
            store,
            clock,
            entropy,
            accounts,
            farm,
            market,
            treasury,
            nodes,
            eth_nodes,
            aux,
            machine_password,
            hosting,
            owners,
            logins,
            stamps,
            operator,
            durability: config.house.durability,
        })
    }

    /// The operator's key.
    #[must_use]
    pub fn operator(&self) -> &SigningKey {
        &self.operator
    }

    /// Has closed epochs published from now on.
    ///
    /// # Errors
    /// When the public folder cannot be used, or its log was begun with another key or name.
    pub async fn publish(&self, config: &Config) -> Result<Arc<Publishing>, StartError> {
        let key = self.operator.clone();
        record::open(config, &self.folder, key, &self.market, self.entropy.as_ref()).await
    }

    /// All nodes with their lanes, merge-mined chains' included.
    #[must_use]
    pub fn all_nodes(&self) -> Vec<(LaneId, Arc<NodeGroup>)> {
        let own = self.nodes.iter().map(|(id, nodes)| (id.clone(), nodes.clone()));
        let of = |(id, all): (&LaneId, &Vec<AuxParts>)| {
            let id = id.clone();
            all.clone().into_iter().map(move |aux| (id.clone(), aux.nodes))
        };
        own.chain(self.aux.iter().flat_map(of)).collect()
    }

    /// What encrypts a lane's V2 connections: the authority of the file named, or the house's own.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no key.
    pub fn noise(&self, config: &StratumV2Config) -> Result<Arc<NoiseServer>, StartError> {
        let key = match &config.key_file {
            Some(path) => {
                let text = read_secret_text(path)?;
                AuthorityKey::from_secret_text(&text)
                    .map_err(|fault| StartError::AuthorityKey { path: path.clone(), fault })?
            }
            None => {
                let secret = self.folder.secret(AUTHORITY_FILE, self.entropy.as_ref())?;
                let path = self.folder.join(AUTHORITY_FILE);
                AuthorityKey::from_secret(secret)
                    .map_err(|fault| StartError::AuthorityKey { path, fault })?
            }
        };
        let (clock, entropy) = (self.clock.clone(), self.entropy.clone());
        Ok(Arc::new(NoiseServer::new(key, CERTIFICATE_VALIDITY, clock, entropy)))
    }

    /// Opens a lane's share log; mends what a crash left.
    ///
    /// # Errors
    /// When it is damaged or cannot be read.
    pub fn share_log(&self, lane: &LaneId) -> Result<ShareLog, StartError> {
        let folder: PathBuf = self.folder.join("sharelog").join(lane.as_str());
        let mut options = gruve_sharelog::Options::default();
        if self.durability == DurabilityConfig::Fsync {
            options.durability = Durability::Fsync;
        }
        ShareLog::open(folder, options).map_err(|e| StartError::Log(lane.clone(), e))
    }
}

/// What the configuration says of accounts.
fn account_rules(config: &Config) -> AccountRules {
    let mail = config.mail.as_ref().map(|mail| MailRules {
        origin: config.http.origin.clone().unwrap_or_default(),
        house: config.house.name.clone(),
        confirm_sign_up: mail.confirm_sign_up,
        say: gruve_web::in_chosen_language,
    });
    let origin = config.http.origin.as_deref().unwrap_or_default();
    let passkeys = PasskeyRules::new(origin, &config.house.name);
    AccountRules {
        mail,
        change_delay: config.accounts.change_delay.0,
        closing_delay: config.accounts.closing_delay.0,
        owner_signatures: config.accounts.owner_signatures,
        passkeys,
        vault: None,
    }
}

/// Seals what still lies open, and says loudly when the key is not the one that sealed what is there: those accounts
/// sign in with codes for a lost device or passkeys until it is back.
async fn look_at_seals(accounts: &Accounts, folder: &Folder) -> Result<(), StartError> {
    let (sealed, strange) = accounts.seal_codes().await?;
    if sealed > 0 {
        tracing::info!(sealed, "secrets of codes are sealed now");
    }
    if strange > 0 {
        let file = folder.join(VAULT_FILE);
        tracing::error!(
            accounts = strange,
            file = %file.display(),
            "codes of accounts cannot be checked: this is not the key that their secrets are sealed with. Put the \
             one back that was there before"
        );
        let body = format!(
            "The codes of {strange} accounts cannot be checked: {} is not the key that their secrets are sealed with. \
             Put the one back that was there before. Until then they sign in with codes for a lost device or with \
             passkeys.",
            file.display()
        );
        let told = accounts.tell_staff(&[Role::Owner], "codes cannot be checked", &body).await;
        if let Err(error) = told {
            tracing::warn!(%error, "the owners could not be written to");
        }
    }
    Ok(())
}

/// Takes a port, the estate's socket first, or says which key of the configuration names it.
///
/// # Errors
/// When it is taken.
pub fn listen(
    address: SocketAddr,
    key: &str,
    estate: &mut Estate,
) -> Result<TcpListener, StartError> {
    let listener = match estate.listener(address) {
        Some(listener) => listener,
        None => TcpListener::bind(address).map_err(|source| StartError::Port {
            address,
            key: key.to_owned(),
            source,
        })?,
    };
    listener.set_nonblocking(true).map_err(StartError::Socket)?;
    Ok(listener)
}

/// The parameters of a lane's chain.
///
/// # Errors
/// When the coin has none.
pub fn chain_params(lane: &LaneConfig) -> Result<ChainParams, ChainError> {
    let known = params_for(lane.asset, network_name(lane.network))?;
    if known.family() == Family::Ethash {
        return Ok(ethash::described(known, lane));
    }
    params_of(lane.asset, lane.network, lane.maturity)
}

/// Caps of hot wallets, as the configuration has them.
fn set_hot_wallets(config: &Config, treasury: &mut TreasuryConfig) -> Result<(), StartError> {
    for set in &config.hot_wallets {
        let earns =
            |l: &&LaneConfig| l.asset == set.asset || l.aux.iter().any(|a| a.asset == set.asset);
        let Some(lane) = config.lanes.iter().find(earns) else { continue };
        let sweep = set.sweep(lane.network).map_err(|e| StartError::HotWallet(set.asset, e))?;
        let after = set.bump_after_minutes.map(|m| Duration::from_secs(m.saturating_mul(60)));
        if let Some(wallet) = treasury.chains.iter_mut().find(|w| w.params.asset == set.asset) {
            wallet.sweep.clone_from(&sweep);
            wallet.gather = set.gather();
            wallet.payouts.bump_after = after.unwrap_or(wallet.payouts.bump_after);
        }
        if let Some(wallet) = treasury.accounts.iter_mut().find(|w| w.asset == set.asset) {
            wallet.cold = sweep;
            wallet.payouts.bump_after = after.unwrap_or(wallet.payouts.bump_after);
        }
    }
    Ok(())
}

/// The parameters of a lane's merge-mined chains, in their order.
///
/// # Errors
/// When a coin has none.
pub fn aux_params(lane: &LaneConfig) -> Result<Vec<ChainParams>, ChainError> {
    lane.aux.iter().map(|aux| params_of(aux.asset, lane.network, aux.maturity)).collect()
}

const fn network_name(network: NetworkConfig) -> NetworkName {
    match network {
        NetworkConfig::Mainnet => NetworkName::Mainnet,
        NetworkConfig::Testnet => NetworkName::Testnet,
        NetworkConfig::Regtest => NetworkName::Regtest,
        NetworkConfig::Dev => NetworkName::Dev,
    }
}

fn params_of(
    asset: Asset,
    network: NetworkConfig,
    maturity: Option<u64>,
) -> Result<ChainParams, ChainError> {
    let network = network_name(network);
    let mut params = params_for(asset, network)?;
    if params.family() == Family::Ethash {
        return Err(ChainError::NoSuchChain { asset, network });
    }
    if network == NetworkName::Dev {
        params.mweb = false;
        params.coinbase_maturity = maturity.unwrap_or(params.coinbase_maturity);
    }
    Ok(params)
}

fn open_aux(lane: &LaneConfig) -> Result<Vec<AuxParts>, StartError> {
    let mut opened = Vec::new();
    for (aux, params) in lane.aux.iter().zip(aux_params(lane)?) {
        let mut nodes: Vec<(String, Arc<dyn Node>)> = Vec::new();
        let mut proofs: Vec<(String, Arc<dyn AuxNode>)> = Vec::new();
        for (_, node) in aux.nodes() {
            let (name, client) = (node_name(node), Arc::new(open_node(node, params)?));
            nodes.push((name.clone(), client.clone()));
            proofs.push((name, client));
        }
        let nodes = Arc::new(NodeGroup::start(params, nodes, GroupOptions::default()));
        opened.push(AuxParts { params, nodes, proofs: Arc::new(AuxGroup::new(proofs)) });
    }
    Ok(opened)
}

fn node_name(node: &NodeConfig) -> String {
    node.url.trim_start_matches("http://").trim_end_matches('/').to_owned()
}

fn open_nodes(lane: &LaneConfig, params: ChainParams) -> Result<Arc<NodeGroup>, StartError> {
    let mut nodes: Vec<(String, Arc<dyn Node>)> = Vec::new();
    for (_, node) in lane.nodes() {
        nodes.push((node_name(node), Arc::new(open_node(node, params)?)));
    }
    Ok(Arc::new(NodeGroup::start(params, nodes, GroupOptions::default())))
}

fn open_node(node: &NodeConfig, params: ChainParams) -> Result<RpcNode, StartError> {
    let client = match &node.cookie_file {
        None => RpcNode::new(&node.url, &node.user, &node.password, params)?,
        Some(path) => RpcNode::with_cookie(&node.url, path.clone(), params)?,
    };
    // What cannot be read was refused with the configuration.
    Ok(client.with_push(node.push().unwrap_or_default()))
}

/// Contracts, stamps and the share log count in epochs: with another length the same numbers would
/// mean other times.
fn keep_epoch(folder: &Folder, lane: &LaneConfig) -> Result<(), FileError> {
    let what = "holds the epoch length in milliseconds that this lane began with, and the \
                configuration says another: a lane keeps its epoch for ever; for another length \
                begin a lane with a new id";
    folder.keep(&format!("lane-{}.epoch", lane.id), &lane.epoch.0.as_millis().to_string(), what)
}

/// What the market is told: lanes and plans.
///
/// # Errors
/// When a coin has no chain.
pub fn market_config(config: &Config) -> Result<MarketConfig, ChainError> {
    let lane = |lane| Ok(market_lane(lane, chain_params(lane)?, &aux_params(lane)?));
    Ok(MarketConfig {
        lanes: config.lanes.iter().map(lane).collect::<Result<_, ChainError>>()?,
        plans: config.plans.clone(),
        quote_secs: 300,
        unpaid_per_account_max: 5,
        unpaid_new_bps: gruve_market::UNPAID_NEW_BPS,
        operator_accounts: config.house.operator_accounts.clone(),
        quotes: config.quotes.clone(),
        prices: config.prices.clone(),
    })
}

/// What is wrong with a configuration by the rules of the rooms themselves; nothing is opened.
///
/// # Errors
/// The first fault.
pub fn check(config: &Config) -> Result<(), StartError> {
    market_config(config)?.check()?;
    match &config.house.machine_password {
        Some(set) if HouseSecret::new(set).is_none() => Err(StartError::MachinePassword),
        _ => Ok(()),
    }
}

fn market_lane(
    lane: &LaneConfig,
    params: ChainParams,
    aux: &[ChainParams],
) -> gruve_market::LaneConfig {
    let aux_config = |p: &ChainParams| gruve_market::AuxConfig {
        asset: p.asset,
        coinbase_maturity: p.coinbase_maturity,
    };
    gruve_market::LaneConfig {
        lane: lane.id.clone(),
        asset: lane.asset,
        aux: aux.iter().map(aux_config).collect(),
        algorithm: params.algorithm,
        epoch_rule: epoch_rule(lane),
        coinbase_maturity: params.coinbase_maturity,
        settle_every_epochs: u64::from(lane.settle_every),
        capacity_window_epochs: u64::from(lane.capacity_epochs),
        // Three standard deviations below the work seen.
        capacity_confidence_tenths: 30,
        capacity_reserve_bps: lane.reserve_bps,
        outside_fee_bps: lane.outside_fee_bps,
        pplns_epochs_max: gruve_market::PPLNS_EPOCHS_MAX,
        quote_difficulty_bps: lane
            .quote_difficulty_bps
            .unwrap_or_else(|| quote_bears(params.retarget)),
    }
}

/// What a quote bears of difficulty: nothing where it stands between retargets; a tenth where every block
/// moves it, which is more than an honest network's moves within a quote's minutes; twice as much where a
/// development chain is still looking for its place.
fn quote_bears(retarget: Retarget) -> Bps {
    match retarget {
        Retarget::Never | Retarget::Every(_) => Bps::ZERO,
        Retarget::Digishield { .. } | Retarget::Ethash { .. } => {
            Bps::new(1_000).unwrap_or(Bps::ZERO)
        }
        Retarget::Elsewhere => Bps::new(10_000).unwrap_or(Bps::ZERO),
    }
}

/// How a lane's time is cut. The configuration's check has refused impossible rules.
pub(super) fn epoch_rule(lane: &LaneConfig) -> EpochRule {
    let whole = EpochRule { length_us: 600_000_000, grace_us: 30_000_000 };
    EpochRule::new(lane.epoch.0, lane.grace.0).unwrap_or(whole)
}

async fn furnish(farm: &Farm, config: &Config) -> Result<(), StartError> {
    let mut kept = BTreeSet::new();
    for site in &config.sites {
        let id = farm.add_site(&site.name).await?;
        for machine in &site.machines {
            let new = NewMachine {
                site: id,
                name: machine.name.clone(),
                lane: machine.lane.clone(),
                owner: MachineOwner::House,
                nameplate: machine.nameplate,
            };
            kept.insert(farm.add_machine(new).await?);
        }
    }
    // What was taken out of the file logs in no more.
    Ok(farm.retire_others(&kept).await?)
}
