//! What a supervisor (systemd's `Type=notify`) is told: when the doors are open, and when they close.
//!
//! A start follows the chain and the share log before it takes machines, which takes seconds or, after a long
//! pause, minutes; whoever waits for the house waits for this word, not for the process. Where nobody asked
//! (`NOTIFY_SOCKET` is not set) nothing is said.

use sd_notify::NotifyState;

/// What is said.
#[derive(Clone, Copy, Debug)]
pub enum Said {
    /// Pages, programs and machines are served.
    Ready,
    /// The house becomes the program that stands in its place now.
    Restarting,
    /// The house ends, at most as long as its parts may take.
    Stopping,
}

/// Tells it. A supervisor that does not listen changes nothing for the house.
pub fn tell(said: Said) {
    let told = match said {
        Said::Ready => sd_notify::notify(&[NotifyState::Ready]),
        Said::Restarting => NotifyState::monotonic_usec_now()
            .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now])),
        Said::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
    };
    if let Err(error) = told {
        tracing::warn!(%error, ?said, "the supervisor does not hear");
    }
}
