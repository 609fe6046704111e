//! A mail server: letters over connections that stay open for several.
//!
//! Promises: a letter is handed over at most once by a call, and never a second time by itself: whether a server that fell silent
//! has it, nobody knows. A connection on which anything failed is not used again.

use crate::config::{MailConfig, MailSecurity};
use async_trait::async_trait;
use gruve_accounts::{Mail, MailError, Mailer};
use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a mail server may take to let us in, or to take a letter.
const STEP_WITHIN: Duration = Duration::from_secs(20);
const LETTER_WITHIN: Duration = Duration::from_secs(60);

/// Letters over one connection at most: servers end longer ones, some with a letter half said.
const LETTERS_A_CONNECTION: u32 = 100;

/// A connection that has rested for so long is asked whether it still stands before a letter is trusted to it.
const FRESH: Duration = Duration::from_secs(2);

/// A mail server, and the connections to it that rest.
pub(crate) struct Smtp {
    host: String,
    port: u16,
    /// From the first byte, after a greeting in the clear, or (to this machine) not at all.
    tls: Option<TlsParameters>,
    greets_in_the_clear: bool,
    credentials: Option<Credentials>,
    from: Mailbox,
    resting: Mutex<Vec<Line>>,
}

/// A connection.
struct Line {
    connection: AsyncSmtpConnection,
    letters: u32,
    since: Instant,
}

/// What a step came to, if it came to an end.
async fn within<T>(
    most: Duration,
    step: impl Future<Output = Result<T, Error>>,
) -> Result<T, MailError> {
    match timeout(most, step).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(e)) if e.is_permanent() => Err(MailError::Never(e.to_string())),
        Ok(Err(e)) => Err(MailError::Later(e.to_string())),
        Err(_) => Err(MailError::Later("the mail server is silent".to_owned())),
    }
}

impl Smtp {
    /// The server of the configuration; nothing is connected to yet.
    ///
    /// # Errors
    /// When the password's file cannot be read, or the server's name cannot be one.
    pub(crate) fn new(config: &MailConfig) -> Result<Smtp, String> {
        let tls = match config.security {
            MailSecurity::None => None,
            MailSecurity::Tls | MailSecurity::Starttls => {
                let tls = TlsParameters::new(config.host.clone());
                Some(tls.map_err(|e| format!("mail.host: {e}"))?)
            }
        };
        let mut credentials = None;
        if let (Some(user), Some(file)) = (&config.user, &config.password_file) {
            let read = std::fs::read_to_string(file);
            let password = read.map_err(|e| format!("{}: {e}", file.display()))?;
            let password = password.trim_end_matches(['\r', '\n']).to_owned();
            credentials = Some(Credentials::new(user.clone(), password));
        }
        Ok(Smtp {
            host: config.host.clone(),
            port: config.port(),
            tls,
            greets_in_the_clear: config.security == MailSecurity::Starttls,
            credentials,
            from: config.from.parse().map_err(|e| format!("mail.from: {e}"))?,
            resting: Mutex::new(Vec::new()),
        })
    }

    fn resting(&self) -> std::sync::MutexGuard<'_, Vec<Line>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let (me, server) = (ClientId::default(), (self.host.as_str(), self.port));
        let (first, later) = match self.greets_in_the_clear {
            true => (None, self.tls.clone()),
            false => (self.tls.clone(), None),
        };
        let within = Some(STEP_WITHIN);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, within, &me, first, None).await?;
        if let Some(tls) = later {
            // An error where the server has none: nothing is said in the clear.
            connection.starttls(tls, &me).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    /// A connection that stands: one that rests, or a new one.
    async fn line(&self) -> Result<Line, MailError> {
        loop {
            let Some(mut line) = self.resting().pop() else { break };
            if line.since.elapsed() < FRESH {
                return Ok(line);
            }
            let stands = timeout(STEP_WITHIN, line.connection.test_connected()).await;
            if stands.unwrap_or(false) {
                return Ok(line);
            }
        }
        let connection = within(STEP_WITHIN, self.connect()).await.map_err(|e| match e {
            // Whatever is wrong with us or with the server is not this letter's fault.
            MailError::Never(why) | MailError::Later(why) => MailError::Later(why),
        })?;
        Ok(Line { connection, letters: 0, since: Instant::now() })
    }

    /// Ends the connections that rest: there is nothing to send for now.
    pub(crate) async fn hang_up(&self) {
        let lines = std::mem::take(&mut *self.resting());
        for mut line in lines {
            let _gone = timeout(STEP_WITHIN, line.connection.quit()).await;
        }
    }
}

#[async_trait]
impl Mailer for Smtp {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let never = |e: &dyn std::fmt::Display| MailError::Never(e.to_string());
        let message = Message::builder()
            .from(self.from.clone())
            .to(mail.to.parse().map_err(|e| never(&e))?)
            .subject(&mail.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.body.clone())
            .map_err(|e| never(&e))?;
        let mut line = self.line().await?;
        let bytes = message.formatted();
        within(LETTER_WITHIN, line.connection.send(message.envelope(), &bytes)).await?;
        line.letters += 1;
        if line.letters < LETTERS_A_CONNECTION {
            line.since = Instant::now();
            self.resting().push(line);
        } else {
            let _gone = timeout(STEP_WITHIN, line.connection.quit()).await;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
