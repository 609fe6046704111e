//! When the operator is told: rules, thresholds, and the pure decision between a reading and what stands.

/// What is looked at. A reading is a number that grows as things get worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Seconds since a lane had a share.
    LaneSilent,
    /// Seconds since a lane had a node that is ready.
    NodeBehind,
    /// Hashpower under contract beyond what may be sold, in basis points of what is sold.
    Oversold,
    /// Seconds that the oldest payout has waited for a person.
    PayoutWaits,
    /// Payments that nobody has placed.
    PayInWaits,
    /// What the hot wallet lacks of its minimum, in basis points of it; below zero it has more.
    WalletLow,
    /// Seconds since a coin had a price.
    PriceStale,
    /// Closed epochs that are not in the public record.
    RecordLate,
    /// What an FPPS reserve lacks of its floor, in basis points of it; below zero it has more.
    ReserveLow,
    /// Per cent of the disk in use.
    DiskLow,
    /// Seconds that one who reads a lane's share log is behind: the log is not trimmed before all have read it.
    LogUnread,
}

impl Rule {
    /// All of them.
    pub const ALL: [Rule; 11] = [
        Rule::LaneSilent,
        Rule::NodeBehind,
        Rule::Oversold,
        Rule::PayoutWaits,
        Rule::PayInWaits,
        Rule::WalletLow,
        Rule::PriceStale,
        Rule::RecordLate,
        Rule::ReserveLow,
        Rule::DiskLow,
        Rule::LogUnread,
    ];

    /// The stable word, as stored, sent and configured.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Rule::LaneSilent => "lane_silent",
            Rule::NodeBehind => "node_behind",
            Rule::Oversold => "oversold",
            Rule::PayoutWaits => "payout_waits",
            Rule::PayInWaits => "pay_in_waits",
            Rule::WalletLow => "wallet_low",
            Rule::PriceStale => "price_stale",
            Rule::RecordLate => "record_late",
            Rule::ReserveLow => "reserve_low",
            Rule::DiskLow => "disk_low",
            Rule::LogUnread => "log_unread",
        }
    }

    /// The rule of a word.
    #[must_use]
    pub fn named(word: &str) -> Option<Rule> {
        Rule::ALL.into_iter().find(|r| r.name() == word)
    }

    /// What it says, for people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Rule::LaneSilent => "No shares arrive",
            Rule::NodeBehind => "No node is ready",
            Rule::Oversold => "More is sold than is proven",
            Rule::PayoutWaits => "A payout waits for approval",
            Rule::PayInWaits => "A payment waits to be placed",
            Rule::WalletLow => "The hot wallet is low",
            Rule::PriceStale => "No fresh price",
            Rule::RecordLate => "Epochs are not published",
            Rule::ReserveLow => "The FPPS reserve is low",
            Rule::DiskLow => "The disk is nearly full",
            Rule::LogUnread => "A share log is not read on, and grows",
        }
    }

    /// The unit of its readings.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Rule::LaneSilent
            | Rule::NodeBehind
            | Rule::PayoutWaits
            | Rule::PriceStale
            | Rule::LogUnread => "s",
            Rule::Oversold | Rule::WalletLow | Rule::ReserveLow => "bps",
            Rule::PayInWaits => "payments",
            Rule::RecordLate => "epochs",
            Rule::DiskLow => "%",
        }
    }

    /// The part of the house that everybody sees ill while it lasts; none where it is the operator's own affair.
    pub(crate) fn part(self, subject: &str) -> Option<String> {
        match self {
            Rule::LaneSilent => Some(format!("lane {subject}")),
            Rule::NodeBehind => Some(format!("node {subject}")),
            Rule::RecordLate => Some("record".to_owned()),
            Rule::PayoutWaits | Rule::WalletLow => Some("payouts".to_owned()),
            Rule::PriceStale => Some("prices".to_owned()),
            Rule::Oversold
            | Rule::PayInWaits
            | Rule::ReserveLow
            | Rule::DiskLow
            | Rule::LogUnread => None,
        }
    }
}

/// From which reading on an alert is open, and down to which it closes again: apart, so that a reading that
/// trembles at the border tells once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// Opens at this reading or more.
    pub opens: i64,
    /// Closes at this reading or less.
    pub closes: i64,
}

/// What follows from a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing changes.
    Stays,
    /// It begins.
    Opens,
    /// It ends.
    Closes,
}

/// What follows from a reading for an alert that is open or not.
pub(crate) const fn turn(is_open: bool, reading: i64, at: Threshold) -> Turn {
    if !is_open && reading >= at.opens {
        Turn::Opens
    } else if is_open && reading <= at.closes && reading < at.opens {
        Turn::Closes
    } else {
        Turn::Stays
    }
}

/// The thresholds of all rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds(pub [(Rule, Threshold); 11]);

impl Default for Thresholds {
    fn default() -> Thresholds {
        let at = |opens, closes| Threshold { opens, closes };
        Thresholds([
            (Rule::LaneSilent, at(600, 60)),
            (Rule::NodeBehind, at(300, 0)),
            (Rule::Oversold, at(1, 0)),
            (Rule::PayoutWaits, at(3_600, 0)),
            (Rule::PayInWaits, at(1, 0)),
            (Rule::WalletLow, at(1, -1_000)),
            (Rule::PriceStale, at(7_200, 3_600)),
            (Rule::RecordLate, at(6, 2)),
            (Rule::ReserveLow, at(-1_000, -1_500)),
            (Rule::DiskLow, at(90, 85)),
            // Who signs and who counts are a minute behind where all is well; an hour's shares are a few megabytes.
            (Rule::LogUnread, at(3_600, 1_800)),
        ])
    }
}

impl Thresholds {
    /// Of one rule.
    #[must_use]
    pub fn of(&self, rule: Rule) -> Threshold {
        let found = self.0.iter().find(|(r, _)| *r == rule);
        found.map_or(Threshold { opens: i64::MAX, closes: i64::MIN }, |(_, t)| *t)
    }

    /// Sets one rule's.
    pub fn set(&mut self, rule: Rule, threshold: Threshold) {
        for (r, t) in &mut self.0 {
            if *r == rule {
                *t = threshold;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_that_trembles_at_the_border_opens_and_closes_once() {
        let at = Threshold { opens: 600, closes: 60 };
        let (mut is_open, mut turns) = (false, Vec::new());
        for reading in [0, 599, 600, 580, 601, 61, 599, 60, 70, 599, 600] {
            match turn(is_open, reading, at) {
                Turn::Stays => continue,
                Turn::Opens => is_open = true,
                Turn::Closes => is_open = false,
            }
            turns.push(reading);
        }
        assert_eq!(turns, [600, 60, 600]);
    }

    #[test]
    fn every_rule_has_a_threshold_that_closes_below_where_it_opens_and_a_word_of_its_own() {
        for rule in Rule::ALL {
            let t = Thresholds::default().of(rule);
            assert!(t.closes < t.opens && t.opens < i64::MAX, "{rule:?}");
            assert_eq!(Rule::named(rule.name()), Some(rule));
        }
    }
}
