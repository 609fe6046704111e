//! Carrying signed messages to the operator's webhook: one request over a connection of its own, within a time;
//! what is answered is not read beyond its status.

use super::bucket::trusting;
use crate::config::Config;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use gruve_web::{Hook, HookSecret, HookSender, WatchConfig};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// How long a receiver may take.
const WITHIN: Duration = Duration::from_secs(10);

/// Posts over HTTP and HTTPS.
struct Carrier {
    tls: Option<TlsConnector>,
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
    Ok(Hook { url: url.to_owned(), secret, sender: Arc::new(Carrier { tls }) })
}

impl HookSender for Carrier {
    fn post<'a>(
        &'a self,
        url: &'a str,
        headers: &'a [(&'static str, String)],
        body: &'a str,
    ) -> BoxFuture<'a, Result<u16, String>> {
        let carried = async move {
            let done = tokio::time::timeout(WITHIN, self.carry(url, headers, body)).await;
            done.map_err(|_| "it took too long".to_owned())?
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
    ) -> Result<u16, String> {
        let uri: Uri = url.parse().map_err(|e| format!("{url:?} is no address: {e}"))?;
        let host = uri.host().ok_or("the address has no host")?.to_owned();
        let port = uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |p| p.as_str());
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        let mut request = Request::post(path).header(HOST, authority);
        request = request.header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned())));
        let request = request.map_err(|e| e.to_string())?;
        let failed = |e: std::io::Error| e.to_string();
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(failed)?;
        match &self.tls {
            Some(tls) => {
                let name = ServerName::try_from(host).map_err(|e| e.to_string())?;
                send(tls.connect(name, stream).await.map_err(failed)?, request).await
            }
            None => send(stream, request).await,
        }
    }
}

/// One request; the connection ends with its answer's head.
async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<u16, String> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    // Ends with the connection; and when this ends first, with this.
    let mut driving = tokio::task::JoinSet::new();
    driving.spawn(connection);
    let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
    Ok(answer.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let status = Carrier { tls: None }.post(&url, &headers, "{}").await;
        assert_eq!(status, Ok(202));
        let seen = server.await.unwrap();
        assert!(
            seen.starts_with("POST /ops?x=1 HTTP/1.1\r\n")
                && seen.contains("webhook-id: msg_1\r\n"),
            "{seen}"
        );
    }

    #[tokio::test]
    async fn a_receiver_that_is_not_there_is_a_failure_in_words() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}/");
        assert!(Carrier { tls: None }.post(&url, &[], "{}").await.is_err());
    }
}
