//! Shares: checked, judged, answered; good ones are acknowledged together, channel by channel.

use super::Session;
use crate::protocol::{Candidate, Judged, Puzzle, Round, Solved, Step, block_in};
use crate::seen::ShareKey;
use crate::session::reply::{NOT_OWN, NTIME_RANGE};
use crate::session::submit::ntime_fits;
use crate::session::{
    CloseReason, DUPLICATE, LOW, NO_SUCH_JOB, NOT_STORED, Refusal, SEALED, STALE, TOO_MANY,
};
use crate::v2::channel::{Kind, Unacknowledged};
use crate::v2::frame::put;
use crate::v2::jobs::{Given, Numbered};
use crate::v2::message::Submit;
use crate::{limits, merged};
use gruve_sharelog::{Extranonce, ShareRecord};
use gruve_units::Timestamp;
use mining_sv2 as m;
use std::sync::Arc;

// Refusals that V1 has no like of; their words are V2's code.
const NO_CHANNEL: Refusal = Refusal::new(20, m::ERROR_CODE_SUBMIT_SHARES_INVALID_CHANNEL_ID);
const EXTRANONCE: Refusal = Refusal::new(20, m::ERROR_CODE_SUBMIT_SHARES_BAD_EXTRANONCE_SIZE);
const FIXED: Refusal = Refusal::new(20, m::ERROR_CODE_VERSION_ROLLING_NOT_ALLOWED);
const VERSION: Refusal =
    Refusal::new(20, m::ERROR_CODE_SUBMIT_SHARES_INVALID_NON_ROLLABLE_VERSION_BIT);
/// The form is wrong.
const INVALID: Refusal = Refusal::new(20, m::ERROR_CODE_SUBMIT_SHARES_INVALID_SHARE);

/// What a refusal is called in V2; for the last two the specification has no name.
fn code(refusal: Refusal) -> &'static str {
    match refusal {
        NO_SUCH_JOB => m::ERROR_CODE_SUBMIT_SHARES_INVALID_JOB_ID,
        // Another owner's job is one that this machine has no more.
        STALE | SEALED | NOT_OWN => m::ERROR_CODE_SUBMIT_SHARES_STALE_SHARE,
        DUPLICATE => m::ERROR_CODE_SUBMIT_SHARES_DUPLICATE_SHARE,
        LOW => m::ERROR_CODE_SUBMIT_SHARES_DIFFICULTY_TOO_LOW,
        NTIME_RANGE => m::ERROR_CODE_SUBMIT_SHARES_INVALID_SHARE,
        TOO_MANY => "too-many-shares",
        NOT_STORED => "not-stored",
        Refusal { words, .. } => words,
    }
}

/// What a candidate's note holds: channel, sequence number.
const NOTE_BYTES: usize = 8;

impl Session {
    pub(super) fn submit(&mut self, submit: &Submit, now: Timestamp, round: &mut Round) -> Step {
        match self.candidate(submit, now) {
            Ok((puzzle, share)) => {
                let note = round.notes.len();
                round.notes.extend_from_slice(&submit.channel.to_le_bytes());
                round.notes.extend_from_slice(&submit.sequence.to_le_bytes());
                round.candidates.push(Candidate {
                    reply_at: round.text.len(),
                    note: (note, note + NOTE_BYTES),
                    puzzle,
                    share,
                });
                Step::Continue
            }
            Err(refusal) => {
                put_refusal(submit.channel, submit.sequence, refusal, &mut round.text);
                round.refused.push(refusal);
                if self.count(Some(refusal)) {
                    return Step::Close(CloseReason::BadShares);
                }
                Step::Continue
            }
        }
    }

    /// Everything that can be said of a share before it is hashed.
    fn candidate(
        &mut self,
        submit: &Submit,
        now: Timestamp,
    ) -> Result<(Puzzle, ShareRecord), Refusal> {
        let i = self.channel(submit.channel).ok_or(NO_CHANNEL)?;
        let channel = self.channels.get(i).ok_or(NO_CHANNEL)?;
        let given = channel.given(submit.job).ok_or(NO_SUCH_JOB)?;
        let numbered = self.jobs.get(submit.job).ok_or(NO_SUCH_JOB)?;
        let job = numbered.job.job();
        let rolled = match (channel.kind, submit.extranonce) {
            (Kind::Standard, None) => [0; 8],
            (Kind::Extended, Some(Some(rolled))) => rolled,
            (Kind::Extended, Some(None)) => return Err(EXTRANONCE),
            // The other form's message.
            (Kind::Standard, Some(_)) | (Kind::Extended, None) => return Err(INVALID),
        };
        if (submit.version ^ job.version()) & !self.version_mask != 0 {
            return Err(if self.version_mask == 0 { FIXED } else { VERSION });
        }
        let share = ShareRecord {
            job: job.id(),
            epoch: job.epoch(),
            class: numbered.class,
            owner: channel.who.owner,
            machine: channel.who.machine,
            extranonce: Extranonce::join(&given.prefix, &rolled).ok_or(EXTRANONCE)?,
            ntime: submit.ntime,
            nonce: submit.nonce,
            version: submit.version,
            at: now,
        };
        if job.is_second_tag(share.extranonce.as_slice()) {
            return Err(INVALID);
        }
        if given.has(&ShareKey::of(&share)) {
            return Err(DUPLICATE);
        }
        Ok((Puzzle::Header(Arc::clone(&numbered.job)), share))
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
            return Judged::refused(NO_SUCH_JOB);
        };
        let (job, key) = (live.job(), ShareKey::of(share));
        let is_stale = self.work.as_ref().is_none_or(|w| w.is_stale(job));
        let block = block_in(candidate, solved);
        let budget = Arc::clone(&self.rules.seen);
        let given = self.given_for(share);
        if given.as_ref().is_some_and(|g| g.has(&key)) {
            return Judged::refused(DUPLICATE);
        }
        // Nothing can be noted of it where the channel was closed, or the job forgotten, while it was hashed.
        let verdict = if given.as_ref().is_none_or(|g| g.is_closed()) {
            Err(NO_SUCH_JOB)
        } else if is_stale {
            Err(STALE)
        } else if !ntime_fits(job, share.ntime, now) {
            Err(NTIME_RANGE)
        } else if !share.class.target().is_met_by(&solved.pow_hash) {
            Err(LOW)
        } else if given.as_ref().is_some_and(|g| g.is_full(&budget)) {
            Err(TOO_MANY)
        } else {
            Ok(())
        };
        let aux = merged::solved(job, share, solved);
        // A block that is no share is sent once, too: the same again is a duplicate.
        if (verdict.is_ok() || block.is_some() || !aux.is_empty())
            && let Some(given) = given
        {
            given.note(key, &budget);
            self.held += 1;
            self.shed();
        }
        Judged { verdict, block, aux }
    }

    /// What the channel that a share came on has of its job.
    fn given_for(&mut self, share: &ShareRecord) -> Option<&mut Given> {
        let prefix = *share.extranonce.as_slice().first_chunk::<4>()?;
        let i = self.channel(self.owners.get(&prefix)?.0)?;
        let jobs = &self.jobs;
        let is_it = |g: &&mut Given| {
            let is_of = |j: &Numbered| j.is(share.job, share.class);
            g.prefix == prefix && jobs.get(g.number).is_some_and(is_of)
        };
        self.channels.get_mut(i)?.given.iter_mut().rev().find(is_it)
    }

    /// Closes the oldest jobs of a connection that holds too much.
    fn shed(&mut self) {
        while self.held > limits::SEEN_PER_SESSION_MAX && self.jobs.close_oldest() {
            self.drop_closed();
            self.tidy();
        }
    }

    pub(super) fn answer_share(
        &mut self,
        share: &ShareRecord,
        note: &[u8],
        outcome: Result<(), Refusal>,
        out: &mut Vec<u8>,
    ) -> Option<CloseReason> {
        let (channel, sequence) = note.split_first_chunk::<4>()?;
        let id = u32::from_le_bytes(*channel);
        let sequence = u32::from_le_bytes(*sequence.first_chunk::<4>()?);
        // It may have been closed since.
        let i = self.channel(id);
        if let Err(refusal) = outcome {
            if matches!(refusal, NOT_STORED | SEALED)
                && let Some(given) = self.given_for(share)
                && given.forget(&ShareKey::of(share))
            {
                self.held = self.held.saturating_sub(1);
            }
            if i.is_some() {
                put_refusal(id, sequence, refusal, out);
            }
            return self.count(Some(refusal)).then_some(CloseReason::BadShares);
        }
        self.count(None);
        self.accepted += 1;
        self.last_share_at = Some(share.at);
        self.meter.add(share.class.work(), share.at);
        if let Some(channel) = i.and_then(|i| self.channels.get_mut(i)) {
            channel.accepted += 1;
            let waiting = &mut channel.unacknowledged;
            waiting.count += 1;
            waiting.last_sequence = sequence;
            waiting.work = waiting.work.saturating_add(share.class.work().0);
            channel.vardiff.share(share.class, share.at);
            if channel.told == channel.wanted
                && let Some(class) = channel.vardiff.decide(share.at)
            {
                channel.wanted = class;
            }
        }
        None
    }

    /// One message for all shares of a channel that were stored.
    pub(super) fn acknowledge(&mut self, out: &mut Vec<u8>) {
        let unit = u32::from(self.rules.algorithm.unit_class());
        for channel in &mut self.channels {
            let Unacknowledged { count, last_sequence, work } = channel.unacknowledged;
            if count == 0 {
                continue;
            }
            let rest = work & ((1 << unit) - 1);
            channel.unacknowledged = Unacknowledged { count: 0, last_sequence, work: rest };
            put(
                out,
                m::MESSAGE_TYPE_SUBMIT_SHARES_SUCCESS,
                m::CHANNEL_BIT_SUBMIT_SHARES_SUCCESS,
                m::SubmitSharesSuccess {
                    channel_id: channel.id,
                    last_sequence_number: last_sequence,
                    new_submits_accepted_count: count,
                    new_shares_sum: u64::try_from(work >> unit).unwrap_or(u64::MAX),
                },
            );
        }
    }

    /// A share was judged; whether too many were bad.
    fn count(&mut self, refusal: Option<Refusal>) -> bool {
        self.rejected += u64::from(refusal.is_some());
        self.judged += 1;
        self.bad_shares += u32::from(refusal.is_some_and(Refusal::is_bad));
        let too_bad = self.bad_shares >= limits::BAD_SHARES_MAX;
        if self.judged >= limits::BAD_SHARES_WINDOW {
            (self.judged, self.bad_shares) = (0, 0);
        }
        too_bad
    }
}

fn put_refusal(channel_id: u32, sequence_number: u32, refusal: Refusal, out: &mut Vec<u8>) {
    let Ok(error_code) = code(refusal).try_into() else { return };
    put(
        out,
        m::MESSAGE_TYPE_SUBMIT_SHARES_ERROR,
        m::CHANNEL_BIT_SUBMIT_SHARES_ERROR,
        m::SubmitSharesError { channel_id, sequence_number, error_code },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_a_share_has_a_code_and_no_sentence() {
        let own = [NO_CHANNEL, EXTRANONCE, FIXED, VERSION, INVALID];
        let shared = [NO_SUCH_JOB, STALE, SEALED, NOT_OWN, DUPLICATE, LOW, NTIME_RANGE];
        for refusal in own.into_iter().chain(shared).chain([TOO_MANY, NOT_STORED]) {
            let code = code(refusal);
            let is_of_code = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(!code.is_empty() && code.chars().all(is_of_code), "{refusal:?}: {code}");
        }
        assert_eq!(code(NOT_OWN), "stale-share");
    }
}
