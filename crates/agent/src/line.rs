//! A connection to the house, plain or within TLS.

use crate::http::HouseError;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where systems keep the authorities that they trust.
const SYSTEM_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Either kind of stream.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// How to reach the house.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Line {
    /// From `http://host[:port]` or `https://host[:port]`; a certificate must be signed by an authority of
    /// `authorities`, or of the system where none is given.
    pub(crate) fn new(url: &str, authorities: Option<&Path>) -> Result<Line, HouseError> {
        let bad = || HouseError::BadAddress { url: url.to_owned() };
        let (is_tls, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(bad()),
        };
        let rest = rest.trim_end_matches('/');
        let (name, port) = match rest.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => {
                (name, port.parse::<u16>().map_err(|_| bad())?)
            }
            _ => (rest, if is_tls { 443 } else { 80 }),
        };
        if name.is_empty() || name.contains(['/', '@', '?', '#', ' ']) {
            return Err(bad());
        }
        let tls = if is_tls {
            let server = name.trim_matches(['[', ']']).to_owned();
            let server = ServerName::try_from(server).map_err(|_| bad())?;
            Some((connector(authorities)?, server))
        } else {
            None
        };
        Ok(Line { host: rest.to_owned(), port, tls })
    }

    /// Connects.
    pub(crate) async fn open(&self) -> std::io::Result<Pin<Box<dyn Stream>>> {
        let name = self.host.rsplit_once(':').filter(|(_, p)| !p.ends_with(']'));
        let name = name.map_or(self.host.as_str(), |(name, _)| name).trim_matches(['[', ']']);
        let stream = TcpStream::connect((name, self.port)).await?;
        Ok(match &self.tls {
            None => Box::pin(stream),
            Some((tls, server)) => Box::pin(tls.connect(server.clone(), stream).await?),
        })
    }
}

fn connector(authorities: Option<&Path>) -> Result<TlsConnector, HouseError> {
    let file = match authorities {
        Some(path) => path.to_owned(),
        None => SYSTEM_FILES
            .iter()
            .map(PathBuf::from)
            .find(|p| p.exists())
            .ok_or(HouseError::NoAuthorities)?,
    };
    let failed = |why: String| HouseError::Authorities { path: file.clone(), why };
    let mut roots = RootCertStore::empty();
    // A bundle may hold some that are of no use; one good one is enough.
    let certificates = CertificateDer::pem_file_iter(&file).map_err(|e| failed(e.to_string()))?;
    for certificate in certificates.flatten() {
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(failed("it holds no certificate".to_owned()));
    }
    // Named, not the process's default: the agent may be the only one in it that speaks TLS.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| failed(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
