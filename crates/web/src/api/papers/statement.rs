//! Pages of contracts' statements, as the document describes them. What the figures mean and how each follows from
//! the others, docs/statements.md says.

use crate::openapi::{
    Digits, Hash32, Member, Members, Paper, Shape, Shapes, object, papers, words_of,
};
use gruve_statement::Statement;
use gruve_statement::document::{
    AccrualLine, AsideLine, Big, Chained, ChargedBack, Choice, ChoiceLine, CreditLine, Day,
    DayAsset, Decision, DecisionLine, DollarsLine, EndLine, EpochLine, FoundLine, FreezeLine,
    Holding, JudgementLine, Limited, Line, MeterLine, Metered, OwedLine, PauseLine, Position,
    PricedJob, PricedLine, ReversalLine, SettlementLine, TakeBackLine, Units, UsageLine, Used, Why,
};
use gruve_statement::terms::Money;
use gruve_units::{Asset, ContractId, Hashes};
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl Shape for Big {
    fn shape(shapes: &mut Shapes) -> Value {
        Digits::shape(shapes)
    }
}

words_of! {
    Metered: ["stopped", "resumed", "ended"];
    Choice: ["later", "earnings", "lapsed"];
    Why: ["missed", "paused"];
    Decision: ["run", "pause", "override"];
}

papers! {
    /// A page of a statement, for `gruve statement check`: docs/statements.md.
    Statement as "Statement" {
        /// `gruve statement 1`, or by the meter its own.
        format: String,
        /// The contract.
        contract: ContractId,
        /// Under which terms.
        terms_sha256: Hash32,
        /// When it was written, microseconds since 1970.
        made_at_us: i64,
        /// Its first epoch.
        start_epoch: Option<u64>,
        /// Before which epoch everything must have been delivered.
        hard_end_epoch: Option<u64>,
        /// The first epoch of this page.
        from_epoch: u64,
        /// The last.
        to_epoch: u64,
        /// Where the next page begins.
        next_epoch: Option<u64>,
        /// How the contract stood before the first line.
        opening: Position,
        /// What happened.
        lines: Vec<Chained>,
        /// How it stood after the last one.
        closing: Position,
        /// The same by day (UTC).
        days: Vec<Day>,
        /// By the meter, the same by hour.
        hours: Vec<Day> = unsaid,
        /// The operator's key, hexadecimal.
        operator_key: Option<Hash32>,
        /// Its signature.
        signature: Option<String>,
    }

    /// A line with its hash.
    Chained as "StatementChained" {
        /// What happened.
        line: Line,
        /// SHA-256 of the hash before and of the line.
        sha256: Hash32,
    }

    /// The running totals of a contract.
    Position as "StatementPosition" {
        /// Work delivered.
        delivered: Hashes,
        /// Upkeep owed and not yet taken, 2^-64 minor units.
        upkeep_due: Big,
        /// Of each asset it earns.
        assets: Vec<Holding>,
        /// Given back for work never delivered.
        refunded_minor: i64,
        /// Work that was paid for in coins instead of being delivered.
        compensated: Hashes = unsaid,
        /// Missed work that is not owed before it is known whose doing that was.
        undecided: Hashes = unsaid,
        /// Epochs that its clock stood still.
        paused_epochs: u64 = unsaid,
        /// Upkeep in dollars counted so far, 2^-64 millionths.
        dollars: Big = unsaid,
        /// By the meter: whole minor units charged.
        charged_minor: i64 = unsaid,
        /// By the meter: cost carried on, 2^-64 minor units.
        cost_carry: Big = unsaid,
    }

    /// The running totals of one asset.
    Holding as "StatementHolding" {
        /// Of which.
        asset: Asset,
        /// From all blocks on the chain, 2^-64 minor units.
        accrued: Big,
        /// Of them from blocks that were credited.
        matured: Big,
        /// Whole minor units settled.
        settled_minor: i64,
        /// Of them what the customer's balance got.
        net_minor: i64,
        /// Ten-thousandths of a minor unit of fee carried.
        fee_carry: u32,
        /// Settlements so far, those that take back included.
        settlements: u64,
        /// Paid besides, for work that was not delivered.
        owed_paid_minor: i64 = unsaid,
    }

    /// What a day's or an hour's lines come to.
    Day as "StatementDay" {
        /// Days since 1970-01-01; of an hour, hours.
        day: u64,
        /// The same as a date; of an hour, `2026-11-21 14h`.
        date: String,
        /// Epochs with work.
        epochs: u64,
        /// What should have been delivered.
        entitled: Hashes,
        /// What was.
        delivered: Hashes,
        /// Of each asset.
        assets: Vec<DayAsset>,
        /// By the meter: what it cost.
        used: Used = unsaid,
    }

    /// What the work of a day or hour cost by the meter.
    Used as "StatementUsed" {
        /// The least price of its epochs.
        price_least_minor: i64,
        /// The most.
        price_most_minor: i64,
        /// For this much for a day, hashes a second.
        price_hashrate: Digits,
        /// What was charged.
        charged_minor: i64,
    }

    /// What a day's lines come to in one asset.
    DayAsset as "StatementDayAsset" {
        /// Of which.
        asset: Asset,
        /// Accrued, 2^-64 minor units.
        accrued: Big,
        /// Reversed.
        reversed: Big,
        /// Settled, less what was taken back.
        gross_minor: i64,
        /// The operator's part of it.
        fee_minor: i64,
        /// Upkeep taken.
        maintenance_minor: i64,
        /// Upkeep waived.
        waived_minor: i64,
        /// What the balance got.
        net_minor: i64,
        /// Paid besides, for work that was not delivered.
        owed_paid_minor: i64 = unsaid,
    }

    /// Whole minor units of an asset.
    Money as "StatementMoney" {
        /// Of what.
        asset: Asset,
        /// How many.
        minor: i64,
    }

    /// Units of one asset in an epoch: 2^64 is one block's work.
    Units as "StatementUnits" {
        /// Of which.
        asset: Asset,
        /// Those of all work on the lane.
        all: Big,
        /// Those of the house's work.
        house: Big,
        /// This contract's.
        own: Big,
    }

    /// Work of an epoch.
    EpochLine as "StatementEpoch" {
        epoch: u64,
        began_us: i64,
        house_work: Hashes,
        entitled_all: Hashes,
        surplus: Hashes,
        entitled: Hashes,
        made_good: Hashes,
        delivered: Hashes,
        delivered_sum: Hashes,
        shortfall: Hashes,
        upkeep: Big,
        upkeep_due: Big,
        units: Vec<Units>,
    }

    /// The contract ended.
    EndLine as "StatementEnd" {
        epoch: u64,
        complete: bool,
        refund: Money,
        charged_back: ChargedBack = unsaid,
    }

    /// What of the price was kept for a payment taken back.
    ChargedBack as "StatementChargedBack" {
        lost_minor: i64,
        kept_minor: i64,
    }

    /// A block was shared out.
    AccrualLine as "StatementAccrual" {
        epoch: u64,
        asset: Asset,
        block: String,
        life: u64,
        height: u64,
        reward_minor: i64,
        before_epoch: u64,
        first_epoch: Option<u64>,
        first_units: Big,
        after_units: Big,
        own_first: Big,
        own_after: Big,
        accrual: Big,
    }

    /// A block is deep enough: its earnings wait for the next settlement.
    CreditLine as "StatementCredit" {
        epoch: u64,
        asset: Asset,
        block: String,
        life: u64,
        accrual: Big,
    }

    /// Earnings became balance.
    SettlementLine as "StatementSettlement" {
        epoch: u64,
        from_epoch: u64,
        at_us: i64,
        asset: Asset,
        number: u64,
        gross_minor: i64,
        fee_minor: i64,
        maintenance_minor: i64,
        waived_minor: i64,
        net_minor: i64,
        fee_carry: u32,
        carried: Big,
        limited: Limited = unsaid,
    }

    /// What FPPS could pay when not all was there.
    Limited as "StatementLimited" {
        /// Whole minor units due to everybody.
        due_minor: i64,
        /// What was there for them.
        there_minor: i64,
    }

    /// A block was taken off its chain.
    ReversalLine as "StatementReversal" {
        epoch: u64,
        at_us: i64,
        asset: Asset,
        block: String,
        life: u64,
        accrual: Big,
    }

    /// What a block had paid was taken back.
    TakeBackLine as "StatementTakeBack" {
        epoch: u64,
        asset: Asset,
        number: u64,
        block: String,
        life: u64,
        gross_minor: i64,
        fee_minor: i64,
        net_minor: i64,
    }

    /// FPPS paid an epoch's work.
    PricedLine as "StatementPriced" {
        epoch: u64,
        of_epoch: u64,
        asset: Asset,
        delivered: Hashes,
        house_work: Hashes,
        jobs: Vec<PricedJob>,
        earned: Big,
    }

    /// The house's work under jobs of one height and target, and a block's worth there.
    PricedJob as "StatementPricedJob" {
        height: u64,
        bits: u32,
        work: Hashes,
        subsidy_minor: i64,
        fee_average_minor: i64,
    }

    /// SOLO: a block fell to the contract, whole.
    FoundLine as "StatementFound" {
        epoch: u64,
        asset: Asset,
        block: String,
        life: u64,
        height: u64,
        reward_minor: i64,
        stamp_epoch: u64,
        house_work: Hashes,
        before: Hashes,
        own: Hashes,
        place: Hashes,
        accrual: Big,
    }

    /// Work of an epoch by the meter, and what it cost.
    UsageLine as "StatementUsage" {
        epoch: u64,
        began_us: i64,
        price_minor: i64,
        price_hashrate: Digits,
        held_minor: i64,
        cap: Hashes,
        house_work: Option<Hashes>,
        entitled_all: Hashes,
        entitled: Hashes,
        delivered: Hashes,
        delivered_sum: Hashes,
        cost: Big,
        charged_minor: i64,
        released_minor: i64,
        cost_carry: Big,
        upkeep: Big,
        upkeep_due: Big,
        units: Vec<Units>,
    }

    /// A contract by the meter stopped, went on or ended.
    MeterLine as "StatementMeter" {
        epoch: u64,
        at_us: i64,
        what: Metered,
        delivered_sum: Hashes,
        charged_minor: i64,
        cost_carry: Big,
    }

    /// Missed work was set aside.
    AsideLine as "StatementAside" {
        epoch: u64,
        hashes: Hashes,
    }

    /// It was judged whose doing missing work was.
    JudgementLine as "StatementJudgement" {
        epoch: u64,
        of_epoch: u64,
        missing: Hashes,
        caused: Hashes,
        aside: Hashes,
        part: Hashes,
    }

    /// Its owner chose, or did not.
    ChoiceLine as "StatementChoice" {
        epoch: u64,
        at_us: i64,
        of_epoch: u64,
        choice: Choice,
        hashes: Hashes,
    }

    /// Work that was not delivered was paid for.
    OwedLine as "StatementOwed" {
        epoch: u64,
        of_epoch: u64,
        why: Why,
        asset: Asset,
        hashes: Hashes,
        bits: u32,
        per_block: Big,
        price_micro: Option<i64>,
        energy_usd_micro_per_th_day: u64 = unsaid,
        due: Big,
        paid_minor: i64,
    }

    /// What was decided about a pause.
    DecisionLine as "StatementDecision" {
        epoch: u64,
        instant_us: i64,
        price_micro: i64,
        earns_micro: i64,
        costs_micro: i64,
        decision: Decision,
        effective_epoch: u64,
    }

    /// The clock stood still.
    PauseLine as "StatementPause" {
        epoch: u64,
        from_epoch: u64,
        epochs: u64,
    }

    /// The clock stood still because the payment was disputed.
    FreezeLine as "StatementFreeze" {
        epoch: u64,
        from_epoch: u64,
    }

    /// Upkeep in dollars became upkeep in coins.
    DollarsLine as "StatementDollars" {
        epoch: u64,
        instant_us: i64,
        total: Big,
        due: Big,
        price_micro: Option<i64>,
        coins: Big,
        upkeep_due: Big,
    }
}

/// A kind of line: the members of its type, and `is` with its word.
fn kind<T: Members>(word: &'static str, shapes: &mut Shapes) -> Value {
    let is = Member {
        name: "is",
        shape: json!({ "const": word }),
        must_be: true,
        text: "What happened.".to_owned(),
    };
    object([vec![is], T::members(shapes)].concat(), &[], true)
}

impl Shape for Line {
    fn shape(shapes: &mut Shapes) -> Value {
        shapes.named::<Line>("StatementLine", |shapes| {
            let any = [
                kind::<EpochLine>("epoch", shapes),
                kind::<EndLine>("end", shapes),
                kind::<AccrualLine>("accrual", shapes),
                kind::<CreditLine>("credit", shapes),
                kind::<SettlementLine>("settlement", shapes),
                kind::<ReversalLine>("reversal", shapes),
                kind::<TakeBackLine>("take-back", shapes),
                kind::<PricedLine>("priced", shapes),
                kind::<FoundLine>("found", shapes),
                kind::<UsageLine>("usage", shapes),
                kind::<MeterLine>("meter", shapes),
                kind::<AsideLine>("aside", shapes),
                kind::<JudgementLine>("judgement", shapes),
                kind::<ChoiceLine>("choice", shapes),
                kind::<OwedLine>("owed", shapes),
                kind::<DecisionLine>("decision", shapes),
                kind::<PauseLine>("pause", shapes),
                kind::<FreezeLine>("freeze", shapes),
                kind::<DollarsLine>("dollars", shapes),
            ];
            json!({ "description": "What happened: docs/statements.md.", "anyOf": any })
        })
    }
}

/// A page of a statement: JSON, or comma separated values.
#[derive(Debug)]
pub(crate) struct StatementPage;

impl Paper for StatementPage {
    fn forms(shapes: &mut Shapes) -> BTreeMap<&'static str, Value> {
        let json = Statement::shape(shapes);
        [("application/json", json), ("text/csv", json!({ "type": "string" }))].into()
    }
}
