//! One request to somebody else's server, over a connection of its own, and an answer of bounded length.
//!
//! Promises: `https` is never spoken in the clear, nor with whom no authority of the file vouches for; an answer is never longer in
//! memory than its caller allows; a redirect is an answer like any other and leads nowhere; who drops the request drops the
//! connection. How long is waited is the caller's.
//!
//! Must not know: what is asked of whom.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Where systems keep the authorities that they trust.
const SYSTEM_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";

type Boxed = Box<dyn Error + Send + Sync>;

/// Which step failed: before the request went out, while it was answered, or in reading the answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("{0}")]
    Connect(Boxed),
    #[error("{0}")]
    Request(hyper::Error),
    #[error("{0}")]
    Answer(Boxed),
}

/// The file that is given, or the system's.
pub(super) fn authorities(given: Option<&Path>) -> PathBuf {
    given.map_or_else(|| PathBuf::from(SYSTEM_FILE), Path::to_owned)
}

/// Connections to whom these authorities (PEM) vouch for.
pub(super) fn trusting(file: &Path) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    let all =
        CertificateDer::pem_file_iter(file).map_err(|e| format!("{}: {e}", file.display()))?;
    for certificate in all.flatten() {
        // A bundle has some that a strict reader refuses; those that it takes are enough.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(format!("{}: no certificate authority in it", file.display()));
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let with = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let with = with.map_err(|e| e.to_string())?.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(with)))
}

/// Sends a request to the address that it names.
pub(super) async fn ask<B>(
    tls: Option<&TlsConnector>,
    mut request: Request<B>,
    answer_bytes_max: usize,
) -> Result<Response<Bytes>, Failed>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Boxed>,
{
    let connect = |what: &str| Failed::Connect(what.into());
    let uri = request.uri().clone();
    let is_plain = match uri.scheme_str() {
        Some("http") => true,
        Some("https") => false,
        _ => return Err(connect("an address begins with https:// or http://")),
    };
    let (host, port) = place(&uri, is_plain).ok_or_else(|| connect("the address has no host"))?;
    // A server wants the path alone, and the host beside it.
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    if let Ok(value) = authority.parse() {
        request.headers_mut().entry(HOST).or_insert(value);
    }
    *request.uri_mut() = uri.path_and_query().map_or_else(Uri::default, |p| p.clone().into());
    let failed = |e: std::io::Error| Failed::Connect(e.into());
    if is_plain {
        let stream = TcpStream::connect((host, port)).await.map_err(failed)?;
        return exchange(stream, request, answer_bytes_max).await;
    }
    let tls = tls.ok_or_else(|| connect("no certificate authorities to know it by"))?;
    let name = ServerName::try_from(host.to_owned()).map_err(|e| Failed::Connect(e.into()))?;
    let stream = TcpStream::connect((host, port)).await.map_err(failed)?;
    exchange(tls.connect(name, stream).await.map_err(failed)?, request, answer_bytes_max).await
}

/// Host and port. A number of the sixth version stands in brackets in an address, and without them elsewhere.
fn place(uri: &Uri, is_plain: bool) -> Option<(&str, u16)> {
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    Some((host, uri.port_u16().unwrap_or(if is_plain { 80 } else { 443 })))
}

async fn exchange<B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<B>,
    answer_bytes_max: usize,
) -> Result<Response<Bytes>, Failed>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Boxed>,
{
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(Failed::Request)?;
    // Ends with the connection; and when this ends first, with this.
    let mut driving = tokio::task::JoinSet::new();
    driving.spawn(connection);
    let answer = sender.send_request(request).await.map_err(Failed::Request)?;
    let (head, body) = answer.into_parts();
    let all = Limited::new(body, answer_bytes_max).collect().await.map_err(Failed::Answer)?;
    Ok(Response::from_parts(head, all.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Empty;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;

    /// A server for one name that answers every request alike, and the file of the authority that vouches for it.
    async fn server(answer: &'static str, dir: &Path) -> (u16, PathBuf) {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let file = dir.join("authority.pem");
        std::fs::write(&file, key.cert.pem()).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![key.cert.der().clone()],
                key.signing_key.serialize_der().try_into().unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // Who does not speak TLS, or does not know us, is not answered.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut seen = Vec::new();
                while !seen.ends_with(b"\r\n\r\n") && stream.read_buf(&mut seen).await.unwrap() > 0
                {
                }
                assert!(seen.starts_with(b"GET /ticker?of=btc HTTP/1.1\r\n"));
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        (port, file)
    }

    async fn get(tls: Option<&TlsConnector>, url: String) -> Result<Response<Bytes>, Failed> {
        let request = Request::get(url).body(Empty::<Bytes>::new()).unwrap();
        tokio::time::timeout(Duration::from_secs(60), ask(tls, request, 1_000)).await.unwrap()
    }

    #[tokio::test]
    async fn over_tls_only_one_whom_the_authorities_know_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let (port, file) =
            server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n42", dir.path()).await;
        let tls = trusting(&file).unwrap();
        let url = |scheme: &str, host: &str| format!("{scheme}://{host}:{port}/ticker?of=btc");
        let answer = get(Some(&tls), url("https", "localhost")).await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"42"[..]));
        // Another name than the certificate's, an authority that knows nobody here, none at all, and no TLS.
        assert!(get(Some(&tls), url("https", "127.0.0.1")).await.is_err());
        let other = tempfile::tempdir().unwrap();
        let (_, other) = server("", other.path()).await;
        assert!(get(Some(&trusting(&other).unwrap()), url("https", "localhost")).await.is_err());
        assert!(get(None, url("https", "localhost")).await.is_err(), "never in the clear instead");
        assert!(get(Some(&tls), url("http", "localhost")).await.is_err());
        assert!(get(Some(&tls), url("ftp", "localhost")).await.is_err());
    }

    #[tokio::test]
    async fn an_answer_is_never_longer_than_its_reader_allows_and_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let long = "HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n";
        let long = format!("{long}{}", "x".repeat(1_001)).leak();
        let (port, file) = server(long, dir.path()).await;
        let tls = trusting(&file).unwrap();
        let refused = get(Some(&tls), format!("https://localhost:{port}/ticker?of=btc")).await;
        assert!(matches!(refused, Err(Failed::Answer(_))), "{refused:?}");
        let there =
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        let (port, file) = server(there, dir.path()).await;
        let tls = trusting(&file).unwrap();
        let answer = get(Some(&tls), format!("https://localhost:{port}/ticker?of=btc")).await;
        assert_eq!(answer.unwrap().status().as_u16(), 302);
    }
}
