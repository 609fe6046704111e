//! Jobs to channels: each gets the newest once at its class; those of one class together where they
//! can.

use super::Session;
use super::open::target_bytes;
use crate::limits;
use crate::v2::channel::{Channel, Kind, Tip};
use crate::v2::frame::put;
use crate::v2::jobs::Given;
use crate::work::LiveJob;
use binary_sv2::{B032, B064K, Seq064K, Seq0255, Sv2Option, U256};
use gruve_chain::Job;
use gruve_pow::{merkle_root_from_branch, sha256d};
use gruve_units::{Class, JobId, Timestamp};
use mining_sv2 as m;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How a job comes to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    class: Class,
    /// The number at this class, of the newest job or of an owner's.
    number: u32,
    /// Makes all older jobs void: a future job that is activated at once.
    voids: bool,
    /// The earliest time told with the block it stands on; the job must not begin before.
    min_ntime: u32,
}

impl Session {
    /// Lets the difficulty control of each channel decide, and acts on it.
    pub(super) fn adjust(&mut self, now: Timestamp, out: &mut Vec<u8>) {
        let mut changes = false;
        for channel in &mut self.channels {
            // While a change waits for the next job there is nothing to decide.
            if channel.tip.is_some()
                && channel.told == channel.wanted
                && let Some(class) = channel.vardiff.decide(now)
            {
                channel.wanted = class;
            }
            changes |= channel.told != channel.wanted;
        }
        if changes {
            self.give(now, out);
        }
    }

    /// Gives the newest job to every channel that may have it and has not: targets and groups first
    /// where the class changes, all in one write.
    pub(super) fn give(&mut self, now: Timestamp, out: &mut Vec<u8>) {
        let (Some(work), Some(ways)) = (self.work.clone(), self.ways) else { return };
        let newest = work.current.job().id();
        let mut regrouped = BTreeSet::new();
        let mut due: BTreeMap<Way, (&Arc<LiveJob>, Vec<usize>)> = BTreeMap::new();
        for i in 0..self.channels.len() {
            let Some(machine) = self.channels.get(i).map(|c| c.who.machine) else { continue };
            let job = work.newest_for([machine]);
            if let Some(way) = self.prepare(i, newest, job, &mut regrouped, now, out) {
                due.entry(way).or_insert((job, Vec::new())).1.push(i);
            }
        }
        if !ways.standard_only {
            regrouped.into_iter().for_each(|class| self.tell_group(class, out));
        }
        for (way, (job, channels)) in due {
            let members = self.channels.iter().filter(|c| c.told == way.class).count();
            if !ways.standard_only && channels.len() > 1 && channels.len() == members {
                let group = self.group(way.class);
                put_extended(job.job(), group, way, self.version_mask != 0, out);
                activate(job.job(), group, way, out);
            } else {
                for i in &channels {
                    let Some(channel) = self.channels.get(*i) else { continue };
                    match channel.kind {
                        Kind::Standard => put_standard(job.job(), channel, way, out),
                        Kind::Extended => {
                            let rolling = self.version_mask != 0;
                            put_extended(job.job(), channel.id, way, rolling, out);
                        }
                    }
                    activate(job.job(), channel.id, way, out);
                }
            }
        }
    }

    /// Whether and how a channel gets a job; where its class or prefix changes, says so first, and
    /// notes what it has.
    fn prepare(
        &mut self,
        i: usize,
        newest: JobId,
        job: &Arc<LiveJob>,
        regrouped: &mut BTreeSet<Class>,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> Option<Way> {
        let channel = self.channels.get(i)?;
        let class = channel.wanted;
        let (all, at_class) = self.times(channel, job.job().id(), class);
        if all >= limits::GIVEN_PER_JOB_MAX {
            return None;
        }
        let number = if at_class > 0 {
            // The same header space again would bring the same shares again. Headers-only work gets
            // another one; who rolls extranonces waits for the next job.
            if channel.told == class || channel.kind == Kind::Extended {
                return None;
            }
            let id = channel.id;
            let number = self.jobs.another_number(newest, job, class)?;
            let prefix = self.next_prefix(id);
            self.channels.get_mut(i)?.prefix = prefix;
            put_prefix(self.channels.get(i)?, out);
            number
        } else {
            self.jobs.number(newest, job, class)
        };
        let channel = self.channels.get_mut(i)?;
        let voids = class < channel.told
            || channel.tip.is_none_or(|t| {
                t.prev_hash != *job.job().prev_hash() || t.bits != job.job().bits()
            });
        if channel.told != class {
            put_target(channel.id, class, out);
            channel.told = class;
            regrouped.insert(class);
        }
        let old = channel.tip.filter(|_| !voids);
        let tip = old.unwrap_or(Tip {
            prev_hash: *job.job().prev_hash(),
            bits: job.job().bits(),
            min_ntime: job.job().ntime(),
        });
        channel.tip = Some(tip);
        if channel.given.is_empty() && channel.trusted {
            channel.vardiff.begin_trusted(class, now);
        } else if channel.given.is_empty() {
            channel.vardiff.begin(class, now);
        } else {
            channel.vardiff.applied(class, now);
        }
        channel.given.push(Given::new(number, channel.prefix));
        Some(Way { class, number, voids, min_ntime: tip.min_ntime })
    }

    /// How often a channel was given the newest job, at all classes and at one.
    fn times(&self, channel: &Channel, newest: JobId, class: Class) -> (usize, usize) {
        let numbered = |number| self.jobs.get(number).filter(|j| j.job.job().id() == newest);
        let own = || channel.given.iter().rev().map_while(|g| numbered(g.number));
        (own().count(), own().filter(|j| j.class == class).count())
    }

    /// Says who belongs to a class's group.
    fn tell_group(&mut self, class: Class, out: &mut Vec<u8>) {
        let group_channel_id = self.group(class);
        let members = self.channels.iter().filter(|c| c.told == class).map(|c| c.id).collect();
        let Ok(channel_ids) = Seq064K::new(members) else { return };
        put(
            out,
            m::MESSAGE_TYPE_SET_GROUP_CHANNEL,
            m::CHANNEL_BIT_SET_GROUP_CHANNEL,
            m::SetGroupChannel { group_channel_id, channel_ids },
        );
    }
}

/// When a job's clients may begin with it: at once from this time on, or not yet.
fn begin(job: &Job, way: Way) -> Sv2Option<'static, u32> {
    Sv2Option::new((!way.voids).then(|| job.ntime().max(way.min_ntime)))
}

fn put_extended(
    job: &Job,
    channel_id: u32,
    way: Way,
    version_rolling_allowed: bool,
    out: &mut Vec<u8>,
) {
    let suffix = job.coinbase_suffix(way.class);
    let path = Seq0255::new(job.branch().iter().map(U256::from).collect());
    // A job's coinbase is below 1 KB, its branch below 33 siblings.
    let (Ok(merkle_path), Ok(coinbase_tx_prefix), Ok(coinbase_tx_suffix)) =
        (path, B064K::new(job.coinbase_prefix()), B064K::new(&suffix))
    else {
        return;
    };
    put(
        out,
        m::MESSAGE_TYPE_NEW_EXTENDED_MINING_JOB,
        m::CHANNEL_BIT_NEW_EXTENDED_MINING_JOB,
        m::NewExtendedMiningJob {
            channel_id,
            job_id: way.number,
            min_ntime: begin(job, way),
            version: job.version(),
            version_rolling_allowed,
            merkle_path,
            coinbase_tx_prefix,
            coinbase_tx_suffix,
        },
    );
}

fn put_standard(job: &Job, channel: &Channel, way: Way, out: &mut Vec<u8>) {
    let extranonce = Channel::standard_extranonce(channel.prefix);
    let leaf = sha256d(&job.coinbase(way.class, &extranonce));
    let root = merkle_root_from_branch(leaf, job.branch());
    put(
        out,
        m::MESSAGE_TYPE_NEW_MINING_JOB,
        m::CHANNEL_BIT_NEW_MINING_JOB,
        m::NewMiningJob {
            channel_id: channel.id,
            job_id: way.number,
            min_ntime: begin(job, way),
            version: job.version(),
            merkle_root: U256::from(&root),
        },
    );
}

/// Activates a future job on the block it was made for.
fn activate(job: &Job, channel_id: u32, way: Way, out: &mut Vec<u8>) {
    if !way.voids {
        return;
    }
    put(
        out,
        m::MESSAGE_TYPE_MINING_SET_NEW_PREV_HASH,
        m::CHANNEL_BIT_MINING_SET_NEW_PREV_HASH,
        m::SetNewPrevHash {
            channel_id,
            job_id: way.number,
            prev_hash: U256::from(job.prev_hash()),
            min_ntime: way.min_ntime,
            nbits: job.bits(),
        },
    );
}

fn put_target(channel_id: u32, class: Class, out: &mut Vec<u8>) {
    let target = target_bytes(class);
    put(
        out,
        m::MESSAGE_TYPE_SET_TARGET,
        m::CHANNEL_BIT_SET_TARGET,
        m::SetTarget { channel_id, maximum_target: U256::from(&target) },
    );
}

fn put_prefix(channel: &Channel, out: &mut Vec<u8>) {
    let extranonce = Channel::standard_extranonce(channel.prefix);
    let Ok(extranonce_prefix) = B032::new(&extranonce) else { return };
    put(
        out,
        m::MESSAGE_TYPE_SET_EXTRANONCE_PREFIX,
        m::CHANNEL_BIT_SET_EXTRANONCE_PREFIX,
        m::SetExtranoncePrefix { channel_id: channel.id, extranonce_prefix },
    );
}
