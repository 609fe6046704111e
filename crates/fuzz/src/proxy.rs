//! Bytes as the header of a load balancer.
//!
//! What must hold: no panic; nothing beyond the bound is waited for; what is decided with fewer
//! bytes is not decided otherwise with more; a rewritten header reads the same.

use gruve_stratum::limits;
use gruve_stratum::proxy::{self, ProxyError, ProxyHeader};
use std::net::SocketAddr;

/// See the module.
pub fn run(data: &[u8]) {
    let whole = proxy::read(data);
    match whole {
        Ok(ProxyHeader::Whole { length, source }) => {
            assert!(length <= data.len() && length <= limits::PROXY_HEADER_BYTES_MAX);
            assert_eq!(proxy::read(&data[..length]), whole, "what follows is not looked at");
            if let Some(source) = source {
                rewrite(source);
            }
        }
        Ok(ProxyHeader::Incomplete) => {
            assert!(data.len() < limits::PROXY_HEADER_BYTES_MAX, "waits for too much");
        }
        Err(_) => {}
    }
    for n in 0..data.len().min(limits::PROXY_HEADER_BYTES_MAX) {
        match proxy::read(&data[..n]) {
            Ok(ProxyHeader::Incomplete) => {}
            // "P" alone may be the text form or nothing known.
            Err(ProxyError::Version1) => {
                assert!(matches!(whole, Err(ProxyError::Version1 | ProxyError::NotAHeader)));
            }
            early => assert_eq!(early, whole, "after {n} bytes"),
        }
    }
}

/// The header that says the same.
fn rewrite(source: SocketAddr) {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec();
    match source {
        SocketAddr::V4(at) => {
            header.extend([0x11, 0, 12]);
            header.extend(at.ip().octets());
            header.extend([127, 0, 0, 1]);
        }
        SocketAddr::V6(at) => {
            header.extend([0x21, 0, 36]);
            header.extend(at.ip().octets());
            header.extend([0; 16]);
        }
    }
    header.extend(source.port().to_be_bytes());
    header.extend([0x0d, 0x05]);
    let again = proxy::read(&header).expect("a good header");
    let ProxyHeader::Whole { length, source: Some(found) } = again else { panic!("{again:?}") };
    assert_eq!((length, found.ip(), found.port()), (header.len(), source.ip(), source.port()));
}
