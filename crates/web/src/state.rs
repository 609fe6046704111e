//! What every handler is handed: the services of the rooms below, and the web room's settings.

use crate::api::events::Places;
use crate::api::funds::FundsShelf;
use crate::crowd::{CallPace, Crowd, Pace};
use crate::exposition::Exposition;
use crate::failure::{Failure, sentence};
use crate::live::Pulse;
use crate::log_readers::LiveLogReader;
use crate::metrics::Metrics;
use crate::once::ONCE_MIGRATIONS;
use crate::pages::estimate::Estimates;
use crate::pages::track::Records;
use crate::record::PublicRecord;
use crate::serve::ConnectionLimits;
use crate::shared::Shared;
use gruve_accounts::{Accounts, AccountsError, Device, NewAccount, Ticket};
use gruve_chain::NetworkFigures;
use gruve_farm::{Farm, MachineOwner};
use gruve_hosting::Hosting;
use gruve_market::Market;
use gruve_store::{Migration, Store, StoreError};
use gruve_treasury::Treasury;
use gruve_units::{
    AccountId, Amount, Asset, Clock, Entropy, Hashrate, LaneId, MachineId, Timestamp,
};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// This room's tables.
pub const MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "purchases",
    sqlite: include_str!("../migrations/0001_purchases.sqlite.sql"),
    postgres: include_str!("../migrations/0001_purchases.postgres.sql"),
}];

/// A miner's session as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSession {
    /// The lane it works for.
    pub lane: LaneId,
    /// The machine.
    pub machine: MachineId,
    /// Whose it is.
    pub owner: MachineOwner,
    /// Estimated from its latest shares.
    pub hashrate: Hashrate,
    /// Shares accepted in this session.
    pub accepted: u64,
    /// Shares refused in this session.
    pub rejected: u64,
    /// When it connected.
    pub connected_at: Timestamp,
    /// When its last share was accepted.
    pub last_share_at: Option<Timestamp>,
}

/// A lane's node as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveNode {
    /// The lane.
    pub lane: LaneId,
    /// Of which of the lane's chains it is.
    pub asset: Asset,
    /// Host and port.
    pub name: String,
    /// What it is fit for, in a word: `ready`, `behind`, `downloading`, `down`, `unusable`.
    pub standing: &'static str,
    /// Whether the lane's templates come from it.
    pub is_chosen: bool,
    /// Height of its best block, as last heard.
    pub height: Option<u64>,
    /// Connected peers.
    pub peers: Option<u64>,
    /// Since its last template.
    pub template_age: Option<Duration>,
    /// Looks that failed since the last good one.
    pub failures: u32,
}

/// How the following of a lane's chain stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveChain {
    /// The lane.
    pub lane: LaneId,
    /// Which of the lane's chains.
    pub asset: Asset,
    /// In a word: `starting`, `following`, `failing`, `halted`.
    pub standing: &'static str,
    /// Whether what matured is settled.
    pub is_sound: bool,
    /// The newest block that the books have, where it is known to be on the node's chain.
    pub height: Option<u64>,
}

/// Who reads the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsFor {
    /// Whoever reaches the site: nothing of single machines or customers.
    Anybody,
    /// The operator.
    Operator,
}

/// The miners connected now; wired to the gateways, which may run in this process or not.
pub trait LiveFarm: Send + Sync {
    /// All sessions.
    fn sessions(&self) -> Vec<LiveSession>;

    /// The nodes of the lanes, in the order of the configuration.
    fn nodes(&self) -> Vec<LiveNode> {
        Vec::new()
    }

    /// Adds what the gateways count of themselves to the metrics.
    fn write_metrics(&self, _out: &mut Exposition, _whom: MetricsFor) {}

    /// Difficulty, fees and hashprice of a chain that a lane mines; `None` until its blocks are known.
    fn network(&self, _lane: &LaneId, _asset: Asset) -> Option<NetworkFigures> {
        None
    }

    /// The chains of the lanes, in the order of the configuration.
    fn chains(&self) -> Vec<LiveChain> {
        Vec::new()
    }

    /// Who reads the lanes' share logs, and how far each is; none where that was not looked at yet.
    fn log_readers(&self) -> Vec<LiveLogReader> {
        Vec::new()
    }

    /// Those of one account's machines.
    fn sessions_of(&self, account: AccountId) -> Vec<LiveSession> {
        let own = MachineOwner::Account(account);
        self.sessions().into_iter().filter(|s| s.owner == own).collect()
    }
}

/// No gateway in this process: nobody is seen as connected.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoGateway;

impl LiveFarm for NoGateway {
    fn sessions(&self) -> Vec<LiveSession> {
        Vec::new()
    }
}

/// What pages say of a lane beside its figures.
#[derive(Clone, Debug)]
pub struct LaneParticulars {
    /// The lane.
    pub lane: LaneId,
    /// Coin and network in words, as `gruve_chain::ChainParams::title` gives them.
    pub network: String,
    /// Where outside machines may connect, as `stratum+tcp://host:port`.
    pub stratum: Option<String>,
}

/// Settings of the web room.
#[derive(Clone, Debug, Default)]
pub struct WebConfig {
    /// What customers know the house by: it stands in the header and title of every page, and on what they keep.
    pub house: Arc<str>,
    /// Served over https: cookies are `Secure` with the `__Host-` prefix, and browsers are told to
    /// come by https only.
    pub secure_cookies: bool,
    /// Whether staff gets nowhere in the console without a second factor.
    pub is_staff_factor_demanded: bool,
    /// `scheme://host[:port]` as browsers see it, when a proxy stands in front and changes `Host`.
    pub origin: Option<String>,
    /// Proxies in front: they may hold any number of connections, and are believed about whom they
    /// speak for.
    pub trusted_proxies: Vec<IpAddr>,
    /// Bounds of connections.
    pub limits: ConnectionLimits,
    /// Bounds of an account's calls, and the same of the forms that its pages send.
    pub calls: CallPace,
    /// Bounds of the pages that are looked at in an account's name; nothing is [`CallPace::PAGES`].
    pub pages: Option<CallPace>,
    /// The lanes' public particulars.
    pub lanes: Vec<LaneParticulars>,
    /// The operator reads metrics at an address of their own ([`crate::serve_metrics`]): the site has
    /// none.
    pub are_metrics_elsewhere: bool,
    /// How long an invoice stays open; an hour when zero.
    pub invoice_ttl: Duration,
    /// By which rules coins pay what is priced in another currency; without them they do not.
    pub conversion: Option<crate::ConversionRules>,
    /// The public record, if it is served here.
    pub record: Option<Arc<dyn PublicRecord>>,
    /// When the operator is told of what goes wrong, and how.
    pub watch: crate::WatchConfig,
    /// What is published of funds, if anything is.
    pub funds: Option<Arc<dyn FundsShelf>>,
    /// Webhooks of customers.
    pub webhooks: crate::WebhookConfig,
}

/// The services that the web room stands on.
#[derive(Clone)]
pub struct Services {
    /// The database.
    pub store: Store,
    /// Customers and sessions.
    pub accounts: Accounts,
    /// Plans, contracts, epochs.
    pub market: Market,
    /// Invoices, payouts, wallets.
    pub treasury: Treasury,
    /// Sites and machines.
    pub farm: Farm,
    /// Machines that customers own.
    pub hosting: Hosting,
    /// Miners connected now.
    pub live: Arc<dyn LiveFarm>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
}

/// What every handler is handed. Cloning is cheap.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

struct Inner {
    services: Services,
    config: WebConfig,
    pulse: Pulse,
    metrics: Metrics,
    event_places: Places,
    records: Records,
    estimates: Estimates,
    shared: Shared,
    calls: Pace<AccountId>,
    forms: Pace<AccountId>,
    pages: Pace<AccountId>,
    exporting: Crowd<AccountId>,
}

/// What came of name and password.
pub(crate) enum SignedIn {
    /// A session.
    Yes(Opened),
    /// They are right, and a code is asked for besides.
    CodeNeeded(Ticket),
}

/// A session just opened.
pub(crate) struct Opened {
    pub(crate) token: String,
    pub(crate) expires: Timestamp,
}

impl AppState {
    /// Puts the room's own table in place and gives the state.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(services: Services, config: WebConfig) -> Result<AppState, StoreError> {
        services.store.migrate("web", MIGRATIONS).await?;
        services.store.migrate("web_watch", crate::WATCH_MIGRATIONS).await?;
        services.store.migrate("web_reviews", crate::REVIEW_MIGRATIONS).await?;
        services.store.migrate("web_once", ONCE_MIGRATIONS).await?;
        services.store.migrate("web_webhooks", crate::WEBHOOK_MIGRATIONS).await?;
        let (pulse, metrics) = (Pulse::default(), Metrics::default());
        let (event_places, records) = (Places::default(), Records::default());
        let (estimates, shared) = (Estimates::default(), Shared::default());
        let pace = || Pace::new(config.calls.at_once, config.calls.interval);
        let (calls, forms) = (pace(), pace());
        let pages = config.pages.unwrap_or(CallPace::PAGES);
        let pages = Pace::new(pages.at_once, pages.interval);
        let inner = Inner {
            services,
            config,
            pulse,
            metrics,
            event_places,
            records,
            estimates,
            shared,
            calls,
            forms,
            pages,
            exporting: Crowd::default(),
        };
        Ok(AppState(Arc::new(inner)))
    }

    /// How often accounts call the API.
    pub(crate) fn calls(&self) -> &Pace<AccountId> {
        &self.0.calls
    }

    /// How often forms are sent in accounts' names. Apart from calls: a program that calls too often keeps nobody from
    /// ending its key.
    pub(crate) fn forms(&self) -> &Pace<AccountId> {
        &self.0.forms
    }

    /// How often pages are looked at in accounts' names. Apart from forms: who looks too often can still end a session.
    pub(crate) fn pages(&self) -> &Pace<AccountId> {
        &self.0.pages
    }

    /// Whose exports are under way.
    pub(crate) fn exporting(&self) -> &Crowd<AccountId> {
        &self.0.exporting
    }

    /// Pages that many refresh at once.
    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// By which pages are told that something changed.
    #[must_use]
    pub fn pulse(&self) -> &Pulse {
        &self.0.pulse
    }

    pub(crate) fn house(&self) -> Arc<str> {
        Arc::clone(&self.0.config.house)
    }

    pub(crate) fn config(&self) -> &WebConfig {
        &self.0.config
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn event_places(&self) -> &Places {
        &self.0.event_places
    }

    pub(crate) fn records(&self) -> &Records {
        &self.0.records
    }

    pub(crate) fn estimates(&self) -> &Estimates {
        &self.0.estimates
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.services.store
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        &self.0.services.accounts
    }

    pub(crate) fn market(&self) -> &Market {
        &self.0.services.market
    }

    pub(crate) fn treasury(&self) -> &Treasury {
        &self.0.services.treasury
    }

    pub(crate) fn farm(&self) -> &Farm {
        &self.0.services.farm
    }

    pub(crate) fn hosting(&self) -> &Hosting {
        &self.0.services.hosting
    }

    pub(crate) fn live(&self) -> &dyn LiveFarm {
        self.0.services.live.as_ref()
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        self.0.services.entropy.as_ref()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.services.clock.now()
    }

    pub(crate) fn invoice_ttl(&self) -> Duration {
        let ttl = self.0.config.invoice_ttl;
        if ttl.is_zero() { Duration::from_secs(3600) } else { ttl }
    }

    /// A key that no request has used.
    pub(crate) fn fresh_key(&self) -> String {
        let mut bytes = [0u8; 16];
        self.entropy().fill(&mut bytes);
        hex::encode(bytes)
    }

    pub(crate) async fn sign_up(
        &self,
        name: &str,
        email: &str,
        password: &str,
        from: &Device,
    ) -> Result<AccountId, Failure> {
        let new = NewAccount {
            name: name.to_owned(),
            email: email.to_owned(),
            password: password.to_owned(),
        };
        self.accounts().sign_up_from(new, from.address).await.map_err(|e| accounts_failure(&e))
    }

    pub(crate) async fn sign_in(
        &self,
        login: &str,
        password: &str,
        from: Device,
    ) -> Result<SignedIn, Failure> {
        match self.accounts().sign_in(login, password, from).await {
            Ok(s) => Ok(SignedIn::Yes(Opened { token: s.token, expires: s.expires })),
            Err(AccountsError::SecondFactorNeeded(ticket)) => Ok(SignedIn::CodeNeeded(ticket)),
            Err(e) => Err(accounts_failure(&e)),
        }
    }

    /// Goes on with a code.
    pub(crate) async fn sign_in_second(
        &self,
        ticket: &Ticket,
        code: &str,
        from: Device,
    ) -> Result<Opened, Failure> {
        let opened = self.accounts().sign_in_second(ticket, code, from).await;
        let s = opened.map_err(|e| accounts_failure(&e))?;
        Ok(Opened { token: s.token, expires: s.expires })
    }
}

/// What a refusal of the accounts room is over HTTP.
pub(crate) fn accounts_failure(e: &AccountsError) -> Failure {
    let failure = match e {
        AccountsError::WrongCredentials => Failure::wrong_credentials(),
        AccountsError::TooManyAttempts { .. } | AccountsError::TooManySignUps => {
            Failure::too_many(sentence(&e.to_string()))
        }
        AccountsError::Crowded => Failure::busy(sentence(&e.to_string())),
        AccountsError::SecondFactorNeeded(_) => Failure::second_factor(),
        AccountsError::WrongCode => Failure::wrong_code(),
        AccountsError::TicketVoid => Failure::conflict("ticket-void", sentence(&e.to_string())),
        AccountsError::NothingToStop => {
            Failure::conflict("nothing-to-stop", sentence(&e.to_string()))
        }
        AccountsError::FactorIsOn => Failure::conflict("factor-is-on", sentence(&e.to_string())),
        AccountsError::TooManyKeys => Failure::too_many(sentence(&e.to_string())),
        AccountsError::NotConfirmed => Failure::not_confirmed(),
        AccountsError::NoMail => Failure::not_found("page"),
        AccountsError::NotInBook | AccountsError::NotUsableYet(_) | AccountsError::BookOnly => {
            Failure::conflict("not-in-book", sentence(&e.to_string()))
        }
        AccountsError::TooManyAddresses => Failure::too_many(sentence(&e.to_string())),
        AccountsError::FactorLost(_) => Failure::conflict("factor-lost", sentence(&e.to_string())),
        AccountsError::NoAccount => Failure::refused(sentence(&e.to_string())),
        AccountsError::LastOwner => Failure::conflict("last-owner", sentence(&e.to_string())),
        AccountsError::Taken => Failure::conflict("taken", sentence(&e.to_string())),
        other => Failure::of(other),
    };
    failure.after(e.retry_after())
}

/// An amount of nothing is not shown as a balance.
pub(crate) fn is_something(amounts: &[Amount]) -> bool {
    amounts.iter().any(|a| a.minor != 0)
}
