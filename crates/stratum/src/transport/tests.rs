use super::{Transport, TransportError};
use crate::tls::{Fingerprint, TlsError, TlsServer, TlsSource};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, SignatureScheme,
    SupportedProtocolVersion, version,
};
use sha2::{Digest as _, Sha256};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

/// A miner that pins the certificate by its fingerprint.
#[derive(Debug)]
struct Pinned(Fingerprint, CryptoProvider);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if Sha256::digest(end_entity.as_ref()).as_slice() == self.0.0 {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("another certificate".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.1.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.1.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.signature_verification_algorithms.supported_schemes()
    }
}

fn own(folder: &Path) -> TlsServer {
    let names = vec!["miners.example".to_owned(), "127.0.0.1".to_owned()];
    TlsServer::open(TlsSource::Own { folder: folder.to_owned(), names }).unwrap()
}

fn client_config(
    pin: Fingerprint,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(pin, ring::default_provider())))
        .with_no_client_auth();
    Arc::new(config)
}

fn client(config: &Arc<ClientConfig>) -> ClientConnection {
    let name = ServerName::try_from("miners.example").unwrap();
    ClientConnection::new(Arc::clone(config), name).unwrap()
}

/// What the client has to say, in pieces of `piece` bytes, and back; gives what the server heard.
fn exchange(
    client: &mut ClientConnection,
    server: &mut Transport,
    piece: usize,
) -> Result<Vec<u8>, TransportError> {
    let mut heard = Vec::new();
    loop {
        let (mut said, mut answer) = (Vec::new(), Vec::new());
        while client.wants_write() {
            client.write_tls(&mut said).unwrap();
        }
        for piece in said.chunks(piece) {
            server.open(piece, &mut heard, &mut answer)?;
        }
        let mut rest = &answer[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
        }
        if !client.wants_write() {
            return Ok(heard);
        }
    }
}

fn receive(client: &mut ClientConnection, mut wire: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    while !wire.is_empty() {
        client.read_tls(&mut wire).unwrap();
        let state = client.process_new_packets().unwrap();
        let at = plain.len();
        plain.resize(at + state.plaintext_bytes_to_read(), 0);
        client.reader().read_exact(&mut plain[at..]).unwrap();
    }
    plain
}

#[test]
fn a_plain_transport_changes_nothing() {
    let (mut plain, mut wire) = (b"a".to_vec(), b"b".to_vec());
    let mut transport = Transport::Plain;
    transport.open(b"xyz", &mut plain, &mut wire).unwrap();
    transport.seal(b"123", &mut wire).unwrap();
    transport.close(&mut wire);
    assert!(transport.is_open());
    assert_eq!((&plain[..], &wire[..]), (&b"axyz"[..], &b"b123"[..]));
}

#[test]
fn both_versions_of_tls_carry_lines_both_ways_however_they_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let tls = own(dir.path());
    for versions in [&[&version::TLS13][..], &[&version::TLS12]] {
        for piece in [1, 7, 1460, usize::MAX] {
            let config = client_config(tls.fingerprint(), versions);
            let (mut miner, mut server) = (client(&config), Transport::tls(&tls).unwrap());
            assert!(!server.is_open());
            let mut wire = Vec::new();
            let early = server.seal(b"x", &mut wire);
            assert!(matches!(early, Err(TransportError::NotOpen)) && wire.is_empty());
            miner.writer().write_all(b"{\"id\":1}\n").unwrap();
            assert_eq!(exchange(&mut miner, &mut server, piece).unwrap(), b"{\"id\":1}\n");
            assert!(server.is_open());
            // More than a record, and more than is sealed at once.
            let long: Vec<u8> = (0..100_000u32).map(|n| n.to_le_bytes()[0]).collect();
            server.seal(&long, &mut wire).unwrap();
            assert_eq!(receive(&mut miner, &wire), long);
            wire.clear();
            server.close(&mut wire);
            receive(&mut miner, &wire);
            let end = miner.reader().read(&mut [0]).unwrap();
            assert_eq!(end, 0, "closed in order, not cut off");
        }
    }
}

#[test]
fn a_miner_that_comes_back_resumes_its_session_by_ticket() {
    let dir = tempfile::tempdir().unwrap();
    let tls = own(dir.path());
    for versions in [&[&version::TLS13][..], &[&version::TLS12]] {
        let config = client_config(tls.fingerprint(), versions);
        let mut kinds = Vec::new();
        for _ in 0..3 {
            let (mut miner, mut server) = (client(&config), Transport::tls(&tls).unwrap());
            exchange(&mut miner, &mut server, usize::MAX).unwrap();
            kinds.push(miner.handshake_kind().unwrap());
        }
        let again = HandshakeKind::Resumed;
        assert_eq!(kinds, [HandshakeKind::Full, again, again]);
    }
}

#[test]
fn what_was_said_before_a_broken_record_was_said_and_the_miner_hears_why_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let tls = own(dir.path());
    let config = client_config(tls.fingerprint(), &[&version::TLS13]);
    let (mut miner, mut server) = (client(&config), Transport::tls(&tls).unwrap());
    exchange(&mut miner, &mut server, usize::MAX).unwrap();
    let mut said = Vec::new();
    miner.writer().write_all(b"whole\n").unwrap();
    miner.write_tls(&mut said).unwrap();
    let whole = said.len();
    miner.writer().write_all(b"broken\n").unwrap();
    miner.write_tls(&mut said).unwrap();
    said[whole + 8] ^= 1;
    let (mut plain, mut wire) = (Vec::new(), Vec::new());
    // As one read brings them.
    assert!(server.open(&said[..whole], &mut plain, &mut wire).is_ok());
    let broken = server.open(&said[whole..], &mut plain, &mut wire);
    assert!(matches!(broken, Err(TransportError::Tls(_))), "{broken:?}");
    assert_eq!(plain, b"whole\n");
    let mut rest = &wire[..];
    miner.read_tls(&mut rest).unwrap();
    let told = miner.process_new_packets().unwrap_err();
    assert!(matches!(told, rustls::Error::AlertReceived(_)), "{told}");
}

#[test]
fn what_is_not_tls_ends_the_connection_with_an_alert_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let tls = own(dir.path());
    let plain_miner = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n".to_vec();
    // A handshake message that claims sixteen megabytes.
    let boast = [&[22, 3, 1, 0x3f, 0xff, 1, 0xff, 0xff, 0xff][..], &[0; 40_000]].concat();
    for junk in [plain_miner, boast, vec![0; 100_000], vec![0xff; 100_000]] {
        let mut server = Transport::tls(&tls).unwrap();
        let (mut plain, mut wire) = (Vec::new(), Vec::new());
        let refused = server.open(&junk, &mut plain, &mut wire);
        assert!(matches!(refused, Err(TransportError::Tls(_))), "{refused:?}");
        assert!(plain.is_empty());
        assert!(wire.is_empty() || (wire.len() == 7 && wire[0] == 21), "{wire:?}");
    }
}

#[test]
fn a_hello_that_goes_on_and_on_ends_before_much_is_kept_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let tls = own(dir.path());
    let mut server = Transport::tls(&tls).unwrap();
    // Records of a hello of 60,000 bytes, which TLS allows.
    let record = |body: &[u8]| [&[22, 3, 1, 0x10, 0][..], body].concat();
    let mut first = vec![0; 4096];
    first[..4].copy_from_slice(&[1, 0, 0xea, 0x60]);
    let (mut plain, mut wire, mut sent) = (Vec::new(), Vec::new(), 0);
    let refused = loop {
        let body = if sent == 0 { first.clone() } else { vec![0; 4096] };
        let piece = record(&body);
        sent += piece.len();
        if let Err(refused) = server.open(&piece, &mut plain, &mut wire) {
            break refused;
        }
    };
    assert!(matches!(refused, TransportError::HandshakeTooLong(n) if n == sent), "{refused:?}");
    assert!(sent <= crate::limits::TLS_HANDSHAKE_BYTES_MAX + 2 * 4101, "{sent}");
}

#[test]
fn a_certificate_of_our_own_stays_the_same_and_only_the_owner_may_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("lane");
    let first = own(&folder);
    assert_eq!(first.fingerprint(), own(&folder).fingerprint());
    assert_eq!(first.fingerprint().to_string().len(), 95);
    let file = folder.join("tls.pem");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // Renewed: from the next connection on.
    std::fs::remove_file(&file).unwrap();
    let before = first.fingerprint();
    let after = first.reload().unwrap();
    assert_ne!(before, after);
    assert_eq!(first.fingerprint(), after);
    // A broken file on reload leaves what there was.
    std::fs::write(&file, "nothing").unwrap();
    assert!(first.reload().unwrap_err().to_string().contains("no certificate"));
    assert_eq!(first.fingerprint(), after);
}

#[test]
fn files_that_cannot_serve_are_refused_with_their_name() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("1"), dir.path().join("2"));
    own(&one);
    own(&two);
    let (one, two) = (one.join("tls.pem"), two.join("tls.pem"));
    let open = |certificate: &Path, key: &Path| {
        let source = TlsSource::Files { certificate: certificate.to_owned(), key: key.to_owned() };
        TlsServer::open(source)
    };
    assert!(open(&one, &one).is_ok());
    let mixed = open(&one, &two).unwrap_err();
    assert!(matches!(mixed, TlsError::Unusable(..)), "{mixed}");
    let missing = dir.path().join("missing.pem");
    assert!(open(&missing, &one).unwrap_err().to_string().contains("missing.pem"));
    let large = dir.path().join("large.pem");
    std::fs::write(&large, vec![b'x'; 65 << 10]).unwrap();
    assert!(open(&large, &one).unwrap_err().to_string().contains("too large"));
    let bare = dir.path().join("bare.pem");
    let text = std::fs::read_to_string(&one).unwrap();
    let end = text.find("-----BEGIN PRIVATE").unwrap();
    std::fs::write(&bare, &text[..end]).unwrap();
    assert!(open(&bare, &bare).unwrap_err().to_string().contains("no private key"));
    let bad = TlsSource::Own { folder: dir.path().join("3"), names: vec!["ü".to_owned()] };
    assert!(matches!(TlsServer::open(bad), Err(TlsError::Making(_))));
}
