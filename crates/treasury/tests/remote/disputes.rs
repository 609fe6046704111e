//! Disputes that come at a bad moment.

use crate::fake::contract;
use crate::fake::{self, account};
use crate::{Bench, Heard, bench, dispute};
use gruve_ledger::Account;
use gruve_store::{Store, transact};
use gruve_treasury::{
    CrashPoints, DisputeStands, Invoice, Method, NewPayout, PayInFor, Payer, PayoutState,
    TreasuryError,
};
use std::sync::Arc;
use std::time::Duration;

gruve_store::laws! { disputes: [
    a_dispute_between_planning_and_signing_keeps_the_payout_here_and_lets_the_others_go,
    nobody_approves_a_payout_of_an_account_with_a_dispute,
    whoever_sold_what_was_paid_is_told_of_a_dispute_and_of_its_end_once,
    what_cannot_be_frozen_holds_up_no_dispute,
]}

impl Bench {
    /// What was told of disputes, oldest first.
    async fn told(&self) -> Vec<String> {
        let mut tx = self.house.store.read().await.unwrap();
        let rows = tx.fetch_all("SELECT told FROM told_disputes ORDER BY n", &[]).await.unwrap();
        rows.iter().map(|row| row.get("told").unwrap()).collect()
    }

    /// A contract of an account is paid by card; what the payment is called.
    async fn bought(&self, n: u8) -> (Invoice, String) {
        let invoice = self.lease(n, 500).await;
        let url = self.open(n, &invoice, Method::Card).await.unwrap();
        let session = url.rsplit('/').next().unwrap().to_owned();
        self.paid(&session, 500);
        assert_eq!(self.later().await.booked, 1);
        assert_eq!(self.books(Account::PrepaidWork(contract(n))).await, 500);
        (invoice, format!("pi_{session}"))
    }

    /// The service says how a dispute stands, and tells of it twice.
    async fn says(&self, name: &str, intent: &str, status: &str) {
        self.service.put(&format!("v1/disputes/{name}"), dispute(intent, status));
        for n in 0..2 {
            let event = format!("evt_{name}_{status}_{n}");
            assert_eq!(self.event(&event, "charge.dispute.updated", name).await, Heard::Yes);
        }
    }
}

async fn nobody_approves_a_payout_of_an_account_with_a_dispute(store: Store) {
    let b = bench(store).await;
    b.house.top_up(1, 20_000_000).await;
    let (_, intent) = b.topped_up(1, 500).await;
    let id = b.house.request(1, 11_000_000, &fake::stranger(1).0).await.unwrap();
    assert_eq!(b.house.payout(id).await.state, PayoutState::Requested);
    b.says("dp_1", &intent, "needs_response").await;
    let approved = b.house.treasury.approve_payout(id, "anna").await;
    assert!(matches!(approved, Err(TreasuryError::Disputed)), "{approved:?}");
    assert_eq!(b.house.payout(id).await.state, PayoutState::Requested);
    b.says("dp_1", &intent, "won").await;
    b.house.treasury.approve_payout(id, "anna").await.unwrap();
    assert_eq!(b.house.payout(id).await.state, PayoutState::Approved);
}

async fn whoever_sold_what_was_paid_is_told_of_a_dispute_and_of_its_end_once(store: Store) {
    let b = bench(store).await;
    let (invoice, lost) = b.bought(1).await;
    b.says("dp_1", &lost, "needs_response").await;
    let mut told = b.told().await;
    told.dedup();
    assert_eq!(told, [format!("{} dp_1 Open", invoice.amount)]);
    b.says("dp_1", &lost, "lost").await;
    let all = b.told().await;
    // The balance has nothing of it: all is lost.
    let taken = DisputeStands::Lost(invoice.amount);
    assert_eq!(all.last(), Some(&format!("{} dp_1 {taken:?}", invoice.amount)));
    assert_eq!(all.iter().filter(|t| t.contains("Lost")).count(), 1, "{all:?}");
    // Whatever an old answer says, an end is one.
    b.says("dp_1", &lost, "under_review").await;
    assert_eq!(b.told().await, all);
    // Won before anybody heard of it.
    let (_, won) = b.bought(2).await;
    b.says("dp_2", &won, "won").await;
    b.says("dp_2", &won, "needs_response").await;
    let told = b.told().await.split_off(all.len());
    assert_eq!(told, [format!("{} dp_2 Won", invoice.amount)]);
    // What came after everything was paid bought nothing; nor did what only filled the balance name a contract.
    let whose = PayInFor::Invoice(invoice.id);
    let t = &b.house.treasury;
    b.house.clock.advance(Duration::from_secs(1));
    let paid = transact!(b.house.store, tx -> Result<_, TreasuryError> => {
        t.take_payment(tx, Method::Card, "pi_again", invoice.amount, whose).await
    });
    assert!(paid.unwrap().1);
    let before = b.told().await;
    b.says("dp_3", "pi_again", "needs_response").await;
    assert!(b.house.treasury.is_disputed(account(1)).await.unwrap());
    assert_eq!(b.told().await, before);
    b.house.check().await;
}

async fn what_cannot_be_frozen_holds_up_no_dispute(store: Store) {
    let mut b = bench(store).await;
    let (_, intent) = b.bought(1).await;
    let (_, other) = b.bought(2).await;
    b.says("dp_2", &other, "needs_response").await;
    let before = b.told().await;
    b.house.refuses = true;
    b.restart();
    b.says("dp_1", &intent, "needs_response").await;
    b.says("dp_1", &intent, "lost").await;
    assert!(b.house.treasury.is_disputed(account(1)).await.unwrap());
    assert_eq!(b.at("card").await, 500, "the other's");
    assert_eq!(b.told().await, before, "what was written for it is undone");
    b.house.check().await;
}

/// Breaks off at one point, always.
struct At(&'static str);

impl CrashPoints for At {
    fn passes(&self, point: &'static str) -> bool {
        point != self.0
    }
}

async fn a_dispute_between_planning_and_signing_keeps_the_payout_here_and_lets_the_others_go(
    store: Store,
) {
    let mut b = bench(store).await;
    b.house.fill(&[50_000_000]).await;
    let mut payouts = Vec::new();
    let mut intents = Vec::new();
    for n in [1, 2] {
        b.house.top_up(n, 8_000_000).await;
        intents.push(b.topped_up(n, 500).await.1);
        let new = NewPayout {
            account: account(n),
            amount: fake::sat(1_000_000),
            address: fake::stranger(u32::from(n)).0,
            request_key: None,
        };
        payouts.push(b.house.treasury.request_payout(new).await.unwrap());
    }
    b.restart();
    b.house.treasury.break_off_with(Arc::new(At("funded, after commit")));
    let broken_off = Payer::new(b.house.treasury.clone()).step().await;
    assert!(matches!(broken_off, Err(TreasuryError::BrokenOff(_))));
    assert_eq!(b.house.payout(payouts[0]).await.state, PayoutState::Funded);
    b.restart();
    b.service.put("v1/disputes/dp_1", dispute(&intents[0], "needs_response"));
    assert_eq!(b.event("evt_1", "charge.dispute.created", "dp_1").await, Heard::Yes);
    let payer = Payer::new(b.house.treasury.clone());
    for _ in 0..3 {
        payer.step().await.unwrap();
    }
    assert_eq!(b.house.payout(payouts[0]).await.state, PayoutState::Approved);
    assert_eq!(b.house.payout(payouts[1]).await.state, PayoutState::Broadcast);
    let held = b.house.balance(Account::CustomerHeld(account(1))).await;
    assert_eq!(held, 1_000_000, "held, and not on its way");
    b.service.put("v1/disputes/dp_1", dispute(&intents[0], "won"));
    assert_eq!(b.event("evt_2", "charge.dispute.closed", "dp_1").await, Heard::Yes);
    // The change of the first must be in a block before it is spent.
    b.house.mine(fake::CONFIRMATIONS).await;
    payer.step().await.unwrap();
    assert_eq!(b.house.payout(payouts[0]).await.state, PayoutState::Broadcast);
    b.house.check().await;
}
