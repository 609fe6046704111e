//! `gruve signer serve`: signs orders as they come, without a person, within limits that must be given.
//!
//! | way | what it does |
//! |---|---|
//! | `--folder` | looks every second; signs `NAME.psbt` as `NAME.signed.psbt`, or says why not in `NAME.refused.txt` and looks again a minute later |
//! | `--listen` | answers `POST` with the token: 200 and the signed PSBT, or 422 and why not |
//!
//! Promises: whoever may send orders gets no more signed than the limits allow, and cannot hold up, fill or crash the
//! signer; the same order gives the same bytes however often it comes, also after a kill at any instant, and counts once.

use super::{KeyFile, Limits, Signing, WalletArgs};
use bytes::Bytes;
use gruve_treasury::exchange::{put, remove, take};
use gruve_treasury::order::{PSBT_BYTES_MAX, Shown, read};
use gruve_units::{Clock, SystemClock};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// How often a folder is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A refused order is looked at again after so long: a day's limit passes.
const REFUSED_FOR: Duration = Duration::from_secs(60);
/// Files of a folder that are looked at: a house has two hundred transactions under way at most.
const FILES_MAX: usize = 2_000;
/// Connections at once: a house has one.
const CONNECTIONS_MAX: usize = 8;
/// A request's head, and its body, must have come by then: the house waits ten seconds in all.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// An order may be written as Base64, with line ends.
const ORDER_BYTES_MAX: usize = PSBT_BYTES_MAX * 2;
/// A token shorter than this is guessed.
const TOKEN_CHARS_MIN: usize = 16;

/// `gruve signer serve`
#[derive(Clone, Debug, clap::Args)]
pub struct ServeArgs {
    /// Whose key.
    #[command(flatten)]
    key: KeyFile,
    /// Of which wallet.
    #[command(flatten)]
    wallet: WalletArgs,
    /// The folder that orders are put into.
    #[arg(
        long,
        value_name = "FOLDER",
        conflicts_with = "listen",
        required_unless_present = "listen"
    )]
    folder: Option<PathBuf>,
    /// The address that orders are posted to, without encryption: on this machine, or behind something that encrypts.
    #[arg(long, value_name = "ADDRESS", requires = "token_file")]
    listen: Option<SocketAddr>,
    /// A file with the token that the house sends, on its first line.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Sign what takes no more than so many minor units out of the wallet, fee included.
    #[arg(long, value_name = "MINOR")]
    most_minor: i64,
    /// Refuse what would take more than this out of the wallet in 24 hours, by the journal beside the key.
    #[arg(long, value_name = "MINOR")]
    day_minor: i64,
    /// Refuse a higher fee than so many minor units for 1000 virtual bytes; the coin's usual ceiling if not given.
    #[arg(long, value_name = "MINOR")]
    rate_max: Option<i64>,
}

/// Signs until it is asked to stop.
///
/// # Errors
/// In words, when it cannot begin.
pub(super) async fn serve(args: ServeArgs) -> Result<ExitCode, String> {
    let stop = crate::signals::stop_asked();
    let ServeArgs { most_minor, day_minor, rate_max, .. } = args;
    let limits = Limits { most_minor: Some(most_minor), day_minor: Some(day_minor), rate_max };
    let signing = Arc::new(Signing::open(&args.key, args.wallet, limits)?);
    match (args.folder, args.listen) {
        (Some(folder), _) => {
            if !folder.is_dir() {
                return Err(format!("{} is no folder", folder.display()));
            }
            println!("signing what comes into {}", folder.display());
            tokio::select! {
                () = watch(signing, folder) => {}
                () = stop => {}
            }
        }
        (None, Some(address)) => {
            let token = read_token(args.token_file.as_deref())?;
            let listener = TcpListener::bind(address).await;
            let listener = listener.map_err(|e| format!("{address}: {e}"))?;
            println!("signing what is posted to http://{address}");
            tokio::select! {
                () = hear(signing, listener, token) => {}
                () = stop => {}
            }
        }
        (None, None) => return Err("write --folder or --listen".to_owned()),
    }
    Ok(ExitCode::SUCCESS)
}

/// What is known of the token: digests are compared, so that how long it takes tells nothing about how much was right.
type Token = [u8; 32];

fn read_token(file: Option<&Path>) -> Result<Token, String> {
    let file = file.ok_or("--token-file: say what the house is known by")?;
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let token = zeroize::Zeroizing::new(text);
    let token = token.lines().next().unwrap_or_default().trim();
    if token.chars().count() < TOKEN_CHARS_MIN {
        return Err(format!(
            "{}: write {TOKEN_CHARS_MIN} characters or more on its first line",
            file.display()
        ));
    }
    Ok(Sha256::digest(token).into())
}

/// Signs an order, or says why not.
fn signed(signing: &Signing, order: &[u8]) -> Result<(Vec<u8>, Shown), String> {
    let shown = read(order, &signing.keys).map_err(|e| e.to_string())?;
    let signed = signing.sign(order, &shown, SystemClock.now())?;
    Ok((signed, shown))
}

fn tell(name: &str, outcome: &Result<(Vec<u8>, Shown), String>) {
    match outcome {
        Ok((_, shown)) => tracing::info!(
            order = name,
            leaves = shown.leaves(),
            fee = shown.fee,
            transaction = gruve_chain::hash_to_text(&shown.id),
            "signed"
        ),
        Err(why) => tracing::warn!(order = name, why, "an order is refused"),
    }
}

/// Folders: what was done with which order in this life.
#[derive(Default)]
struct Done {
    refused: BTreeMap<String, Instant>,
    /// Answers that are right, by their file's length and time.
    answered: BTreeMap<String, (u64, Option<std::time::SystemTime>)>,
}

async fn watch(signing: Arc<Signing>, folder: PathBuf) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let mut done = Done::default();
    loop {
        ticks.tick().await;
        let (signing, folder, before) = (signing.clone(), folder.clone(), done);
        let looked = tokio::task::spawn_blocking(move || look(&signing, &folder, before)).await;
        done = match looked {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%error, "looking at the folder broke off");
                Done::default()
            }
        };
    }
}

/// The orders in a folder, by their names without the end.
fn orders_in(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)?.take(FILES_MAX) {
        let name = entry?.file_name();
        let Some(name) = name.to_str().and_then(|n| n.strip_suffix(".psbt")) else { continue };
        if !name.starts_with('.') && !name.ends_with(".signed") {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn look(signing: &Signing, folder: &Path, mut done: Done) -> Done {
    let names = match orders_in(folder) {
        Ok(names) => names,
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "the folder cannot be read");
            return done;
        }
    };
    done.refused.retain(|name, at| names.contains(name) && at.elapsed() < REFUSED_FOR);
    done.answered.retain(|name, _| names.contains(name));
    for name in names {
        let at = |end: &str| folder.join(format!("{name}{end}"));
        let answer = at(".signed.psbt");
        let is_known = done.answered.get(&name).is_some_and(|seen| *seen == mark_of(&answer));
        if is_known || done.refused.contains_key(&name) {
            continue;
        }
        let order = match take(&at(".psbt"), ORDER_BYTES_MAX as u64) {
            Ok(Some(order)) => order,
            // It was taken away meanwhile.
            Ok(None) => continue,
            Err(error) => {
                tracing::warn!(order = name, %error, "an order cannot be read");
                done.refused.insert(name, Instant::now());
                continue;
            }
        };
        // The same order gives the same bytes: one that was signed before this life began, or whose answer somebody
        // has changed, is answered as ever.
        let outcome = signed(signing, &order);
        let told = match &outcome {
            Ok((bytes, _)) => answered(&answer, bytes).and_then(|()| remove(&at(".refused.txt"))),
            Err(why) => put(&at(".refused.txt"), why.as_bytes()),
        };
        tell(&name, &outcome);
        match (&outcome, told) {
            (Ok(_), Ok(())) => {
                let mark = mark_of(&answer);
                done.answered.insert(name, mark);
            }
            (_, told) => {
                if let Err(error) = told {
                    tracing::warn!(order = name, %error, "an answer cannot be written");
                }
                done.refused.insert(name, Instant::now());
            }
        }
    }
    done
}

fn mark_of(path: &Path) -> (u64, Option<std::time::SystemTime>) {
    match std::fs::symlink_metadata(path) {
        Ok(about) => (about.len(), about.modified().ok()),
        Err(_) => (0, None),
    }
}

/// Puts an answer there, unless it is.
fn answered(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    match take(path, ORDER_BYTES_MAX as u64) {
        Ok(Some(there)) if there == bytes => Ok(()),
        _ => put(path, bytes),
    }
}

async fn hear(signing: Arc<Signing>, listener: TcpListener, token: Token) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not taken");
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
        };
        let signing = signing.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let signing = signing.clone();
                async move { Ok::<_, Infallible>(reply(signing, &token, request).await) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_WITHIN)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // The whole of it: who reads slowly holds a place no longer either.
            let within = HEAD_WITHIN + BODY_WITHIN * 2;
            if let Ok(Err(error)) = tokio::time::timeout(within, served).await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
}

fn plain(status: StatusCode, words: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(words.into()));
    *response.status_mut() = status;
    response
}

async fn reply(
    signing: Arc<Signing>,
    token: &Token,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let given = request.headers().get(AUTHORIZATION).and_then(|v| v.to_str().ok());
    let given = given.and_then(|v| v.strip_prefix("Bearer "));
    if given.is_none_or(|given| Token::from(Sha256::digest(given.trim())) != *token) {
        return plain(StatusCode::UNAUTHORIZED, "the token is not right\n");
    }
    if request.method() != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "post an order\n");
    }
    let name = request.headers().get("x-gruve-order").and_then(|v| v.to_str().ok());
    let name: String = name.unwrap_or_default().chars().take(80).collect();
    let body = Limited::new(request.into_body(), ORDER_BYTES_MAX).collect();
    let order = match tokio::time::timeout(BODY_WITHIN, body).await {
        Ok(Ok(order)) => order.to_bytes(),
        Ok(Err(_)) => return plain(StatusCode::PAYLOAD_TOO_LARGE, "no order is so large\n"),
        Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "it took too long\n"),
    };
    let outcome = tokio::task::spawn_blocking(move || signed(&signing, &order)).await;
    let Ok(outcome) = outcome else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "signing broke off\n");
    };
    tell(&name, &outcome);
    match outcome {
        Ok((bytes, _)) => plain(StatusCode::OK, bytes),
        Err(why) => plain(StatusCode::UNPROCESSABLE_ENTITY, why),
    }
}
