//! What a person types at a command that asks.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, Stdin};

/// A line of standard input.
///
/// # Errors
/// When standard input cannot be read.
pub(crate) fn line(ask: &str) -> Result<String, String> {
    eprintln!("{ask}");
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    read.map_err(|e| format!("standard input cannot be read: {e}"))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// The same; where a person types it, it is not shown. From standard input and not from the command line, so
/// that it stands in no list of processes.
///
/// # Errors
/// When standard input cannot be read.
pub(crate) fn password() -> Result<String, String> {
    let _unshown = Unshown::begin(io::stdin());
    line("password (one line, not shown):")
}

/// A terminal that does not show what is typed, until this is dropped.
struct Unshown {
    stdin: Stdin,
    before: Termios,
}

impl Unshown {
    /// Nothing where standard input is no terminal.
    fn begin(stdin: Stdin) -> Option<Unshown> {
        let before = tcgetattr(&stdin).ok()?;
        let mut without = before.clone();
        without.local_modes.remove(LocalModes::ECHO);
        // The end of the line is still seen.
        without.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&stdin, OptionalActions::Flush, &without).ok()?;
        Some(Unshown { stdin, before })
    }
}

impl Drop for Unshown {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing put back.
        let _ = tcsetattr(&self.stdin, OptionalActions::Now, &self.before);
    }
}
