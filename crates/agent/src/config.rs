//! The agent's configuration file.

use crate::spool::SPOOL_BYTES;
use crate::{api, braiins};
use serde::Deserialize;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Machines of one agent at most: a large hall. More take another agent and another site.
pub const MACHINES_MAX: usize = 10_000;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {what}")]
pub struct ConfigError {
    /// The key, or the file.
    pub place: String,
    /// What is wrong and what to write instead.
    pub what: String,
}

/// `agent.toml`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentConfig {
    /// The house, as `https://host[:port]`; `http://` on the operator's own lines only.
    pub house: String,
    /// File with the site's token.
    pub token_file: PathBuf,
    /// File of certificate authorities, where the system's are not meant.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// File with the password of machines under Braiins OS, where they have one.
    #[serde(default)]
    pub braiins_os_password_file: Option<PathBuf>,
    /// Folder of what is on its way.
    pub spool: PathBuf,
    /// Bytes that it may hold.
    #[serde(default = "spool_bytes")]
    pub spool_bytes: u64,
    /// Seconds between two looks at a machine, 5 to 240: a reading stands for 300 at most.
    #[serde(default = "every_s")]
    pub every_s: u64,
    /// The machines.
    #[serde(default, rename = "machine")]
    pub machines: Vec<MachineAddress>,
}

/// `[[machine]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineAddress {
    /// Its serial number, as it stands in the house's inventory.
    pub serial: String,
    /// Where its API listens, as `host[:port]`; the API's usual port if none is given.
    pub address: String,
    /// Which API it speaks.
    #[serde(default)]
    pub api: Api,
}

/// The APIs that are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// cgminer's, which nearly all makers' firmwares have.
    #[default]
    Cgminer,
    /// Braiins OS' own, which tells the power.
    BraiinsOs,
}

impl Api {
    /// Where it usually listens.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Api::Cgminer => api::PORT,
            Api::BraiinsOs => braiins::PORT,
        }
    }
}

const fn spool_bytes() -> u64 {
    SPOOL_BYTES
}

const fn every_s() -> u64 {
    60
}

impl AgentConfig {
    /// Reads and checks a file's text; paths in it are beside the file.
    ///
    /// # Errors
    /// The first fault.
    pub fn parse(text: &str, base: &Path) -> Result<AgentConfig, ConfigError> {
        let fault = |place: &str, what: &str| ConfigError {
            place: place.to_owned(),
            what: what.to_owned(),
        };
        let mut config: AgentConfig =
            toml::from_str(text).map_err(|e| fault("the file", e.to_string().trim_end()))?;
        if !(5..=240).contains(&config.every_s) {
            return Err(fault("every_s", "write 5 to 240"));
        }
        if config.spool_bytes < 4 << 20 {
            return Err(fault("spool_bytes", "write 4194304 (4 MiB) at least"));
        }
        if config.machines.is_empty() || config.machines.len() > MACHINES_MAX {
            return Err(fault("machine", "write 1 to 10000 [[machine]]"));
        }
        let mut seen = HashSet::new();
        for machine in &mut config.machines {
            if !seen.insert(machine.serial.clone()) {
                let place = format!("machine {}", machine.serial);
                return Err(fault(&place, "stands there twice"));
            }
            let has_port = machine
                .address
                .rsplit_once(':')
                .is_some_and(|(_, p)| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
            if !has_port {
                machine.address = format!("{}:{}", machine.address, machine.api.port());
            }
        }
        for path in [&mut config.token_file, &mut config.spool] {
            *path = base.join(&*path);
        }
        config.authorities = config.authorities.map(|p| base.join(p));
        config.braiins_os_password_file = config.braiins_os_password_file.map(|p| base.join(p));
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "house = 'https://example.org'\ntoken_file = 'token'\nspool = 'spool'\n\
        [[machine]]\nserial = 'SN1'\naddress = '10.0.0.7'\n[[machine]]\nserial = 'SN2'\naddress = '10.0.0.8:4029'\n\
        [[machine]]\nserial = 'SN3'\naddress = '10.0.0.9'\napi = 'braiins-os'\n";

    #[test]
    fn a_configuration_is_read_or_its_fault_is_named() {
        let config = AgentConfig::parse(GOOD, Path::new("/etc/gruve")).unwrap();
        assert_eq!((config.every_s, config.spool_bytes), (60, SPOOL_BYTES));
        assert_eq!(config.token_file, Path::new("/etc/gruve/token"));
        let addresses: Vec<_> = config.machines.iter().map(|m| m.address.as_str()).collect();
        assert_eq!(addresses, ["10.0.0.7:4028", "10.0.0.8:4029", "10.0.0.9:80"]);
        assert_eq!(config.machines[2].api, Api::BraiinsOs);
        for (from, to, place) in [
            ("spool = 'spool'", "spool = 'spool'\nevery_s = 300", "every_s"),
            ("spool = 'spool'", "spool = 'spool'\nspool_bytes = 10", "spool_bytes"),
            ("SN2", "SN1", "machine SN1"),
            ("house =", "hause =", "the file"),
            ("braiins-os", "brains-os", "the file"),
        ] {
            let fault = AgentConfig::parse(&GOOD.replace(from, to), Path::new("")).unwrap_err();
            assert_eq!(fault.place, place);
        }
    }
}
