//! The agent's configuration file.

use crate::spool::SPOOL_BYTES;
use crate::{api, braiins};
use serde::Deserialize;
use std::collections::HashSet;
use std::net::IpAddr;
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
    /// Logins by which asic-rs asks machines, where they are not the makers' own.
    #[serde(default, rename = "asic_rs_login")]
    pub asic_rs_logins: Vec<AsicRsLogin>,
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

/// `[[asic_rs_login]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AsicRsLogin {
    /// The firmware, as asic-rs calls it: `AntMiner Stock`.
    pub firmware: String,
    /// Who logs in; left out where the firmware knows no names.
    #[serde(default)]
    pub user: String,
    /// File with the password.
    pub password_file: PathBuf,
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
    /// Whichever asic-rs finds there, in a program that was built with it.
    AsicRs,
}

impl Api {
    /// Where it usually listens; `None` where that is found out.
    #[must_use]
    pub const fn port(self) -> Option<u16> {
        match self {
            Api::Cgminer => Some(api::PORT),
            Api::BraiinsOs => Some(braiins::PORT),
            Api::AsicRs => None,
        }
    }
}

/// What to do where the program cannot.
const WITHOUT_ASIC_RS: &str = "this program was built without asic-rs: build it with \
    `cargo build --release --features asic-rs`, or have the machine asked by another api";

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
            if machine.api == Api::AsicRs && cfg!(not(feature = "asic-rs")) {
                return Err(fault(&format!("machine {}", machine.serial), WITHOUT_ASIC_RS));
            }
            let has_port = machine
                .address
                .rsplit_once(':')
                .is_some_and(|(_, p)| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
            match machine.api.port() {
                Some(port) if !has_port => {
                    machine.address = format!("{}:{port}", machine.address);
                }
                None if has_port && machine.address.parse::<IpAddr>().is_err() => {
                    let place = format!("machine {}", machine.serial);
                    return Err(fault(&place, "asic-rs finds the port: write the address without"));
                }
                _ => {}
            }
        }
        if !config.asic_rs_logins.is_empty() && cfg!(not(feature = "asic-rs")) {
            return Err(fault("asic_rs_login", WITHOUT_ASIC_RS));
        }
        for path in [&mut config.token_file, &mut config.spool] {
            *path = base.join(&*path);
        }
        for login in &mut config.asic_rs_logins {
            login.password_file = base.join(&login.password_file);
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

    #[test]
    #[cfg(not(feature = "asic-rs"))]
    fn a_program_without_asic_rs_says_how_to_build_one_with_it() {
        let machine = GOOD.replace("braiins-os", "asic-rs");
        let login = format!("{GOOD}[[asic_rs_login]]\nfirmware = 'LuxOS'\npassword_file = 'p'\n");
        for (text, place) in [(machine, "machine SN3"), (login, "asic_rs_login")] {
            let fault = AgentConfig::parse(&text, Path::new("")).unwrap_err();
            assert_eq!(fault.place, place);
            assert!(fault.what.contains("cargo build --release --features asic-rs"), "{fault}");
        }
    }

    #[test]
    #[cfg(feature = "asic-rs")]
    fn asic_rs_finds_ports_by_itself_and_has_logins_of_its_own() {
        let good = format!(
            "{}[[machine]]\nserial = 'SN4'\naddress = '::1'\napi = 'asic-rs'\n\
             [[asic_rs_login]]\nfirmware = 'VNish'\npassword_file = 'p'\n",
            GOOD.replace("braiins-os", "asic-rs")
        );
        let config = AgentConfig::parse(&good, Path::new("/etc/gruve")).unwrap();
        assert_eq!(
            (config.machines[2].api, config.machines[2].address.as_str()),
            (Api::AsicRs, "10.0.0.9")
        );
        assert_eq!(config.machines[3].address, "::1");
        let login = &config.asic_rs_logins[0];
        assert_eq!(
            (login.user.as_str(), login.password_file.as_path()),
            ("", Path::new("/etc/gruve/p"))
        );
        let port = good.replace("10.0.0.9", "10.0.0.9:80");
        assert_eq!(AgentConfig::parse(&port, Path::new("")).unwrap_err().place, "machine SN3");
    }
}
