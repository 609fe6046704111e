//! Connections that mean no good, over TCP.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, dead_code)]

mod house;

use gruve_web::{ConnectionLimits, WebConfig};
use house::House;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Everything waited for happens within this.
const PATIENCE: Duration = Duration::from_secs(60);
const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: gruve.test\r\n\r\n";

struct Served {
    _house: House,
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
    _server: JoinHandle<std::io::Result<()>>,
}

/// Bounds so small that a test meets them.
fn limits() -> ConnectionLimits {
    ConnectionLimits {
        all_max: 8,
        address_max: 4,
        head_within: Duration::from_millis(300),
        write_within: Duration::from_millis(300),
    }
}

async fn served(config: WebConfig) -> Served {
    let house = House::with(config).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(gruve_web::serve(listener, house.state.clone(), async {
        // Ends with the test.
        let _ = stopped.await;
    }));
    Served { _house: house, address, _stop: stop, _server: server }
}

/// A connection from one of the loopback's addresses, which takes little unread.
async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(to).await.unwrap()
}

/// Whether this connection is answered; not when it is closed before.
async fn is_answered(stream: &mut TcpStream) -> bool {
    let mut seen = [0; 12];
    let asked = stream.write_all(REQUEST).await.is_ok();
    asked && stream.read_exact(&mut seen).await.is_ok() && seen.ends_with(b"200")
}

/// Waits until the server has closed it.
async fn closed(mut stream: TcpStream) {
    let mut all = Vec::new();
    // Closed in order or reset: both are an end.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("not closed");
}

#[tokio::test]
async fn an_address_has_its_share_of_the_connections_and_no_more() {
    let patient = Duration::from_secs(600);
    let limits = ConnectionLimits { head_within: patient, ..limits() };
    let served = served(WebConfig { limits, ..WebConfig::default() }).await;
    let mut held = Vec::new();
    for _ in 0..limits.address_max {
        let mut stream = connect("127.0.0.1", served.address).await;
        assert!(is_answered(&mut stream).await);
        held.push(stream);
    }
    for _ in 0..20 {
        assert!(!is_answered(&mut connect("127.0.0.1", served.address).await).await);
    }
    assert!(is_answered(&mut connect("127.0.0.2", served.address).await).await);
}

#[tokio::test]
async fn a_trusted_proxy_may_hold_any_number() {
    let patient = Duration::from_secs(600);
    let limits = ConnectionLimits { head_within: patient, ..limits() };
    let trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let served = served(WebConfig { limits, trusted_proxies, ..WebConfig::default() }).await;
    let mut held = Vec::new();
    for _ in 0..limits.address_max + 2 {
        let mut stream = connect("127.0.0.1", served.address).await;
        assert!(is_answered(&mut stream).await);
        held.push(stream);
    }
}

/// Where the style sheet is.
async fn style(address: SocketAddr) -> String {
    let mut stream = connect("127.0.0.2", address).await;
    let request = b"GET / HTTP/1.1\r\nHost: gruve.test\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    let start = page.find("/assets/").unwrap();
    let end = start + page[start..].find('"').unwrap();
    page[start..end].to_owned()
}

#[tokio::test]
async fn clients_that_never_read_do_not_close_the_dashboards() {
    let limits = ConnectionLimits { address_max: 8, head_within: PATIENCE, ..limits() };
    let served = served(WebConfig { limits, ..WebConfig::default() }).await;
    let style = style(served.address).await;
    let mut deaf = Vec::new();
    for _ in 0..limits.all_max {
        let stream = connect("127.0.0.1", served.address).await;
        let (reading, mut writing) = stream.into_split();
        // Asks for far more than buffers hold, and reads nothing of it.
        let request = format!("GET {style} HTTP/1.1\r\nHost: gruve.test\r\n\r\n").repeat(64);
        let request = request.into_bytes();
        deaf.push((
            reading,
            tokio::spawn(async move { while writing.write_all(&request).await.is_ok() {} }),
        ));
    }
    // Every place is taken; they are given back when the clients have taken nothing for a while.
    let answered =
        async { while !is_answered(&mut connect("127.0.0.2", served.address).await).await {} };
    tokio::time::timeout(PATIENCE, answered).await.expect("the dashboards are closed");
    for (_, writing) in deaf {
        tokio::time::timeout(PATIENCE, writing).await.expect("not closed").unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_asks_nothing_or_half_a_question_is_closed() {
    let served = served(WebConfig { limits: limits(), ..WebConfig::default() }).await;
    closed(connect("127.0.0.1", served.address).await).await;
    let mut half = connect("127.0.0.1", served.address).await;
    half.write_all(&REQUEST[..30]).await.unwrap();
    closed(half).await;
    let mut idle = connect("127.0.0.1", served.address).await;
    assert!(is_answered(&mut idle).await);
    closed(idle).await;
}

/// An answer's status line and the rest.
async fn asked(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut all)).await.unwrap().unwrap();
    let (status, rest) = all.split_once("\r\n").unwrap();
    (status.to_owned(), rest.to_owned())
}

#[tokio::test]
async fn single_machines_are_told_to_the_operator_at_an_address_of_their_own_and_for_the_token() {
    let served = served(WebConfig { are_metrics_elsewhere: true, ..WebConfig::default() }).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap();
    let token = "0123456789abcdef".to_owned();
    let (state, (_stop, stopped)) = (served._house.state.clone(), oneshot::channel::<()>());
    tokio::spawn(gruve_web::serve_metrics(listener, state, Some(token), async {
        // Ends with the test.
        let _ = stopped.await;
    }));
    let get = |path: &str, token: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: gruve.test\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        )
    };
    let right = "0123456789abcdef";
    let (status, page) = asked(own, &get("/metrics", right)).await;
    assert!(status.contains("200") && page.contains("machine=\"rack1-01\""), "{status}\n{page}");
    let (_, body) = page.split_once("\r\n\r\n").unwrap();
    if !page.contains("chunked") {
        house::prometheus::read(body).unwrap_or_else(|e| panic!("{e}\n{body}"));
    }
    for wrong in ["", "0123456789abcdeF", "0123456789abcdef0"] {
        let (status, page) = asked(own, &get("/metrics", wrong)).await;
        assert!(status.contains("401") && !page.contains("rack1-01"), "{wrong}: {status}");
    }
    let (status, _) = asked(own, &get("/", right)).await;
    assert!(status.contains("404"), "nothing else is served there: {status}");
    let (status, _) = asked(served.address, &get("/metrics", right)).await;
    assert!(status.contains("404"), "the site has none then: {status}");
}
