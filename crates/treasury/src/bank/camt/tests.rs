use super::*;

const STATEMENT: &str = include_str!("../../../testdata/camt053-v8.xml");
const OLD: &str = include_str!("../../../testdata/camt053-v2.xml");

fn eur(minor: i64) -> Amount {
    Amount::new(Asset::Eur, minor)
}

#[test]
fn credits_are_read_from_both_versions_and_the_rest_is_passed_over() {
    for text in [STATEMENT, OLD] {
        let all = read_statements(text.as_bytes()).unwrap();
        assert_eq!(all.len(), 1);
        let s = &all[0];
        assert_eq!(s.account, "DE89370400440532013000");
        assert_eq!(s.passed, 1, "one that is pending");
        let Read::Credit(first) = &s.entries[0] else { panic!("{:?}", s.entries[0]) };
        assert_eq!(first.amount, eur(120_500_000));
        assert_eq!(first.own_ref.as_deref(), Some("2026112100001"));
        assert_eq!(
            (first.booked_on.as_str(), first.payer.as_str()),
            ("2026-11-20", "Kari Nordmann")
        );
        assert_eq!(first.payer_account, "NO9386011117947");
        assert!(first.text.contains("RF"), "{}", first.text);
        assert!(matches!(&s.entries[1], Read::Malformed { why, .. } if why.contains("CHF")));
        assert!(
            matches!(&s.entries[2], Read::Odd(e, why) if e.amount == eur(-33_000_000) && *why == LEFT)
        );
        let parts: Vec<_> = s.entries[3..5].iter().collect();
        assert!(
            matches!(parts.as_slice(), [Read::Credit(a), Read::Credit(b)]
                if a.amount == eur(10_000_000) && b.amount == eur(15_250_000) && a.own_ref != b.own_ref),
            "{parts:?}"
        );
        assert!(
            matches!(&s.entries[5], Read::Odd(e, why) if e.amount == eur(-5_000_000) && why.contains("takes back"))
        );
        assert_eq!(s.entries.len(), 6);
    }
}

/// One entry with a piece of it replaced.
fn with(from: &str, to: &str) -> Vec<Read> {
    assert!(STATEMENT.contains(from), "{from}");
    read_statements(STATEMENT.replacen(from, to, 1).as_bytes()).unwrap().remove(0).entries
}

#[test]
fn each_way_of_being_malformed_is_told_and_hurts_one_entry() {
    let whole = read_statements(STATEMENT.as_bytes()).unwrap().remove(0).entries;
    for (from, to, why) in [
        ("<Amt Ccy=\"EUR\">120.50</Amt>", "", "no amount"),
        (">120.50<", ">12O.50<", "cannot be read"),
        (">120.50<", ">1,20<", "cannot be read"),
        (">120.50<", ">0.00<", "not above zero"),
        (">120.50<", ">-1<", "not above zero"),
        (">120.50<", ">99999999999999<", "cannot be read"),
        ("<Amt Ccy=\"EUR\">120.50", "<Amt>120.50", "no currency"),
        ("<CdtDbtInd>CRDT</CdtDbtInd><Sts>", "<Sts>", "credit or a debit"),
        ("<BookgDt><Dt>2026-11-20</Dt>", "<BookgDt><Dt>20.11.2026</Dt>", "booking date"),
        ("<Sts><Cd>BOOK</Cd></Sts>", "", "status"),
    ] {
        let entries = with(from, to);
        assert_eq!(entries.len(), whole.len(), "{to}");
        assert!(
            matches!(&entries[0], Read::Malformed { why: told, .. } if told.contains(why)),
            "{to}: {:?}",
            entries[0]
        );
        assert_eq!(entries[1..], whole[1..], "{to}");
    }
    let entries = with("<Amt Ccy=\"EUR\">15.25", "<Amt Ccy=\"EUR\">15.26");
    assert!(matches!(&entries[3], Read::Malformed { why, .. } if why.contains("come to")));
    assert_eq!(entries.len(), whole.len() - 1);
}

#[test]
fn what_left_is_read_whole_where_its_parts_cannot_be() {
    let one = |parts: &str, back: &str| {
        with(
            "<Amt Ccy=\"EUR\">33.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>",
            &format!(
                "<Amt Ccy=\"EUR\">33.00</Amt><CdtDbtInd>DBIT</CdtDbtInd>{back}\
                 <Sts><Cd>BOOK</Cd></Sts><NtryDtls>{parts}</NtryDtls>"
            ),
        )
    };
    let part = |amount: &str| format!("<TxDtls>{amount}<RmtInf/></TxDtls>");
    let of = |ccy: &str, much: &str| part(&format!("<Amt Ccy=\"{ccy}\">{much}</Amt>"));
    let count = one("", "").len();
    for parts in [
        part("") + &part(""),
        of("EUR", "10.00") + &part(""),
        of("EUR", "10.00") + &of("USD", "25.00"),
        of("CHF", "10.00") + &of("CHF", "23.00"),
        of("EUR", "10.00") + &of("EUR", "22.99"),
        of("EUR", "33.00") + &part("<CdtDbtInd>CRDT</CdtDbtInd>"),
        of("EUR", "10.00") + &part("<Amt Ccy=\"EUR\">23.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>"),
        of("USD", "35.00"),
    ] {
        for (back, why) in [("", LEFT), ("<RvslInd>true</RvslInd>", "takes back")] {
            let entries = one(&parts, back);
            assert_eq!(entries.len(), count, "{parts}");
            assert!(
                matches!(&entries[2], Read::Odd(e, told) if e.amount == eur(-33_000_000)
                    && e.own_ref.as_deref() == Some("2026112100003") && told.contains(why)),
                "{parts}: {:?}",
                entries[2]
            );
        }
    }
    let both = of("EUR", "10.00") + &of("EUR", "23.00");
    assert_eq!(one(&both, "").len(), count + 1, "parts that add up are each one's own");
}

#[test]
fn a_file_that_is_no_statement_is_refused_whole() {
    for (bad, why) in [
        ("", "no BkToCstmrStmt"),
        ("<html></html>", "root"),
        ("<Document><BkToCstmrAcctRpt/></Document>", "no BkToCstmrStmt"),
        ("<Document><BkToCstmrStmt><Stmt/></BkToCstmrStmt></Document>", "of which account"),
    ] {
        assert!(read_statements(bad.as_bytes()).unwrap_err().contains(why), "{bad}");
    }
    for cut in (0..STATEMENT.len()).step_by(97).filter(|c| STATEMENT.is_char_boundary(*c)) {
        let outcome = read_statements(&STATEMENT.as_bytes()[..cut]);
        assert!(outcome.is_err() || cut == 0, "cut at {cut}");
    }
}

#[test]
fn the_content_says_whether_two_entries_are_the_same_whatever_the_banks_reference() {
    let first = |entries: Vec<Read>| match entries.into_iter().next() {
        Some(Read::Credit(e)) => e,
        other => panic!("{other:?}"),
    };
    let whole = first(with("<Id>", "<Id>"));
    assert_eq!(first(with("2026112100001", "other")).content, whole.content);
    assert_ne!(first(with(">120.50<", ">120.51<")).content, whole.content);
    assert_ne!(first(with("Kari Nordmann", "Ola Nordmann")).content, whole.content);
    let none = first(with(
        "<AcctSvcrRef>2026112100001</AcctSvcrRef>",
        "<AcctSvcrRef>NONREF</AcctSvcrRef>",
    ));
    assert_eq!(none.own_ref, None);
}

/// Not our own idea of the format: what another project's reader is tested with.
#[test]
fn statements_that_others_test_with_are_read_as_they_say() {
    let vectors: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../../../../testdata/camt053.json")).unwrap();
    assert_eq!(vectors.len(), 4);
    for v in vectors {
        let source = &v["source"];
        let read = read_statements(v["xml"].as_str().unwrap().as_bytes()).unwrap();
        let said = read.iter().map(|s| {
            // What left the account is passed over there.
            let left = |e: &&Read| matches!(e, Read::Odd(_, why) if *why == LEFT);
            let passed = s.passed + s.entries.iter().filter(left).count();
            let credits = s.entries.iter().filter(|e| !left(e)).map(|e| {
                let Read::Credit(c) = e else { panic!("{source}: {e:?}") };
                assert_eq!(c.amount.asset, Asset::Eur);
                serde_json::json!({
                    "minor": c.amount.minor, "own_ref": c.own_ref, "booked_on": c.booked_on,
                    "payer": c.payer, "payer_account": c.payer_account, "text": c.text,
                })
            });
            let credits: Vec<_> = credits.collect();
            let (account, id) = (&s.account, &s.id);
            serde_json::json!({ "account": account, "id": id, "credits": credits, "passed": passed })
        });
        assert_eq!(serde_json::Value::from_iter(said), v["says"], "{source}");
    }
}

#[test]
fn balances_are_read_and_a_statement_without_them_says_so() {
    let of = |text: &str| read_statements(text.as_bytes()).unwrap().remove(0).balances;
    assert_eq!(of(STATEMENT), Err("it has no opening balance (OPBD)".to_owned()));
    let bal = |code: &str, amount: &str, way: &str| {
        format!(
            "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"EUR\">{amount}</Amt>\
             <CdtDbtInd>{way}</CdtDbtInd><Dt><Dt>2026-11-19</Dt></Dt></Bal>"
        )
    };
    let with = |more: &str| of(&STATEMENT.replacen("<Bal>", &format!("{more}<Bal>"), 1));
    let closing = eur(1_000_000_000);
    for (more, opening) in [
        (bal("OPBD", "12.34", "CRDT"), eur(12_340_000)),
        (bal("PRCD", "12.34", "CRDT"), eur(12_340_000)),
        (bal("OPBD", "12.34", "DBIT"), eur(-12_340_000)),
        (bal("OPBD", "0.00", "CRDT"), eur(0)),
        (
            bal("CLAV", "bad", "") + &bal("PRCD", "5", "CRDT") + &bal("OPBD", "6", "CRDT"),
            eur(6_000_000),
        ),
    ] {
        let read = with(&more).unwrap();
        assert_eq!((read.opening, read.closing), (opening, closing), "{more}");
        assert_eq!(
            (read.opened_on.as_str(), read.closed_on.as_str()),
            ("2026-11-19", "2026-11-20")
        );
    }
    for (bad, why) in [
        (bal("OPBD", "12,34", "CRDT"), "cannot be read"),
        (bal("OPBD", "12.34", "UP"), "credit or a debit"),
        (bal("OPBD", "-1", "CRDT"), "below zero"),
        (bal("OPBD", "1", "CRDT").replace("\"EUR\"", "\"USD\""), "two currencies"),
        (bal("OPBD", "1", "CRDT").replace("2026-11-19", "19.11."), "cannot be read"),
    ] {
        let told = with(&bad).unwrap_err();
        assert!(told.contains(why), "{bad}: {told}");
    }
}

#[test]
fn a_file_is_read_up_to_its_limits() {
    let many = |entries: usize| {
        let all = "<Ntry/>".repeat(entries);
        let account = "<Acct><Id><IBAN>DE89370400440532013000</IBAN></Id></Acct>";
        format!("<Document><BkToCstmrStmt><Stmt>{account}{all}</Stmt></BkToCstmrStmt></Document>")
    };
    let read = |text: &[u8]| read_statements(text).map(|all| all[0].entries.len());
    assert_eq!(read(many(ENTRIES_MAX).as_bytes()), Ok(ENTRIES_MAX));
    let more = read(many(ENTRIES_MAX + 1).as_bytes());
    assert_eq!(more, Err("it has more than 50000 entries".to_owned()));
    let mut long = many(1).into_bytes();
    long.resize(FILE_BYTES_MAX, b' ');
    assert_eq!(read(&long), Ok(1));
    long.push(b' ');
    assert_eq!(read(&long), Err("it is larger than 32 MiB".to_owned()));
}
