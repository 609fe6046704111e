//! What is wrong with a lane.

use super::tls::{NO_PROXIES, proxies_are_told};
use super::*;
use gruve_market::CAPACITY_WINDOW_MAX;

/// Blocks that a reward of a development chain may mature for: as many as anywhere.
pub(super) const DEV_MATURITY_MAX: u64 = 100_000;

impl LaneConfig {
    /// Every fault in it; `i` is its place in the file.
    pub(super) fn faults(&self, i: usize, ports: &mut Ports) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |place: String, what: String| faults.push(Fault { place, what });
        let at = |key: &str| format!("lane[{i}].{key}");
        let v2 = self.stratum.v2.as_ref().map(|v2| ("stratum.v2.listen", v2.listen));
        for (key, listen) in [("stratum.listen", self.stratum.listen)].into_iter().chain(v2) {
            if !ports.take(listen) {
                fault(at(key), format!("{listen} is used twice in this file"));
            }
        }
        if EpochRule::new(self.epoch.0, self.grace.0).is_none() {
            fault(at("grace"), "must be shorter than the epoch".into());
        }
        if let Some(what) = no_lane(self.asset) {
            fault(at("asset"), what);
        }
        self.ethash.faults(self, |key, what| fault(at(&format!("ethash.{key}")), what.into()));
        let is_plain = self.tag.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        if self.tag.is_empty() || self.tag.len() > 32 || !is_plain {
            fault(at("tag"), "write 1 to 32 ASCII characters that can be seen".into());
        }
        self.node_faults(|key, what| fault(at(&key), what));
        for Fault { place, what } in aux_chain::faults(self, i) {
            fault(place, what);
        }
        let confirmations_max = if self.asset == Asset::Etc { 100_000 } else { 1_000 };
        if !(1..=confirmations_max).contains(&self.confirmations.unwrap_or(1)) {
            fault(at("confirmations"), format!("write 1 to {confirmations_max}"));
        }
        if self.asset == Asset::Etc {
            if !(1..=confirmations_max).contains(&self.maturity.unwrap_or(1)) {
                fault(at("maturity"), format!("write 1 to {confirmations_max}"));
            }
        } else if self.maturity.is_some() && self.network != NetworkConfig::Dev {
            let what = "only the dev network may set it: elsewhere it is the chain's rule";
            fault(at("maturity"), what.into());
        } else if !(1..=DEV_MATURITY_MAX).contains(&self.maturity.unwrap_or(1)) {
            fault(at("maturity"), format!("write 1 to {DEV_MATURITY_MAX}"));
        }
        if self.settle_every == 0 {
            fault(at("settle_every"), "write at least 1".into());
        }
        if !(1..=CAPACITY_WINDOW_MAX).contains(&u64::from(self.capacity_epochs)) {
            fault(at("capacity_epochs"), format!("write 1 to {CAPACITY_WINDOW_MAX}"));
        }
        if self.auto_approve_minor < 0 {
            fault(at("auto_approve_minor"), "write 0 (every payout waits) or more".into());
        }
        if self.keep_shares.is_some_and(|keep| keep.0 < KEEP_SHARES_MIN) {
            fault(at("keep_shares"), "write at least 1d, or leave it out: for ever".into());
        }
        let s = &self.stratum;
        if let Some(tls) = &s.tls {
            if !ports.take(tls.listen) {
                let what = format!("{} is used twice in this file", tls.listen);
                fault(at("stratum.tls.listen"), what);
            }
            for Fault { place, what } in tls.faults(&at("stratum.tls")) {
                fault(place, what);
            }
        }
        for (key, threads) in [("threads", Some(s.threads)), ("hash_threads", s.hash_threads)] {
            if threads.is_some_and(|n| !(1..=THREADS_MAX).contains(&n)) {
                fault(at(&format!("stratum.{key}")), format!("write 1 to {THREADS_MAX}"));
            }
        }
        if !proxies_are_told(s.proxy_protocol.as_deref()) {
            fault(at("stratum.proxy_protocol"), NO_PROXIES.into());
        }
        let v2 = s.v2.as_ref().and_then(|v2| v2.proxy_protocol.as_deref());
        if !proxies_are_told(v2) {
            fault(at("stratum.v2.proxy_protocol"), NO_PROXIES.into());
        }
        for (n, agent) in s.agents.iter().enumerate() {
            for Fault { place, what } in agent.faults(&at(&format!("stratum.agent[{n}]"))) {
                fault(place, what);
            }
        }
        if let (Some(min), Some(max)) = (s.class_min, s.class_max)
            && min > max
        {
            fault(at("stratum.class_min"), "is above class_max".into());
        }
        faults
    }
}

/// The addresses that a configuration listens on.
#[derive(Default)]
pub(super) struct Ports(Vec<SocketAddr>);

impl Ports {
    /// Whether an address is free. One of all interfaces (`0.0.0.0`) takes its port of each; port 0 is any.
    pub(super) fn take(&mut self, address: SocketAddr) -> bool {
        // All interfaces of IPv6 are those of IPv4, too.
        let covers =
            |a: IpAddr, b: IpAddr| a == b || a.is_unspecified() && (a.is_ipv6() || b.is_ipv4());
        let clashes = |taken: &SocketAddr| {
            let (a, b) = (taken.ip(), address.ip());
            taken.port() == address.port() && (covers(a, b) || covers(b, a))
        };
        let is_free = address.port() == 0 || !self.0.iter().any(clashes);
        self.0.push(address);
        is_free
    }
}

/// Why a coin has no lane of its own.
fn no_lane(asset: Asset) -> Option<String> {
    match asset {
        Asset::Btc | Asset::Ltc | Asset::Etc => None,
        Asset::Eth => Some(
            "ETH cannot be mined: it left proof of work on 15 September 2022 at block 15,537,393; an \
             Ethash chain is mined under its own name, as ETC"
                .into(),
        ),
        other => Some(format!("{other} has no lane of its own: BTC, LTC or ETC")),
    }
}
