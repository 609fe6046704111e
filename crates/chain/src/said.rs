//! A connection on which everything has been said already: for fuzzing only.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What it answers, once it has seen what was sent: bytes that come before its own.
pub(crate) type Greets = fn(&[u8]) -> Vec<u8>;

/// Gives its bytes in pieces of one size and keeps what is sent.
pub(crate) struct Said {
    bytes: Vec<u8>,
    at: usize,
    piece: usize,
    greets: Option<Greets>,
    /// Bytes of its greeting, which comes in one piece: libraries refuse one in crumbs as an attack.
    greeting: usize,
    /// What was sent to it.
    pub(crate) sent: Vec<u8>,
}

impl Said {
    pub(crate) fn new(bytes: &[u8], piece: usize, greets: Option<Greets>) -> Said {
        let (bytes, piece) = (bytes.to_vec(), piece.max(1));
        Said { bytes, at: 0, piece, greets, greeting: 0, sent: Vec::new() }
    }
}

impl AsyncRead for Said {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        if let Some(greets) = own.greets.take() {
            let first = greets(&own.sent);
            own.greeting = first.len();
            own.bytes.splice(0..0, first);
        }
        let left = own.bytes.get(own.at..).unwrap_or_default();
        let piece = own.piece.max(own.greeting.saturating_sub(own.at));
        let n = left.len().min(piece).min(to.remaining());
        to.put_slice(&left[..n]);
        own.at += n;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Said {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().sent.extend(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Runs what never waits for anything but the time.
pub(crate) fn run<T>(what: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    Ok(runtime.block_on(what))
}
