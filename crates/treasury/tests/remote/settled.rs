//! Disputes and what holds an account until they are settled.

use crate::fake::{self, account, contract};
use crate::{bench, dispute, eur};
use gruve_ledger::Account;
use gruve_store::Store;
use gruve_treasury::{Heard, Method, Purpose, TreasuryError};
use serde_json::json;
use std::time::Duration;

pub(super) async fn a_dispute_keeps_everything_here_until_it_is_settled(store: Store) {
    let b = bench(store).await;
    b.house.fill(&[50_000_000]).await;
    b.house.top_up(1, 8_000_000).await;
    let (_, intent) = b.topped_up(1, 500).await;
    let to = fake::stranger(1).0;
    let before = b
        .house
        .treasury
        .request_payout(gruve_treasury::NewPayout {
            account: account(1),
            amount: fake::sat(1_000_000),
            address: to.clone(),
            request_key: None,
        })
        .await
        .unwrap();
    b.service.put("v1/disputes/dp_1", dispute(&intent, "needs_response"));
    assert_eq!(b.event("evt_1", "charge.dispute.created", "dp_1").await, Heard::Yes);
    assert!(b.house.treasury.is_disputed(account(1)).await.unwrap());
    let payer = gruve_treasury::Payer::new(b.house.treasury.clone());
    payer.step().await.unwrap();
    let payout = b.house.payout(before).await;
    assert_eq!(payout.state.word(), "approved", "what was asked for before stays here too");
    let ask = || {
        b.house.treasury.request_payout(gruve_treasury::NewPayout {
            account: account(1),
            amount: fake::sat(1_000_000),
            address: to.clone(),
            request_key: None,
        })
    };
    assert!(matches!(ask().await, Err(TreasuryError::Disputed)));
    b.service.put("v1/disputes/dp_1", dispute(&intent, "won"));
    assert_eq!(b.event("evt_2", "charge.dispute.closed", "dp_1").await, Heard::Yes);
    // Late and out of order: it is closed, and stays so.
    assert_eq!(b.event("evt_0", "charge.dispute.updated", "dp_1").await, Heard::Yes);
    ask().await.unwrap();
    payer.step().await.unwrap();
    assert_ne!(b.house.payout(before).await.state.word(), "approved");
    assert_eq!(b.available(1).await, 500);
    b.service.put("v1/disputes/dp_2", dispute(&intent, "lost"));
    for n in 3..5 {
        let heard = b.event(&format!("evt_{n}"), "charge.dispute.closed", "dp_2").await;
        assert_eq!(heard, Heard::Yes);
    }
    assert_eq!((b.available(1).await, b.at("card").await), (0, 0));
    assert!(!b.house.treasury.is_disputed(account(1)).await.unwrap());
}

pub(super) async fn what_is_told_of_a_payment_before_it_is_booked_counts_all_the_same(
    store: Store,
) {
    let b = bench(store).await;
    let invoice = b.house.invoice_in(1, eur(500), Purpose::TopUp).await;
    b.open(1, &invoice, Method::Card).await.unwrap();
    b.paid("cs_test_1", 500);
    let intent = "pi_cs_test_1";
    b.service.put("v1/charges/ch_1", json!({ "payment_intent": intent, "amount_refunded": 200 }));
    assert_eq!(b.event("evt_1", "charge.refunded", "ch_1").await, Heard::Yes);
    assert_eq!(b.available(1).await, 300);
    let invoice = b.house.invoice_in(2, eur(500), Purpose::TopUp).await;
    b.open(2, &invoice, Method::Card).await.unwrap();
    b.paid("cs_test_2", 500);
    b.service.put("v1/disputes/dp_1", dispute("pi_cs_test_2", "needs_response"));
    assert_eq!(b.event("evt_2", "charge.dispute.created", "dp_1").await, Heard::Yes);
    assert!(b.house.treasury.is_disputed(account(2)).await.unwrap());
    // Of a payment that is none of ours nothing is counted.
    b.service.put("v1/charges/ch_2", json!({ "payment_intent": "pi_x", "amount_refunded": 200 }));
    assert_eq!(b.event("evt_3", "charge.refunded", "ch_2").await, Heard::Yes);
    b.house.check().await;
}

pub(super) async fn a_dispute_whose_end_nobody_told_is_found_settled_by_looking(store: Store) {
    let b = bench(store).await;
    for (n, (dispute_id, end)) in
        [("dp_1", "won"), ("dp_2", "charge_refunded")].into_iter().enumerate()
    {
        let (_, intent) = b.topped_up(1, 500).await;
        let place = format!("v1/disputes/{dispute_id}");
        b.service.put(&place, dispute(&intent, "needs_response"));
        let event = format!("evt_{n}");
        assert_eq!(b.event(&event, "charge.dispute.created", dispute_id).await, Heard::Yes);
        b.later().await;
        assert!(b.house.treasury.is_disputed(account(1)).await.unwrap());
        b.service.put(&place, dispute(&intent, end));
        b.later().await;
        assert!(b.house.treasury.is_disputed(account(1)).await.unwrap(), "not at once again");
        b.house.clock.advance(Duration::from_secs(6 * 3_600));
        b.later().await;
        assert!(!b.house.treasury.is_disputed(account(1)).await.unwrap(), "{end}");
    }
    b.house.check().await;
}

pub(super) async fn what_a_lost_dispute_left_owing_keeps_everything_here_until_it_is_released(
    store: Store,
) {
    let b = bench(store).await;
    let invoice = b.lease(1, 500).await;
    b.open(1, &invoice, Method::Card).await.unwrap();
    b.paid("cs_test_1", 500);
    b.later().await;
    assert_eq!(b.books(Account::PrepaidWork(contract(1))).await, 500);
    b.service.put("v1/disputes/dp_1", dispute("pi_cs_test_1", "lost"));
    assert_eq!(b.event("evt_1", "charge.dispute.closed", "dp_1").await, Heard::Yes);
    let t = &b.house.treasury;
    assert!(t.is_disputed(account(1)).await.unwrap(), "what was bought earns on");
    assert!(t.release_disputes(account(1)).await.unwrap());
    assert!(!t.is_disputed(account(1)).await.unwrap());
    assert!(!t.release_disputes(account(1)).await.unwrap());
    b.house.check().await;
}

pub(super) async fn what_is_settled_stays_so_whatever_an_old_answer_says(store: Store) {
    let b = bench(store).await;
    // Of a payment that is none of ours nothing is kept, and the service need not say it again.
    b.service.put("v1/disputes/dp_0", dispute("pi_x", "lost"));
    assert_eq!(b.event("evt_0", "charge.dispute.closed", "dp_0").await, Heard::Yes);
    let t = &b.house.treasury;
    let (_, intent) = b.topped_up(1, 500).await;
    for (n, (end, later, left)) in
        [("won", "needs_response", 500), ("won", "lost", 500), ("lost", "won", 0)]
            .into_iter()
            .enumerate()
    {
        let name = format!("dp_{}", n + 1);
        for (m, status) in ["needs_response", end, later, "needs_response"].into_iter().enumerate()
        {
            b.service.put(&format!("v1/disputes/{name}"), dispute(&intent, status));
            let event = format!("evt_{n}_{m}");
            let heard = b.event(&event, "charge.dispute.updated", &name).await;
            assert_eq!(heard, Heard::Yes);
            assert_eq!(t.is_disputed(account(1)).await.unwrap(), m == 0, "{end}, {status}");
        }
        assert_eq!((b.available(1).await, b.at("card").await), (left, left), "{end}, {later}");
    }
    b.house.check().await;
}
