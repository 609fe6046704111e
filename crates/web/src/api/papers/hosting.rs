//! Papers of hosted machines, as the document describes them: terms and statements (docs/hosting.md).

use crate::openapi::{Digits, Hash32, Paper, Shape, Shapes, papers, words_of};
use gruve_statement::hosting::{
    Back, BillLine, BlockLine, BlockPart, EndedBy, HostingEnd, HostingPosition, HostingStatement,
    HostingTerms,
};
use gruve_units::{Asset, ContractId, LaneId};
use serde_json::Value;
use std::collections::BTreeMap;

words_of! {
    EndedBy: ["owner", "operator", "handed-on", "charged-back"];
}

papers! {
    /// A page of bills, for `gruve statement check`: docs/hosting.md.
    HostingStatement as "HostingStatement" {
        /// `gruve hosting statement 1`.
        format: String,
        /// The contract.
        contract: ContractId,
        /// Under which terms.
        terms_sha256: Hash32,
        /// Length of an epoch, microseconds.
        epoch_us: u64,
        /// The contract's first epoch.
        start_epoch: u64,
        /// The epoch that is no longer its own, once that is known.
        end_epoch: Option<u64>,
        /// That somebody ended it.
        ended: HostingEnd = unsaid,
        /// How it stood before the page.
        opening: HostingPosition,
        /// The bills, oldest first.
        bills: Vec<BillLine>,
        /// How it stands after them.
        closing: HostingPosition,
        /// On the last page: blocks that paid the owner themselves, the newest first.
        blocks: Vec<BlockLine> = unsaid,
        /// The first bill of the next page.
        next_bill: Option<i64>,
        /// The operator's key, hexadecimal.
        operator_key: Option<Hash32>,
        /// Its signature.
        signature: Option<String>,
    }

    /// That a hosting contract was ended, and what came back for it.
    HostingEnd as "HostingEnd" {
        /// By whom.
        by: EndedBy,
        /// When, microseconds since 1970.
        at_us: i64,
        /// The first epoch that is no longer its own.
        epoch: u64,
        /// Epochs that were left of its term; 0 without one.
        epochs_left: u64,
        /// What came back of the price of a lease.
        back_minor: i64,
    }

    /// How the bills of a hosting contract stand.
    HostingPosition as "HostingPosition" {
        /// Bills written.
        bills: i64,
        /// All epochs before this one are billed.
        billed_until: u64,
        /// Carried of energy, in minor units divided by 3.6·10¹².
        energy_carry: Digits,
        /// Carried of the fee, in minor units divided by 8.64·10¹⁰.
        fee_carry: Digits,
        /// Owed.
        arrears_minor: i64,
        /// Taken so far.
        paid_minor: i64,
        /// Given up so far.
        waived_minor: i64,
    }

    /// A block that the machine found and that paid its owner.
    BlockLine as "HostingBlockLine" {
        /// Its hash, as explorers write it.
        block: String,
        /// Its height.
        height: u64,
        /// The time in its header, microseconds since 1970.
        at_us: i64,
        /// The output of its coinbase.
        output: u32,
        /// To which address.
        address: String,
        /// What all its outputs pay.
        whole_minor: i64,
        /// The house's fee in hundredths of a percent; none was published where there is none.
        fee_bps: Option<u16>,
        /// No fee is taken below this.
        fee_least_minor: i64,
        /// What the house got.
        house_minor: i64,
        /// What the owner got, or this address of those that share it.
        amount_minor: i64,
        /// Which part that is, where several share.
        part: BlockPart = unsaid,
        /// It is no longer in the chain, and paid nobody.
        is_orphaned: bool,
    }

    /// Which of the addresses that share what the house leaves of a block.
    BlockPart as "HostingBlockPart" {
        /// 0 is the payout address, which gets what the others leave; the others follow in the order of their parts.
        number: u16,
        /// The parts of all but the payout address, hundredths of a percent, each rounded down.
        others_bps: Vec<u16>,
    }

    /// A bill, line by line.
    BillLine as "HostingBillLine" {
        /// Its number, from 1.
        number: i64,
        /// When it was written, microseconds since 1970.
        at_us: i64,
        /// The first epoch that it is of.
        from_epoch: u64,
        /// The epoch after its last.
        until_epoch: u64,
        /// The energy measured, microjoules.
        energy_uj: Digits,
        /// The length of its epochs, microseconds.
        span_us: u64,
        /// Of that, the time that the machine was up.
        up_us: u64,
        /// The energy.
        energy_minor: i64,
        /// The hosting fee.
        fee_minor: i64,
        /// Given back for time that the machine was not up.
        credit_minor: i64,
        /// Energy and fee less the credit.
        due_minor: i64,
        /// What was taken of this and of what was owed.
        paid_minor: i64,
        /// Not taken any more.
        waived_minor: i64,
        /// Owed after it.
        arrears_minor: i64,
    }

    /// What is agreed of a machine; the canonical bytes are this JSON without spaces: docs/hosting.md.
    HostingTerms as "HostingTerms" {
        /// `gruve-hosting-terms-3`, or one before it.
        format: String,
        /// The maker's number.
        serial: String,
        /// The maker's name for it.
        model: String,
        /// The lane it works for.
        lane: LaneId,
        /// What its maker promises, hashes a second.
        nameplate: Digits,
        /// What its maker says it draws.
        nameplate_watts: u32,
        /// `sold` or `leased`.
        kind: String,
        /// `pplns` or `solo`.
        scheme: String,
        /// `earnings` or `balance`: what bills are taken from.
        pay_from: String,
        /// What bills are in.
        asset: Asset,
        /// A kilowatt-hour.
        energy_minor_per_kwh: i64,
        /// How energy is counted and priced.
        energy_rule: String,
        /// A day of hosting.
        fee_minor_per_day: i64,
        /// How the fee is priced.
        fee_rule: String,
        /// The promised part of the time; zero promises nothing.
        service_level_bps: u16,
        /// What a machine that stands still costs the operator.
        service_level_rule: String,
        /// What the price is in.
        price_asset: Asset,
        /// What is paid at once.
        price_minor: i64,
        /// Length of an epoch of the lane, microseconds.
        epoch_us: u64 = unsaid,
        /// After so many epochs it ends by itself.
        term_epochs: u64 = unsaid,
        /// Earnings go to the payout address once so many minor units wait for it.
        minimum_payout_minor: i64 = unsaid,
        /// The plan that it was ordered by.
        plan: String = unsaid,
        /// Its version.
        plan_version: u32 = unsaid,
        /// It ends before this epoch.
        until_epoch: u64 = unsaid,
        /// How it is ended within its term.
        end_rule: String = unsaid,
        /// What the operator was paid for a lease's whole term.
        back: Back = unsaid,
        /// What of the earnings he keeps at most, hundredths of a percent.
        earnings_fee_bps: u16 = unsaid,
        /// How that is counted.
        earnings_rule: String = unsaid,
    }

    /// What the operator was paid for the use of a machine for a whole term.
    Back as "HostingBack" {
        /// In which asset.
        asset: Asset,
        /// How much.
        minor: i64,
        /// For how many epochs.
        epochs: u64,
    }
}

/// A page of a hosting contract's statement.
#[derive(Debug)]
pub(crate) struct HostingStatementPage;

impl Paper for HostingStatementPage {
    fn forms(shapes: &mut Shapes) -> BTreeMap<&'static str, Value> {
        [("application/json", HostingStatement::shape(shapes))].into()
    }
}

/// The canonical bytes of a machine's terms.
#[derive(Debug)]
pub(crate) struct HostingTermsPaper;

impl Paper for HostingTermsPaper {
    fn forms(shapes: &mut Shapes) -> BTreeMap<&'static str, Value> {
        [("application/json", HostingTerms::shape(shapes))].into()
    }
}
