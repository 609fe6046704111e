//! Where a request comes from.
//!
//! The connection's address, unless a proxy that the operator trusts stands in front: then the last
//! address of `X-Forwarded-For` that is no such proxy's. What others write into that field is not
//! believed.

use crate::state::AppState;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use gruve_accounts::Device;
use std::convert::Infallible;
use std::net::IpAddr;

/// The address at the other end of the connection; [`crate::serve`] puts it beside each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The client: its address, where the server tells it, and what it calls itself.
#[derive(Clone, Debug)]
pub(crate) struct Client(pub(crate) Device);

/// Bytes of a client's name for itself that are looked at.
const AGENT_BYTES_MAX: usize = 512;

impl FromRequestParts<AppState> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>().map(|p| p.0.to_canonical());
        let proxies = &state.config().trusted_proxies;
        let address = peer.map(|peer| behind(peer, &parts.headers, proxies));
        let agent = parts.headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok());
        let agent = agent.unwrap_or_default();
        let agent = agent.get(..agent.len().min(AGENT_BYTES_MAX)).unwrap_or_default().to_owned();
        Ok(Client(Device { address, agent }))
    }
}

fn behind(peer: IpAddr, headers: &HeaderMap, proxies: &[IpAddr]) -> IpAddr {
    let mut address = peer;
    if !is_one_of(address, proxies) {
        return address;
    }
    let fields = headers.get_all("x-forwarded-for");
    let fields: Vec<&str> = fields.iter().filter_map(|v| v.to_str().ok()).collect();
    // Each proxy adds the address it saw at the end; the fields count as one list.
    for entry in fields.iter().rev().flat_map(|f| f.rsplit(',')) {
        let Ok(seen) = entry.trim().parse::<IpAddr>() else { break };
        address = seen.to_canonical();
        if !is_one_of(address, proxies) {
            break;
        }
    }
    address
}

/// Whether an address is one of a list.
pub(crate) fn is_one_of(address: IpAddr, list: &[IpAddr]) -> bool {
    list.iter().any(|a| a.to_canonical() == address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_its_own_entry() {
        let ip = |t: &str| t.parse::<IpAddr>().unwrap();
        let proxies = [ip("10.0.0.1"), ip("10.0.0.2")];
        let from = |peer: &str, fields: &[&str]| {
            let mut headers = HeaderMap::new();
            for f in fields {
                headers.append("x-forwarded-for", f.parse().unwrap());
            }
            behind(ip(peer), &headers, &proxies)
        };
        assert_eq!(from("192.0.2.1", &["198.51.100.1"]), ip("192.0.2.1"));
        assert_eq!(from("10.0.0.1", &["198.51.100.1"]), ip("198.51.100.1"));
        assert_eq!(from("::ffff:10.0.0.1", &["1.2.3.4, 198.51.100.1"]), ip("198.51.100.1"));
        assert_eq!(from("10.0.0.1", &["1.2.3.4", "198.51.100.1, 10.0.0.2"]), ip("198.51.100.1"));
        assert_eq!(from("10.0.0.1", &["1.2.3.4, nonsense"]), ip("10.0.0.1"));
        assert_eq!(from("10.0.0.1", &[]), ip("10.0.0.1"));
    }
}
