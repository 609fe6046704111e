//! Jobs over a graceful restart: what miners work on goes on, blocks found on it included.
//!
//! Kept are the newest jobs on the newest block. Their records are in the log already.

use crate::limits::KEPT_JOBS_MAX;
use crate::work::{LiveJob, WorkState};
use gruve_chain::auxpow::{AuxBlock, AuxWork};
use gruve_chain::{Job, JobSpec, Template};
use gruve_units::{Algorithm, Class};
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
}

/// The jobs as bytes, for [`resume`].
pub(crate) fn keep(work: &WorkState) -> Vec<u8> {
    let mut templates: Vec<&Arc<Template>> = Vec::new();
    let (mut jobs, mut aux, mut class_max) = (Vec::new(), Vec::new(), Vec::new());
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
    }
    let templates = templates.into_iter().map(|t| Template::clone(t)).collect();
    // Writing to memory does not fail; an empty paper is a start without jobs.
    postcard::to_allocvec(&Kept { templates, jobs, aux, class_max }).unwrap_or_default()
}

/// The jobs again; `None` for bytes that are none.
pub(crate) fn resume(kept: &[u8], algorithm: Algorithm) -> Option<WorkState> {
    let Kept { templates, jobs, aux, class_max } = postcard::from_bytes(kept).ok()?;
    let templates: Vec<Arc<Template>> = templates.into_iter().map(Arc::new).collect();
    let mut state: Option<WorkState> = None;
    for (((place, spec), blocks), class_max) in jobs.into_iter().zip(aux).zip(class_max) {
        let template = Arc::clone(templates.get(place)?);
        let aux = if blocks.is_empty() { None } else { Some(Arc::new(AuxWork::of(blocks).ok()?)) };
        let branch = template.coinbase_branch();
        let job = Job::build_merged(template, branch, spec, aux).ok()?;
        let job = Arc::new(LiveJob::new(job).capped(Class::new(class_max)?));
        state = Some(match state {
            Some(before) => before.with(job, KEPT_JOBS_MAX),
            None => WorkState::of(algorithm, job),
        });
    }
    state
}
