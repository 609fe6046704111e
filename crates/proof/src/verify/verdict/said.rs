//! What is no lie and still to be known, and what was not proven: in words.

use super::{LaneVerdict, Verdict};
use gruve_units::Hashrate;

/// Epochs, and microseconds, that may be over without an entry before it is remarked on: an accountant may be late.
const SILENT_MIN: u64 = 2;
/// The latter: two hours.
const SILENT_US: u64 = 2 * 3_600 * 1_000_000;

/// A day, for which a farm has to work before its rate is taken for one.
const DAY_SECS: u64 = 86_400;
/// The chance of so few blocks below which it is remarked on: one honest lane in a thousand is.
const RARE: f64 = 0.001;

/// Of a lane.
pub(super) fn of_lane(v: &LaneVerdict, remarks: &mut Vec<String>, not_proven: &mut Vec<String>) {
    if v.silent_epochs > SILENT_MIN && v.silent_epochs.saturating_mul(v.epoch_us) > SILENT_US {
        remarks.push(format!(
            "lane {}: nothing was published of the {} epochs since its last entry; what is said here of its hashrate is of \
             the time before",
            v.lane, v.silent_epochs
        ));
    }
    if let Some(ratio) = v.sold_by_proven.filter(|r| *r > 1.0) {
        let share = format!(
            "lane {}: {:.0} % of the proven house hashrate is under contract",
            v.lane,
            ratio * 100.0
        );
        remarks.push(share);
    }
    if v.sold.max(v.sold_mean) > Hashrate::ZERO && v.house_hashrate == Hashrate::ZERO {
        remarks.push(format!(
            "lane {}: {} is under contract, and nothing of it is proven",
            v.lane,
            v.sold.max(v.sold_mean)
        ));
    }
    if v.sold.max(v.sold_mean) > Hashrate::ZERO && v.house_secs < DAY_SECS {
        remarks.push(format!(
            "lane {}: what is under contract is compared with {} minutes of work, which is all that there is: work rented for as long, or an \
             hour's work published as less, looks like a farm until there is a day of it",
            v.lane,
            v.house_secs.div_ceil(60)
        ));
    }
    if v.has_more_destinations {
        remarks.push(format!(
            "lane {}: blocks would have paid to more places than are listed",
            v.lane
        ));
    }
    if v.unproven_epochs > 0 {
        not_proven.push(format!(
            "lane {}: the work of {} epochs, whose jobs carry no stamp",
            v.lane, v.unproven_epochs
        ));
    }
    if v.dated_shares.is_none() && (v.expected_blocks > 0.0 || v.hides_blocks > 0) {
        not_proven.push(format!(
            "lane {}: that the targets in its jobs are its chain's, and with them blocks and luck: block headers (--headers) show it",
            v.lane
        ));
    }
    if v.is_of_headers && v.shares > 0 {
        not_proven.push(format!(
            "lane {}: that its headers stand on its chain: their heights, which say what a hash costs, and the blocks before them",
            v.lane
        ));
    }
    if v.hides_blocks > 0 {
        not_proven.push(format!(
            "lane {}: that {} of its shares hide no block: they are of classes harder than a block, and whoever publishes only \
             these can keep blocks to himself",
            v.lane, v.hides_blocks
        ));
    }
    if v.chance_of_so_few.is_some_and(|chance| chance < RARE) {
        remarks.push(format!(
            "lane {}: its work should have found {:.1} blocks and found {}: fewer than one honest farm in a thousand does; ask where the \
             others went",
            v.lane, v.expected_blocks, v.found_blocks
        ));
    }
    if v.blocks_on_chain.is_some_and(|there| there < v.found_blocks) {
        remarks.push(format!(
            "lane {}: {} blocks that its shares made are not on the chain: lost to others, or kept back",
            v.lane,
            v.found_blocks - v.blocks_on_chain.unwrap_or(0)
        ));
    }
    if v.hides_aux > 0 {
        not_proven.push(format!(
            "lane {}: for which other chains {} of its shares were merge-mined",
            v.lane, v.hides_aux
        ));
    }
    if v.unbound > 0 {
        not_proven.push(format!(
            "lane {}: that {} of its shares would have paid where the operator had said beforehand: for their jobs nothing was said",
            v.lane, v.unbound
        ));
    }
    if v.to_owners > 0 {
        remarks.push(format!(
            "lane {}: blocks of {} shares would have paid the machines' owners themselves, at places published before",
            v.lane, v.to_owners
        ));
    }
    if !v.aux.is_empty() {
        not_proven.push(format!(
            "lane {}: targets of merge-mined chains, and whom their blocks pay: look a found one up on its chain",
            v.lane
        ));
    }
    if v.sampled > 0 {
        remarks.push(format!(
            "lane {}: {} shares stand for others that are not opened, by thresholds that were fixed before the work; its work is an \
             estimate, off by {:.2} % on average",
            v.lane, v.sampled, v.error_percent
        ));
    }
    if v.loosely_dated > 0 {
        remarks.push(format!(
            "lane {}: {} shares hold an older checkpoint than they could, or one of long before them",
            v.lane, v.loosely_dated
        ));
    }
    if v.unbegun > 0 {
        not_proven.push(format!(
            "lane {}: when {} shares of the log's first epochs were begun: they hold no checkpoint",
            v.lane, v.unbegun
        ));
    }
}

impl Verdict {
    /// Of all lanes, the log and its funds.
    pub(super) fn say_of_the_whole(&mut self) {
        if !self.is_key_from_elsewhere {
            self.remarks.push("the operator's key was taken from the record itself: compare it with what you know from elsewhere, or pass it with --key".to_owned());
        }
        let undated = self.lanes.iter().filter(|l| l.shares > l.dated_shares.unwrap_or(0));
        let undated: Vec<String> = undated
            .map(|l| {
                let n = l.shares - l.dated_shares.unwrap_or(0);
                format!(
                    "lane {}: when {n} of its shares were made: after the checkpoints in their stamps and before you read them; the \
                     borders of epochs inside that are the operator's word unless block headers (--headers) date them",
                    l.lane
                )
            })
            .collect();
        self.not_proven.extend(undated);
        let always = [
            "that work was not done later than its epoch, on blocks of then: only who has seen the log grow (an earlier visit, --witness) knows",
            "that this is the only history, beyond what you saw before and what others hand you (--seen): ask somebody else for their checkpoint",
            "that every accepted share is in the record: beyond the acceptance roots that are still there, an omission is shown by who kept them",
            "whose the machines are, and that found blocks were not withheld (see luck)",
        ];
        self.not_proven.extend(always.map(str::to_owned));
        match &self.funds {
            None => self
                .not_proven
                .push("balances and reserves: the log has no statement of funds".to_owned()),
            Some(funds) => {
                self.remarks.extend(funds.short());
                self.remarks.extend(funds.told().iter().cloned());
                self.not_proven.extend(funds.not_proven());
            }
        }
    }
}
