//! What one line of the card service's account says. Pure: JSON in, a line out.

use crate::remote::client::Failed;
use crate::remote::stripe::{id, odd};
use gruve_units::{Amount, Asset, InvoiceId, Timestamp};
use serde_json::Value;

/// Characters of a line's name: it stands in a reason of the books, which has 200.
const NAME_CHARS_MAX: usize = 120;

/// What a line is, as the service's `reporting_category` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A customer's payment, what is given back of it, and disputes.
    Customer,
    /// On its way between the service and the bank.
    UnderWay,
    /// What the service takes for itself.
    Fee,
    /// Anything else is between the operator and the service.
    Own,
}

impl Kind {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Kind::Customer => "customer",
            Kind::UnderWay => "under-way",
            Kind::Fee => "fee",
            Kind::Own => "own",
        }
    }

    pub(super) fn of(word: &str) -> Option<Kind> {
        let all = [Kind::Customer, Kind::UnderWay, Kind::Fee, Kind::Own];
        all.into_iter().find(|k| k.word() == word)
    }
}

/// One transaction of the service's on its account of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The service's name for it.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The payment that it is about.
    pub(super) about: Option<String>,
    /// The invoice that the service keeps with it, as it was told when the place to pay was made.
    pub(super) invoice: Option<InvoiceId>,
    /// Before the fee; below zero where it leaves the account.
    pub(super) amount: Amount,
    /// What the service took for it; below zero where it gives a fee back.
    pub(super) fee: Amount,
    /// What it is in the customer's currency, where that is another.
    pub(super) price: Option<Amount>,
    pub(super) made: Timestamp,
}

/// A line, or that it is of a balance or a currency that the books do not keep.
///
/// A customer's in such a currency is a line of nothing but what it is in the customer's. One whose customer paid in
/// such a currency is the operator's own: places to pay of ours ask for currencies of the books.
///
/// # Errors
/// When it cannot be read.
pub(super) fn read_line(entry: &Value) -> Result<Option<Line>, Failed> {
    let name = id(entry, "/id").ok().filter(|n| n.len() <= NAME_CHARS_MAX);
    let name = name.ok_or_else(|| odd("no /id"))?;
    // Balances beside the one that payments come to are not told by `GET /v1/balance`'s sums.
    let balance = entry.pointer("/balance_type").and_then(Value::as_str).unwrap_or("payments");
    if balance != "payments" {
        return Ok(None);
    }
    let made = entry.pointer("/created").and_then(Value::as_i64).filter(|at| *at >= 0);
    let made = Timestamp::from_secs(made.ok_or_else(|| odd("no /created"))?);
    let category = entry.pointer("/reporting_category").and_then(Value::as_str);
    let mut kind = kind_of(category.ok_or_else(|| odd("no /reporting_category"))?);
    let mut is_customers = kind == Kind::Customer;
    // Only a name, where more was asked for: whose payment it is would be guessed.
    if is_customers && entry.pointer("/source").is_some_and(Value::is_string) {
        return Err(odd("what it is about is too long, or is not told"));
    }
    let paid_in = currency(entry, "/source/currency");
    let (amount, fee, price) = match currency(entry, "/currency")? {
        Some(asset) => {
            let (amount, fee) = (cents(entry, "/amount", asset)?, cents(entry, "/fee", asset)?);
            if amount.checked_sub(fee).map_err(odd)? != cents(entry, "/net", asset)? {
                return Err(odd("its net is not its amount less its fee"));
            }
            if is_customers && matches!(paid_in, Ok(None)) {
                (kind, is_customers) = (Kind::Own, false);
            }
            let leaves = amount.minor < 0;
            let price = if is_customers { price(entry, Some(asset), leaves)? } else { None };
            (amount, fee, price)
        }
        // The books have no account for it; that the customer's payment arrived they still can say.
        None if is_customers && matches!(paid_in, Ok(Some(_))) => {
            let price = price(entry, None, whole_of(entry)? < 0)?;
            let nothing = Amount::zero(price.map_or(Asset::Eur, |p| p.asset));
            (nothing, nothing, price)
        }
        None => return Ok(None),
    };
    let (mut about, mut invoice) = (None, None);
    if is_customers {
        about = id(entry, "/source/payment_intent").ok();
        let told = entry.pointer("/source/metadata/invoice").and_then(Value::as_str);
        invoice = told.and_then(|i| i.parse().ok());
    }
    Ok(Some(Line { name, kind, about, invoice, amount, fee, price, made }))
}

fn whole_of(entry: &Value) -> Result<i64, Failed> {
    entry.pointer("/amount").and_then(Value::as_i64).ok_or_else(|| odd("no /amount"))
}

/// What a line's source comes to in the customer's currency, where that is not the account's own.
fn price(entry: &Value, own: Option<Asset>, leaves: bool) -> Result<Option<Amount>, Failed> {
    if entry.pointer("/source/currency").is_none() {
        return Ok(None);
    }
    let asset = currency(entry, "/source/currency")?;
    if asset.is_some() && asset == own {
        return Ok(None);
    }
    let asset = asset.ok_or_else(|| odd("a payment in a currency that is not taken here"))?;
    let price = cents(entry, "/source/amount", asset)?;
    if leaves { price.checked_neg().map(Some).map_err(odd) } else { Ok(Some(price)) }
}

fn kind_of(category: &str) -> Kind {
    match category {
        "charge"
        | "charge_failure"
        | "refund"
        | "refund_failure"
        | "partial_capture_reversal"
        | "dispute"
        | "dispute_reversal" => Kind::Customer,
        "payout" | "payout_reversal" | "topup" | "topup_reversal" => Kind::UnderWay,
        "fee" | "network_cost" | "tax" => Kind::Fee,
        _ => Kind::Own,
    }
}

fn currency(of: &Value, at: &str) -> Result<Option<Asset>, Failed> {
    let code = of.pointer(at).and_then(Value::as_str).ok_or_else(|| odd(format!("no {at}")))?;
    Ok(code.to_uppercase().parse().ok().filter(|a: &Asset| a.is_fiat()))
}

/// The service counts in cents.
pub(super) fn cents(of: &Value, at: &str, asset: Asset) -> Result<Amount, Failed> {
    let cents = of.pointer(at).and_then(Value::as_i64).ok_or_else(|| odd(format!("no {at}")))?;
    let minor = cents.checked_mul(asset.payable()).ok_or_else(|| odd(format!("{at}: too much")))?;
    Ok(Amount::new(asset, minor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The example that the service's own reference has.
    const DOCUMENTED: &str = r#"{
        "id": "txn_1MiN3gLkdIwHu7ixxapQrznl", "object": "balance_transaction", "amount": -400,
        "available_on": 1678043844, "created": 1678043844, "currency": "usd", "description": null,
        "exchange_rate": null, "fee": 0, "fee_details": [], "net": -400,
        "reporting_category": "transfer", "source": "tr_1MiN3gLkdIwHu7ixNCZvFdgA",
        "status": "available", "type": "transfer" }"#;

    fn with(members: &Value) -> Result<Option<Line>, Failed> {
        let mut entry: Value = serde_json::from_str(DOCUMENTED).unwrap();
        for (key, value) in members.as_object().unwrap() {
            entry[key] = value.clone();
        }
        read_line(&entry)
    }

    #[test]
    fn the_documented_line_is_read_as_it_says() {
        let line = with(&json!({})).unwrap().unwrap();
        let usd = |cents: i64| Amount::new(Asset::Usd, cents * 10_000);
        assert_eq!((line.amount, line.fee, line.kind), (usd(-400), usd(0), Kind::Own));
        assert_eq!(line.made, Timestamp::from_secs(1_678_043_844));
        assert_eq!((line.about, line.invoice, line.price), (None, None, None));
    }

    #[test]
    fn a_charge_in_another_currency_says_both_amounts() {
        let invoice = InvoiceId::from_bytes([7; 16]);
        let charge = json!({ "amount": 1234, "fee": 66, "net": 1168, "currency": "eur",
            "reporting_category": "charge", "source": { "payment_intent": "pi_1", "currency": "usd",
            "amount": 1500, "metadata": { "invoice": invoice.to_string() } } });
        let line = with(&charge).unwrap().unwrap();
        assert_eq!(line.price, Some(Amount::new(Asset::Usd, 15_000_000)));
        assert_eq!((line.about.as_deref(), line.invoice), (Some("pi_1"), Some(invoice)));
        let back = json!({ "amount": -1234, "net": -1234, "currency": "eur",
            "reporting_category": "refund", "source": { "currency": "usd", "amount": 1500 } });
        let line = with(&back).unwrap().unwrap();
        assert_eq!(line.price, Some(Amount::new(Asset::Usd, -15_000_000)));
    }

    #[test]
    fn a_charge_in_a_currency_that_the_books_do_not_keep_is_the_operators_own() {
        for (category, amount) in [("charge", 1_234), ("refund", -1_234), ("dispute", -1_234)] {
            let charge = json!({ "amount": amount, "fee": 66, "net": amount - 66, "currency": "eur",
                "reporting_category": category,
                "source": { "payment_intent": "pi_1", "currency": "gbp", "amount": 1_000 } });
            let line = with(&charge).unwrap().unwrap();
            assert_eq!(line.amount, Amount::new(Asset::Eur, amount * 10_000));
            assert_eq!(line.fee, Amount::new(Asset::Eur, 660_000));
            assert_eq!((line.kind, line.about, line.price), (Kind::Own, None, None));
        }
    }

    #[test]
    fn what_the_books_do_not_keep_is_passed_over_and_what_cannot_be_read_is_said() {
        for other in [
            json!({ "currency": "nok" }),
            json!({ "balance_type": "issuing" }),
            json!({ "currency": "nok", "source": { "currency": "nok" } }),
            json!({ "currency": "nok", "reporting_category": "charge", "source": { "currency": "nok" } }),
        ] {
            assert_eq!(with(&other).unwrap(), None, "{other}");
        }
        let charge = json!({ "currency": "nok", "reporting_category": "refund",
            "source": { "payment_intent": "pi_1", "currency": "eur", "amount": 350 } });
        let line = with(&charge).unwrap().unwrap();
        let eur = |minor| Amount::new(Asset::Eur, minor);
        assert_eq!((line.amount, line.fee, line.price), (eur(0), eur(0), Some(eur(-3_500_000))));
        for bad in [
            json!({ "id": "../v1/balance" }),
            json!({ "id": "t".repeat(121) }),
            json!({ "amount": "much" }),
            json!({ "amount": -401 }),
            json!({ "fee": null }),
            json!({ "net": i64::MAX, "amount": i64::MAX }),
            json!({ "created": -1 }),
            json!({ "currency": 1 }),
            json!({ "reporting_category": null }),
            json!({ "reporting_category": "charge", "source": { "currency": 1 } }),
            json!({ "reporting_category": "charge", "source": { "currency": "eur" } }),
            json!({ "reporting_category": "charge", "source": "ch_1" }),
        ] {
            assert!(with(&bad).is_err(), "{bad}");
        }
    }
}
