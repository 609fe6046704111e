//! The ways to a signer: files in a folder, and HTTP, with what goes wrong on them.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use gruve_treasury::{FolderDoor, HttpDoor, Secret, SignerDoor as _, SignerWord};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn an_order_lies_whole_in_the_folder_until_its_answer_does() {
    let dir = tempfile::tempdir().unwrap();
    assert!(FolderDoor::open(&dir.path().join("none")).is_err());
    let door = FolderDoor::open(dir.path()).unwrap();
    assert_eq!(door.ask("BTC-1-0", b"order").await.unwrap(), SignerWord::Waits);
    let order = dir.path().join("BTC-1-0.psbt");
    assert_eq!(std::fs::read(&order).unwrap(), b"order");
    // Somebody took it away, or a copy was torn: it is put there again.
    std::fs::write(&order, b"or").unwrap();
    assert_eq!(door.ask("BTC-1-0", b"order").await.unwrap(), SignerWord::Waits);
    assert_eq!(std::fs::read(&order).unwrap(), b"order");
    std::fs::write(&order, b"0rder").unwrap();
    assert_eq!(door.ask("BTC-1-0", b"order").await.unwrap(), SignerWord::Waits);
    assert_eq!(std::fs::read(&order).unwrap(), b"order", "changed by somebody");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
    std::fs::write(dir.path().join("BTC-1-0.refused.txt"), "above the limit\n").unwrap();
    let said = door.ask("BTC-1-0", b"order").await.unwrap();
    assert_eq!(said, SignerWord::Refused("above the limit".into()));
    std::fs::write(dir.path().join("BTC-1-0.signed.psbt"), b"answer").unwrap();
    let said = door.ask("BTC-1-0", b"order").await.unwrap();
    assert_eq!(said, SignerWord::Signed(b"answer".to_vec()));
    assert_eq!(
        door.ask("BTC-2-0", b"other").await.unwrap(),
        SignerWord::Waits,
        "its own answer only"
    );
    door.over("BTC-1-0").await;
    door.over("BTC-1-0").await;
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    drop(dir);
    assert!(door.ask("BTC-3-0", b"order").await.is_err());
}

/// Whoever may write into the folder may leave links and pipes there.
#[tokio::test]
async fn what_lies_in_the_folder_leads_nowhere_else_and_is_not_waited_for() {
    let (dir, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let door = FolderDoor::open(dir.path()).unwrap();
    let precious = home.path().join("gruve.db");
    std::fs::write(&precious, b"the books").unwrap();
    let link = |name: &str| {
        std::os::unix::fs::symlink(&precious, dir.path().join(name)).unwrap();
    };
    for name in [".BTC-1-0.psbt.draft", "BTC-1-0.psbt"] {
        link(name);
        assert_eq!(door.ask("BTC-1-0", b"order").await.unwrap(), SignerWord::Waits);
        assert_eq!(std::fs::read(&precious).unwrap(), b"the books", "{name}");
        assert_eq!(std::fs::read(dir.path().join("BTC-1-0.psbt")).unwrap(), b"order");
        std::fs::remove_file(dir.path().join("BTC-1-0.psbt")).unwrap();
    }
    link("BTC-2-0.signed.psbt");
    let said = door.ask("BTC-2-0", b"order").await.unwrap();
    assert!(matches!(said, SignerWord::Refused(_)), "{said:?}");
    let pipe = dir.path().join("BTC-3-0.signed.psbt");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let asked = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        door.ask("BTC-3-0", b"order").await
    });
    assert!(matches!(asked.await.unwrap().unwrap(), SignerWord::Refused(_)));
    door.over("BTC-2-0").await;
    assert_eq!(std::fs::read(&precious).unwrap(), b"the books");
}

#[derive(Default)]
struct Seen {
    orders: Vec<(String, String, Vec<u8>)>,
    says: Option<(StatusCode, &'static str)>,
}

async fn hear(
    State(seen): State<Arc<Mutex<Seen>>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let word = |name: &str| headers[name].to_str().unwrap().to_owned();
    let mut seen = seen.lock().unwrap();
    seen.orders.push((word("x-gruve-order"), word("authorization"), body.to_vec()));
    seen.says.unwrap()
}

#[tokio::test]
async fn what_an_address_answers_is_a_signature_a_wait_a_no_or_nothing() {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let app = Router::new().route("/sign", post(hear)).with_state(seen.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sign", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let door = HttpDoor::open(&url, Secret::new("token"), Path::new("")).unwrap();
    let ask = async |status: u16, text: &'static str| {
        seen.lock().unwrap().says = Some((StatusCode::from_u16(status).unwrap(), text));
        door.ask("BTC-1-0", b"order").await
    };
    assert_eq!(ask(200, "answer").await.unwrap(), SignerWord::Signed(b"answer".to_vec()));
    assert_eq!(ask(202, "").await.unwrap(), SignerWord::Waits);
    assert_eq!(
        ask(422, "above the limit").await.unwrap(),
        SignerWord::Refused("above the limit".into())
    );
    for status in [301, 401, 403, 404, 429, 500, 503] {
        assert!(ask(status, "x").await.is_err(), "{status} is no word about the order");
    }
    let first = seen.lock().unwrap().orders[0].clone();
    assert_eq!(first, ("BTC-1-0".into(), "Bearer token".into(), b"order".to_vec()));
    serving.abort();
    let _ = serving.await;
    assert!(door.ask("BTC-1-0", b"order").await.is_err());
    assert!(!format!("{door:?}").contains("token"));
}

/// A signer that takes the connection and says nothing, and one that stops in the middle of its answer.
#[tokio::test]
async fn an_address_that_never_answers_is_given_up_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let halting = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let places = [&silent, &halting].map(|l| format!("http://{}/sign", l.local_addr().unwrap()));
    let serving = tokio::spawn(async move {
        let (mut stream, _) = halting.accept().await.unwrap();
        // Answered before it is asked, it would be no answer. Whoever asked may have gone by now.
        let _ = stream.read(&mut [0; 64]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nans").await;
        std::future::pending::<()>().await;
    });
    for url in places {
        let door = HttpDoor::open(&url, Secret::new("token"), Path::new("")).unwrap();
        let hasty = door.within(Duration::from_millis(50));
        assert_eq!(hasty.ask("BTC-1-0", b"order").await.unwrap_err(), "it took too long");
    }
    serving.abort();
}
