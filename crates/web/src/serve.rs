//! Taking connections: bounded in number and in patience.

use crate::app::metrics_router;
use crate::client::{Peer, is_one_of};
use crate::contract_letters::keep_writing;
use crate::leaving::close::keep_closing;
use crate::live::watch_for_changes;
use crate::patience::{Neighbours, Patient};
use crate::router;
use crate::state::AppState;
use crate::watch::{keep_sending, keep_watch};
use crate::webhooks::keep_delivering;
use axum::Router;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Bounds of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at once; each costs a file handle and some 20 KiB. Above it new ones wait in the
    /// listener's queue.
    pub all_max: usize,
    /// Of one IPv4 address or IPv6 /64, trusted proxies apart, and four times as many of an IPv6 /48;
    /// further ones are closed at once. A sixteenth of all: room for many browsers behind one address.
    pub address_max: usize,
    /// A client has this long to send its request's head, also of the next request on a connection.
    pub head_within: Duration,
    /// A client that takes no byte of its answer for so long is closed.
    pub write_within: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            all_max: 4_096,
            address_max: 256,
            head_within: Duration::from_secs(10),
            write_within: Duration::from_secs(20),
        }
    }
}

/// Most bytes buffered of a request's head and of a pipelined body.
const BUFFER_BYTES_MAX: usize = 32 * 1024;
/// Open requests have this long to end at shutdown.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Serves until `shutdown` is done, then lets open requests end for a few seconds.
///
/// # Errors
/// When the listener itself fails for good.
pub async fn serve(
    listener: TcpListener,
    state: AppState,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let app = router(state.clone());
    let doors = Doors::of(&state);
    let pulse = state.pulse().clone();
    let closing = keep_closing(state.clone());
    let (watch, sending) = (keep_watch(state.clone()), keep_sending(state.clone()));
    let (delivering, writing) = (keep_delivering(state.clone()), keep_writing(state.clone()));
    let watcher = watch_for_changes(state);
    // On the heap: with all of them inside, what serves would be too large to be moved about.
    let over = Box::pin(async {
        tokio::select! {
            () = shutdown => {}
            () = watcher => {}
            () = closing => {}
            () = watch => {}
            () = sending => {}
            () = delivering => {}
            () = writing => {}
        }
    });
    take(listener, app, doors, over, || pulse.close()).await;
    Ok(())
}

/// Serves the operator's metrics, those of single machines among them, until `shutdown` is done; to
/// those who send `token` as a bearer's, if one is given.
pub async fn serve_metrics(
    listener: TcpListener,
    state: AppState,
    token: Option<String>,
    shutdown: impl Future<Output = ()>,
) {
    let doors = Doors::of(&state);
    take(listener, metrics_router(state, token), doors, shutdown, || {}).await;
}

/// How many come in.
struct Doors {
    limits: ConnectionLimits,
    proxies: Vec<IpAddr>,
}

impl Doors {
    fn of(state: &AppState) -> Doors {
        let config = state.config();
        Doors { limits: config.limits, proxies: config.trusted_proxies.clone() }
    }
}

/// Takes connections until it is over, then closes the doors, does what is to be done before
/// connections can end, and waits for them a few seconds.
async fn take(
    listener: TcpListener,
    app: Router,
    doors: Doors,
    over: impl Future<Output = ()>,
    before_the_end: impl FnOnce(),
) {
    let Doors { limits, proxies } = doors;
    let (places, neighbours) = (Arc::new(Semaphore::new(limits.all_max)), Neighbours::default());
    let (closing, _) = watch::channel(false);
    tokio::pin!(over);
    loop {
        let place = tokio::select! {
            () = &mut over => break,
            place = places.clone().acquire_owned() => place,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            () = &mut over => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok((stream, address)) => (stream, address.ip()),
            Err(e) => {
                // Out of file handles or a client gone before it was taken: both pass.
                tracing::warn!(error = %e, "could not take a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let most = if is_one_of(peer, &proxies) { usize::MAX } else { limits.address_max };
        let Some(neighbour) = neighbours.admit(peer, most) else {
            tracing::debug!(%peer, "closed a connection: the address has too many");
            continue;
        };
        let service = Peered { app: TowerToHyperService::new(app.clone()), peer: Peer(peer) };
        let closing = closing.subscribe();
        tokio::spawn(async move {
            attend(stream, service, limits, closing).await;
            drop((neighbour, place));
        });
    }
    drop(listener);
    before_the_end();
    closing.send_replace(true);
    // Every place given back means every connection ended.
    let all = u32::try_from(limits.all_max).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(DRAIN_WITHIN, places.acquire_many(all)).await;
}

/// One connection from its first byte to its end.
async fn attend(
    stream: TcpStream,
    service: Peered,
    limits: ConnectionLimits,
    mut closing: watch::Receiver<bool>,
) {
    // Small answers go out at once; where that cannot be set they go out anyway.
    let _ = stream.set_nodelay(true);
    let stream = TokioIo::new(Patient::new(stream, limits.write_within));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_within)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(stream, service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = async { drop(closing.wait_for(|c| *c).await); } => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(DRAIN_WITHIN, connection.as_mut()).await.unwrap_or(Ok(()))
        }
    };
    if let Err(e) = ended {
        tracing::debug!(error = %e, "a connection ended early");
    }
}

/// The app, with the connection's address beside each request.
struct Peered {
    app: TowerToHyperService<Router>,
    peer: Peer,
}

impl hyper::service::Service<Request<Incoming>> for Peered {
    type Response = Response;
    type Error = Infallible;
    type Future =
        <TowerToHyperService<Router> as hyper::service::Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.app.call(request)
    }
}
