//! A verdict as people read it.

use super::{LaneVerdict, Verdict, utc};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "log {}: {} entries, signed, one history", self.origin, self.entries)?;
        writeln!(f, "first key {}", self.key)?;
        for lane in &self.lanes {
            write!(f, "{lane}")?;
        }
        for seen in &self.witnessed {
            match seen.time {
                0 => writeln!(f, "witnessed by {}, which says no time", seen.witness)?,
                time => writeln!(f, "witnessed by {} on {}", seen.witness, utc(time))?,
            }
        }
        if let Some(funds) = &self.funds {
            write!(f, "{funds}")?;
        }
        // Sums that are exact for programs stand in coins for people.
        let in_coins: BTreeMap<_, _> = self.funds.iter().flat_map(|f| f.in_coins()).collect();
        let said = |text| in_coins.get(text).unwrap_or(text);
        for remark in &self.remarks {
            writeln!(f, "remark: {}", said(remark))?;
        }
        for what in &self.not_proven {
            writeln!(f, "not proven: {}", said(what))?;
        }
        let shares = self.shares;
        write!(
            f,
            "YES: {shares} shares hashed again; every one is this operator's, of its epoch, counted once and to its owner"
        )
    }
}

impl fmt::Display for LaneVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = self.epochs;
        writeln!(
            f,
            "lane {} ({}), epochs {from} to {to} ({} missing)",
            self.lane, self.algorithm, self.missing_epochs
        )?;
        let start = |epoch: u64| utc(epoch.saturating_mul(self.epoch_us) / 1_000_000);
        writeln!(
            f,
            "  time      {} to {}, in epochs of {:?}",
            start(from.0),
            start(to.next().0),
            Duration::from_micros(self.epoch_us)
        )?;
        writeln!(
            f,
            "  proven    {} \u{b1} {:.2} %, from {} shares",
            self.hashrate, self.error_percent, self.shares
        )?;
        if let Some(least) = self.hashrate_at_least {
            writeln!(
                f,
                "  at least  {least}, if it was begun when its epochs say and done until a witness saw it or you read it"
            )?;
        }
        writeln!(
            f,
            "  work      {} hashes of the house, {} of owners",
            self.house_work, self.other_work
        )?;
        let ratio =
            self.sold_by_proven.map_or_else(|| "-".to_owned(), |r| format!("{:.1} %", r * 100.0));
        writeln!(
            f,
            "  sold      {} under contract, {} on average of a day; {ratio} of the house's proven {}",
            self.sold, self.sold_mean, self.house_hashrate
        )?;
        writeln!(
            f,
            "  allocated {} hashes to contracts; {} hashes still owed",
            self.allocated, self.owed
        )?;
        let luck = self.luck.map_or_else(|| "-".to_owned(), |l| format!("{:.0} %", l * 100.0));
        write!(
            f,
            "  blocks    {} found, {:.2} expected, luck {luck}",
            self.found_blocks, self.expected_blocks
        )?;
        match self.chance_of_so_few {
            Some(chance) => writeln!(f, " (as few in {:.1} % of honest farms)", chance * 100.0)?,
            None => writeln!(f)?,
        }
        for aux in &self.aux {
            writeln!(
                f,
                "  merged    {} (chain {}): {} blocks found, {:.2} expected",
                aux.coin, aux.chain_id, aux.found_blocks, aux.expected_blocks
            )?;
        }
        let dated = (self.dated_shares, self.dated_hashrate, self.blocks_on_chain);
        if let (Some(dated), Some(rate), Some(there)) = dated {
            writeln!(
                f,
                "  chain     {dated} of {} shares (at least {rate}) dated to a block interval, a quarter of an hour around it (two hours where the headers end); {there} of the found blocks are on it",
                self.shares
            )?;
        }
        Ok(())
    }
}
