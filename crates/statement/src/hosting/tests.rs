use super::*;
use crate::terms;
use gruve_units::Hashrate;

const DAY_US: u64 = 86_400_000_000;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

fn agreed(pay_from: &str) -> HostingTerms {
    HostingTerms {
        format: HOSTING_TERMS.into(),
        serial: "SN0001".into(),
        model: "S19 Pro".into(),
        lane: "btc".parse().unwrap(),
        nameplate: Hashrate(110),
        nameplate_watts: 3_250,
        kind: "leased".into(),
        scheme: "pplns".into(),
        pay_from: pay_from.into(),
        asset: Asset::Btc,
        energy_minor_per_kwh: 7,
        energy_rule: ENERGY_RULE.into(),
        fee_minor_per_day: 500,
        fee_rule: FEE_RULE.into(),
        service_level_bps: 9_800,
        service_level_rule: LEVEL_RULE.into(),
        price_asset: Asset::Btc,
        price_minor: 1_000,
        epoch_us: Some(DAY_US),
        term_epochs: Some(30),
        minimum_payout_minor: None,
        plan: Some("own".into()),
        plan_version: Some(1),
        until_epoch: None,
        end_rule: Some(END_RULE.into()),
        back: Some(Back { asset: Asset::Btc, minor: 1_000, epochs: 30 }),
        earnings_fee_bps: None,
        earnings_rule: None,
    }
}

fn file(t: &HostingTerms) -> SignedTerms {
    let bytes = t.canonical().unwrap();
    let signature = terms::sign(&key(), &terms::hash(&bytes));
    let signed = (key().verifying_key().to_bytes(), signature);
    SignedTerms::new(ContractId::from_bytes([7; 16]), bytes, Some(signed)).unwrap()
}

/// Two days: one and a half kilowatt-hours with half of the promised time; then a whole day.
fn page(t: &HostingTerms) -> HostingStatement {
    let from_earnings = t.pay_from == "earnings";
    let first = BillLine {
        number: 1,
        at_us: 1,
        from_epoch: 10,
        until_epoch: 11,
        energy_uj: Big(5_400_000_000_000),
        span_us: DAY_US,
        up_us: DAY_US / 100 * 49,
        energy_minor: 10,
        fee_minor: 500,
        credit_minor: 250,
        due_minor: 260,
        paid_minor: 200,
        waived_minor: if from_earnings { 60 } else { 0 },
        arrears_minor: if from_earnings { 0 } else { 60 },
    };
    let second = BillLine {
        number: 2,
        at_us: 2,
        from_epoch: 11,
        until_epoch: 12,
        energy_uj: Big(1_800_000_000_000),
        up_us: DAY_US,
        energy_minor: 4,
        credit_minor: 0,
        due_minor: 504,
        paid_minor: 504 + first.arrears_minor,
        waived_minor: 0,
        arrears_minor: 0,
        ..first
    };
    let closing = HostingPosition {
        bills: 2,
        billed_until: 12,
        energy_carry: Big(0),
        fee_carry: Big(0),
        arrears_minor: 0,
        paid_minor: first.paid_minor + second.paid_minor,
        waived_minor: first.waived_minor,
    };
    let page = HostingStatement {
        format: HOSTING_STATEMENT.into(),
        contract: ContractId::from_bytes([7; 16]),
        terms_sha256: file(t).sha256,
        epoch_us: DAY_US,
        start_epoch: 10,
        end_epoch: Some(40),
        ended: None,
        opening: HostingPosition::begin(10),
        bills: vec![first, second],
        closing,
        next_bill: None,
        blocks: vec![paid_block()],
        operator_key: None,
        signature: None,
    };
    page.signed(&key()).unwrap()
}

fn verdict(t: &HostingTerms, p: &HostingStatement) -> Result<HostingReport, Wrong> {
    let mut checker =
        HostingChecker::begin(file(t), Some(key().verifying_key().to_bytes())).unwrap();
    checker.page(p)?;
    Ok(checker.finish())
}

/// Half a percent of a block is the house's.
fn paid_block() -> BlockLine {
    BlockLine {
        block: "ab".repeat(32),
        height: 900_001,
        at_us: 1,
        output: 0,
        address: "bc1own".into(),
        whole_minor: 312_500_000,
        fee_bps: Some(50),
        fee_least_minor: 546,
        house_minor: 1_562_500,
        amount_minor: 310_937_500,
        part: None,
        is_orphaned: false,
    }
}

#[test]
fn blocks_that_paid_the_owner_are_recomputed_and_signed() {
    let t = agreed("balance");
    let p = page(&t);
    assert_eq!(verdict(&t, &p).unwrap().blocks, 1);
    let mut forged = p.clone();
    forged.blocks[0].amount_minor -= 1;
    assert_eq!(verdict(&t, &forged).unwrap_err().place, "block 1");
    forged.blocks.clear();
    assert_eq!(verdict(&t, &forged).unwrap_err().place, "signature", "none is left out");
    // Pages of before have no such lines, and the bytes they had.
    let bare = HostingStatement { blocks: Vec::new(), ..p };
    assert!(!serde_json::to_string(&bare).unwrap().contains("blocks"));
}

#[test]
fn every_line_follows_from_the_terms_whatever_bills_are_taken_from() {
    for pay_from in ["earnings", "balance"] {
        let t = agreed(pay_from);
        let report = verdict(&t, &page(&t)).unwrap();
        assert_eq!((report.bills, report.closing.billed_until), (2, 12));
    }
}

#[test]
fn what_is_carried_is_priced_with_the_next_bill() {
    // One and a half kilowatt-hours at 7 are 10.5; half a one is 3.5: together 14.
    let t = agreed("balance");
    let p = page(&t);
    assert_eq!(p.bills.iter().map(|b| b.energy_minor).sum::<i64>(), 14);
}

/// What the operator measured, and what the balance held: nobody else has seen it.
const FACTS: [&str; 4] = ["at_us", "energy_uj", "up_us", "paid_minor"];

#[test]
fn a_changed_number_is_found_and_a_signed_lie_too_unless_it_is_a_fact_that_changes_nothing_else() {
    let t = agreed("balance");
    let whole = serde_json::to_value(page(&t)).unwrap();
    let mut tried = 0;
    for i in 0..2 {
        let names: Vec<String> = whole["bills"][i].as_object().unwrap().keys().cloned().collect();
        for name in names {
            for by in [1i128, -1] {
                let mut copy = whole.clone();
                let leaf = &mut copy["bills"][i][&name];
                *leaf = match leaf.as_str() {
                    Some(s) => (s.parse::<i128>().unwrap() + by).to_string().into(),
                    None => i64::try_from(i128::from(leaf.as_i64().unwrap()) + by).unwrap().into(),
                };
                let read = HostingStatement::parse(&copy.to_string()).unwrap();
                tried += 1;
                assert!(verdict(&t, &read).is_err(), "{name} was changed");
                let lie = read.signed(&key()).unwrap();
                let is_fact = FACTS.contains(&name.as_str());
                assert!(verdict(&t, &lie).is_err() || is_fact, "{name} was changed and signed");
            }
        }
    }
    assert_eq!(tried, 2 * 14 * 2);
}

#[test]
fn a_page_of_another_contract_key_or_length_is_none_of_these_terms() {
    let t = agreed("balance");
    let refused = |edit: &dyn Fn(&mut HostingStatement)| {
        let mut p = page(&t);
        edit(&mut p);
        verdict(&t, &p.signed(&key()).unwrap()).unwrap_err().to_string()
    };
    assert!(refused(&|p| p.contract = ContractId::from_bytes([8; 16])).contains("contract"));
    assert!(refused(&|p| p.epoch_us -= 1).contains("epoch_us"));
    assert!(refused(&|p| p.end_epoch = Some(39)).contains("end_epoch"));
    assert!(refused(&|p| p.next_bill = Some(9)).contains("next_bill"));
    assert!(refused(&|p| p.opening.arrears_minor = 1).contains("opening"));
    let other = SigningKey::from_bytes(&[4; 32]);
    let forged = page(&t).signed(&other).unwrap();
    assert!(verdict(&t, &forged).unwrap_err().why.contains("another key"));
    // Terms that are signed by nobody, or by another than asked for.
    let mut bare = file(&t);
    (bare.operator_key, bare.signature) = (None, None);
    assert_eq!(HostingChecker::begin(bare, None).unwrap_err(), TermsError::WrongSignature);
    let asked = Some(other.verifying_key().to_bytes());
    assert!(matches!(HostingChecker::begin(file(&t), asked), Err(TermsError::OtherKey(_))));
    let mut odd = t.clone();
    odd.fee_rule = "as we like".into();
    assert!(matches!(HostingChecker::begin(file(&odd), None), Err(TermsError::Unreadable(_))));
}

#[test]
fn after_a_change_of_keys_pages_are_taken_by_whichever_of_both_was_named() {
    let t = agreed("balance");
    let new = SigningKey::from_bytes(&[4; 32]);
    let (old_key, new_key) = (key().verifying_key().to_bytes(), new.verifying_key().to_bytes());
    let later = page(&t).signed(&new).unwrap();
    let checker = || HostingChecker::begin(file(&t), Some(old_key)).unwrap();
    assert!(checker().page(&later).unwrap_err().why.contains("another key"), "only one is named");
    let mut both = checker().or_by([old_key, new_key]);
    both.page(&later).unwrap();
    assert_eq!(both.finish().terms_signed_by, Some(hex::encode(old_key)));
    checker().or_by([new_key]).page(&page(&t)).unwrap();
    // Neither, and what the named one has not signed.
    let forged = page(&t).signed(&SigningKey::from_bytes(&[5; 32])).unwrap();
    assert!(checker().or_by([new_key]).page(&forged).unwrap_err().why.contains("another key"));
    let mut said = forged;
    said.operator_key = Some(hex::encode(new_key));
    assert!(checker().or_by([new_key]).page(&said).unwrap_err().why.contains("operator's"));
}

#[test]
fn pages_follow_each_other_without_a_gap() {
    let t = agreed("balance");
    let whole = page(&t);
    let mut first = whole.clone();
    first.bills.truncate(1);
    let mut position = HostingPosition::begin(10);
    position.take(&t, DAY_US, &whole.bills[0]).unwrap();
    (first.closing, first.next_bill) = (position, Some(2));
    let first = first.signed(&key()).unwrap();
    let mut second = whole.clone();
    second.bills.remove(0);
    second.opening = position;
    let second = second.signed(&key()).unwrap();
    let mut checker = HostingChecker::begin(file(&t), None).unwrap();
    checker.page(&first).unwrap();
    checker.page(&second).unwrap();
    assert!(checker.page(&second).is_err(), "the last was the last");
    assert_eq!(checker.finish().closing, whole.closing);
    let mut early = HostingChecker::begin(file(&t), None).unwrap();
    assert!(early.page(&second).is_err(), "the first bill is missing");
}

/// Ended by the operator with nineteen of its thirty days left.
fn ended(by: EndedBy) -> HostingEnd {
    let back_minor = if by == EndedBy::Operator { 634 } else { 0 };
    HostingEnd { by, at_us: 3, epoch: 21, epochs_left: 19, back_minor }
}

#[test]
fn what_comes_back_of_a_lease_that_the_operator_ends_follows_from_the_terms() {
    let t = agreed("balance");
    let of = |end: HostingEnd, epoch| {
        let mut p = page(&t);
        (p.ended, p.end_epoch) = (Some(end), epoch);
        verdict(&t, &p.signed(&key()).unwrap())
    };
    for by in [EndedBy::Owner, EndedBy::Operator, EndedBy::HandedOn] {
        of(ended(by), Some(21)).unwrap();
        let end = ended(by);
        assert!(of(HostingEnd { back_minor: end.back_minor + 1, ..end }, Some(21)).is_err());
        assert!(of(HostingEnd { back_minor: end.back_minor - 1, ..end }, Some(21)).is_err());
        assert!(of(HostingEnd { epochs_left: 18, ..end }, Some(21)).is_err());
        assert!(of(end, Some(22)).is_err() && of(end, None).is_err());
    }
    // Ended at its first border, all of it comes back; after its term there is nothing to end.
    let first =
        HostingEnd { epoch: 12, epochs_left: 28, back_minor: 934, ..ended(EndedBy::Operator) };
    of(first, Some(12)).unwrap();
    assert!(of(HostingEnd { epoch: 41, ..ended(EndedBy::Owner) }, Some(41)).is_err());
}

#[test]
fn terms_from_before_are_held_to_their_whole_term_and_a_handed_on_one_ends_where_it_would_have() {
    let mut old = HostingTerms { end_rule: None, back: None, ..agreed("balance") };
    old.format = HOSTING_TERMS_2.into();
    let with = |t: &HostingTerms, end: Option<HostingEnd>, epoch| {
        let mut p = page(t);
        (p.ended, p.end_epoch) = (end, epoch);
        verdict(t, &p.signed(&key()).unwrap())
    };
    with(&old, None, Some(40)).unwrap();
    let back_minor = 0;
    let refused = with(&old, Some(HostingEnd { back_minor, ..ended(EndedBy::Operator) }), Some(21));
    assert!(refused.unwrap_err().why.contains("do not let it be ended"));
    with(&old, Some(ended(EndedBy::HandedOn)), Some(21)).unwrap();
    // The one that goes on: of the same thirty days twenty-five are left at its start.
    let next = HostingTerms { term_epochs: None, until_epoch: Some(35), ..agreed("balance") };
    with(&next, None, Some(35)).unwrap();
    assert!(with(&next, None, Some(40)).is_err());
    let ends = HostingEnd { epochs_left: 14, back_minor: 467, ..ended(EndedBy::Operator) };
    with(&next, Some(ends), Some(21)).unwrap();
    // Without a term nobody's word is an end.
    let open = HostingTerms { term_epochs: None, back: None, ..agreed("balance") };
    assert!(with(&open, None, Some(21)).is_err());
    with(&open, None, None).unwrap();
}

#[test]
fn the_house_takes_no_more_of_a_block_than_the_terms_say() {
    let with = |fee: u16| HostingTerms {
        earnings_fee_bps: Some(fee),
        earnings_rule: Some(EARNINGS_RULE.into()),
        ..agreed("balance")
    };
    let paid = |t: &HostingTerms, day: i64| {
        let mut p = page(t);
        p.blocks[0].at_us = day * i64::try_from(DAY_US).unwrap();
        verdict(t, &p.signed(&key()).unwrap())
    };
    paid(&with(50), 20).unwrap();
    let more = paid(&with(49), 20).unwrap_err();
    assert_eq!((more.place.as_str(), more.why.contains("49 is agreed")), ("block 1", true));
    paid(&with(49), 5).unwrap();
    paid(&agreed("balance"), 20).unwrap();
}

#[test]
fn a_fee_of_no_known_rule_or_above_the_whole_is_unreadable() {
    let read = |fee: Option<u16>, rule: Option<&str>| {
        let rule = rule.map(str::to_owned);
        let t = HostingTerms { earnings_fee_bps: fee, earnings_rule: rule, ..agreed("balance") };
        HostingTerms::parse(&t.canonical().unwrap()).is_ok()
    };
    assert!(read(None, None) && read(Some(0), Some(EARNINGS_RULE)));
    assert!(read(Some(10_000), Some(EARNINGS_RULE)) && !read(Some(10_001), Some(EARNINGS_RULE)));
    assert!(!read(Some(100), None) && !read(None, Some(EARNINGS_RULE)));
    assert!(!read(Some(100), Some("as much as we like")));
    // Terms from before have the bytes that they had.
    let before = String::from_utf8(agreed("balance").canonical().unwrap()).unwrap();
    assert!(!before.contains("earnings_"), "{before}");
}

#[test]
fn no_more_comes_back_than_was_paid_and_only_of_a_lease() {
    let unreadable = |t: HostingTerms| HostingTerms::parse(&t.canonical().unwrap()).is_err();
    let t = agreed("balance");
    let back = t.back.unwrap();
    assert!(!unreadable(t.clone()));
    assert!(unreadable(HostingTerms { kind: "sold".into(), ..t.clone() }));
    assert!(unreadable(HostingTerms { back: Some(Back { minor: 999, ..back }), ..t.clone() }));
    assert!(unreadable(HostingTerms { back: Some(Back { epochs: 29, ..back }), ..t.clone() }));
    assert!(unreadable(HostingTerms { end_rule: Some("when we like".into()), ..t }));
    assert!(back.of(31).is_err());
    assert_eq!((back.of(0), back.of(30), back.of(1)), (Ok(0), Ok(1_000), Ok(34)));
}
