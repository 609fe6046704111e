//! Reading a configuration: every fault in it at once, each with its place.

use super::*;
use gruve_farm::MACHINE_NAME_BYTES_MAX;
use gruve_market::CAPACITY_WINDOW_MAX;

impl Config {
    /// Reads the text of a configuration; relative paths in it are below `base`.
    ///
    /// # Errors
    /// Every fault found, never an empty list.
    pub fn parse(text: &str, base: &Path) -> Result<Config, Vec<Fault>> {
        let mut config: Config = toml::from_str(text).map_err(|e| vec![syntax_fault(text, &e)])?;
        config.resolve(base);
        let faults = config.faults();
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    /// The database's address.
    #[must_use]
    pub fn database_url(&self) -> String {
        let default = || format!("sqlite:{}", self.house.data.join("gruve.db").display());
        self.database.url.clone().unwrap_or_else(default)
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |place: String, what: String| faults.push(Fault { place, what });
        let origin = &self.house.origin;
        if origin.is_empty() || origin.len() > 200 || origin.contains(['\n', '+', ' ']) {
            let what = "write a name like `gruve.example/log`: 1 to 200 characters, no space, no +";
            fault("house.origin".into(), what.into());
        }
        let schemes = ["http://", "https://"];
        if let Some(set) = &self.http.origin
            && !schemes.iter().any(|s| set.strip_prefix(s).is_some_and(is_host))
        {
            let what =
                "write it as browsers do: https://mine.example, without a path or slash at the end";
            fault("http.origin".into(), what.into());
        }
        // The address says that customers come by https; without this their sessions would go over plain http, too.
        if self.http.origin.as_ref().is_some_and(|o| o.starts_with("https://"))
            && !self.http.secure_cookies
        {
            let what = "customers come by https, as http.origin says: write true";
            fault("http.secure_cookies".into(), what.into());
        }
        if self.lanes.is_empty() || self.lanes.len() > LANES_MAX {
            fault("lane".into(), format!("write 1 to {LANES_MAX} [[lane]] sections"));
        }
        let engines = ["sqlite:", "postgres://", "postgresql://"];
        if let Some(url) = &self.database.url
            && !engines.iter().any(|engine| url.starts_with(engine))
        {
            let what = "write sqlite:/path/to/file.db or postgres://user:password@host/database";
            fault("database.url".into(), what.into());
        }
        let mut seen = HashSet::new();
        let mut ports = Ports::default();
        let _ = ports.take(self.http.listen);
        if let Some(listen) = self.metrics.listen
            && !ports.take(listen)
        {
            fault("metrics.listen".into(), format!("{listen} is used twice in this file"));
        }
        let has_origin = self.http.origin.is_some();
        let mail = self.mail.iter().flat_map(|m| m.faults(has_origin)).chain(self.alerts.faults());
        let parts = self.metrics.faults().into_iter().chain(self.record.faults()).chain(mail);
        for Fault { place, what } in parts {
            fault(place, what);
        }
        for (i, lane) in self.lanes.iter().enumerate() {
            let at = |key: &str| format!("lane[{i}].{key}");
            if !seen.insert(lane.id.clone()) {
                fault(at("id"), format!("`{}` names a lane already", lane.id));
            }
            let v2 = lane.stratum.v2.as_ref().map(|v2| ("stratum.v2.listen", v2.listen));
            for (key, listen) in [("stratum.listen", lane.stratum.listen)].into_iter().chain(v2) {
                if !ports.take(listen) {
                    fault(at(key), format!("{listen} is used twice in this file"));
                }
            }
            if EpochRule::new(lane.epoch.0, lane.grace.0).is_none() {
                fault(at("grace"), "must be shorter than the epoch".into());
            }
            if let Some(what) = no_lane(lane.asset) {
                fault(at("asset"), what);
            }
            lane.ethash.faults(lane, |key, what| fault(at(&format!("ethash.{key}")), what.into()));
            if lane.tag.is_empty() || lane.tag.len() > 32 || !lane.tag.is_ascii() {
                fault(at("tag"), "write 1 to 32 ASCII characters".into());
            }
            lane.node_faults(|key, what| fault(at(&key), what));
            for Fault { place, what } in aux_chain::faults(lane, i) {
                fault(place, what);
            }
            let confirmations_max = if lane.asset == Asset::Etc { 100_000 } else { 1_000 };
            if !(1..=confirmations_max).contains(&lane.confirmations.unwrap_or(1)) {
                fault(at("confirmations"), format!("write 1 to {confirmations_max}"));
            }
            if lane.asset == Asset::Etc {
                if !(1..=confirmations_max).contains(&lane.maturity.unwrap_or(1)) {
                    fault(at("maturity"), format!("write 1 to {confirmations_max}"));
                }
            } else if lane.maturity.is_some() && lane.network != NetworkConfig::Dev {
                let what = "only the dev network may set it: elsewhere it is the chain's rule";
                fault(at("maturity"), what.into());
            }
            if lane.settle_every == 0 {
                fault(at("settle_every"), "write at least 1".into());
            }
            if !(1..=CAPACITY_WINDOW_MAX).contains(&u64::from(lane.capacity_epochs)) {
                fault(at("capacity_epochs"), format!("write 1 to {CAPACITY_WINDOW_MAX}"));
            }
            if lane.auto_approve_minor < 0 {
                fault(at("auto_approve_minor"), "write 0 (every payout waits) or more".into());
            }
            if lane.keep_shares.is_some_and(|keep| keep.0 < KEEP_SHARES_MIN) {
                fault(at("keep_shares"), "write at least 1d, or leave it out: for ever".into());
            }
            let s = &lane.stratum;
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
        }
        for (i, plan) in self.plans.iter().enumerate() {
            if !seen.contains(&plan.lane) {
                fault(format!("plan[{i}].lane"), format!("there is no lane `{}`", plan.lane));
            }
            if let Some(asset) = plan.pay_asset
                && !self.can_be_paid(asset)
            {
                let what = format!(
                    "nothing here takes {asset}: it needs a lane, or a [[bank]] of that currency"
                );
                fault(format!("plan[{i}].pay_asset"), what);
            }
        }
        let (stripe, btcpay) = (self.stripe.as_ref(), self.btcpay.as_ref());
        let elsewhere = remote::faults(stripe, btcpay, self.http.origin.is_some());
        for Fault { place, what } in bank::faults(&self.banks)
            .into_iter()
            .chain(elsewhere)
            .chain(limits::faults(&self.limits))
            .chain(keys::faults(&self.keys))
            .chain(hot_wallet::faults(&self.hot_wallets, &self.lanes))
            .chain(signer::faults(&self.signers, &self.lanes))
            .chain(depth::faults(&self.depths))
        {
            fault(place, what);
        }
        let (mut sites, mut machines) = (HashSet::new(), HashSet::new());
        for (i, site) in self.sites.iter().enumerate() {
            if !sites.insert(&site.name) {
                fault(format!("site[{i}].name"), format!("`{}` names a site already", site.name));
            }
            if !is_name(&site.name) {
                fault(format!("site[{i}].name"), BAD_NAME.into());
            }
            let mut here = HashSet::new();
            for (j, machine) in site.machines.iter().enumerate() {
                if !here.insert(&machine.name) || !machines.insert((&machine.lane, &machine.name)) {
                    let what =
                        format!("`{}` names a machine of this site or lane already", machine.name);
                    fault(format!("site[{i}].machine[{j}].name"), what);
                }
                if !is_name(&machine.name) {
                    fault(format!("site[{i}].machine[{j}].name"), BAD_NAME.into());
                }
                if !seen.contains(&machine.lane) {
                    let place = format!("site[{i}].machine[{j}].lane");
                    fault(place, format!("there is no lane `{}`", machine.lane));
                }
            }
        }
        faults
    }

    /// Whether there is anything that customers could pay an asset to. What is switched off counts: a plan waits for it.
    fn can_be_paid(&self, asset: Asset) -> bool {
        let earns = |l: &LaneConfig| l.asset == asset || l.aux.iter().any(|a| a.asset == asset);
        let mut offered = self.stripe.iter().flat_map(|s| &s.assets);
        self.lanes.iter().any(earns)
            || self.banks.iter().any(|bank| bank.asset == asset)
            || asset.is_fiat()
                && (offered.any(|a| *a == asset)
                    || self.btcpay.iter().flat_map(|b| &b.assets).any(|a| *a == asset))
    }
}

/// The addresses that a configuration listens on.
#[derive(Default)]
struct Ports(Vec<SocketAddr>);

impl Ports {
    /// Whether an address is free. One of all interfaces (`0.0.0.0`) takes its port of each; port 0 is any.
    fn take(&mut self, address: SocketAddr) -> bool {
        let clashes = |taken: &SocketAddr| {
            let (a, b) = (taken.ip(), address.ip());
            let is_one = a == b || a.is_unspecified() || b.is_unspecified();
            taken.port() == address.port() && a.is_ipv4() == b.is_ipv4() && is_one
        };
        let is_free = address.port() == 0 || !self.0.iter().any(clashes);
        self.0.push(address);
        is_free
    }
}

const BAD_NAME: &str = "write 1 to 64 letters, digits, dots, underscores and hyphens, no spaces";

/// Whether the farm takes a text as the name of a site or machine.
fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=MACHINE_NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

/// Whether a text is a host with or without a port, and nothing behind it.
fn is_host(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '?', '#', '@', ' '])
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

fn syntax_fault(text: &str, error: &toml::de::Error) -> Fault {
    let place = error.span().map_or_else(
        || "file".to_owned(),
        |span| {
            let before = &text[..span.start.min(text.len())];
            let line = before.matches('\n').count() + 1;
            let column = before.len() - before.rfind('\n').map_or(0, |p| p + 1) + 1;
            format!("line {line}, column {column}")
        },
    );
    Fault { place, what: explained(error.message()) }
}

/// What the reader of the text says, with what to write instead where it does not say.
fn explained(message: &str) -> String {
    let hint = match message {
        "invalid socket address syntax" => {
            "write an IP address and a port, as 127.0.0.1:8080 or [::1]:8080; 0.0.0.0 is every address of this machine"
        }
        "invalid IP address syntax" => {
            "write an IP address, as 10.0.0.7; names of hosts are not looked up"
        }
        "duplicate key" => "a section that may come more than once is written [[so]]",
        m if m.starts_with("invalid type: map, expected a sequence") => {
            "write the section's name as [[so]]"
        }
        m if m.starts_with("invalid type: floating point") => {
            "write a whole number: amounts are in minor units, parts in basis points"
        }
        m if m.starts_with("invalid type: integer") && m.ends_with("expected a string") => {
            "write it in quotation marks: spans as \"10m\", hashrates as \"100 TH/s\""
        }
        _ => return message.to_owned(),
    };
    format!("{message}: {hint}")
}
