//! PROXY protocol headers as load balancers send them, and as nobody should.

use gruve_stratum::limits::PROXY_HEADER_BYTES_MAX;
use gruve_stratum::proxy::{Network, ProxyError, ProxyHeader, TrustedNetworks, read};
use gruve_units::{Entropy as _, SeededEntropy};
use std::net::SocketAddr;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of these parts, its length reckoned.
fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[0x20 | command, family], &length, body].concat()
}

fn v4() -> Vec<u8> {
    // 203.0.113.9:4242 to 10.0.0.1:3333.
    vec![203, 0, 113, 9, 10, 0, 0, 1, 0x10, 0x92, 0x0d, 0x05]
}

fn whole(length: usize, source: Option<&str>) -> Result<ProxyHeader, ProxyError> {
    let source = source.map(|s| s.parse::<SocketAddr>().unwrap());
    Ok(ProxyHeader::Whole { length, source })
}

/// The header with its checksum in a field after `body`.
fn with_checksum(body: &[u8]) -> Vec<u8> {
    let mut bytes = header(1, 0x11, &[body, &[3, 0, 4, 0, 0, 0, 0]].concat());
    let crc = crc32c::crc32c(&bytes).to_be_bytes();
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&crc);
    bytes
}

#[test]
fn a_header_over_tcp_names_the_miner_and_leaves_its_bytes() {
    let bytes = header(1, 0x11, &v4());
    assert_eq!(read(&bytes), whole(28, Some("203.0.113.9:4242")));
    let followed = [&bytes[..], b"{\"id\":1}\n"].concat();
    assert_eq!(read(&followed), whole(28, Some("203.0.113.9:4242")));
    let mut v6 = vec![0; 36];
    v6[..2].copy_from_slice(&[0x20, 0x01]);
    v6[15] = 7;
    v6[32..34].copy_from_slice(&[0, 80]);
    assert_eq!(read(&header(1, 0x21, &v6)), whole(52, Some("[2001::7]:80")));
    // An IPv4 address in IPv6 clothes counts as what it is.
    v6[..16].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 9]);
    assert_eq!(read(&header(1, 0x21, &v6)), whole(52, Some("203.0.113.9:80")));
}

#[test]
fn health_checks_and_unspecified_families_leave_the_sockets_address() {
    assert_eq!(read(&header(0, 0, &[])), whole(16, None));
    assert_eq!(read(&header(0, 0x11, &v4())), whole(28, None));
    assert_eq!(read(&header(0, 0x31, &[9; 216])), whole(232, None));
    assert_eq!(read(&header(1, 0, &[1, 2, 3])), whole(19, None));
}

#[test]
fn a_header_cut_anywhere_waits_for_the_rest() {
    let bytes = header(1, 0x11, &[&v4()[..], &[4, 0, 2, 0, 0]].concat());
    for end in 0..bytes.len() {
        assert_eq!(read(&bytes[..end]), Ok(ProxyHeader::Incomplete), "{end}");
    }
    assert_eq!(read(&bytes), whole(33, Some("203.0.113.9:4242")));
}

#[test]
fn version_one_is_refused_with_what_to_do() {
    for text in ["P", "PROXY", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "PROXY UNKNOWN\r\n"] {
        let refused = read(text.as_bytes()).unwrap_err();
        assert_eq!(refused, ProxyError::Version1);
        assert!(refused.to_string().contains("set it to version 2"));
    }
}

#[test]
fn what_is_no_header_is_refused_at_the_first_wrong_byte() {
    assert_eq!(read(b"{"), Err(ProxyError::NotAHeader));
    assert_eq!(read(b"\x16\x03\x01"), Err(ProxyError::NotAHeader));
    assert_eq!(read(b"\r\n\r\nGET"), Err(ProxyError::NotAHeader));
    assert_eq!(read(b"PROXIES"), Err(ProxyError::NotAHeader));
    let other = |at: usize, byte: u8| {
        let mut bytes = header(1, 0x11, &v4());
        bytes[at] = byte;
        read(&bytes)
    };
    assert_eq!(other(12, 0x11), Err(ProxyError::Version));
    assert_eq!(other(12, 0x31), Err(ProxyError::Version));
    assert_eq!(other(12, 0x22), Err(ProxyError::Command));
    for family in [0x12, 0x22, 0x31, 0x32, 0x10, 0x01, 0xff] {
        assert_eq!(other(13, family), Err(ProxyError::Family), "{family:x}");
    }
    assert_eq!(other(15, 11), Err(ProxyError::Length), "shorter than its addresses");
    assert_eq!(other(14, 2), Err(ProxyError::Length), "longer than the bound");
}

#[test]
fn the_longest_header_is_taken_and_one_byte_more_is_not_waited_for() {
    let fill = PROXY_HEADER_BYTES_MAX - 16 - 12 - 3;
    let mut body = [&v4()[..], &[4], &u16::try_from(fill).unwrap().to_be_bytes()].concat();
    body.resize(PROXY_HEADER_BYTES_MAX - 16, 0);
    let longest = header(1, 0x11, &body);
    assert_eq!(read(&longest), whole(PROXY_HEADER_BYTES_MAX, Some("203.0.113.9:4242")));
    body.push(0);
    assert_eq!(read(&header(1, 0x11, &body)[..16]), Err(ProxyError::Length));
}

#[test]
fn fields_are_skipped_but_must_add_up_and_a_checksum_must_fit() {
    let with = |fields: &[u8]| read(&header(1, 0x11, &[&v4()[..], fields].concat()));
    assert!(with(&[1, 0, 2, b'h', b'2', 0x30, 0, 0]).is_ok());
    for cut in [&[4][..], &[4, 0], &[4, 0, 1], &[4, 0xff, 0xff, 0], &[3, 0, 3, 0, 0, 0]] {
        assert_eq!(with(cut), Err(ProxyError::Length), "{cut:?}");
    }
    let good = with_checksum(&v4());
    assert!(read(&good).is_ok());
    for bit in 0..8 * (good.len() - 16) {
        // The field's own head may become another, harmless field.
        let (byte, mask) = (16 + bit / 8, 1 << (bit % 8));
        if (28..31).contains(&byte) {
            continue;
        }
        let mut bad = good.clone();
        bad[byte] ^= mask;
        assert_eq!(read(&bad), Err(ProxyError::Checksum), "bit {bit}");
    }
}

#[test]
fn no_bytes_make_the_parser_panic_or_read_beyond_them() {
    let entropy = SeededEntropy::new(2);
    for round in 0..200_000usize {
        let mut bytes =
            if round % 2 == 0 { with_checksum(&v4()) } else { header(1, 0x21, &[7; 60]) };
        let mut dice = [0; 12];
        entropy.fill(&mut dice);
        for pair in dice[..6].chunks(2) {
            let at = usize::from(pair[0]) % bytes.len();
            bytes[at] = if round % 3 == 0 { pair[1] } else { bytes[at] ^ (1 << (pair[1] % 8)) };
        }
        bytes.truncate(usize::from(dice[6]) % (bytes.len() + 1));
        if let Ok(ProxyHeader::Whole { length, .. }) = read(&bytes) {
            assert!(length <= bytes.len() && length <= PROXY_HEADER_BYTES_MAX);
        }
    }
}

#[test]
fn networks_are_read_strictly_and_hold_what_they_should() {
    let network = |text: &str| text.parse::<Network>();
    let ten = network("10.0.0.0/8").unwrap();
    assert!(ten.contains("10.255.1.2".parse().unwrap()));
    assert!(ten.contains("::ffff:10.1.1.1".parse().unwrap()));
    assert!(!ten.contains("11.0.0.0".parse().unwrap()) && !ten.contains("::1".parse().unwrap()));
    assert!(network("0.0.0.0/0").unwrap().contains("1.2.3.4".parse().unwrap()));
    let one = network("192.0.2.7").unwrap();
    assert_eq!(one.to_string(), "192.0.2.7/32");
    assert!(!one.contains("192.0.2.6".parse().unwrap()));
    let own = network("fd00::/8").unwrap();
    assert!(own.contains("fdff::1".parse().unwrap()) && !own.contains("fe00::1".parse().unwrap()));
    assert!(network("::/0").unwrap().contains("2001::".parse().unwrap()));
    for bad in [
        "",
        "/",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.1.0.0/8",
        "10.0.0.0/+8",
        "10.0.0.0/8/8",
        "fd00::1/8",
        "::/129",
        "::ffff:10.0.0.0/104",
        "example.org",
        "10.0.0/8",
        " 10.0.0.0/8",
        "10.0.0.0/-1",
        "10.0.0.0/256",
    ] {
        assert!(network(bad).is_err(), "{bad:?}");
    }
    let trusted = TrustedNetworks(vec![ten, own]);
    assert_eq!(trusted.admit("10.0.0.1".parse().unwrap()), Ok(()));
    let stranger = trusted.admit("192.0.2.1".parse().unwrap());
    assert_eq!(stranger, Err(ProxyError::NotTrusted));
    assert!(TrustedNetworks::default().admit("127.0.0.1".parse().unwrap()).is_err());
}
