//! The PROXY protocol's header, version 2: whose connection a load balancer passes on. Pure.
//!
//! Source: the PROXY protocol's specification (haproxy.org, `proxy-protocol.txt`), section 2.2.
//! Sixteen bytes (signature, version and command, family and protocol, length), addresses, and
//! fields that we skip (only the checksum among them is looked at).
//!
//! | header | then |
//! |---|---|
//! | PROXY over TCP and IPv4 or IPv6 | the miner is where it says |
//! | PROXY of unspecified family, LOCAL (a health check) | the miner is where the socket says |
//! | version 1 (text), datagrams, Unix sockets, anything else | closed |
//!
//! Promises: a header is believed only from [`TrustedNetworks`]; nobody else's is even read. No
//! bytes make it panic; nothing beyond [`PROXY_HEADER_BYTES_MAX`] is waited for.

use crate::limits::PROXY_HEADER_BYTES_MAX;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and protocol, length.
const FIXED_BYTES: usize = 16;

/// The field that holds the header's CRC-32C.
const FIELD_CRC32C: u8 = 0x03;

/// Why a connection that should begin with a header is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// From outside the trusted networks.
    #[error("this listener takes connections only from the proxies named in `proxy_protocol`")]
    NotTrusted,
    /// Something else than a header.
    #[error("the connection does not begin with a PROXY protocol header")]
    NotAHeader,
    /// Version 1.
    #[error("the proxy sends version 1 (text) of the PROXY protocol: set it to version 2")]
    Version1,
    /// A version yet to come.
    #[error("the proxy sends an unknown version of the PROXY protocol")]
    Version,
    /// A command other than LOCAL and PROXY.
    #[error("unknown command in the PROXY protocol header")]
    Command,
    /// Datagrams, Unix sockets, or an unknown family.
    #[error("the PROXY protocol header is for another kind of connection than TCP")]
    Family,
    /// Too long, or too short for what it must hold.
    #[error("the PROXY protocol header's length is wrong")]
    Length,
    /// It was changed on its way.
    #[error("the PROXY protocol header's checksum is wrong")]
    Checksum,
}

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// The beginning of a header.
    Incomplete,
    /// A header.
    Whole {
        /// Its bytes; what follows is the miner's.
        length: usize,
        /// Where the miner is; `None` for where the socket says.
        source: Option<SocketAddr>,
    },
}

/// Reads the header at the front of `input`.
///
/// # Errors
/// See [`ProxyError`]: as soon as it is clear, without waiting for the rest.
pub fn read(input: &[u8]) -> Result<ProxyHeader, ProxyError> {
    let known = input.len().min(SIGNATURE.len());
    if input[..known] != SIGNATURE[..known] {
        let text = b"PROXY ";
        let known = input.len().min(text.len());
        let is_text = input[..known] == text[..known];
        return Err(if is_text { ProxyError::Version1 } else { ProxyError::NotAHeader });
    }
    let Some((fixed, rest)) = input.split_at_checked(FIXED_BYTES) else {
        return Ok(ProxyHeader::Incomplete);
    };
    let is_local = match (fixed[12] >> 4, fixed[12] & 0xf) {
        (2, 0) => true,
        (2, 1) => false,
        (2, _) => return Err(ProxyError::Command),
        _ => return Err(ProxyError::Version),
    };
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if FIXED_BYTES + length > PROXY_HEADER_BYTES_MAX {
        return Err(ProxyError::Length);
    }
    let address_bytes = match fixed[13] {
        // What a health check says of addresses is to be skipped, whatever it is.
        _ if is_local => 0,
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        _ => return Err(ProxyError::Family),
    };
    if length < address_bytes {
        return Err(ProxyError::Length);
    }
    let Some(body) = rest.get(..length) else { return Ok(ProxyHeader::Incomplete) };
    let (addresses, fields) = body.split_at(address_bytes);
    if !is_local && fixed[13] != 0 {
        check_fields(&input[..FIXED_BYTES + length], fields)?;
    }
    Ok(ProxyHeader::Whole { length: FIXED_BYTES + length, source: source(addresses) })
}

/// The source's address and port out of source, destination, source's port, destination's port.
fn source(addresses: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = match addresses.len() {
        12 => {
            let ip: [u8; 4] = addresses[..4].try_into().ok()?;
            (IpAddr::V4(Ipv4Addr::from(ip)), &addresses[8..10])
        }
        36 => {
            let ip: [u8; 16] = addresses[..16].try_into().ok()?;
            (IpAddr::V6(Ipv6Addr::from(ip)).to_canonical(), &addresses[32..34])
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes([port[0], port[1]])))
}

/// Type, length, value, one after the other to the end; the checksum is over the whole header with
/// its own four bytes zero.
fn check_fields(header: &[u8], mut fields: &[u8]) -> Result<(), ProxyError> {
    while let [kind, high, low, rest @ ..] = fields {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, after) = rest.split_at_checked(length).ok_or(ProxyError::Length)?;
        if *kind == FIELD_CRC32C {
            let told: [u8; 4] = value.try_into().map_err(|_| ProxyError::Length)?;
            let at = header.len() - after.len() - 4;
            let crc = crc32c::crc32c(&header[..at]);
            let crc = crc32c::crc32c_append(crc, &[0; 4]);
            let crc = crc32c::crc32c_append(crc, &header[at + 4..]);
            if crc != u32::from_be_bytes(told) {
                return Err(ProxyError::Checksum);
            }
        }
        fields = after;
    }
    if fields.is_empty() { Ok(()) } else { Err(ProxyError::Length) }
}

/// Addresses that share their first bits: `10.0.0.0/8`, `fd00::/8`, or one address alone.
#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether an address lies in it; an IPv4 address in IPv6 clothes counts as IPv4.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                own.to_bits() == ip.to_bits() & mask32(self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                own.to_bits() == ip.to_bits() & mask128(self.prefix)
            }
            _ => false,
        }
    }
}

fn mask32(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

fn mask128(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A text that is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network: write it like 10.0.0.0/8, fd00::/8 or 192.0.2.7")]
pub struct NotANetwork(pub String);

impl FromStr for Network {
    type Err = NotANetwork;

    /// Bits beyond the prefix must be zero: `10.1.2.3/8` is more likely a mistake than meant.
    fn from_str(text: &str) -> Result<Network, NotANetwork> {
        let not = || NotANetwork(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| not())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(p) if p.bytes().all(|b| b.is_ascii_digit()) => p.parse().map_err(|_| not())?,
            Some(_) => return Err(not()),
        };
        let is_clean = prefix <= most
            && match address {
                IpAddr::V4(a) => a.to_bits() & !mask32(prefix) == 0,
                IpAddr::V6(a) => a.to_bits() & !mask128(prefix) == 0,
            };
        // An IPv4 address in IPv6 clothes would never match: addresses are compared without them.
        if !is_clean || address != address.to_canonical() {
            return Err(not());
        }
        Ok(Network { address, prefix })
    }
}

impl TryFrom<String> for Network {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Network, NotANetwork> {
        text.parse()
    }
}

/// The proxies that are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedNetworks(pub Vec<Network>);

impl TrustedNetworks {
    /// Lets a connection be read that comes from one of them.
    ///
    /// # Errors
    /// [`ProxyError::NotTrusted`]: close it without a word.
    pub fn admit(&self, peer: IpAddr) -> Result<(), ProxyError> {
        if self.0.iter().any(|n| n.contains(peer)) { Ok(()) } else { Err(ProxyError::NotTrusted) }
    }
}
