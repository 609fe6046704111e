//! Reading a configuration: every fault in it at once, each with its place.

use super::lane::Ports;
use super::*;
use gruve_farm::MACHINE_NAME_BYTES_MAX;

impl Config {
    /// Reads the text of a configuration; relative paths in it are below `base`.
    ///
    /// # Errors
    /// Every fault found, never an empty list.
    pub fn parse(text: &str, base: &Path) -> Result<Config, Vec<Fault>> {
        let mut config: Config = toml::from_str(text).map_err(|e| vec![syntax_fault(text, &e)])?;
        let has_data = !config.house.data.as_os_str().is_empty();
        config.resolve(base);
        let mut faults = config.faults();
        if !has_data {
            // Below the configuration's folder this would be that folder itself.
            let what = "name a folder of its own: keys, share logs and books are kept there";
            faults.push(Fault { place: "house.data".into(), what: what.into() });
        }
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
        let name = &self.house.name;
        if name.trim().is_empty() || name.len() > 100 || name.contains(char::is_control) {
            let what = "write what customers are to read: 1 to 100 bytes, in one line";
            fault("house.name".into(), what.into());
        }
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
            if !seen.insert(lane.id.clone()) {
                fault(format!("lane[{i}].id"), format!("`{}` names a lane already", lane.id));
            }
            for Fault { place, what } in lane.faults(i, &mut ports) {
                fault(place, what);
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
                    "nothing here takes {asset}: it needs a lane, a [[pay_in_chain]], or a [[bank]] of that currency"
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
            .chain(pay_in_chain::faults(&self.pay_in_chains, &self.lanes))
            .chain(hot_wallet::faults(&self.hot_wallets, &self.lanes, &self.pay_in_chains))
            .chain(signer::faults(&self.signers, &self.lanes))
            .chain(depth::faults(&self.depths))
            .chain(conversion::faults(self.conversion.as_ref(), &self.prices))
        {
            fault(place, what);
        }
        faults.extend(self.site_faults(&seen));
        faults
    }

    fn site_faults(&self, lanes: &HashSet<LaneId>) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |place: String, what: String| faults.push(Fault { place, what });
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
                if !lanes.contains(&machine.lane) {
                    let place = format!("site[{i}].machine[{j}].lane");
                    fault(place, format!("there is no lane `{}`", machine.lane));
                }
            }
        }
        faults
    }

    /// Whether there is anything that customers could pay an asset to. What is switched off counts: a plan waits for it.
    fn can_be_paid(&self, asset: Asset) -> bool {
        let mut offered = self.stripe.iter().flat_map(|s| &s.assets);
        network_of(asset, &self.lanes, &self.pay_in_chains).is_some()
            || self.banks.iter().any(|bank| bank.asset == asset)
            || asset.is_fiat()
                && (offered.any(|a| *a == asset)
                    || self.btcpay.iter().flat_map(|b| &b.assets).any(|a| *a == asset)
                    || currencies(self.conversion.as_ref(), &self.prices).contains(&asset))
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

/// The program's words for numbers, and what may be written there.
const NUMBERS: [(&str, &str); 10] = [
    ("expected u8", "write a whole number, 0 to 255"),
    ("expected u16", "write a whole number, 0 or more"),
    ("expected u32", "write a whole number, 0 or more"),
    ("expected u64", "write a whole number, 0 or more"),
    ("expected u128", "write a whole number, 0 or more"),
    ("expected usize", "write a whole number, 0 or more"),
    ("expected i32", "write a whole number"),
    ("expected i64", "write a whole number, up to 9223372036854775807"),
    ("expected a boolean", "write true or false"),
    ("expected path string", "write a path in quotation marks"),
];

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
        m => match NUMBERS.iter().find(|(ends, _)| m.ends_with(ends)) {
            Some(&(_, hint)) => hint,
            None => return message.to_owned(),
        },
    };
    format!("{message}: {hint}")
}
