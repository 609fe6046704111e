//! Servers as processes of their own, and the few words that are spoken with them.
//!
//! | to the server, a line on its standard input | its answer, a line on standard output |
//! |---|---|
//! | (start) | `{"listening":"127.0.0.1:40123"}` |
//! | `job` | when the new job became known, nanoseconds of the machine's monotonic clock |
//! | `count` | shares: those in the log (gateway), those found good (floor) |
//! | `appends` | appends to the log so far (gateway) |
//! | `cost N` | what one append of N shares costs, nanoseconds of processor time (gateway) |
//! | `stop`, or the end of the input | it ends |

use crate::BenchError;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, OnceLock, mpsc};

/// The server's side: commands as they come.
pub struct Control {
    commands: mpsc::Receiver<String>,
    waker: Arc<OnceLock<mio::Waker>>,
}

impl Control {
    /// Reads standard input on a thread of its own.
    #[must_use]
    pub fn from_stdin() -> Control {
        Self::from_lines(BufReader::new(std::io::stdin()).lines())
    }

    /// Commands from these lines. A command that was read before [`Control::wake_by`] is found by
    /// the first look.
    pub(crate) fn from_lines(
        lines: impl Iterator<Item = std::io::Result<String>> + Send + 'static,
    ) -> Control {
        let (tell, commands) = mpsc::channel();
        let waker = Arc::new(OnceLock::<mio::Waker>::new());
        let wake = Arc::clone(&waker);
        std::thread::spawn(move || {
            let words = lines.map_while(Result::ok).chain(std::iter::once("stop".to_owned()));
            for command in words {
                if tell.send(command).is_err() {
                    return;
                }
                // A loop that has ended needs no waking.
                let _ = wake.get().map(mio::Waker::wake);
            }
        });
        Control { commands, waker }
    }

    /// A loop that waits for events is woken for commands by this.
    pub(crate) fn wake_by(&mut self, waker: mio::Waker) {
        // Set once: a server has one loop. Then woken for what came before.
        let _ = self.waker.set(waker);
        let _ = self.waker.get().map(mio::Waker::wake);
    }

    /// A command that waits.
    pub(crate) fn next_command(&mut self) -> Option<String> {
        self.commands.try_recv().ok()
    }

    /// Waits for a command; `None` at the end.
    pub(crate) fn wait_command(&mut self) -> Option<String> {
        self.commands.recv().ok()
    }

    /// Tells where the server listens.
    pub fn listening(&self, address: SocketAddr) {
        say(&json!({ "listening": address.to_string() }));
    }

    /// Answers a command.
    pub(crate) fn answer(&self, number: u64) {
        say(&json!(number));
    }
}

fn say(value: &Value) {
    let mut out = std::io::stdout().lock();
    // Whoever asked may be gone.
    let _ = writeln!(out, "{value}").and_then(|()| out.flush());
}

/// How this program starts itself as a server.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// The arguments before a server's own.
    pub leading: Vec<OsString>,
}

/// A server that we started; it ends with this.
#[derive(Debug)]
pub struct Server {
    child: Child,
    ask: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    /// Starts a server with these arguments and waits until it listens.
    ///
    /// # Errors
    /// When it does not start, or ends at once.
    pub fn start(program: &Program, arguments: &[String]) -> Result<Server, BenchError> {
        let mut child = Command::new(&program.path)
            .args(&program.leading)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(BenchError::Spawn)?;
        let (ask, out) = (child.stdin.take(), child.stdout.take());
        let Some(out) = out else { return Err(BenchError::Server("it has no output")) };
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Server { child, ask, answers: BufReader::new(out), address };
        let told = server.hear()?;
        let address = told.get("listening").and_then(Value::as_str).and_then(|a| a.parse().ok());
        server.address = address.ok_or(BenchError::Server("it does not say where it listens"))?;
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Says a command; the answer is heard by [`Server::answer`].
    ///
    /// # Errors
    /// When the server is gone.
    pub fn say(&mut self, command: &str) -> Result<(), BenchError> {
        let gone = BenchError::Server("it is gone");
        let ask = self.ask.as_mut().ok_or(gone)?;
        writeln!(ask, "{command}").map_err(|_| BenchError::Server("it is gone"))
    }

    /// Waits for the number that answers a command.
    ///
    /// # Errors
    /// When the server is gone.
    pub fn answer(&mut self) -> Result<u64, BenchError> {
        self.hear()?.as_u64().ok_or(BenchError::Server("its answer is no number"))
    }

    /// A command and its answer.
    ///
    /// # Errors
    /// When the server is gone.
    pub fn ask(&mut self, command: &str) -> Result<u64, BenchError> {
        self.say(command)?;
        self.answer()
    }

    fn hear(&mut self) -> Result<Value, BenchError> {
        let mut line = String::new();
        let count = self.answers.read_line(&mut line).map_err(BenchError::Spawn)?;
        if count == 0 {
            return Err(BenchError::Server("it ended"));
        }
        serde_json::from_str(&line).map_err(|_| BenchError::Server("its answer is no JSON"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input ends it, within the gateway's five seconds.
        self.ask = None;
        let _ = self.child.wait();
    }
}
