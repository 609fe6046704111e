//! What the demo says while it runs: one line an event, with the time since the start.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::Instant;

/// Where progress goes.
#[derive(Clone)]
pub struct Progress {
    started: Instant,
    to_stderr: bool,
    colour: bool,
}

impl Progress {
    /// Progress on standard output, or on standard error when standard output is for machines.
    pub fn new(to_stderr: bool) -> Self {
        let terminal = if to_stderr {
            std::io::stderr().is_terminal()
        } else {
            std::io::stdout().is_terminal()
        };
        let colour = terminal && std::env::var_os("NO_COLOR").is_none();
        Progress { started: Instant::now(), to_stderr, colour }
    }

    /// Time since the start.
    pub fn elapsed(&self) -> std::time::Duration {
        self.started.elapsed()
    }

    /// Says that something happened.
    pub fn say(&self, topic: &str, text: impl Display) {
        let secs = self.started.elapsed().as_secs();
        let topic = format!("{topic:<9}");
        let topic = if self.colour { format!("\x1b[1;36m{topic}\x1b[0m") } else { topic };
        self.line(&format!("{:>3}:{:02}  {topic} {text}", secs / 60, secs % 60));
    }

    /// Writes a line as it is.
    pub fn line(&self, text: &str) {
        // A closed terminal is no reason to stop mining.
        let _ = if self.to_stderr {
            writeln!(std::io::stderr(), "{text}")
        } else {
            writeln!(std::io::stdout(), "{text}")
        };
    }
}
