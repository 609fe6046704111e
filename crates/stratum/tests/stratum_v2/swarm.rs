//! A swarm that attacks a V2 port in every way a stranger can, and an honest client beside it.

use crate::client::*;
use crate::node::all_records;
use crate::proxy::ROLLED;
use crate::shares::extended;
use crate::tcp::{Client, open};
use gruve_sharelog::{Record, ShareRecord};
use gruve_stratum::limits;
use gruve_stratum::v2::AuthorityKey;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Shares the honest client sends while it is attacked.
const SHARES: usize = 60;

/// Tells when to stop, and counts what was done.
#[derive(Clone)]
struct Swarm {
    address: SocketAddr,
    key: AuthorityKey,
    over: Arc<AtomicBool>,
    blows: Arc<AtomicU64>,
}

impl Swarm {
    /// Repeats a blow until all is over; what fails, or takes long, is the attacker's own affair.
    fn attack<F: Future<Output = Option<()>> + Send + 'static>(
        &self,
        tasks: &mut JoinSet<()>,
        blow: impl Fn(Swarm) -> F + Send + 'static,
    ) {
        let swarm = self.clone();
        tasks.spawn(async move {
            while !swarm.over.load(Ordering::Relaxed) {
                let _ = tokio::time::timeout(Duration::from_secs(2), blow(swarm.clone())).await;
                swarm.blows.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    async fn knock(&self) -> Option<TcpStream> {
        TcpStream::connect(self.address).await.ok()
    }

    async fn shake(&self) -> Option<Client> {
        Client::try_over(self.knock().await?, &self.key).await
    }

    /// With a channel of its own and a job on it.
    async fn work(&self) -> Option<Client> {
        let mut client = self.shake().await?;
        client.try_say(&setup(REQUIRES_VERSION_ROLLING)).await?;
        client.try_say(&open_extended(1, "mallory.rig", 0.0, 0)).await?;
        Some(client)
    }
}

fn shares(log: &gruve_sharelog::ShareLog) -> Vec<ShareRecord> {
    let share = |r| if let Record::Share(s) = r { Some(s) } else { None };
    all_records(log).into_iter().filter_map(share).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_v2_client_loses_nothing_while_a_swarm_attacks_in_every_way() {
    let dir = tempfile::tempdir().unwrap();
    let (house, address, key) = open(dir.path());
    let (mut honest, mut proxy) = Client::working(address, &key).await;
    let mut from = honest.mines(&mut proxy, 0).await;
    let swarm = Swarm { address, key, over: Arc::default(), blows: Arc::default() };
    let mut tasks = JoinSet::new();
    // Half a handshake, kept.
    swarm.attack(&mut tasks, |s| async move {
        let mut all = Vec::new();
        for _ in 0..50 {
            let mut stream = s.knock().await?;
            stream.write_all(&[5; 63]).await.ok()?;
            all.push(stream);
        }
        all.iter_mut().for_each(|stream| drop(stream.try_write(&[5])));
        Some(())
    });
    // Handshakes and nothing else, many at once: each costs the server a signature.
    swarm.attack(&mut tasks, |s| async move {
        for _ in 0..20 {
            s.knock().await?.write_all(&[9; 64]).await.ok()?;
        }
        Some(())
    });
    // V1, and sixteen megabytes of nothing.
    swarm.attack(&mut tasks, |s| async move {
        let mut stream = s.knock().await?;
        for _ in 0..256 {
            stream.write_all(&[b'['; 64 << 10]).await.ok()?;
        }
        Some(())
    });
    // Frames that are none, and one that boasts.
    swarm.attack(&mut tasks, |s| async move {
        let mut client = s.shake().await?;
        client.try_say(&raw_frame(0x8000, 0x1b, &[0xff; 100])).await?;
        let mut client = s.work().await?;
        for kind in 0..=u8::MAX {
            client.try_say(&raw_frame(0, kind, &[kind; 40])).await?;
        }
        let mut client = s.work().await?;
        client.try_say(&raw_frame(0x8000, 0x1b, &vec![0; limits::V2_FRAME_BYTES_MAX + 1])).await
    });
    // Channels without end, and an end that never reads.
    swarm.attack(&mut tasks, |s| async move {
        let mut client = s.work().await?;
        for n in 0..300 {
            client.try_say(&open_standard(n, "mallory.hall", 0.0)).await?;
        }
        Some(())
    });
    // Wishes without end.
    swarm.attack(&mut tasks, |s| async move {
        let mut client = s.work().await?;
        for n in 0..200 {
            let k = u8::try_from(n % 8).ok()?;
            client.try_say(&update(1, 1e6 * f32::from(k), k)).await?;
        }
        Some(())
    });
    // Shares of no job, again and again.
    swarm.attack(&mut tasks, |s| async move {
        let mut client = s.work().await?;
        for sequence in 0..400 {
            client.try_say(&extended(1, 9999, sequence, &ROLLED)).await?;
        }
        Some(())
    });
    let mut sent = 1;
    while sent < SHARES || swarm.blows.load(Ordering::Relaxed) < 60 {
        from = honest.mines_on(&mut proxy, from).await;
        sent += 1;
    }
    swarm.over.store(true, Ordering::Relaxed);
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    honest.mines_on(&mut proxy, from).await;
    let all = shares(&house.log);
    let own = all.iter().filter(|s| s.machine == machine("alice.rig")).count();
    assert_eq!(own, sent + 1, "accepted is what is in the log");
    let different: HashSet<_> =
        all.iter().map(|s| (s.job, s.extranonce, s.ntime, s.nonce, s.version)).collect();
    assert_eq!(different.len(), all.len(), "and nothing twice");
}
