//! Messages to customers over SMTP, and changes whose time has come.

use super::smtp::Smtp;
use crate::config::MailConfig;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use gruve_accounts::{Accounts, AccountsError, Delivered};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often messages and changes are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A mail server, and how much it is given.
pub(crate) struct Post {
    server: Smtp,
    /// Letters on their way at once, each on a connection of its own.
    side_by_side: usize,
    /// Letters of a round, which takes a second at least.
    letters_per_second: u32,
}

impl Post {
    /// As configured.
    ///
    /// # Errors
    /// As [`Smtp::new`].
    pub(crate) fn new(config: &MailConfig) -> Result<Post, String> {
        Ok(Post {
            server: Smtp::new(config)?,
            side_by_side: usize::try_from(config.connections.max(1)).unwrap_or(1),
            letters_per_second: config.letters_per_second.max(1),
        })
    }

    /// Hands over the messages that are due, as many as a round has; whether there may be more.
    async fn round(&self, accounts: &Accounts) -> Result<(Delivered, bool), AccountsError> {
        let taken = accounts.take_mail(self.letters_per_second).await?;
        let is_full = taken.len() >= usize::try_from(self.letters_per_second).unwrap_or(1);
        let sending = taken.into_iter().map(|mail| accounts.hand_over(&self.server, mail));
        let handed = stream::iter(sending).buffer_unordered(self.side_by_side);
        let count = |mut done: Delivered, one| async move {
            done.count(one);
            Ok(done)
        };
        let done = handed.try_fold(Delivered::default(), count).await?;
        Ok((done, is_full))
    }
}

/// Sends what waits and applies what is due, until the house stops.
pub(crate) async fn run(
    accounts: Accounts,
    post: Option<Post>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    loop {
        let began = Instant::now();
        if let Err(e) = accounts.apply_changes().await {
            tracing::warn!(error = %e, "changes of accounts wait");
        }
        if let Err(e) = accounts.apply_lost_factors().await {
            tracing::warn!(error = %e, "lost second factors wait");
        }
        let mut again = began + LOOK_EVERY;
        if let Some(post) = &post {
            match post.round(&accounts).await {
                Ok((done, is_full)) => {
                    if done.later + done.given_up > 0 {
                        tracing::warn!(
                            later = done.later,
                            given_up = done.given_up,
                            "messages to customers are not taken"
                        );
                    }
                    if is_full {
                        again = began + Duration::from_secs(1);
                    } else {
                        post.server.hang_up().await;
                    }
                }
                Err(e) => tracing::warn!(error = %e, "messages to customers wait"),
            }
        }
        tokio::select! {
            () = tokio::time::sleep_until(again) => {}
            _ = stopped.wait_for(|s| *s) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
