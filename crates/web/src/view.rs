//! What pages and the API show where the rooms below have no shape of their own for it: figures
//! put together from several rooms, and states in words.

use crate::api::page::Pair;
use crate::money::local;
use gruve_chain::NetworkFigures;
use gruve_chain::params::Hardness;
use gruve_market::{BlockState, ContractState, LaneStats};
use gruve_treasury::{InvoiceState, PayoutState};
use gruve_units::{
    Algorithm, Amount, Asset, Bps, ContractId, EpochNumber, EpochRule, InvoiceId, Target, Timestamp,
};

/// A lane as the public sees it: its figures, and what is live.
#[derive(Clone, Debug)]
pub(crate) struct LaneView {
    pub(crate) stats: LaneStats,
    /// Coin and network in words.
    pub(crate) network: String,
    /// Machines connected now.
    pub(crate) machines: usize,
    /// Where own machines may connect.
    pub(crate) stratum: Option<String>,
    /// Difficulty, fees and hashprice of its chains that are known, its own first.
    pub(crate) figures: Vec<(Asset, NetworkFigures)>,
}

impl LaneView {
    /// How the lane's time is cut; the grace is of no interest here.
    pub(crate) fn rule(&self) -> EpochRule {
        rule_of(self.stats.epoch_us)
    }

    /// Whether closed epochs have proven anything that could be sold.
    pub(crate) fn is_proven(&self) -> bool {
        self.stats.last_closed.is_some() && self.stats.proven_capacity.0 > 0
    }

    /// What its work earns, the lane's own coin first.
    pub(crate) fn assets(&self) -> Vec<Asset> {
        let aux = self.stats.aux.iter().map(|a| a.asset);
        std::iter::once(self.stats.asset).chain(aux).collect()
    }

    /// Its merge-mined chains in numbers.
    pub(crate) fn aux_figures(&self) -> Vec<crate::api::public::AuxBody> {
        let one = |a: &gruve_market::AuxStats| crate::api::public::AuxBody {
            asset: a.asset,
            difficulty: a.network_bits.and_then(|bits| difficulty_of(Hardness::Bits(bits))),
            height: a.height,
            blocks_found: a.blocks_found,
            chain: self.network(a.asset).map(|n| crate::network::figures(a.asset, n)),
        };
        self.stats.aux.iter().map(one).collect()
    }

    /// What is known of a chain of it.
    pub(crate) fn network(&self, asset: Asset) -> Option<&NetworkFigures> {
        self.figures.iter().find(|(of, _)| *of == asset).map(|(_, figures)| figures)
    }

    /// Network difficulty as text; absent until a job has been made.
    pub(crate) fn difficulty(&self) -> Option<String> {
        if !matches!(self.stats.algorithm, Algorithm::Ethash | Algorithm::Etchash) {
            return difficulty_of(Hardness::Bits(self.stats.network_bits?));
        }
        // As the header has it, where its chain is followed; else by the target of the last job.
        let tip = self.network(self.stats.asset).map(|figures| figures.tip.hardness);
        let job = || Hardness::Bits(self.stats.network_bits?).work();
        tip.and_then(difficulty_of).or_else(|| Some(job()?.to_string()))
    }
}

/// An algorithm as its people write it.
pub(crate) const fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Sha256d => "SHA-256d",
        Algorithm::Scrypt => "scrypt",
        Algorithm::Ethash => "Ethash",
        Algorithm::Etchash => "Etchash",
    }
}

/// Networks of headers count from Bitcoin's difficulty 1, Litecoin's and Dogecoin's too (the scrypt
/// unit that pools use is for shares); account chains' headers hold the expected tries.
fn difficulty_of(hardness: Hardness) -> Option<String> {
    match hardness {
        Hardness::Bits(bits) => {
            let target = Target::from_compact(bits)?;
            Some(difficulty_text(target.difficulty(Algorithm::Sha256d)))
        }
        Hardness::Difficulty(tries) => Some(tries.to_string()),
    }
}

/// Difficulty in six significant figures without an exponent.
fn difficulty_text(d: f64) -> String {
    if d >= 1000.0 {
        format!("{d:.0}")
    } else if d >= 1.0 {
        format!("{d:.3}")
    } else if d > 0.0 {
        // `log10` of a positive number below one is negative: so many zeros, then four figures.
        let places = (1..=16).find(|p| d * 10f64.powi(*p) >= 1000.0).unwrap_or(16);
        format!("{d:.*}", usize::try_from(places).unwrap_or(16))
    } else {
        "0".to_owned()
    }
}

/// Epoch borders for showing times: the grace plays no part.
pub(crate) const fn rule_of(epoch_us: u64) -> EpochRule {
    EpochRule { length_us: if epoch_us == 0 { 1 } else { epoch_us }, grace_us: 0 }
}

/// `2.50 %`
pub(crate) fn basis_points(b: Bps) -> String {
    local(&format!("{}.{:02} %", b.get() / 100, b.get() % 100))
}

/// A state in words, and whether it is good news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StateView {
    /// Stable word for programs.
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) text: &'static str,
    tone: &'static str,
}

impl StateView {
    /// The state as a tag; its colour says nothing that the word does not.
    pub(crate) fn tag(self) -> maud::Markup {
        maud::html! { span class={ "tag " (self.tone) } { (crate::words::t(self.text)) } }
    }
}

const fn state(code: &'static str, text: &'static str, tone: &'static str) -> StateView {
    StateView { code, text, tone }
}

/// A contract's state.
pub(crate) fn contract_state(s: ContractState) -> StateView {
    let (text, tone) = match s {
        ContractState::AwaitingPayment => ("Awaiting payment", "warn"),
        ContractState::Starting => ("Starts at the next epoch", "good"),
        ContractState::Active => ("Running", "good"),
        ContractState::Completed => ("Completed", ""),
        ContractState::Refunded => ("Ended, rest refunded", "warn"),
        ContractState::Expired => ("Not paid in time", "bad"),
        ContractState::Cancelled => ("Cancelled", ""),
        ContractState::ChargedBack => ("Ended, payment taken back", "bad"),
    };
    state(s.name(), text, tone)
}

/// The same of one whose payment may be disputed.
pub(crate) fn contract_stands(s: ContractState, frozen: Option<EpochNumber>) -> StateView {
    match (s, frozen) {
        (ContractState::Starting | ContractState::Active, Some(_)) => {
            state(s.name(), "Frozen: payment disputed", "bad")
        }
        _ => contract_state(s),
    }
}

/// A block's state.
pub(crate) fn block_state(s: BlockState) -> StateView {
    match s {
        BlockState::Found => state("found", "Sent", ""),
        BlockState::Refused => state("refused", "Refused by the node", "bad"),
        BlockState::Maturing => state("maturing", "Maturing", "warn"),
        BlockState::Mature => state("mature", "Mature", "good"),
        BlockState::Orphaned => state("orphaned", "Orphaned", "bad"),
        BlockState::PaidOwner => state("paid-owner", "Paid its owner", "good"),
    }
}

/// An invoice's state.
pub(crate) fn invoice_state(s: InvoiceState) -> StateView {
    let (text, tone) = match s {
        InvoiceState::New => ("Waiting for your payment", "warn"),
        InvoiceState::Seen => ("Part seen in a block", "warn"),
        InvoiceState::Underpaid => ("Too little confirmed so far", "warn"),
        InvoiceState::Paid => ("In a block, being confirmed", "good"),
        InvoiceState::Confirmed => ("Paid and confirmed", "good"),
        InvoiceState::Expired => ("Expired", "bad"),
    };
    state(s.word(), text, tone)
}

/// In place of an invoice's state while what pays it is in no block.
pub(crate) const fn seen_unconfirmed() -> StateView {
    state("new", "Seen, unconfirmed", "warn")
}

/// A payout's state.
pub(crate) fn payout_state(s: PayoutState) -> StateView {
    let (text, tone) = match s {
        PayoutState::Requested => ("Waits for approval", "warn"),
        PayoutState::Approved => ("Approved", ""),
        PayoutState::Funded => ("Coins chosen", ""),
        PayoutState::Signed => ("Signed", ""),
        PayoutState::Broadcast => ("Sent to the network", ""),
        PayoutState::Confirmed => ("Confirmed in a block", "good"),
        PayoutState::Cancelled => ("Cancelled", ""),
        PayoutState::Refused => ("Refused", "bad"),
    };
    state(s.word(), text, tone)
}

/// What an account has of one asset.
#[derive(Clone, Debug)]
pub(crate) struct BalanceView {
    pub(crate) asset: Asset,
    pub(crate) available: Amount,
    pub(crate) held: Amount,
    /// Earned, its blocks not yet mature or not yet settled.
    pub(crate) maturing: Amount,
}

/// One line of an account's statement.
#[derive(Clone, Debug)]
pub(crate) struct StatementView {
    /// Where the line stands in the journal: the entry, and which of its lines.
    pub(crate) place: Pair<i64>,
    pub(crate) at: Timestamp,
    pub(crate) what: String,
    pub(crate) change: Amount,
    pub(crate) after: Amount,
}

/// What buying a quote led to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bought {
    pub(crate) contract: ContractId,
    pub(crate) invoice: InvoiceId,
}

/// A named amount of the books.
#[derive(Clone, Debug)]
pub(crate) struct BookLine {
    pub(crate) code: &'static str,
    pub(crate) label: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) amount: Amount,
}

/// The books of one asset.
#[derive(Clone, Debug)]
pub(crate) struct BooksView {
    pub(crate) asset: Asset,
    /// All that blocks brought.
    pub(crate) rewards: Amount,
    /// Where it is; adds up to `rewards`.
    pub(crate) parts: Vec<BookLine>,
    /// What the books say the wallet holds; adds up to `wallet_on_chain`.
    pub(crate) wallet: Vec<BookLine>,
    pub(crate) wallet_on_chain: Amount,
    /// On account chains: the wei beside it, below a minor unit.
    pub(crate) wei_below: Option<u32>,
    pub(crate) adds_up: bool,
    /// What does not, in words.
    pub(crate) differences: Vec<String>,
    /// The sum of every kind of account.
    pub(crate) accounts: Vec<BookLine>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difficulties_read_at_any_size() {
        assert_eq!(difficulty_text(1.1e14), "110000000000000");
        assert_eq!(difficulty_text(12.34567), "12.346");
        assert_eq!(difficulty_text(0.000_123_456), "0.0001235");
        assert_eq!(difficulty_text(0.0), "0");
    }

    #[test]
    fn an_account_chains_difficulty_is_its_headers() {
        let of = Hardness::Difficulty(3_141_592_653_589_793);
        assert_eq!(difficulty_of(of).unwrap(), "3141592653589793");
        assert_eq!(difficulty_of(Hardness::Bits(0x1d00_ffff)).unwrap(), "1.000");
    }

    #[test]
    fn fees_are_written_in_percent() {
        assert_eq!(Bps::new(250).map(basis_points).unwrap(), "2.50 %");
    }
}
