//! Money at banks and services: what they say that they have of the house's, held against the books.
//!
//! Nothing is adjusted. A bank's word is its last statement's; a service is asked, and one that does not answer is no
//! finding. It may take minutes to answer, so no transaction is open meanwhile.

use crate::bank::told;
use gruve_store::Tx;
use gruve_treasury::{ServiceComparison, Treasury, TreasuryError};
use gruve_units::Asset;
use serde::Serialize;

/// One bank account or one currency at a service.
#[derive(Debug, Serialize)]
pub(super) struct MethodReport {
    /// `bank` or the service's method.
    pub(super) method: &'static str,
    pub(super) asset: Asset,
    /// What the bank or service says.
    pub(super) there_minor: i64,
    /// What the books have.
    pub(super) books_minor: i64,
    /// What is there and not in the books.
    pub(super) difference_minor: i64,
    /// Entries that wait for a person, and lines that are not read yet.
    pub(super) open_entries: u64,
    /// In words.
    pub(super) said: String,
}

/// What was compared.
#[derive(Default)]
pub(super) struct Audited {
    pub(super) methods: Vec<MethodReport>,
    pub(super) findings: Vec<String>,
    pub(super) not_compared: Vec<String>,
}

/// What the books say of it.
pub(super) async fn audit(treasury: &Treasury, tx: &mut Tx) -> Result<Audited, String> {
    let mut audited = Audited::default();
    for c in treasury.compare_banks(tx).await.map_err(|e| e.to_string())? {
        let said = told(&c);
        if !c.is_explained() {
            audited.findings.push(said.clone());
            audited.findings.extend(c.gaps.iter().map(|gap| format!("bank {}: {gap}", c.bank)));
        }
        audited.methods.push(MethodReport {
            method: "bank",
            asset: c.there.asset,
            there_minor: c.there.minor,
            books_minor: c.books.minor,
            difference_minor: c.difference.minor,
            open_entries: c.undecided_count,
            said,
        });
    }
    let turnover = treasury.audit_turnover(tx).await;
    audited.findings.extend(turnover.map_err(|e| e.to_string())?);
    Ok(audited)
}

/// What the services say. To be called without a transaction: its caller would hold it for as long as they take.
pub(super) async fn ask_services(treasury: &Treasury, audited: &mut Audited) -> Result<(), String> {
    let all = match treasury.compare_services().await {
        Ok(all) => all,
        Err(TreasuryError::Service { method, why, .. }) => {
            audited.not_compared.push(format!("{method}: {why}"));
            return Ok(());
        }
        Err(e) => return Err(e.to_string()),
    };
    for c in all {
        let said = said_of(&c);
        if c.difference.minor != 0 {
            audited.findings.push(said.clone());
        }
        audited.methods.push(MethodReport {
            method: c.method.word(),
            asset: c.there.asset,
            there_minor: c.there.minor,
            books_minor: c.books.minor,
            difference_minor: c.difference.minor,
            open_entries: c.lines_unread,
            said,
        });
    }
    Ok(())
}

fn said_of(c: &ServiceComparison) -> String {
    let unread = if c.lines_unread == 0 {
        String::new()
    } else {
        format!(", {} in {} lines it has not read yet", c.unread, c.lines_unread)
    };
    let difference = match c.difference.minor {
        0 => "they agree".to_owned(),
        _ => format!("the difference is {}", c.difference),
    };
    format!(
        "{}: the service has {}, the books {}{unread}: {difference}",
        c.method, c.there, c.books
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_store::Store;
    use gruve_store::testing::{on_postgres, on_sqlite};
    use gruve_treasury::{BankAccount, BankWord, Secret, Seed, StripeConfig, TreasuryConfig};
    use gruve_units::{SystemClock, SystemEntropy};
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    /// A statement of ten euros that came and four that left, with what the account is said to have afterwards.
    fn statement(closing: &str) -> String {
        let balance = |code: &str, amount: &str| {
            format!(
                "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"EUR\">{amount}</Amt>\
                 <CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-20</Dt></Dt></Bal>"
            )
        };
        let entry = |own: &str, amount: &str, way: &str| {
            format!(
                "<Ntry><Amt Ccy=\"EUR\">{amount}</Amt><CdtDbtInd>{way}</CdtDbtInd><Sts>BOOK</Sts>\
                 <BookgDt><Dt>2026-11-20</Dt></BookgDt><AcctSvcrRef>{own}</AcctSvcrRef></Ntry>"
            )
        };
        format!(
            "<Document><BkToCstmrStmt><Stmt><Id>1</Id><Acct><Id><IBAN>DE89370400440532013000</IBAN></Id></Acct>\
             {}{}{}{}</Stmt></BkToCstmrStmt></Document>",
            balance("OPBD", "100.00"),
            balance("CLBD", closing),
            entry("a", "10.00", "CRDT"),
            entry("b", "4.00", "DBIT")
        )
    }

    async fn treasury(store: &Store, stripe: Option<StripeConfig>) -> Treasury {
        store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
        store.migrate("treasury", gruve_treasury::MIGRATIONS).await.unwrap();
        let mut config = TreasuryConfig::new(Seed::from_bytes([1; 32])).with_bank(BankAccount {
            asset: Asset::Eur,
            iban: "DE89370400440532013000".to_owned(),
            holder: "Example Mining".to_owned(),
            bic: None,
            open_for: Duration::from_secs(1),
        });
        config.stripe = stripe;
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        Treasury::new(store.clone(), clock, entropy, config).unwrap()
    }

    async fn audited(store: &Store, treasury: &Treasury) -> Audited {
        let mut audited = {
            let mut tx = store.read().await.unwrap();
            audit(treasury, &mut tx).await.unwrap()
        };
        ask_services(treasury, &mut audited).await.unwrap();
        audited
    }

    async fn what_the_bank_says_is_a_finding_where_the_books_say_something_else(store: Store) {
        let treasury = treasury(&store, None).await;
        assert!(audited(&store, &treasury).await.methods.is_empty(), "nobody has said anything");
        treasury.import_statement("a", statement("106.00").as_bytes()).await.unwrap();
        let now = audited(&store, &treasury).await;
        assert_eq!(now.findings, Vec::<String>::new());
        let [m] = &now.methods[..] else { panic!("one account") };
        assert_eq!((m.method, m.there_minor, m.books_minor), ("bank", 106_000_000, 10_000_000));
        assert_eq!((m.difference_minor, m.open_entries), (-4_000_000, 1));
        assert!(m.said.contains("wait for a person's word (1)"), "{}", m.said);
        let waits = treasury.bank_entries_waiting().await.unwrap();
        let left = waits.iter().find(|e| e.amount.is_some_and(|a| a.minor < 0)).unwrap();
        treasury.decide_bank_entry(left.id, &BankWord::Charges, "").await.unwrap();
        let now = audited(&store, &treasury).await;
        assert!(now.findings.is_empty() && now.methods[0].said.ends_with("they agree"));
        // The bank corrects what it said: a euro more is gone than anybody has told of.
        treasury.import_statement("b", statement("105.00").as_bytes()).await.unwrap();
        let now = audited(&store, &treasury).await;
        assert!(now.findings.len() == 1 && now.findings[0].contains("-1"), "{:?}", now.findings);
        assert_eq!(now.methods[0].difference_minor, -1_000_000);
    }

    async fn a_service_that_does_not_answer_is_no_finding(store: Store) {
        let stripe = StripeConfig {
            url: "http://127.0.0.1:1".into(),
            secret_key: Secret::new("sk_test_1"),
            webhook_secrets: vec![Secret::new("whsec_1")],
            assets: vec![Asset::Eur],
            origin: "https://mine.example".into(),
            authorities: PathBuf::new(),
            patience: Duration::from_secs(10),
        };
        let treasury = treasury(&store, Some(stripe)).await;
        let now = audited(&store, &treasury).await;
        assert!(now.findings.is_empty() && now.methods.is_empty());
        assert!(now.not_compared.len() == 1 && now.not_compared[0].starts_with("card: "));
    }

    #[test]
    fn on_both_engines() {
        on_sqlite(what_the_bank_says_is_a_finding_where_the_books_say_something_else);
        on_postgres(what_the_bank_says_is_a_finding_where_the_books_say_something_else);
        on_sqlite(a_service_that_does_not_answer_is_no_finding);
    }
}
