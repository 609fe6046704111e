//! What can go wrong in the market, and whose it is.

use gruve_ledger::LedgerError;
use gruve_sharelog::LogError;
use gruve_store::StoreError;
use gruve_units::{Amount, Asset, Blame, Blamed, EpochNumber, Hashrate, LaneId};

/// An error of the market.
#[derive(Debug, thiserror::Error)]
pub enum MarketError {
    /// The configuration cannot be used; the text says where and why.
    #[error("{0}")]
    Config(String),
    /// No such lane.
    #[error("there is no lane {0}")]
    UnknownLane(LaneId),
    /// No such plan on offer.
    #[error("there is no such plan")]
    UnknownPlan,
    /// The plan does not offer this hashrate.
    #[error("this plan sells {min} to {max} in steps of {step}")]
    HashrateNotOffered {
        /// The least.
        min: Hashrate,
        /// The most.
        max: Hashrate,
        /// Multiples of this.
        step: Hashrate,
    },
    /// The plan does not offer this term.
    #[error("this plan is not sold for that term")]
    TermNotOffered,
    /// The price does not fit 63 bits of minor units.
    #[error("the price is too large to be written")]
    PriceTooLarge,
    /// No such quote of this account.
    #[error("there is no such quote")]
    UnknownQuote,
    /// The quote has run out.
    #[error("the quote has expired; ask for a new one")]
    QuoteExpired,
    /// The quote was already bought.
    #[error("the quote has been used")]
    QuoteUsed,
    /// Too many open quotes or unpaid contracts.
    #[error("too many {what} at once: at most {limit}; pay or let some expire first")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u32,
    },
    /// The proven capacity that is not sold does not suffice.
    #[error("only {available} is left for sale")]
    SoldOut {
        /// What is left.
        available: Hashrate,
    },
    /// Unpaid orders of accounts that never paid hold all that such orders may.
    #[error(
        "{available} is what a first order may hold now: unpaid ones together hold three quarters of what is for sale at most. Choose less, or try again in some minutes"
    )]
    HeldUnpaid {
        /// What a new customer can order now.
        available: Hashrate,
    },
    /// An idempotency key that stands for another request.
    #[error("this key was used for another request")]
    KeyReused,
    /// The balance does not cover what must be held.
    #[error(
        "{needed} must be in your balance for the first epoch, and {available} are; top it up first"
    )]
    BalanceTooLow {
        /// What is held for an epoch.
        needed: Amount,
        /// What is there.
        available: Amount,
    },
    /// This scheme is not to be had here.
    #[error("own machines earn by pplns or solo")]
    SchemeNotOffered,
    /// An FPPS plan, and the fees of its window are not known yet.
    #[error(
        "this plan cannot be sold yet: of the {wanted} blocks of {asset} that its fees are averaged over {known} are known"
    )]
    FppsFigures {
        /// The asset.
        asset: Asset,
        /// Blocks known.
        known: u64,
        /// Blocks of the window.
        wanted: u64,
    },
    /// An FPPS plan, and the operator's reserve is below its floor.
    #[error(
        "this plan is not sold now: the operator's reserve in {asset} is below what its promise needs; choose a PPLNS plan or come back later"
    )]
    FppsReserve {
        /// The asset.
        asset: Asset,
    },
    /// The FPPS reserve cannot be changed like this.
    #[error("the FPPS reserve was not changed: {0}")]
    FppsCapital(&'static str),
    /// What the quote was given on has changed: difficulty or price.
    #[error("{what} changed since the quote was given; ask for a new one")]
    QuoteVoid {
        /// What changed.
        what: &'static str,
    },
    /// The account's own unpaid orders hold all that they may.
    #[error(
        "your unpaid orders leave {available} for another one; pay or cancel one of them, or choose less"
    )]
    HeldByYou {
        /// What the account can order now.
        available: Hashrate,
    },
    /// Too late to take a contract back: its first epoch has begun.
    #[error(
        "the contract's first epoch has begun: from then on it is delivered, or refunded at its end"
    )]
    HasBegun,
    /// Too early to renew a contract: its end is not near.
    #[error(
        "the contract can be renewed when at most {epochs} epochs are left of its work or time"
    )]
    TooEarly {
        /// The most that may be left.
        epochs: u64,
    },
    /// Not possible in the contract's state.
    #[error("not possible: the contract is {state}")]
    WrongState {
        /// Its state.
        state: &'static str,
    },
    /// Nothing was missed by the operator's doing in that epoch, or it was decided.
    #[error("there is nothing to decide about that epoch")]
    NothingToDecide,
    /// The balance does not cover a price.
    #[error("the balance does not cover {price}")]
    PriceNotCovered {
        /// The price.
        price: Amount,
    },
    /// No such price source, or not a price.
    #[error("{0}")]
    BadPrice(&'static str),
    /// A plan that cannot be offered; the text says which and why.
    #[error("{0}")]
    BadPlan(String),
    /// An act of the operator that cannot be recorded.
    #[error("{0}")]
    BadAct(&'static str),
    /// Another sale changed the capacity in between; nothing happened, ask again.
    #[error("another sale was made at the same moment; try again")]
    CapacityMoved,
    /// No such contract (of this account).
    #[error("there is no such contract")]
    UnknownContract,
    /// A statement cannot be written; the text says why.
    #[error("there is no statement of this contract: {0}")]
    NoStatement(&'static str),
    /// A reward was reported again with other particulars.
    #[error("block {block} was reported before with other particulars")]
    RewardDiffers {
        /// The block's hash as displayed.
        block: String,
    },
    /// A reward's asset is not the lane's.
    #[error("lane {lane} does not earn {amount}")]
    WrongAsset {
        /// The lane.
        lane: LaneId,
        /// What was reported.
        amount: Amount,
    },
    /// Another accountant (or this one, in a transaction whose outcome it did not hear) closed an epoch
    /// of this lane. Nothing happened; reading goes on from what is stored.
    #[error("epoch {epoch} of lane {lane} was closed by somebody else")]
    NotTheAccountant {
        /// The lane.
        lane: LaneId,
        /// The epoch.
        epoch: EpochNumber,
    },
    /// A sum or product does not fit; amounts of this size do not exist.
    #[error("{0} does not fit")]
    Overflow(&'static str),
    /// The share log contradicts itself.
    #[error("the share log of {lane} cannot be accounted: {what}")]
    BadLog {
        /// The lane.
        lane: LaneId,
        /// What is wrong.
        what: String,
    },
    /// The books or tables contradict themselves.
    #[error("the books are wrong: {0}")]
    Broken(String),
    /// A public file could not be stored: its epoch stays open meanwhile.
    #[error("the public record cannot be written: {0}")]
    NotPublished(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The share log.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Blamed for MarketError {
    fn blame(&self) -> Blame {
        match self {
            MarketError::Config(_)
            | MarketError::UnknownLane(_)
            | MarketError::UnknownPlan
            | MarketError::HashrateNotOffered { .. }
            | MarketError::TermNotOffered
            | MarketError::PriceTooLarge
            | MarketError::UnknownQuote
            | MarketError::QuoteExpired
            | MarketError::QuoteUsed
            | MarketError::TooMany { .. }
            | MarketError::SoldOut { .. }
            | MarketError::HeldUnpaid { .. }
            | MarketError::SchemeNotOffered
            | MarketError::KeyReused
            | MarketError::BalanceTooLow { .. }
            | MarketError::FppsFigures { .. }
            | MarketError::FppsReserve { .. }
            | MarketError::FppsCapital(_)
            | MarketError::NoStatement(_)
            | MarketError::QuoteVoid { .. }
            | MarketError::HeldByYou { .. }
            | MarketError::HasBegun
            | MarketError::TooEarly { .. }
            | MarketError::WrongState { .. }
            | MarketError::NothingToDecide
            | MarketError::PriceNotCovered { .. }
            | MarketError::BadPrice(_)
            | MarketError::BadAct(_)
            | MarketError::BadPlan(_)
            | MarketError::UnknownContract => Blame::Rejected,
            MarketError::CapacityMoved
            | MarketError::NotPublished(_)
            | MarketError::NotTheAccountant { .. } => Blame::Transient,
            MarketError::RewardDiffers { .. }
            | MarketError::WrongAsset { .. }
            | MarketError::Overflow(_)
            | MarketError::BadLog { .. }
            | MarketError::Broken(_) => Blame::Fatal,
            // Nothing a caller says reaches the database unchecked: what it rejects is our mistake.
            MarketError::Store(e) => match e.blame() {
                Blame::Rejected => Blame::Fatal,
                other => other,
            },
            MarketError::Ledger(e) => e.blame(),
            MarketError::Log(e) => e.blame(),
        }
    }
}
