//! Invoices at a BTCPay Server, by its Greenfield API.
//!
//! As with cards a webhook is only a wake-up: the invoice is asked for, and what its payments come to
//! at their rates. What it must not know: databases, books.

use super::client::{Asked, Client, Failed};
use super::stripe::{id, link};
use super::{Looked, Place, Secret, Wants};
use gruve_units::{Amount, Asset, Duration, Timestamp};
use hyper::Method;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Minutes that a checkout there stays open, at least and at most.
const MINUTES: (i64, i64) = (5, 24 * 60);

/// `[btcpay]`, as the treasury needs it.
#[derive(Clone, Debug)]
pub struct BtcPayConfig {
    /// The server.
    pub url: String,
    /// The store's id.
    pub store: String,
    /// An API key that may make and see the store's invoices.
    pub api_key: Secret,
    /// What the store's webhook is signed with.
    pub webhook_secret: Secret,
    /// What it is offered for: currencies that the store has rates of, or coins.
    pub assets: Vec<Asset>,
    /// Where customers come back to: the house's address as browsers see it.
    pub origin: String,
    /// Certificate authorities (PEM) by which the server is known.
    pub authorities: PathBuf,
    /// How long an answer is waited for; [`super::PATIENCE`] as a rule.
    pub patience: Duration,
}

pub(crate) struct BtcPay {
    client: Client,
    config: BtcPayConfig,
}

impl BtcPay {
    pub(crate) fn new(config: BtcPayConfig) -> Result<BtcPay, String> {
        if config.api_key.is_empty() || config.webhook_secret.is_empty() {
            return Err("btcpay: api_key and webhook_secret must not be empty".into());
        }
        let is_plain = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_plain(&config.store) {
            return Err("btcpay: store is the store's id, letters and digits".into());
        }
        let key = config.api_key.clone();
        let client =
            Client::new(&config.url, "token", key, &config.authorities)?.within(config.patience);
        Ok(BtcPay { client, config })
    }

    pub(crate) fn takes(&self, asset: Asset) -> bool {
        self.config.assets.contains(&asset)
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/stores/{}/invoices{rest}", self.config.store)
    }

    /// Makes an invoice there. The API knows no key by which the same is made once: one that was made
    /// and not heard of expires unpaid, since nobody was led to it.
    pub(crate) async fn open(&self, wants: &Wants, now: Timestamp) -> Result<Place, Failed> {
        let minutes = (wants.expires.secs() - now.secs()) / 60;
        let body = json!({
            "amount": wants.amount.decimal(),
            "currency": wants.amount.asset.code(),
            "metadata": { "orderId": wants.invoice.to_string(), "reference": wants.reference },
            "checkout": {
                "expirationMinutes": minutes.clamp(MINUTES.0, MINUTES.1),
                "redirectURL": format!("{}/invoices/{}", self.config.origin, wants.invoice),
            },
        });
        let path = self.path("");
        let asked = Asked {
            method: Method::POST,
            path: &path,
            kind: "application/json",
            body: body.to_string(),
            once: None,
        };
        let answer = self.client.ask(asked).await?;
        Ok(Place { external: id(&answer, "/id")?, url: link(&answer, "/checkoutLink")? })
    }

    /// How an invoice there stands.
    pub(crate) async fn look(&self, invoice: &str) -> Result<Looked, Failed> {
        let answer = self.client.ask(Asked::get(&self.path(&format!("/{invoice}")))).await?;
        let status = answer.pointer("/status").and_then(Value::as_str).unwrap_or_default();
        let more = answer.pointer("/additionalStatus").and_then(Value::as_str).unwrap_or_default();
        let nothing = |is_over| Ok(Looked { came: None, is_over });
        match (status, more) {
            // What comes after its end is heard of by a webhook, or by looking on: it is given up with age.
            ("New" | "Processing", _) | ("Expired", "None" | "") => return nothing(false),
            ("Settled", _) | ("Expired", "PaidPartial" | "PaidLate") => {}
            ("Expired", _) => return nothing(true),
            // Payments that did not hold, or that a person marked so: nothing more is credited.
            ("Invalid", _) => return nothing(true),
            _ => return Err(Failed::NoAnswer("the invoice's status is unknown".into())),
        }
        let asked = amount_at(&answer, "/amount", "/currency")?;
        let paths = self.path(&format!("/{invoice}/payment-methods"));
        let methods = self.client.ask(Asked::get(&paths)).await?;
        let paid = paid_in(asked.asset, &methods)?;
        // Settled is the server's word that the whole amount came: rounding of its rates does not
        // take a cent of it away.
        let came = if status == "Settled" { paid.settled.max(asked.minor) } else { paid.settled };
        let came = Some((Amount::new(asked.asset, came), invoice.to_owned()));
        Ok(Looked { came, is_over: !paid.is_on_its_way })
    }

    /// Whether a webhook is our server's: `BTCPay-Sig: sha256=HEX` of the body.
    pub(crate) fn has_signed(&self, header: &str, body: &[u8]) -> bool {
        let tag = header.trim().strip_prefix("sha256=");
        tag.is_some_and(|tag| self.config.webhook_secret.has_signed(&[body], tag))
    }

    /// A delivery's id and the invoice it is about; `None` for one that is about none.
    ///
    /// # Errors
    /// In words, when it is no delivery of our store.
    pub(crate) fn read_event(&self, body: &[u8]) -> Result<(String, Option<String>), String> {
        let event: Value = serde_json::from_slice(body).map_err(|e| format!("no JSON: {e}"))?;
        let name = |at| id(&event, at).map_err(|e| e.to_string());
        if name("/storeId")? != self.config.store {
            return Err("it is of another store".into());
        }
        // The button "send test" of the server has invoices of this name.
        let invoice = name("/invoiceId").ok().filter(|i| !i.starts_with("__test__"));
        Ok((name("/deliveryId")?, invoice))
    }
}

fn amount_at(of: &Value, amount: &str, currency: &str) -> Result<Amount, Failed> {
    let odd = |what: String| Failed::NoAnswer(format!("the answer cannot be read: {what}"));
    let asset = of.pointer(currency).and_then(Value::as_str).unwrap_or_default();
    let asset: Asset = asset.parse().map_err(|e| odd(format!("{e}")))?;
    let text = decimal(of.pointer(amount)).ok_or_else(|| odd(format!("no {amount}")))?;
    Amount::parse_decimal(asset, &text).map_err(|e| odd(e.to_string()))
}

/// A decimal as the API writes it: as text, or as a number.
fn decimal(of: Option<&Value>) -> Option<String> {
    match of? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Digits after the point that are looked at of a decimal.
const PLACES: usize = 12;

/// A decimal as a count of 10^-12, cut below; `None` when it is none or negative.
fn fine(text: &str) -> Option<u128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 20 || !digits(whole) || !digits(part) {
        return None;
    }
    let part: String = part.chars().chain(std::iter::repeat('0')).take(PLACES).collect();
    let whole = whole.parse::<u128>().ok()?.checked_mul(10_u128.pow(12))?;
    whole.checked_add(part.parse().ok()?)
}

/// What an invoice's payments come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Paid {
    /// In minor units of the currency asked for: what the server calls settled, and nothing else. What
    /// was only seen may still be replaced or spent twice by whoever sent it.
    settled: i64,
    /// Whether more was seen.
    is_on_its_way: bool,
}

/// What the payments come to: each settled one's coins times its method's rate, cut below, and of a method
/// never more than what the server counts as paid by it.
fn paid_in(asset: Asset, methods: &Value) -> Result<Paid, Failed> {
    let odd = |what: &str| Failed::NoAnswer(format!("the answer cannot be read: {what}"));
    let unit = u64::try_from(asset.unit()).map_err(|_| odd("a unit"))?;
    let mut paid = Paid::default();
    for method in methods.as_array().ok_or_else(|| odd("no list of payment methods"))? {
        let at = |of: &Value, key: &str| decimal(of.get(key)).and_then(|t| fine(&t));
        let most = at(method, "paymentMethodPaid").ok_or_else(|| odd("no paymentMethodPaid"))?;
        if most == 0 {
            continue;
        }
        let payments = method.get("payments").and_then(Value::as_array);
        let mut coins: u128 = 0;
        for payment in payments.ok_or_else(|| odd("no list of payments"))? {
            match payment.get("status").and_then(Value::as_str) {
                Some("Settled") => {
                    let value = at(payment, "value").ok_or_else(|| odd("a payment's value"))?;
                    coins = coins.checked_add(value).ok_or_else(|| odd("too much"))?;
                }
                Some("Processing") => paid.is_on_its_way = true,
                Some("Invalid") => {}
                _ => return Err(odd("a payment's status")),
            }
        }
        let rate = at(method, "rate").ok_or_else(|| odd("no rate"))?;
        let wide = ruint::aliases::U256::from(coins.min(most))
            * ruint::aliases::U256::from(rate)
            * ruint::aliases::U256::from(unit);
        let minor = wide / ruint::aliases::U256::from(10_u128.pow(24));
        let minor = i64::try_from(minor).map_err(|_| odd("too much"))?;
        paid.settled = paid.settled.checked_add(minor).ok_or_else(|| odd("too much"))?;
    }
    Ok(paid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payments_are_counted_at_their_rates_and_cut_below() {
        let of =
            |methods: Value| paid_in(Asset::Eur, &methods).map(|p| (p.settled, p.is_on_its_way));
        let settled = |value: &str| json!([{ "value": value, "status": "Settled" }]);
        let one = json!([{ "paymentMethodPaid": "0.00020000", "rate": "60000.50",
            "payments": settled("0.0002") }]);
        assert_eq!(of(one).unwrap(), (12_000_100, false));
        let two = json!([{ "paymentMethodPaid": "0", "rate": "" },
            { "paymentMethodPaid": "0.00000001", "rate": "60000", "payments": settled("0.00000001") },
            { "paymentMethodPaid": 1, "rate": 2.5, "payments": settled("1") }]);
        assert_eq!(of(two).unwrap(), (600 + 2_500_000, false));
        for bad in [
            json!({}),
            json!([{}]),
            json!([{ "paymentMethodPaid": "1", "payments": settled("1") }]),
            json!([{ "paymentMethodPaid": "1", "rate": "1" }]),
            json!([{ "paymentMethodPaid": "-1", "rate": "1", "payments": settled("1") }]),
            json!([{ "paymentMethodPaid": "1e3", "rate": "1", "payments": settled("1") }]),
            json!([{ "paymentMethodPaid": "1", "rate": "1", "payments": settled("-1") }]),
            json!([{ "paymentMethodPaid": "1", "rate": "1", "payments": [{ "value": "1" }] }]),
            json!([{ "paymentMethodPaid": "99999999999999999999", "rate": "99999999999999999999",
                "payments": settled("99999999999999999999") }]),
        ] {
            assert!(of(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_what_is_settled_counts_and_what_was_seen_is_waited_for() {
        let of = |payments: Value| {
            let method = json!([{ "paymentMethodPaid": "3", "rate": "1", "payments": payments }]);
            paid_in(Asset::Eur, &method).unwrap()
        };
        let payment = |value: &str, status: &str| json!({ "value": value, "status": status });
        let paid = |settled, is_on_its_way| Paid { settled, is_on_its_way };
        assert_eq!(of(json!([payment("3", "Processing")])), paid(0, true));
        assert_eq!(of(json!([payment("3", "Invalid")])), paid(0, false));
        let both = json!([payment("2", "Settled"), payment("1", "Processing")]);
        assert_eq!(of(both), paid(2_000_000, true));
        assert_eq!(of(json!([payment("9", "Settled")])), paid(3_000_000, false), "never more");
    }

    fn of_store(store: &str, webhook_secret: &str) -> BtcPay {
        BtcPay::new(BtcPayConfig {
            url: "http://127.0.0.1:1".into(),
            store: store.into(),
            api_key: Secret::new("key"),
            webhook_secret: Secret::new(webhook_secret),
            assets: vec![Asset::Eur],
            origin: "https://mine.example".into(),
            authorities: PathBuf::new(),
            patience: crate::remote::PATIENCE,
        })
        .unwrap()
    }

    #[test]
    fn a_delivery_that_a_server_signed_is_heard() {
        // `testdata/README.md` says where it is from. The tag is the server's own; `openssl dgst -sha256 -hmac` gives
        // the same over the file.
        const BODY: &[u8] = include_bytes!("../../testdata/btcpay-invoice-settled.json");
        const TAG: &str = "sha256=237906b0175aa4de911eba91ec0791e7482333a5de9f81a179442fc602b0d1be";
        let store = "BJKmPvug3KHVWyu1ECEiAstAQXFjJD1fX87EcgEhHVLT";
        let b = of_store(store, "Y6Tio3rXRT4dGqpk43GvBPK9fHQ");
        assert!(b.has_signed(TAG, BODY));
        let said = b.read_event(BODY).unwrap();
        assert_eq!(said.0, "WZbyGsmWGZvYjRsYCH7Vmt");
        assert_eq!(said.1.as_deref(), Some("6wmoR7p5UFVzCYuwyiViKX"));
        assert!(!b.has_signed(TAG, &BODY[..BODY.len() - 1]));
        assert!(!of_store(store, "Y6Tio3rXRT4dGqpk43GvBPK9fHR").has_signed(TAG, BODY));
        assert!(of_store("Other", "x").read_event(BODY).is_err());
    }

    #[test]
    fn an_invoice_as_the_documents_describe_it_is_read() {
        // The fields of the Greenfield API's `InvoicePaymentMethodDataModel`, with the values that its document gives as
        // examples where it gives any (`rate`, `cryptoCode`).
        let methods = json!([{
            "paymentMethod": "BTC", "cryptoCode": "BTC", "activated": true,
            "destination": "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu",
            "paymentLink": null, "rate": "64392.23", "paymentMethodPaid": "0.00100000",
            "totalPaid": "0.00100000", "due": "0.0", "amount": "0.00100000", "networkFee": "0.0",
            "payments": [{
                "id": "b1-0", "receivedDate": 1_592_312_018, "value": "0.00100000", "fee": "0.0",
                "status": "Settled", "destination": "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu",
            }],
            "additionalData": {},
        }]);
        let paid = paid_in(Asset::Usd, &methods).unwrap();
        assert_eq!((paid.settled, paid.is_on_its_way), (64_392_230, false));
    }

    #[test]
    fn a_delivery_is_heard_by_its_signature_and_store() {
        let b = of_store("Store1", "secret");
        let body = br#"{"deliveryId":"d1","webhookId":"w1","originalDeliveryId":"d1","isRedelivery":false,"type":"InvoiceSettled","timestamp":1700000000,"storeId":"Store1","invoiceId":"i1"}"#;
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"secret");
        let tag = hex::encode(ring::hmac::sign(&key, body));
        assert!(b.has_signed(&format!("sha256={tag}"), body));
        assert!(!b.has_signed(&tag, body) && !b.has_signed("sha256=", body));
        assert!(!b.has_signed(&format!("sha256={tag}"), &body[1..]));
        assert_eq!(b.read_event(body).unwrap(), ("d1".into(), Some("i1".into())));
        let other = String::from_utf8_lossy(body).replace("Store1", "Store2");
        assert!(b.read_event(other.as_bytes()).is_err());
        let test = String::from_utf8_lossy(body).replace("\"i1\"", "\"__test__1\"");
        assert_eq!(b.read_event(test.as_bytes()).unwrap().1, None);
    }
}
