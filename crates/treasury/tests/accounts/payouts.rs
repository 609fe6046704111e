//! Coins going out: one nonce a payout, whatever happens.

use crate::rig::{ASSET, COIN, CONFIRMATIONS, REORG_LIMIT, Rig, account, gwei, stranger};
use gruve_chain::eth::{EthAddressError, LegacyTx, SignedTx, wei};
use gruve_ledger::{Account, AccountKind};
use gruve_store::Store;
use gruve_treasury::{AccountKeys, Keychain, Lock, NewPayout, PayoutState, Seed, TreasuryError};
use gruve_units::{Clock as _, Duration, PayoutId, Timestamp};

gruve_store::laws! { account_payouts: [
    a_payout_on_an_account_chain_is_paid_exactly,
    addresses_that_cannot_be_paid_are_refused_with_what_is_wrong,
    nothing_is_signed_for_a_node_of_another_chain,
    nothing_is_signed_while_an_account_chain_is_held,
    a_held_payout_of_an_account_chain_is_paid_when_its_time_has_come_and_holds_up_no_other,
    a_cancelled_plan_leaves_no_gap_in_the_nonces,
    a_payout_that_waits_is_signed_again_with_the_same_nonce,
    a_restart_sends_the_same_transaction,
    a_payout_taken_out_of_an_account_chain_confirms_again,
    an_older_backup_signs_nothing_until_it_has_caught_up,
    a_life_signs_nothing_before_it_has_followed_every_block,
    a_nonce_that_others_used_frees_the_payout_only_when_deep,
    a_nonce_of_ours_that_paid_another_amount_is_no_payout,
    what_took_the_nonce_of_a_signed_payout_explains_no_other,
    what_another_address_paid_out_explains_no_payout,
    an_account_address_that_is_no_longer_the_payouts_own_is_not_paid,
    a_failed_payout_is_returned_to_a_person_only_when_deep,
    fees_above_the_quote_make_a_payout_wait,
    a_payout_to_an_address_of_ours_is_a_pay_in,
    payouts_wait_for_room_and_for_coins,
    a_plan_that_is_another_one_now_is_not_signed,
]}

pub async fn state(rig: &Rig, id: PayoutId) -> PayoutState {
    rig.payout(id).await.state
}

/// The transactions sent, as they were read back.
pub fn sent(rig: &Rig) -> Vec<SignedTx> {
    let sent = rig.node.sent.lock().unwrap();
    sent.iter().map(|raw| SignedTx::decode(raw).unwrap()).collect()
}

async fn a_payout_on_an_account_chain_is_paid_exactly(store: Store) {
    let rig = Rig::rich(store).await;
    let to = stranger(7);
    let quote = rig.treasury.quote_payout(gwei(3 * COIN), &to.to_string()).await.unwrap();
    assert_eq!(quote.fee_max, gwei(42_000));
    let id = rig.request(1, 3 * COIN, &to.to_string()).await.unwrap();
    assert_eq!(rig.available(1).await, 17 * COIN);
    rig.payer.step().await.unwrap();
    assert_eq!(state(&rig, id).await, PayoutState::Broadcast);
    assert_eq!(rig.total(AccountKind::PayoutsInFlight).await, 3 * COIN);
    rig.mine(1).await;
    let paid = rig.payout(id).await;
    assert_eq!((paid.state, paid.fee), (PayoutState::Confirmed, Some(gwei(21_000))));
    assert_eq!(rig.on_chain(&to), 3 * COIN - 21_000);
    assert_eq!(rig.total(AccountKind::PayoutsInFlight).await, 0);
    let txid = paid.txid.unwrap();
    let told = rig.call("eth_getTransactionByHash", &serde_json::json!([txid]));
    assert_eq!(told["hash"], serde_json::json!(txid));
    assert!(rig.treasury.open_transactions(ASSET).await.unwrap().is_empty());
}

async fn addresses_that_cannot_be_paid_are_refused_with_what_is_wrong(store: Store) {
    let rig = Rig::rich(store).await;
    let good = stranger(0xab).to_string();
    let mut swapped: Vec<char> = good.chars().collect();
    let at = swapped.iter().rposition(char::is_ascii_alphabetic).unwrap();
    swapped[at] = if swapped[at].is_ascii_lowercase() {
        swapped[at].to_ascii_uppercase()
    } else {
        swapped[at].to_ascii_lowercase()
    };
    let swapped: String = swapped.into_iter().collect();
    for (address, wrong) in [
        (swapped.as_str(), EthAddressError::Checksum),
        ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", EthAddressError::NoPrefix),
        (&good[..40], EthAddressError::Length(38)),
    ] {
        match rig.request(1, COIN, address).await.unwrap_err() {
            TreasuryError::Account { why, .. } => assert_eq!(why, wrong),
            other => panic!("{other}"),
        }
    }
    assert!(matches!(
        rig.request(1, 50_000, &good).await.unwrap_err(),
        TreasuryError::TooSmall { .. }
    ));
    assert_eq!(rig.available(1).await, 20 * COIN);
}

async fn nothing_is_signed_for_a_node_of_another_chain(store: Store) {
    let mut rig = Rig::rich(store).await;
    rig.request(1, COIN, &stranger(7).to_string()).await.unwrap();
    *rig.node.chain_id.lock().unwrap() = Some(1);
    rig.restart();
    let error = rig.payer.step().await.unwrap_err();
    assert!(matches!(error, TreasuryError::OtherChain { expected: 61, found: 1, .. }), "{error}");
    assert!(sent(&rig).is_empty());
    *rig.node.chain_id.lock().unwrap() = None;
    rig.payer.step().await.unwrap();
    assert!(sent(&rig).iter().all(|t| t.chain_id == 61) && !sent(&rig).is_empty());
}

async fn a_held_payout_of_an_account_chain_is_paid_when_its_time_has_come_and_holds_up_no_other(
    store: Store,
) {
    let rig = Rig::rich(store).await;
    let until = rig.clock.now().plus(Duration::from_secs(86_400));
    let new = NewPayout {
        account: account(1),
        amount: gwei(COIN),
        address: stranger(7).to_string(),
        request_key: None,
    };
    let terms = rig.treasury.payout_terms(&new).await.unwrap();
    let placed = gruve_store::transact!(rig.store, tx -> Result<_, TreasuryError> => {
        rig.treasury.place_payout(tx, &new, &terms, Some(until)).await
    });
    let held = placed.unwrap().id;
    let behind = rig.request(1, COIN, &stranger(8).to_string()).await.unwrap();
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(state(&rig, behind).await, PayoutState::Confirmed);
    rig.clock.set(Timestamp(until.0 - 1));
    rig.payer.step().await.unwrap();
    let waiting = rig.payout(held).await;
    assert_eq!((waiting.state, waiting.reason), (PayoutState::Approved, None));
    assert_eq!(rig.on_chain(&stranger(7)), 0);
    rig.clock.set(until);
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(state(&rig, held).await, PayoutState::Confirmed);
    assert_eq!(rig.on_chain(&stranger(7)), COIN - 21_000);
}

async fn nothing_is_signed_while_an_account_chain_is_held(store: Store) {
    let rig = Rig::rich(store).await;
    rig.request(1, COIN, &stranger(7).to_string()).await.unwrap();
    rig.treasury.hold_payouts(ASSET, true);
    rig.payer.step().await.unwrap();
    assert!(sent(&rig).is_empty());
    rig.treasury.hold_payouts(ASSET, false);
    rig.payer.step().await.unwrap();
    assert!(!sent(&rig).is_empty());
}

/// Plans payouts without signing them.
pub async fn plan_only(rig: &Rig) {
    *rig.breaker.at.lock().unwrap() = Some("signed, before commit");
    assert!(rig.payer.step().await.is_err());
    *rig.breaker.at.lock().unwrap() = None;
}

async fn a_cancelled_plan_leaves_no_gap_in_the_nonces(store: Store) {
    let rig = Rig::rich(store).await;
    let hot = rig.treasury.hot_address(ASSET).unwrap();
    let mut ids = Vec::new();
    for n in 1..=3 {
        ids.push(rig.request(1, COIN, &stranger(n).to_string()).await.unwrap());
        rig.clock.advance(Duration::from_secs(1));
    }
    plan_only(&rig).await;
    assert_eq!(state(&rig, ids[1]).await, PayoutState::Funded);
    let one = crate::rig::account(1);
    rig.treasury.cancel_payout(one, ids[0]).await.unwrap();
    rig.treasury.cancel_payout(one, ids[2]).await.unwrap();
    assert_eq!(rig.available(1).await, 19 * COIN);
    // The second has its nonce still; the first's is taken by the next payout.
    let next = rig.request(1, COIN, &stranger(4).to_string()).await.unwrap();
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    for id in [ids[1], next] {
        assert_eq!(state(&rig, id).await, PayoutState::Confirmed);
    }
    assert_eq!((rig.on_chain(&stranger(1)), rig.on_chain(&stranger(3))), (0, 0));
    assert_eq!(rig.nonces(&hot), 2);
    // A hole that no payout takes is filled with a payment of nothing to ourselves.
    let first = rig.request(1, COIN, &stranger(5).to_string()).await.unwrap();
    rig.clock.advance(Duration::from_secs(1));
    let second = rig.request(1, COIN, &stranger(6).to_string()).await.unwrap();
    plan_only(&rig).await;
    rig.treasury.cancel_payout(one, first).await.unwrap();
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(state(&rig, second).await, PayoutState::Confirmed);
    assert_eq!(rig.nonces(&hot), 4);
    assert_eq!(rig.on_chain(&stranger(5)), 0);
}

async fn a_payout_that_waits_is_signed_again_with_the_same_nonce(store: Store) {
    let rig = Rig::rich(store).await;
    let to = stranger(7);
    let id = rig.request(1, 3 * COIN, &to.to_string()).await.unwrap();
    *rig.node.deaf.lock().unwrap() = true;
    rig.payer.step().await.unwrap_err();
    let hot = rig.treasury.hot_address(ASSET).unwrap();
    let of_payout = |rig: &Rig| -> Vec<SignedTx> {
        sent(rig).into_iter().filter(|t| t.sender == hot).collect()
    };
    *rig.node.deaf.lock().unwrap() = false;
    *rig.node.price.lock().unwrap() = Some(2);
    rig.clock.advance(Duration::from_secs(601));
    // Nothing of the first form has reached the node.
    rig.payer.step().await.unwrap();
    let forms = of_payout(&rig);
    let (first, last) = (forms.first().unwrap(), forms.last().unwrap());
    assert_ne!(first.hash, last.hash);
    assert_eq!((first.tx.nonce, first.tx.to), (last.tx.nonce, last.tx.to));
    assert!(last.tx.gas_price > first.tx.gas_price);
    // And a third, above what the customer was quoted: the operator pays the rest.
    *rig.node.price.lock().unwrap() = Some(5);
    rig.clock.advance(Duration::from_secs(601));
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    let paid = rig.payout(id).await;
    assert_eq!((paid.state, paid.fee), (PayoutState::Confirmed, Some(gwei(42_000))));
    assert_eq!(rig.on_chain(&to), 3 * COIN - 42_000);
    // The payout's third form cost 105,000; the sweep has a price of its own.
    assert_eq!(rig.nonces(&hot), 1);
    let txid = paid.txid.unwrap();
    assert_eq!(txid, format!("0x{}", hex::encode(of_payout(&rig).last().unwrap().hash)));
    // An earlier form that comes late is refused by the chain itself.
    let late = format!("0x{}", hex::encode(&first.raw));
    let refused = rig.chain.call("eth_sendRawTransaction", &serde_json::json!([late]));
    assert_eq!(refused.unwrap_err().message, "nonce too low");
}

async fn a_restart_sends_the_same_transaction(store: Store) {
    let mut rig = Rig::rich(store).await;
    let hot = rig.treasury.hot_address(ASSET).unwrap();
    rig.request(1, COIN, &stranger(7).to_string()).await.unwrap();
    rig.payer.step().await.unwrap();
    let count = |rig: &Rig| sent(rig).iter().filter(|t| t.sender == hot).count();
    assert_eq!(count(&rig), 1);
    rig.payer.step().await.unwrap();
    assert_eq!(count(&rig), 1, "not due");
    rig.restart();
    rig.payer.step().await.unwrap();
    let all: Vec<_> = sent(&rig).into_iter().filter(|t| t.sender == hot).collect();
    assert_eq!((all.len(), all[0].raw == all[1].raw), (2, true));
    rig.mine(1).await;
    rig.restart();
    rig.payer.step().await.unwrap();
    assert_eq!(count(&rig), 2);
}

async fn a_payout_taken_out_of_an_account_chain_confirms_again(store: Store) {
    let rig = Rig::rich(store).await;
    let to = stranger(7);
    let id = rig.request(1, 3 * COIN, &to.to_string()).await.unwrap();
    rig.payer.step().await.unwrap();
    rig.mine(2).await;
    rig.chain.take_back(2).unwrap();
    rig.chain.mine_empty(3).unwrap();
    rig.follow().await;
    rig.check().await;
    assert_eq!(state(&rig, id).await, PayoutState::Broadcast);
    assert_eq!(rig.total(AccountKind::PayoutsInFlight).await, 3 * COIN);
    rig.mine(1).await;
    assert_eq!(state(&rig, id).await, PayoutState::Confirmed);
    assert_eq!(rig.on_chain(&to), 3 * COIN - 21_000);
}

/// Somebody else signs with the hot address's key.
fn sign_elsewhere(nonce: u64, to: u8, minor: i64) -> String {
    sign_with(Keychain::Capital, nonce, to, minor)
}

/// With the first key of a chain of them, at a price that takes the place of the house's own.
fn sign_with(chain: Keychain, nonce: u64, to: u8, minor: i64) -> String {
    let keys = AccountKeys::new(&Seed::from_bytes([42; 32]), ASSET, false).unwrap();
    let (value, price) = (wei::from_gwei(minor).unwrap(), wei::from_gwei(9).unwrap());
    let tx = LegacyTx::transfer(nonce, stranger(to), value, price);
    let signed = keys.sign(chain, 0, tx, 61).unwrap();
    format!("0x{}", hex::encode(signed.raw))
}

fn send(rig: &Rig, raw: &str) {
    rig.call("eth_sendRawTransaction", &serde_json::json!([raw]));
}

/// What stands unexplained.
async fn unexplained(rig: &Rig) -> String {
    let locks = rig.treasury.payout_locks(ASSET).await.unwrap();
    let [Lock::Unexplained { txid, .. }] = &locks[..] else { panic!("{locks:?}") };
    txid.clone()
}

/// A person says that what stands unexplained was no payout.
async fn accept_loss(rig: &Rig) {
    let txid = unexplained(rig).await;
    let explained = rig.treasury.explain(ASSET, &txid, "somebody").await;
    assert!(matches!(explained, Err(TreasuryError::Unexplained)), "{explained:?}");
    rig.treasury.accept_loss(ASSET, &txid, "somebody").await.unwrap();
}

async fn an_older_backup_signs_nothing_until_it_has_caught_up(store: Store) {
    let rig = Rig::rich(store).await;
    rig.request(1, COIN, &stranger(7).to_string()).await.unwrap();
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    // What a database of yesterday does not know: the same keys have paid since.
    send(&rig, &sign_elsewhere(1, 8, COIN));
    rig.chain.mine(1).unwrap();
    let id = rig.request(1, COIN, &stranger(7).to_string()).await.unwrap();
    let error = rig.payer.step().await.unwrap_err();
    assert!(matches!(error, TreasuryError::Nonces { on_chain: 2, ours: 1, .. }), "{error}");
    assert_eq!(state(&rig, id).await, PayoutState::Approved);
    rig.follow().await;
    rig.check().await;
    assert_eq!(rig.total(AccountKind::Loss).await, COIN + 9 * 21_000);
    accept_loss(&rig).await;
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(state(&rig, id).await, PayoutState::Confirmed);
    assert_eq!(rig.on_chain(&stranger(7)), 2 * (COIN - 21_000));
    // Taken back and come again, the loss is booked once.
    rig.chain.take_back(2).unwrap();
    rig.mine(3).await;
    assert_eq!(rig.total(AccountKind::Loss).await, COIN + 9 * 21_000);
}

async fn a_life_signs_nothing_before_it_has_followed_every_block(store: Store) {
    let mut rig = Rig::rich(store).await;
    // A life that this database has forgotten has paid, in a block that this one has not seen.
    send(&rig, &sign_elsewhere(0, 7, COIN - 21_000));
    rig.chain.mine(1).unwrap();
    let id = rig.request(1, COIN, &stranger(7).to_string()).await.unwrap();
    rig.restart();
    rig.payer.step().await.unwrap();
    assert!(sent(&rig).is_empty());
    assert_eq!(state(&rig, id).await, PayoutState::Approved);
    rig.follow().await;
    let txid = unexplained(&rig).await;
    rig.payer.step().await.unwrap();
    let explained = rig.treasury.explain(ASSET, &txid, "somebody").await.unwrap();
    assert_eq!(explained.payouts, [id]);
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(rig.on_chain(&stranger(7)), COIN - 21_000, "once");
}

async fn a_nonce_of_ours_that_paid_another_amount_is_no_payout(store: Store) {
    let rig = Rig::rich(store).await;
    for (nonce, paid) in [(0, COIN / 2), (1, 2 * COIN)] {
        let id = rig.request(1, COIN, &stranger(7).to_string()).await.unwrap();
        rig.payer.step().await.unwrap();
        send(&rig, &sign_elsewhere(nonce, 7, paid));
        let before = rig.total(AccountKind::Loss).await;
        rig.mine(1).await;
        assert_eq!(rig.total(AccountKind::Loss).await - before, paid + 9 * 21_000);
        assert_eq!(state(&rig, id).await, PayoutState::Broadcast, "its own may come back yet");
        accept_loss(&rig).await;
    }
}

async fn what_took_the_nonce_of_a_signed_payout_explains_no_other(store: Store) {
    let rig = Rig::rich(store).await;
    let signed = rig.request(1, COIN, &stranger(7).to_string()).await.unwrap();
    rig.payer.step().await.unwrap();
    send(&rig, &sign_elsewhere(0, 8, COIN - 21_000));
    let waits = rig.request(1, COIN, &stranger(8).to_string()).await.unwrap();
    rig.mine(1).await;
    accept_loss(&rig).await;
    // The signed one may still come back, and be the one that was paid.
    assert_eq!(state(&rig, signed).await, PayoutState::Broadcast);
    assert_eq!(state(&rig, waits).await, PayoutState::Approved);
}

async fn what_another_address_paid_out_explains_no_payout(store: Store) {
    let rig = Rig::rich(store).await;
    let id = rig.request(1, COIN, &stranger(8).to_string()).await.unwrap();
    send(&rig, &sign_with(Keychain::PayIn, 0, 8, COIN - 21_000));
    rig.mine(1).await;
    accept_loss(&rig).await;
    assert_eq!(state(&rig, id).await, PayoutState::Approved);
}

async fn an_account_address_that_is_no_longer_the_payouts_own_is_not_paid(store: Store) {
    let rig = Rig::rich(store).await;
    let changed = rig.request(1, COIN, &stranger(7).to_string()).await.unwrap();
    let good = rig.request(1, COIN, &stranger(8).to_string()).await.unwrap();
    gruve_store::transact!(rig.store, tx -> Result<(), TreasuryError> => {
        let values = gruve_store::params![changed, stranger(9).to_string()];
        tx.execute("UPDATE treasury_payouts SET address = $2 WHERE id = $1", &values).await?;
        Ok(())
    })
    .unwrap();
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(state(&rig, changed).await, PayoutState::Refused);
    assert_eq!(state(&rig, good).await, PayoutState::Confirmed);
    assert_eq!((rig.on_chain(&stranger(7)), rig.on_chain(&stranger(9))), (0, 0));
    assert_eq!(rig.available(1).await, 19 * COIN);
}

async fn a_nonce_that_others_used_frees_the_payout_only_when_deep(store: Store) {
    let rig = Rig::rich(store).await;
    let id = rig.request(1, COIN, &stranger(7).to_string()).await.unwrap();
    rig.payer.step().await.unwrap();
    // It pays more, so it takes the payout's place in the pool.
    send(&rig, &sign_elsewhere(0, 8, COIN));
    rig.mine(1).await;
    assert_eq!(rig.total(AccountKind::Loss).await, COIN + 9 * 21_000);
    for _ in 1..REORG_LIMIT {
        assert_eq!(state(&rig, id).await, PayoutState::Broadcast);
        rig.payer.step().await.unwrap();
        rig.mine(1).await;
    }
    rig.mine(1).await;
    assert_eq!(state(&rig, id).await, PayoutState::Approved);
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(state(&rig, id).await, PayoutState::Approved, "a person looks first");
    accept_loss(&rig).await;
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(state(&rig, id).await, PayoutState::Confirmed);
    assert_eq!(rig.on_chain(&stranger(7)), COIN - 21_000);
}

async fn a_failed_payout_is_returned_to_a_person_only_when_deep(store: Store) {
    let rig = Rig::rich(store).await;
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    let fees = rig.total(AccountKind::NetworkFees).await;
    let id = rig.request(1, COIN, &stranger(7).to_string()).await.unwrap();
    rig.payer.step().await.unwrap();
    let hash = sent(&rig).last().unwrap().hash;
    rig.node.failed.lock().unwrap().push(hash);
    rig.mine(1).await;
    assert_eq!(state(&rig, id).await, PayoutState::Broadcast);
    assert_eq!(rig.total(AccountKind::NetworkFees).await, fees + 21_000);
    rig.mine(REORG_LIMIT).await;
    let payout = rig.payout(id).await;
    assert_eq!(payout.state, PayoutState::Requested);
    assert!(payout.reason.unwrap().contains("contract"));
    assert_eq!(rig.balance(Account::PayoutsInFlight).await, 0);
    rig.treasury.refuse_payout(id, "a contract").await.unwrap();
    assert_eq!(rig.available(1).await, 20 * COIN);
}

async fn fees_above_the_quote_make_a_payout_wait(store: Store) {
    let rig = Rig::rich(store).await;
    let id = rig.request(1, COIN, &stranger(7).to_string()).await.unwrap();
    *rig.node.price.lock().unwrap() = Some(3);
    rig.payer.step().await.unwrap();
    let payout = rig.payout(id).await;
    assert_eq!(payout.state, PayoutState::Approved);
    assert!(payout.reason.unwrap().contains("fees"));
    *rig.node.price.lock().unwrap() = Some(2);
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(rig.payout(id).await.fee, Some(gwei(42_000)));
}

async fn a_payout_to_an_address_of_ours_is_a_pay_in(store: Store) {
    let rig = Rig::rich(store).await;
    let invoice = rig.invoice(2, COIN).await;
    let id = rig.request(1, COIN, &invoice.address).await.unwrap();
    rig.payer.step().await.unwrap();
    rig.mine(CONFIRMATIONS).await;
    assert_eq!(state(&rig, id).await, PayoutState::Confirmed);
    assert_eq!(rig.available(2).await, COIN - 21_000);
}

async fn payouts_wait_for_room_and_for_coins(store: Store) {
    let rig = Rig::new(store, 1).await;
    rig.top_up(1, 20 * COIN).await;
    // The hot address has nothing before the sweep.
    let id = rig.request(1, COIN, &stranger(7).to_string()).await.unwrap();
    rig.payer.step().await.unwrap();
    assert_eq!(state(&rig, id).await, PayoutState::Approved);
    assert!(rig.payout(id).await.reason.unwrap().contains("coins"));
    rig.mine(1).await;
    let mut ids = vec![id];
    for n in 1..18 {
        ids.push(rig.request(1, COIN, &stranger(n).to_string()).await.unwrap());
    }
    rig.payer.step().await.unwrap();
    let mut broadcast = 0;
    for id in &ids {
        broadcast += u32::from(state(&rig, *id).await == PayoutState::Broadcast);
    }
    assert_eq!(broadcast, 16, "no more under way than nodes keep");
    rig.mine(1).await;
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    for id in ids {
        assert_eq!(state(&rig, id).await, PayoutState::Confirmed);
    }
}

async fn a_plan_that_is_another_one_now_is_not_signed(store: Store) {
    let rig = Rig::rich(store).await;
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    let id = rig.request(1, COIN, &stranger(7).to_string()).await.unwrap();
    plan_only(&rig).await;
    let before = sent(&rig).len();
    for (statement, now, then) in [
        (
            "UPDATE treasury_account_txs SET recipient = $1 WHERE kind = 'payout'",
            stranger(9).0.to_vec(),
            stranger(7).0.to_vec(),
        ),
        (
            "UPDATE treasury_account_txs SET wei = $1 WHERE kind = 'payout'",
            wei::from_gwei(2 * COIN).unwrap().to_be_bytes::<32>().to_vec(),
            wei::from_gwei(COIN - 21_000).unwrap().to_be_bytes::<32>().to_vec(),
        ),
    ] {
        let set = async |value: &[u8]| {
            gruve_store::transact!(rig.store, tx -> Result<(), TreasuryError> => {
                tx.execute(statement, &gruve_store::params![value]).await?;
                Ok(())
            })
            .unwrap();
        };
        set(&now).await;
        let error = rig.payer.step().await.unwrap_err();
        assert!(matches!(error, TreasuryError::Damaged(_)), "{statement}: {error}");
        set(&then).await;
    }
    assert_eq!((sent(&rig).len(), state(&rig, id).await), (before, PayoutState::Funded));
    rig.payer.step().await.unwrap();
    rig.mine(1).await;
    assert_eq!(state(&rig, id).await, PayoutState::Confirmed);
    assert_eq!((rig.on_chain(&stranger(7)), rig.on_chain(&stranger(9))), (COIN - 21_000, 0));
}
