//! `mining.submit`: is this share good, and does it solve a block?

use super::issued::ShareKey;
use super::reply::{self, Refusal};
use super::request::{Params, Request};
use super::{CloseReason, Hole, Session, Step};
use crate::check::{self, HeaderParts};
use crate::{hexes, limits};
use gruve_chain::Job;
use gruve_pow::sha256d;
use gruve_sharelog::{BlockRecord, Extranonce, ShareRecord};
use gruve_units::Timestamp;

/// What is to be done with a share.
struct Judged {
    verdict: Result<(ShareRecord, ShareKey), Refusal>,
    block: Option<Box<BlockRecord>>,
}

impl From<Refusal> for Judged {
    fn from(refusal: Refusal) -> Judged {
        Judged { verdict: Err(refusal), block: None }
    }
}

impl Session {
    pub(super) fn submit(&mut self, request: &Request<'_>, now: Timestamp) -> Step {
        let judged = self.judge(&request.params, now).unwrap_or_else(Judged::from);
        let bad = match judged.verdict {
            Ok((share, key)) => {
                self.issued.note(share.job, share.class, key);
                let id_start = self.ids.len();
                self.ids.push_str(request.id);
                let id = (id_start, self.ids.len());
                self.holes.push(Hole { at: self.text.len(), id, key });
                self.shares.push(share);
                false
            }
            Err(refusal) => {
                reply::refused(&mut self.text, request.id, "false", refusal);
                self.rejected += 1;
                !matches!(refusal.code, 21 | 22) && refusal != reply::TOO_MANY
            }
        };
        let too_bad = self.count(bad);
        match judged.block {
            Some(block) => Step::Block(block),
            None if too_bad => Step::Close(CloseReason::BadShares),
            None => Step::Continue,
        }
    }

    fn judge(&mut self, params: &str, now: Timestamp) -> Result<Judged, Refusal> {
        let params = Params::read(params).ok_or(reply::SHAPE)?;
        let text = |i| params.text(i).ok_or(reply::SHAPE);
        let (user, job, extranonce2) = (text(0)?, text(1)?, text(2)?);
        let (ntime, nonce) = (text(3)?, text(4)?);
        // A sixth that is null or empty counts as none.
        let bits = match params.raw(5) {
            None => None,
            Some(_) => Some(params.text(5).ok_or(reply::SHAPE)?).filter(|b| !b.is_empty()),
        };
        if !self.subscribed {
            return Err(reply::NOT_SUBSCRIBED);
        }
        let who = self.workers.iter().find(|w| w.user == user).ok_or(reply::UNAUTHORISED)?.who;

        let issued = self.issued.find(&job).ok_or(reply::NO_SUCH_JOB)?;
        let (job, class) = (issued.job.job(), issued.class);
        let extranonce2: [u8; limits::EXTRANONCE2_BYTES] =
            hexes::array(&extranonce2).ok_or(reply::EXTRANONCE)?;
        let ntime = hexes::word(&ntime).ok_or(reply::NTIME)?;
        let nonce = hexes::word(&nonce).ok_or(reply::NONCE)?;
        let version = match bits {
            // Not rolled: the job's own.
            None => job.version(),
            Some(bits) => {
                let bits = hexes::word(&bits).ok_or(reply::VERSION)?;
                // Without negotiation only zero can be meant (ESP-Miner always sends the
                // parameter).
                check::rolled_version(job.version(), self.version_mask, bits)
                    .ok_or(reply::VERSION)?
            }
        };
        let key = ShareKey { extranonce2: u64::from_be_bytes(extranonce2), ntime, nonce, version };
        if issued.has(&key) {
            return Err(reply::DUPLICATE);
        }

        let extranonce =
            Extranonce::join(&self.extranonce1, &extranonce2).ok_or(reply::EXTRANONCE)?;
        let work = self.work.as_ref().ok_or(reply::NO_SUCH_JOB)?;
        let header = HeaderParts::of(job, class).header(
            extranonce.as_slice(),
            version,
            ntime,
            nonce,
            &mut self.scratch,
        );
        let solution = check::solve(work.algorithm, &header, class, job.network_target());
        let share = ShareRecord {
            job: job.id(),
            epoch: job.epoch(),
            class,
            owner: who.owner,
            machine: who.machine,
            extranonce,
            ntime,
            nonce,
            version,
            at: now,
        };
        let refusal = if work.is_stale(job) {
            Some(reply::STALE)
        } else if !ntime_fits(job, ntime, now) {
            Some(reply::NTIME_RANGE)
        } else if !solution.is_share {
            Some(reply::LOW)
        } else if issued.is_full() {
            Some(reply::TOO_MANY)
        } else {
            None
        };
        let block = solution.is_block.then(|| {
            Box::new(BlockRecord {
                share,
                block_hash: sha256d(&header),
                height: job.height(),
                block: job.block(class, extranonce.as_slice(), &header),
            })
        });
        if block.is_some() && refusal.is_some() {
            // Sent once; the same again is a duplicate.
            self.issued.note(share.job, class, key);
        }
        Ok(Judged { verdict: refusal.map_or(Ok((share, key)), Err), block })
    }
}

/// Not before the job's time, not far ahead of it or of our clock.
fn ntime_fits(job: &Job, ntime: u32, now: Timestamp) -> bool {
    let own = job.ntime();
    let clock = u32::try_from(now.secs().max(0)).unwrap_or(u32::MAX);
    let latest = clock
        .saturating_add(limits::NTIME_AHEAD_OF_CLOCK_MAX)
        .max(own.saturating_add(limits::NTIME_AHEAD_ALWAYS))
        .min(own.saturating_add(limits::NTIME_AHEAD_OF_JOB_MAX));
    (own..=latest).contains(&ntime)
}
