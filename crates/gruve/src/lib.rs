//! The house put together: command line, configuration, wiring of the rooms, the demo.
//!
//! What stands here knows every room and decides nothing that a room could decide: it opens the
//! database, starts the lanes, answers the small questions that rooms ask each other through their
//! traits, and says on the terminal what happens.

// The modules of a program are private as a whole; marking each item so again says nothing.
#![allow(unreachable_pub)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod appraise;
mod approval;
pub mod audit;
mod bank;
pub mod books;
pub mod cli;
pub mod config;
pub mod demo;
mod desk;
mod estate;
mod funds;
mod hosted;
pub mod house;
mod inspect;
mod keys;
mod miner;
mod orders;
mod reserve;
mod rotate;
mod say;
mod serve;
mod signals;
mod signer;
mod site;
mod staff;
mod statement;
mod supervisor;
mod typed;
mod verify;
mod withholding;

use clap::Parser;
use cli::{AdminArgs, AdminCommand, BenchCommand, Cli, Command, ConfigCommand, StatementCommand};
use desk::Machines;
use estate::Estate;
use gruve_market::ActKind;
use hosted::Order;
use std::process::ExitCode;

/// Parses the command line and does what it says.
#[must_use]
pub fn run() -> ExitCode {
    // Before anything else opens a file: see there.
    let (estate, unread) = Estate::inherit();
    let cli = Cli::parse();
    end_with_the_reader();
    // These tell their own story; the log would drown it. `--log debug` brings it back.
    let quiet = matches!(&cli.command, Command::Demo(_) | Command::Admin(_))
        && cli.log == tracing::Level::INFO;
    start_logging(if quiet { tracing::Level::WARN } else { cli.log });
    if let Some(why) = unread {
        tracing::error!(
            why,
            "what the program before left cannot be read: its connections are closed"
        );
    }
    raise_file_limit();
    // With this feature two TLS providers are in the program, and whoever names none would panic.
    #[cfg(feature = "asic-rs")]
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let result = match cli.command {
        Command::Inspect(args) => return inspect::run(args),
        Command::Verify(args) => unsaid(verify::run(&args)),
        Command::Appraise(args) => appraise::run(&args),
        Command::Statement(StatementCommand::Check(args)) => unsaid(statement::check(&args)),
        Command::Config(ConfigCommand::Init { path, force }) => serve::init_config(&path, force),
        Command::Config(ConfigCommand::Check(arg)) => serve::check_config(&arg.config),
        Command::Demo(args) => on_runtime(demo::run(args)),
        Command::Serve(arg) => on_runtime(serve::run(arg.config, estate)),
        Command::Agent { config } => on_runtime(async move { site::agent(&config).await }),
        Command::Certificate(args) => unsaid(site::certificate(&args)),
        Command::Miner(args) => on_runtime(async {
            miner::run(args).await.map(|()| ExitCode::SUCCESS).map_err(|e| e.to_string())
        }),
        Command::Bench(BenchCommand::Stratum(args)) => {
            gruve_bench::cli::run(args, &["bench", "stratum"])
                .map(|()| ExitCode::SUCCESS)
                .map_err(|e| e.to_string())
        }
        Command::Signer(command) => signer::run(command),
        Command::Admin(args) => admin(args),
    };
    match result {
        Ok(code) => code,
        Err(message) => {
            eprintln!("gruve: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Of a command whose 1 says that something is false: what kept it from saying anything is a 2.
fn unsaid(result: Result<ExitCode, String>) -> Result<ExitCode, String> {
    result.or_else(|message| {
        eprintln!("gruve: {message}");
        Ok(ExitCode::from(2))
    })
}

/// Ends the program without a word when whoever reads its output has gone, as in `gruve … | head`: the standard
/// library's printing panics instead.
fn end_with_the_reader() {
    /// What shells know of a program that a closed pipe ended: 128 and the number of `SIGPIPE`.
    const CLOSED_PIPE: i32 = 141;
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload_as_str().unwrap_or_default();
        if said.starts_with("failed printing to std") && said.contains("Broken pipe") {
            std::process::exit(CLOSED_PIPE);
        }
        before(panic);
    }));
}

/// What `gruve admin` does.
fn admin(args: AdminArgs) -> Result<ExitCode, String> {
    let config = args.config;
    match args.command {
        AdminCommand::Site { order } => on_runtime(hosted::admin(config, Order::Site(order))),
        AdminCommand::Machine { order } => on_runtime(hosted::admin(config, Order::Machine(order))),
        AdminCommand::Hosting { order } => on_runtime(hosted::admin(config, Order::Hosting(order))),
        AdminCommand::Ticket { order } => on_runtime(hosted::admin(config, Order::Ticket(order))),
        AdminCommand::Staff { order } => on_runtime(staff::staff(config, order)),
        AdminCommand::Openapi => {
            print!("{}", gruve_web::document_text());
            Ok(ExitCode::SUCCESS)
        }
        AdminCommand::Audit { accepted, json } => on_runtime(audit::audit(config, accepted, json)),
        AdminCommand::RotateKey { recovery } => on_runtime(rotate::run(config, recovery)),
        AdminCommand::Export { file } => on_runtime(books::export(config, file)),
        AdminCommand::Import { file } => on_runtime(books::import(config, file)),
        AdminCommand::Say { lane, to, text } => on_runtime(say::say(config, lane, to, text)),
        AdminCommand::Price { asset, source, dollars, at } => {
            let told = source.zip(dollars);
            let told = told.map(|(source, dollars)| desk::Told { source, dollars, at });
            on_runtime(desk::price(config, asset, told))
        }
        AdminCommand::Machines { lane, idle, moved, back, note } => {
            let idle = idle.map(|rate| (ActKind::Idle, rate));
            let away = idle.or(moved.map(|rate| (ActKind::Move, rate)));
            let away = away.map(|(what, rate)| Machines::Away(what, rate, note));
            on_runtime(desk::machines(config, lane, away.or(back.map(Machines::Back))))
        }
        AdminCommand::Fpps { order } => on_runtime(reserve::reserve(config, order)),
        AdminCommand::Reserves { order } => on_runtime(funds::run(config, order)),
        AdminCommand::Withholding { one_in, json } => {
            on_runtime(withholding::withholding(config, one_in, json))
        }
        AdminCommand::Bank { order } => on_runtime(bank::bank(config, order)),
        AdminCommand::Keys { order } => keys::keys(&config, order),
        AdminCommand::Orders { order } => on_runtime(orders::orders(config, order)),
        AdminCommand::Payouts { order } => on_runtime(approval::payouts(config, order)),
    }
}

fn on_runtime(task: impl Future<Output = Result<ExitCode, String>>) -> Result<ExitCode, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("the runtime does not start: {e}"))?;
    let result = runtime.block_on(task);
    // Tasks that still hold a socket or a file are cut here: what counts is on disk already.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}

/// Raises the soft limit of open files to the hard one: each machine and each page is a socket, and
/// the usual soft limit of 1024 would leave none for the node that a found block must reach.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Refused: then the old limit stands, and the gateway turns connections away earlier.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn start_logging(level: tracing::Level) {
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;
    let outside = level.min(tracing::Level::WARN);
    let filter = Targets::new()
        .with_default(outside)
        // It does not say what was waited for; whoever waits too long is told so by the store.
        .with_target("sqlx::pool::acquire", tracing::Level::ERROR)
        .with_targets(ROOMS.iter().map(|room| (*room, level)));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false);
    // Only fails when logging was started before, as in a test of this very function.
    let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
}

/// The rooms whose log lines follow `--log`; what libraries say is kept to warnings.
const ROOMS: [&str; 17] = [
    "gruve",
    "gruve_accounts",
    "gruve_agent",
    "gruve_chain",
    "gruve_farm",
    "gruve_hosting",
    "gruve_ledger",
    "gruve_market",
    "gruve_miner",
    "gruve_pow",
    "gruve_proof",
    "gruve_sharelog",
    "gruve_store",
    "gruve_stratum",
    "gruve_treasury",
    "gruve_units",
    "gruve_web",
];
