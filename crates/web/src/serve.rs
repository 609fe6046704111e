//! Taking connections: bounded in number and in patience.

use crate::live::watch_for_changes;
use crate::router;
use crate::state::AppState;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// Connections at once; each costs a file handle and some 20 KiB. Above it new ones wait in the
/// listener's queue.
const CONNECTIONS_MAX: usize = 4_096;
/// A client has this long to send its request's head.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
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
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (closing, _) = watch::channel(false);
    let pulse = state.pulse().clone();
    let watcher = watch_for_changes(state);
    tokio::pin!(shutdown, watcher);
    loop {
        let place = tokio::select! {
            () = &mut shutdown => break,
            () = &mut watcher => break,
            place = places.clone().acquire_owned() => place,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            () = &mut watcher => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(e) => {
                // Out of file handles or a client gone before it was taken: both pass.
                tracing::warn!(error = %e, "could not take a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Small answers go out at once; where that cannot be set they go out anyway.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(app.clone());
        let mut closing = closing.subscribe();
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_WITHIN)
                .max_buf_size(BUFFER_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service);
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
            drop(place);
        });
    }
    drop(listener);
    pulse.close();
    closing.send_replace(true);
    // Every place given back means every connection ended.
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(DRAIN_WITHIN, places.acquire_many(all)).await;
    Ok(())
}
