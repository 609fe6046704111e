//! The whole line over real sockets: encrypted clients, a gateway, a log. What one of them does to
//! its encryption ends its own connection only.

use crate::client::*;
use crate::node::{FakeNode, House, all_records, gateway_options, soon};
use crate::proxy::{Proxy, ROLLED};
use crate::shares::extended;
use gruve_sharelog::Record;
use gruve_stratum::proxy::TrustedNetworks;
use gruve_stratum::v2::{AuthorityKey, NoiseServer};
use gruve_stratum::{GatewayOptions, ListenKind, Listening, limits};
use gruve_units::{Clock as _, Duration, SystemClock, SystemEntropy};
use noise_sv2::{INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE, Initiator, NoiseEngine};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A V2 port.
pub(crate) fn listening() -> (AuthorityKey, Listening) {
    let key = AuthorityKey::from_secret([7; 32]).unwrap();
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let noise = NoiseServer::new(key.clone(), Duration::from_secs(60), clock, entropy);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    (key, Listening::new(listener, ListenKind::V2(Arc::new(noise))))
}

/// A house with a V2 port beside its V1 port.
pub(crate) fn open(dir: &Path) -> (House, SocketAddr, AuthorityKey) {
    open_with(dir, None, |_| {})
}

/// The same behind these proxies, otherwise set up.
fn open_with(
    dir: &Path,
    proxies: Option<TrustedNetworks>,
    set: impl FnOnce(&mut GatewayOptions),
) -> (House, SocketAddr, AuthorityKey) {
    let (key, listening) = listening();
    let mut options = gateway_options();
    options.listeners.push(Listening { proxies, ..listening });
    options.handshake_max = Duration::from_secs(1);
    set(&mut options);
    let node = FakeNode::with(Arc::new(SystemClock), true, HARD);
    let house = House::open_on(node, dir, options);
    let address = house.gateway.addresses()[1];
    (house, address, key)
}

pub(crate) struct Client {
    stream: TcpStream,
    engine: NoiseEngine,
}

impl Client {
    async fn connect(address: SocketAddr, key: &AuthorityKey) -> Result<Client, noise_sv2::Error> {
        let stream = TcpStream::connect(address).await.unwrap();
        Client::over(stream, key).await
    }

    async fn over(mut stream: TcpStream, key: &AuthorityKey) -> Result<Client, noise_sv2::Error> {
        let mut random = crate::noise::Counting(3);
        let mut initiator = Initiator::from_raw_k_with_rng(*key.public(), &mut random).unwrap();
        stream.write_all(&initiator.step_0().unwrap()).await.unwrap();
        let mut answer = [0; INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE];
        soon(stream.read_exact(&mut answer)).await.unwrap();
        let now = u32::try_from(SystemClock.now().secs()).unwrap();
        let engine = initiator.step_2_with_now(answer, now)?;
        Ok(Client { stream, engine })
    }

    /// The same for those who may be turned away.
    pub(crate) async fn try_over(mut stream: TcpStream, key: &AuthorityKey) -> Option<Client> {
        let mut random = crate::noise::Counting(3);
        let mut initiator = Initiator::from_raw_k_with_rng(*key.public(), &mut random).ok()?;
        stream.write_all(&initiator.step_0().ok()?).await.ok()?;
        let mut answer = [0; INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE];
        stream.read_exact(&mut answer).await.ok()?;
        let now = u32::try_from(SystemClock.now().secs()).ok()?;
        let engine = initiator.step_2_with_now(answer, now).ok()?;
        Some(Client { stream, engine })
    }

    /// Says it to who may have hung up.
    pub(crate) async fn try_say(&mut self, frame: &[u8]) -> Option<()> {
        let sealed = self.seal(frame);
        self.stream.write_all(&sealed).await.ok()
    }

    fn seal(&mut self, frame: &[u8]) -> Vec<u8> {
        let (mut header, mut payload) = (frame[..6].to_vec(), frame[6..].to_vec());
        self.engine.encrypt(&mut header).unwrap();
        self.engine.encrypt(&mut payload).unwrap();
        [header, payload].concat()
    }

    pub(crate) async fn say(&mut self, frame: &[u8]) {
        let sealed = self.seal(frame);
        self.stream.write_all(&sealed).await.unwrap();
    }

    /// The next message.
    pub(crate) async fn hear(&mut self) -> Heard {
        let mut header = vec![0; 22];
        soon(self.stream.read_exact(&mut header)).await.unwrap();
        self.engine.decrypt(&mut header).unwrap();
        let length = u32::from_le_bytes([header[3], header[4], header[5], 0]);
        let mut payload = vec![0; usize::try_from(length).unwrap() + 16];
        soon(self.stream.read_exact(&mut payload)).await.unwrap();
        self.engine.decrypt(&mut payload).unwrap();
        hear(&[header, payload].concat()).remove(0)
    }

    /// Set up, with a channel and its first job.
    pub(crate) async fn working(address: SocketAddr, key: &AuthorityKey) -> (Client, Proxy) {
        Client::connect(address, key).await.unwrap().begins().await
    }

    async fn begins(self) -> (Client, Proxy) {
        let mut client = self;
        client.say(&setup(REQUIRES_VERSION_ROLLING)).await;
        assert_eq!(client.hear().await.word(), "setup");
        client.say(&open_extended(1, "alice.rig", 0.0, 0)).await;
        let mut proxy = Proxy::default();
        let heard = [client.hear().await, client.hear().await, client.hear().await];
        assert_eq!(words(&heard), ["open", "future extended job", "prev hash"]);
        proxy.hear(&heard);
        (client, proxy)
    }

    /// The same, whatever else is heard before.
    pub(crate) async fn mines_on(&mut self, proxy: &mut Proxy, from: u32) -> u32 {
        let (share, next) = proxy.mine(1, 1, from);
        self.say(&share).await;
        loop {
            let heard = self.hear().await;
            let is_answer = heard.word() == "accepted";
            assert_ne!(heard.word(), "refused");
            proxy.hear(&[heard]);
            if is_answer {
                return next;
            }
        }
    }

    /// One share, taken.
    pub(crate) async fn mines(&mut self, proxy: &mut Proxy, from: u32) -> u32 {
        let (share, next) = proxy.mine(1, 1, from);
        self.say(&share).await;
        assert_eq!(self.hear().await.word(), "accepted");
        next
    }
}

/// Waits until the other side closes.
async fn closes(stream: &mut TcpStream) {
    soon(async {
        let mut bytes = [0; 1024];
        while !matches!(stream.read(&mut bytes).await, Ok(0) | Err(_)) {}
    })
    .await;
}

#[tokio::test]
async fn an_encrypted_client_mines_and_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (house, address, key) = open(dir.path());
    let (mut client, mut proxy) = Client::working(address, &key).await;
    let (mut other, mut others) = Client::working(address, &key).await;
    let next = client.mines(&mut proxy, 0).await;
    client.mines(&mut proxy, next).await;
    // The same nonces on another connection are other shares.
    other.mines(&mut others, 0).await;
    let shares = all_records(&house.log);
    let shares: Vec<_> = shares
        .iter()
        .filter_map(|r| if let Record::Share(s) = r { Some(s) } else { None })
        .collect();
    assert_eq!(shares.len(), 3);
    assert_ne!(shares[0].extranonce.as_slice()[..4], shares[2].extranonce.as_slice()[..4]);
    let seen = house.gateway.snapshot();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|s| s.user == "alice.rig" && s.user_agent == "Maker M1 1.0"));
    assert_eq!(house.gateway.totals().accepted, 3);
}

#[tokio::test]
async fn failures_of_encryption_end_their_own_connection_only() {
    let dir = tempfile::tempdir().unwrap();
    let (house, address, key) = open(dir.path());
    let (mut honest, mut proxy) = Client::working(address, &key).await;

    // Another key pinned: it is the client that turns away.
    let other = AuthorityKey::from_secret([8; 32]).unwrap();
    assert!(Client::connect(address, &other).await.is_err());

    // A handshake cut, and one that never goes on.
    let mut cut = TcpStream::connect(address).await.unwrap();
    cut.write_all(&[5; 63]).await.unwrap();
    drop(cut);
    let mut silent = TcpStream::connect(address).await.unwrap();
    silent.write_all(&[5; 63]).await.unwrap();
    closes(&mut silent).await;
    let mut mute = Client::connect(address, &key).await.unwrap();
    closes(&mut mute.stream).await;

    // Another protocol.
    let mut plain = TcpStream::connect(address).await.unwrap();
    let line = br#"{"id":1,"method":"mining.subscribe","params":["a longer name than most"]}"#;
    plain.write_all(&[&line[..], b"\n", line].concat()).await.unwrap();
    closes(&mut plain).await;

    // A bit changed in header or payload.
    for at in [3, 40] {
        let (mut client, _) = Client::working(address, &key).await;
        let mut sealed = client.seal(&update(1, 0.0, 0));
        sealed[at] ^= 0x10;
        client.stream.write_all(&sealed).await.unwrap();
        closes(&mut client.stream).await;
    }

    // A share recorded on the wire and sent again.
    let (mut client, mut own) = Client::working(address, &key).await;
    let (share, _) = own.mine(1, 1, 0);
    let sealed = client.seal(&share);
    client.stream.write_all(&sealed).await.unwrap();
    assert_eq!(client.hear().await.word(), "accepted");
    client.stream.write_all(&sealed).await.unwrap();
    closes(&mut client.stream).await;

    // A frame too long: closed by its header, nothing more needs to come.
    let (mut client, _) = Client::working(address, &key).await;
    let mut header = raw_frame(0x8000, 0x1b, &vec![0; limits::V2_FRAME_BYTES_MAX + 1]);
    header.truncate(6);
    client.engine.encrypt(&mut header).unwrap();
    client.stream.write_all(&header).await.unwrap();
    closes(&mut client.stream).await;

    // The honest one never noticed.
    honest.mines(&mut proxy, 0).await;
    assert_eq!(house.gateway.snapshot().len(), 1);
}

#[tokio::test]
async fn behind_a_trusted_proxy_a_v2_client_is_where_the_header_says() {
    let dir = tempfile::tempdir().unwrap();
    let networks = TrustedNetworks(vec!["127.0.0.1".parse().unwrap()]);
    let (house, address, key) = open_with(dir.path(), Some(networks), |_| {});
    let mut stream = TcpStream::connect(address).await.unwrap();
    // PROXY over TCP and IPv4, from 203.0.113.9:4242; in pieces, the last with the client's key.
    let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\x0a\0\0\x01\x10\x92\x0d\x05";
    stream.write_all(&header[..20]).await.unwrap();
    stream.write_all(&header[20..]).await.unwrap();
    let (mut client, mut proxy) = Client::over(stream, &key).await.unwrap().begins().await;
    client.mines(&mut proxy, 0).await;
    assert_eq!(house.gateway.snapshot()[0].peer.to_string(), "203.0.113.9:4242");
    // Without a header the first bytes of a handshake are none, and nobody else is hurt.
    let mut bare = TcpStream::connect(address).await.unwrap();
    bare.write_all(&[5; 64]).await.unwrap();
    closes(&mut bare).await;
    client.mines(&mut proxy, 1 << 20).await;
}

#[tokio::test]
async fn what_shares_are_refused_for_is_counted_under_the_names_that_v1_has() {
    let dir = tempfile::tempdir().unwrap();
    let (house, address, key) = open(dir.path());
    let (mut client, mut proxy) = Client::working(address, &key).await;
    let work = proxy.active(1);
    let good = proxy.mine(1, 1, 0).0;
    client.say(&good).await;
    assert_eq!(client.hear().await.word(), "accepted");
    let mut late = work.clone();
    late.ntime += limits::NTIME_AHEAD_OF_CLOCK_MAX + limits::NTIME_AHEAD_OF_JOB_MAX;
    for (name, frame) in [
        ("ntime", late.submit(1, 0).0),
        ("duplicate", good),
        ("unknown_job", extended(1, work.job + 1, 2, &ROLLED)),
        ("malformed", extended(1, work.job, 3, &ROLLED[..7])),
    ] {
        let count = |figures: &gruve_stratum::GatewayFigures| {
            figures.refused.iter().find(|(own, _)| *own == name).unwrap().1
        };
        assert_eq!(count(&house.gateway.figures()), 0, "{name}");
        client.say(&frame).await;
        assert_eq!(client.hear().await.word(), "refused");
        let counted = async {
            while count(&house.gateway.figures()) == 0 {
                tokio::task::yield_now().await;
            }
        };
        soon(counted).await;
    }
    let figures = house.gateway.figures();
    assert_eq!((figures.accepted, figures.refused.iter().map(|r| r.1).sum::<u64>()), (1, 4));
}

/// Its keys do not leave the process, so a restart cannot keep it.
#[tokio::test]
async fn a_restart_asks_v2_clients_back_to_where_they_are_but_not_the_one_that_fails_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let (house, address, key) = open(dir.path());
    let (mut miner, mut proxy) = Client::working(address, &key).await;
    miner.mines(&mut proxy, 0).await;
    let mut fragile = Client::connect(address, &key).await.unwrap();
    fragile.say(&setup_of("SRI", 0)).await;
    assert_eq!(fragile.hear().await.word(), "setup");
    let left = house.gateway.hand_over().await;
    assert!(left.connections.is_empty());
    let heard = miner.hear().await;
    assert!(matches!(&heard, Heard::Reconnect(host, 0) if host.is_empty()), "{}", heard.word());
    closes(&mut miner.stream).await;
    let mut rest = Vec::new();
    soon(fragile.stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty(), "closed without a word");
}

#[tokio::test]
async fn a_v2_machine_that_comes_back_begins_at_its_class() {
    let dir = tempfile::tempdir().unwrap();
    let (_house, address, key) = open_with(dir.path(), None, |options| {
        options.class_range = (class(2), class(8));
        options.start_class = class(3);
    });
    let (mut client, mut proxy) = Client::working(address, &key).await;
    assert_eq!(proxy.class(1), 3);
    let mut from = 0;
    // So fast that the control goes to the hardest class and settles there.
    for _ in 0..60 {
        from = client.mines_on(&mut proxy, from).await;
    }
    assert_eq!(proxy.class(1), 8);
    drop(client);
    // What it had is noted when its end is seen, or before.
    let comes_back = async {
        loop {
            let (_client, proxy) = Client::working(address, &key).await;
            if proxy.class(1) == 8 {
                return;
            }
        }
    };
    soon(comes_back).await;
}

/// A channel is what a connection is for; proxies may take a quarter of an hour to open theirs, but not
/// where others have no place for it.
#[tokio::test]
async fn who_opens_no_channel_makes_room_where_places_are_short() {
    let dir = tempfile::tempdir().unwrap();
    let (_house, address, key) =
        open_with(dir.path(), None, |options| options.connections_per_address_max = 8);
    let (mut honest, mut proxy) = Client::working(address, &key).await;
    let mut sitting = Vec::new();
    for _ in 0..7 {
        let mut client = Client::connect(address, &key).await.unwrap();
        client.say(&setup(0)).await;
        sitting.push(client);
    }
    let newcomer = soon(async {
        loop {
            let stream = TcpStream::connect(address).await.unwrap();
            if let Some(client) = Client::try_over(stream, &key).await {
                return client;
            }
        }
    })
    .await;
    newcomer.begins().await;
    honest.mines_on(&mut proxy, 0).await;
}
