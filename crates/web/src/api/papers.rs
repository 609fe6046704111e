//! Papers with a form of their own: described in full where they are defined, here in so far as a program needs it
//! to keep or to hand on.

use crate::openapi::{Members as _, Paper, Shape, Shapes, answers};
use gruve_hosting::Signed;
use gruve_market::{PlanConfig, PlanLife, QuoteForecast, SignedTerms};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A paper as it is, with what its schema says.
macro_rules! as_it_is {
    ($($of:ty => $name:literal, $shape:expr;)+) => {$(
        impl Shape for $of {
            fn shape(shapes: &mut Shapes) -> Value {
                shapes.named::<$of>($name, |_| $shape)
            }
        }
    )+};
}

as_it_is! {
    SignedTerms => "SignedTerms", json!({
        "type": "object",
        "description": "The exact bytes agreed, their hash and the operator's signature: docs/statements.md.",
        "properties": {
            "format": { "const": "gruve signed terms 1" },
            "contract": { "type": "string", "format": "uuid" },
            "terms": { "type": "string", "description": "The exact bytes." },
            "sha256": { "type": "string" },
            "operator_key": { "type": "string" },
            "signature": { "type": "string" },
        },
        "required": ["format", "contract", "terms", "sha256"],
    });
    Signed => "SignedCertificate", json!({
        "type": "object",
        "description": "Whose a machine is, signed by the operator: docs/hosting.md.",
        "properties": {
            "certificate": { "type": "string", "description": "The canonical bytes." },
            "signature": { "type": "string" },
            "operator_key": { "type": "string" },
        },
        "required": ["certificate", "signature", "operator_key"],
    });
    QuoteForecast => "Forecast", json!({
        "type": "object",
        "description": "What a contract may earn, drawn from figures given with it: docs/statements.md.",
        "properties": {
            "model": { "type": "string" },
            "given": { "type": "object", "description": "All it is drawn from, with `seed`." },
            "assets": { "type": "array", "items": { "type": "object", "properties": {
                "asset": { "type": "string" },
                "expected_minor": { "type": "integer" },
                "low_minor": { "type": "integer", "description": "One future in twenty lies below." },
                "high_minor": { "type": "integer", "description": "One future in twenty lies above." },
                "fee_minor": { "type": "integer", "description": "The operator's part in the mean, taken off already." },
                "upkeep_minor": { "type": "integer", "description": "Maintenance in the mean, taken off already." },
            }, "required": ["asset", "expected_minor", "low_minor", "high_minor"] } },
            "break_even_per_mille": { "type": ["integer", "null"] },
            "break_even_secs": { "type": ["integer", "null"] },
            "expects_loss": { "type": ["boolean", "null"] },
            "outcome": { "type": ["object", "null"], "description": "What is left when all that is paid is taken off, in the price's money.",
                "properties": {
                    "asset": { "type": "string" },
                    "expected_minor": { "type": "integer" },
                    "low_minor": { "type": "integer", "description": "One future in twenty ends below." },
                    "high_minor": { "type": "integer", "description": "One future in twenty ends above." },
                }, "required": ["asset", "expected_minor", "low_minor", "high_minor"] },
            "words": { "type": "array", "items": { "type": "string" } },
        },
        "required": ["model", "given", "assets", "words"],
    });
    PlanLife => "PlanLife", json!({
        "type": "object",
        "description": "What happens where mining does not pay, and how long is left to decide: docs/contracts.md.",
    });
    PlanConfig => "PlanSaid", json!({
        "type": "object",
        "description": "A plan as it stands in the configuration: docs/operators.md.",
        "properties": {
            "id": { "type": "string" },
            "lane": { "type": "string" },
            "title": { "type": "string" },
            "kind": { "enum": ["lease", "metered", "hosted"] },
            "hashrate_min": { "type": "string" },
            "hashrate_max": { "type": "string" },
            "hashrate_step": { "type": "string" },
            "terms_epochs": { "type": "array", "items": { "type": "integer", "minimum": 0 } },
            "pay_asset": { "type": ["string", "null"] },
            "price_minor": { "type": "integer", "minimum": 0 },
            "price_hashrate": { "type": "string" },
            "scheme": { "enum": ["pplns", "fpps", "solo"] },
            "low_balance_epochs": { "type": ["integer", "null"], "minimum": 0 },
            "fpps": { "type": ["object", "null"] },
            "fee_bps": { "type": "integer", "minimum": 0, "maximum": 10_000 },
            "maintenance_minor_per_th_day": { "type": "integer", "minimum": 0 },
            "maintenance_also": { "type": "array", "items": { "type": "object" } },
            "catch_up_bps": { "type": "integer", "minimum": 0 },
            "extension_epochs": { "type": ["integer", "null"], "minimum": 0 },
            "life": { "type": "object" },
            "hosted": { "type": ["object", "null"], "description": "The machine and its hosting, in a hosted plan." },
        },
        "required": ["id", "lane", "title", "price_minor"],
        "additionalProperties": false,
    });
    crate::passkeys::Made => "PasskeyMade", json!({
        "type": "object",
        "description": "A new passkey, bytes in base64url.",
        "properties": {
            "name": { "type": "string", "description": "What to call it." },
            "client": { "type": "string", "description": "`clientDataJSON`." },
            "authenticator": { "type": "string", "description": "`attestationObject` or the authenticator's data." },
            "transports": { "type": "string" },
            "csrf": { "type": "string", "description": "Forms' alone." },
        },
        "required": ["name", "client", "authenticator"],
        "additionalProperties": false,
    });
    crate::passkeys::Signed => "PasskeySigned", json!({
        "type": "object",
        "description": "A passkey's answer, bytes in base64url.",
        "properties": {
            "id": { "type": "string" },
            "client": { "type": "string" },
            "authenticator": { "type": "string" },
            "signature": { "type": "string" },
            "user": { "type": "string" },
            "csrf": { "type": "string", "description": "Forms' alone." },
        },
        "required": ["id", "client", "authenticator", "signature"],
        "additionalProperties": false,
    });
    gruve_farm::Report => "SiteReport", json!({
        "type": "object",
        "description": "What a site's machines said.",
        "properties": { "samples": { "type": "array", "maxItems": 256, "items": {
            "type": "object",
            "properties": {
                "seq": { "type": "integer", "minimum": 0, "description": "Ascending." },
                "at_us": { "type": "integer", "description": "Microseconds since 1970." },
                "serial": { "type": "string" },
                "said": { "type": ["object", "null"], "description": "`hashes_per_second`, `watts`, `temperature_c`, `fans_rpm`, `uptime_s`, each of them optional." },
                "fault": { "type": ["string", "null"] },
            },
            "required": ["seq", "at_us", "serial"],
        } } },
        "required": ["samples"],
    });
}

answers! {
    /// What was taken of a report.
    struct ReportTaken {
        /// All below it is taken.
        next: u64,
        /// Samples taken now.
        taken: u64,
        /// Samples refused now.
        refused: u64,
    }
}

/// A page of a statement: JSON, or comma separated values.
#[derive(Debug)]
pub(crate) struct StatementPage;

impl Paper for StatementPage {
    fn forms(_: &mut Shapes) -> BTreeMap<&'static str, Value> {
        let json = json!({
            "type": "object",
            "description": "A page of a statement, for `gruve statement check`: docs/statements.md.",
            "properties": { "next_epoch": { "type": ["integer", "null"], "description": "Where the next page begins." } },
        });
        [("application/json", json), ("text/csv", json!({ "type": "string" }))].into()
    }
}

/// A page of a hosting contract's statement.
#[derive(Debug)]
pub(crate) struct HostingStatementPage;

impl Paper for HostingStatementPage {
    fn forms(_: &mut Shapes) -> BTreeMap<&'static str, Value> {
        let json = json!({
            "type": "object",
            "description": "A page of bills, for `gruve statement check`: docs/hosting.md.",
            "properties": { "next_bill": { "type": ["integer", "null"], "description": "The first bill of the next page." } },
        });
        [("application/json", json)].into()
    }
}

/// One receipt, or a page of them.
#[derive(Debug)]
pub(crate) struct ReceiptPaper;

impl Paper for ReceiptPaper {
    fn forms(shapes: &mut Shapes) -> BTreeMap<&'static str, Value> {
        let one = json!({ "type": "object", "description": "A receipt: docs/record-format.md." });
        let page = super::receipts::ReceiptPage::shape(shapes);
        debug_assert!(!super::receipts::ReceiptPage::members(shapes).is_empty());
        [("application/json", json!({ "anyOf": [page, one] }))].into()
    }
}

/// The proof that a statement of funds counts what is owed to somebody.
#[derive(Debug)]
pub(crate) struct FundsProof;

impl Paper for FundsProof {
    fn forms(_: &mut Shapes) -> BTreeMap<&'static str, Value> {
        let json = json!({ "type": "object", "description": "The proof: docs/funds.md." });
        [("application/json", json)].into()
    }
}

/// The canonical bytes of a machine's terms.
#[derive(Debug)]
pub(crate) struct HostingTerms;

impl Paper for HostingTerms {
    fn forms(_: &mut Shapes) -> BTreeMap<&'static str, Value> {
        let json =
            json!({ "type": "object", "description": "The canonical bytes: docs/hosting.md." });
        [("application/json", json)].into()
    }
}

/// A receipt of the record, as it is.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct AsItIs(pub(crate) Value);

impl Shape for AsItIs {
    fn shape(_: &mut Shapes) -> Value {
        json!({ "type": "object" })
    }
}

/// A plan as it was said: the numbers that nobody said are left out.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct PlanSaid(pub(crate) PlanConfig);

impl Shape for PlanSaid {
    fn shape(shapes: &mut Shapes) -> Value {
        PlanConfig::shape(shapes)
    }
}
