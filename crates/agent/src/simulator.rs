//! A machine that is none: it speaks cgminer's API on a port of its own, as makers' firmwares do, and behaves as
//! it is told. For tests and for trying an agent out without machines.

mod auradine;
mod braiins;

pub use auradine::AuradineMachine;
pub use braiins::BraiinsMachine;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::task::JoinHandle;

/// Different questions that are counted at most; a maker's API has some tens.
const ASKED_MAX: usize = 256;

/// What a real machine has answered, by command.
pub type Recording = BTreeMap<String, Value>;

/// How it behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// It answers, truly or not: what it claims is up to who sets it.
    Answers(Figures),
    /// It repeats what a real one has answered, and refuses what that one was not asked.
    Repeats(Arc<Recording>),
    /// It takes connections and says nothing.
    Silent,
    /// It answers what is no JSON.
    Garbage,
    /// It answers a byte at a time, slower than anybody waits.
    Slow,
    /// It answers for ever.
    Endless,
    /// It says that it will not.
    Refuses,
}

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Gigahashes a second.
    pub gigahashes: u64,
    /// Watts.
    pub watts: u32,
    /// Degrees Celsius.
    pub temperature_c: i32,
    /// Seconds that it runs.
    pub uptime_s: u64,
}

/// A running simulated machine; it stops when dropped.
#[derive(Debug)]
pub struct Machine {
    address: SocketAddr,
    behaviour: Arc<Mutex<Behaviour>>,
    asked: Asked,
    task: JoinHandle<()>,
}

/// How often what was asked.
#[derive(Clone, Debug, Default)]
struct Asked(Arc<Mutex<BTreeMap<String, u64>>>);

impl Asked {
    fn count(&self, question: &str) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() < ASKED_MAX || asked.contains_key(question) {
            *asked.entry(question.to_owned()).or_default() += 1;
        }
    }

    fn all(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Machine {
    /// Starts one on a free port of the loopback address.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(behaviour: Behaviour) -> std::io::Result<Machine> {
        Machine::start_at(("127.0.0.1", 0), behaviour).await
    }

    /// Starts one at an address and port: whoever finds machines by themselves looks at the ports that real ones have.
    ///
    /// # Errors
    /// When somebody is there.
    pub async fn start_at(
        place: impl ToSocketAddrs,
        behaviour: Behaviour,
    ) -> std::io::Result<Machine> {
        let listener = TcpListener::bind(place).await?;
        let address = listener.local_addr()?;
        let behaviour = Arc::new(Mutex::new(behaviour));
        let asked = Asked::default();
        let (shared, counted) = (behaviour.clone(), asked.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let now = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let counted = counted.clone();
                tokio::spawn(async move {
                    // Whoever asked may have gone.
                    let _ = answer(stream, now, &counted).await;
                });
            }
        });
        Ok(Machine { address, behaviour, asked, task })
    }

    /// Where its API is.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The commands that it was asked, and how often.
    #[must_use]
    pub fn asked(&self) -> BTreeMap<String, u64> {
        self.asked.all()
    }

    /// Has it behave otherwise from the next question on.
    pub fn set(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, behaviour: Behaviour, asked: &Asked) -> std::io::Result<()> {
    let mut question = vec![0; 256];
    let n = stream.read(&mut question).await?;
    if n == 0 {
        // Somebody has looked whether it is there.
        return Ok(());
    }
    question.truncate(n);
    let question_json: Value = serde_json::from_slice(&question).unwrap_or_default();
    let command = question_json.get("command").and_then(Value::as_str).unwrap_or_default();
    asked.count(command);
    match behaviour {
        Behaviour::Answers(figures) => {
            stream.write_all(text(command, figures).as_bytes()).await?;
            stream.write_all(&[0]).await
        }
        Behaviour::Repeats(recording) => {
            let said = recording.get(command).map_or_else(invalid, Value::to_string);
            stream.write_all(said.as_bytes()).await?;
            stream.write_all(&[0]).await
        }
        Behaviour::Silent => {
            // Until the other side gives up.
            let _ = stream.read(&mut question).await?;
            Ok(())
        }
        Behaviour::Garbage => stream.write_all(b"\x13\x37}{ not what was asked").await,
        Behaviour::Slow => loop {
            stream.write_all(b" ").await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        },
        Behaviour::Endless => loop {
            stream.write_all(&[b'['; 4096]).await?;
        },
        Behaviour::Refuses => {
            let no = json!({ "STATUS": [{ "STATUS": "E", "Code": 45, "Msg": "Access denied" }], "id": 1 });
            stream.write_all(no.to_string().as_bytes()).await
        }
    }
}

/// As BMMiner writes it, with MicroBT's `Power`; the comma between the `STATS` is left out as some firmwares do.
fn text(command: &str, f: Figures) -> String {
    let status = |text: &str| json!([{ "STATUS": "S", "When": 1, "Code": 11, "Msg": text, "Description": "simulated" }]);
    let rate = format!("{}.00", f.gigahashes);
    if command == "summary" {
        let summary = json!([{ "Elapsed": f.uptime_s, "GHS 5s": rate, "GHS av": f.gigahashes, "Accepted": 1,
            "Rejected": 0, "Hardware Errors": 0, "Power": f.watts }]);
        json!({ "STATUS": status("Summary"), "SUMMARY": summary, "id": 1 }).to_string()
    } else if command == "stats" {
        let first = json!({ "BMMiner": "2.0.0", "Type": "Simulated" });
        let second = json!({ "STATS": 0, "Elapsed": f.uptime_s, "GHS 5s": rate, "fan_num": 2, "fan1": 5880,
            "fan2": 6000, "temp1": f.temperature_c - 9, "temp2_1": f.temperature_c });
        format!("{{\"STATUS\":{},\"STATS\":[{first}{second}],\"id\":1}}", status("Stats"))
    } else {
        invalid()
    }
}

fn invalid() -> String {
    let no =
        json!({ "STATUS": [{ "STATUS": "E", "Code": 14, "Msg": "Invalid command" }], "id": 1 });
    no.to_string()
}
