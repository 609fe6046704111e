//! Servers as processes of their own, and the few words that are spoken with them.
//!
//! | to the server, a line on its standard input | its answer, a line on standard output |
//! |---|---|
//! | (start) | `{"listening":"127.0.0.1:40123"}`, and where it has encrypted ports `"tls"` and `"v2"` |
//! | `job` | when the new job became known, nanoseconds of the machine's monotonic clock |
//! | `count` | shares: those in the log (gateway), those found good (floor) |
//! | `count house` | of these, the shares of the house's machines (gateway) |
//! | `log` | what the log has cost so far, nanoseconds of processor time: its appends, and the thread that syncs (gateway) |
//! | `stop`, or the end of the input | it ends |

use crate::BenchError;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

/// How long a server may take to end: it closes thousands of connections and a log.
const END_MAX: Duration = Duration::from_secs(10);

/// A server's encrypted ports, where it has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doors {
    /// Stratum V1 over TLS.
    pub tls: Option<SocketAddr>,
    /// Stratum V2.
    pub v2: Option<SocketAddr>,
}

/// The server's side: commands as they come.
pub struct Control {
    commands: mpsc::Receiver<String>,
    waker: Arc<OnceLock<mio::Waker>>,
    out: Box<dyn Write + Send>,
}

impl Control {
    /// Commands from standard input, answers to standard output.
    #[must_use]
    pub fn standard() -> Control {
        Self::over(std::io::stdin(), std::io::stdout())
    }

    /// Commands from `input`, on a thread of its own, and answers to `out`.
    #[must_use]
    pub fn over(input: impl Read + Send + 'static, out: impl Write + Send + 'static) -> Control {
        let (tell, commands) = mpsc::channel();
        let waker = Arc::new(OnceLock::<mio::Waker>::new());
        let wake = Arc::clone(&waker);
        std::thread::spawn(move || {
            let lines = BufReader::new(input).lines();
            let words = lines.map_while(Result::ok).chain(std::iter::once("stop".to_owned()));
            for command in words {
                if tell.send(command).is_err() {
                    return;
                }
                // A loop that has ended needs no waking.
                let _ = wake.get().map(mio::Waker::wake);
            }
        });
        Control { commands, waker, out: Box::new(out) }
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
    pub(crate) fn listening(&mut self, address: SocketAddr) {
        self.listening_at(address, Doors::default());
    }

    /// The same of one that has encrypted ports.
    pub(crate) fn listening_at(&mut self, address: SocketAddr, doors: Doors) {
        let text = |a: Option<SocketAddr>| a.map(|a| a.to_string());
        let (tls, v2) = (text(doors.tls), text(doors.v2));
        self.say(&json!({ "listening": address.to_string(), "tls": tls, "v2": v2 }));
    }

    /// Answers a command.
    pub(crate) fn answer(&mut self, number: u64) {
        self.say(&json!(number));
    }

    fn say(&mut self, value: &Value) {
        // Whoever asked may be gone.
        let _ = writeln!(self.out, "{value}").and_then(|()| self.out.flush());
    }
}

/// How this program starts itself as a server.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// The arguments before a server's own.
    pub leading: Vec<OsString>,
}

/// A server that listens to our commands, as a process of its own or in this one; it ends with this.
pub struct Server {
    /// `None` where it runs in this process.
    child: Option<Child>,
    ask: Option<Box<dyn Write + Send>>,
    answers: Option<Box<dyn BufRead + Send>>,
    address: SocketAddr,
    doors: Doors,
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
        let (Some(ask), Some(out)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(BenchError::Server("it has no input and output"));
        };
        Self::listening(Some(child), ask, out)
    }

    /// Runs a server within this process, on a thread of its own, and waits until it listens.
    ///
    /// # Errors
    /// When it does not come to listen.
    pub fn within(
        serve: impl FnOnce(Control) -> Result<(), BenchError> + Send + 'static,
    ) -> Result<Server, BenchError> {
        let (commands, ask) = std::io::pipe().map_err(BenchError::Spawn)?;
        let (answers, out) = std::io::pipe().map_err(BenchError::Spawn)?;
        std::thread::spawn(move || {
            // The end of its output tells that it has ended, and why is told here.
            if let Err(e) = serve(Control::over(commands, out)) {
                eprintln!("the server ended: {e}");
            }
        });
        Self::listening(None, ask, answers)
    }

    fn listening(
        child: Option<Child>,
        ask: impl Write + Send + 'static,
        answers: impl Read + Send + 'static,
    ) -> Result<Server, BenchError> {
        let mut server = Server {
            child,
            ask: Some(Box::new(ask)),
            answers: Some(Box::new(BufReader::new(answers))),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            doors: Doors::default(),
        };
        let told = server.hear()?;
        let of = |name: &str| told.get(name).and_then(Value::as_str).and_then(|a| a.parse().ok());
        server.doors = Doors { tls: of("tls"), v2: of("v2") };
        server.address =
            of("listening").ok_or(BenchError::Server("it does not say where it listens"))?;
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its encrypted ports.
    #[must_use]
    pub fn doors(&self) -> Doors {
        self.doors
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(std::process::id(), Child::id)
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
        let gone = BenchError::Server("it is gone");
        let answers = self.answers.as_mut().ok_or(gone)?;
        let count = answers.read_line(&mut line).map_err(BenchError::Spawn)?;
        if count == 0 {
            return Err(BenchError::Server("it ended"));
        }
        serde_json::from_str(&line).map_err(|_| BenchError::Server("its answer is no JSON"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input ends it, which the end of its output shows; one that hangs is
        // ended.
        self.ask = None;
        let (tell, ended) = mpsc::channel::<()>();
        if let Some(mut answers) = self.answers.take() {
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut answers, &mut std::io::sink());
                drop(tell);
            });
        }
        let hangs = ended.recv_timeout(END_MAX) == Err(mpsc::RecvTimeoutError::Timeout);
        if let Some(child) = &mut self.child {
            if hangs {
                let _ = child.kill();
            }
            let _ = child.wait();
        }
    }
}
