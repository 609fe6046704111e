//! A public record on a web server, asked for one file at a time, with or without TLS.
//!
//! Promises: nothing is unpacked (a server that compresses is told apart in words, so no small answer becomes a large one);
//! a connection that breaks, at whatever byte, is a fault of reading and never a lie; redirects are told, not followed, because the record
//! that was asked for is the one that is verified.
//!
//! Must not know: what is in the files.

use gruve_proof::verify::Source;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How many bytes a second a server must send once it has been waited for [`SILENCE`] in all: one that sends a byte
/// now and then would hold a reader for years.
const BYTES_EACH_SEC_MIN: u64 = 256;
/// Bytes of an answer's head at most.
const HEAD_BYTES_MAX: u64 = 16_384;
/// Where systems keep the authorities that they trust.
const SYSTEM_FILES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// A web server and the record's path on it.
pub(super) struct WebSource {
    /// As in the URL, with the port if one is given.
    host: String,
    path: String,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl fmt::Debug for WebSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebSource({}/{})", self.host, self.path)
    }
}

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

impl WebSource {
    /// What follows `http://`.
    pub(super) fn plain(rest: &str) -> Result<WebSource, String> {
        // A line's end or a space would say something else to the server than to the reader.
        if rest.is_empty() || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("not a URL: write it as https://host/record".to_owned());
        }
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        if host.contains('@') {
            return Err("a public record wants no user and no password".to_owned());
        }
        let path = path.trim_matches('/').to_owned();
        Ok(WebSource { host: host.to_owned(), path, tls: None })
    }

    /// What follows `https://`; the authorities of a file, or the system's.
    pub(super) fn secure(rest: &str, authorities: Option<&Path>) -> Result<WebSource, String> {
        let own = WebSource::plain(rest)?;
        let name = ServerName::try_from(own.name().to_owned());
        let name = name.map_err(|_| format!("{:?} cannot name a server", own.name()))?;
        Ok(WebSource { tls: Some((client(authorities)?, name)), ..own })
    }

    /// The host without its port and brackets.
    fn name(&self) -> &str {
        self.split().0.trim_matches(['[', ']'])
    }

    /// Host and port.
    fn split(&self) -> (&str, u16) {
        let usual = if self.tls.is_some() { 443 } else { 80 };
        let port = self.host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        match port.and_then(|(host, port)| Some((host, port.parse().ok()?))) {
            Some(both) => both,
            None => (&self.host, usual),
        }
    }

    fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let stream = connect_within(SILENCE, self.name(), self.split().1)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        let Some((config, name)) = &self.tls else { return Ok(Box::new(stream)) };
        let session = ClientConnection::new(config.clone(), name.clone());
        let session = session.map_err(io::Error::other)?;
        Ok(Box::new(StreamOwned::new(session, stream)))
    }
}

fn client(authorities: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let system = || SYSTEM_FILES.iter().map(PathBuf::from).find(|p| p.exists());
    let file = authorities.map(Path::to_owned).or_else(system);
    let file = file
        .ok_or("this system has no file of certificate authorities: name one with --authorities")?;
    let failed = |why: &dyn fmt::Display| format!("{}: {why}", file.display());
    let mut roots = RootCertStore::empty();
    let all = CertificateDer::pem_file_iter(&file).map_err(|e| failed(&e))?;
    for certificate in all.flatten() {
        // A bundle has some that a strict reader refuses; those that it takes are enough.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(failed(&"no certificate authority in it"));
    }
    // Named, not the process's default: the verifier may be the only one in it that speaks TLS.
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let with = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let with = with.map_err(|e| failed(&e))?.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(with))
}

impl Source for WebSource {
    fn open(&self, path: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        let mut stream = self.connect()?;
        let slash = if self.path.is_empty() { "" } else { "/" };
        // HTTP/1.0: the answer ends with the connection, and comes in one piece.
        let ask = format!(
            "GET /{}{slash}{path} HTTP/1.0\r\nHost: {}\r\nAccept: */*\r\nAccept-Encoding: identity\r\n\r\n",
            self.path, self.host
        );
        stream.write_all(ask.as_bytes())?;
        stream.flush()?;
        let mut answer = BufReader::new(Paced::new(stream));
        let head = Head::read(&mut answer)?;
        match head.status {
            200 => {}
            404 | 410 => return Ok(None),
            status @ 300..400 => {
                let to = head.location.unwrap_or_default();
                let what = format!("the server answers {status} and sends to {to:?}: verify that");
                return Err(io::Error::other(what));
            }
            status => return Err(io::Error::other(format!("the server answers {status}"))),
        }
        if let Some(coding) = head.coding {
            let what = format!("the server sends it as {coding:?}; the record is read as it is");
            return Err(io::Error::other(what));
        }
        match head.length {
            Some(left) => Ok(Some(Box::new(Counted { inner: answer, left }))),
            // Its end is signed, so one that breaks off is told from it.
            None if self.tls.is_some() => Ok(Some(Box::new(answer))),
            None => Err(io::Error::other(
                "the server does not say how long it is, so whether all of it came cannot be told: use https, or verify a copy",
            )),
        }
    }

    fn list(&self, _: u64) -> io::Result<Option<Vec<String>>> {
        Ok(None)
    }
}

/// Connects to the first of a host's addresses that answers in time.
fn connect_within(wait: Duration, name: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (name, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, wait) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// An answer that must come at some pace. Only the time that is waited for it counts: a reader may take as long as it
/// likes over what has come.
struct Paced<R> {
    inner: R,
    waited: Duration,
    bytes: u64,
}

impl<R: Read> Paced<R> {
    const fn new(inner: R) -> Paced<R> {
        Paced { inner, waited: Duration::ZERO, bytes: 0 }
    }

    /// Counts what came after a wait; whether it is enough.
    fn is_in_time(&mut self, n: usize, waited: Duration) -> bool {
        self.waited += waited;
        self.bytes = self.bytes.saturating_add(n as u64);
        let beyond = self.waited.saturating_sub(SILENCE).as_secs();
        self.bytes >= beyond.saturating_mul(BYTES_EACH_SEC_MIN)
    }
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let begun = Instant::now();
        let n = self.inner.read(to)?;
        match self.is_in_time(n, begun.elapsed()) {
            true => Ok(n),
            false => Err(io::Error::new(io::ErrorKind::TimedOut, "the server sends too slowly")),
        }
    }
}

/// What is wanted of an answer's head.
#[derive(Debug, Default)]
struct Head {
    status: u16,
    length: Option<u64>,
    /// How the body was changed on its way, if it was.
    coding: Option<String>,
    location: Option<String>,
}

impl Head {
    fn read(answer: &mut impl io::BufRead) -> io::Result<Head> {
        let not_http = || io::Error::other("not an HTTP answer");
        let mut lines = answer.take(HEAD_BYTES_MAX);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|s| s.trim().parse().ok());
        let mut head = Head { status: status.ok_or_else(not_http)?, ..Head::default() };
        loop {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                return Err(not_http());
            }
            let Some((name, value)) = line.trim_end().split_once(':') else {
                if line.trim_end().is_empty() {
                    return Ok(head);
                }
                continue;
            };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.length = Some(value.parse().map_err(|_| not_http())?),
                "content-encoding" | "transfer-encoding" if value != "identity" => {
                    head.coding = Some(value.chars().take(40).collect());
                }
                "location" => head.location = Some(value.chars().take(200).collect()),
                _ => {}
            }
        }
    }
}

/// A body of a length that was told: one that breaks off is a fault of the line.
struct Counted<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(to.len());
        if most == 0 {
            return Ok(0);
        }
        match self.inner.read(&mut to[..most])? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection broke off")),
            n => {
                self.left -= n as u64;
                Ok(n)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_with_and_without_a_port() {
        let split = |url: &str| {
            let own = WebSource::plain(url).unwrap();
            (own.name().to_owned(), own.split().1, own.path)
        };
        let of = |host: &str, port, path: &str| (host.to_owned(), port, path.to_owned());
        assert_eq!(split("a.example/record/"), of("a.example", 80, "record"));
        assert_eq!(split("a.example:8080"), of("a.example", 8080, ""));
        assert_eq!(split("[::1]:81/x/y"), of("::1", 81, "x/y"));
        assert_eq!(split("[::1]/x"), of("::1", 80, "x"));
        for bad in ["", "a b/c", "a\r\nHost: b", "user@host/"] {
            assert!(WebSource::plain(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_head_says_what_is_wanted_or_is_none() {
        let read = |text: &str| Head::read(&mut text.as_bytes());
        let head =
            read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-ENCODING: gzip\r\n\r\n").unwrap();
        assert_eq!(
            (head.status, head.length, head.coding.as_deref()),
            (200, Some(5), Some("gzip"))
        );
        for bad in
            ["", "nonsense", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200\r\nContent-Length: -1\r\n\r\n"]
        {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(9_000));
        assert!(read(&endless).is_err());
    }

    #[test]
    fn a_server_that_sends_a_byte_now_and_then_is_left() {
        let secs = Duration::from_secs;
        let mut slow = Paced::new(io::empty());
        assert!((0..3).all(|_| slow.is_in_time(1, secs(10))), "it may begin late");
        assert!(!slow.is_in_time(1, secs(29)), "a byte for each silence that is allowed");
        let mut poor = Paced::new(io::empty());
        assert!((0..1_000).all(|_| poor.is_in_time(2_560, secs(10))), "a poor line is enough");
        assert!(!(0..1_000).all(|_| poor.is_in_time(2_000, secs(10))));
    }

    /// What is read of a server that sends this and hangs up.
    fn served(answer: &'static [u8]) -> io::Result<Vec<u8>> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let source = WebSource::plain(&format!("{}/record", listener.local_addr().unwrap()));
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // All that is asked, so that hanging up is no reset.
            let mut asked = BufReader::new(stream.try_clone().unwrap()).lines();
            while asked.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            stream.write_all(answer).unwrap();
        });
        let read = source.unwrap().open("key").and_then(|file| {
            let mut all = Vec::new();
            file.expect("it is there").read_to_end(&mut all).map(|_| all)
        });
        server.join().unwrap();
        read
    }

    #[test]
    fn an_answer_is_whole_or_an_error_wherever_it_breaks_off() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345";
        assert_eq!(served(answer).unwrap(), b"12345");
        for cut in 0..answer.len() {
            assert!(served(&answer[..cut]).is_err(), "{cut} bytes");
        }
        // As long as it lasts: who knows how long it should have.
        let said = served(b"HTTP/1.1 200 OK\r\n\r\n12345").unwrap_err();
        assert!(said.to_string().contains("how long"), "{said}");
    }

    #[test]
    fn a_body_that_breaks_off_is_no_whole_file() {
        let read = |left| {
            let mut all = Vec::new();
            Counted { inner: &b"12345"[..], left }.read_to_end(&mut all).map(|_| all)
        };
        assert_eq!(read(4).unwrap(), b"1234");
        assert!(read(6).is_err());
    }
}
