//! Which addresses a customer may have messages posted to. A house that posts where its customers like is a way into
//! the operator's own network; so names and numbers of it are refused, here by what is written, and by whoever
//! connects once more by what a name leads to at that moment.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Characters of an address at most.
const CHARS_MAX: usize = 500;

/// Ports below this are other services' than the web's, apart from its own.
const PORT_MIN: u16 = 1_024;

/// Whether an address is one of the public internet: not of this machine, a private network, a link, a documentation,
/// a relay, or of nobody.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(a) => is_public_v4(a),
        IpAddr::V6(a) => is_public_v6(a),
    }
}

/// By the registry of special addresses (IANA, RFC 6890 and its successors).
fn is_public_v4(a: Ipv4Addr) -> bool {
    let [one, two, three, _] = a.octets();
    let is_special = match (one, two, three) {
        (0 | 10 | 127 | 224..=255, ..)
        | (169, 254, _)
        | (192, 168, _)
        | (192, 0, 0 | 2)
        | (192, 88, 99)
        | (198, 51, 100)
        | (203, 0, 113) => true,
        (100, second, _) => (64..128).contains(&second),
        (172, second, _) => (16..32).contains(&second),
        (198, second, _) => (18..20).contains(&second),
        _ => false,
    };
    !is_special
}

/// Only global unicast, without what is carried through others and without documentation.
fn is_public_v6(a: Ipv6Addr) -> bool {
    let s = a.segments();
    let is_global = s[0] & 0xe000 == 0x2000;
    // 2001::/23 has Teredo, benchmarks and the like; 2002::/16 carries any IPv4 address.
    let is_special = match s[0] {
        0x2001 => s[1] < 0x0200 || s[1] == 0x0db8,
        0x2002 => true,
        0x3fff => s[1] < 0x1000,
        _ => false,
    };
    is_global && !is_special
}

/// Why an address is not taken; a sentence for who wrote it.
pub(super) fn fault(url: &str, is_private_allowed: bool) -> Option<&'static str> {
    if url.len() > CHARS_MAX || !url.bytes().all(|b| b.is_ascii_graphic()) {
        return Some("An address has at most 500 visible ASCII characters.");
    }
    let rest = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => rest,
        (None, Some(rest)) if is_private_allowed => rest,
        _ => return Some("Write an address that begins with https://."),
    };
    if url.contains('#') || url.contains('\\') {
        return Some("An address to post to has no # and no \\.");
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let authority = &rest[..end];
    if authority.contains('@') {
        return Some("Leave name and password out of the address: messages are signed.");
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let Some((host, after)) = v6.split_once(']') else { return Some(NO_HOST) };
            (host, after.strip_prefix(':').or(if after.is_empty() { None } else { Some("x") }))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let is_port = |text: &str| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let port = text.parse::<u16>().ok().filter(|_| digits);
        port.is_some_and(|p| p == 443 || p == 80 || p >= PORT_MIN)
    };
    if !port.is_none_or(is_port) {
        return Some("The port must be 80, 443, or 1024 or above.");
    }
    host_fault(host, authority.starts_with('['), is_private_allowed)
}

const NO_HOST: &str = "Write an address with a host, as https://example.org/hook.";

fn host_fault(host: &str, is_v6: bool, is_private_allowed: bool) -> Option<&'static str> {
    const PRIVATE: &str =
        "This address is in a private network: write one that is reached from the internet.";
    let number = host.parse::<IpAddr>().ok().filter(|a| a.is_ipv6() == is_v6);
    if let Some(address) = number {
        return (!is_private_allowed && !is_public(address)).then_some(PRIVATE);
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    if is_v6 || host.is_empty() || host.len() > 253 || !host.bytes().all(plain) {
        return Some(NO_HOST);
    }
    let is_label =
        |l: &str| (1..=63).contains(&l.len()) && !l.starts_with('-') && !l.ends_with('-');
    if !host.trim_end_matches('.').split('.').all(is_label) {
        return Some(NO_HOST);
    }
    if is_private_allowed {
        return None;
    }
    let lower = host.trim_end_matches('.').to_ascii_lowercase();
    let last = lower.rsplit('.').next().unwrap_or_default();
    // A last label of digits is a number in another writing (127.1, 0x7f.1, 2130706433).
    let is_number = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    let is_inner = matches!(last, "localhost" | "local" | "internal" | "lan" | "home" | "arpa");
    (is_number || is_inner || !lower.contains('.')).then_some(PRIVATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_reached_from_the_internet_is_not_public() {
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "3fff::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
        for public in [
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn addresses_of_the_operators_own_network_are_refused_however_they_are_written() {
        for good in [
            "https://example.org/hook",
            "https://example.org",
            "https://a-b.example.org:8443/x?y=1",
            "https://1.1.1.1/",
            "https://[2606:4700::1111]:8443/",
            "https://example.org.:443/",
        ] {
            assert_eq!(fault(good, false), None, "{good}");
        }
        for bad in [
            "",
            "https://",
            "http://example.org/",
            "ftp://example.org/",
            "https://localhost/",
            "https://LOCALHOST:8443/",
            "https://inner/",
            "https://db.internal/",
            "https://x.local/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0x7f000001/",
            "https://10.0.0.1:8080/",
            "https://[::1]/",
            "https://[::1",
            "https://[fd00::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://me:x@example.org/",
            "https://example.org@127.0.0.1/",
            "https://example.org:22/",
            "https://example.org:x/",
            "https://example.org:/",
            "https://example.org#x",
            "https://exa mple.org/",
            "https://example.org\\@127.0.0.1/",
            "https://-x.org/",
            "https://x..org/",
            "https://b\u{e5}t.no/",
            "https://1.in-addr.arpa/",
            "https://[1.1.1.1]/",
        ] {
            assert!(fault(bad, false).is_some(), "{bad}");
        }
        assert!(fault(&format!("https://example.org/{}", "x".repeat(500)), false).is_some());
        for among_friends in ["http://127.0.0.1:9000/", "https://db.internal/", "http://[::1]:81/"]
        {
            let refused = fault(among_friends, true);
            assert_eq!(refused.is_some(), among_friends.contains(":81/"), "{among_friends}");
        }
        assert!(fault("ftp://example.org/", true).is_some());
    }
}
