//! What the card service books on the house's account there, in its books.

use crate::broken::Fuse;
use crate::fake::account;
use crate::services::{Lists, Mood};
use crate::{Bench, bench, eur};
use gruve_ledger::{Account, balance};
use gruve_store::{Store, transact};
use gruve_treasury::{Method, Purpose, ServiceComparison, TreasuryError};
use gruve_units::{Asset, Clock as _};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::Barrier;

gruve_store::laws! { turnover: [
    the_services_account_is_booked_line_by_line_and_comes_to_what_it_says,
    what_a_dispute_takes_and_gives_back_is_booked_as_it_happens,
    lines_in_many_pages_that_come_twice_and_in_any_order_are_booked_once,
    one_line_that_cannot_be_read_holds_up_no_other_and_is_told_as_a_difference,
    a_page_that_is_too_long_is_asked_for_in_parts,
    a_line_that_is_too_long_holds_up_no_other_and_is_told_as_a_difference,
    payments_in_a_currency_that_the_books_do_not_keep_are_the_operators_own,
    what_is_booked_while_services_are_compared_counts_once,
    what_the_service_has_and_no_line_says_is_told_and_nothing_is_adjusted,
    what_differs_is_kept_for_whoever_looks_until_it_is_compared_again,
    while_a_difference_stands_the_account_is_read_for_it_once_an_hour,
    nobody_waits_for_services_that_are_being_compared,
    an_account_that_moves_while_it_is_compared_is_read_again,
    a_list_that_never_ends_is_left_and_begun_again_after_a_while,
    a_line_that_is_shown_late_is_booked_all_the_same,
    a_payment_without_a_line_is_no_finding_before_its_line_is_due,
    a_line_that_is_taken_out_of_the_books_is_found,
    payments_that_arrive_in_another_currency_are_booked_in_both,
    broken_off_anywhere_each_line_is_booked_once,
]}

const HOUR: Duration = Duration::from_secs(3_600);

/// What a line is about.
fn of(intent: &str) -> Value {
    json!({ "payment_intent": intent, "currency": "eur", "metadata": {} })
}

impl Bench {
    /// A line of the service's account, in cents, made now.
    fn line(&self, name: &str, category: &str, (amount, fee): (i64, i64), source: &Value) {
        let line = json!({ "id": name, "object": "balance_transaction", "amount": amount, "fee": fee,
            "net": amount - fee, "currency": "eur", "created": self.house.clock.now().secs(),
            "reporting_category": category, "source": source, "status": "available" });
        self.service.put(&format!("v1/balance_transactions/{name}"), line);
    }

    /// The account is read once more.
    async fn hour(&self) {
        self.house.clock.advance(HOUR);
        self.house.treasury.poll_checkouts().await.unwrap();
    }

    async fn fees(&self) -> i64 {
        self.books(Account::NetworkFees).await
    }

    /// The service's word against the books, in euros.
    async fn compared(&self) -> Result<ServiceComparison, TreasuryError> {
        let all = self.house.treasury.compare_services().await?;
        Ok(*all.iter().find(|c| c.there.asset == Asset::Eur).unwrap())
    }

    async fn findings(&self) -> Vec<String> {
        let mut tx = self.house.store.read().await.unwrap();
        self.house.treasury.audit_turnover(&mut tx).await.unwrap()
    }

    /// The books and the service agree, and nothing is unread.
    async fn agrees(&self) {
        let c = self.compared().await.unwrap();
        assert_eq!((c.difference, c.lines_unread), (eur(0), 0), "{c:?}");
        assert_eq!(c.there, c.books);
        assert_eq!(self.findings().await, Vec::<String>::new());
        self.house.check().await;
    }
}

async fn the_services_account_is_booked_line_by_line_and_comes_to_what_it_says(store: Store) {
    let mut b = bench(store).await;
    let (payment, intent) = b.topped_up(1, 500).await;
    b.line("txn_1", "charge", (500, 45), &of(&intent));
    let c = b.compared().await.unwrap();
    assert_eq!(
        (c.there, c.books, c.lines_unread),
        (eur(455), eur(0), 1),
        "not read is not missing"
    );
    assert_eq!((c.unread, c.difference), (eur(455), eur(0)));
    b.hour().await;
    assert_eq!((b.at("stripe").await, b.at("card").await, b.fees().await), (455, 0, 45));
    b.house.treasury.refund(payment.id, eur(200), eur(0), "x").await.unwrap();
    assert_eq!(b.at("card").await, -200, "given back here, not there yet");
    b.line("txn_2", "refund", (-200, 0), &of(&intent));
    b.line("txn_3", "payout", (-250, 0), &json!({ "object": "payout" }));
    b.line("txn_4", "fee", (-2, 0), &Value::Null);
    b.line("txn_5", "contribution", (-1, 0), &Value::Null);
    b.line("txn_0", "other_adjustment", (0, 0), &Value::Null);
    for _ in 0..3 {
        b.hour().await;
        assert_eq!((b.at("stripe").await, b.at("card").await, b.fees().await), (2, 0, 47));
        assert_eq!((b.at("transit").await, b.at("operator").await), (250, 1));
        b.agrees().await;
        b.restart();
    }
    // A payout that the bank refused is back.
    b.line("txn_6", "payout_reversal", (250, 0), &json!({ "object": "payout" }));
    b.hour().await;
    assert_eq!((b.at("stripe").await, b.at("transit").await), (252, 0));
    b.agrees().await;
    // A charge that was made by no place of ours names none of our payments.
    b.line("txn_7", "charge", (10, 1), &json!({ "currency": "eur", "metadata": {} }));
    b.hour().await;
    assert_eq!((b.at("stripe").await, b.at("card").await, b.at("operator").await), (261, 0, -9));
    b.agrees().await;
}

async fn what_a_dispute_takes_and_gives_back_is_booked_as_it_happens(store: Store) {
    let b = bench(store).await;
    let (_, won) = b.topped_up(1, 500).await;
    let (_, lost) = b.topped_up(2, 500).await;
    for (n, intent) in [&won, &lost].into_iter().enumerate() {
        b.line(&format!("txn_c{n}"), "charge", (500, 45), &of(intent));
        b.line(&format!("txn_d{n}"), "dispute", (-500, 1_500), &of(intent));
    }
    b.hour().await;
    assert_eq!((b.at("stripe").await, b.at("card").await), (-3_090, 1_000), "it may come back");
    b.agrees().await;
    b.line("txn_w", "dispute_reversal", (500, -1_500), &of(&won));
    b.service.put("v1/disputes/dp_1", crate::dispute(&lost, "lost"));
    b.event("evt_1", "charge.dispute.closed", "dp_1").await;
    b.hour().await;
    assert_eq!((b.at("card").await, b.at("stripe").await, b.fees().await), (0, -1_090, 1_590));
    assert_eq!((b.available(1).await, b.available(2).await), (500, 0));
    b.agrees().await;
}

async fn lines_in_many_pages_that_come_twice_and_in_any_order_are_booked_once(store: Store) {
    let mut b = bench(store).await;
    let (_, intent) = b.topped_up(1, 500).await;
    // Nobody has told of this payment yet: that it is one of ours its line says.
    let invoice = b.house.invoice_in(2, eur(700), Purpose::TopUp).await;
    let told = json!({ "payment_intent": "pi_early", "currency": "eur",
        "metadata": { "invoice": invoice.id.to_string() } });
    for n in 0..110 {
        // What stands before its payment in the list, and what is of others who use the same account.
        b.line(&format!("txn_b{n}"), "refund", (-1, 0), &of(&intent));
        b.line(&format!("txn_o{n}"), "charge", (10, 1), &of("pi_of_others"));
    }
    b.line("txn_a", "refund", (-300, 0), &of("pi_early"));
    b.line("txn_x", "charge", (500, 0), &of(&intent));
    b.line("txn_z", "charge", (700, 0), &told);
    let twice = (Lists::Overlapping, Mood::Well);
    let (down, silent) = ((Lists::Down, Mood::Well), (Lists::Well, Mood::Down));
    let (torn, garbled) = ((Lists::Torn, Mood::Well), (Lists::Well, Mood::Garbled));
    let never = (Lists::NeverEnding, Mood::Well);
    b.house.clock.advance(HOUR);
    for (lists, mood) in [twice, down, silent, torn, garbled, never, twice, twice, twice] {
        b.service.books.lock().unwrap().lists = lists;
        b.service.mood(mood);
        b.house.treasury.poll_checkouts().await.unwrap();
        b.house.clock.advance(Duration::from_secs(600));
        if mood == Mood::Down {
            assert!(b.compared().await.is_err(), "a service that is down says nothing");
        }
    }
    b.silent(Mood::Silent);
    assert!(matches!(b.compared().await, Err(TreasuryError::Service { .. })));
    b.house.treasury.poll_checkouts().await.unwrap();
    b.well();
    b.service.books.lock().unwrap().lists = Lists::Overlapping;
    for _ in 0..2 {
        b.hour().await;
        // A page each, and then nothing for the rest of the hour.
        for _ in 0..15 {
            b.house.treasury.poll_checkouts().await.unwrap();
        }
    }
    let ours = 500 - 110 + 700 - 300;
    assert_eq!(b.at("stripe").await, ours + 110 * 9);
    assert_eq!((b.at("operator").await, b.fees().await), (-110 * 10, 110));
    assert_eq!(b.at("card").await, 500 - ours, "told, less what has arrived");
    assert_eq!(b.compared().await.unwrap().difference, eur(0));
    b.house.check().await;
    // The payment is told of at last.
    b.open(2, &invoice, Method::Card).await.unwrap();
    b.paid("cs_test_2", 700);
    b.service.set("v1/checkout/sessions/cs_test_2", &json!({ "payment_intent": "pi_early" }));
    b.hour().await;
    assert_eq!((b.available(2).await, b.at("card").await), (700, 110 + 300));
    b.agrees().await;
}

async fn one_line_that_cannot_be_read_holds_up_no_other_and_is_told_as_a_difference(store: Store) {
    let b = bench(store).await;
    let (_, intent) = b.topped_up(1, 500).await;
    b.line("txn_1", "charge", (500, 45), &of(&intent));
    b.line("txn_2", "payout", (-100, 0), &Value::Null);
    b.line("txn_3", "payout", (-200, 0), &Value::Null);
    b.service.set("v1/balance_transactions/txn_2", &json!({ "amount": "-100" }));
    b.hour().await;
    assert_eq!((b.at("stripe").await, b.at("transit").await), (255, 200));
    let c = b.compared().await.unwrap();
    assert_eq!((c.difference, c.lines_unread), (eur(-100), 0));
    b.service.set("v1/balance_transactions/txn_2", &json!({ "amount": -100 }));
    b.house.clock.advance(Duration::from_secs(600));
    b.house.treasury.poll_checkouts().await.unwrap();
    assert_eq!((b.at("stripe").await, b.at("transit").await), (155, 300), "soon, not in an hour");
    b.agrees().await;
}

/// What a line is about, with evidence of so many bytes.
fn with_evidence(intent: &str, bytes: usize) -> Value {
    let mut source = of(intent);
    source["evidence"] = "x".repeat(bytes).into();
    source
}

async fn a_page_that_is_too_long_is_asked_for_in_parts(store: Store) {
    let b = bench(store).await;
    let (_, intent) = b.topped_up(1, 500).await;
    b.line("txn_0", "charge", (500, 45), &of(&intent));
    // Five at once are what an answer may have, six are not.
    for n in 1..=12 {
        b.line(&format!("txn_{n}"), "dispute", (-10, 0), &with_evidence(&intent, 360_000));
    }
    b.service.books.lock().unwrap().limits.clear();
    let c = b.compared().await.unwrap();
    assert_eq!((c.lines_unread, c.unread, c.difference), (13, eur(335), eur(0)));
    let limits = std::mem::take(&mut b.service.books.lock().unwrap().limits);
    assert_eq!(limits, ["20", "10", "5", "20", "10", "5", "20"]);
    b.hour().await;
    assert_eq!(b.at("stripe").await, 0, "not all of it is read");
    for _ in 0..2 {
        b.house.treasury.poll_checkouts().await.unwrap();
    }
    assert_eq!((b.at("stripe").await, b.at("card").await), (335, 120));
    b.agrees().await;
}

async fn a_line_that_is_too_long_holds_up_no_other_and_is_told_as_a_difference(store: Store) {
    let b = bench(store).await;
    let (_, intent) = b.topped_up(1, 500).await;
    b.line("txn_1", "charge", (500, 45), &of(&intent));
    b.line("txn_2", "dispute", (-100, 0), &with_evidence(&intent, 3 << 20));
    b.line("txn_3", "payout", (-200, 0), &Value::Null);
    b.hour().await;
    // What is behind it, and what is behind that.
    for _ in 0..2 {
        b.house.treasury.poll_checkouts().await.unwrap();
    }
    assert_eq!((b.at("stripe").await, b.at("card").await, b.at("transit").await), (255, 0, 200));
    let c = b.compared().await.unwrap();
    assert_eq!((c.difference, c.lines_unread), (eur(-100), 0), "not booked as anybody's");
    b.service.set("v1/balance_transactions/txn_2", &json!({ "source": of(&intent) }));
    b.house.clock.advance(Duration::from_secs(600));
    b.house.treasury.poll_checkouts().await.unwrap();
    assert_eq!((b.at("stripe").await, b.at("card").await), (155, 100), "soon, not in an hour");
    b.agrees().await;
}

async fn payments_in_a_currency_that_the_books_do_not_keep_are_the_operators_own(store: Store) {
    let b = bench(store).await;
    let (_, intent) = b.topped_up(1, 500).await;
    b.line("txn_1", "charge", (500, 45), &of(&intent));
    // Another shop of the operator's, on the same account.
    let pounds = json!({ "payment_intent": "pi_of_others", "currency": "gbp", "amount": 900, "metadata": {} });
    b.line("txn_2", "charge", (1_000, 50), &pounds);
    b.line("txn_3", "refund", (-400, 0), &pounds);
    b.hour().await;
    assert_eq!((b.at("stripe").await, b.at("card").await), (1_005, 0));
    assert_eq!((b.at("operator").await, b.fees().await), (-600, 95));
    b.agrees().await;
    // The reading was whole: it is not begun again before the hour is over.
    b.service.books.lock().unwrap().limits.clear();
    b.house.clock.advance(Duration::from_secs(1_200));
    b.house.treasury.poll_checkouts().await.unwrap();
    assert!(b.service.books.lock().unwrap().limits.is_empty());
}

async fn what_is_booked_while_services_are_compared_counts_once(store: Store) {
    let b = bench(store).await;
    let (_, intent) = b.topped_up(1, 500).await;
    b.line("txn_1", "charge", (500, 45), &of(&intent));
    let holds = Arc::new(Barrier::new(2));
    b.service.books.lock().unwrap().holds = Some(holds.clone());
    let booking = async {
        holds.wait().await;
        b.hour().await;
        assert_eq!(b.at("stripe").await, 455);
        holds.wait().await;
    };
    let (compared, ()) = tokio::join!(b.compared(), booking);
    let c = compared.unwrap();
    assert_eq!((c.books, c.lines_unread, c.difference), (eur(455), 0, eur(0)));
    b.agrees().await;
}

async fn what_the_service_has_and_no_line_says_is_told_and_nothing_is_adjusted(store: Store) {
    let b = bench(store).await;
    let (_, intent) = b.topped_up(1, 500).await;
    b.line("txn_1", "charge", (500, 45), &of(&intent));
    b.service.books.lock().unwrap().astray = -7;
    for _ in 0..2 {
        b.hour().await;
        let c = b.compared().await.unwrap();
        assert_eq!((c.there, c.books, c.difference), (eur(448), eur(455), eur(-7)));
    }
    b.service.books.lock().unwrap().astray = 0;
    b.agrees().await;
}

async fn what_differs_is_kept_for_whoever_looks_until_it_is_compared_again(store: Store) {
    let mut b = bench(store).await;
    assert_eq!(b.house.treasury.services_compared(), None, "nobody has asked yet");
    let (_, intent) = b.topped_up(1, 500).await;
    b.line("txn_1", "charge", (500, 45), &of(&intent));
    let asked = async |b: &Bench| {
        b.service.books.lock().unwrap().limits.clear();
        b.hour().await;
        b.service.books.lock().unwrap().limits.len()
    };
    assert_eq!(asked(&b).await, 1, "where they agree nothing is read for it");
    let kept = |b: &Bench| {
        let compared = b.house.treasury.services_compared().unwrap();
        let [c] = compared.all[..] else { panic!("{compared:?}") };
        (compared.at, c.there, c.books, c.difference)
    };
    let now = b.house.clock.now();
    assert_eq!(kept(&b), (now, eur(455), eur(455), eur(0)));

    b.service.books.lock().unwrap().astray = -7;
    assert!(asked(&b).await > 1, "a difference is not told before all lines are known");
    let told = (b.house.clock.now(), eur(448), eur(455), eur(-7));
    assert_eq!(kept(&b), told);
    b.service.mood(Mood::Down);
    b.hour().await;
    assert_eq!(kept(&b), told, "a service that is down has said nothing else");
    b.service.mood(Mood::Well);
    b.service.books.lock().unwrap().astray = 0;
    b.hour().await;
    assert_eq!(kept(&b), (b.house.clock.now(), eur(455), eur(455), eur(0)));
    b.restart();
    assert_eq!(b.house.treasury.services_compared(), None);
    b.house.treasury.poll_checkouts().await.unwrap();
    assert_eq!(kept(&b).3, eur(0), "a start asks anew");
}

async fn while_a_difference_stands_the_account_is_read_for_it_once_an_hour(store: Store) {
    let b = bench(store).await;
    let (_, intent) = b.topped_up(1, 500).await;
    b.line("txn_1", "charge", (500, 45), &of(&intent));
    b.line("txn_2", "payout", (-100, 0), &Value::Null);
    // What cannot be read is tried again every ten minutes, and what it comes to is missing until then.
    b.service.set("v1/balance_transactions/txn_2", &json!({ "amount": "-100" }));
    let asked = async |after: Duration| {
        b.service.books.lock().unwrap().limits.clear();
        b.house.clock.advance(after);
        b.house.treasury.poll_checkouts().await.unwrap();
        b.service.books.lock().unwrap().limits.len()
    };
    let part = HOUR / 6;
    assert_eq!(asked(HOUR).await, 2, "once to book it, once for the difference");
    let told = b.house.treasury.services_compared().unwrap();
    assert_eq!((told.at, told.all[0].difference), (b.house.clock.now(), eur(-100)));
    for _ in 0..5 {
        assert_eq!(asked(part).await, 1);
        assert_eq!(b.house.treasury.services_compared().as_ref(), Some(&told));
    }
    assert_eq!(asked(part).await, 2);
    let again = b.house.treasury.services_compared().unwrap();
    assert_eq!((again.at, &again.all), (b.house.clock.now(), &told.all));
    // That there is none any more is seen without.
    b.service.set("v1/balance_transactions/txn_2", &json!({ "amount": -100 }));
    assert_eq!(asked(part).await, 1);
    let agreed = b.house.treasury.services_compared().unwrap();
    assert_eq!((agreed.at, agreed.all[0].difference), (b.house.clock.now(), eur(0)));
}

async fn nobody_waits_for_services_that_are_being_compared(store: Store) {
    let b = bench(store).await;
    b.topped_up(1, 500).await;
    b.house.clock.advance(HOUR);
    let holds = Arc::new(Barrier::new(2));
    b.service.books.lock().unwrap().holds_balance = Some(holds.clone());
    let meanwhile = async {
        holds.wait().await;
        b.house.treasury.poll_checkouts().await.unwrap();
        holds.wait().await;
    };
    let (polled, ()) = tokio::join!(b.house.treasury.poll_checkouts(), meanwhile);
    polled.unwrap();
}

async fn an_account_that_moves_while_it_is_compared_is_read_again(store: Store) {
    let b = bench(store).await;
    let (_, intent) = b.topped_up(1, 500).await;
    b.line("txn_1", "charge", (500, 45), &of(&intent));
    let holds = Arc::new(Barrier::new(2));
    b.service.books.lock().unwrap().holds_balance = Some(holds.clone());
    // The balance is said; before the lines are, there is one more.
    let moving = async {
        holds.wait().await;
        b.line("txn_2", "payout", (-100, 0), &Value::Null);
        holds.wait().await;
    };
    let (compared, ()) = tokio::join!(b.compared(), moving);
    let c = compared.unwrap();
    assert_eq!((c.there, c.unread, c.difference), (eur(355), eur(355), eur(0)));
}

async fn a_list_that_never_ends_is_left_and_begun_again_after_a_while(store: Store) {
    let b = bench(store).await;
    b.topped_up(1, 500).await;
    for n in 0..30 {
        b.line(&format!("txn_{n}"), "payout", (-1, 0), &Value::Null);
    }
    let asked = async |rounds: u32| {
        b.service.books.lock().unwrap().listed.clear();
        for _ in 0..rounds {
            b.house.treasury.poll_checkouts().await.unwrap();
        }
        let books = b.service.books.lock().unwrap();
        books.listed.iter().filter(|l| l.starts_with("v1/balance_transactions")).count()
    };
    b.service.books.lock().unwrap().lists = Lists::NeverEnding;
    b.house.clock.advance(HOUR);
    assert!(asked(2).await >= 2, "its first page twice");
    assert_eq!(asked(3).await, 0, "and then no more");
    b.service.books.lock().unwrap().lists = Lists::Well;
    b.house.clock.advance(Duration::from_secs(600));
    assert!(asked(2).await >= 2, "soon, not in an hour");
    assert_eq!(b.at("transit").await, 30);
}

async fn a_line_that_is_shown_late_is_booked_all_the_same(store: Store) {
    let mut b = bench(store).await;
    let (_, intent) = b.topped_up(1, 500).await;
    b.line("txn_1", "charge", (500, 45), &of(&intent));
    let made = b.house.clock.now().secs();
    b.house.clock.advance(HOUR * 3);
    b.line("txn_3", "payout", (-100, 0), &Value::Null);
    b.hour().await;
    assert_eq!(b.at("stripe").await, 355);
    // Of before what was read already, as after a start, when nothing of the reading is remembered.
    b.line("txn_2", "payout", (-50, 0), &Value::Null);
    b.service.set("v1/balance_transactions/txn_2", &json!({ "created": made + 1 }));
    b.restart();
    b.hour().await;
    assert_eq!((b.at("stripe").await, b.at("transit").await), (305, 150));
    b.agrees().await;
}

async fn a_payment_without_a_line_is_no_finding_before_its_line_is_due(store: Store) {
    let b = bench(store).await;
    b.topped_up(1, 500).await;
    let read = async |day: u32| {
        // Until when the account is read, its lines say.
        b.line(&format!("txn_{day}"), "payout", (-1, 0), &Value::Null);
        b.hour().await;
        b.findings().await.len()
    };
    for day in 0..2 {
        assert_eq!(read(day).await, 0, "day {day}");
        b.house.clock.advance(HOUR * 22);
    }
    b.house.clock.advance(HOUR * 24);
    assert_eq!(read(3).await, 1);
}

async fn a_line_that_is_taken_out_of_the_books_is_found(store: Store) {
    let b = bench(store).await;
    let (_, intent) = b.topped_up(1, 500).await;
    b.line("txn_1", "charge", (500, 45), &of(&intent));
    b.house.clock.advance(HOUR * 72);
    b.line("txn_2", "payout", (-100, 0), &Value::Null);
    b.hour().await;
    b.agrees().await;
    transact!(b.house.store, tx -> Result<(), TreasuryError> => {
        tx.execute("DELETE FROM treasury_turnover WHERE external = 'txn_1'", &[]).await?;
        Ok(())
    })
    .unwrap();
    let found = b.findings().await;
    for part in ["clearing:stripe", "clearing:card", "is not on the service's account"] {
        assert!(found.iter().any(|f| f.contains(part)), "{part}: {found:?}");
    }
}

async fn payments_that_arrive_in_another_currency_are_booked_in_both(store: Store) {
    let b = bench(store).await;
    let (_, first) = b.topped_up(1, 500).await;
    let (_, second) = b.topped_up(2, 300).await;
    let with = |intent: &str, cents: i64| json!({ "payment_intent": intent, "currency": "eur", "amount": cents, "metadata": {} });
    b.line("txn_1", "charge", (550, 50), &with(&first, 500));
    b.line("txn_2", "refund", (-110, 0), &with(&first, 100));
    // The books have no account in crowns: what the customer paid in euros they have.
    b.line("txn_3", "charge", (3_400, 200), &with(&second, 300));
    for (name, currency) in [("txn_1", "usd"), ("txn_2", "usd"), ("txn_3", "nok")] {
        let place = format!("v1/balance_transactions/{name}");
        b.service.set(&place, &json!({ "currency": currency }));
    }
    b.hour().await;
    let usd = async |of: &str| {
        let mut tx = b.house.store.read().await.unwrap();
        let account = Account::Clearing(of.into());
        balance(&mut tx, &account, Asset::Usd).await.unwrap().minor / 10_000
    };
    assert_eq!((usd("stripe").await, usd("exchange").await), (390, -440));
    assert_eq!((b.at("card").await, b.at("exchange").await), (100, 700));
    assert_eq!(b.available(1).await + b.available(2).await, 800);
    let all = b.house.treasury.compare_services().await.unwrap();
    assert!(all.iter().all(|c| c.difference.minor == 0), "{all:?}");
    assert_eq!(b.findings().await, Vec::<String>::new());
    b.house.check().await;
}

async fn broken_off_anywhere_each_line_is_booked_once(store: Store) {
    let mut b = bench(store).await;
    let (_, intent) = b.topped_up(1, 500).await;
    b.line("txn_0", "charge", (500, 45), &of(&intent));
    let (mut fuse, mut paid_out) = (1, 0);
    loop {
        b.restart();
        let points = Arc::new(Fuse(AtomicI64::new(fuse)));
        b.house.treasury.break_off_with(points.clone());
        b.line(&format!("txn_a{fuse}"), "payout", (-1, 0), &Value::Null);
        b.line(&format!("txn_b{fuse}"), "payout", (-1, 0), &Value::Null);
        paid_out += 2;
        while b.compared().await.unwrap().lines_unread > 0 {
            b.house.clock.advance(HOUR);
            match b.house.treasury.poll_checkouts().await {
                Ok(_) => {}
                Err(TreasuryError::BrokenOff(_)) => b.restart(),
                Err(e) => panic!("{e}"),
            }
        }
        assert_eq!(b.at("transit").await, paid_out, "fuse {fuse}");
        if points.0.load(Ordering::SeqCst) > 0 {
            break;
        }
        fuse += 1;
    }
    assert!(fuse > 5, "{fuse} points were tried");
    b.agrees().await;
    assert_eq!(b.books(Account::CustomerAvailable(account(1))).await, 500);
}
