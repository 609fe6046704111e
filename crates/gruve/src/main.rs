//! The `gruve` program; see the library of the same name.

use std::process::ExitCode;

/// The system's heaps, one a thread, each grow to the most that ever lay in them and give nothing back.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gruve::run()
}
