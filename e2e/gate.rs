//! A gate before a node: it lets calls through, and keeps found blocks back until it is opened.
#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]

use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Longest request: a block of four million bytes in hexadecimal, and some.
const REQUEST_BYTES_MAX: usize = 10 << 20;

pub struct Gate {
    pub url: String,
    is_open: watch::Sender<bool>,
    held: watch::Sender<Vec<Vec<u8>>>,
}

impl Gate {
    /// Before the node at `node`, as `http://host:port`.
    pub async fn closed_before(node: &str) -> Gate {
        let node: SocketAddr = node.strip_prefix("http://").unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let gate =
            Gate { url, is_open: watch::Sender::new(false), held: watch::Sender::new(vec![]) };
        let (is_open, held) = (gate.is_open.clone(), gate.held.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, node, is_open.clone(), held.clone()));
            }
        });
        gate
    }

    /// From now on blocks go through; those kept back stay where they are.
    pub fn open(&self) {
        self.is_open.send_replace(true);
    }

    /// The blocks kept back, once there are so many.
    pub async fn held(&self, count: usize) -> Vec<Vec<u8>> {
        self.held.subscribe().wait_for(|held| held.len() >= count).await.unwrap().clone()
    }
}

/// One call: clients ask once a connection.
async fn pass(
    mut client: TcpStream,
    node: SocketAddr,
    is_open: watch::Sender<bool>,
    held: watch::Sender<Vec<Vec<u8>>>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let call = loop {
        let read = client.read_buf(&mut request).await?;
        if read == 0 || request.len() > REQUEST_BYTES_MAX {
            return Ok(());
        }
        let body = request.windows(4).position(|w| w == b"\r\n\r\n").map(|at| &request[at + 4..]);
        if let Some(call) = body.and_then(|body| serde_json::from_slice::<Value>(body).ok()) {
            break call;
        }
    };
    if call["method"] == "submitblock" && !*is_open.borrow() {
        let block = hex::decode(call["params"][0].as_str().unwrap_or_default()).unwrap_or_default();
        held.send_modify(|held| held.push(block));
        // No answer ever: the client is still waiting when it dies.
        let mut rest = [0; 1];
        return client.read_exact(&mut rest).await.map(drop);
    }
    let mut node = TcpStream::connect(node).await?;
    node.write_all(&request).await?;
    copy_bidirectional(&mut client, &mut node).await?;
    Ok(())
}
