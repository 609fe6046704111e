//! What lies between a socket's bytes and a session's: nothing, or encryption. No I/O.
//!
//! | bound | how much |
//! |---|---|
//! | kept of an unfinished record | 18 KiB (rustls'), of a handshake [`TLS_HANDSHAKE_BYTES_MAX`] and one read |
//! | given for what came in | at most as many bytes as came |
//! | given back on the handshake | the certificate chain, some hundred bytes and one ticket |
//! | waiting inside | nothing: what is sealed is given out at once |
//!
//! Promises: a peer's bytes end its own connection at most, and it is told why by an alert
//! (unless it does not speak TLS at all); what a miner said before its mistake was said.
//!
//! Must not know: sockets, sessions, where certificates come from (see [`crate::tls`]).

use crate::limits::TLS_HANDSHAKE_BYTES_MAX;
use crate::tls::TlsServer;
use crate::v2::{NoiseError, NoiseServer, NoiseTransport};
use rustls::ServerConnection;
use std::fmt;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

/// Sealed at a time: one record's worth, far below what rustls keeps for us.
const SEAL_BYTES: usize = 16 << 10;

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    /// What came is not TLS, or not what we speak; the alert is among the bytes to send.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A handshake that does not end.
    #[error("a TLS handshake of {0} bytes")]
    HandshakeTooLong(usize),
    /// Within the transport's own buffers; does not happen as they are used here.
    #[error("TLS buffers: {0}")]
    Buffers(#[from] std::io::Error),
    /// What came was not encrypted for us, or is no frame of Stratum V2.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// Something was to be sent before the handshake was over.
    #[error("the handshake is not over")]
    NotOpen,
}

/// One connection's transport.
pub(crate) enum Transport {
    /// As it is.
    Plain,
    /// TLS 1.2 or 1.3, we the server. Boxed: most connections have none.
    Tls(Box<Tls>),
    /// Stratum V2's encryption, we the responder.
    Noise(Box<NoiseTransport>),
}

/// TLS, and how many bytes its handshake has taken so far.
pub(crate) struct Tls {
    connection: ServerConnection,
    shaken: usize,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Plain => "Plain",
            Transport::Tls(_) => "Tls",
            Transport::Noise(_) => "Noise",
        })
    }
}

impl Transport {
    /// A TLS transport waiting for its client's first words.
    ///
    /// # Errors
    /// [`TransportError::Tls`] when the configuration cannot serve anyone.
    pub(crate) fn tls(server: &TlsServer) -> Result<Transport, TransportError> {
        let mut tls = ServerConnection::new(server.config())?;
        // Nothing waits inside: see `seal`.
        tls.set_buffer_limit(Some(2 * SEAL_BYTES));
        Ok(Transport::Tls(Box::new(Tls { connection: tls, shaken: 0 })))
    }

    /// A Noise transport waiting for its client's key.
    pub(crate) fn noise(server: Arc<NoiseServer>) -> Transport {
        Transport::Noise(Box::new(NoiseTransport::new(server)))
    }

    /// Takes bytes from the socket: what they say is appended to `plain`, what must be sent
    /// (handshake, alerts) to `wire`, both also when it fails.
    ///
    /// # Errors
    /// See [`TransportError`]; send `wire` and close.
    pub(crate) fn open(
        &mut self,
        mut raw: &[u8],
        plain: &mut Vec<u8>,
        wire: &mut Vec<u8>,
    ) -> Result<(), TransportError> {
        let tls = match self {
            Transport::Plain => {
                plain.extend_from_slice(raw);
                return Ok(());
            }
            Transport::Noise(noise) => return Ok(noise.open(raw, plain, wire)?),
            Transport::Tls(tls) => tls,
        };
        let Tls { connection: tls, shaken } = &mut **tls;
        if tls.is_handshaking() {
            *shaken = shaken.saturating_add(raw.len());
        }
        while !raw.is_empty() {
            let took = tls.read_tls(&mut raw)?;
            let state = tls.process_new_packets();
            if let Ok(state) = &state {
                let at = plain.len();
                plain.resize(at + state.plaintext_bytes_to_read(), 0);
                tls.reader().read_exact(&mut plain[at..])?;
            }
            while tls.wants_write() {
                tls.write_tls(wire)?;
            }
            // After the peer's close_notify nothing is taken; the socket's end follows.
            if state?.peer_has_closed() || took == 0 {
                break;
            }
        }
        // Without this every half-open connection could have us keep four times as much.
        if tls.is_handshaking() && *shaken > TLS_HANDSHAKE_BYTES_MAX {
            return Err(TransportError::HandshakeTooLong(*shaken));
        }
        Ok(())
    }

    /// Encrypts what the session wants to send, appending it to `wire`.
    ///
    /// # Errors
    /// [`TransportError::NotOpen`] before [`Transport::is_open`].
    pub(crate) fn seal(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), TransportError> {
        let tls = match self {
            Transport::Plain => {
                wire.extend_from_slice(plain);
                return Ok(());
            }
            Transport::Noise(noise) => return Ok(noise.seal(plain, wire)?),
            Transport::Tls(tls) => &mut tls.connection,
        };
        if tls.is_handshaking() {
            return Err(TransportError::NotOpen);
        }
        for chunk in plain.chunks(SEAL_BYTES) {
            tls.writer().write_all(chunk)?;
            while tls.wants_write() {
                tls.write_tls(wire)?;
            }
        }
        Ok(())
    }

    /// Whether the handshake is over.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Transport::Plain => true,
            Transport::Tls(tls) => !tls.connection.is_handshaking(),
            Transport::Noise(noise) => noise.is_open(),
        }
    }

    /// We close: what is still to be said about it is appended to `wire`.
    pub(crate) fn close(&mut self, wire: &mut Vec<u8>) {
        if let Transport::Tls(tls) = self {
            let tls = &mut tls.connection;
            tls.send_close_notify();
            // Writing to a Vec cannot fail.
            while tls.wants_write() && tls.write_tls(wire).is_ok() {}
        }
    }
}

#[cfg(test)]
mod tests;
