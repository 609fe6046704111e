//! `mining.submit`: what can be said of a share before its hash, and after.

use super::Session;
use super::issued::Issued;
use super::reply::{self, Refusal};
use super::request::{Params, Request};
use super::submit_line::SubmitLine;
use crate::notify::read_wire_id;
use crate::protocol::{Candidate, Judged, Puzzle, Round, Solved, Step, block_in};
use crate::seen::ShareKey;
use crate::session::CloseReason;
use crate::{check, hexes, limits, merged};
use gruve_chain::Job;
use gruve_sharelog::{Extranonce, ShareRecord};
use gruve_units::Timestamp;

impl Session {
    /// A share in an unusual spelling.
    pub(super) fn submit_request(
        &mut self,
        request: &Request<'_>,
        now: Timestamp,
        round: &mut Round,
    ) -> Step {
        let params = Params::read(&request.params);
        let read = params.as_ref().ok_or(reply::SHAPE).and_then(|params| {
            let text = |i| params.text(i).ok_or(reply::SHAPE);
            let fields = [text(0)?, text(1)?, text(2)?, text(3)?, text(4)?];
            // A sixth that is null counts as none.
            let bits = match params.raw(5) {
                None => None,
                Some(_) => Some(params.text(5).ok_or(reply::SHAPE)?),
            };
            let bits = bits.as_deref().map(str::as_bytes);
            self.read_share(fields.each_ref().map(|f| f.as_bytes()), bits, now)
        });
        self.submit(request.id.as_bytes(), read, round)
    }

    /// A share in the usual spelling.
    pub(super) fn submit_line(
        &mut self,
        line: &SubmitLine<'_>,
        now: Timestamp,
        round: &mut Round,
    ) -> Step {
        let read = self.read_share(line.fields, line.bits, now);
        self.submit(line.id, read, round)
    }

    /// A candidate for the round, or a refusal at once.
    fn submit(
        &mut self,
        id: &[u8],
        read: Result<(Puzzle, ShareRecord), Refusal>,
        round: &mut Round,
    ) -> Step {
        match read {
            Ok((puzzle, share)) => {
                let note_start = round.notes.len();
                round.notes.extend_from_slice(id);
                let note = (note_start, round.notes.len());
                round.candidates.push(Candidate {
                    reply_at: round.text.len(),
                    note,
                    puzzle,
                    share,
                });
                Step::Continue
            }
            Err(refusal) => {
                reply::refused(&mut round.text, id, "false", refusal);
                round.refused.push(refusal);
                self.rejected += 1;
                if self.count(refusal.is_bad()) {
                    Step::Close(CloseReason::BadShares)
                } else {
                    Step::Continue
                }
            }
        }
    }

    fn read_share(
        &self,
        [user, job, extranonce2, ntime, nonce]: [&[u8]; 5],
        bits: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<(Puzzle, ShareRecord), Refusal> {
        if !self.subscribed {
            return Err(reply::NOT_SUBSCRIBED);
        }
        let who =
            self.workers.iter().find(|w| w.user.as_bytes() == user).ok_or(reply::UNAUTHORISED)?.who;

        let (job, class, again) = read_wire_id(job).ok_or(reply::NO_SUCH_JOB)?;
        let issued = self.issued.find(job, class, again).ok_or(reply::NO_SUCH_JOB)?;
        let job = issued.job.job();
        let extranonce2: [u8; limits::EXTRANONCE2_BYTES] =
            hexes::array_of(extranonce2).ok_or(reply::EXTRANONCE)?;
        let ntime = hexes::word_of(ntime).ok_or(reply::NTIME)?;
        let nonce = hexes::word_of(nonce).ok_or(reply::NONCE)?;
        let version = match bits.filter(|b| !b.is_empty()) {
            // Not rolled: the job's own.
            None => job.version(),
            Some(bits) => {
                let bits = hexes::word_of(bits).ok_or(reply::VERSION)?;
                // Without negotiation only zero can be meant (ESP-Miner always sends the
                // parameter).
                check::rolled_version(job.version(), self.version_mask, bits)
                    .ok_or(reply::VERSION)?
            }
        };
        let key = ShareKey::new(u64::from_be_bytes(extranonce2), ntime, nonce, version);
        if issued.has(&key) {
            return Err(reply::DUPLICATE);
        }
        let extranonce = Extranonce::join(&issued.prefix, &extranonce2).ok_or(reply::EXTRANONCE)?;
        if job.is_second_tag(extranonce.as_slice()) {
            return Err(reply::SECOND_TAG);
        }
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
        Ok((Puzzle::Header(issued.job.clone()), share))
    }

    /// What a hashed candidate is. The key is noted here, so that the same share twice in one
    /// batch is one share.
    pub(super) fn judge_share(
        &mut self,
        candidate: &Candidate,
        solved: &Solved,
        now: Timestamp,
    ) -> Judged {
        let share = &candidate.share;
        let Puzzle::Header(live) = &candidate.puzzle else {
            return Judged::refused(reply::NO_SUCH_JOB);
        };
        let (job, key) = (live.job(), ShareKey::of(share));
        let issued = self.issued.of(share);
        if issued.is_some_and(|i| i.has(&key)) {
            return Judged::refused(reply::DUPLICATE);
        }
        let block = block_in(candidate, solved);
        let is_stale = self.work.as_ref().is_none_or(|w| w.is_stale(job));
        let refusal = if issued.is_none_or(Issued::is_closed) {
            Some(reply::NO_SUCH_JOB)
        } else if is_stale {
            Some(reply::STALE)
        } else if !ntime_fits(job, share.ntime, now) {
            Some(reply::NTIME_RANGE)
        } else if !share.class.target().is_met_by(&solved.pow_hash) {
            Some(reply::LOW)
        } else if issued.is_some_and(|i| i.is_full(&self.rules.seen)) {
            Some(reply::TOO_MANY)
        } else {
            None
        };
        let aux = merged::solved(job, share, solved);
        if refusal.is_none() || block.is_some() || !aux.is_empty() {
            // A block that is no share is sent once, too: the same again is a duplicate.
            self.issued.note(share, &self.rules.seen);
        }
        Judged { verdict: refusal.map_or(Ok(()), Err), block, aux }
    }
}

/// Not before the job's time, not far ahead of it or of our clock.
pub(crate) fn ntime_fits(job: &Job, ntime: u32, now: Timestamp) -> bool {
    let own = job.ntime();
    let clock = u32::try_from(now.secs().max(0)).unwrap_or(u32::MAX);
    let latest = clock
        .saturating_add(limits::NTIME_AHEAD_OF_CLOCK_MAX)
        .max(own.saturating_add(limits::NTIME_AHEAD_ALWAYS))
        .min(own.saturating_add(limits::NTIME_AHEAD_OF_JOB_MAX));
    (own..=latest).contains(&ntime)
}
