//! Carrying signed messages to the operator's webhook and to customers': one request over a connection of its own,
//! within a time; what is answered is not read beyond its status, and leads nowhere else.
//!
//! Customers choose where their messages go. So what a name leads to is looked at here, and the connection made to
//! just that: a name that is looked up again could lead elsewhere then. And what they are told of a name that leads
//! nowhere and of one that leads into the operator's network is the same, after the same time: else they could ask which
//! names there are in it.

use super::outgoing::trusting;
use crate::config::{Config, WebhooksConfig};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use gruve_web::{Hook, HookFault, HookSecret, HookSender, WatchConfig, WebhookConfig};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, CertificateError};

/// Addresses of a host that are tried.
const ADDRESSES_MAX: usize = 4;

/// How long a name is looked up at the most; one that leads to nothing that may be reached is told of after just so
/// long.
const LOOKED_UP_WITHIN: Duration = Duration::from_secs(3);

/// How long a receiver may take.
const WITHIN: Duration = Duration::from_secs(10);

/// Posts over HTTP and HTTPS.
struct Carrier {
    /// For https; without it nothing is posted there.
    tls: Option<TlsConnector>,
    /// Whether only the public internet is reached.
    is_public_only: bool,
}

/// What the configuration says of customers' webhooks.
///
/// # Errors
/// In words: authorities that cannot be read.
pub(super) fn webhooks(config: &Config) -> Result<WebhookConfig, String> {
    let webhooks = &config.webhooks;
    let tls = match trusting(&webhooks.authorities_file) {
        Ok(tls) => Some(tls),
        // Where nobody has set it, there are systems without the file: messages wait and say why.
        Err(_) if webhooks.authorities_file == WebhooksConfig::default().authorities_file => None,
        Err(e) => return Err(format!("webhooks.authorities_file: {e}")),
    };
    let sender = Arc::new(Carrier { tls, is_public_only: !webhooks.allow_private });
    Ok(WebhookConfig { sender: Some(sender), is_private_allowed: webhooks.allow_private })
}

/// What the configuration says of the watch.
///
/// # Errors
/// In words: a secret that cannot be read, or no authorities to know the receiver by.
pub(super) fn watch(config: &Config) -> Result<WatchConfig, String> {
    let alerts = &config.alerts;
    let data = config.house.data.clone();
    let disk = move || {
        let found = rustix::fs::statvfs(&data).ok()?;
        Some((
            found.f_bavail.saturating_mul(found.f_frsize),
            found.f_blocks.saturating_mul(found.f_frsize),
        ))
    };
    Ok(WatchConfig {
        thresholds: alerts.thresholds(),
        wallet_min: alerts.wallet_min(),
        mail_roles: alerts.roles(),
        hook: alerts.webhook.as_ref().map(|url| hook(config, url)).transpose()?,
        disk: Some(Arc::new(disk)),
    })
}

fn hook(config: &Config, url: &str) -> Result<Hook, String> {
    let file = config.alerts.webhook_secret_file.clone().unwrap_or_default();
    let said = |what: &dyn std::fmt::Display| {
        format!("alerts.webhook_secret_file: {}: {what}", file.display())
    };
    let text = std::fs::read_to_string(&file).map_err(|e| said(&e))?;
    let secret = HookSecret::parse(text.lines().next().unwrap_or_default());
    let secret = secret.ok_or_else(|| said(&"write whsec_ and base64 of 24 to 64 bytes"))?;
    let tls = match url.starts_with("https://") {
        true => Some(
            trusting(&config.alerts.webhook_authorities_file)
                .map_err(|e| format!("alerts.webhook_authorities_file: {e}"))?,
        ),
        false => None,
    };
    let sender = Arc::new(Carrier { tls, is_public_only: false });
    Ok(Hook { url: url.to_owned(), secret, sender })
}

impl HookSender for Carrier {
    fn post<'a>(
        &'a self,
        url: &'a str,
        headers: &'a [(&'static str, String)],
        body: &'a str,
    ) -> BoxFuture<'a, Result<u16, HookFault>> {
        let carried = async move {
            let done = tokio::time::timeout(WITHIN, self.carry(url, headers, body)).await;
            done.unwrap_or(Err(HookFault::TookTooLong))
        };
        Box::pin(carried)
    }
}

impl Carrier {
    async fn carry(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: &str,
    ) -> Result<u16, HookFault> {
        let uri: Uri = url.parse().map_err(|e| because(HookFault::NoAddress, &e))?;
        let host = uri.host().ok_or(HookFault::NoAddress)?.to_owned();
        let is_safe = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_safe { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |p| p.as_str());
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        let mut request = Request::post(path).header(HOST, authority);
        request = request.header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned())));
        let request = request.map_err(|e| because(HookFault::NoAddress, &e))?;
        // A number of the sixth version stands in brackets in an address, and without them elsewhere.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let stream = self.connect(&host, port).await?;
        if !is_safe {
            return send(stream, request).await;
        }
        let tls = self.tls.as_ref().ok_or(HookFault::NoAuthorities)?;
        let name = ServerName::try_from(host).map_err(|e| because(HookFault::NoAddress, &e))?;
        let safe = tls.connect(name, stream).await;
        send(safe.map_err(|e| because(unsafe_for(&e), &e))?, request).await
    }

    /// A connection to the first address of a host that may be reached and answers.
    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, HookFault> {
        let reached = match self.is_public_only {
            true => public_addresses(host, port).await?,
            false => {
                let found = tokio::net::lookup_host((host, port)).await;
                let found = found.map_err(|e| because(HookFault::LeadsNowhere, &e))?;
                found.take(ADDRESSES_MAX).collect()
            }
        };
        let mut last = HookFault::LeadsNowhere;
        for address in reached {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(e) => last = because(unreached_for(&e), &e),
            }
        }
        Err(last)
    }
}

/// The reason, after what the system says of it has gone to the house's log.
fn because(fault: HookFault, said: &dyn std::fmt::Display) -> HookFault {
    tracing::debug!(%fault, %said, "a webhook could not be posted to");
    fault
}

/// Why an address could not be connected to.
fn unreached_for(e: &std::io::Error) -> HookFault {
    match e.kind() {
        ErrorKind::ConnectionRefused => HookFault::Refused,
        ErrorKind::TimedOut => HookFault::TookTooLong,
        _ => HookFault::Unreachable,
    }
}

/// Why no TLS came about.
fn unsafe_for(e: &std::io::Error) -> HookFault {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext,
    };
    let tls = e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(of)) => match of {
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. } => {
                HookFault::CertificateExpired
            }
            NotValidForName | NotValidForNameContext { .. } => HookFault::CertificateOfOther,
            _ => HookFault::CertificateUnknown,
        },
        Some(_) => HookFault::NotTls,
        None => HookFault::BrokeOff,
    }
}

/// The addresses of a host in the public internet. Where there are none it says so as late as can be, and not why.
async fn public_addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, HookFault> {
    let latest = tokio::time::Instant::now() + LOOKED_UP_WITHIN;
    let looked = tokio::time::timeout_at(latest, tokio::net::lookup_host((host, port))).await;
    let found = looked.ok().and_then(Result::ok).into_iter().flatten();
    let public: Vec<SocketAddr> =
        found.filter(|a| gruve_web::is_public(a.ip())).take(ADDRESSES_MAX).collect();
    if public.is_empty() {
        tokio::time::sleep_until(latest).await;
        return Err(HookFault::LeadsNowhere);
    }
    Ok(public)
}

/// One request; the connection ends with its answer's head.
async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<u16, HookFault> {
    let failed = |e: hyper::Error| {
        because(if e.is_parse() { HookFault::NotHttp } else { HookFault::BrokeOff }, &e)
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // Ends with the connection; and when this ends first, with this.
    let mut driving = tokio::task::JoinSet::new();
    driving.spawn(connection);
    let answer = sender.send_request(request).await.map_err(failed)?;
    Ok(answer.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Carrier {
        Carrier { tls: None, is_public_only: false }
    }

    #[tokio::test]
    async fn a_customers_message_reaches_no_private_network_whatever_its_name() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let public = Carrier { tls: None, is_public_only: true };
        // A name that leads nowhere is told of like one that leads inside: in the same words, after the same time.
        let hosts =
            ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "nowhere.invalid"];
        let asked = hosts.map(|host| {
            let public = &public;
            async move {
                let began = std::time::Instant::now();
                let refused = public.post(&format!("http://{host}:{port}/"), &[], "{}").await;
                (host, refused, began.elapsed())
            }
        });
        for (host, refused, took) in futures_util::future::join_all(asked).await {
            assert_eq!(refused.unwrap_err(), HookFault::LeadsNowhere, "{host}");
            assert!(took >= LOOKED_UP_WITHIN, "{host}: {took:?}");
        }
        // Nobody was connected to: the listener's queue is empty.
        let none = std::future::poll_fn(|cx| {
            std::task::Poll::Ready(listener.poll_accept(cx).is_pending())
        });
        assert!(none.await);
        let without = open().post("https://127.0.0.1:1/", &[], "{}").await;
        assert!(without.is_err(), "never in the clear instead");
    }
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_message_arrives_whole_with_its_headers_and_the_answer_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ops?x=1", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"{}") {
                assert!(stream.read_buf(&mut seen).await.unwrap() > 0);
            }
            stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            String::from_utf8(seen).unwrap()
        });
        let headers = [("webhook-id", "msg_1".to_owned())];
        let status = open().post(&url, &headers, "{}").await;
        assert_eq!(status, Ok(202));
        let seen = server.await.unwrap();
        assert!(
            seen.starts_with("POST /ops?x=1 HTTP/1.1\r\n")
                && seen.contains("webhook-id: msg_1\r\n"),
            "{seen}"
        );
    }

    #[tokio::test]
    async fn a_receiver_that_is_not_there_is_a_failure_with_its_reason() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}/");
        assert_eq!(open().post(&url, &[], "{}").await, Err(HookFault::Refused));
        assert_eq!(open().post("/nowhere", &[], "{}").await, Err(HookFault::NoAddress));
    }

    /// What comes of a post to whoever answers a connection with these bytes, and closes it.
    async fn answered(scheme: &str, carrier: &Carrier, bytes: &'static [u8]) -> HookFault {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4_096]).await;
            let _ = stream.write_all(bytes).await;
        });
        carrier.post(&url, &[], "{}").await.unwrap_err()
    }

    #[tokio::test]
    async fn what_answers_wrongly_is_told_apart() {
        assert_eq!(answered("http", &open(), b"").await, HookFault::BrokeOff);
        assert_eq!(
            answered("http", &open(), b"220 mail.example ESMTP\r\n").await,
            HookFault::NotHttp
        );
        assert_eq!(answered("https", &open(), b"").await, HookFault::NoAuthorities);
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("authority.pem");
        std::fs::write(&file, key.cert.pem()).unwrap();
        let safe = Carrier { tls: Some(trusting(&file).unwrap()), is_public_only: false };
        assert_eq!(answered("https", &safe, b"").await, HookFault::BrokeOff);
        assert_eq!(answered("https", &safe, b"HTTP/1.1 400 Bad\r\n\r\n").await, HookFault::NotTls);
    }

    #[test]
    fn what_ails_a_certificate_is_told_apart() {
        let of = |e: CertificateError| {
            let tls = rustls::Error::InvalidCertificate(e);
            unsafe_for(&std::io::Error::new(ErrorKind::InvalidData, tls))
        };
        assert_eq!(of(CertificateError::Expired), HookFault::CertificateExpired);
        assert_eq!(of(CertificateError::NotValidForName), HookFault::CertificateOfOther);
        assert_eq!(of(CertificateError::UnknownIssuer), HookFault::CertificateUnknown);
    }
}
