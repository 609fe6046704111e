//! The rooms opened over one folder and one database, before anything runs.

use super::answers::{HouseStamps, InvoiceOutcome, Logins};
use super::begun;
use super::error::StartError;
use super::files::{Folder, Holding, read_secret_text};
use super::hosted::{Bills, CoinsBack, MeasuredEnergy, Owners};
use super::in_block::InBlock;
use super::keys;
use super::nodes::AuxParts;
use super::pay_in_chain::PayInParts;
use super::record::{self, Publishing};
use super::rules::{account_rules, epoch_rule, market_config};
use super::wallets::Wallets;
use crate::config::{Config, DurabilityConfig, StratumV2Config};
use crate::estate::Estate;
use ed25519_dalek::SigningKey;
use gruve_accounts::{AccountRules, Accounts, Role, Vault};
use gruve_chain::NodeGroup;
use gruve_chain::eth::EthNodeGroup;
use gruve_farm::{Farm, HouseSecret, MachineOwner, NewMachine};
use gruve_hosting::Hosting;
use gruve_market::Market;
use gruve_sharelog::{Durability, ShareLog};
use gruve_store::Store;
use gruve_stratum::v2::{AuthorityKey, NoiseServer};
use gruve_treasury::{Seed, Treasury};
use gruve_units::{Clock, Duration, Entropy, LaneId};
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
    /// The chains that are paid on and mined nowhere.
    pub pay_ins: Vec<PayInParts>,
    /// The merge-mined chains of each lane.
    pub aux: BTreeMap<LaneId, Vec<AuxParts>>,
    /// The password that the house's machines send.
    pub machine_password: String,
    /// Machines that customers own.
    pub hosting: Hosting,
    pub(super) owners: Arc<Owners>,
    pub(super) in_block: Arc<InBlock>,
    pub(super) logins: Arc<Logins>,
    pub(super) stamps: Arc<HouseStamps>,
    operator: SigningKey,
    durability: DurabilityConfig,
}

impl Parts {
    /// Opens the rooms of a house that is there, for a command that looks after it.
    ///
    /// # Errors
    /// As [`Parts::begin`], and when the folder has no house.
    pub async fn open(
        config: &Config,
        holding: Holding,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Parts, StartError> {
        begun::find(&config.house.data)?;
        Parts::begin(config, holding, clock, entropy).await
    }

    /// Opens folder, keys, database and rooms; makes what is not there yet.
    ///
    /// # Errors
    /// What cannot be used, and why.
    pub async fn begin(
        config: &Config,
        holding: Holding,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Parts, StartError> {
        let folder = Folder::open(&config.house.data, holding)?;
        let store = Store::open(&config.database_url()).await?;
        begun::compare(config, &folder, &store).await?;
        let seed = seed_of(config, &folder, entropy.as_ref())?;
        let operator =
            SigningKey::from_bytes(&folder.secret(begun::OPERATOR_FILE, entropy.as_ref())?);
        let machine_password = match &config.house.machine_password {
            Some(set) => set.clone(),
            None => hex::encode(folder.secret("machine.password", entropy.as_ref())?),
        };
        let secret = HouseSecret::new(&machine_password).ok_or(StartError::MachinePassword)?;

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

        let wallets = Wallets::open(config, &folder, seed)?;
        let market = market_config(config)?;
        let market = Market::new(store.clone(), clock.clone(), entropy.clone(), market)?;
        market.sign_terms_with(operator.clone());
        market.prepare().await?;
        let treasury =
            Treasury::new(store.clone(), clock.clone(), entropy.clone(), wallets.treasury)?;
        treasury.check_keys().await?;
        furnish(&farm, config).await?;

        let owners = Arc::new(Owners::default());
        owners.load(&farm).await?;
        let (store_too, key) = (store.clone(), operator.clone());
        let (clock_too, entropy_too) = (clock.clone(), entropy.clone());
        let origin = &config.house.origin;
        let hosting = Hosting::new(store_too, farm.clone(), clock_too, entropy_too, key, origin)
            .with_former_keys(keys::all(&market).await?);
        market.tell_settlements_to(Arc::new(Bills(hosting.clone())));
        market.tell_refunds_to(Arc::new(CoinsBack));
        market.ask_energy_of(Arc::new(MeasuredEnergy(hosting.clone())));
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
        let in_block = Arc::new(InBlock::default());
        let stamps = Arc::new(HouseStamps {
            in_block: in_block.clone(),
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
            nodes: wallets.nodes,
            eth_nodes: wallets.eth_nodes,
            pay_ins: wallets.pay_ins,
            aux: wallets.aux,
            machine_password,
            hosting,
            owners,
            in_block,
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
        record::open(config, self, key).await
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

/// The wallets' secret, under its passphrase where there is one; made at the first start.
fn seed_of(config: &Config, folder: &Folder, entropy: &dyn Entropy) -> Result<Seed, StartError> {
    let passphrase = config.keys.passphrase().map_err(StartError::Passphrase)?;
    let seed_file = folder.join(begun::SEED_FILE);
    begun::refuse_plain_seed(config, &seed_file)?;
    let is_first = !begun::is_there(&seed_file)?;
    let seed = Seed::open_or_create_with(&seed_file, entropy, passphrase.as_ref())?;
    if is_first {
        tracing::info!(
            file = %seed_file.display(),
            "the wallets' seed was made: keep a copy of it offline before the first payment"
        );
    }
    Ok(seed)
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
