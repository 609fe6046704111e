//! A machine that is none: it speaks cgminer's API on a port of its own, as makers' firmwares do, and behaves as
//! it is told. For tests and for trying an agent out without machines.

mod braiins;

pub use braiins::BraiinsMachine;

use serde_json::json;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How it behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// It answers, truly or not: what it claims is up to who sets it.
    Answers(Figures),
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
    task: JoinHandle<()>,
}

impl Machine {
    /// Starts one on a free port of the loopback address.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(behaviour: Behaviour) -> std::io::Result<Machine> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let behaviour = Arc::new(Mutex::new(behaviour));
        let shared = behaviour.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let now = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
                tokio::spawn(async move {
                    // Whoever asked may have gone.
                    let _ = answer(stream, now).await;
                });
            }
        });
        Ok(Machine { address, behaviour, task })
    }

    /// Where its API is.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
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

async fn answer(mut stream: TcpStream, behaviour: Behaviour) -> std::io::Result<()> {
    let mut question = vec![0; 256];
    let n = stream.read(&mut question).await?;
    question.truncate(n);
    let command = String::from_utf8_lossy(&question).into_owned();
    match behaviour {
        Behaviour::Answers(figures) => {
            stream.write_all(text(&command, figures).as_bytes()).await?;
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
    if command.contains("summary") {
        let summary = json!([{ "Elapsed": f.uptime_s, "GHS 5s": rate, "GHS av": f.gigahashes, "Accepted": 1,
            "Rejected": 0, "Hardware Errors": 0, "Power": f.watts }]);
        json!({ "STATUS": status("Summary"), "SUMMARY": summary, "id": 1 }).to_string()
    } else if command.contains("stats") {
        let first = json!({ "BMMiner": "2.0.0", "Type": "Simulated" });
        let second = json!({ "STATS": 0, "Elapsed": f.uptime_s, "GHS 5s": rate, "fan_num": 2, "fan1": 5880,
            "fan2": 6000, "temp1": f.temperature_c - 9, "temp2_1": f.temperature_c });
        format!("{{\"STATUS\":{},\"STATS\":[{first}{second}],\"id\":1}}", status("Stats"))
    } else {
        let no =
            json!({ "STATUS": [{ "STATUS": "E", "Code": 14, "Msg": "Invalid command" }], "id": 1 });
        no.to_string()
    }
}
