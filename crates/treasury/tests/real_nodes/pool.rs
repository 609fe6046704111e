//! Payments that wait in a real node's memory pool: marked while they are there, replaced, forgotten, spent otherwise by
//! a block, among thousands of others.

use super::*;
use gruve_treasury::Mark;

impl Bench {
    async fn invoice(&self, coins: i64) -> Invoice {
        let asset = self.params.asset;
        let amount = Amount::new(asset, coins * asset.unit());
        let ttl = Duration::from_secs(86_400);
        let new = NewInvoice { account: customer(), amount, purpose: Purpose::TopUp, ttl };
        let (store, treasury) = self.sink.parts();
        transact!(store, tx -> Result<Invoice, TreasuryError> => {
            treasury.create_invoice(tx, new).await
        })
        .unwrap()
    }

    /// What is marked after another look.
    async fn marked(&self, invoice: &Invoice) -> Vec<Mark> {
        let looked = self.treasury().look_at_pool(self.params.asset).await.unwrap();
        assert!(looked.is_told, "an invoice is open, and the node tells");
        self.marks(invoice).await
    }

    async fn marks(&self, invoice: &Invoice) -> Vec<Mark> {
        let now = self.treasury().invoice(invoice.id).await.unwrap().unwrap();
        self.treasury().unconfirmed(&now).await.unwrap().unwrap().marks
    }

    async fn invoice_state(&self, invoice: &Invoice) -> InvoiceState {
        self.treasury().invoice(invoice.id).await.unwrap().unwrap().state
    }

    async fn send(&self, bytes: &[u8]) -> String {
        let sent = self.node.send_transaction(bytes).await.unwrap();
        assert_eq!(sent, SendOutcome::Accepted);
        txid_of(bytes)
    }
}

fn txid_of(bytes: &[u8]) -> String {
    let tx: Transaction = bitcoin::consensus::deserialize(bytes).unwrap();
    tx.compute_txid().to_string()
}

async fn marks_what_waits(program: Program) {
    let dir = testing::TestDir::new();
    let mut bench = Bench::new(program, &dir).await;
    let coin = bench.params.asset.unit();
    let payer = Somebody::with_coins(&bench).await;
    let forgotten = Somebody::with_coins(&bench).await;
    let comes = Somebody::with_coins(&bench).await;
    bench.mine(101).await;
    let before = bench.available().await;
    let invoice = bench.invoice(2).await;
    let script = script_for_address(&bench.params, &invoice.address).unwrap();
    assert_eq!(bench.marked(&invoice).await, []);

    // Seen before any block, and of no effect.
    let first = bench.send(&payer.pay(&script, 2 * coin, 10_000)).await;
    let found = bench.marked(&invoice).await;
    let [mark] = found[..] else { panic!("{found:?}") };
    assert_eq!((mark.transaction(), mark.amount.minor), (first.clone(), 2 * coin));
    assert_eq!(bench.invoice_state(&invoice).await, InvoiceState::New);
    assert_eq!(bench.total(AccountKind::UnmatchedReceipts).await, 0);
    bench.restart();
    assert_eq!(bench.marks(&invoice).await, []);
    assert_eq!(bench.marked(&invoice).await.len(), 1, "made again after a restart");

    // Replaced by one with a higher fee, that pays less.
    let second = bench.send(&payer.pay(&script, coin, 100_000)).await;
    let found = bench.marked(&invoice).await;
    let found: Vec<_> = found.iter().map(|m| (m.transaction(), m.amount.minor)).collect();
    assert_eq!(found, [(second, coin)]);

    // A block spends the coin otherwise.
    let elsewhere = script_for_address(&bench.params, &bench.address(9)).unwrap();
    let otherwise = hex::encode(payer.pay(&elsewhere, coin, 10_000));
    bench.real.call("generateblock", json!([bench.address(200), [otherwise]])).await;
    assert_eq!(bench.marked(&invoice).await, [], "before the block is followed");
    bench.follow().await;
    assert_eq!(bench.marked(&invoice).await, []);
    assert_eq!(bench.invoice_state(&invoice).await, InvoiceState::New);

    // The node forgets what has waited for two weeks as soon as another comes. That one pays, and is confirmed.
    bench.send(&forgotten.pay(&script, coin, 10_000)).await;
    assert_eq!(bench.marked(&invoice).await.len(), 1);
    let later = SystemClock.now().secs() + 15 * 86_400;
    bench.real.call("setmocktime", json!([later])).await;
    let last = bench.send(&comes.pay(&script, 2 * coin, 10_000)).await;
    let found = bench.marked(&invoice).await;
    assert_eq!(found.iter().map(Mark::transaction).collect::<Vec<_>>(), [last]);
    bench.mine(1).await;
    assert_eq!(bench.marks(&invoice).await, [], "a receipt now");
    assert_eq!(bench.marked(&invoice).await, []);
    assert_eq!(bench.invoice_state(&invoice).await, InvoiceState::Paid);
    bench.mine(1).await;
    assert_eq!(bench.invoice_state(&invoice).await, InvoiceState::Confirmed);
    assert_eq!(bench.available().await, before + 2 * coin);
}

/// Transactions of others beside the one that pays: more than a look reads.
const OTHERS: u16 = 2_100;

async fn finds_one_among_thousands(program: Program) {
    let dir = testing::TestDir::new();
    let bench = Bench::new(program, &dir).await;
    let coin = bench.params.asset.unit();
    let payer = Somebody::with_coins(&bench).await;
    let many = Somebody::with_coins(&bench).await;
    bench.mine(101).await;
    let own = Somebody::script(&many.key).into_bytes();
    let mut outputs = vec![(own.clone(), 100_000); usize::from(OTHERS)];
    outputs.push((own.clone(), many.coin.1 - i64::from(OTHERS) * 100_000 - 1_000_000));
    let wide = many.spend(many.coin, &outputs);
    let id = bench.send(&wide).await.parse().unwrap();
    bench.mine(1).await;
    let invoice = bench.invoice(1).await;
    for vout in 0..u32::from(OTHERS) {
        let one = many.spend((OutPoint { txid: id, vout }, 100_000), &[(own.clone(), 99_000)]);
        bench.send(&one).await;
    }
    let asset = bench.params.asset;
    let looked = bench.treasury().look_at_pool(asset).await.unwrap();
    assert_eq!((looked.listed, looked.read, looked.unread), (usize::from(OTHERS), 2_000, 100));
    let script = script_for_address(&bench.params, &invoice.address).unwrap();
    let paid = bench.send(&payer.pay(&script, coin, 10_000)).await;
    let looked = bench.treasury().look_at_pool(asset).await.unwrap();
    assert_eq!((looked.read, looked.unread), (101, 0), "each is read once");
    let found = bench.marks(&invoice).await;
    assert_eq!(found.iter().map(Mark::transaction).collect::<Vec<_>>(), [paid]);
}

#[tokio::test]
async fn on_litecoind_a_payment_shows_while_it_waits_and_only_then() {
    marks_what_waits(Program::Litecoind(Mweb::Never)).await;
}

#[tokio::test]
async fn on_bitcoind_a_payment_shows_while_it_waits_and_only_then() {
    marks_what_waits(Program::Bitcoind).await;
}

#[tokio::test]
async fn on_bitcoind_a_payment_shows_among_thousands_of_others() {
    finds_one_among_thousands(Program::Bitcoind).await;
}
