//! When the operator asks the process to stop, or to restart.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens from here on, and is done when an interrupt or a termination signal has come. Call it within the
/// runtime, before the first thing that takes long: a signal that nobody listens to ends the process.
pub fn stop_asked() -> impl Future<Output = ()> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate()).ok(), signal(SignalKind::interrupt()).ok());
    async move {
        tokio::select! {
            () = came(terminate.as_mut()) => {}
            () = came(interrupt.as_mut()) => {}
        }
    }
}

/// A signal that cannot be caught never comes: it ends the process by itself.
async fn came(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Hangup signals from here on; `None` where they cannot be had. Without this they end the process.
pub fn hangups() -> Option<Signal> {
    signal(SignalKind::hangup()).ok()
}

/// What the operator wants.
pub enum Wish {
    /// An end (SIGTERM, SIGINT).
    Stop,
    /// A restart that keeps the sockets (SIGUSR2).
    Restart,
}

/// The operator's wishes as they come.
pub struct Asked {
    restart: Signal,
    stop: Signal,
    interrupt: Signal,
}

impl Asked {
    /// Begins to listen. Call it within the runtime.
    ///
    /// # Errors
    /// When signals cannot be caught.
    pub fn new() -> std::io::Result<Asked> {
        Ok(Asked {
            restart: signal(SignalKind::user_defined2())?,
            stop: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.restart.recv() => Wish::Restart,
            _ = self.stop.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
        }
    }
}
