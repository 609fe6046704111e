//! Where a lane's machines connect: its sockets, and the identity they are encrypted under.

use super::StartError;
use super::files::FileError;
use super::parts::{self, Parts};
use crate::config::{LaneConfig, PublicDoor, TlsConfig};
use crate::estate::Estate;
use gruve_stratum::proxy::{Network, TrustedNetworks};
use gruve_stratum::tls::{TlsServer, TlsSource};
use gruve_stratum::{ListenKind, Listening};
use gruve_units::LaneId;
use std::path::PathBuf;
use std::sync::Arc;

/// The lane's folder for what its gateway keeps.
///
/// # Errors
/// When it cannot be made.
pub(super) fn folder(parts: &Parts, lane: &LaneId) -> Result<PathBuf, StartError> {
    let folder = parts.folder.join("stratum").join(lane.as_str());
    std::fs::create_dir_all(&folder)
        .map_err(|source| FileError::Io { path: folder.clone(), source })?;
    Ok(folder)
}

/// Networks whose headers are believed on a listener.
pub(super) fn proxies(networks: Option<&Vec<Network>>) -> Option<TrustedNetworks> {
    networks.map(|n| TrustedNetworks(n.clone()))
}

/// Where miners know a listener to be.
pub(super) fn public(door: Option<&PublicDoor>) -> Option<(Arc<str>, u16)> {
    door.map(|door| (door.host.as_str().into(), door.port))
}

/// The encrypted listener.
///
/// # Errors
/// When its port or its certificate cannot be used.
pub(super) fn encrypted(
    config: &LaneConfig,
    tls: &TlsConfig,
    parts: &Parts,
    estate: &mut Estate,
) -> Result<(Listening, Arc<TlsServer>), StartError> {
    let source = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => {
            TlsSource::Files { certificate: certificate.clone(), key: key.clone() }
        }
        _ => TlsSource::Own { folder: folder(parts, &config.id)?, names: names(tls) },
    };
    let server =
        TlsServer::open(source).map_err(|e| StartError::Tls(config.id.clone(), Box::new(e)))?;
    let server = Arc::new(server);
    let listener =
        parts::listen(tls.listen, &format!("lane.stratum.tls.listen of {}", config.id), estate)?;
    let proxies = proxies(tls.proxy_protocol.as_ref());
    let kind = ListenKind::V1Tls(Arc::clone(&server));
    let public = public(tls.public.as_ref());
    Ok((Listening { proxies, public, ..Listening::new(listener, kind) }, server))
}

/// What a certificate of our own is for: what is configured, else where it listens.
fn names(tls: &TlsConfig) -> Vec<String> {
    if !tls.names.is_empty() {
        return tls.names.clone();
    }
    let ip = tls.listen.ip();
    let address = (!ip.is_unspecified()).then(|| ip.to_string());
    address.into_iter().chain(["localhost".to_owned()]).collect()
}
