//! Offers as they are held against what happened, and what comes of it (docs/appraise.md), as the document describes
//! them.

use crate::api::papers::OfferSaid;
use crate::openapi::{Shape, Shapes, papers, words_of};
use gruve_market::SignedTerms;
use gruve_market::appraise::{Date, Ended, Forecast, Model, Outcome, Summary};
use serde_json::{Value, json};

words_of! {
    Ended: ["term", "unprofitable", "runs"];
}

impl Shape for Date {
    fn shape(_: &mut Shapes) -> Value {
        json!({ "type": "string", "format": "date" })
    }
}

/// Two of them, the first before the second.
impl Shape for (Date, Date) {
    fn shape(shapes: &mut Shapes) -> Value {
        <[Date; 2]>::shape(shapes)
    }
}

papers! {
    /// What a buyer of one day got. Money in millionths of a dollar, coins in minor units.
    Outcome as "AppraisalPurchase" {
        /// The day of payment.
        bought: Date,
        /// The last day that is in the figures.
        until: Date,
        /// How it ended.
        ended: Ended,
        /// Days on which it mined.
        days_mined: u32,
        /// Days whose earnings did not cover the fee.
        days_unprofitable: u32,
        /// What was paid at the beginning.
        paid_usd: i128,
        /// What was paid along the way with money of the buyer's own.
        along_usd: i128,
        /// What the hashes earned, before any fee.
        mined: u128,
        /// What was left after all fees and could be withdrawn.
        received: u128,
        /// What was left, sold on the day it was earned, less what the buyer had to add.
        sold_daily_usd: i128,
        /// What was received, sold on the last day, less what the buyer had to add.
        held_usd: i128,
        /// The coins that the same money would have bought on the days of payment.
        instead: u128,
        /// The first day on which what was sold daily covered what was paid.
        break_even: Option<Date>,
    }

    /// Many purchases of one offer, taken together.
    Summary as "AppraisalSummary" {
        /// Purchases counted.
        counted: usize,
        /// Purchases that still ran when the history ended.
        running: usize,
        /// Of those counted, whose buyers got back what they paid or more.
        money_back: usize,
        /// Who received more coins than the money would have bought at once.
        better_than_coins: usize,
        /// Ended by the rule for unprofitable days.
        ended_unprofitable: usize,
        /// Thousandths of the price that came back: the worst, a tenth, the median, nine tenths, the best.
        returned_per_mille: Option<[i64; 5]>,
        /// The day of purchase that did worst, and best.
        worst_and_best: Option<(Date, Date)>,
        /// Days to break-even of those that reached it: the median.
        break_even_days: Option<i32>,
    }

    /// What may come of a purchase on the history's last day, drawn from the past.
    Forecast as "AppraisalForecast" {
        /// How futures were drawn.
        model: Model,
        /// How many times as wide as in the past difficulty moves in them, in thousandths; null where the history is too short
        /// to learn it.
        widened_per_mille: Option<u32>,
        /// The day of purchase.
        bought: Date,
        /// What is paid, millionths of a dollar.
        paid_usd: i128,
        /// What is paid along the way with money of the buyer's own, in the mean.
        mean_along_usd: i128,
        /// Coins received, minor units: of twenty futures the worst, a quarter, the half, three quarters, of twenty the best.
        received: [u128; 5],
        /// What came back when sold daily.
        returned_usd: [i128; 5],
        /// The mean of what came back.
        mean_returned_usd: i128,
        /// Futures in which the buyer got back what was paid, in thousandths.
        money_back_per_mille: u32,
        /// Days to break-even in the middle one of those that reach it.
        break_even_days: Option<i32>,
    }

    /// How futures are drawn.
    Model as "AppraisalModel" {
        /// How many.
        scenarios: u32,
        /// Days in a row that a stretch takes from the past.
        stretch_days: u32,
        /// How far back stretches are taken from.
        past_days: u32,
        /// Where the random numbers begin.
        seed: u64,
        /// How long an offer without a term is followed.
        open_ended_days: u32,
    }
}

/// An offer is read by the market from its text; here stands what it reads.
impl Shape for OfferSaid {
    fn shape(shapes: &mut Shapes) -> Value {
        shapes.named::<OfferSaid>("Offer", |shapes| {
            let text = |about: &str| json!({ "type": ["string", "null"], "description": about });
            let written = json!({
                "type": "object",
                "description": "An offer as people write it; decimals are text.",
                "properties": {
                    "format": { "const": "gruve offer 1" },
                    "name": { "type": "string" },
                    "coin": { "type": "string", "description": "`BTC` or `LTC`." },
                    "hashrate": { "type": "string", "description": "As `10 TH/s`." },
                    "price_usd": text("What is paid at the beginning; this or `price_coin`."),
                    "price_coin": text("The same in whole coins of what it mines."),
                    "fee_usd_per_th_day": text("Maintenance and electricity together."),
                    "energy": { "type": ["object", "null"], "properties": {
                        "joules_per_th": { "type": "string" },
                        "usd_per_kwh": { "type": "string" },
                    }, "required": ["joules_per_th", "usd_per_kwh"], "additionalProperties": false },
                    "service_percent": text("Of the earnings, before other fees."),
                    "uptime_percent": text("Part of the time that it mines; 100 if left out."),
                    "term_days": { "type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX },
                    "starts_after_days": { "type": "integer", "minimum": 0, "maximum": u32::MAX },
                    "unprofitable": { "type": "object", "properties": {
                        "rule": { "enum": ["run", "pause", "end", "debt", "stop"] },
                        "after_days": { "type": "integer", "minimum": 0, "maximum": u32::MAX },
                    }, "required": ["rule"], "additionalProperties": false },
                    "operator_share_after_break_even_percent": text("Of each day's net earnings from then on."),
                    "minimum_payout": text("In whole coins."),
                    "source": { "description": "Where the terms were found; for readers." },
                },
                "required": ["format", "name", "coin", "hashrate", "unprofitable"],
                "additionalProperties": false,
            });
            let terms = json!({
                "type": "object",
                "description": "The terms of a lease, a metered contract or a machine, bare: docs/statements.md.",
                "properties": { "format": { "enum": ["gruve lease terms 2", "gruve lease terms 1",
                    "gruve metered terms 2", "gruve-hosting-terms-3", "gruve-hosting-terms-2", "gruve-hosting-terms-1"] } },
                "required": ["format"],
                "additionalProperties": true,
            });
            json!({
                "description": "An offer, or the terms of a contract of this house: docs/appraise.md.",
                "anyOf": [written, SignedTerms::shape(shapes), terms],
            })
        })
    }
}
