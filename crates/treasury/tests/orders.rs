//! Transactions that a signer elsewhere signs, on both engines. The chain in memory verifies every signature and says
//! at the end who was paid how often.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod fake;

use async_trait::async_trait;
use fake::{ASSET, CONFIRMATIONS, House, REORG_LIMIT, account, stranger};
use gruve_ledger::Account;
use gruve_store::Store;
use gruve_treasury::{
    CrashPoints, ExternalSigner, Lock, Outcome, PayoutState, ScriptForm, Seed, SignerDoor,
    SignerWord, TreasuryError, WalletKeys, order,
};
use gruve_units::PayoutId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

gruve_store::laws! { orders: [
    what_is_signed_elsewhere_is_paid_exactly_once,
    an_answer_to_something_else_is_noted_and_waited_on,
    a_signer_that_says_no_or_is_away_holds_up_nothing_and_loses_nothing,
    a_crash_anywhere_asks_for_the_same_bytes_and_pays_once,
    nothing_is_ordered_or_asked_for_while_a_person_has_to_look,
    a_higher_fee_is_another_form_of_the_same_order,
    a_withdrawn_order_comes_back_when_the_chain_has_decided,
    a_signature_that_comes_before_the_withdrawals_wins_and_is_paid_once,
    a_withdrawal_that_leaves_the_chain_gives_nothing_back,
    a_transaction_one_of_whose_coins_is_gone_can_be_withdrawn,
]}

const COIN: i64 = 1_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Away,
    Silent,
    Signs,
    /// Signs all but the order with this number (from the first).
    SignsButFirst,
    SignsAnother,
    Refuses,
}

/// A signer with the keys.
struct Signer {
    keys: WalletKeys,
    mood: Mutex<Mood>,
    /// Every order it was ever given, by name, in the order in which they first came.
    seen: Mutex<Vec<(String, Vec<u8>)>>,
    over: Mutex<BTreeSet<String>>,
}

impl Signer {
    fn new() -> Arc<Signer> {
        let seed = Seed::from_bytes([42; 32]);
        let keys = WalletKeys::new(&seed, ASSET, ScriptForm::Wpkh, false).unwrap();
        let (mood, seen, over) = (Mutex::new(Mood::Signs), Mutex::default(), Mutex::default());
        Arc::new(Signer { keys, mood, seen, over })
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn orders(&self) -> Vec<(String, Vec<u8>)> {
        self.seen.lock().unwrap().clone()
    }

    /// The signed transaction of an order, as this signer could send it itself.
    fn signed(&self, at: usize) -> Vec<u8> {
        let answer = order::answer(&self.orders()[at].1, &self.keys).unwrap();
        let psbt = bitcoin::psbt::Psbt::deserialize(&answer).unwrap();
        bitcoin::consensus::serialize(&psbt.extract_tx_unchecked_fee_rate())
    }
}

#[async_trait]
impl SignerDoor for Signer {
    async fn ask(&self, name: &str, psbt: &[u8]) -> Result<SignerWord, String> {
        let mood = *self.mood.lock().unwrap();
        if mood == Mood::Away {
            return Err("no way".into());
        }
        let at = {
            let mut seen = self.seen.lock().unwrap();
            let known = seen.iter().position(|(n, _)| n == name);
            known.unwrap_or_else(|| {
                seen.push((name.to_owned(), psbt.to_vec()));
                seen.len() - 1
            })
        };
        assert_eq!(self.orders()[at].1, psbt, "the same name is the same bytes");
        Ok(match mood {
            Mood::Refuses => SignerWord::Refused("above today's limit".into()),
            Mood::SignsAnother => {
                let mut psbt = bitcoin::psbt::Psbt::deserialize(psbt).unwrap();
                psbt.unsigned_tx.output[0].value -= bitcoin::Amount::from_sat(1);
                SignerWord::Signed(order::answer(&psbt.serialize(), &self.keys).unwrap())
            }
            Mood::Signs => SignerWord::Signed(order::answer(psbt, &self.keys).unwrap()),
            Mood::SignsButFirst if at > 0 => {
                SignerWord::Signed(order::answer(psbt, &self.keys).unwrap())
            }
            _ => SignerWord::Waits,
        })
    }

    async fn over(&self, name: &str) {
        self.over.lock().unwrap().insert(name.to_owned());
    }
}

/// A house with coins that it has no key of.
async fn house(store: Store, coins: &[i64]) -> (House, Arc<Signer>) {
    let signer = Signer::new();
    let account_key = signer.keys.account_key();
    let external = ExternalSigner { account_key, door: signer.clone() };
    let house = House::signed_by(store, external).await;
    house.fill(coins).await;
    house.top_up(1, 9 * COIN).await;
    (house, signer)
}

async fn step(house: &House) {
    house.clock.advance(Duration::from_secs(10));
    house.payer.step().await.unwrap();
}

async fn ask(house: &House, n: u32, coins: i64) -> PayoutId {
    house.request(1, coins * COIN, &stranger(n).0).await.unwrap()
}

fn paid(house: &House, n: u32) -> usize {
    house.chain.payments_to(&stranger(n).1).len()
}

async fn first_order(house: &House) -> gruve_treasury::Order {
    house.treasury.orders().await.unwrap().pop().unwrap()
}

async fn what_is_signed_elsewhere_is_paid_exactly_once(store: Store) {
    let (house, signer) = house(store, &[5 * COIN]).await;
    signer.is(Mood::Silent);
    let (one, two) = (ask(&house, 1, 3).await, ask(&house, 2, 2).await);
    step(&house).await;
    let orders = signer.orders();
    assert_eq!(orders.len(), 1);
    let shown = order::read(&orders[0].1, &signer.keys).unwrap();
    let mut pays: BTreeMap<Vec<u8>, i64> = shown.payments.iter().cloned().collect();
    for (n, id) in [(1, one), (2, two)] {
        let payout = house.payout(id).await;
        assert_eq!(payout.state, PayoutState::Signed, "the signer may have sent it");
        assert!(payout.reason.as_ref().unwrap().contains("elsewhere"));
        assert_eq!(pays.remove(&stranger(n).1), Some(payout.receives().unwrap().minor));
        let late = house.treasury.cancel_payout(account(1), id).await;
        assert!(matches!(late, Err(TreasuryError::TooLate { .. })));
    }
    assert!(pays.is_empty());
    let listed = first_order(&house).await;
    assert_eq!((listed.outcome, listed.payouts, listed.form), (Outcome::Waiting, 2, 0));
    assert_eq!(listed.fee.minor, shown.fee);
    assert_eq!(listed.pays.minor, shown.payments.iter().map(|p| p.1).sum::<i64>());
    step(&house).await;
    assert_eq!(house.chain.waiting(), 0);
    // A change address is given out; nothing is asked for twice under another name.
    signer.is(Mood::Signs);
    step(&house).await;
    assert_eq!((signer.orders().len(), house.chain.waiting()), (1, 1));
    assert_eq!(signer.over.lock().unwrap().len(), 1);
    assert_eq!(first_order(&house).await.outcome, Outcome::Signed);
    house.mine(1).await;
    for id in [one, two] {
        let payout = house.payout(id).await;
        assert_eq!((payout.state, payout.reason), (PayoutState::Confirmed, None));
    }
    assert_eq!((paid(&house, 1), paid(&house, 2)), (1, 1));
    assert_eq!(first_order(&house).await.outcome, Outcome::Confirmed);
    assert_eq!(house.balance(Account::PayoutsInFlight).await, 0);
}

async fn an_answer_to_something_else_is_noted_and_waited_on(store: Store) {
    let (house, signer) = house(store, &[5 * COIN]).await;
    signer.is(Mood::SignsAnother);
    let id = ask(&house, 1, 3).await;
    for _ in 0..3 {
        step(&house).await;
        assert_eq!(house.chain.waiting(), 0);
    }
    let order = first_order(&house).await;
    assert_eq!(order.outcome, Outcome::Waiting);
    assert!(order.answer.unwrap().contains("another transaction"));
    signer.is(Mood::Signs);
    step(&house).await;
    house.mine(1).await;
    assert_eq!(house.payout(id).await.state, PayoutState::Confirmed);
    assert_eq!(first_order(&house).await.answer, None);
}

async fn a_signer_that_says_no_or_is_away_holds_up_nothing_and_loses_nothing(store: Store) {
    let (house, signer) = house(store, &[5 * COIN]).await;
    signer.is(Mood::Away);
    let id = ask(&house, 1, 3).await;
    step(&house).await;
    // Time goes on for invoices meanwhile.
    let invoice = house.invoice(2, COIN, gruve_treasury::Purpose::TopUp).await;
    house.clock.advance(fake::HOUR * 2);
    step(&house).await;
    assert_eq!(house.look(invoice.id).await.state, gruve_treasury::InvoiceState::Expired);
    signer.is(Mood::Refuses);
    step(&house).await;
    let order = first_order(&house).await;
    assert_eq!(order.answer.as_deref(), Some("refused: above today's limit"));
    signer.is(Mood::Signs);
    step(&house).await;
    house.mine(1).await;
    assert_eq!((house.payout(id).await.state, paid(&house, 1)), (PayoutState::Confirmed, 1));
}

/// Breaks off once at the point of this name.
struct Once(&'static str, AtomicBool);

impl CrashPoints for Once {
    fn passes(&self, point: &'static str) -> bool {
        point != self.0 || self.1.swap(true, Ordering::SeqCst)
    }
}

const POINTS: [&str; 8] = [
    "ordered, before commit",
    "ordered, after commit",
    "order written, before commit",
    "order written, after commit",
    "before asking the signer",
    "signer asked, before it is noted",
    "answer taken, before commit",
    "answer taken, after commit",
];

async fn a_crash_anywhere_asks_for_the_same_bytes_and_pays_once(store: Store) {
    let (mut house, signer) = house(store, &[50 * COIN]).await;
    for (n, point) in (1_u32..).zip(POINTS) {
        let id = ask(&house, n, 1).await;
        house.restart();
        let once = Arc::new(Once(point, AtomicBool::new(false)));
        house.treasury.break_off_with(once.clone());
        house.clock.advance(Duration::from_secs(10));
        let broken = house.payer.step().await;
        assert!(matches!(broken, Err(TreasuryError::BrokenOff(p)) if p == point), "{point}");
        house.restart();
        step(&house).await;
        house.mine(1).await;
        assert_eq!(house.payout(id).await.state, PayoutState::Confirmed, "{point}");
        assert_eq!(paid(&house, n), 1, "{point}");
        house.mine(CONFIRMATIONS).await;
    }
    assert_eq!(signer.orders().len(), POINTS.len());
}

/// Somebody else spends a coin of the house that no order has.
async fn steal_another(house: &House) {
    let sql = "SELECT u.txid, u.vout FROM treasury_utxos u WHERE u.spent_height IS NULL
        AND NOT EXISTS (SELECT 1 FROM treasury_reservations r WHERE r.txid = u.txid AND r.vout = u.vout)
        ORDER BY u.value LIMIT 1";
    let coin = {
        let mut tx = house.store.read().await.unwrap();
        let row = tx.fetch_one(sql, &[]).await.unwrap();
        (row.get("txid").unwrap(), row.get("vout").unwrap())
    };
    house.chain.steal(coin);
    house.mine(1).await;
}

async fn accept_loss(house: &House) {
    let locks = house.treasury.payout_locks(ASSET).await.unwrap();
    let [Lock::Unexplained { txid, .. }] = &locks[..] else { panic!("{locks:?}") };
    house.treasury.accept_loss(ASSET, txid, "somebody").await.unwrap();
}

async fn nothing_is_ordered_or_asked_for_while_a_person_has_to_look(store: Store) {
    let (mut house, signer) = house(store, &[5 * COIN, 4 * COIN, 3 * COIN]).await;
    let id = ask(&house, 1, 1).await;
    house.restart();
    let once = Arc::new(Once("ordered, before commit", AtomicBool::new(false)));
    house.treasury.break_off_with(once);
    assert!(house.payer.step().await.is_err());
    house.restart();
    assert_eq!(house.payout(id).await.state, PayoutState::Funded);
    steal_another(&house).await;
    step(&house).await;
    assert_eq!(house.payout(id).await.state, PayoutState::Funded);
    assert!(signer.orders().is_empty());
    accept_loss(&house).await;
    // Ordered, and nobody has heard of it yet.
    signer.is(Mood::Away);
    step(&house).await;
    assert_eq!(first_order(&house).await.outcome, Outcome::Waiting);
    signer.is(Mood::Signs);
    steal_another(&house).await;
    step(&house).await;
    assert!(signer.orders().is_empty());
    accept_loss(&house).await;
    step(&house).await;
    house.mine(1).await;
    assert_eq!((house.payout(id).await.state, paid(&house, 1)), (PayoutState::Confirmed, 1));
}

async fn a_higher_fee_is_another_form_of_the_same_order(store: Store) {
    let (house, signer) = house(store, &[5 * COIN]).await;
    let id = ask(&house, 1, 3).await;
    step(&house).await;
    let first = house.chain.ids_paying(&stranger(1).1);
    house.node.set_rate(Some(9_000));
    house.clock.advance(Duration::from_secs(601));
    signer.is(Mood::Silent);
    step(&house).await;
    step(&house).await;
    let forms: Vec<u32> = house.treasury.orders().await.unwrap().iter().map(|o| o.form).collect();
    assert_eq!(forms, [1, 0], "one that waits is not ordered again");
    assert_eq!(house.chain.ids_paying(&stranger(1).1), first, "the first still stands");
    signer.is(Mood::Signs);
    step(&house).await;
    let second = house.chain.ids_paying(&stranger(1).1);
    assert!(first != second && second.len() == 1, "replaced");
    house.mine(1).await;
    let payout = house.payout(id).await;
    assert_eq!(payout.state, PayoutState::Confirmed);
    let txid = house.chain.payments_to(&stranger(1).1)[0].0;
    let operator = house.balance(Account::NetworkFees).await;
    assert_eq!(operator + payout.fee.unwrap().minor, house.chain.fee_of(&txid));
}

async fn a_withdrawn_order_comes_back_when_the_chain_has_decided(store: Store) {
    let (house, signer) = house(store, &[5 * COIN]).await;
    signer.is(Mood::SignsButFirst);
    let id = ask(&house, 1, 3).await;
    step(&house).await;
    let order = first_order(&house).await;
    let withdrawal = house.treasury.withdraw(order.id).await.unwrap();
    let again = house.treasury.withdraw(order.id).await;
    assert!(matches!(again, Err(TreasuryError::NotWithdrawn(_))));
    assert!(matches!(house.treasury.withdraw(withdrawal).await, Err(TreasuryError::NoOrder)));
    step(&house).await;
    step(&house).await;
    assert_eq!(signer.orders().len(), 2);
    let shown = order::read(&signer.orders()[1].1, &signer.keys).unwrap();
    assert!(shown.payments.is_empty(), "all of it comes back");
    house.mine(1).await;
    let orders = house.treasury.orders().await.unwrap();
    let of = |id| orders.iter().find(|o| o.id == id).unwrap();
    assert_eq!(of(withdrawal).outcome, Outcome::Confirmed);
    assert_eq!(of(withdrawal).withdraws, Some(order.id));
    // Not before a reorganisation can no longer undo it, whatever the signer does.
    for _ in 1..REORG_LIMIT {
        assert_eq!(house.payout(id).await.state, PayoutState::Signed);
        house.mine(1).await;
    }
    house.mine(1).await;
    let payout = house.payout(id).await;
    assert_eq!(payout.state, PayoutState::Requested);
    assert!(payout.reason.unwrap().contains("withdrawn"));
    // A late signature is a transaction that no node takes.
    house.chain.send(&signer.signed(0));
    house.mine(1).await;
    assert_eq!(paid(&house, 1), 0);
    house.treasury.approve_payout(id, "anna").await.unwrap();
    step(&house).await;
    house.mine(1).await;
    assert_eq!((house.payout(id).await.state, paid(&house, 1)), (PayoutState::Confirmed, 1));
    assert_eq!(house.balance(Account::PayoutsInFlight).await, 0);
}

async fn a_signature_that_comes_before_the_withdrawals_wins_and_is_paid_once(store: Store) {
    let (house, signer) = house(store, &[5 * COIN]).await;
    signer.is(Mood::Silent);
    let id = ask(&house, 1, 3).await;
    step(&house).await;
    let order = first_order(&house).await;
    let withdrawal = house.treasury.withdraw(order.id).await.unwrap();
    step(&house).await;
    // The signer sends the first by itself.
    house.chain.send(&signer.signed(0));
    house.mine(1).await;
    assert_eq!(house.payout(id).await.state, PayoutState::Confirmed);
    signer.is(Mood::Signs);
    for _ in 0..=REORG_LIMIT {
        step(&house).await;
        house.mine(1).await;
    }
    assert_eq!(paid(&house, 1), 1);
    let orders = house.treasury.orders().await.unwrap();
    let of = |id| orders.iter().find(|o| o.id == id).unwrap();
    assert_eq!(of(withdrawal).outcome, Outcome::Void);
    assert_eq!(of(order.id).outcome, Outcome::Confirmed);
    assert_eq!(house.treasury.open_transactions(ASSET).await.unwrap(), []);
    assert_eq!(house.treasury.payout_locks(ASSET).await.unwrap(), []);
}

async fn a_withdrawal_that_leaves_the_chain_gives_nothing_back(store: Store) {
    let (house, signer) = house(store, &[5 * COIN]).await;
    signer.is(Mood::SignsButFirst);
    let id = ask(&house, 1, 3).await;
    step(&house).await;
    let order = first_order(&house).await;
    house.treasury.withdraw(order.id).await.unwrap();
    step(&house).await;
    step(&house).await;
    house.mine(3).await;
    // Four blocks without it in place of three with it; then the first order's signature is seen.
    let withdrawn = house.chain.fee_of(&withdrawal_in(&house));
    assert!(withdrawn > 0);
    house.chain.rewind(3);
    for _ in 0..4 {
        house.chain.mine(&house.coinbase_script(), |_| false);
    }
    house.follow().await;
    house.check().await;
    assert_eq!(house.payout(id).await.state, PayoutState::Signed);
    house.chain.forget_all();
    house.chain.send(&signer.signed(0));
    house.mine(1).await;
    assert_eq!((house.payout(id).await.state, paid(&house, 1)), (PayoutState::Confirmed, 1));
    house.mine(REORG_LIMIT + 1).await;
    assert_eq!(paid(&house, 1), 1);
    assert_eq!(house.treasury.open_transactions(ASSET).await.unwrap(), []);
}

/// The newest transaction of the chain that the house made.
fn withdrawal_in(house: &House) -> [u8; 32] {
    let height = house.chain.height();
    let blocks = (0..=height).rev().filter_map(|h| house.chain.block(h));
    let made = blocks.flat_map(|b| b.txs).find(|t| !t.coinbase && t.inputs[0].0[0] != 0xee);
    made.unwrap().txid
}

async fn a_transaction_one_of_whose_coins_is_gone_can_be_withdrawn(store: Store) {
    let house = House::new(store, 1).await;
    house.top_up(1, 9 * COIN).await;
    let invoice = house.invoice(1, 9 * COIN, gruve_treasury::Purpose::TopUp).await;
    let second = house.pay(&invoice.address, 9 * COIN);
    house.mine(CONFIRMATIONS).await;
    // Both coins are needed; more than goes out by itself.
    let id = house.request(1, 16 * COIN, &stranger(1).0).await.unwrap();
    house.treasury.approve_payout(id, "anna").await.unwrap();
    house.payer.step().await.unwrap();
    assert_eq!(house.chain.waiting_inputs().len(), 2);
    // Whoever paid the second in takes it back by a deep reorganisation.
    house.chain.rewind(CONFIRMATIONS);
    house.chain.forget(&second);
    for _ in 0..=CONFIRMATIONS {
        house.chain.mine(&house.coinbase_script(), |_| true);
    }
    house.follow().await;
    house.check().await;
    let open = house.treasury.open_transactions(ASSET).await.unwrap();
    assert_eq!((open.len(), open[0].coins_missing), (1, 1));
    house.mine(REORG_LIMIT + 1).await;
    assert_eq!(house.payout(id).await.state, PayoutState::Broadcast, "nothing ends it");
    house.treasury.withdraw(open[0].id).await.unwrap();
    house.payer.step().await.unwrap();
    house.mine(REORG_LIMIT + 1).await;
    assert_eq!(house.payout(id).await.state, PayoutState::Requested);
    assert_eq!((paid(&house, 1), house.balance(Account::PayoutsInFlight).await), (0, 0));
    assert_eq!(house.treasury.open_transactions(ASSET).await.unwrap(), []);
    house.treasury.refuse_payout(id, "the pay-in was taken back").await.unwrap();
    assert_eq!(house.held(1).await, 0);
    house.check().await;
}
