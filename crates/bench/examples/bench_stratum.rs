//! `gruve bench stratum` by itself, without the rest of the platform to build:
//! `cargo run --release -p gruve-bench --example bench_stratum -- submit 127.0.0.1:3333`.

use clap::Parser;
use gruve_bench::cli::{StratumArgs, run};
use std::process::ExitCode;

/// As the `gruve` program has it.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures servers of Stratum V1.
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: StratumArgs,
}

fn main() -> ExitCode {
    match run(Cli::parse().args, &[]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bench_stratum: {e}");
            ExitCode::FAILURE
        }
    }
}
