//! The gateway's TLS identity: a certificate chain and its key, from files or made by ourselves.
//!
//! Miners' firmware hardly ever checks a certificate against the web's authorities; what helps it
//! is a certificate that stays the same, so that it can be pinned. One that we make is therefore
//! kept, together with its key in one file that only the owner may read, and its fingerprint is
//! told.
//!
//! Provider: *ring*, named explicitly, so that nothing depends on what else is compiled in.
//! TLS 1.2 and 1.3. Sessions are resumed by tickets under keys that live in memory and change every
//! six hours; nothing is kept per session.

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// A PEM file larger than this is not one: a chain of ten certificates has some 20 KB. It also
/// bounds what a handshake sends.
const PEM_BYTES_MAX: u64 = 64 << 10;

/// The file of a certificate made by ourselves, with its key.
const OWN_FILE: &str = "tls.pem";

/// Why there is no identity; says which file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, std::io::Error),
    /// A file is not what it should be.
    #[error("{}: {}", .0.display(), .1)]
    Content(PathBuf, String),
    /// Certificate and key do not fit, or are of a kind that is not spoken.
    #[error("the certificate {} and the key {} cannot be used: {}", .0.display(), .1.display(), .2)]
    Unusable(PathBuf, PathBuf, rustls::Error),
    /// A certificate could not be made.
    #[error("no certificate could be made: {0}")]
    Making(rcgen::Error),
}

/// Where the identity comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsSource {
    /// PEM files of the operator's: the chain, the own certificate first, and the key (PKCS #8,
    /// PKCS #1 or SEC 1).
    Files {
        /// The chain.
        certificate: PathBuf,
        /// The key; may be the same file.
        key: PathBuf,
    },
    /// One made by ourselves in this folder, valid for these host names and addresses.
    Own {
        /// The folder; made if it is not there.
        folder: PathBuf,
        /// Host names and addresses.
        names: Vec<String>,
    },
}

/// What all TLS connections of a listener share.
pub struct TlsServer {
    source: TlsSource,
    now: RwLock<(Arc<ServerConfig>, Fingerprint)>,
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsServer({})", self.fingerprint())
    }
}

/// SHA-256 of a certificate's DER form, shown as people compare it: `AB:CD:…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let colon = if i == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl TlsServer {
    /// Reads the identity, or makes one.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn open(source: TlsSource) -> Result<TlsServer, TlsError> {
        let now = RwLock::new(load(&source)?);
        Ok(TlsServer { source, now })
    }

    /// Reads the identity again, for a certificate that was renewed. Connections that are there
    /// keep theirs; when it fails all keep theirs.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn reload(&self) -> Result<Fingerprint, TlsError> {
        let fresh = load(&self.source)?;
        let fingerprint = fresh.1;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(fingerprint)
    }

    /// The certificate's fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.now.read().unwrap_or_else(PoisonError::into_inner).1
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner).0)
    }
}

fn load(source: &TlsSource) -> Result<(Arc<ServerConfig>, Fingerprint), TlsError> {
    match source {
        TlsSource::Files { certificate, key } => identity(certificate, key),
        TlsSource::Own { folder, names } => {
            let file = folder.join(OWN_FILE);
            if !file.exists() {
                make(folder, &file, names)?;
            }
            identity(&file, &file)
        }
    }
}

fn identity(certificate: &Path, key: &Path) -> Result<(Arc<ServerConfig>, Fingerprint), TlsError> {
    let not = |path: &Path, what: &str| TlsError::Content(path.to_owned(), what.to_owned());
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| not(certificate, &format!("not a PEM file: {e}")))?;
    let Some(first) = chain.first() else {
        return Err(not(certificate, "there is no certificate in it"));
    };
    let fingerprint = Fingerprint(Sha256::digest(first.as_ref()).into());
    let private = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|e| not(key, &format!("there is no private key in it: {e}")))?;
    let unusable = |e| TlsError::Unusable(certificate.to_owned(), key.to_owned(), e);
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(unusable)?;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.ticketer = ring::Ticketer::new().map_err(unusable)?;
    // One is what a miner needs to come back.
    config.send_tls13_tickets = 1;
    Ok((Arc::new(config), fingerprint))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |e| TlsError::File(path.to_owned(), e);
    if std::fs::metadata(path).map_err(failed)?.len() > PEM_BYTES_MAX {
        return Err(TlsError::Content(path.to_owned(), "too large for a PEM file".to_owned()));
    }
    std::fs::read(path).map_err(failed)
}

/// Makes a key (ECDSA on P-256, which small firmware can do) and a certificate, and writes both
/// under another name first: a file that is there is whole.
fn make(folder: &Path, file: &Path, names: &[String]) -> Result<(), TlsError> {
    let key = rcgen::KeyPair::generate().map_err(TlsError::Making)?;
    let mut params = rcgen::CertificateParams::new(names).map_err(TlsError::Making)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Gruve stratum");
    // Within the years that the older of the two date forms can say; small parsers know only that.
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 12, 31);
    let certificate = params.self_signed(&key).map_err(TlsError::Making)?;
    let text = certificate.pem() + &key.serialize_pem();
    let fresh = file.with_extension("new");
    let failed = |e| TlsError::File(file.to_owned(), e);
    std::fs::create_dir_all(folder).map_err(failed)?;
    // Left from a start that was cut short.
    let _ = std::fs::remove_file(&fresh);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&fresh).map_err(failed)?;
    out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(failed)?;
    std::fs::rename(&fresh, file).map_err(failed)
}
