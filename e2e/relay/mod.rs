//! Between a house and its signer: passes calls on, or loses their answers.
#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Longest request: an order of one coin.
const REQUEST_BYTES_MAX: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Passes,
    /// The answer never arrives.
    Loses,
}

pub struct Relay {
    pub url: String,
    mood: watch::Sender<Mood>,
    asked: watch::Sender<usize>,
    answers: watch::Sender<Vec<String>>,
}

impl Relay {
    /// Before the signer at this port of the machine, which need not be there.
    pub async fn before(port: u16) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/orders", listener.local_addr().unwrap());
        let (mood, asked) = (watch::Sender::new(Mood::Passes), watch::Sender::new(0));
        let relay = Relay { url, mood, asked, answers: watch::Sender::new(Vec::new()) };
        let (mood, asked, answers) =
            (relay.mood.clone(), relay.asked.clone(), relay.answers.clone());
        tokio::spawn(async move {
            while let Ok((house, _)) = listener.accept().await {
                let (mood, asked, answers) = (mood.clone(), asked.clone(), answers.clone());
                tokio::spawn(pass(house, port, mood, asked, answers));
            }
        });
        relay
    }

    pub fn is(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Once the house has asked so often.
    pub async fn asked(&self, count: usize) {
        let mut asked = self.asked.subscribe();
        let asked = asked.wait_for(|n| *n >= count);
        tokio::time::timeout(crate::MINUTE, asked).await.unwrap().unwrap();
    }

    /// The answer with this number, from one, whether or not it was passed on.
    pub async fn answered(&self, count: usize) -> String {
        let mut answers = self.answers.subscribe();
        let enough = answers.wait_for(|all| all.len() >= count);
        let all = tokio::time::timeout(crate::MINUTE, enough).await.unwrap().unwrap();
        all[count - 1].clone()
    }
}

async fn pass(
    mut house: TcpStream,
    port: u16,
    mood: watch::Sender<Mood>,
    asked: watch::Sender<usize>,
    answers: watch::Sender<Vec<String>>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !is_whole(&request) {
        if house.read_buf(&mut request).await? == 0 || request.len() > REQUEST_BYTES_MAX {
            return Ok(());
        }
    }
    asked.send_modify(|n| *n += 1);
    let mut signer = TcpStream::connect(("127.0.0.1", port)).await?;
    signer.write_all(&request).await?;
    let mut answer = Vec::new();
    signer.read_to_end(&mut answer).await?;
    answers.send_modify(|all| all.push(String::from_utf8_lossy(&answer).into_owned()));
    if *mood.borrow() == Mood::Passes {
        house.write_all(&answer).await?;
    }
    Ok(())
}

/// Whether head and body have come.
fn is_whole(request: &[u8]) -> bool {
    let Some(head) = request.windows(4).position(|w| w == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
    let length = text.lines().find_map(|l| l.strip_prefix("content-length:"));
    let length: usize = length.map_or(0, |l| l.trim().parse().unwrap());
    request.len() >= head + 4 + length
}
