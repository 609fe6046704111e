//! Messages to customers over SMTP, and changes whose time has come.

use crate::config::{MailConfig, MailSecurity};
use async_trait::async_trait;
use gruve_accounts::{Accounts, Mail, MailError, Mailer};
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use std::time::Duration;
use tokio::sync::watch;

/// How often messages and changes are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long a mail server may take for a step.
const STEP_WITHIN: Duration = Duration::from_secs(20);

/// A mail server.
pub(crate) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: String,
}

impl Smtp {
    /// The server of the configuration; nothing is connected to yet.
    ///
    /// # Errors
    /// When the password's file cannot be read, or the server's name cannot be one.
    pub(crate) fn new(config: &MailConfig) -> Result<Smtp, String> {
        let host = config.host.as_str();
        type Transport = AsyncSmtpTransport<Tokio1Executor>;
        let builder = match config.security {
            MailSecurity::Tls => Transport::relay(host).map_err(|e| format!("mail.host: {e}"))?,
            MailSecurity::Starttls => {
                Transport::starttls_relay(host).map_err(|e| format!("mail.host: {e}"))?
            }
            MailSecurity::None => Transport::builder_dangerous(host),
        };
        let mut builder = builder.port(config.port()).timeout(Some(STEP_WITHIN));
        if let (Some(user), Some(file)) = (&config.user, &config.password_file) {
            let read = std::fs::read_to_string(file);
            let password = read.map_err(|e| format!("{}: {e}", file.display()))?;
            let password = password.trim_end_matches(['\r', '\n']).to_owned();
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        Ok(Smtp { transport: builder.build(), from: config.from.clone() })
    }
}

#[async_trait]
impl Mailer for Smtp {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let never = |e: &dyn std::fmt::Display| MailError::Never(e.to_string());
        let message = Message::builder()
            .from(self.from.parse().map_err(|e| never(&e))?)
            .to(mail.to.parse().map_err(|e| never(&e))?)
            .subject(&mail.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.body.clone())
            .map_err(|e| never(&e))?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(e) if e.is_permanent() => Err(never(&e)),
            Err(e) => Err(MailError::Later(e.to_string())),
        }
    }
}

/// Sends what waits and applies what is due, until the house stops.
pub(crate) async fn run(
    accounts: Accounts,
    mailer: Option<Smtp>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    loop {
        if let Err(e) = accounts.apply_changes().await {
            tracing::warn!(error = %e, "changes of accounts wait");
        }
        if let Err(e) = accounts.apply_lost_factors().await {
            tracing::warn!(error = %e, "lost second factors wait");
        }
        if let Some(mailer) = &mailer {
            match accounts.deliver(mailer).await {
                Ok(done) if done.later + done.given_up > 0 => {
                    tracing::warn!(
                        later = done.later,
                        given_up = done.given_up,
                        "messages to customers are not taken"
                    );
                }
                Ok(_) => {}
                Err(e) => tracing::warn!(error = %e, "messages to customers wait"),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stopped.wait_for(|s| *s) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::TcpListener;

    /// A mail server that takes one message, or answers the sender's name with a refusal.
    async fn sink(listener: TcpListener, refusal: Option<&'static str>) -> String {
        let (stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"220 sink\r\n").await.unwrap();
        let (mut text, mut in_data) = (String::new(), false);
        while let Some(line) = lines.next_line().await.unwrap() {
            let answer = if in_data {
                if line != "." {
                    text.push_str(&line);
                    text.push('\n');
                    continue;
                }
                in_data = false;
                "250 taken"
            } else if line.starts_with("MAIL") {
                refusal.unwrap_or("250 ok")
            } else if line == "DATA" {
                in_data = true;
                "354 go on"
            } else if line == "QUIT" {
                write.write_all(b"221 bye\r\n").await.unwrap();
                break;
            } else {
                "250 ok"
            };
            write.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
            if !in_data && !text.is_empty() {
                break;
            }
        }
        text
    }

    async fn sent(refusal: Option<&'static str>) -> (Result<(), MailError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = MailConfig {
            host: "127.0.0.1".into(),
            port: Some(port),
            security: MailSecurity::None,
            from: "Gruve <gruve@example.org>".into(),
            user: None,
            password_file: None,
            confirm_sign_up: true,
        };
        let server = tokio::spawn(sink(listener, refusal));
        let smtp = Smtp::new(&config).unwrap();
        let mail = Mail {
            to: "anna@example.org".into(),
            subject: "Gruve: confirm".into(),
            body: "Open https://gruve.test/confirm?ticket=abc\n".into(),
        };
        let outcome = smtp.send(&mail).await;
        drop(smtp);
        (outcome, server.await.unwrap())
    }

    #[tokio::test]
    async fn a_message_reaches_the_server_whole() {
        let (outcome, text) = sent(None).await;
        outcome.unwrap();
        for part in [
            "From: Gruve <gruve@example.org>",
            "To: anna@example.org",
            "Subject: Gruve: confirm",
            "https://gruve.test/confirm?ticket=abc",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[tokio::test]
    async fn a_server_that_says_later_is_asked_later_and_one_that_says_never_is_not() {
        let (later, _) = sent(Some("451 busy")).await;
        assert!(matches!(later.unwrap_err(), MailError::Later(_)));
        let (never, _) = sent(Some("550 no")).await;
        assert!(matches!(never.unwrap_err(), MailError::Never(_)));
    }
}
