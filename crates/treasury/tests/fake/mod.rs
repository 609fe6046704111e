//! A house to test the treasury in: a database, a chain in memory, a node that may fail, a market
//! that takes payments for contracts.
#![allow(dead_code)] // each test file uses its part

pub mod chain;
pub mod follow;
pub mod node;
pub mod people;

use async_trait::async_trait;
use chain::FakeChain;
use follow::{Blocks, Books, Unbroken, broken};
use gruve_chain::{BlockRef, ChainParams, Follower, NetworkName, params_for, script_for_address};
use gruve_ledger::{Account, AccountKind, Entry, Posted, balance, post};
use gruve_store::testing::run_raw;
use gruve_store::{Engine, Store, Tx, transact};
use gruve_treasury::{
    BankAccount, ChainWallet, CrashPoints, DepthStep, Dispute, ExternalSigner, GatherPolicy,
    Invoice, InvoiceSink, InvoiceState, Keychain, NewInvoice, NewPayout, Payer, PayoutLimits,
    PayoutState, Purpose, Seed, SinkError, SweepPolicy, Treasury, TreasuryConfig, TreasuryError,
};
use gruve_units::{
    AccountId, Amount, Asset, Blame, ContractId, InvoiceId, ManualClock, PayoutId, SeededEntropy,
    Timestamp,
};
use miniscript::{Descriptor, DescriptorPublicKey};
use node::FakeNode;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

pub const ASSET: Asset = Asset::Btc;
pub const CONFIRMATIONS: u64 = 3;
pub const REORG_LIMIT: u64 = 20;
pub const MATURITY: u64 = 10;
/// Fewer than the house's own, which take a while in a debug build.
pub const LOOK_FAR: u32 = 60;
pub const HOUR: Duration = Duration::from_secs(3600);

pub fn sat(minor: i64) -> Amount {
    Amount::new(ASSET, minor)
}

pub fn account(n: u8) -> AccountId {
    AccountId::from_bytes([n; 16])
}

pub fn contract(n: u8) -> ContractId {
    ContractId::from_bytes([n; 16])
}

pub fn params() -> ChainParams {
    let regtest = params_for(ASSET, NetworkName::Regtest).unwrap();
    ChainParams { coinbase_maturity: MATURITY, ..regtest }
}

/// Somebody's address outside, one for each number.
pub fn stranger(n: u32) -> (String, Vec<u8>) {
    let mut script = vec![0, 20];
    script.extend([0x77; 16]);
    script.extend(n.to_be_bytes());
    (gruve_chain::address_for_script(&params(), &script).unwrap(), script)
}

/// Takes the price of a contract from the customer's balance, as the market does.
pub struct Market {
    pub refuses: bool,
}

#[async_trait]
impl InvoiceSink for Market {
    async fn paid(&self, tx: &mut Tx, invoice: &Invoice) -> Result<(), SinkError> {
        let Purpose::Contract(contract) = invoice.purpose else { return Ok(()) };
        let entry = Entry::transfer(
            format!("test:paid:{}", invoice.id),
            "test-paid",
            Timestamp(0),
            Account::CustomerAvailable(invoice.account),
            Account::PrepaidWork(contract),
            invoice.amount,
        );
        let posted = post(tx, &entry).await.map_err(|e| SinkError::of(&e))?;
        assert_eq!(posted, Posted::New, "an invoice was paid twice");
        if self.refuses {
            return Err(SinkError { blame: Blame::Rejected, message: "sold out".into() });
        }
        Ok(())
    }

    async fn expired(&self, _: &mut Tx, invoice: &Invoice) -> Result<(), SinkError> {
        assert_eq!(invoice.state, InvoiceState::Expired);
        Ok(())
    }

    async fn disputed(
        &self,
        tx: &mut Tx,
        invoice: &Invoice,
        dispute: &Dispute<'_>,
    ) -> Result<(), SinkError> {
        // Kept in the same transaction, by a name that nothing else has.
        const PUT: &str =
            "CREATE TABLE IF NOT EXISTS told_disputes (n INTEGER, told TEXT NOT NULL)";
        const TELL: &str = "INSERT INTO told_disputes (n, told)
            SELECT COALESCE(MAX(n), 0) + 1, $1 FROM told_disputes";
        let Dispute { name, stands } = dispute;
        let told = format!("{} {name} {stands:?}", invoice.amount);
        let keep = async |tx: &mut Tx| {
            tx.execute(PUT, &[]).await?;
            tx.execute(TELL, &gruve_store::params![told.as_str()]).await
        };
        keep(tx).await.map_err(|e| SinkError::of(&e))?;
        if self.refuses {
            return Err(SinkError { blame: Blame::Rejected, message: "not ours".into() });
        }
        Ok(())
    }
}

pub struct House {
    pub store: Store,
    pub clock: Arc<ManualClock>,
    pub entropy: Arc<SeededEntropy>,
    pub chain: Arc<FakeChain>,
    pub node: Arc<FakeNode>,
    pub treasury: Treasury,
    pub payer: Payer,
    /// Brings blocks as it does in the house, through the node that may fail.
    pub follower: Arc<Follower<Blocks>>,
    pub refuses: bool,
    /// Whether blocks pay their reward to the house.
    pub farm: bool,
    pub policies: Policies,
}

/// Addresses of each keychain whose coins the chain is asked for, from the descriptors that other wallets would read.
const ADDRESSES: u32 = 400;

/// All scripts of a wallet. Made once: most houses have the same seed.
fn scripts_of(treasury: &Treasury) -> Arc<BTreeSet<Vec<u8>>> {
    static MADE: Mutex<BTreeMap<String, Arc<BTreeSet<Vec<u8>>>>> = Mutex::new(BTreeMap::new());
    let key = treasury.descriptor(ASSET, Keychain::PayIn).unwrap();
    MADE.lock().unwrap().entry(key).or_insert_with(|| Arc::new(derived(treasury))).clone()
}

fn derived(treasury: &Treasury) -> BTreeSet<Vec<u8>> {
    let secp = bitcoin::secp256k1::Secp256k1::verification_only();
    let mut scripts = BTreeSet::new();
    for keychain in Keychain::ALL {
        let descriptor: Descriptor<DescriptorPublicKey> =
            treasury.descriptor(ASSET, keychain).unwrap().parse().unwrap();
        let count = match keychain {
            Keychain::PayIn | Keychain::Change => ADDRESSES,
            Keychain::Coinbase | Keychain::Capital => 1,
        };
        for index in 0..count {
            let derived = descriptor.derived_descriptor(&secp, index).unwrap();
            scripts.insert(derived.script_pubkey().into_bytes());
        }
    }
    scripts
}

pub fn treasury_config(node: &Arc<FakeNode>) -> TreasuryConfig {
    let mut wallet = ChainWallet::new(params(), node.clone());
    wallet.confirmations = CONFIRMATIONS;
    wallet.reorg_limit = REORG_LIMIT;
    wallet.payouts.auto_approve_max = 10_000_000;
    wallet.payouts.bump_after = Duration::from_secs(600);
    let bank = BankAccount {
        asset: Asset::Eur,
        iban: "DE89 3704 0044 0532 0130 00".to_owned(),
        holder: "Example Mining".to_owned(),
        bic: None,
        open_for: 24 * 14 * HOUR,
    };
    let config = TreasuryConfig::new(Seed::from_bytes([42; 32])).with_chain(wallet).with_bank(bank);
    TreasuryConfig { converted: vec![Asset::Usd], look_far: LOOK_FAR, ..config }
}

/// What the operator may have asked for beside payouts.
#[derive(Clone, Default)]
pub struct Policies {
    pub sweep: Option<SweepPolicy>,
    pub gather: Option<GatherPolicy>,
    /// Where larger pay-ins need more blocks.
    pub depths: Vec<DepthStep>,
    /// Up to what payouts leave without a person; above the second, in a day, two are needed.
    pub looks: Option<(i64, i64)>,
    /// How far it may begin behind its chain before payouts wait.
    pub behind_max: Option<u64>,
    /// Who signs elsewhere; the house has another seed then.
    pub signer: Option<ExternalSigner>,
}

pub fn open_treasury(
    store: &Store,
    clock: &Arc<ManualClock>,
    entropy: &Arc<SeededEntropy>,
    node: &Arc<FakeNode>,
    refuses: bool,
    policies: &Policies,
) -> Treasury {
    let mut config = treasury_config(node);
    config.chains[0].sweep.clone_from(&policies.sweep);
    config.chains[0].gather = policies.gather;
    config.chains[0].behind_max = policies.behind_max.unwrap_or(u64::MAX);
    config.chains[0].depths.clone_from(&policies.depths);
    if let Some((auto_approve_max, two_above)) = policies.looks {
        config.chains[0].payouts.auto_approve_max = auto_approve_max;
        let (customer_day, house_day, two_above) = (None, None, Some(two_above));
        config.limits = vec![PayoutLimits { asset: ASSET, customer_day, house_day, two_above }];
    }
    if let Some(signer) = &policies.signer {
        config.seed = Seed::from_bytes([99; 32]);
        config.chains[0].signer = Some(signer.clone());
    }
    let treasury = Treasury::new(store.clone(), clock.clone(), entropy.clone(), config).unwrap();
    treasury.tell_invoices_to(Arc::new(Market { refuses }));
    treasury
}

/// Has the database itself refuse a payout's state that may not follow the one before; SQLite's alone.
async fn hold_to_states(store: &Store) {
    static GUARD: OnceLock<String> = OnceLock::new();
    let all = PayoutState::ALL;
    let guard = GUARD.get_or_init(|| {
        let may = |from: PayoutState| {
            all.into_iter().filter(move |to| from == *to || from.may_become(*to))
        };
        let steps = all.into_iter().flat_map(|from| may(from).map(move |to| (from, to)));
        let steps: Vec<String> = steps.map(|(from, to)| format!("'{from} > {to}'")).collect();
        format!(
            "CREATE TRIGGER IF NOT EXISTS told_states BEFORE UPDATE OF state ON treasury_payouts
            WHEN OLD.state || ' > ' || NEW.state NOT IN ({})
            BEGIN SELECT RAISE(ABORT, 'a payout may not become so'); END",
            steps.join(", ")
        )
    });
    if store.engine() == Engine::Sqlite {
        run_raw(store, guard).await.unwrap();
    }
}

impl House {
    pub async fn new(store: Store, seed: u64) -> House {
        House::build(store, seed, false).await
    }

    pub async fn refusing(store: Store) -> House {
        House::build(store, 1, true).await
    }

    /// A house whose coins are signed for elsewhere.
    pub async fn signed_by(store: Store, signer: ExternalSigner) -> House {
        let policies = Policies { signer: Some(signer), ..Policies::default() };
        House::build_with(store, 1, false, policies).await
    }

    async fn build(store: Store, seed: u64, refuses: bool) -> House {
        House::build_with(store, seed, refuses, Policies::default()).await
    }

    async fn build_with(store: Store, seed: u64, refuses: bool, policies: Policies) -> House {
        store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
        store.migrate("treasury", gruve_treasury::MIGRATIONS).await.unwrap();
        hold_to_states(&store).await;
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
        let entropy = Arc::new(SeededEntropy::new(seed));
        let chain = Arc::new(FakeChain::new(MATURITY));
        let node = Arc::new(FakeNode::new(chain.clone(), params()));
        let treasury = open_treasury(&store, &clock, &entropy, &node, refuses, &policies);
        let payer = Payer::new(treasury.clone());
        let books = Books { store: store.clone(), treasury: treasury.clone() };
        let follower = follow::follower(&node, books, Arc::new(Unbroken));
        let house = House {
            store,
            clock,
            entropy,
            chain,
            node,
            treasury,
            payer,
            follower,
            refuses,
            farm: false,
            policies,
        };
        house.follow().await;
        house
    }

    /// As after a kill: everything in memory is gone.
    pub fn restart(&mut self) {
        let (node, policies) = (&self.node, &self.policies);
        self.treasury =
            open_treasury(&self.store, &self.clock, &self.entropy, node, self.refuses, policies);
        self.payer = Payer::new(self.treasury.clone());
        self.follower = follow::follower(&self.node, self.books(), Arc::new(Unbroken));
    }

    /// Brings the database to the chain's tip.
    pub async fn follow(&self) {
        while self.follow_one(&mut || false).await.unwrap() {}
    }

    /// What blocks are booked by.
    pub fn books(&self) -> Books {
        Books { store: self.store.clone(), treasury: self.treasury.clone() }
    }

    /// Has this life break off where `breaks` says, in the treasury and where blocks are booked.
    pub fn break_off_with(&mut self, breaks: Arc<dyn CrashPoints>) {
        self.treasury.break_off_with(breaks.clone());
        self.follower = follow::follower(&self.node, self.books(), breaks);
    }

    /// One block nearer to the chain's tip; `breaks` is asked before and after the commit. Gives
    /// whether there was anything to do.
    pub async fn follow_one(
        &self,
        breaks: &mut (dyn FnMut() -> bool + Send),
    ) -> Result<bool, TreasuryError> {
        let books = self.books();
        let top = books.top().await?;
        let before = breaks();
        let left = |t: &BlockRef| self.chain.block(t.height).is_none_or(|b| b.hash != t.hash);
        if let Some(top) = top.filter(left) {
            books.disconnect(&top, before).await?;
            broken(breaks())?;
            return Ok(true);
        }
        let height = top.map_or(0, |t| t.height + 1);
        let Some(block) = self.chain.block(height) else { return Ok(false) };
        books.connect(height, &block, before).await?;
        broken(breaks())?;
        Ok(true)
    }

    pub fn coinbase_script(&self) -> Vec<u8> {
        if self.farm { self.treasury.coinbase_script(ASSET).unwrap() } else { vec![0x51] }
    }

    /// Mines blocks with all that waits, and follows.
    pub async fn mine(&self, blocks: u64) {
        for _ in 0..blocks {
            self.chain.mine(&self.coinbase_script(), |_| true);
        }
        self.follow().await;
        self.check().await;
    }

    /// The books balance and say what the chain says.
    pub async fn check(&self) {
        self.check_coins().await;
        let mut tx = self.store.read().await.unwrap();
        let audit = gruve_ledger::audit(&mut tx).await.unwrap();
        assert!(audit.findings.is_empty(), "{audit:?}");
    }

    /// The tables and the books have just the coins that the chain has.
    pub async fn check_coins(&self) {
        let mut tx = self.store.read().await.unwrap();
        let r = self.treasury.reconcile(&mut tx, ASSET).await.unwrap();
        assert!(r.agrees(), "tables and books differ: {r:?}");
        let top = self.treasury.known_blocks(&mut tx, ASSET, 1).await.unwrap()[0];
        let row = "SELECT MAX(key_index) AS last FROM treasury_addresses";
        let last: Option<i64> = tx.fetch_one(row, &[]).await.unwrap().get("last").unwrap();
        assert!(last.unwrap_or(0) < i64::from(ADDRESSES), "more addresses than are looked at");
        // What is followed half is compared when it is followed whole.
        if self.chain.height() != top.height
            || self.chain.block(top.height).unwrap().hash != top.hash
        {
            return;
        }
        let in_chain = self.chain.unspent(&scripts_of(&self.treasury));
        let in_books = r.books_hot.minor + r.books_maturing.minor;
        assert_eq!(in_chain, in_books, "the chain's coins and the books differ");
    }

    pub async fn balance(&self, account: Account) -> i64 {
        let mut tx = self.store.read().await.unwrap();
        balance(&mut tx, &account, ASSET).await.unwrap().minor
    }

    pub async fn available(&self, n: u8) -> i64 {
        self.balance(Account::CustomerAvailable(account(n))).await
    }

    pub async fn held(&self, n: u8) -> i64 {
        self.balance(Account::CustomerHeld(account(n))).await
    }

    pub async fn total(&self, kind: AccountKind) -> i64 {
        let mut tx = self.store.read().await.unwrap();
        let totals = gruve_ledger::totals(&mut tx, ASSET).await.unwrap();
        totals.iter().find(|(k, _)| *k == kind).map_or(0, |(_, a)| a.minor)
    }

    pub async fn invoice(&self, n: u8, minor: i64, purpose: Purpose) -> Invoice {
        self.invoice_in(n, sat(minor), purpose).await
    }

    pub async fn invoice_in(&self, n: u8, amount: Amount, purpose: Purpose) -> Invoice {
        self.ask_invoice(n, amount, purpose).await.unwrap()
    }

    /// The same where the house may break off.
    pub async fn ask_invoice(
        &self,
        n: u8,
        amount: Amount,
        purpose: Purpose,
    ) -> Result<Invoice, TreasuryError> {
        let new = NewInvoice { account: account(n), amount, purpose, ttl: HOUR };
        transact!(self.store, tx -> Result<Invoice, TreasuryError> => {
            self.treasury.create_invoice(tx, new).await
        })
    }

    pub async fn look(&self, id: InvoiceId) -> Invoice {
        self.treasury.invoice(id).await.unwrap().unwrap()
    }

    /// Somebody pays to an address.
    pub fn pay(&self, address: &str, minor: i64) -> [u8; 32] {
        self.chain.pay(&script_for_address(&params(), address).unwrap(), minor)
    }

    /// Puts operator's coins into the hot wallet and makes them spendable.
    pub async fn fill(&self, coins: &[i64]) {
        let address = self.treasury.capital_address(ASSET).unwrap();
        for &coin in coins {
            self.pay(&address, coin);
        }
        self.mine(CONFIRMATIONS).await;
    }

    /// Gives a customer coins by a top-up.
    pub async fn top_up(&self, n: u8, minor: i64) -> Invoice {
        let invoice = self.invoice(n, minor, Purpose::TopUp).await;
        self.pay(&invoice.address, minor);
        self.mine(CONFIRMATIONS).await;
        invoice
    }

    pub async fn request(&self, n: u8, minor: i64, to: &str) -> Result<PayoutId, TreasuryError> {
        let new = NewPayout {
            account: account(n),
            amount: sat(minor),
            address: to.to_owned(),
            request_key: None,
        };
        self.treasury.request_payout(new).await
    }

    pub async fn payout(&self, id: PayoutId) -> gruve_treasury::Payout {
        self.treasury.payout(id).await.unwrap().unwrap()
    }
}
