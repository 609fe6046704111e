//! What can go wrong in this room, and whose it is.

use crate::{KeyError, Method, PayoutState, REQUEST_KEY_BYTES_MAX, SeedError, TransactionError};
use gruve_chain::eth::{EthAddress, EthAddressError};
use gruve_chain::{AddressError, NodeError};
use gruve_ledger::LedgerError;
use gruve_store::StoreError;
use gruve_units::{Amount, AmountError, Asset, Blame, Blamed};

/// Why the treasury did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum TreasuryError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The books; [`LedgerError::InsufficientFunds`] is the customer's to mend.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The wallet's keys.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The wallet's secret.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// A transaction of ours.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// Amounts that cannot be combined.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// The house has no wallet for the asset.
    #[error("{0} cannot be paid here; it has no wallet")]
    NoWallet(Asset),
    /// The address cannot be paid.
    #[error("the address cannot be paid in {asset}: {why}")]
    Address {
        /// The asset asked for.
        asset: Asset,
        /// What is wrong with it.
        why: AddressError,
    },
    /// The address cannot be paid on an account chain.
    #[error("the address cannot be paid in {asset}: {why}")]
    Account {
        /// The asset asked for.
        asset: Asset,
        /// What is wrong with it.
        why: EthAddressError,
    },
    /// The address is one that the house gives to nobody to be paid at.
    #[error("the address is the house's own: nothing that is paid there would be anybody's")]
    OwnAddress,
    /// The wallet's keys are not those that its addresses in the database were made with.
    #[error(
        "the keys of {0} are not those that the database's addresses were made with: bring back the seed, or the \
         account key of the signer, that belongs to this database"
    )]
    OtherKeys(Asset),
    /// No such transaction is under way.
    #[error("no such transaction is ordered or signed and without a block")]
    NoOrder,
    /// A transaction that cannot be withdrawn.
    #[error("it cannot be withdrawn: {0}")]
    NotWithdrawn(&'static str),
    /// An order for a signer elsewhere.
    #[error(transparent)]
    Order(#[from] crate::OrderError),
    /// The node is of another chain than the wallet.
    #[error(
        "the node of {asset} is of chain {found}, the wallet of chain {expected}: correct the node's \
         address or the chain id; nothing is signed meanwhile"
    )]
    OtherChain {
        /// Whose wallet.
        asset: Asset,
        /// The wallet's chain id.
        expected: u64,
        /// The node's.
        found: u64,
    },
    /// The chain has transactions of our address that our tables do not know.
    #[error(
        "the chain counts {on_chain} transactions from {address}, our tables {ours}: an older backup, \
         or another program with the same keys; nothing is signed until the follower has seen them"
    )]
    Nonces {
        /// The address.
        address: EthAddress,
        /// What the node says.
        on_chain: u64,
        /// What we have reserved.
        ours: u64,
    },
    /// An amount that must be above zero is not.
    #[error("the amount must be above zero")]
    NotPositive,
    /// After the network fee too little would be left to be sent.
    #[error(
        "{amount} is too little to send: the network fee may be {fee_max}, and what arrives must be at least {dust}; ask for {least} or more"
    )]
    TooSmall {
        /// What was asked.
        amount: Amount,
        /// Most the network fee may be.
        fee_max: Amount,
        /// Smallest output the network relays.
        dust: Amount,
        /// Smallest amount that could be asked now.
        least: Amount,
    },
    /// Too many of a customer's things are open at once.
    #[error("{limit} {what} are open already; wait until some are closed")]
    TooMany {
        /// Which.
        what: &'static str,
        /// How many may be open.
        limit: u32,
    },
    /// An invoice has had as many places to pay at a service as it may have.
    #[error(
        "paying this invoice was begun {limit} times this way; pay it another way, or ask for a new invoice"
    )]
    BegunOften {
        /// How many places it may have.
        limit: u32,
    },
    /// The same request key came with another request.
    #[error("this request key was used before for another payout")]
    KeyReused,
    /// A request key of more bytes than are kept.
    #[error("a request key has at most {most} bytes, this one has {bytes}", most = REQUEST_KEY_BYTES_MAX)]
    KeyTooLong {
        /// How many it has.
        bytes: usize,
    },
    /// No such invoice of this account.
    #[error("there is no such invoice")]
    NoInvoice,
    /// The invoice takes no more.
    #[error("the invoice is closed, or fills the balance itself")]
    Closed,
    /// What came is of another asset than what was asked for.
    #[error("the invoice is in {wanted}, the payment in {came}")]
    OtherAsset {
        /// What the invoice asks for.
        wanted: Asset,
        /// What came.
        came: Asset,
    },
    /// No such payment waits for a person.
    #[error("no such payment waits for a decision")]
    NoPayment,
    /// A file that is no bank statement of ours.
    #[error("the statement cannot be taken: {0}")]
    Statement(String),
    /// Another service did not do as asked.
    #[error("paying by {method} is not possible now: {why}")]
    Service {
        /// Which.
        method: Method,
        /// What it said, without secrets.
        why: String,
        /// Whether it decided so: asking again gives the same.
        is_refused: bool,
    },
    /// A payment of the account is disputed.
    #[error("a card payment of this account is disputed; nothing leaves it until that is settled")]
    Disputed,
    /// A coin was taken for it at a rate, or is about to be.
    #[error(
        "a coin has been paid for it at a fixed rate: from then on it cannot be taken back, or the rate \
         would be a price to choose from afterwards"
    )]
    Converted,
    /// More than may leave an account without somebody looking at it, where nobody can.
    #[error("this is more than may go to another customer without a look at it ({0}): write to us")]
    NeedsALook(&'static str),
    /// The configuration of a pay-in method.
    #[error("{0}")]
    Method(String),
    /// No such payout of this account.
    #[error("there is no such payout")]
    NoPayout,
    /// No such transaction waits for an explanation.
    #[error("no such transaction of this asset stands unexplained in the chain")]
    NoStranger,
    /// A transaction that is not explained by what waits.
    #[error(
        "it pays more, or others, than the payouts that wait and the sweep address; or a transaction that \
         is signed stands against it, which ends by itself once it is deep in the chain"
    )]
    Unexplained,
    /// The payout is past the state where this can be done.
    #[error("the payout is {state} and can no longer be {wanted}")]
    TooLate {
        /// Where it is.
        state: PayoutState,
        /// What was asked.
        wanted: &'static str,
    },
    /// A block that does not follow the newest one, or a disconnection of another one.
    #[error("{asset} block {height} does not follow the newest block known")]
    NotNext {
        /// Whose chain.
        asset: Asset,
        /// The height given.
        height: u64,
    },
    /// The market could not take a payment and this must be looked at, or tried again.
    #[error("taking an invoice's payment: {0}")]
    Sink(SinkError),
    /// A test broke off here; see [`crate::CrashPoints`].
    #[error("broken off at {0}")]
    BrokenOff(&'static str),
    /// The tables hold what cannot be.
    #[error("the treasury's tables are damaged: {0}")]
    Damaged(&'static str),
}

impl Blamed for TreasuryError {
    fn blame(&self) -> Blame {
        match self {
            TreasuryError::Store(e) => e.blame(),
            TreasuryError::Ledger(e) => e.blame(),
            TreasuryError::Node(e) => e.blame(),
            TreasuryError::Seed(e) => e.blame(),
            TreasuryError::Sink(e) => e.blame,
            TreasuryError::Service { .. }
            | TreasuryError::BrokenOff(_)
            | TreasuryError::Nonces { .. } => Blame::Transient,
            TreasuryError::NoWallet(_)
            | TreasuryError::Address { .. }
            | TreasuryError::Account { .. }
            | TreasuryError::OwnAddress
            | TreasuryError::NoOrder
            | TreasuryError::NotWithdrawn(_)
            | TreasuryError::NotPositive
            | TreasuryError::TooSmall { .. }
            | TreasuryError::TooMany { .. }
            | TreasuryError::BegunOften { .. }
            | TreasuryError::KeyReused
            | TreasuryError::KeyTooLong { .. }
            | TreasuryError::NoPayout
            | TreasuryError::NoInvoice
            | TreasuryError::Closed
            | TreasuryError::OtherAsset { .. }
            | TreasuryError::NoPayment
            | TreasuryError::NoStranger
            | TreasuryError::Unexplained
            | TreasuryError::Statement(_)
            | TreasuryError::Method(_)
            | TreasuryError::Disputed
            | TreasuryError::Converted
            | TreasuryError::NeedsALook(_)
            | TreasuryError::TooLate { .. } => Blame::Rejected,
            TreasuryError::Key(_)
            | TreasuryError::Transaction(_)
            | TreasuryError::Amount(_)
            | TreasuryError::NotNext { .. }
            | TreasuryError::OtherKeys(_)
            | TreasuryError::Order(_)
            | TreasuryError::OtherChain { .. }
            | TreasuryError::Damaged(_) => Blame::Fatal,
        }
    }
}

/// What a room above answers when it cannot take a payment.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    /// Rejected: the money goes to the customer's balance. Otherwise the block is tried again.
    pub blame: Blame,
    /// What went wrong.
    pub message: String,
}

impl SinkError {
    /// Carries another room's error.
    #[must_use]
    pub fn of(error: &dyn Blamed) -> SinkError {
        SinkError { blame: error.blame(), message: error.to_string() }
    }
}
