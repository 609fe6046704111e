use super::super::receipts::RecordShelf;
use super::*;
use ed25519_dalek::SigningKey;
use gruve_proof::log::{KeyChange, LogHead};
use gruve_proof::publish::Publisher;
use gruve_proof::verify::{FolderSource, Options, Source, verify};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::sync::Mutex;

const ORIGIN: &str = "log.example";

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn head() -> Vec<u8> {
    let operator_key = key(1).verifying_key().to_bytes();
    LogHead { origin: ORIGIN.into(), operator_key, recovery_key: [0; 32] }.canonical()
}

/// A published log with so many changes of keys behind its head, and its shelf.
fn published(folder: &Path, changes: u8) -> Arc<RecordShelf> {
    let (shelf, entries) = not_read_in(folder, changes);
    shelf.take(0, &entries).unwrap();
    shelf
}

/// The same, as it is before the publisher has read it in after a start: with what it will read.
fn not_read_in(folder: &Path, changes: u8) -> (Arc<RecordShelf>, Vec<Vec<u8>>) {
    let mut entries = vec![head()];
    for n in 1..=changes {
        let at = entries.len() as u64;
        entries.push(KeyChange::sign(ORIGIN, at, &key(n), &key(n + 1)).canonical());
    }
    Publisher::open(folder, ORIGIN, key(changes + 1), &entries).unwrap();
    let shelf = RecordShelf::new(folder.to_owned(), folder.join("kept"), ORIGIN.into(), [0; 32]);
    (Arc::new(shelf), entries)
}

fn config(url: String) -> MirrorConfig {
    MirrorConfig { url, ..MirrorConfig::default() }
}

fn holds(source: &dyn Source) -> u64 {
    verify(source, &Options::default(), &mut |_| ()).unwrap().entries
}

#[tokio::test]
async fn a_folder_follows_and_another_history_is_left_alone() {
    let (house, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let url = format!("file://{}", copy.path().display());
    for changes in [0, 1, 1, 4] {
        let shelf = published(house.path(), changes);
        // A mirror that has forgotten where it was, as after a start.
        let mut mirror = Mirror::open(&config(url.clone()), shelf).unwrap();
        mirror.catch_up().await.unwrap();
        assert_eq!(holds(&FolderSource(copy.path().to_owned())), u64::from(changes) + 1);
    }
    let other = tempfile::tempdir().unwrap();
    let shorter = published(other.path(), 2);
    let mut mirror = Mirror::open(&config(url), shorter).unwrap();
    assert!(matches!(mirror.catch_up().await, Err(MirrorError::Contradicts(_))));
    assert_eq!(holds(&FolderSource(copy.path().to_owned())), 5, "it stays as it was");
}

#[tokio::test]
async fn after_a_start_nothing_is_compared_before_the_log_is_read_in() {
    let (house, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let url = format!("file://{}", copy.path().display());
    let before = published(house.path(), 1);
    Mirror::open(&config(url.clone()), before).unwrap().catch_up().await.unwrap();

    let (shelf, entries) = not_read_in(house.path(), 3);
    let mut mirror = Mirror::open(&config(url), shelf.clone()).unwrap();
    mirror.catch_up().await.unwrap();
    assert_eq!(holds(&FolderSource(copy.path().to_owned())), 2);
    shelf.take(0, &entries).unwrap();
    mirror.catch_up().await.unwrap();
    assert_eq!(holds(&FolderSource(copy.path().to_owned())), 4);
}

/// What a bucket was given, and in which order.
#[derive(Default)]
struct Given {
    files: BTreeMap<String, Bytes>,
    order: Vec<String>,
}

#[derive(Clone, Default)]
struct Bucket(Arc<Mutex<Given>>);

impl Bucket {
    async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let path = request.uri().path().to_owned();
        let signed = request.headers().get("authorization").and_then(|v| v.to_str().ok());
        let is_signed = signed.is_some_and(|s| s.starts_with("AWS4-HMAC-SHA256 Credential=key/"));
        let method = request.method().clone();
        let body = request.into_body().collect().await?.to_bytes();
        let mut own = self.0.lock().unwrap();
        let (status, body) = match own.files.get(&path).cloned() {
            _ if !is_signed => (StatusCode::FORBIDDEN, Bytes::new()),
            _ if method == Method::PUT => {
                own.files.insert(path.clone(), body);
                own.order.push(path);
                (StatusCode::OK, Bytes::new())
            }
            Some(found) => (StatusCode::OK, found),
            None => (StatusCode::NOT_FOUND, Bytes::new()),
        };
        let length = body.len();
        let body = if method == Method::HEAD { Bytes::new() } else { body };
        let answer = Response::builder().status(status).header("etag", "\"x\"");
        let answer = answer.header("last-modified", "Sat, 21 Nov 2026 15:00:00 GMT");
        Ok(answer.header("content-length", length).body(Full::new(body)).unwrap())
    }

    async fn serve(self, listener: tokio::net::TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let own = self.clone();
            let service = service_fn(move |r| own.clone().answer(r));
            let serving = hyper::server::conn::http1::Builder::new();
            tokio::spawn(serving.serve_connection(TokioIo::new(stream), service));
        }
    }
}

impl Source for Bucket {
    fn open(&self, path: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        let bytes = self.0.lock().unwrap().files.get(&format!("/public/of/gruve/{path}")).cloned();
        Ok(bytes.map(|b| Box::new(Cursor::new(b)) as Box<dyn Read + Send>))
    }

    fn list(&self, _: u64) -> io::Result<Option<Vec<String>>> {
        Ok(None)
    }
}

#[tokio::test]
async fn a_bucket_gets_signed_requests_and_the_head_last() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let bucket = Bucket::default();
    tokio::spawn(bucket.clone().serve(listener));
    let house = tempfile::tempdir().unwrap();
    let keys = house.path().join("keys");
    std::fs::write(&keys, "key\nsecret\n").unwrap();
    let config = MirrorConfig {
        url: "s3://public/of/gruve".into(),
        endpoint: Some(endpoint),
        keys_file: Some(keys),
        ..MirrorConfig::default()
    };
    for changes in [0, 3] {
        let shelf = published(&house.path().join("record"), changes);
        let accepted = house.path().join("record/accepted/btc");
        std::fs::create_dir_all(&accepted).unwrap();
        let note = format!("note {changes}");
        for (name, text) in [("7.leaves", "leaves"), ("7", note.as_str()), ("range", "7 7\n")] {
            std::fs::write(accepted.join(name), text).unwrap();
        }
        let mut mirror = Mirror::open(&config, shelf).unwrap();
        mirror.catch_up().await.unwrap();
        assert_eq!(holds(&bucket), u64::from(changes) + 1);
        let there = |name: &str| {
            let path = format!("/public/of/gruve/accepted/btc/{name}");
            bucket.0.lock().unwrap().files.get(&path).cloned()
        };
        assert_eq!(there("7").as_deref(), Some(&b"note 0"[..]), "what is there stays");
        assert_eq!(there("7.leaves").as_deref(), Some(&b"leaves"[..]));
        assert_eq!(there("range").as_deref(), Some(&b"7 7\n"[..]));
        let last = bucket.0.lock().unwrap().order.last().cloned();
        assert_eq!(last.as_deref(), Some("/public/of/gruve/checkpoint"));
    }
}
