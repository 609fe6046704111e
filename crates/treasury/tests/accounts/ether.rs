//! The same wallet with Ether and another chain's number: nothing of it is Classic's.

use async_trait::async_trait;
use gruve_chain::devchain::eth::{EthDevChain, EthDevParams, EthDifficulty};
use gruve_chain::eth::follow::{AccountChain, FollowedEthBlock};
use gruve_chain::eth::{AccountNode, EthRpcNode, EthRpcOptions, wei};
use gruve_chain::follow::{Options, Progress, Start};
use gruve_chain::{BlockRef, ChainSink, Follower, SinkError};
use gruve_ledger::{Account, balance};
use gruve_store::testing::TestDir;
use gruve_store::{Store, transact};
use gruve_treasury::{
    AccountBlock, AccountChainWallet, Invoice, InvoiceState, NewInvoice, NewPayout, Payer,
    PayoutState, Purpose, Seed, Treasury, TreasuryConfig, TreasuryError,
};
use gruve_units::{AccountId, Amount, Asset, Duration, ManualClock, SeededEntropy, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

/// Ethereum's number.
const CHAIN_ID: u64 = 1;
const COIN: i64 = 1_000_000_000;
const OUTSIDE: &str = "0x7171717171717171717171717171717171717171";

gruve_store::laws! { ether: [
    ether_is_taken_swept_and_paid_out_on_its_own_chain,
]}

/// Books blocks of a chain that nobody here mines.
struct Sink {
    store: Store,
    treasury: Treasury,
    node: Arc<EthRpcNode>,
}

#[async_trait]
impl ChainSink<FollowedEthBlock> for Sink {
    async fn known(&self, limit: usize) -> Result<Vec<BlockRef>, SinkError> {
        let mut tx = self.store.read().await.map_err(SinkError::new)?;
        let known = self.treasury.known_blocks(&mut tx, Asset::Eth, limit as u64).await;
        known.map_err(SinkError::new)
    }

    async fn connect(&self, at: &FollowedEthBlock) -> Result<(), SinkError> {
        let wanted = {
            let mut tx = self.store.read().await.map_err(SinkError::new)?;
            let wanted = self.treasury.receipts_wanted(&mut tx, Asset::Eth, &at.block).await;
            wanted.map_err(SinkError::new)?
        };
        let mut receipts = Vec::new();
        for hash in wanted {
            receipts.extend(self.node.receipt(&hash).await.map_err(SinkError::new)?);
        }
        let block = AccountBlock { block: &at.block, receipts: &receipts, earned: &[] };
        transact!(self.store, tx -> Result<(), TreasuryError> => {
            self.treasury.connect_account_block(tx, Asset::Eth, &block).await?;
            Ok(())
        })
        .map_err(SinkError::new)
    }

    async fn disconnect(&self, block: &BlockRef) -> Result<(), SinkError> {
        transact!(self.store, tx -> Result<(), TreasuryError> => {
            self.treasury.disconnect_block(tx, Asset::Eth, block).await?;
            Ok(())
        })
        .map_err(SinkError::new)
    }
}

async fn ether_is_taken_swept_and_paid_out_on_its_own_chain(store: Store) {
    store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
    store.migrate("treasury", gruve_treasury::MIGRATIONS).await.unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let (entropy, dir) = (Arc::new(SeededEntropy::new(1)), TestDir::new());
    let params = EthDevParams {
        chain_id: CHAIN_ID,
        difficulty: EthDifficulty::fixed(1),
        ..EthDevParams::classic()
    };
    let chain = EthDevChain::open(dir.path(), params, clock.clone(), entropy.as_ref()).unwrap();
    let server = chain.serve(std::net::TcpListener::bind("127.0.0.1:0").unwrap(), None).unwrap();
    let node = EthRpcNode::new(&server.url(), None, EthRpcOptions::default()).unwrap();
    let node = Arc::new(node);
    let mut wallet = AccountChainWallet::new(Asset::Eth, CHAIN_ID, true, node.clone());
    wallet.confirmations = 2;
    wallet.reorg_limit = 12;
    wallet.payouts.auto_approve_max = 100 * COIN;
    let config = TreasuryConfig::new(Seed::from_bytes([42; 32])).with_accounts(wallet);
    let treasury = Treasury::new(store.clone(), clock, entropy, config).unwrap();
    let sink = Sink { store: store.clone(), treasury: treasury.clone(), node: node.clone() };
    let options =
        Options { reorg_limit: 12, poll: Duration::from_secs(1), start: Start::Height(0) };
    let followed = AccountChain { node: node.clone(), title: "Ether".to_owned() };
    let follower = Follower::of(followed, Arc::new(sink), options);
    let payer = Payer::new(treasury.clone());
    let mine = async |blocks: u32| {
        chain.mine(blocks).unwrap();
        while !matches!(follower.step().await.unwrap(), Progress::UpToDate(_)) {}
    };
    mine(1).await;

    let customer = AccountId::from_bytes([1; 16]);
    let (amount, ttl) = (Amount::new(Asset::Eth, 3 * COIN), Duration::from_secs(3_600));
    let new = NewInvoice { account: customer, amount, purpose: Purpose::TopUp, ttl };
    let invoice = transact!(store, tx -> Result<Invoice, TreasuryError> => {
        treasury.create_invoice(tx, new).await
    })
    .unwrap();
    let uri = format!("ethereum:{}@1?value=3000000000000000000", invoice.address);
    assert_eq!(invoice.uri(), uri);
    let (from, value) = (chain.wallet_address().to_string(), wei::from_gwei(3 * COIN).unwrap());
    let order = json!([{ "from": from, "to": invoice.address, "value": format!("{value:#x}") }]);
    chain.call("eth_sendTransaction", &order).unwrap_or_else(|e| panic!("{e}"));
    treasury.look_at_pool(Asset::Eth).await.unwrap();
    assert_eq!(treasury.unconfirmed(&invoice).await.unwrap().unwrap().marks.len(), 1);
    mine(2).await;
    let paid = treasury.invoice(invoice.id).await.unwrap().unwrap();
    assert_eq!(paid.state, InvoiceState::Confirmed);

    // What came is swept, and a part of it paid out, signed for this chain alone.
    let to = OUTSIDE.to_owned();
    let amount = Amount::new(Asset::Eth, COIN);
    let new = NewPayout { account: customer, amount, address: to, request_key: None };
    let payout = treasury.request_payout(new).await.unwrap();
    for _ in 0..6 {
        payer.step().await.unwrap();
        mine(1).await;
    }
    let payout = treasury.payout(payout).await.unwrap().unwrap();
    assert_eq!(payout.state, PayoutState::Confirmed, "{:?}", payout.reason);
    let call = |method: &str, params: &Value| {
        chain.call(method, params).unwrap_or_else(|e| panic!("{method}: {e}"))
    };
    let holds = |address: &str| {
        let held = call("eth_getBalance", &json!([address, "latest"]));
        wei::split(held.as_str().unwrap().parse().unwrap()).unwrap().0
    };
    assert_eq!(holds(OUTSIDE), payout.receives().unwrap().minor);
    let sent = call("eth_getTransactionByHash", &json!([payout.txid.unwrap()]));
    let v = sent["v"].as_str().unwrap();
    assert!(["0x25", "0x26"].contains(&v), "EIP-155 with chain 1: {sent:#}");
    let hot = treasury.hot_address(Asset::Eth).unwrap().to_string();
    assert!(holds(&hot) > COIN, "what was left after the sweep");

    let mut tx = store.read().await.unwrap();
    assert!(treasury.reconcile(&mut tx, Asset::Eth).await.unwrap().agrees());
    let left = balance(&mut tx, &Account::CustomerAvailable(customer), Asset::Eth).await.unwrap();
    assert_eq!(left.minor, 2 * COIN);
    drop(tx);
    assert_eq!(treasury.compare_with_node(Asset::Eth).await.unwrap().differences, []);
}
