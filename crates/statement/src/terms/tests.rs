use super::*;
use ed25519_dalek::SigningKey;

pub(crate) fn terms() -> Terms {
    Terms {
        format: FORMAT.to_owned(),
        contract: Some(ContractId::from_bytes([7; 16])),
        sold_at_us: Some(1_700_000_000_000_000),
        plan: "small".into(),
        plan_version: 3,
        title: "Small".into(),
        lane: "ltc".parse().unwrap(),
        earns: vec![Asset::Ltc, Asset::Doge],
        hashrate: Hashrate(1_000),
        epoch_us: 600_000_000,
        epoch_work: Hashes(600_000),
        term_epochs: 12,
        work: Hashes(7_200_000),
        price: Money { asset: Asset::Ltc, minor: 84 },
        rules: Rules {
            price: PriceRule::PerHashrateDay { minor: 1_000, hashrate: Hashrate(1_000) },
            scheme: SchemeRule::PplnsUnits { window_blocks: 8, window_epochs_max: 100 },
            allocation: AllocationRule::ProRata,
            shortfall: ShortfallRule::MadeGood { catch_up_bps: 10_000, extension_epochs: 6 },
            fee: FeeRule::PartOfEarnings { bps: 200 },
            maintenance: MaintenanceRule::PerDelivered {
                order: vec![
                    Upkeep { asset: Asset::Ltc, minor_per_th_day: 500 },
                    Upkeep { asset: Asset::Doge, minor_per_th_day: 2_000 },
                ],
            },
            settlement: SettlementRule::EveryEpochs { epochs: 1, minimum_minor: 0 },
            orphan: OrphanRule::TakenBack,
            refund: RefundRule::Undelivered,
            unprofitable: UnprofitableRule::Run,
            life: None,
        },
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn signed(terms: &Terms) -> SignedTerms {
    let bytes = terms.canonical().unwrap();
    let signature = sign(&key(), &hash(&bytes));
    let by = key().verifying_key().to_bytes();
    SignedTerms::new(terms.contract.unwrap(), bytes, Some((by, signature))).unwrap()
}

#[test]
fn terms_are_read_as_they_were_written() {
    let bytes = terms().canonical().unwrap();
    assert_eq!(Terms::parse(&bytes).unwrap(), terms());
    let text = String::from_utf8(bytes).unwrap();
    let wanted = r#""scheme":{"rule":"pplns-units","window_blocks":8,"window_epochs_max":100}"#;
    assert!(text.contains(wanted), "{text}");
}

#[test]
fn the_file_opens_with_the_key_that_signed_and_with_no_other() {
    let file = signed(&terms());
    let json = serde_json::to_string(&file).unwrap();
    let read = SignedTerms::parse(&json).unwrap();
    assert_eq!(read.open(None).unwrap(), terms());
    assert_eq!(read.open(Some(&key().verifying_key().to_bytes())).unwrap(), terms());
    assert!(matches!(read.open(Some(&[1; 32])), Err(TermsError::OtherKey(_))));
}

#[test]
fn a_changed_letter_of_the_file_is_found() {
    let file = signed(&terms());
    let opens = |change: &dyn Fn(&mut SignedTerms)| {
        let mut f = file.clone();
        change(&mut f);
        f.open(None)
    };
    let cheaper = |f: &mut SignedTerms| f.terms = f.terms.replace("\"bps\":200", "\"bps\":100");
    assert_eq!(opens(&cheaper), Err(TermsError::WrongHash));
    let rehashed = |f: &mut SignedTerms| {
        cheaper(f);
        f.sha256 = hex::encode(hash(f.terms.as_bytes()));
    };
    assert_eq!(opens(&rehashed), Err(TermsError::WrongSignature));
    let unsigned = |f: &mut SignedTerms| {
        rehashed(f);
        (f.operator_key, f.signature) = (None, None);
    };
    assert_eq!(opens(&unsigned), Err(TermsError::WrongSignature));
    assert!(opens(&|f| f.contract = ContractId::from_bytes([8; 16])).is_err());
    assert!(opens(&|f| f.signature = Some("zz".into())).is_err());
}

/// As the house wrote them before terms were signed, byte for byte.
const FIRST: &str = r#"{"format":"gruve lease terms 1","plan":"small","plan_version":1,"title":"Small","lane":"btc","scheme":"pplns","window_blocks":8,"window_epochs_max":1000,"earns":"BTC","also_earns":["DOGE"],"hashrate":"1000","epoch_us":600000000,"epoch_work":"600000","term_epochs":12,"work":"7200000","price_asset":"BTC","price_minor":84,"fee_bps":200,"maintenance_minor_per_th_day":3,"maintenance_rule":"floor(delivered * maintenance / 86400e12 hashes), taken from earnings, never below zero","maintenance_also":[["DOGE",2000]],"maintenance_order_rule":"...","catch_up_bps":10000,"extension_epochs":12,"refund_rule":"price - floor(price * delivered / work) at the hard end","unprofitable_rule":"run"}"#;

#[test]
fn terms_of_the_first_format_stay_readable() {
    let t = Terms::parse(FIRST.as_bytes()).unwrap();
    assert_eq!((t.format.as_str(), t.contract), (FORMAT_1, None));
    assert_eq!(t.earns, [Asset::Btc, Asset::Doge]);
    assert_eq!(t.price, Money { asset: Asset::Btc, minor: 84 });
    assert_eq!(t.rules.settlement, SettlementRule::NotStated);
    let id = ContractId::from_bytes([7; 16]);
    let file = SignedTerms::new(id, FIRST.into(), None).unwrap();
    assert_eq!(file.open(None).unwrap(), t);
    // Whoever asks for a key does not take terms that nobody signed.
    assert_eq!(file.open(Some(&[1; 32])), Err(TermsError::WrongSignature));
}

#[test]
fn a_rule_that_is_not_known_here_is_not_passed_over() {
    let text = String::from_utf8(terms().canonical().unwrap()).unwrap();
    let other = text.replace(r#""rule":"run""#, r#""rule":"end-it""#);
    assert!(Terms::parse(other.as_bytes()).unwrap_err().to_string().contains("end-it"));
    let more = text.replace(r#""bps":200"#, r#""bps":200,"also":1"#);
    assert!(Terms::parse(more.as_bytes()).is_err());
    assert!(Terms::parse(b"{}").is_err());
    assert!(Terms::parse(b"[").is_err());
}
