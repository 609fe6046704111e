//! Shares: which work, which class, which nonce; what they are; what is answered.

use super::claims::NotClaimed;
use super::dialect::{self, Dialect, Form};
use super::session::{EthSession, Given, with_worker, worker_of};
use super::work::EthWork;
use crate::limits::ETH_SHARES_PER_WORK_MAX;
use crate::machines::Authorized;
use crate::protocol::{Candidate, Judged, Puzzle, Round, Solved, Step, block_in};
use crate::session::request::{Params, Request};
use crate::session::{CloseReason, Refusal, reply};
use gruve_pow::ethash::claimed_hash;
use gruve_sharelog::{Extranonce, ShareRecord};
use gruve_units::{Class, Target, Timestamp};
use std::sync::Arc;

const PART_OF_NONCE: Refusal = Refusal::new(20, "the nonce must be the bytes after the extranonce");
const WHOLE_NONCE: Refusal = Refusal::new(20, "the nonce must be 16 hex digits");
const HASH: Refusal = Refusal::new(20, "hashes must be 64 hex digits");
const OTHER_HEADER: Refusal = Refusal::new(20, "the header is not the job's");

/// A share as it came, found to be of a work given.
struct Submitted {
    who: Authorized,
    work: Arc<EthWork>,
    class: Class,
    nonce: u64,
    /// The mix digest that it claims; zeros for none.
    mix: [u8; 32],
}

impl EthSession {
    pub(super) fn submit(
        &mut self,
        request: &Request<'_>,
        line: &[u8],
        now: Timestamp,
        round: &mut Round,
    ) -> Step {
        match self.read_share(request, line) {
            Ok(Submitted { who, work, class, nonce, .. }) => {
                let from = round.notes.len();
                round.notes.extend_from_slice(request.id.as_bytes());
                let share = ShareRecord {
                    job: work.id,
                    epoch: work.epoch,
                    class,
                    owner: who.owner,
                    machine: who.machine,
                    // Eight bytes fit.
                    extranonce: Extranonce::new(&nonce.to_be_bytes()).unwrap_or_default(),
                    ntime: 0,
                    nonce: 0,
                    version: 0,
                    at: now,
                };
                round.candidates.push(Candidate {
                    reply_at: round.text.len(),
                    note: (from, round.notes.len()),
                    puzzle: Puzzle::Ethash(work, nonce),
                    share,
                });
                Step::Continue
            }
            Err(refusal) => {
                Form::of(&request.method).refused(&mut round.text, request.id, "false", refusal);
                round.refused.push(refusal);
                self.note_refused(refusal).map_or(Step::Continue, Step::Close)
            }
        }
    }

    /// Everything about a share but its hash, in the order that the documents tell.
    fn read_share(&self, request: &Request<'_>, line: &[u8]) -> Result<Submitted, Refusal> {
        let params = Params::read(&request.params).ok_or(reply::SHAPE)?;
        let text = |i| params.text(i).ok_or(reply::SHAPE);
        let texts = [text(0)?, text(1)?, text(2)?];
        let texts = texts.each_ref().map(|text| text.as_ref());
        let is_proxy = request.method == "eth_submitWork";
        let dialect = self.dialect.ok_or(reply::NOT_SUBSCRIBED)?;
        if is_proxy != (dialect == Dialect::EthProxy) {
            return Err(reply::NOT_SUBSCRIBED);
        }
        let submitted = match dialect {
            Dialect::EthProxy => self.read_work(texts, worker_of(line).as_deref()),
            Dialect::NiceHash => self.read_part(texts),
            Dialect::Stratum => self.read_nonce(texts, &params),
        }?;
        let submitted = self.settle_class(submitted)?;
        let Submitted { work, class, nonce, mix, .. } = &submitted;
        reaches(&work.header_hash, *nonce, mix, *class)?;
        Ok(submitted)
    }

    /// Of eth-proxy: nonce, header, mix.
    fn read_work(
        &self,
        [nonce, header, mix]: [&str; 3],
        worker: Option<&str>,
    ) -> Result<Submitted, Refusal> {
        let who = self.worker_by(worker)?;
        let (work, class) = self.given_on(&dialect::hash(header).ok_or(HASH)?)?;
        let nonce = dialect::whole_nonce(nonce).ok_or(WHOLE_NONCE)?;
        let mix = dialect::hash(mix).ok_or(HASH)?;
        Ok(Submitted { who, work, class, nonce, mix })
    }

    /// Of NiceHash's: login, job, part of the nonce.
    fn read_part(&self, [user, job, nonce]: [&str; 3]) -> Result<Submitted, Refusal> {
        let who = self.logged_in_as(user)?;
        let (work, class) = self.given_as(job)?;
        let part = self.extranonce.as_ref().ok_or(reply::NOT_SUBSCRIBED)?;
        let rest = dialect::part_of_nonce(nonce, part.rest());
        let nonce = part.nonce(rest.ok_or(PART_OF_NONCE)?);
        Ok(Submitted { who, work, class, nonce, mix: [0; 32] })
    }

    /// Of stratum/1: login, header for the job's name, nonce; header and mix once more, or not.
    fn read_nonce(
        &self,
        [user, job, nonce]: [&str; 3],
        params: &Params<'_>,
    ) -> Result<Submitted, Refusal> {
        let who = self.logged_in_as(user)?;
        let header = dialect::hash(job).ok_or(reply::NO_SUCH_JOB)?;
        let (work, class) = self.given_on(&header)?;
        let nonce = dialect::whole_nonce(nonce).ok_or(WHOLE_NONCE)?;
        let given = |i| match params.raw(i) {
            None => Ok(None),
            Some(_) => {
                let text = params.text(i).ok_or(reply::SHAPE)?;
                dialect::hash(&text).ok_or(HASH).map(Some)
            }
        };
        if given(3)?.is_some_and(|own| own != header) {
            return Err(OTHER_HEADER);
        }
        let mix = given(4)?.unwrap_or_default();
        Ok(Submitted { who, work, class, nonce, mix })
    }

    fn logged_in_as(&self, user: &str) -> Result<Authorized, Refusal> {
        let worker = self.workers.iter().find(|w| *w.user == *user);
        Ok(worker.ok_or(reply::UNAUTHORISED)?.who)
    }

    /// A nonce within another connection's part counts as that part does, and not twice.
    fn settle_class(&self, submitted: Submitted) -> Result<Submitted, Refusal> {
        let (own, is_claimed) = submitted.work.claims().look(submitted.nonce, submitted.class);
        if is_claimed {
            return Err(reply::DUPLICATE);
        }
        let class = if self.is_free() { own } else { submitted.class };
        Ok(Submitted { class, ..submitted })
    }

    /// Whose share it is: of the connection's login that the `worker` names, else of the first.
    fn worker_by(&self, worker: Option<&str>) -> Result<Authorized, Refusal> {
        let first = self.workers.first().ok_or(reply::UNAUTHORISED)?;
        let named = worker.and_then(|worker| {
            let account = first.user.split('.').next().unwrap_or_default();
            let own = with_worker(account, Some(worker));
            self.workers.iter().find(|w| *w.user == *own)
        });
        Ok(named.unwrap_or(first).who)
    }

    /// A living work that was given to this session, by its header hash.
    fn given_on(&self, header: &[u8; 32]) -> Result<(Arc<EthWork>, Class), Refusal> {
        let state = self.state.as_ref().ok_or(reply::NO_SUCH_JOB)?;
        let work = state.on_header(header).ok_or(reply::NO_SUCH_JOB)?;
        let given = self.given.iter().rev().find(|g| g.name == work.name());
        Ok((Arc::clone(work), given.ok_or(reply::NO_SUCH_JOB)?.class))
    }

    /// The same by the name of a NiceHash job.
    fn given_as(&self, job: &str) -> Result<(Arc<EthWork>, Class), Refusal> {
        let (name, class) = dialect::read_job_name(job).ok_or(reply::NO_SUCH_JOB)?;
        let state = self.state.as_ref().ok_or(reply::NO_SUCH_JOB)?;
        let work = state.named(name).ok_or(reply::NO_SUCH_JOB)?;
        let given = self.given.iter().find(|g| g.name == name && g.class == class);
        Ok((Arc::clone(work), given.ok_or(reply::NO_SUCH_JOB)?.class))
    }

    /// What a hashed share is. A solution of a block is claimed and sent even if it comes late.
    pub(super) fn judge_share(&mut self, candidate: &Candidate, solved: &Solved) -> Judged {
        let Puzzle::Ethash(work, nonce) = &candidate.puzzle else {
            return Judged::refused(reply::NO_SUCH_JOB);
        };
        let share = &candidate.share;
        let is_block = work.network_target.is_met_by(&solved.pow_hash);
        let is_stale = self.state.as_ref().is_none_or(|s| s.is_stale(work));
        let mine = |g: &&mut Given| g.name == work.name();
        let given = self.given.iter_mut().find(mine);
        let is_full = given.as_ref().is_some_and(|g| g.shares >= ETH_SHARES_PER_WORK_MAX);
        // What is no share is bad, late or not: a hash is dear here, and who has us make them for nothing must not pass for late.
        let refusal = if !share.class.target().is_met_by(&solved.pow_hash) {
            Some(reply::LOW)
        } else if is_stale {
            Some(reply::STALE)
        } else if is_full {
            Some(reply::TOO_MANY)
        } else {
            None
        };
        if refusal.is_some() && !is_block {
            return Judged { verdict: refusal.map_or(Ok(()), Err), block: None, aux: Vec::new() };
        }
        let claimed = work.claims().claim(*nonce, is_block);
        let verdict = match (claimed, refusal) {
            (Err(NotClaimed::Taken), _) => Err(reply::DUPLICATE),
            (_, Some(refusal)) => Err(refusal),
            (Err(NotClaimed::Full), None) => Err(reply::TOO_MANY),
            (Ok(()), None) => Ok(()),
        };
        if let (Ok(()), Some(given)) = (verdict, given) {
            given.shares += 1;
        }
        let is_new = claimed != Err(NotClaimed::Taken);
        let block = if is_new { block_in(candidate, solved) } else { None };
        Judged { verdict, block, aux: Vec::new() }
    }

    pub(super) fn answer_share(
        &mut self,
        candidate: &Candidate,
        note: &[u8],
        outcome: Result<(), Refusal>,
        out: &mut Vec<u8>,
    ) -> Option<CloseReason> {
        // Ids are cut out of text.
        let id = std::str::from_utf8(note).unwrap_or("null");
        let form = match self.dialect {
            Some(Dialect::EthProxy) => Form::JsonRpc,
            _ => Form::Stratum,
        };
        let Err(refusal) = outcome else {
            form.ok(out, id, "true");
            self.note_accepted(candidate.share.class, candidate.share.at);
            return None;
        };
        form.refused(out, id, "false", refusal);
        // These two come from the log, after the nonce was claimed.
        if (refusal == reply::SEALED || refusal == reply::NOT_STORED)
            && let Puzzle::Ethash(work, nonce) = &candidate.puzzle
        {
            work.claims().release(*nonce);
        }
        self.note_refused(refusal)
    }
}

/// Whether a claimed mix digest leads to the class's target. One of zeros claims nothing: some miners
/// leave it so. Whoever claims one that does not lead there is spared a hash, and so are we.
fn reaches(header: &[u8; 32], nonce: u64, mix: &[u8; 32], class: Class) -> Result<(), Refusal> {
    let claimed = || Target::from_be_bytes(claimed_hash(header, nonce, mix));
    if *mix == [0; 32] || claimed() <= class.target() { Ok(()) } else { Err(reply::LOW) }
}
