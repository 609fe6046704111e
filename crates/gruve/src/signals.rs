//! When the operator asks the process to stop, or to restart.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Returns when an interrupt or a termination signal has come.
pub async fn stop_asked() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        // Without the second signal the first still works.
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

/// Hangup signals from here on; `None` where they cannot be had. Without this they end the process.
pub fn hangups() -> Option<tokio::signal::unix::Signal> {
    use tokio::signal::unix::{SignalKind, signal};
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
