//! Why the house does not start, and what can go wrong while it runs, with whose it is.

use super::files::FileError;
use gruve_accounts::AccountsError;
use gruve_chain::eth::BadReceipts;
use gruve_chain::{ChainError, NodeError};
use gruve_farm::FarmError;
use gruve_hosting::HostingError;
use gruve_ledger::LedgerError;
use gruve_market::MarketError;
use gruve_sharelog::LogError;
use gruve_store::StoreError;
use gruve_stratum::StratumError;
use gruve_stratum::tls::TlsError;
use gruve_stratum::v2::KeyError;
use gruve_treasury::{SeedError, TreasuryError};
use gruve_units::{Asset, Blame, Blamed, EpochNumber, LaneId};
use std::net::SocketAddr;
use std::path::PathBuf;

/// An error of a transaction that spans rooms.
#[derive(Debug, thiserror::Error)]
pub enum HouseError {
    /// The database's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The treasury's.
    #[error(transparent)]
    Treasury(#[from] TreasuryError),
    /// The market's.
    #[error(transparent)]
    Market(#[from] MarketError),
    /// The ledger's.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Hosted machines'.
    #[error(transparent)]
    Hosting(#[from] HostingError),
    /// Accounts'.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// A node's.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A node told of a block what cannot be.
    #[error(transparent)]
    Receipts(#[from] BadReceipts),
    /// More coins than there are.
    #[error("a block earned more than can be counted")]
    Nonsense,
}

impl Blamed for HouseError {
    fn blame(&self) -> Blame {
        match self {
            HouseError::Store(e) => e.blame(),
            HouseError::Treasury(e) => e.blame(),
            HouseError::Market(e) => e.blame(),
            HouseError::Ledger(e) => e.blame(),
            HouseError::Hosting(e) => e.blame(),
            HouseError::Accounts(e) => e.blame(),
            HouseError::Node(e) => e.blame(),
            // The node may be in the midst of a reorganisation; nothing was booked.
            HouseError::Receipts(_) => Blame::Transient,
            HouseError::Nonsense => Blame::Fatal,
        }
    }
}

/// Why the platform does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or the folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// A command that looks after a house was pointed at a folder without one.
    #[error(
        "{}: there is no house here, which `gruve serve` makes: is house.data right, and its disk mounted?",
        .0.display()
    )]
    NoHouse(PathBuf),
    /// The folder had a database once, and this one is empty.
    #[error(
        "{}: this folder has a house with books, and the database is empty: is database.url right, and its disk \
         mounted? Put its file or server back; what `gruve admin export` wrote is read by `gruve admin import`. \
         Another house wants a house.data of its own",
        .0.display()
    )]
    NoBooks(PathBuf),
    /// The database is in use, and the folder has no keys.
    #[error(
        "{}: the database has a house's books, and this folder has no wallet.seed with the keys to its coins: is \
         house.data right, and its disk mounted? Put the folder back from its backup. Another house wants a \
         database of its own",
        .0.display()
    )]
    NoSeed(PathBuf),
    /// The database has tables of a room that came with a later version.
    #[error(
        "the database has tables of {0}, which this program does not know: it was written by a newer version; run that \
         version, or restore a backup made before it"
    )]
    Newer(String),
    /// The database.
    #[error("the database: {0}{hint}", hint = restore_hint(.0))]
    Store(#[from] StoreError),
    /// The customers' room.
    #[error("accounts: {0}")]
    Accounts(#[from] AccountsError),
    /// The machines' room.
    #[error("the farm: {0}")]
    Farm(#[from] FarmError),
    /// Hosted machines.
    #[error("hosted machines: {0}")]
    Hosting(#[from] HostingError),
    /// Plans and lanes.
    #[error("lanes and plans: {0}")]
    Market(#[from] MarketError),
    /// The wallets.
    #[error("the treasury: {0}")]
    Treasury(#[from] TreasuryError),
    /// The wallets' secret.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// Where the wallets' passphrase comes from.
    #[error("the passphrase of the wallets' seed: {0}")]
    Passphrase(String),
    /// Real coins under a seed that anybody could use who has a copy of its file, were it made.
    #[error(
        "the wallets' seed of {0} on its main network would lie on the disk without a passphrase: set where one comes \
         from in [keys], or plain_on_mainnet = true there"
    )]
    PlainSeed(Asset),
    /// The same of one that is there, from before this was asked for.
    #[error(
        "the wallets' seed lies on the disk without a passphrase, and {0} is of its main network. Nothing was changed. Write \
         six random words into a file of mode 0600, name it in the configuration (passphrase_file in [keys]; a credential of the \
         service is safer), run `gruve admin keys encrypt` and start again. To go on as before: plain_on_mainnet = true in [keys]"
    )]
    PlainSeedThere(Asset),
    /// The cold address of a hot wallet.
    #[error("hot_wallet of {0}: sweep_to: {1}")]
    HotWallet(Asset, String),
    /// A signer elsewhere.
    #[error("signer of {0}: {1}")]
    Signer(Asset, String),
    /// A chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A node's address.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A share log.
    #[error("the share log of lane {0}: {1}")]
    Log(LaneId, LogError),
    /// The miners' room.
    #[error("lane {0}: {1}")]
    Stratum(LaneId, StratumError),
    /// The identity of encrypted connections.
    #[error("lane {0}: {1}")]
    Tls(LaneId, Box<TlsError>),
    /// The mail server.
    #[error("mail: {0}")]
    Mail(String),
    /// A port.
    #[error("cannot listen on {address} ({key}): {source}; set {key} to another address")]
    Port {
        /// The address.
        address: SocketAddr,
        /// The configuration's key.
        key: String,
        /// Why.
        source: std::io::Error,
    },
    /// Those who sign the log's heads.
    #[error("{0}")]
    Witnesses(String),
    /// A socket.
    #[error("a socket cannot be used: {0}")]
    Socket(std::io::Error),
    /// The key that signs for V2 connections.
    #[error("{}: {fault}", .path.display())]
    AuthorityKey {
        /// Where it is kept.
        path: PathBuf,
        /// What is wrong with it.
        fault: KeyError,
    },
    /// The public record.
    #[error("the public record: {0}")]
    Record(#[from] gruve_proof::publish::PublishError),
    /// Files that the public log names are not in its folder.
    #[error(
        "{}: the public record is not here: {} is missing, which the entry of epoch {epoch} of lane {lane} names. Is \
         record.folder right, and its disk mounted? Put the folder back from its backup or its mirror, data/ above all: \
         it stands nowhere else. What is lost for good is gone on without with lost_files = true in [record]",
        .folder.display(), .path.display()
    )]
    RecordGone {
        /// The public folder.
        folder: PathBuf,
        /// The first file that is missing.
        path: PathBuf,
        /// Whose it is.
        lane: LaneId,
        /// The epoch whose entry names it.
        epoch: EpochNumber,
    },
    /// The place that the public record is copied to.
    #[error("{0}")]
    Mirror(String),
    /// The public log was begun under another name.
    #[error(
        "house.origin or record.recovery_key is not what the public log began with: put back what was there before"
    )]
    RecordBegan,
    /// Another key is in force.
    #[error(
        "operator.key is not the key that the public log says is in force: put that one back, or run \
         gruve admin rotate-key (with --recovery when it is lost)"
    )]
    RecordKey,
    /// Statements of funds.
    #[error("statements of funds: {0}")]
    Funds(String),
    /// The machines' password is too short to be one.
    #[error("house.machine_password: write at least 16 characters")]
    MachinePassword,
}

/// What to do about a database whose file is damaged.
fn restore_hint(e: &StoreError) -> &'static str {
    let is_damage = |words: &str| {
        ["disk image is malformed", "not a database"].iter().any(|said| words.contains(said))
    };
    match e {
        StoreError::Broken { message, .. } if is_damage(message) => {
            "; its file is damaged: keep it, and put a copy of it back, or what `gruve admin export` wrote \
             (`gruve admin import`); then `gruve admin audit` says whether the books are whole"
        }
        _ => "",
    }
}
