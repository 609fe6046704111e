//! Papers with a form of their own. Statements, receipts, hosting's papers and appraisals are described in full, member by
//! member; of the others stands here what a program needs to keep them or to hand them on.

mod appraisal;
pub(crate) mod hosting;
pub(crate) mod receipt;
pub(crate) mod statement;

use crate::openapi::{Shape, Shapes, answers, papers, words_of};
use gruve_hosting::Signed;
use gruve_market::{PlanConfig, PlanLife, QuoteForecast, SignedTerms, Unprofitable};
use gruve_units::Bps;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

words_of! {
    Unprofitable: ["run", "pause"];
}

papers! {
    /// What happens where mining does not pay, and how long is left to decide: docs/contracts.md.
    PlanLife as "PlanLife" {
        /// What happens while it does not pay.
        unprofitable: Unprofitable,
        /// How far earnings must pass the costs before that is decided anew.
        hysteresis_bps: Bps,
        /// Epochs between the notice of a pause and its beginning.
        notice_epochs: u64,
        /// Maintenance for a TH·day in millionths of a dollar, beside what is charged in coins.
        maintenance_usd_micro_per_th_day: u64,
        /// What the energy of a TH·day is measured to cost, in millionths of a dollar.
        energy_usd_micro_per_th_day: u64,
        /// Epochs a customer may decide in about work that was missed by the operator's doing.
        choice_epochs: u64,
        /// Nothing of a running contract is settled while fewer minor units wait.
        minimum_payout_minor: u64 = unsaid,
    }
}

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

/// An offer to be appraised: read from its text, and described in [`appraisal`].
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct OfferSaid(pub(crate) Value);

/// A plan as it was said: the numbers that nobody said are left out.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct PlanSaid(pub(crate) PlanConfig);

impl Shape for PlanSaid {
    fn shape(shapes: &mut Shapes) -> Value {
        PlanConfig::shape(shapes)
    }
}
