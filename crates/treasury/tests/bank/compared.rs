//! Statements' balances held against the books.

use super::*;

/// A statement that says what the account had, in cents.
fn balanced(id: &str, day: u32, (opening, closing): (i64, i64), lines: &[Line]) -> String {
    let balance = |code: &str, cents: i64, day: u32| {
        let (way, cents) = if cents < 0 { ("DBIT", -cents) } else { ("CRDT", cents) };
        format!(
            "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"EUR\">{}.{:02}</Amt>\
             <CdtDbtInd>{way}</CdtDbtInd><Dt><Dt>2026-11-{day:02}</Dt></Dt></Bal>",
            cents / 100,
            cents % 100
        )
    };
    let both = balance("OPBD", opening, day - 1) + &balance("CLBD", closing, day);
    statement(id, lines).replacen("</Acct>", &format!("</Acct>{both}"), 1)
}

async fn compared(house: &House) -> gruve_treasury::BankComparison {
    let mut tx = house.store.read().await.unwrap();
    house.treasury.compare_banks(&mut tx).await.unwrap().remove(0)
}

pub async fn statements_are_held_against_the_books_and_nothing_is_adjusted(store: Store) {
    let house = House::new(store, 1).await;
    let fills = top_up(&house, 1, 700).await;
    give(&house, &statement("0", &[line("z", 100, &fills.address)])).await;
    assert!(
        house
            .treasury
            .compare_banks(&mut house.store.read().await.unwrap())
            .await
            .unwrap()
            .is_empty()
    );
    // Before the first that says so the account had 50.00, and the books 1.00.
    let lines = [line("a", 700, &fills.address), left("b", 30, "charges")];
    give(&house, &balanced("1", 10, (5_000, 5_670), &lines)).await;
    let c = compared(&house).await;
    assert_eq!((c.there, c.beside, c.books), (eur(5_670), eur(4_900), eur(800)));
    assert_eq!((c.difference, c.undecided, c.undecided_count), (eur(-30), eur(-30), 1));
    assert!(c.is_explained() && c.on == "2026-11-10", "{c:?}");
    decide(&house, &BankWord::Charges).await.unwrap();
    let c = compared(&house).await;
    assert_eq!((c.difference, c.undecided_count, c.gaps.len()), (eur(0), 0, 0));
    // A statement is missing: what moved in it nobody has told.
    give(&house, &balanced("3", 12, (5_600, 5_690), &[line("d", 90, &fills.address)])).await;
    let c = compared(&house).await;
    assert_eq!((c.difference, c.is_explained()), (eur(-70), false));
    assert!(
        c.gaps.len() == 1 && c.gaps[0].contains("56.7") && c.gaps[0].contains("one between"),
        "{:?}",
        c.gaps
    );
    assert_eq!(compared(&house).await, c, "it is told, and nothing else");
    // It comes, with an entry that says what a person waves away though it moved money.
    give(&house, &balanced("2", 11, (5_670, 5_600), &[left("c", 70, "to me")])).await;
    let c = compared(&house).await;
    assert!(c.is_explained() && c.gaps.is_empty() && c.difference == eur(-70), "{c:?}");
    decide(&house, &BankWord::Dismissed).await.unwrap();
    let c = compared(&house).await;
    assert_eq!((c.difference, c.is_explained()), (eur(-70), false), "dismissed is not booked");
    house.check().await;
}

pub async fn statements_in_any_order_twice_and_broken_off_are_compared_alike(store: Store) {
    let mut house = House::new(store, 1).await;
    let fills = top_up(&house, 1, 700).await;
    let second = balanced("2", 12, (-300, 400), &[line("b", 700, &fills.address)]);
    let mut broken = 0;
    for fuse in 1.. {
        house.restart();
        house.treasury.break_off_with(Arc::new(Fuse(AtomicI64::new(fuse))));
        match house.treasury.import_statement("a.xml", second.as_bytes()).await {
            Err(TreasuryError::BrokenOff(_)) => broken += 1,
            done => {
                assert!(done.unwrap().failed.is_empty());
                break;
            }
        }
    }
    assert!(broken >= 2, "{broken}");
    house.restart();
    let c = compared(&house).await;
    assert_eq!((c.there, c.beside, c.difference), (eur(400), eur(-300), eur(0)));
    // The one before comes after it, and one is issued anew.
    give(&house, &balanced("1", 11, (-350, -300), &[line("a", 50, &fills.address)])).await;
    give(&house, &format!("{second} ")).await;
    let c = compared(&house).await;
    assert_eq!((c.there, c.beside, c.books), (eur(400), eur(-350), eur(750)));
    assert_eq!((c.difference, c.gaps.len()), (eur(0), 0));
    // A statement without balances, and one whose balance cannot be read, change nothing.
    give(&house, &statement("3", &[])).await;
    give(&house, &balanced("4", 13, (400, 500), &[]).replace("5.00", "five")).await;
    assert_eq!(compared(&house).await, c);
    house.check().await;
}

pub async fn what_waited_before_the_first_statement_is_decided_after_it(store: Store) {
    let house = House::new(store, 1).await;
    let fills = top_up(&house, 1, 700).await;
    let lines = [line("a", 700, &fills.address), line("b", -200, "back"), left("c", 50, "twice")];
    give(&house, &statement("0", &lines)).await;
    // The bank had 5.00 more than what the books will have.
    give(&house, &balanced("1", 10, (950, 950), &[])).await;
    let c = compared(&house).await;
    assert_eq!((c.beside, c.difference, c.undecided), (eur(500), eur(-250), eur(-250)));
    let payment = house.treasury.payments(account(1)).await.unwrap()[0].id;
    decide(&house, &BankWord::TakesBack(payment)).await.unwrap();
    let c = compared(&house).await;
    assert_eq!((c.beside, c.difference, c.undecided), (eur(500), eur(-50), eur(-50)));
    // What is dismissed had not moved anything.
    decide(&house, &BankWord::Dismissed).await.unwrap();
    let c = compared(&house).await;
    assert_eq!((c.beside, c.difference, c.undecided_count), (eur(450), eur(0), 0));
    // A statement says that it had: it stays dismissed, and is a difference.
    let again = [left("c", 50, "twice")];
    assert_eq!(give(&house, &balanced("2", 11, (950, 900), &again)).await.known, 1);
    let c = compared(&house).await;
    assert_eq!((c.beside, c.difference, c.is_explained()), (eur(450), eur(-50), false));
    house.check().await;
}

pub async fn what_is_known_already_does_not_become_the_start(store: Store) {
    let house = House::new(store, 1).await;
    let fills = top_up(&house, 1, 700).await;
    let entry = |own: &str, cents: i64| line(own, cents, &fills.address);
    give(&house, &statement("0", &[entry("a", 100), entry("b", 30)])).await;
    // Overlapping: one of them stands in the first statement with balances, too.
    give(&house, &balanced("3", 12, (1_100, 1_137), &[entry("b", 30), entry("c", 7)])).await;
    let c = compared(&house).await;
    assert_eq!((c.beside, c.books, c.difference), (eur(1_000), eur(137), eur(0)));
    // An older one of which all is known, and one before it with something new.
    give(&house, &balanced("2", 11, (1_000, 1_100), &[entry("a", 100)])).await;
    let c = compared(&house).await;
    assert_eq!((c.beside, c.difference, c.gaps.len()), (eur(1_000), eur(0), 0));
    give(&house, &balanced("1", 10, (995, 1_000), &[entry("d", 5)])).await;
    let c = compared(&house).await;
    assert_eq!((c.beside, c.books, c.difference), (eur(995), eur(142), eur(0)));
    // Given once more, nothing is counted twice.
    let again = balanced("2", 11, (1_000, 1_100), &[entry("a", 100)]);
    give(&house, &format!("{again} ")).await;
    assert_eq!(compared(&house).await, c);
    house.check().await;
}

/// A statement of several days.
fn days(id: &str, from: u32, to: u32, sums: (i64, i64), lines: &[Line]) -> String {
    let text = balanced(id, to, sums, lines);
    text.replacen(&format!("2026-11-{:02}", to - 1), &format!("2026-11-{:02}", from - 1), 1)
}

pub async fn a_day_within_a_longer_statement_is_not_the_start(store: Store) {
    let house = House::new(store, 1).await;
    let fills = top_up(&house, 1, 700).await;
    let entry = |own: &str, cents: i64| line(own, cents, &fills.address);
    // Nothing was taken before: ten euros stood at the bank.
    give(&house, &days("w", 10, 12, (1_000, 1_037), &[entry("b", 30), entry("c", 7)])).await;
    let days = [
        balanced("d11", 11, (1_030, 1_030), &[]),
        balanced("d10", 10, (1_000, 1_030), &[entry("b", 30)]),
    ];
    for day in days {
        give(&house, &day).await;
        let c = compared(&house).await;
        assert_eq!((c.there, c.beside, c.difference), (eur(1_037), eur(1_000), eur(0)));
    }
    // An earlier one is, also when all that it says was taken from a file without balances.
    give(&house, &statement("0", &[entry("a", 100)])).await;
    give(&house, &balanced("d9", 9, (900, 1_000), &[entry("a", 100)])).await;
    let c = compared(&house).await;
    assert_eq!((c.beside, c.books, c.difference), (eur(900), eur(137), eur(0)));
    house.check().await;
}

pub async fn what_was_booked_before_the_start_is_counted_in_one_statement(store: Store) {
    let house = House::new(store, 1).await;
    let fills = top_up(&house, 1, 700).await;
    let entry = |own: &str, cents: i64| line(own, cents, &fills.address);
    give(&house, &statement("0", &[entry("a", 100), entry("b", 30)])).await;
    let week = [entry("b", 30), entry("c", 7)];
    give(&house, &days("w", 10, 12, (1_100, 1_137), &week)).await;
    assert_eq!(compared(&house).await.beside, eur(1_000));
    // Neither a day of it without anything, nor the same days told once more with a later one.
    give(&house, &balanced("d11", 11, (1_130, 1_130), &[])).await;
    let c = compared(&house).await;
    assert_eq!((c.beside, c.difference), (eur(1_000), eur(0)));
    let [b, seven] = week;
    give(&house, &days("m", 10, 13, (1_100, 1_142), &[b, seven, entry("e", 5)])).await;
    let c = compared(&house).await;
    assert_eq!((c.there, c.beside, c.difference), (eur(1_142), eur(1_000), eur(0)));
    house.check().await;
}

pub async fn what_was_sent_back_at_once_is_dismissed_when_it_leaves(store: Store) {
    let house = House::new(store, 1).await;
    give(&house, &statement("0", &[line("a", 700, "wrong address")])).await;
    decide(&house, &BankWord::SentBack).await.unwrap();
    // As a version before this one left it: the bank credited in the books when it was said.
    gruve_store::transact!(house.store, tx -> Result<(), TreasuryError> => {
        let draft = gruve_ledger::Entry {
            kind: "test",
            reason: "test:sent-back-at-once".to_owned(),
            at: gruve_units::Timestamp(0),
            postings: vec![
                gruve_ledger::Posting::debit(Account::Clearing("transit".into()), eur(700)),
                gruve_ledger::Posting::credit(Account::Clearing("bank".into()), eur(700)),
            ],
        };
        gruve_ledger::post(tx, &draft).await?;
        tx.execute(
            "UPDATE treasury_bank_entries SET state = 'sent-back-at-once' WHERE state = 'sent-back'",
            &[],
        )
        .await?;
        Ok(())
    })
    .unwrap();
    let leaves = [left("b", 700, "back to you"), left("c", 700, "to nobody")];
    give(&house, &balanced("1", 10, (5_000, 3_600), &leaves)).await;
    assert_eq!(compared(&house).await.difference, eur(-1_400));
    decide(&house, &BankWord::Dismissed).await.unwrap();
    let c = compared(&house).await;
    assert_eq!((c.beside, c.difference, c.undecided), (eur(4_300), eur(-700), eur(-700)));
    assert_eq!((at_bank(&house).await, clearing(&house, "transit").await), (0, 0));
    // Once: the second is another.
    decide(&house, &BankWord::Dismissed).await.unwrap();
    let c = compared(&house).await;
    assert_eq!((c.difference, c.is_explained()), (eur(-700), false));
}

pub async fn a_doubt_beside_a_debit_leaves_both_to_a_person(store: Store) {
    let house = House::new(store, 1).await;
    let fills = top_up(&house, 1, 700).await;
    let once = |own: &str| line(own, 700, &fills.address);
    give(&house, &balanced("1", 10, (0, 700), &[once("a")])).await;
    // The same named anew, and a debit: the bank has lost the debit alone.
    let lines = [once("b"), left("c", 30, "charges")];
    give(&house, &balanced("2", 11, (700, 670), &lines)).await;
    let c = compared(&house).await;
    assert_eq!((c.difference, c.undecided, c.undecided_count), (eur(-30), eur(-30), 2));
    assert!(c.is_explained());
    // Another of the same that did come.
    give(&house, &balanced("3", 12, (670, 1_370), &[once("d")])).await;
    let c = compared(&house).await;
    assert_eq!((c.difference, c.is_explained()), (eur(670), true));
    // What no entry says is none of theirs.
    give(&house, &balanced("4", 13, (1_370, 1_369), &[])).await;
    let c = compared(&house).await;
    assert_eq!((c.difference, c.is_explained()), (eur(669), false));
    house.check().await;
}

pub async fn a_collective_debit_is_booked_whole(store: Store) {
    let house = House::new(store, 1).await;
    let text = balanced("1", 10, (500, 400), &[left("a", 100, "several")]);
    let text = text.replacen("<TxDtls>", "<TxDtls><RmtInf/></TxDtls><TxDtls>", 1);
    assert_eq!(give(&house, &text).await.waiting, 1);
    let c = compared(&house).await;
    assert_eq!((c.difference, c.undecided, c.undecided_count), (eur(-100), eur(-100), 1));
    decide(&house, &BankWord::Charges).await.unwrap();
    assert_eq!((compared(&house).await.difference, at_bank(&house).await), (eur(0), -100));
    house.check().await;
}
