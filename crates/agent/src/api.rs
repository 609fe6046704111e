//! cgminer's API: one JSON command on a TCP connection, one JSON answer, closed with a NUL byte or the
//! connection's end. Facts: cgminer's `API-README`; the fields that makers add are read in [`crate::said`].

use crate::{Fault, Vendor, said};
use async_trait::async_trait;
use gruve_farm::Said;
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The usual port.
pub const PORT: u16 = 4028;

/// Bytes of an answer at most: the longest real ones (`stats` of machines with four boards) have some 20 kB.
pub const ANSWER_BYTES_MAX: usize = 256 << 10;

/// How long one command may take: real machines need some 100 ms, busy ones some seconds.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The commands, in the order asked. The first must be answered, the others may be refused.
const COMMANDS: [&str; 3] = ["summary", "stats", "devs"];

/// Asks machines by cgminer's API.
#[derive(Clone, Copy, Debug)]
pub struct CgMiner {
    within: Duration,
}

impl Default for CgMiner {
    fn default() -> Self {
        CgMiner { within: ANSWER_WITHIN }
    }
}

impl CgMiner {
    /// The same with another patience.
    #[must_use]
    pub const fn within(within: Duration) -> CgMiner {
        CgMiner { within }
    }

    async fn command(&self, address: &str, command: &str) -> Result<Value, Fault> {
        let answer = tokio::time::timeout(self.within, exchange(address, command)).await;
        said::parse(&answer.map_err(|_| Fault::Slow)??)
    }
}

#[async_trait]
impl Vendor for CgMiner {
    async fn ask(&self, address: &str) -> Result<Said, Fault> {
        let mut answers = Vec::with_capacity(COMMANDS.len());
        for command in COMMANDS {
            match self.command(address, command).await {
                Ok(answer) => answers.push(answer),
                Err(fault) if answers.is_empty() => return Err(fault),
                // A machine that knows no `devs` says so; one that dies meanwhile is heard next time.
                Err(_) => {}
            }
        }
        said::read(&answers)
    }
}

async fn exchange(address: &str, command: &str) -> Result<Vec<u8>, Fault> {
    let mut stream = TcpStream::connect(address).await.map_err(|_| Fault::Unreachable)?;
    let line = format!("{{\"command\":\"{command}\"}}");
    stream.write_all(line.as_bytes()).await.map_err(|_| Fault::Unreachable)?;
    let mut answer = Vec::new();
    let mut piece = [0; 8 << 10];
    loop {
        let n = stream.read(&mut piece).await.map_err(|_| Fault::Unreachable)?;
        let new = &piece[..n];
        if let Some(end) = new.iter().position(|b| *b == 0) {
            answer.extend_from_slice(&new[..end]);
            return Ok(answer);
        }
        answer.extend_from_slice(new);
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(Fault::Endless);
        }
        if n == 0 {
            return Ok(answer);
        }
    }
}
