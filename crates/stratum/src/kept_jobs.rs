//! Jobs over a graceful restart: what miners work on goes on, blocks found on it included.
//!
//! Kept are the newest jobs on the newest block. Their records are in the log already.

use crate::limits::KEPT_JOBS_MAX;
use crate::work::{LiveJob, OwnJob, WorkState};
use gruve_chain::auxpow::{AuxBlock, AuxWork};
use gruve_chain::{Job, JobSpec, Template};
use gruve_units::{AccountId, Algorithm, Class, MachineId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Serialize, Deserialize)]
struct Kept {
    /// Jobs of one refresh share theirs.
    templates: Vec<Template>,
    /// Oldest first; with the template's place.
    jobs: Vec<(usize, JobSpec)>,
    /// What each job is merge-mined for. Last, so that a paper of a program before there was merge-mining ends
    /// too early and is a start without jobs.
    aux: Vec<Vec<AuxBlock>>,
    /// The highest class of each.
    class_max: Vec<u8>,
    /// The same work for owners who are paid by the block itself.
    own: Vec<Vec<KeptOwn>>,
}

#[derive(Serialize, Deserialize)]
struct KeptOwn {
    owner: AccountId,
    machines: Vec<MachineId>,
    spec: JobSpec,
}

impl KeptOwn {
    fn of(own: &OwnJob) -> Option<KeptOwn> {
        let machines = own.machines.iter().copied().collect();
        Some(KeptOwn { owner: own.job.payee()?, machines, spec: own.job.job().spec().clone() })
    }
}

/// The jobs as bytes, for [`resume`].
pub(crate) fn keep(work: &WorkState) -> Vec<u8> {
    let mut templates: Vec<&Arc<Template>> = Vec::new();
    let (mut jobs, mut aux, mut class_max) = (Vec::new(), Vec::new(), Vec::new());
    let mut own = Vec::new();
    let fresh: Vec<_> = work.live.iter().filter(|l| !work.is_stale(l.job())).collect();
    for live in &fresh[fresh.len().saturating_sub(KEPT_JOBS_MAX)..] {
        let template = live.job().template();
        let known = templates.iter().position(|t| Arc::ptr_eq(t, template));
        let place = known.unwrap_or_else(|| {
            templates.push(template);
            templates.len() - 1
        });
        jobs.push((place, live.job().spec().clone()));
        class_max.push(live.class_max().k());
        aux.push(live.job().aux().map(|work| work.blocks()).unwrap_or_default());
        own.push(live.own().iter().filter_map(KeptOwn::of).collect());
    }
    let templates = templates.into_iter().map(|t| Template::clone(t)).collect();
    // Writing to memory does not fail; an empty paper is a start without jobs.
    postcard::to_allocvec(&Kept { templates, jobs, aux, class_max, own }).unwrap_or_default()
}

/// The jobs again; `None` for bytes that are none.
pub(crate) fn resume(kept: &[u8], algorithm: Algorithm) -> Option<WorkState> {
    let Kept { templates, jobs, aux, class_max, own } = postcard::from_bytes(kept).ok()?;
    let templates: Vec<Arc<Template>> = templates.into_iter().map(Arc::new).collect();
    let mut state: Option<WorkState> = None;
    let beside = aux.into_iter().zip(class_max).zip(own);
    for ((place, spec), ((blocks, class_max), own)) in jobs.into_iter().zip(beside) {
        let template = Arc::clone(templates.get(place)?);
        let aux = if blocks.is_empty() { None } else { Some(Arc::new(AuxWork::of(blocks).ok()?)) };
        let branch = template.coinbase_branch();
        let class_max = Class::new(class_max)?;
        let live = |spec| {
            let (template, branch) = (Arc::clone(&template), branch.clone());
            let job = Job::build_merged(template, branch, spec, aux.clone()).ok()?;
            Some(LiveJob::new(job).capped(class_max))
        };
        let again = |own: KeptOwn| {
            let job = Arc::new(live(own.spec)?.paying(own.owner));
            Some(OwnJob { machines: own.machines.into_iter().collect(), job })
        };
        let own: Option<Vec<OwnJob>> = own.into_iter().map(again).collect();
        let job = Arc::new(live(spec)?.with_own(own?));
        state = Some(match state {
            Some(before) => before.with(job, KEPT_JOBS_MAX),
            None => WorkState::of(algorithm, job),
        });
    }
    state
}
