//! What a site's agent reports of its machines, taken once each.
//!
//! An agent numbers its samples for ever. The house keeps the number that it expects next: what is below it
//! was taken already and is passed over, so that a report may be sent any number of times; a jump is samples
//! that the agent lost (its spool is bounded), which are counted and shown. Reports of one site are taken one
//! after the other, by the database.

use crate::energy::{self, Instant, Slice};
use crate::report::{FANS_MAX, Receipt, Report, SAMPLES_MAX, Sample};
use crate::statements::{
    ADD_ENERGY, AGENT, AGENT_OF, ENERGY_IN, ENERGY_OF, FIRST_UNBILLED, INSERT_ENERGY,
    INVENTORY_BY_SERIAL, NEWEST_READING, READING, SEEN_AGENT, SET_AGENT, SET_BILLED, SET_READING,
    UNBILLED,
};
use crate::{Farm, FarmError, MachineOwner, Result, sql};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{Duration, EpochNumber, Hashes, Hashrate, MachineId, SiteId, Timestamp};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashMap};

/// Times its nameplate's watts that a machine's reading may say; what is above is no reading. Tuned machines draw up
/// to half above theirs; energy is billed by readings.
const READING_TIMES_MAX: u32 = 2;

/// How far an agent's clock may be ahead of the house's.
const AHEAD_MAX: Duration = Duration::from_secs(120);

/// How old a sample may be: agents keep no more.
const OLD_MAX: Duration = Duration::from_secs(30 * 86_400);

/// How long after its end an epoch's energy may still grow: as long as samples are taken, and by the gap that
/// the first reading after it may leave.
pub const LATE_MAX: Duration = Duration::from_secs(OLD_MAX.as_secs() + energy::GAP_MAX.as_secs());

/// Epochs of a machine in one answer.
pub const EPOCHS_LISTED_MAX: u32 = 5_000;

/// How an agent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentStanding {
    /// Its site.
    pub site: SiteId,
    /// The number expected next.
    pub next: u64,
    /// Samples that it lost.
    pub lost: u64,
    /// Samples that could not be used.
    pub refused: u64,
    /// When it last reported.
    pub seen_at: Option<Timestamp>,
}

/// A machine's newest reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// When.
    pub at: Timestamp,
    /// The hashrate it claims.
    pub hashrate: Option<Hashrate>,
    /// The power it draws, in watts.
    pub watts: Option<u32>,
    /// Its hottest sensor, in degrees Celsius.
    pub temperature_c: Option<i32>,
    /// Its fans, in turns a minute.
    pub fans_rpm: Vec<u32>,
    /// Seconds since its mining program began.
    pub uptime_s: Option<u64>,
    /// How often that was seen to begin anew.
    pub restarts: u64,
    /// Why it said nothing.
    pub fault: Option<String>,
}

/// An epoch of a machine by its own readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnergyEpoch {
    /// Whose its work was.
    pub owner: MachineOwner,
    /// What was measured.
    pub slice: Slice,
    /// Of the energy, what stands on a bill, in microjoules.
    pub billed_uj: u64,
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn standing(row: &Row) -> Result<AgentStanding> {
    Ok(AgentStanding {
        site: row.get("site")?,
        next: row.get("next_sample")?,
        lost: row.get("lost")?,
        refused: row.get("refused")?,
        seen_at: row.get("seen_at")?,
    })
}

fn fans_text(fans: &[u32]) -> String {
    let all: Vec<String> = fans.iter().take(FANS_MAX).map(u32::to_string).collect();
    all.join(" ")
}

pub(crate) fn read_reading(row: &Row) -> Result<Reading> {
    let fans: String = row.get("fans_rpm")?;
    Ok(Reading {
        at: row.get("at")?,
        hashrate: row.get("hashrate")?,
        watts: row.get("watts")?,
        temperature_c: row.get("temperature_c")?,
        fans_rpm: fans.split_whitespace().filter_map(|f| f.parse().ok()).collect(),
        uptime_s: row.get("uptime_s")?,
        restarts: row.get("restarts")?,
        fault: row.get("fault")?,
    })
}

fn read_epoch(row: &Row) -> Result<EnergyEpoch> {
    Ok(EnergyEpoch {
        owner: row.get("owner")?,
        billed_uj: row.get("billed_uj")?,
        slice: Slice {
            epoch: row.get("epoch")?,
            energy_uj: row.get("energy_uj")?,
            power_us: row.get("power_us")?,
            claimed: row.get("claimed")?,
            claimed_us: row.get("claimed_us")?,
            down_us: row.get("down_us")?,
        },
    })
}

/// A machine as a report touches it.
struct Touched {
    machine: MachineId,
    lane: gruve_units::LaneId,
    nameplate: Hashrate,
    watts: u32,
    reading: Option<Reading>,
    slices: BTreeMap<EpochNumber, Slice>,
}

impl Touched {
    /// Takes a sample; `false` when it is not later than the last one.
    fn take(&mut self, rule: gruve_units::EpochRule, sample: &Sample) -> bool {
        let next = reading_of(sample, self.watts);
        let mut restarts = 0;
        if let Some(last) = &self.reading {
            if next.at <= last.at {
                return false;
            }
            let (earlier, later) = (instant(last), instant(&next));
            restarts = last.restarts + u64::from(energy::began_anew(&earlier, &later));
            for slice in energy::between(rule, self.nameplate, &earlier, &later) {
                let sum = self
                    .slices
                    .entry(slice.epoch)
                    .or_insert(Slice { epoch: slice.epoch, ..Slice::default() });
                *sum = sum.plus(slice);
            }
        }
        self.reading = Some(Reading { restarts, ..next });
        true
    }
}

fn instant(r: &Reading) -> Instant {
    Instant { at: r.at, hashrate: r.hashrate, watts: r.watts, uptime_s: r.uptime_s }
}

/// What cannot be is as if it had not been said.
fn reading_of(sample: &Sample, nameplate_watts: u32) -> Reading {
    let watts_max = nameplate_watts.saturating_mul(READING_TIMES_MAX);
    let said = sample.said.clone().unwrap_or_default();
    let fault: Option<String> =
        sample.fault.as_ref().map(|f| f.chars().filter(|c| !c.is_control()).take(120).collect());
    Reading {
        at: Timestamp(sample.at_us),
        hashrate: said.hashes_per_second.map(|h| Hashrate(u128::from(h))),
        watts: said.watts.filter(|w| *w <= watts_max),
        temperature_c: said.temperature_c.filter(|t| (-60..=250).contains(t)),
        fans_rpm: said.fans_rpm.into_iter().take(FANS_MAX).collect(),
        uptime_s: said.uptime_s.filter(|s| *s < 1 << 40),
        restarts: 0,
        fault,
    }
}

impl Farm {
    /// Makes a site's token, which is shown once and kept as a hash; an earlier one is void from now on.
    ///
    /// # Errors
    /// [`FarmError::NoSite`].
    pub async fn new_agent_token(&self, site: SiteId) -> Result<String> {
        let mut secret = [0; 32];
        self.entropy.fill(&mut secret);
        let token: String = secret.iter().map(|b| format!("{b:02x}")).collect();
        let hashed = hash(&token);
        transact!(self.store, tx -> Result<()> => {
            if tx.fetch_optional(sql::SITE, &params![site]).await?.is_none() {
                return Err(FarmError::NoSite);
            }
            tx.execute(SET_AGENT, &params![site, hashed]).await?;
            Ok(())
        })?;
        Ok(token)
    }

    /// The agent that a token is of.
    ///
    /// # Errors
    /// [`FarmError::WrongToken`].
    pub async fn agent(&self, token: &str) -> Result<AgentStanding> {
        let mut tx = self.store.read().await?;
        let row = tx.fetch_optional(AGENT, &params![hash(token)]).await?;
        standing(&row.ok_or(FarmError::WrongToken)?)
    }

    /// How a site's agent stands; `None` without one.
    ///
    /// # Errors
    /// The database's.
    pub async fn agent_of(&self, site: SiteId) -> Result<Option<AgentStanding>> {
        let row = self.store.read().await?.fetch_optional(AGENT_OF, &params![site]).await?;
        row.as_ref().map(standing).transpose()
    }

    /// Takes a report. Taking it again does nothing.
    ///
    /// # Errors
    /// [`FarmError::NoAgent`], [`FarmError::BadReport`].
    pub async fn take_report(&self, site: SiteId, report: &Report) -> Result<Receipt> {
        if report.samples.len() > SAMPLES_MAX {
            return Err(FarmError::BadReport { why: "too many samples" });
        }
        if !report.samples.is_sorted_by(|a, b| a.seq < b.seq) {
            return Err(FarmError::BadReport { why: "samples are not by ascending number" });
        }
        if report.samples.last().is_some_and(|s| s.seq >= i64::MAX.unsigned_abs()) {
            return Err(FarmError::BadReport { why: "a number that cannot be" });
        }
        transact!(self.store, tx -> Result<_> => { self.take_in(tx, site, report).await })
    }

    async fn take_in(&self, tx: &mut Tx, site: SiteId, report: &Report) -> Result<Receipt> {
        let row = tx.fetch_optional(AGENT_OF, &params![site]).await?;
        let agent = standing(&row.ok_or(FarmError::NoAgent)?)?;
        let now = self.clock.now();
        let (mut next, mut lost) = (agent.next, agent.lost);
        let (mut taken, mut refused) = (0, 0);
        let mut touched: HashMap<&str, Option<Touched>> = HashMap::new();
        for sample in report.samples.iter().filter(|s| s.seq >= agent.next) {
            lost += sample.seq - next;
            next = sample.seq + 1;
            taken += 1;
            let at = Timestamp(sample.at_us);
            let is_timely = at <= now.plus(AHEAD_MAX) && at >= now.minus(OLD_MAX);
            if !touched.contains_key(sample.serial.as_str()) {
                let found = self.touch(tx, site, &sample.serial).await?;
                touched.insert(&sample.serial, found);
            }
            let machine = touched.get_mut(sample.serial.as_str()).and_then(Option::as_mut);
            let is_used = match machine {
                Some(m) if is_timely => m.take(self.rule(&m.lane)?, sample),
                _ => false,
            };
            refused += u64::from(!is_used);
        }
        let mut all: Vec<Touched> = touched.into_values().flatten().collect();
        // Two agents' transactions then meet in one order.
        all.sort_by_key(|t| t.machine);
        for one in &all {
            self.keep(tx, site, one).await?;
        }
        let given = params![site, next, lost, agent.refused + refused, now];
        tx.execute(SEEN_AGENT, &given).await?;
        Ok(Receipt { next, taken, refused })
    }

    /// A machine of that site whose lane is known.
    async fn touch(&self, tx: &mut Tx, site: SiteId, serial: &str) -> Result<Option<Touched>> {
        let Some(row) = tx.fetch_optional(INVENTORY_BY_SERIAL, &params![serial]).await? else {
            return Ok(None);
        };
        let (machine, lane) = (row.get("machine")?, row.get("lane")?);
        if row.get::<SiteId>("site")? != site || self.rule(&lane).is_err() {
            return Ok(None);
        }
        let (nameplate, watts) = (row.get("nameplate")?, row.get("watts")?);
        let last = tx.fetch_optional(READING, &params![machine]).await?;
        let reading = last.as_ref().map(read_reading).transpose()?;
        Ok(Some(Touched { machine, lane, nameplate, watts, reading, slices: BTreeMap::new() }))
    }

    async fn keep(&self, tx: &mut Tx, site: SiteId, t: &Touched) -> Result<()> {
        let Some(r) = &t.reading else { return Ok(()) };
        let fans = fans_text(&r.fans_rpm);
        let given = params![
            t.machine,
            r.at,
            r.hashrate,
            r.watts,
            r.temperature_c,
            fans,
            r.uptime_s,
            r.restarts,
            r.fault.clone()
        ];
        tx.execute(SET_READING, &given).await?;
        for slice in t.slices.values() {
            let key = params![t.machine, slice.epoch];
            match tx.fetch_optional(ENERGY_IN, &key).await? {
                Some(row) => {
                    let sum = read_epoch(&row)?.slice.plus(*slice);
                    let given = params![
                        t.machine,
                        sum.epoch,
                        sum.energy_uj,
                        sum.power_us,
                        sum.claimed,
                        sum.claimed_us,
                        sum.down_us
                    ];
                    tx.execute(ADD_ENERGY, &given).await?;
                }
                None => {
                    let owner = self.owner_in(tx, t.machine, slice.epoch).await?;
                    let given = params![
                        t.machine,
                        slice.epoch,
                        &t.lane,
                        site,
                        owner,
                        slice.energy_uj,
                        slice.power_us,
                        slice.claimed,
                        slice.claimed_us,
                        slice.down_us
                    ];
                    tx.execute(INSERT_ENERGY, &given).await?;
                }
            }
        }
        Ok(())
    }

    /// A machine's newest reading.
    ///
    /// # Errors
    /// The database's.
    pub async fn reading(&self, machine: MachineId) -> Result<Option<Reading>> {
        let row = self.store.read().await?.fetch_optional(READING, &params![machine]).await?;
        row.as_ref().map(read_reading).transpose()
    }

    /// When any machine was read last, for who watches for changes; a row a machine is looked at.
    ///
    /// # Errors
    /// The database's.
    pub async fn newest_reading(&self) -> Result<Option<Timestamp>> {
        Ok(self.store.read().await?.fetch_one(NEWEST_READING, &[]).await?.get("at")?)
    }

    /// What was measured of a machine in the epochs from `from` to before `until`, oldest first,
    /// [`EPOCHS_LISTED_MAX`] at most; epochs without any reading are not there.
    ///
    /// # Errors
    /// The database's.
    pub async fn energy(
        &self,
        tx: &mut Tx,
        machine: MachineId,
        from: EpochNumber,
        until: EpochNumber,
    ) -> Result<Vec<EnergyEpoch>> {
        let given = params![machine, from, until, EPOCHS_LISTED_MAX];
        let rows = tx.fetch_all(ENERGY_OF, &given).await?;
        rows.iter().map(read_epoch).collect()
    }

    /// The first epoch of a machine from `from` on whose energy was not taken whole.
    ///
    /// # Errors
    /// The database's.
    pub async fn first_unbilled(
        &self,
        tx: &mut Tx,
        machine: MachineId,
        from: EpochNumber,
    ) -> Result<Option<EpochNumber>> {
        Ok(tx.fetch_one(FIRST_UNBILLED, &params![machine, from]).await?.get("epoch")?)
    }

    /// The energy of a machine in those epochs that stands on no bill yet, in microjoules. What is reported late
    /// is on the next.
    ///
    /// # Errors
    /// The database's.
    pub async fn unbilled(
        &self,
        tx: &mut Tx,
        machine: MachineId,
        from: EpochNumber,
        until: EpochNumber,
    ) -> Result<u64> {
        Ok(tx.fetch_one(UNBILLED, &params![machine, from, until]).await?.get("uj")?)
    }

    /// What [`Farm::unbilled`] gave stands on a bill from now on.
    ///
    /// # Errors
    /// The database's.
    pub async fn mark_billed(
        &self,
        tx: &mut Tx,
        machine: MachineId,
        from: EpochNumber,
        until: EpochNumber,
    ) -> Result<()> {
        tx.execute(SET_BILLED, &params![machine, from, until]).await?;
        Ok(())
    }
}

/// Work that a machine claims and time that it claims it for, of some epochs.
#[must_use]
pub fn claimed_of(epochs: &[EnergyEpoch]) -> (Hashes, u64) {
    epochs.iter().fold((Hashes::ZERO, 0), |(work, us), e| {
        (Hashes(work.0.saturating_add(e.slice.claimed.0)), us.saturating_add(e.slice.claimed_us))
    })
}
