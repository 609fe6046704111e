//! What happened at the card service while the house was down, and no webhook came.

use crate::fake::account;
use crate::services::Lists;
use crate::{Bench, bench, dispute};
use gruve_store::Store;
use gruve_units::Clock as _;
use serde_json::{Value, json};
use std::time::Duration;

gruve_store::laws! { missed: [
    a_dispute_that_nobody_told_of_is_found_after_the_start,
    a_list_that_is_torn_down_or_never_ends_holds_up_nothing_and_is_read_again,
    a_list_that_is_longer_than_was_asked_for_is_looked_at_page_by_page,
    one_entry_that_cannot_be_read_holds_up_no_other,
    refunds_that_nobody_told_of_are_counted_once,
    a_refund_that_failed_before_its_answer_came_is_back_once,
]}

const MINUTES: Duration = Duration::from_secs(600);

impl Bench {
    /// A dispute at the service that was opened now; nothing is told of it.
    fn disputes(&self, name: &str, intent: &str, status: &str) {
        let mut object = dispute(intent, status);
        object["created"] = self.house.clock.now().secs().into();
        self.service.put(&format!("v1/disputes/{name}"), object);
    }

    fn lists_are(&self, lists: Lists) {
        self.service.books.lock().unwrap().lists = lists;
    }

    /// How often a list was asked for.
    fn listed(&self, kind: &str) -> usize {
        let books = self.service.books.lock().unwrap();
        books.listed.iter().filter(|l| l.starts_with(kind)).count()
    }

    async fn is_disputed(&self, n: u8) -> bool {
        self.house.treasury.is_disputed(account(n)).await.unwrap()
    }
}

async fn a_dispute_that_nobody_told_of_is_found_after_the_start(store: Store) {
    let mut b = bench(store).await;
    let (_, lost) = b.topped_up(1, 500).await;
    let (_, open) = b.topped_up(2, 500).await;
    // The list was read when the house began; then it is down, and pages of others' disputes come on top.
    b.disputes("dp_lost", &lost, "lost");
    b.disputes("dp_open", &open, "needs_response");
    b.house.clock.advance(MINUTES);
    for n in 0..45 {
        b.disputes(&format!("dp_other{n}"), "pi_of_others", "needs_response");
    }
    b.house.treasury.poll_checkouts().await.unwrap();
    assert!(!b.is_disputed(2).await, "once a day is often enough");
    b.restart();
    for page in 1..=3 {
        assert!(!b.is_disputed(2).await, "page {page}");
        b.house.treasury.poll_checkouts().await.unwrap();
    }
    assert!(b.is_disputed(2).await);
    assert_eq!((b.available(1).await, b.available(2).await, b.at("card").await), (0, 500, 500));
    // All of it was read: not again before tomorrow, nor after a restart with any effect.
    let pages = b.listed("v1/disputes");
    b.later().await;
    assert_eq!(b.listed("v1/disputes"), pages);
    b.restart();
    for _ in 0..4 {
        b.later().await;
    }
    assert_eq!((b.available(1).await, b.at("card").await), (0, 500));
    // Without any restart, too.
    let (_, third) = b.topped_up(3, 500).await;
    b.disputes("dp_third", &third, "under_review");
    b.house.clock.advance(Duration::from_secs(86_400));
    b.later().await;
    assert!(b.is_disputed(3).await);
    b.house.check().await;
}

async fn a_list_that_is_torn_down_or_never_ends_holds_up_nothing_and_is_read_again(store: Store) {
    let mut b = bench(store).await;
    for lists in [Lists::Down, Lists::Torn] {
        b.restart();
        b.lists_are(lists);
        let (payment, _) = b.topped_up(1, 500).await;
        assert_eq!(payment.amount, crate::eur(500), "{lists:?}");
    }
    let (_, intent) = b.topped_up(2, 500).await;
    for n in 0..30 {
        b.disputes(&format!("dp_other{n}"), "pi_of_others", "needs_response");
    }
    b.house.clock.advance(MINUTES);
    b.lists_are(Lists::NeverEnding);
    b.restart();
    let before = b.listed("v1/disputes");
    for _ in 0..50 {
        b.house.treasury.poll_checkouts().await.unwrap();
    }
    assert_eq!(b.listed("v1/disputes"), before + 2, "the same page again is the end for now");
    b.disputes("dp_1", &intent, "needs_response");
    b.lists_are(Lists::Well);
    b.later().await;
    assert!(b.is_disputed(2).await);
    b.house.check().await;
}

async fn a_list_that_is_longer_than_was_asked_for_is_looked_at_page_by_page(store: Store) {
    let mut b = bench(store).await;
    let (_, intent) = b.topped_up(1, 500).await;
    b.disputes("dp_1", &intent, "needs_response");
    b.house.clock.advance(MINUTES);
    for n in 0..45 {
        b.disputes(&format!("dp_other{n}"), "pi_of_others", "needs_response");
    }
    b.lists_are(Lists::Whole);
    b.restart();
    for page in 1..=3 {
        assert!(!b.is_disputed(1).await, "page {page}");
        b.house.treasury.poll_checkouts().await.unwrap();
    }
    assert!(b.is_disputed(1).await);
    b.house.check().await;
}

async fn one_entry_that_cannot_be_read_holds_up_no_other(store: Store) {
    let mut b = bench(store).await;
    let (_, intent) = b.topped_up(1, 500).await;
    let (_, late) = b.topped_up(2, 500).await;
    let now = b.house.clock.now().secs();
    // One without a name that could stand in a path, and one that says nothing.
    let nameless = json!({ "id": "../v1/balance", "created": now + 2, "status": "lost" });
    b.service.put("v1/disputes/dp_x", nameless);
    b.service.put("v1/disputes/dp_torn", json!({ "created": now + 1 }));
    b.disputes("dp_1", &intent, "needs_response");
    b.restart();
    b.house.treasury.poll_checkouts().await.unwrap();
    assert!(b.is_disputed(1).await);
    // What could not be looked at is tried again soon, not tomorrow.
    let mut mended = dispute(&late, "needs_response");
    mended["created"] = (now + 1).into();
    b.service.put("v1/disputes/dp_torn", mended);
    b.later().await;
    assert!(b.is_disputed(2).await);
    b.house.check().await;
}

async fn refunds_that_nobody_told_of_are_counted_once(store: Store) {
    let mut b = bench(store).await;
    let (payment, intent) = b.topped_up(1, 500).await;
    // One of the house's own, one made at the service's dashboard, one there that failed.
    b.house.treasury.refund(payment.id, crate::eur(100), crate::eur(0), "x").await.unwrap();
    let put = |name: &str, status: &str, metadata: Value| {
        let created = b.house.clock.now().secs();
        let object = json!({ "id": name, "status": status, "charge": "ch_1", "created": created,
            "payment_intent": intent, "metadata": metadata });
        b.service.put(&format!("v1/refunds/{name}"), object);
    };
    put("re_board", "succeeded", json!({}));
    put("re_failed", "failed", json!({}));
    // As an older backup would have forgotten it: one of the house's whose name these tables do not know.
    put("re_forgotten", "succeeded", json!({ "refund": forgotten_name() }));
    let all = json!({ "payment_intent": intent, "amount_refunded": 100 + 150 + 50 });
    b.service.put("v1/charges/ch_1", all);
    for _ in 0..2 {
        b.restart();
        b.later().await;
        assert_eq!((b.available(1).await, b.at("card").await), (200, 200));
    }
    b.house.check().await;
}

/// A payment's id that is in no table.
fn forgotten_name() -> String {
    gruve_units::PaymentId::from_bytes([9; 16]).to_string()
}

async fn a_refund_that_failed_before_its_answer_came_is_back_once(store: Store) {
    let b = bench(store).await;
    let (payment, _) = b.topped_up(1, 500).await;
    b.service.mood(crate::Mood::DoneButDown);
    b.house.treasury.refund(payment.id, crate::eur(200), crate::eur(0), "x").await.unwrap();
    assert_eq!(b.available(1).await, 300);
    b.service.mood(crate::Mood::Well);
    let name = b.service.books.lock().unwrap().refunds[0]["id"].as_str().unwrap().to_owned();
    b.service.set(&format!("v1/refunds/{name}"), &json!({ "status": "failed" }));
    assert_eq!(b.event("evt_1", "refund.failed", &name).await, crate::Heard::Yes);
    // Asked again by its key, the service would say what it said at first: that it gives.
    b.later().await;
    assert_eq!((b.available(1).await, b.at("card").await), (500, 500));
    b.house.check().await;
}
