//! The command line.

use crate::appraise::AppraiseArgs;
use crate::config::Span;
use crate::hosted::{HostingCommand, MachineCommand, SiteCommand, TicketCommand};
use crate::inspect::InspectArgs;
use crate::site::CertificateArgs;
use crate::staff::StaffCommand;
use crate::statement::CheckArgs;
use clap::{Parser, Subcommand};
use gruve_units::{Algorithm, Asset, Hashrate, LaneId};
use std::path::PathBuf;

/// A cloud-mining platform whose customers need not trust its operator.
#[derive(Debug, Parser)]
#[command(name = "gruve", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// How much to log: error, warn, info, debug or trace.
    #[arg(long, global = true, default_value = "info", value_name = "LEVEL")]
    pub log: tracing::Level,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows the whole platform on this machine: chains, farm, a customer who buys, earns, withdraws.
    Demo(DemoArgs),
    /// Runs the platform.
    Serve(ConfigArg),
    /// Mines with this machine's processor.
    Miner(MinerArgs),
    /// Writes or checks a configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Reads a share, block, header or Ethash entry and prints all that follows from it.
    Inspect(InspectArgs),
    /// Holds an offer of hashpower, this house's or any other's, against a coin's real past.
    Appraise(AppraiseArgs),
    /// Recomputes a contract's statement from its signed terms, without the house.
    #[command(subcommand)]
    Statement(StatementCommand),
    /// Verifies an operator's public record, from its files alone.
    Verify(VerifyArgs),
    /// Measures servers: this house's, or any by its address.
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Runs at a site: asks its machines how they are, and tells the house.
    Agent {
        /// The agent's configuration file.
        #[arg(long, default_value = "agent.toml")]
        config: PathBuf,
    },
    /// Says whether a certificate of a machine's ownership is an operator's.
    Certificate(CertificateArgs),
    /// Keeps a wallet's keys away from the house: makes them, shows what an order would do, signs it.
    #[command(subcommand)]
    Signer(crate::signer::SignerCommand),
    /// Looks after a data folder.
    Admin(AdminArgs),
}

/// `gruve statement …`
#[derive(Debug, Subcommand)]
pub enum StatementCommand {
    /// Says that every line follows from the terms, or names the first that does not and fails.
    Check(CheckArgs),
}

/// `gruve verify`
#[derive(Clone, Debug, clap::Args)]
pub struct VerifyArgs {
    /// The record: a folder, or https://host/record.
    pub record: String,
    /// A key of the operator's as you know it from elsewhere, the first or a later one, as name+hash+base64.
    #[arg(long)]
    pub key: Option<String>,
    /// Receipts to check against the record: a series, receipts as text one after the other, or a page of the API.
    #[arg(long, value_name = "FILE")]
    pub receipt: Option<PathBuf>,
    /// Block headers of a lane's chain from a node of your own, to date the work by: 80 bytes each, or hexadecimal, one
    /// behind the other; may be given for several lanes.
    #[arg(long, value_name = "LANE=FILE")]
    pub headers: Vec<String>,
    /// An output script (hexadecimal) that blocks of a lane may pay to; may be given many times. A job that would have paid
    /// elsewhere is a lie then.
    #[arg(long, value_name = "LANE=SCRIPT")]
    pub pays: Vec<String>,
    /// Certificate authorities to believe for https, a PEM file; the system's if not given.
    #[arg(long, value_name = "FILE")]
    pub authorities: Option<PathBuf>,
    /// A proof that a statement of funds counts what is owed to you.
    #[arg(long, value_name = "FILE")]
    pub owed: Option<PathBuf>,
    /// A witness of the log, as name+hash+base64; may be given several times.
    #[arg(long, value_name = "KEY")]
    pub witness: Vec<String>,
    /// How many of them must have signed; all if not given.
    #[arg(long, value_name = "NUMBER", requires = "witness")]
    pub witnesses: Option<usize>,
    /// A checkpoint that somebody else was shown; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub seen: Vec<PathBuf>,
    /// Where to remember what was seen; a file of the user's own if not given.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Remember nothing, and look at nothing remembered.
    #[arg(long, conflicts_with = "state")]
    pub forget: bool,
    /// Hash only the shares that are new since the last visit.
    #[arg(long)]
    pub new_only: bool,
    /// Threads; all cores if not given.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub threads: usize,
    /// Memory that log and shares may take, MiB: 32 bytes a share of an epoch, three kilobytes an entry. Half a gigabyte
    /// may come to it.
    #[arg(long, value_name = "MIB", default_value_t = 2_048, value_parser = clap::value_parser!(u64).range(1..))]
    pub memory: u64,
    /// Print the verdict as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `gruve bench …`
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Stratum servers, of V1, V2 and Ethash: a load generator, and a floor to compare with.
    Stratum(gruve_bench::cli::StratumArgs),
}

/// `gruve demo`
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// Folder for everything the demo keeps.
    #[arg(long, default_value = "gruve-data/demo")]
    pub data: PathBuf,
    /// Begin anew: removes what an earlier demo left in the folder.
    #[arg(long)]
    pub fresh: bool,
    /// Where the books are: `postgres://…`, an empty database for a fresh folder. A file in the folder if not given.
    #[arg(long)]
    pub database: Option<String>,
    /// Exit when the line is complete: 0 only if the books reconcile.
    #[arg(long)]
    pub once: bool,
    /// Print the summary as JSON on standard output (progress goes to standard error).
    #[arg(long)]
    pub json: bool,
    /// First of the eight ports used: dashboards, machines (+1, +2, +6), nodes (+3 to +5, +7).
    #[arg(long, default_value_t = 7400, value_parser = clap::value_parser!(u16).range(1..))]
    pub ports: u16,
    /// Length of an epoch.
    #[arg(long, default_value = "5s", value_parser = parse_span)]
    pub epoch: Span,
    /// Time between blocks that the development chains steer to, in whole seconds.
    #[arg(long, default_value = "20s", value_parser = parse_spacing)]
    pub spacing: Span,
}

/// A configuration file.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigArg {
    /// The configuration file.
    #[arg(long, default_value = "gruve.toml")]
    pub config: PathBuf,
}

/// `gruve config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Writes a commented configuration file.
    Init {
        /// Where to write it.
        #[arg(default_value = "gruve.toml")]
        path: PathBuf,
        /// Replace a file that is there.
        #[arg(long)]
        force: bool,
    },
    /// Says what is wrong with a configuration file and where.
    Check(ConfigArg),
}

/// `gruve admin …`
#[derive(Debug, clap::Args)]
pub struct AdminArgs {
    /// The configuration file.
    #[arg(long, global = true, default_value = "gruve.toml")]
    pub config: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: AdminCommand,
}

/// What `gruve admin` does.
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Prints the OpenAPI document of the HTTP API.
    Openapi,
    /// Recomputes every balance, the journal chain and every closed epoch from the share log.
    Audit {
        /// Also say in which epoch each line of this file of acknowledged shares stands.
        #[arg(long, value_name = "FILE")]
        accepted: Vec<PathBuf>,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Sites: their agents' tokens and their electricity.
    Site {
        /// What to do.
        #[command(subcommand)]
        order: SiteCommand,
    },
    /// The inventory of machines.
    Machine {
        /// What to do.
        #[command(subcommand)]
        order: MachineCommand,
    },
    /// Machines that customers own.
    Hosting {
        /// What to do.
        #[command(subcommand)]
        order: HostingCommand,
    },
    /// Who works here, as what, and the security log.
    Staff {
        /// What to do.
        #[command(subcommand)]
        order: StaffCommand,
    },
    /// Tickets about machines.
    Ticket {
        /// What to do.
        #[command(subcommand)]
        order: TicketCommand,
    },
    /// The passphrase over the wallets' seed.
    Keys {
        /// What to do.
        #[command(subcommand)]
        order: crate::keys::KeysCommand,
    },
    /// Puts a new operator key in force and tells it in the public log; the house must be stopped.
    RotateKey {
        /// A file with the recovery key (64 hex digits): it appoints the new key when the old one is lost or stolen.
        #[arg(long, value_name = "FILE")]
        recovery: Option<PathBuf>,
    },
    /// Writes all books into a file, as they stand at one instant; works beside a running house.
    Export {
        /// The file to make.
        file: PathBuf,
    },
    /// Reads such a file into the configuration's database, SQLite or PostgreSQL, which must be empty.
    Import {
        /// The file.
        file: PathBuf,
    },
    /// Shows a message on miners' displays (Stratum V1's `client.show_message`), through the house that
    /// runs.
    Say {
        /// The lane whose machines are meant; all lanes if not given.
        #[arg(long)]
        lane: Option<LaneId>,
        /// Only to connections whose first login is this, as `house.rack1-01`.
        #[arg(long, value_name = "LOGIN")]
        to: Option<String>,
        /// What to show: at most 200 characters.
        text: String,
    },
    /// Tells a coin's price in dollars in the name of a source that has no address of its own, and lists the
    /// newest recorded ones. Works beside a running house.
    Price {
        /// The coin.
        asset: Asset,
        /// In whose name.
        #[arg(long, requires = "dollars")]
        source: Option<String>,
        /// Dollars for a whole coin.
        #[arg(long, requires = "source")]
        dollars: Option<String>,
        /// At which second since 1970; now, if not given.
        #[arg(long, requires = "dollars")]
        at: Option<i64>,
    },
    /// Records that machines of the house are idled or moved away from a lane, or work again, and lists what is on
    /// record and the epochs in which leases were short. Works beside a running house.
    Machines {
        /// The lane.
        lane: LaneId,
        /// This rate is switched off.
        #[arg(long, value_name = "RATE", conflicts_with_all = ["moved", "back"])]
        idle: Option<Hashrate>,
        /// This rate is moved to another lane.
        #[arg(long, value_name = "RATE", conflicts_with = "back")]
        moved: Option<Hashrate>,
        /// What this record took away works again.
        #[arg(long, value_name = "NUMBER")]
        back: Option<u64>,
        /// Why.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Shows the FPPS reserves and what their plans need to be sold; puts coins in or takes them out. Works
    /// beside a running house.
    Fpps {
        /// What to move.
        #[command(flatten)]
        order: crate::reserve::Move,
    },
    /// States what is owed to everybody and what is held, with signatures, in the public record. Works beside a
    /// running house.
    Reserves {
        /// What to do.
        #[command(subcommand)]
        order: crate::funds::ReservesCommand,
    },
    /// Says who may be keeping found blocks back: blocks against work, and the tail of the shares' hashes, machine by
    /// machine and owner by owner. Works beside a running house.
    Withholding {
        /// How often honest miners may raise an alarm, all of a lane looked at together: one in so many looks.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..))]
        one_in: u32,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Takes bank statements (camt.053) into the books, and lists what of all that came waits for a person, or
    /// says whose a payment is. Works beside a running house.
    Bank {
        /// What to take, or decide.
        #[command(flatten)]
        order: crate::bank::Order,
    },
    /// Lists what a signer elsewhere is asked for, and withdraws a transaction that no block has. Works beside a
    /// running house.
    Orders {
        /// What is to be done.
        #[command(flatten)]
        order: crate::orders::Order,
    },
    /// Lists payouts that wait for a person's approval, approves or refuses one. Works beside a
    /// running house.
    Payouts {
        /// What to decide.
        #[command(flatten)]
        order: crate::approval::Order,
    },
}

/// `gruve miner`
#[derive(Clone, Debug, clap::Args)]
pub struct MinerArgs {
    /// The pool, as `stratum+tcp://host:port`.
    #[arg(long)]
    pub url: String,
    /// The login, as `account.machine`.
    #[arg(long)]
    pub user: String,
    /// The password.
    #[arg(long, default_value = "x")]
    pub password: String,
    /// sha256d, scrypt, ethash or etchash.
    #[arg(long, default_value = "sha256d")]
    pub algorithm: Algorithm,
    /// Threads; all cores if not given.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Hold the hashrate to this, as `500 kH/s`.
    #[arg(long)]
    pub limit: Option<Hashrate>,
    /// Append a line for each share that the pool acknowledged.
    #[arg(long, value_name = "FILE")]
    pub accepted_log: Option<PathBuf>,
}

fn parse_span(s: &str) -> Result<Span, String> {
    s.parse()
}

/// Headers tell their time in seconds.
fn parse_spacing(s: &str) -> Result<Span, String> {
    let span: Span = s.parse()?;
    if span.0.as_millis().is_multiple_of(1_000) {
        return Ok(span);
    }
    Err(format!("{s:?} is not a number of whole seconds: write 1s or more"))
}
