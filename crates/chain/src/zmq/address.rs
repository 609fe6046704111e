//! Where a node publishes.

use std::path::PathBuf;
use std::str::FromStr;

/// Where a node publishes: `tcp://host:port`, `ipc://path` or `unix:path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZmqAddress {
    /// Host and port; IPv6 in brackets.
    Tcp(String),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// An address that is no publisher's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write it as tcp://host:port, ipc:///path or unix:/path")]
pub struct BadZmqAddress;

impl FromStr for ZmqAddress {
    type Err = BadZmqAddress;

    fn from_str(text: &str) -> Result<ZmqAddress, BadZmqAddress> {
        if let Some(path) = text.strip_prefix("ipc://").or_else(|| text.strip_prefix("unix:")) {
            return match path.is_empty() {
                true => Err(BadZmqAddress),
                false => Ok(ZmqAddress::Unix(path.into())),
            };
        }
        let place = text.strip_prefix("tcp://").ok_or(BadZmqAddress)?;
        let (host, port) = place.rsplit_once(':').ok_or(BadZmqAddress)?;
        if host.is_empty() || port.parse::<u16>().map_err(|_| BadZmqAddress)? == 0 {
            return Err(BadZmqAddress);
        }
        Ok(ZmqAddress::Tcp(place.to_owned()))
    }
}

impl ZmqAddress {
    /// As a node says where it listens, seen from here: on all its addresses is on the one that we
    /// speak to (`host`, without a port); on its own loopback is out of reach from another machine.
    pub(crate) fn told_by(text: &str, host: &str) -> Option<ZmqAddress> {
        let address = text.parse().ok()?;
        let near = ["127.0.0.1", "localhost", "[::1]"];
        match &address {
            ZmqAddress::Unix(_) => near.contains(&host).then_some(address),
            ZmqAddress::Tcp(place) => {
                let (listens, port) = place.rsplit_once(':')?;
                match listens {
                    "*" | "0.0.0.0" | "[::]" => Some(ZmqAddress::Tcp(format!("{host}:{port}"))),
                    own if near.contains(&own) && !near.contains(&host) => None,
                    _ => Some(address),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_nodes_write_them() {
        let tcp = |place: &str| Ok(ZmqAddress::Tcp(place.to_owned()));
        assert_eq!("tcp://127.0.0.1:28332".parse(), tcp("127.0.0.1:28332"));
        assert_eq!("tcp://[::1]:28332".parse(), tcp("[::1]:28332"));
        assert_eq!("ipc:///run/node".parse(), Ok(ZmqAddress::Unix("/run/node".into())));
        assert_eq!("unix:/run/node".parse(), Ok(ZmqAddress::Unix("/run/node".into())));
        for bad in ["", "tcp://", "tcp://host", "tcp://:1", "tcp://h:0", "http://h:1", "ipc://"] {
            assert_eq!(bad.parse::<ZmqAddress>(), Err(BadZmqAddress), "{bad}");
        }
    }

    #[test]
    fn what_a_node_says_of_itself_is_seen_from_here() {
        let seen = |told: &str, host: &str| ZmqAddress::told_by(told, host);
        let tcp = |place: &str| Some(ZmqAddress::Tcp(place.to_owned()));
        assert_eq!(seen("tcp://*:28332", "node.lan"), tcp("node.lan:28332"));
        assert_eq!(seen("tcp://0.0.0.0:28332", "10.0.0.5"), tcp("10.0.0.5:28332"));
        assert_eq!(seen("tcp://127.0.0.1:28332", "127.0.0.1"), tcp("127.0.0.1:28332"));
        assert_eq!(seen("tcp://127.0.0.1:28332", "node.lan"), None);
        assert_eq!(seen("ipc:///run/node", "node.lan"), None);
        assert_eq!(seen("tcp://10.0.0.5:1", "node.lan"), tcp("10.0.0.5:1"));
    }
}
