//! What bank transfers promise, on both engines.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "bank/compared.rs"]
mod compared;
mod fake;
#[path = "bank/refused.rs"]
mod refused;

use compared::{
    a_collective_debit_is_booked_whole, a_day_within_a_longer_statement_is_not_the_start,
    a_doubt_beside_a_debit_leaves_both_to_a_person,
    statements_are_held_against_the_books_and_nothing_is_adjusted,
    statements_in_any_order_twice_and_broken_off_are_compared_alike,
    what_is_known_already_does_not_become_the_start,
    what_waited_before_the_first_statement_is_decided_after_it,
    what_was_booked_before_the_start_is_counted_in_one_statement,
    what_was_sent_back_at_once_is_dismissed_when_it_leaves,
};
use fake::{HOUR, House, account, contract};
use gruve_ledger::{Account, balance};
use gruve_store::{Store, transact};
use gruve_treasury::{
    BankWord, CrashPoints, Invoice, InvoiceState, Method, PayInFor, Purpose, TreasuryError,
};
use gruve_units::{Amount, Asset, BankEntryId, PaymentId};
use refused::{
    a_bank_account_that_nobody_could_pay_to_is_refused,
    a_payment_is_taken_once_and_taken_back_once_by_its_name,
    a_transfer_in_another_currency_than_its_invoice_waits,
};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

gruve_store::laws! { bank: [
    a_transfer_pays_the_invoice_whose_reference_it_names,
    less_more_and_late_are_the_invoices_outcomes,
    the_same_file_and_the_same_entry_in_another_file_count_once,
    entries_without_a_reference_of_the_banks_count_once_and_doubts_wait,
    two_transfers_that_say_the_same_are_two_where_the_bank_tells_them_apart,
    what_a_bank_lists_again_under_another_reference_is_not_booked_twice,
    one_bad_entry_waits_with_its_reason_and_the_rest_goes_through,
    a_person_says_whose_a_transfer_is_once,
    what_was_sent_back_leaves_the_books,
    what_the_bank_takes_back_is_the_customers_first_and_the_operators_then,
    a_statement_of_another_account_is_refused_whole,
    an_import_that_breaks_off_anywhere_is_finished_by_giving_the_file_again,
    an_invoice_is_paid_from_the_balance_once,
    broken_off_anywhere_an_invoice_is_paid_from_the_balance_once,
    what_is_too_much_for_a_cent_goes_to_the_balance,
    a_currency_without_an_account_is_not_taken,
    what_is_no_pay_in_is_booked_as_what_a_person_says_it_was,
    a_balance_that_was_paid_out_by_hand_leaves_its_account_and_no_other,
    statements_are_held_against_the_books_and_nothing_is_adjusted,
    statements_in_any_order_twice_and_broken_off_are_compared_alike,
    what_waited_before_the_first_statement_is_decided_after_it,
    what_is_known_already_does_not_become_the_start,
    a_day_within_a_longer_statement_is_not_the_start,
    what_was_booked_before_the_start_is_counted_in_one_statement,
    what_was_sent_back_at_once_is_dismissed_when_it_leaves,
    a_doubt_beside_a_debit_leaves_both_to_a_person,
    a_collective_debit_is_booked_whole,
    a_transfer_in_another_currency_than_its_invoice_waits,
    a_bank_account_that_nobody_could_pay_to_is_refused,
    a_payment_is_taken_once_and_taken_back_once_by_its_name,
]}

fn eur(cents: i64) -> Amount {
    Amount::new(Asset::Eur, cents * 10_000)
}

struct Line {
    own_ref: Option<String>,
    cents: i64,
    text: String,
    /// Whether one below zero takes a payment back, or is the account's own.
    takes_back: bool,
}

fn line(own_ref: &str, cents: i64, text: &str) -> Line {
    let own_ref = (!own_ref.is_empty()).then(|| own_ref.to_owned());
    Line { own_ref, cents, text: text.to_owned(), takes_back: true }
}

/// What leaves the account.
fn left(own_ref: &str, cents: i64, text: &str) -> Line {
    Line { takes_back: false, ..line(own_ref, -cents, text) }
}

/// A statement as a bank writes it.
fn statement(id: &str, lines: &[Line]) -> String {
    let mut entries = String::new();
    for l in lines {
        let own =
            l.own_ref.as_ref().map_or(String::new(), |r| format!("<AcctSvcrRef>{r}</AcctSvcrRef>"));
        let sign = match (l.cents < 0, l.takes_back) {
            (true, true) => "DBIT</CdtDbtInd><RvslInd>true</RvslInd>",
            (true, false) => "DBIT</CdtDbtInd>",
            (false, _) => "CRDT</CdtDbtInd>",
        };
        let cents = l.cents.abs();
        write!(
            entries,
            "<Ntry><Amt Ccy=\"EUR\">{}.{:02}</Amt><CdtDbtInd>{sign}<Sts><Cd>BOOK</Cd></Sts>\
             <BookgDt><Dt>2026-11-20</Dt></BookgDt>{own}<NtryDtls><TxDtls><RltdPties><Dbtr><Pty>\
             <Nm>Kari</Nm></Pty></Dbtr></RltdPties><RmtInf><Ustrd>{}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>",
            cents / 100,
            cents % 100,
            l.text
        )
        .unwrap();
    }
    format!(
        "<Document><BkToCstmrStmt><Stmt><Id>{id}</Id><Acct><Id><IBAN>DE89370400440532013000</IBAN></Id>\
         </Acct>{entries}</Stmt></BkToCstmrStmt></Document>"
    )
}

async fn give(house: &House, text: &str) -> gruve_treasury::Imported {
    house.treasury.import_statement("a.xml", text.as_bytes()).await.unwrap()
}

async fn books(house: &House, account: Account) -> i64 {
    let mut tx = house.store.read().await.unwrap();
    balance(&mut tx, &account, Asset::Eur).await.unwrap().minor / 10_000
}

async fn available(house: &House, n: u8) -> i64 {
    books(house, Account::CustomerAvailable(account(n))).await
}

async fn at_bank(house: &House) -> i64 {
    books(house, Account::Clearing("bank".into())).await
}

async fn top_up(house: &House, n: u8, cents: i64) -> Invoice {
    house.invoice_in(n, eur(cents), Purpose::TopUp).await
}

async fn lease(house: &House, n: u8, cents: i64) -> Invoice {
    house.invoice_in(n, eur(cents), Purpose::Contract(contract(n))).await
}

async fn a_transfer_pays_the_invoice_whose_reference_it_names(store: Store) {
    let house = House::new(store, 1).await;
    let (first, second) = (lease(&house, 1, 5_000).await, top_up(&house, 2, 700).await);
    assert_ne!(first.address, second.address);
    let written = gruve_treasury::bank::written_reference(&first.address).to_lowercase();
    let text = statement(
        "1",
        &[line("a", 5_000, &format!("thanks {written}")), line("b", 700, &second.address)],
    );
    let done = give(&house, &text).await;
    assert_eq!((done.matched, done.waiting, done.known), (2, 0, 0));
    assert_eq!(house.look(first.id).await.state, InvoiceState::Confirmed);
    assert_eq!(books(&house, Account::PrepaidWork(contract(1))).await, 5_000);
    assert_eq!((available(&house, 1).await, available(&house, 2).await), (0, 700));
    assert_eq!(at_bank(&house).await, 5_700);
    house.check().await;
}

async fn less_more_and_late_are_the_invoices_outcomes(store: Store) {
    let house = House::new(store, 1).await;
    let invoice = lease(&house, 1, 5_000).await;
    give(&house, &statement("1", &[line("a", 4_000, &invoice.address)])).await;
    assert_eq!(house.look(invoice.id).await.state, InvoiceState::Underpaid);
    assert_eq!(books(&house, Account::CustomerHeld(account(1))).await, 4_000);
    give(&house, &statement("2", &[line("b", 1_500, &invoice.address)])).await;
    assert_eq!(house.look(invoice.id).await.state, InvoiceState::Confirmed);
    assert_eq!(available(&house, 1).await, 500);
    let late = lease(&house, 2, 5_000).await;
    give(&house, &statement("3", &[line("c", 100, &late.address)])).await;
    house.clock.advance(HOUR + std::time::Duration::from_secs(1));
    assert_eq!(house.payer.step().await.unwrap().expired, 1);
    assert_eq!(available(&house, 2).await, 100);
    give(&house, &statement("4", &[line("d", 5_000, &late.address)])).await;
    assert_eq!(house.look(late.id).await.state, InvoiceState::Expired);
    assert_eq!((available(&house, 2).await, at_bank(&house).await), (5_100, 10_600));
    house.check().await;
}

async fn the_same_file_and_the_same_entry_in_another_file_count_once(store: Store) {
    let house = House::new(store, 1).await;
    let invoice = top_up(&house, 1, 700).await;
    let text = statement("1", &[line("a", 700, &invoice.address)]);
    assert_eq!(give(&house, &text).await.matched, 1);
    assert!(give(&house, &text).await.is_known);
    let again =
        statement("other", &[line("a", 700, &invoice.address), line("b", 50, &invoice.address)]);
    let done = give(&house, &again).await;
    assert_eq!((done.matched, done.known, done.waiting), (1, 1, 0));
    assert_eq!(available(&house, 1).await, 750);
    let changed = statement("3", &[line("a", 800, &invoice.address)]);
    let done = give(&house, &changed).await;
    assert_eq!((done.matched, done.waiting), (0, 1), "the bank's reference with another amount");
    assert_eq!(available(&house, 1).await, 750);
    assert_eq!(give(&house, &format!("{changed} ")).await.known, 1);
}

async fn entries_without_a_reference_of_the_banks_count_once_and_doubts_wait(store: Store) {
    let house = House::new(store, 1).await;
    let invoice = top_up(&house, 1, 700).await;
    let twice = [line("", 700, &invoice.address), line("", 700, &invoice.address)];
    let text = statement("1", &twice);
    assert_eq!(give(&house, &text).await.matched, 2, "a statement that lists two means two");
    let done = give(&house, &format!("{text}\n")).await;
    assert_eq!(
        (done.known, done.matched, done.waiting),
        (2, 0, 0),
        "another file, the same statement"
    );
    let done = give(&house, &statement("2", &twice[..1])).await;
    assert_eq!((done.known, done.matched, done.waiting), (0, 0, 1));
    let waits = house.treasury.bank_entries_waiting().await.unwrap();
    assert!(waits[0].reason.contains("may be the same payment"), "{}", waits[0].reason);
    assert_eq!((available(&house, 1).await, at_bank(&house).await), (1_400, 1_400));
    let word = BankWord::Belongs(PayInFor::Invoice(invoice.id));
    house.treasury.decide_bank_entry(waits[0].id, &word, "asked the bank").await.unwrap();
    assert_eq!((available(&house, 1).await, at_bank(&house).await), (2_100, 2_100));
    // With a reference what stood there without one may be the same too.
    let done = give(&house, &statement("3", &[line("z", 700, &invoice.address)])).await;
    assert_eq!((done.matched, done.waiting), (0, 1));
    house.check().await;
}

async fn two_transfers_that_say_the_same_are_two_where_the_bank_tells_them_apart(store: Store) {
    let house = House::new(store, 1).await;
    let invoice = top_up(&house, 1, 700).await;
    let text =
        statement("1", &[line("a", 700, &invoice.address), line("b", 700, &invoice.address)]);
    assert_eq!(give(&house, &text).await.matched, 2);
    assert_eq!(available(&house, 1).await, 1_400);
}

async fn what_a_bank_lists_again_under_another_reference_is_not_booked_twice(store: Store) {
    let house = House::new(store, 1).await;
    let invoice = top_up(&house, 1, 700).await;
    let once = |own: &str| [line(own, 700, &invoice.address)];
    assert_eq!(give(&house, &statement("intraday", &once("a"))).await.matched, 1);
    for (text, why) in [
        (statement("end of day", &once("b")), "another statement"),
        (statement("intraday", &once("c")), "the same, issued anew"),
    ] {
        let done = give(&house, &text).await;
        assert_eq!((done.matched, done.known, done.waiting), (0, 0, 1), "{why}");
    }
    assert_eq!((available(&house, 1).await, at_bank(&house).await), (700, 700));
    let waits = house.treasury.bank_entries_waiting().await.unwrap();
    assert!(waits.iter().all(|w| w.reason.contains("named anew")), "{waits:?}");
    // Where a person finds that it is another payment, it is booked.
    let word = BankWord::Belongs(PayInFor::Invoice(invoice.id));
    house.treasury.decide_bank_entry(waits[0].id, &word, "asked the bank").await.unwrap();
    assert_eq!((available(&house, 1).await, at_bank(&house).await), (1_400, 1_400));
    house.check().await;
}

async fn one_bad_entry_waits_with_its_reason_and_the_rest_goes_through(store: Store) {
    let house = House::new(store, 1).await;
    let (first, second) = (top_up(&house, 1, 700).await, top_up(&house, 2, 800).await);
    let both = format!("{} {}", first.address, second.address);
    let mut slip = first.address.clone();
    slip.replace_range(14..15, if slip.ends_with('7') { "3" } else { "7" });
    let text = statement(
        "1",
        &[
            line("a", 700, "no reference"),
            line("b", 1, &both),
            line("c", 2, &slip),
            line("d", 800, &second.address),
        ],
    );
    let text = text.replace("<Ustrd>no reference", "<Ustrd>none &amp; nothing");
    let broken = text.replacen(">0.02<", ">0,02<", 1);
    let done = give(&house, &broken).await;
    assert_eq!((done.matched, done.waiting, done.failed.len()), (1, 3, 0));
    let waits = house.treasury.bank_entries_waiting().await.unwrap();
    let reasons: Vec<&str> = waits.iter().map(|w| w.reason.as_str()).collect();
    assert!(
        reasons[0].contains("names no invoice") && reasons[0].contains(&first.id.to_string()),
        "{reasons:?}"
    );
    assert!(reasons[1].contains("several invoices"), "{reasons:?}");
    assert!(reasons[2].contains("cannot be read") && waits[2].amount.is_none(), "{reasons:?}");
    assert_eq!(available(&house, 2).await, 800);
    assert_eq!(books(&house, Account::UnmatchedReceipts).await, 701);
    assert_eq!(at_bank(&house).await, 1_501);
    // The bank's corrected file: what was taken is known, what was broken goes on.
    let done = give(&house, &text).await;
    assert_eq!((done.known, done.waiting), (3, 1));
    house.check().await;
}

async fn a_person_says_whose_a_transfer_is_once(store: Store) {
    let house = House::new(store, 1).await;
    let invoice = lease(&house, 1, 700).await;
    give(&house, &statement("1", &[line("a", 700, "lease"), line("b", 30, "me")])).await;
    let waits = house.treasury.bank_entries_waiting().await.unwrap();
    let dismissed = house.treasury.decide_bank_entry(waits[0].id, &BankWord::Dismissed, "").await;
    assert!(matches!(dismissed, Err(TreasuryError::NoPayment)), "money is not dismissed");
    let word = BankWord::Belongs(PayInFor::Invoice(invoice.id));
    house.treasury.decide_bank_entry(waits[0].id, &word, "called").await.unwrap();
    assert_eq!(house.look(invoice.id).await.state, InvoiceState::Confirmed);
    let again = house.treasury.decide_bank_entry(waits[0].id, &word, "called").await;
    assert!(matches!(again, Err(TreasuryError::NoPayment)));
    let nobody = BankWord::Belongs(PayInFor::Nobody);
    assert!(house.treasury.decide_bank_entry(waits[1].id, &nobody, "").await.is_err());
    let word = BankWord::Belongs(PayInFor::Account(account(2)));
    house.treasury.decide_bank_entry(waits[1].id, &word, "").await.unwrap();
    assert_eq!((available(&house, 1).await, available(&house, 2).await), (0, 30));
    assert_eq!(books(&house, Account::UnmatchedReceipts).await, 0);
    assert_eq!(house.treasury.count_bank_entries_waiting().await.unwrap(), 0);
    house.check().await;
}

async fn what_was_sent_back_leaves_the_books(store: Store) {
    let house = House::new(store, 1).await;
    give(&house, &statement("1", &[line("a", 700, "wrong address")])).await;
    let waits = house.treasury.bank_entries_waiting().await.unwrap();
    house.treasury.decide_bank_entry(waits[0].id, &BankWord::SentBack, "sent back").await.unwrap();
    // It is at the bank until the bank says that it left.
    assert_eq!((at_bank(&house).await, books(&house, Account::UnmatchedReceipts).await), (700, 0));
    assert_eq!(clearing(&house, "transit").await, -700);
    give(&house, &statement("2", &[left("b", 700, "back to you")])).await;
    decide(&house, &BankWord::UnderWay).await.unwrap();
    assert_eq!((at_bank(&house).await, clearing(&house, "transit").await), (0, 0));
    house.check().await;
}

async fn clearing(house: &House, of: &str) -> i64 {
    books(house, Account::Clearing(of.into())).await
}

/// A word on the entry that waits for longest.
async fn decide(house: &House, word: &BankWord) -> Result<(), TreasuryError> {
    let waits = house.treasury.bank_entries_waiting().await.unwrap();
    house.treasury.decide_bank_entry(waits[0].id, word, "asked").await
}

async fn what_is_no_pay_in_is_booked_as_what_a_person_says_it_was(store: Store) {
    let house = House::new(store, 1).await;
    let fees = || books(&house, Account::NetworkFees);
    let lines = [
        left("a", 250, "account charges"),
        line("b", 40, "interest"),
        line("c", 10_000, "my own"),
        left("d", 3_000, "rent"),
        line("e", 455, "STRIPE PAYOUT"),
        left("f", 100, "to a service"),
    ];
    let done = give(&house, &statement("1", &lines)).await;
    assert_eq!((done.matched, done.waiting, done.passed), (0, 6, 0));
    let waits = house.treasury.bank_entries_waiting().await.unwrap();
    let first = &waits[0];
    assert_eq!((first.amount, first.reason.contains("left the account")), (Some(eur(-250)), true));
    assert_eq!(
        at_bank(&house).await,
        40 + 10_000 + 455,
        "what left is booked when it is told what it was"
    );
    for (word, moved) in [
        (BankWord::Charges, (250, 0, 0)),
        (BankWord::Charges, (210, 0, 0)),
        (BankWord::Own, (210, -10_000, 0)),
        (BankWord::Own, (210, -7_000, 0)),
        (BankWord::UnderWay, (210, -7_000, -455)),
        (BankWord::UnderWay, (210, -7_000, -355)),
    ] {
        let entry = house.treasury.bank_entries_waiting().await.unwrap()[0].id;
        decide(&house, &word).await.unwrap();
        let now =
            (fees().await, clearing(&house, "operator").await, clearing(&house, "transit").await);
        assert_eq!(now, moved, "{word:?}");
        let again = house.treasury.decide_bank_entry(entry, &word, "").await;
        assert!(matches!(again, Err(TreasuryError::NoPayment)), "{word:?} once");
    }
    assert_eq!(
        (at_bank(&house).await, books(&house, Account::UnmatchedReceipts).await),
        (7_145, 0)
    );
    // One that cannot be read has no money to place.
    let torn = statement("2", &[line("g", 100, "x")]).replace("EUR\">1.00", "EUR\">one");
    give(&house, &torn).await;
    assert!(matches!(decide(&house, &BankWord::Own).await, Err(TreasuryError::NoPayment)));
    house.check().await;
}

async fn a_balance_that_was_paid_out_by_hand_leaves_its_account_and_no_other(store: Store) {
    let house = House::new(store, 1).await;
    let fills = top_up(&house, 1, 700).await;
    let lines = [line("a", 700, &fills.address), left("b", 500, "to Kari"), left("c", 300, "more")];
    give(&house, &statement("1", &lines)).await;
    let poor = decide(&house, &BankWord::PaidOut(account(2))).await;
    assert!(matches!(poor, Err(TreasuryError::Ledger(_))), "{poor:?}");
    decide(&house, &BankWord::PaidOut(account(1))).await.unwrap();
    assert_eq!((available(&house, 1).await, at_bank(&house).await), (200, 200));
    let much = decide(&house, &BankWord::PaidOut(account(1))).await;
    assert!(matches!(much, Err(TreasuryError::Ledger(_))), "{much:?}");
    assert_eq!((available(&house, 1).await, at_bank(&house).await), (200, 200));
    decide(&house, &BankWord::Dismissed).await.unwrap();
    give(&house, &statement("2", &[line("d", 50, "came")])).await;
    let came = decide(&house, &BankWord::PaidOut(account(1))).await;
    assert!(matches!(came, Err(TreasuryError::NoPayment)), "nothing was paid out by what came");
    house.check().await;
}

async fn what_the_bank_takes_back_is_the_customers_first_and_the_operators_then(store: Store) {
    let house = House::new(store, 1).await;
    let (paid, rest) = (lease(&house, 1, 700).await, top_up(&house, 1, 100).await);
    let lines = [line("a", 700, &paid.address), line("b", 100, &rest.address)];
    give(&house, &statement("1", &lines)).await;
    give(&house, &statement("2", &[line("c", -700, "returned")])).await;
    let payments = house.treasury.payments(account(1)).await.unwrap();
    let payment = payments.iter().find(|p| p.amount == eur(700)).unwrap().id;
    let waits = house.treasury.bank_entries_waiting().await.unwrap();
    assert_eq!(waits[0].amount, Some(eur(-700)));
    let word = BankWord::Belongs(PayInFor::Account(account(1)));
    let credited = house.treasury.decide_bank_entry(waits[0].id, &word, "").await;
    assert!(matches!(credited, Err(TreasuryError::NotPositive)), "what was taken is not credited");
    let refused = async |entry: BankEntryId, from: PaymentId, why: &str| {
        let word = BankWord::TakesBack(from);
        let done = house.treasury.decide_bank_entry(entry, &word, "").await;
        assert!(matches!(done, Err(TreasuryError::NoPayment)), "{why}: {done:?}");
    };
    let smaller = payments.iter().find(|p| p.amount == eur(100)).unwrap().id;
    refused(waits[0].id, smaller, "what is more than it would be booked nowhere").await;
    let by_card = transact!(house.store, tx -> Result<PaymentId, TreasuryError> => {
        let whose = PayInFor::Account(account(2));
        Ok(house.treasury.take_payment(tx, Method::Card, "pi_1", eur(700), whose).await?.0)
    })
    .unwrap();
    refused(waits[0].id, by_card, "what did not come by the bank").await;
    for id in ["3", "4"] {
        give(&house, &statement(id, &[line("", 700, "said twice")])).await;
    }
    let all = house.treasury.bank_entries_waiting().await.unwrap();
    let doubt = all.iter().find(|e| e.reason.contains("may be the same")).unwrap();
    refused(doubt.id, payment, "what came takes nothing back").await;

    let word = BankWord::TakesBack(payment);
    house.treasury.decide_bank_entry(waits[0].id, &word, "").await.unwrap();
    assert_eq!((available(&house, 1).await, at_bank(&house).await), (0, 100 + 700));
    assert_eq!(books(&house, Account::ChargeBacks).await, -600);
    house.check().await;
}

async fn a_statement_of_another_account_is_refused_whole(store: Store) {
    let house = House::new(store, 1).await;
    let invoice = top_up(&house, 1, 700).await;
    let text = statement("1", &[line("a", 700, &invoice.address)]);
    let other = text.replace("DE89370400440532013000", "NO9386011117947");
    let refused = house.treasury.import_statement("a.xml", other.as_bytes()).await;
    assert!(
        matches!(refused, Err(TreasuryError::Statement(why)) if why.contains("NO9386011117947"))
    );
    let refused = house.treasury.import_statement("a.xml", b"no statement").await;
    assert!(matches!(refused, Err(TreasuryError::Statement(_))));
    assert_eq!(at_bank(&house).await, 0);
}

/// Passes so many points, then none.
struct Fuse(AtomicI64);

impl CrashPoints for Fuse {
    fn passes(&self, _: &'static str) -> bool {
        self.0.fetch_sub(1, Ordering::SeqCst) > 0
    }
}

async fn an_import_that_breaks_off_anywhere_is_finished_by_giving_the_file_again(store: Store) {
    let mut house = House::new(store, 1).await;
    let invoice = top_up(&house, 1, 700).await;
    let lines: Vec<Line> =
        (0..3).map(|n| line(&format!("r{n}"), 10 + n, &invoice.address)).collect();
    let text = statement("1", &lines);
    let mut broken = 0;
    for fuse in 1.. {
        house.restart();
        house.treasury.break_off_with(Arc::new(Fuse(AtomicI64::new(fuse))));
        match house.treasury.import_statement("a.xml", text.as_bytes()).await {
            Err(TreasuryError::BrokenOff(_)) => broken += 1,
            done => {
                assert!(done.unwrap().failed.is_empty());
                break;
            }
        }
    }
    assert!(broken >= 2, "{broken}");
    house.restart();
    assert!(give(&house, &text).await.is_known);
    assert_eq!((available(&house, 1).await, at_bank(&house).await), (33, 33));
    house.check().await;
}

async fn an_invoice_is_paid_from_the_balance_once(store: Store) {
    let house = House::new(store, 1).await;
    let (fills, buys) = (top_up(&house, 1, 700).await, lease(&house, 1, 500).await);
    let poor = house.treasury.pay_from_balance(account(1), buys.id).await;
    assert!(matches!(poor, Err(TreasuryError::Ledger(_))), "{poor:?}");
    give(&house, &statement("1", &[line("a", 700, &fills.address), line("b", 100, &buys.address)]))
        .await;
    let strangers = house.treasury.pay_from_balance(account(2), buys.id).await;
    assert!(matches!(strangers, Err(TreasuryError::NoInvoice)));
    let paid = house.treasury.pay_from_balance(account(1), buys.id).await.unwrap();
    assert_eq!(paid.state, InvoiceState::Confirmed);
    assert_eq!(books(&house, Account::PrepaidWork(contract(1))).await, 500);
    assert_eq!(available(&house, 1).await, 300);
    let again = house.treasury.pay_from_balance(account(1), buys.id).await;
    assert!(matches!(again, Err(TreasuryError::Closed)));
    // Coins alike.
    house.top_up(3, 5_000).await;
    let coins = house.invoice(3, 4_000, Purpose::Contract(contract(3))).await;
    house.treasury.pay_from_balance(account(3), coins.id).await.unwrap();
    assert_eq!(house.balance(Account::PrepaidWork(contract(3))).await, 4_000);
    assert_eq!(house.available(3).await, 1_000);
    house.check().await;
}

async fn broken_off_anywhere_an_invoice_is_paid_from_the_balance_once(store: Store) {
    let mut house = House::new(store, 1).await;
    let fills = top_up(&house, 1, 10_000).await;
    give(&house, &statement("1", &[line("a", 10_000, &fills.address)])).await;
    let (mut broken, mut left) = (0, 10_000);
    for fuse in 0.. {
        house.restart();
        house.treasury.break_off_with(Arc::new(Fuse(AtomicI64::new(fuse))));
        // Fiat, each for a contract of its own: what the market takes twice, it says.
        let purpose = Purpose::Contract(contract(u8::try_from(fuse).unwrap() + 10));
        let Ok(buys) = house.ask_invoice(1, eur(500), purpose).await else {
            broken += 1;
            continue;
        };
        let first = house.treasury.pay_from_balance(account(1), buys.id).await;
        house.restart();
        let again = house.treasury.pay_from_balance(account(1), buys.id).await;
        match (&first, &again) {
            // Nobody heard of it, and it was done or not: it is paid once.
            (Err(TreasuryError::BrokenOff(_)), Ok(_) | Err(TreasuryError::Closed)) => broken += 1,
            (Ok(_), Err(TreasuryError::Closed)) => {}
            odd => panic!("{odd:?}"),
        }
        left -= 500;
        assert_eq!(house.look(buys.id).await.state, InvoiceState::Confirmed);
        let Purpose::Contract(bought) = purpose else { unreachable!() };
        assert_eq!(books(&house, Account::PrepaidWork(bought)).await, 500, "fuse {fuse}");
        assert_eq!(available(&house, 1).await, left, "fuse {fuse}");
        house.check().await;
        if first.is_ok() {
            break;
        }
    }
    assert_eq!(broken, 3, "when it is made, before it is paid, and when it is");
}

async fn what_is_too_much_for_a_cent_goes_to_the_balance(store: Store) {
    let house = House::new(store, 1).await;
    let amount = Amount::new(Asset::Eur, 12_345_678);
    let invoice = house.invoice_in(1, amount, Purpose::Contract(contract(1))).await;
    assert_eq!(invoice.to_pay(), eur(1_235));
    let code = house.treasury.bank(Asset::Eur).unwrap().transfer_code(&invoice).unwrap();
    let lines: Vec<&str> = code.lines().collect();
    assert_eq!(&lines[..4], ["BCD", "002", "1", "SCT"]);
    assert_eq!(&lines[5..8], ["Example Mining", "DE89370400440532013000", "EUR12.35"]);
    assert_eq!(lines[9], invoice.address);
    give(&house, &statement("1", &[line("a", 1_235, &invoice.address)])).await;
    assert_eq!(house.look(invoice.id).await.state, InvoiceState::Confirmed);
    let mut tx = house.store.read().await.unwrap();
    let left = balance(&mut tx, &Account::CustomerAvailable(account(1)), Asset::Eur).await.unwrap();
    assert_eq!(left.minor, 12_350_000 - 12_345_678);
}

async fn a_currency_without_an_account_is_not_taken(store: Store) {
    let house = House::new(store, 1).await;
    let new = gruve_treasury::NewInvoice {
        account: account(1),
        amount: Amount::new(Asset::Usd, 1_000_000),
        purpose: Purpose::TopUp,
        ttl: HOUR,
    };
    let made = gruve_store::transact!(house.store, tx -> Result<Invoice, TreasuryError> => {
        house.treasury.create_invoice(tx, new).await
    });
    assert!(matches!(made, Err(TreasuryError::NoWallet(Asset::Usd))));
}
