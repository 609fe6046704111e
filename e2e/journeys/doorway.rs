//! Between a browser and the house: passes requests on, loses the line, or answers for a house that restarts.

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Longest head of a request.
const HEAD_BYTES_MAX: usize = 64 * 1024;

const UNAVAILABLE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Open,
    /// Nothing comes through, and what was open is cut.
    Shut,
    /// Every request is answered by a proxy whose house does not run.
    Unattended,
}

pub struct Doorway {
    pub home: String,
    door: watch::Sender<Door>,
    turned_away: watch::Sender<usize>,
}

impl Doorway {
    /// Before the house at this address.
    pub async fn before(home: &str) -> Doorway {
        let house = home.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let home = format!("http://{}", listener.local_addr().unwrap());
        let doorway = Doorway {
            home,
            door: watch::Sender::new(Door::Open),
            turned_away: watch::Sender::new(0),
        };
        let (door, turned_away) = (doorway.door.clone(), doorway.turned_away.clone());
        tokio::spawn(async move {
            while let Ok((visitor, _)) = listener.accept().await {
                let mut shut = door.subscribe();
                let (house, turned_away) = (house.clone(), turned_away.clone());
                tokio::spawn(async move {
                    let is = *shut.borrow_and_update();
                    let passing = pass(visitor, &house, is, &turned_away);
                    // Whatever changes ends what is open.
                    tokio::select! { _ = passing => {}, _ = shut.changed() => {} }
                });
            }
        });
        doorway
    }

    pub fn is(&self, door: Door) {
        self.door.send_replace(door);
    }

    /// Streams of events that were answered for the house so far.
    pub fn turned_away(&self) -> usize {
        *self.turned_away.borrow()
    }
}

async fn pass(
    mut visitor: TcpStream,
    house: &str,
    door: Door,
    turned_away: &watch::Sender<usize>,
) -> std::io::Result<()> {
    match door {
        Door::Shut => Ok(()),
        Door::Open => {
            let mut house = TcpStream::connect(house).await?;
            copy_bidirectional(&mut visitor, &mut house).await.map(drop)
        }
        Door::Unattended => {
            let mut head = Vec::new();
            while !head.windows(4).any(|w| w == b"\r\n\r\n") {
                if visitor.read_buf(&mut head).await? == 0 || head.len() > HEAD_BYTES_MAX {
                    return Ok(());
                }
            }
            visitor.write_all(UNAVAILABLE).await?;
            visitor.shutdown().await?;
            let asked = usize::from(head.starts_with(b"GET /events "));
            turned_away.send_modify(|n| *n += asked);
            Ok(())
        }
    }
}
