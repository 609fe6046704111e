//! Machines of many makers, by the `asic-rs` crate. In the program only if it was built with `--features asic-rs`.
//!
//! `asic-rs` finds out by itself what stands at an address (ports 80, 4028, 4029 and 8889), and then asks it by its
//! maker's API. Who was recognised is kept, with its session, until it answers nothing.
//!
//! # What is asked
//! Hashrate, power, boards' temperatures, fans and uptime, nothing else, and nothing is set. `asic-rs` can set much, so
//! what it sends for these figures was read through, in the version that the workspace names. What it does for
//! MicroBT's machines is left out: it answers a refused question by opening the machine's API for writing
//! (`open_write_api`). These tell all of it by cgminer's API ([`crate::api`]). Read it through again before a
//! maker is added or the version changed.
//!
//! # Bounds
//! Time, and a panic of its own, cost the machine's reading alone. The size of an answer is not bounded: `asic-rs` reads
//! whatever comes within five seconds, and unpacks it. An agent that reads machines which are not trusted wants its memory
//! bounded from outside (docs/hosting.md).
//!
//! # TLS
//! Its HTTP client brings `aws-lc-rs` beside `ring`. Where both are in a program, whoever does not name one of them panics
//! unless the process has named one: [`AsicRs::new`] names `ring`, which its client then takes, too.

use crate::api::ANSWER_WITHIN;
use crate::said::scaled;
use crate::{Fault, Vendor};
use asic_rs::MinerFactory;
use asic_rs::core::data::collector::DataField;
use asic_rs::core::data::hashrate::HashRateUnit;
use asic_rs::core::traits::miner::{Miner, MinerAuth};
use asic_rs::factory::default_firmware_registry;
use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::select_ok;
use gruve_farm::{FANS_MAX, Said};
use serde_json::Value;
use std::collections::HashMap;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

/// Where something answers on every machine that `asic-rs` knows.
const PORTS: [u16; 4] = [80, 4028, 4029, 8889];

/// How long recognising a machine, and then reading it, may take: a login and what is asked after it, each of which
/// `asic-rs` gives [`ANSWER_WITHIN`].
const LOOK_WITHIN: Duration = Duration::from_secs(10);

/// What is asked.
const FIELDS: [DataField; 5] = [
    DataField::Hashrate,
    DataField::Wattage,
    DataField::Hashboards,
    DataField::Fans,
    DataField::Uptime,
];

/// A login that is not the maker's own.
pub struct Login {
    /// The firmware, as `asic-rs` calls it.
    pub firmware: String,
    /// Who logs in.
    pub user: String,
    /// With what.
    pub password: String,
}

/// A login for a firmware that is not known.
#[derive(Debug, thiserror::Error)]
#[error("asic_rs_login: asic-rs knows no firmware {firmware:?}: write one of {known}")]
pub struct UnknownFirmware {
    firmware: String,
    known: String,
}

/// Asks machines by `asic-rs`.
pub struct AsicRs {
    factory: MinerFactory,
    within: Duration,
    /// Of each machine that was recognised. As many as there are machines in the configuration.
    recognised: Mutex<HashMap<String, Arc<dyn Miner>>>,
}

impl AsicRs {
    /// With these logins, and the makers' own where there is none.
    ///
    /// # Errors
    /// When there is no such firmware.
    pub fn new(logins: Vec<Login>) -> Result<AsicRs, UnknownFirmware> {
        // Somebody may have named one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // What takes longer is cut off here, where it can be told from what is not recognised.
        let mut factory = MinerFactory::new().with_identification_timeout(2 * LOOK_WITHIN);
        let known: Vec<String> =
            default_firmware_registry().iter().map(ToString::to_string).collect();
        for Login { firmware, user, password } in logins {
            let auth = MinerAuth::new(user, password.trim_end_matches(['\r', '\n']));
            factory = factory
                .with_firmware_discovery_auth_by_name(&firmware, auth)
                .map_err(|_| UnknownFirmware { firmware, known: known.join(", ") })?;
        }
        Ok(AsicRs { factory, within: LOOK_WITHIN, recognised: Mutex::default() })
    }

    /// The same with another patience.
    #[must_use]
    pub fn within(self, within: Duration) -> AsicRs {
        AsicRs { within, ..self }
    }

    fn known(&self, address: &str) -> Option<Arc<dyn Miner>> {
        self.recognised.lock().unwrap_or_else(PoisonError::into_inner).get(address).cloned()
    }

    fn forget(&self, address: &str) {
        self.recognised.lock().unwrap_or_else(PoisonError::into_inner).remove(address);
    }

    /// Finds a machine out.
    async fn recognise(&self, address: &str) -> Result<Arc<dyn Miner>, Fault> {
        let ip = self.reach(address).await?;
        let begun = Instant::now();
        let found = self.bounded(self.factory.get_miner(ip)).await?;
        let Ok(Some(machine)) = found else { return Err(self.nothing(begun)) };
        let machine: Arc<dyn Miner> = Arc::from(machine);
        let mut recognised = self.recognised.lock().unwrap_or_else(PoisonError::into_inner);
        recognised.insert(address.to_owned(), machine.clone());
        Ok(machine)
    }

    /// The address of somebody that takes connections: to whom does not, none of the many questions is put.
    async fn reach(&self, address: &str) -> Result<IpAddr, Fault> {
        let reached = async {
            let mut found = lookup_host((address, 0)).await?;
            let ip = found.next().ok_or(std::io::ErrorKind::NotFound)?.ip();
            select_ok(PORTS.map(|port| Box::pin(TcpStream::connect((ip, port))))).await?;
            Ok::<_, std::io::Error>(ip)
        };
        let reached = timeout(ANSWER_WITHIN.min(self.within), reached).await;
        reached.map_err(|_| Fault::Slow)?.map_err(|_| Fault::Unreachable)
    }

    async fn read(&self, address: &str, machine: &dyn Miner) -> Result<Said, Fault> {
        let begun = Instant::now();
        let asked = async {
            let answers = machine.get_collector().collect(&FIELDS).await;
            if answers.is_empty() { Said::default() } else { said(machine, &answers) }
        };
        let said = self.bounded(asked).await?;
        if said == Said::default() {
            self.reach(address).await?;
            return Err(self.nothing(begun));
        }
        Ok(said)
    }

    /// Within the time, and with a panic caught: what `asic-rs` does with odd answers is not promised here.
    async fn bounded<T>(&self, work: impl Future<Output = T>) -> Result<T, Fault> {
        match timeout(self.within, AssertUnwindSafe(work).catch_unwind()).await {
            Ok(done) => done.map_err(|_| Fault::Garbage),
            Err(_) => Err(Fault::Slow),
        }
    }

    /// Why there is nothing, which `asic-rs` does not say: it has waited in vain, or could use nothing of what came.
    fn nothing(&self, begun: Instant) -> Fault {
        let has_waited = begun.elapsed() >= ANSWER_WITHIN.min(self.within);
        if has_waited { Fault::Slow } else { Fault::Garbage }
    }
}

#[async_trait]
impl Vendor for AsicRs {
    async fn ask(&self, address: &str) -> Result<Said, Fault> {
        let machine = match self.known(address) {
            Some(machine) => machine,
            None => self.recognise(address).await?,
        };
        let said = self.read(address, machine.as_ref()).await;
        if said.is_err() {
            // Another one may stand there next time.
            self.forget(address);
        }
        said
    }
}

/// What the answers say together.
fn said(machine: &dyn Miner, answers: &HashMap<DataField, Value>) -> Said {
    let rate = machine.parse_hashrate(answers).map(|r| r.as_unit(HashRateUnit::Hash).value);
    let watts = machine.parse_wattage(answers).map(|w| w.as_watts());
    let boards = machine.parse_hashboards(answers);
    let sensors = boards
        .iter()
        .flat_map(|b| [b.board_temperature, b.inlet_chip_temperature, b.outlet_chip_temperature])
        .flatten();
    let fans = machine.parse_fans(answers);
    let rpm = fans.iter().filter_map(|f| u32::try_from(nearest(f.rpm?.as_rpm())?).ok());
    Said {
        hashes_per_second: rate.and_then(nearest),
        watts: watts.and_then(|w| u32::try_from(nearest(w)?).ok()),
        temperature_c: sensors
            .filter_map(|t| i32::try_from(below(t.as_celsius())?).ok())
            .filter(|t| (1..=250).contains(t))
            .max(),
        fans_rpm: rpm.filter(|rpm| *rpm > 0).take(FANS_MAX).collect(),
        uptime_s: machine.parse_uptime(answers).map(|up| up.as_secs()),
    }
}

/// The nearest whole number; `None` for what is negative, none, or too large. A float's text has no exponent.
fn nearest(float: f64) -> Option<u64> {
    scaled(&format!("{float:.0}"), 1)
}

/// The whole number below. Kelvins are not whole where degrees are: what is a thousandth short was meant.
fn below(float: f64) -> Option<u64> {
    scaled(&format!("{float:.3}"), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_become_whole_numbers_or_none() {
        assert_eq!(
            (nearest(59_756_060_000_000.01), nearest(58.94)),
            (Some(59_756_060_000_000), Some(59))
        );
        assert_eq!(
            (nearest(1e19), nearest(1e30), nearest(f64::NAN)),
            (Some(10u64.pow(19)), None, None)
        );
        assert_eq!((nearest(-1.0), nearest(f64::INFINITY)), (None, None));
        assert_eq!((below(46.999_999_999), below(46.9), below(-3.0)), (Some(47), Some(46), None));
    }
}
