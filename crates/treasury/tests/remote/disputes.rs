//! Disputes that come at a bad moment.

use crate::fake::{self, account};
use crate::{Heard, bench, dispute};
use gruve_ledger::Account;
use gruve_store::Store;
use gruve_treasury::{CrashPoints, NewPayout, Payer, PayoutState, TreasuryError};
use std::sync::Arc;

gruve_store::laws! { disputes: [
    a_dispute_between_planning_and_signing_keeps_the_payout_here_and_lets_the_others_go,
]}

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
