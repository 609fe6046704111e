//! A session over a restart: what it was, as bytes, and again.
//!
//! The connection stays open, so the miner notices nothing: its extranonce, logins, difficulty and
//! jobs go on, and the shares it has sent are remembered, so that none counts twice. Not kept are
//! the difficulty control's sums (it trusts the class and learns anew) and the hashrate's history.

use super::issued::IssuedJobs;
use super::{Session, SessionRules, Worker};
use crate::limits;
use crate::machines::Authorized;
use crate::meter::Meter;
use crate::prefixes::Prefix;
use crate::seen::ShareKey;
use crate::vardiff::Vardiff;
use gruve_sharelog::Owner;
use gruve_units::{AccountId, Class, JobId, MachineId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;

/// A job as it was given, and the shares of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KeptJob {
    pub(super) job: JobId,
    pub(super) class: Class,
    pub(super) prefix: Prefix,
    pub(super) again: u8,
    pub(super) is_closed: bool,
    pub(super) seen: Vec<ShareKey>,
}

#[derive(Serialize, Deserialize)]
struct KeptWorker {
    user: Box<str>,
    /// `None` for the house.
    owner: Option<AccountId>,
    machine: MachineId,
}

/// The form of a session's paper; another's is not read, and its connection closes.
const FORM: u16 = 2;

#[derive(Serialize, Deserialize)]
struct Kept {
    form: u16,
    extranonce1: [u8; limits::EXTRANONCE1_BYTES],
    version_mask: u32,
    connected_at: Timestamp,
    last_share_at: Option<Timestamp>,
    agent: Box<str>,
    workers: Vec<KeptWorker>,
    subscribed: bool,
    takes_extranonces: bool,
    wished: bool,
    floor: Class,
    wanted: Class,
    told: Option<Class>,
    given_on: Option<[u8; 32]>,
    jobs: Vec<KeptJob>,
    refused_logins: u32,
    accepted: u64,
    rejected: u64,
}

impl Session {
    /// All that the next program needs to go on; `None` while a login is looked up.
    pub(super) fn to_kept(&self) -> Option<Vec<u8>> {
        if self.asking.is_some() {
            return None;
        }
        let worker = |w: &Worker| KeptWorker {
            user: w.user.clone(),
            owner: match w.who.owner {
                Owner::House => None,
                Owner::Account(account) => Some(account),
            },
            machine: w.who.machine,
        };
        let kept = Kept {
            form: FORM,
            extranonce1: self.extranonce1.prefix,
            version_mask: self.version_mask,
            connected_at: self.connected_at,
            last_share_at: self.last_share_at,
            agent: self.agent.clone(),
            workers: self.workers.iter().map(worker).collect(),
            subscribed: self.subscribed,
            takes_extranonces: self.takes_extranonces,
            wished: self.wished,
            floor: self.floor,
            wanted: self.wanted,
            told: self.told,
            given_on: self.given_on,
            jobs: self.issued.to_kept(),
            refused_logins: self.refused_logins,
            accepted: self.accepted,
            rejected: self.rejected,
        };
        postcard::to_allocvec(&kept).ok()
    }

    /// A session that goes on where an earlier program left it; `None` for bytes that are none.
    #[must_use]
    pub fn resume(rules: Arc<SessionRules>, kept: &[u8], now: Timestamp) -> Option<Session> {
        let kept: Kept = postcard::from_bytes(kept).ok().filter(|k: &Kept| k.form == FORM)?;
        let (easiest, hardest) = rules.class_range;
        let clamp = |class: Class| class.clamp(easiest, hardest);
        let mut vardiff =
            Vardiff::new(rules.class_range, rules.start_class, rules.share_interval, now);
        if let Some(class) = kept.told.map(clamp) {
            vardiff.begin_trusted(class, now);
        }
        let worker = |w: KeptWorker| Worker {
            user: w.user,
            who: Authorized {
                owner: w.owner.map_or(Owner::House, Owner::Account),
                machine: w.machine,
            },
        };
        let prefixes: HashSet<Prefix> = kept.jobs.iter().map(|j| j.prefix).collect();
        let older = prefixes.into_iter().filter(|p| *p != kept.extranonce1);
        let older = older.map(|p| rules.prefixes.hold(p)).collect();
        let new = Session::new(rules, kept.extranonce1, kept.connected_at);
        let version_mask = kept.version_mask & new.rules.version_mask;
        let easiest = new.easiest_for(&kept.agent);
        Some(Session {
            older,
            version_mask,
            // It rolls bits that are not allowed any more.
            owes_mask: version_mask != kept.version_mask,
            easiest,
            takes_extranonces: kept.takes_extranonces,
            last_line_at: now,
            last_share_at: kept.last_share_at,
            agent: kept.agent,
            workers: kept.workers.into_iter().map(worker).collect(),
            subscribed: kept.subscribed,
            wished: kept.wished,
            floor: clamp(kept.floor),
            wanted: clamp(kept.wanted),
            // The miner's own, even if the new rules do not know it: then it is told another with its
            // next job, and that job is clean if it is easier.
            told: kept.told,
            vardiff,
            given_on: kept.given_on,
            issued: IssuedJobs::resume(kept.jobs),
            meter: Meter::new(now),
            refused_logins: kept.refused_logins,
            accepted: kept.accepted,
            rejected: kept.rejected,
            ..new
        })
    }

    /// Whose machines log in here: to be counted again.
    pub(crate) fn owners(&self) -> impl Iterator<Item = Owner> {
        self.workers.iter().map(|w| w.who.owner)
    }
}
