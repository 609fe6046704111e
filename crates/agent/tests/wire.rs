//! The agent over real wires: machines that speak the vendors' API well and badly, a house that comes and goes.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_agent::api::CgMiner;
use gruve_agent::braiins::BraiinsOs;
use gruve_agent::simulator::{Behaviour, BraiinsMachine, Figures, Machine};
use gruve_agent::spool::{SPOOL_BYTES, Spool};
use gruve_agent::{Agent, Api, Fault, House, HouseError, MachineAddress, Vendor};
use gruve_farm::{Receipt, Report};
use gruve_units::{ManualClock, Timestamp};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const HONEST: Figures =
    Figures { gigahashes: 110_000, watts: 3_250, temperature_c: 71, uptime_s: 3_600 };

/// Far above what a loopback answer takes, far below a test's patience.
const PATIENCE: Duration = Duration::from_millis(1_500);

async fn machine(behaviour: Behaviour) -> Machine {
    Machine::start(behaviour).await.unwrap()
}

async fn asked(behaviour: Behaviour) -> Result<gruve_farm::Said, Fault> {
    let machine = machine(behaviour).await;
    CgMiner::within(PATIENCE).ask(&machine.address()).await
}

#[tokio::test]
async fn an_honest_machine_is_read_over_the_vendors_own_wire() {
    let said = asked(Behaviour::Answers(HONEST)).await.unwrap();
    assert_eq!(said.hashes_per_second, Some(110_000_000_000_000));
    assert_eq!((said.watts, said.temperature_c), (Some(3_250), Some(71)));
    assert_eq!((said.fans_rpm, said.uptime_s), (vec![5_880, 6_000], Some(3_600)));
}

#[tokio::test]
async fn a_machine_that_misbehaves_costs_its_own_reading_within_bounds() {
    assert_eq!(asked(Behaviour::Silent).await, Err(Fault::Slow));
    assert_eq!(asked(Behaviour::Slow).await, Err(Fault::Slow));
    assert_eq!(asked(Behaviour::Garbage).await, Err(Fault::Garbage));
    assert_eq!(asked(Behaviour::Endless).await, Err(Fault::Endless));
    assert_eq!(asked(Behaviour::Refuses).await, Err(Fault::Refused("Access denied".to_owned())));
    let gone = machine(Behaviour::Silent).await.address();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_ne!(gone, port.to_string());
    let nobody = CgMiner::within(PATIENCE).ask(&port.to_string()).await;
    assert_eq!(nobody, Err(Fault::Unreachable));
}

#[tokio::test]
async fn a_machine_under_braiins_os_is_logged_in_to_once_and_tells_its_power() {
    let machine = BraiinsMachine::start(Behaviour::Answers(HONEST), "secret").await.unwrap();
    let vendor = BraiinsOs::new("secret\n").within(PATIENCE);
    for _ in 0..3 {
        let said = vendor.ask(&machine.address()).await.unwrap();
        assert_eq!(said.hashes_per_second, Some(110_000_000_000_000));
        assert_eq!((said.watts, said.temperature_c), (Some(3_250), Some(71)));
        assert_eq!((said.fans_rpm, said.uptime_s), (vec![5_880, 6_000], Some(3_600)));
    }
    assert_eq!(machine.logins(), 1);
    machine.forget_tokens();
    assert_eq!(vendor.ask(&machine.address()).await.unwrap().watts, Some(3_250));
    assert_eq!(machine.logins(), 2, "once more, and not for each question");
    let wrong = BraiinsOs::new("").within(PATIENCE).ask(&machine.address()).await;
    assert_eq!(wrong, Err(Fault::Refused("the password is not right".to_owned())));
}

#[tokio::test]
async fn a_machine_under_braiins_os_that_misbehaves_costs_its_own_reading_within_bounds() {
    let asked = async |behaviour| {
        let machine = BraiinsMachine::start(behaviour, "").await.unwrap();
        BraiinsOs::new("").within(PATIENCE).ask(&machine.address()).await
    };
    assert_eq!(asked(Behaviour::Silent).await, Err(Fault::Slow));
    assert_eq!(asked(Behaviour::Slow).await, Err(Fault::Slow));
    assert_eq!(asked(Behaviour::Garbage).await, Err(Fault::Garbage));
    assert_eq!(asked(Behaviour::Endless).await, Err(Fault::Endless));
    assert!(matches!(asked(Behaviour::Refuses).await, Err(Fault::Refused(_))));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let gone = BraiinsOs::new("").within(PATIENCE).ask(&address).await;
    assert_eq!(gone, Err(Fault::Unreachable));
}

#[tokio::test]
async fn each_machine_of_a_site_is_asked_by_its_own_api() {
    let (old, new) = (
        machine(Behaviour::Answers(HONEST)).await,
        BraiinsMachine::start(Behaviour::Answers(HONEST), "").await.unwrap(),
    );
    let heard = Arc::new(Mutex::new(Heard::default()));
    let port = house(heard.clone(), None).await;
    let dir = tempfile::tempdir().unwrap();
    let at =
        |serial: &str, address, api| MachineAddress { serial: serial.to_owned(), address, api };
    let machines = vec![
        at("SN0", old.address(), Api::Cgminer),
        at("SN1", new.address(), Api::BraiinsOs),
        // Asked by what it does not speak.
        at("SN2", new.address(), Api::Cgminer),
    ];
    let house = House::new(&format!("http://127.0.0.1:{port}"), None, "right\n").unwrap();
    let spool = Spool::open(dir.path(), SPOOL_BYTES).unwrap();
    let cgminer = Arc::new(CgMiner::within(PATIENCE));
    let braiins = Arc::new(BraiinsOs::new("").within(PATIENCE));
    let mut agent =
        Agent::new(machines, cgminer, house, spool, clock()).with(Api::BraiinsOs, braiins);
    let round = agent.round().await.unwrap();
    assert_eq!((round.answered, round.silent, round.sent), (2, 1, 3));
    let mut told = heard.lock().unwrap().serials.clone();
    told.sort_by(|a, b| a.1.cmp(&b.1));
    let said: Vec<bool> = told.iter().map(|(_, _, said)| *said).collect();
    assert_eq!(said, [true, true, false]);
}

/// What a house of the test has heard.
#[derive(Default)]
struct Heard {
    next: u64,
    serials: Vec<(u64, String, bool)>,
    /// How many reports it takes and does not say so.
    swallow: usize,
}

/// A house that keeps the promise about numbers and nothing else; `None` when its answer is swallowed.
fn hear(heard: &Mutex<Heard>, request: &str) -> Option<(u16, String)> {
    let mut heard = heard.lock().unwrap();
    if !request.contains("authorization: Bearer right\r\n") {
        return Some((401, "{}".to_owned()));
    }
    if request.starts_with("GET ") {
        return Some((200, format!("{{\"next\":{}}}", heard.next)));
    }
    let body = request.split_once("\r\n\r\n").unwrap().1;
    let report: Report = serde_json::from_str(body).unwrap();
    let mut taken = 0;
    for s in report.samples.iter().filter(|s| s.seq >= heard.next).collect::<Vec<_>>() {
        heard.next = s.seq + 1;
        heard.serials.push((s.seq, s.serial.clone(), s.said.is_some()));
        taken += 1;
    }
    if heard.swallow > 0 {
        heard.swallow -= 1;
        return None;
    }
    let receipt = Receipt { next: heard.next, taken, refused: 0 };
    Some((200, serde_json::to_string(&receipt).unwrap()))
}

async fn serve_one(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    heard: &Mutex<Heard>,
) -> std::io::Result<()> {
    let (mut text, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let whole = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = whole.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |l| l.parse().unwrap()) {
                let Some((status, body)) = hear(heard, &whole) else { return Ok(()) };
                let answer = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await?;
                return stream.shutdown().await;
            }
        }
        match stream.read(&mut piece).await? {
            0 => return Ok(()),
            n => text.extend_from_slice(&piece[..n]),
        }
    }
}

async fn house(heard: Arc<Mutex<Heard>>, tls: Option<TlsAcceptor>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (heard, tls) = (heard.clone(), tls.clone());
            tokio::spawn(async move {
                let _ = match tls {
                    None => serve_one(stream, &heard).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => serve_one(stream, &heard).await,
                        Err(e) => Err(e),
                    },
                };
            });
        }
    });
    port
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)))
}

fn agent(machines: &[&Machine], url: &str, spool: &Path) -> Agent {
    let address = |(n, m): (usize, &&Machine)| MachineAddress {
        serial: format!("SN{n}"),
        address: m.address(),
        api: Api::Cgminer,
    };
    let machines = machines.iter().enumerate().map(address).collect();
    let house = House::new(url, None, "right\n").unwrap();
    let spool = Spool::open(spool, SPOOL_BYTES).unwrap();
    Agent::new(machines, Arc::new(CgMiner::within(PATIENCE)), house, spool, clock())
}

#[tokio::test]
async fn a_cut_line_a_lost_answer_and_a_restart_lose_nothing_and_double_nothing() {
    let (good, bad) =
        (machine(Behaviour::Answers(HONEST)).await, machine(Behaviour::Garbage).await);
    let dir = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = nobody.local_addr().unwrap().port();
    drop(nobody);
    let mut cut = agent(&[&good, &bad], &format!("http://127.0.0.1:{closed}"), dir.path());
    for n in 1..=3 {
        let round = cut.round().await.unwrap();
        assert_eq!((round.answered, round.silent, round.sent, round.waiting), (1, 1, 0, 2 * n));
    }
    // It dies; the line is mended; the first answer is lost on its way.
    drop(cut);
    let heard = Arc::new(Mutex::new(Heard { swallow: 1, ..Heard::default() }));
    let port = house(heard.clone(), None).await;
    let mut back = agent(&[&good, &bad], &format!("http://127.0.0.1:{port}"), dir.path());
    let lost = back.round().await.unwrap();
    assert_eq!((lost.sent, lost.waiting), (0, 8), "taken, but nobody said so");
    let round = back.round().await.unwrap();
    assert_eq!((round.sent, round.waiting), (10, 0));
    let heard = heard.lock().unwrap();
    let numbers: Vec<u64> = heard.serials.iter().map(|s| s.0).collect();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    assert_eq!(heard.serials.iter().filter(|s| s.2).count(), 5, "each round's good one");
}

#[tokio::test]
async fn an_agent_whose_disk_was_lost_goes_on_where_the_house_is() {
    let good = machine(Behaviour::Answers(HONEST)).await;
    let heard = Arc::new(Mutex::new(Heard { next: 700, ..Heard::default() }));
    let port = house(heard.clone(), None).await;
    let dir = tempfile::tempdir().unwrap();
    let mut fresh = agent(&[&good], &format!("http://127.0.0.1:{port}"), dir.path());
    assert_eq!(fresh.round().await.unwrap().sent, 1);
    assert_eq!(heard.lock().unwrap().serials[0].0, 700);
}

#[tokio::test]
async fn over_https_only_a_house_that_the_authorities_vouch_for_is_told() {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let authorities = dir.path().join("ca.pem");
    std::fs::write(&authorities, signed.cert.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let chain = vec![CertificateDer::from(signed.cert.der().to_vec())];
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let port = house(Arc::default(), Some(TlsAcceptor::from(Arc::new(config)))).await;
    let to = |name: &str, token: &str| {
        House::new(&format!("https://{name}:{port}"), Some(&authorities), token).unwrap()
    };
    assert_eq!(to("localhost", "right").next().await.unwrap(), 0);
    assert!(matches!(to("localhost", "wrong").next().await, Err(HouseError::WrongToken)));
    let other_name = to("127.0.0.1", "right").next().await;
    assert!(matches!(other_name, Err(HouseError::Unreachable(_))));
    // Plain text to the same port, and an authority that has not signed it.
    let plain = House::new(&format!("http://localhost:{port}"), None, "right").unwrap();
    assert!(plain.next().await.is_err());
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&authorities, stranger.cert.pem()).unwrap();
    assert!(matches!(to("localhost", "right").next().await, Err(HouseError::Unreachable(_))));
    for bad in ["localhost", "ftp://x", "https://", "https://a/b", "http://a b"] {
        assert!(House::new(bad, None, "t").is_err(), "{bad}");
    }
}
