//! Where rewards may go: named in each entry, for jobs whose stamp will hold its checkpoint.

use super::{Fixed, RecordSink, Stored};
use crate::stamps::StampSource;
use crate::{LaneConfig, MarketError, Result};
use gruve_proof::Hash;
use gruve_proof::places::Places;
use gruve_proof::summary::FileRef;
use gruve_units::{EpochNumber, LaneId};
use std::collections::{BTreeMap, btree_map};

/// Stores the list that an entry names. A lane whose entry before named one goes on with that while nothing else is
/// known: readers refuse a lane that stops to say where its rewards go.
pub(super) fn name(sink: &dyn RecordSink, lane: &LaneConfig, before: FileRef) -> Result<FileRef> {
    match sink.places(&lane.lane) {
        Some(places) => sink.put(&places.encode()).map_err(MarketError::NotPublished),
        None => Ok(before),
    }
}

/// Whether all jobs of a record would have paid where the entries of their checkpoints say. Work of others is published as
/// unproven: nobody would call the record true.
pub(super) fn are_kept(
    sink: &dyn RecordSink,
    lane: &LaneConfig,
    stored: &Stored,
    fixed: &BTreeMap<EpochNumber, Fixed>,
) -> Result<bool> {
    let mut lists: BTreeMap<Hash, Places> = BTreeMap::new();
    for (of, whose, outputs) in &stored.paid {
        let named = fixed.get(of).map(|f| f.places).filter(|f| *f != FileRef::default());
        let Some(named) = named else { continue };
        if sink.is_lost(&named) {
            tracing::error!(lane = %lane.lane, checkpoint = %of,
                "the list of places that jobs are bound to is lost: published as unproven");
            return Ok(false);
        }
        let list = match lists.entry(named.hash) {
            btree_map::Entry::Occupied(known) => known.into_mut(),
            btree_map::Entry::Vacant(new) => new.insert(read(sink, &lane.lane, &named)?),
        };
        if let Some(script) = list.unpublished(*whose, outputs) {
            let (lane, script) = (&lane.lane, hex::encode(script));
            tracing::error!(%lane, checkpoint = %of, script,
                "jobs pay to a place that was not published before: published as unproven");
            return Ok(false);
        }
    }
    Ok(true)
}

/// Keeps the list that an entry names, for whoever makes jobs. By one that is lost they pay the house.
pub(crate) fn load(
    stamps: &StampSource,
    sink: &dyn RecordSink,
    lane: &LaneId,
    epoch: EpochNumber,
    fixed: Fixed,
) -> Result<()> {
    match fixed.places {
        none if none == FileRef::default() => Ok(()),
        lost if sink.is_lost(&lost) => Ok(()),
        named => stamps.place(lane, epoch, named.hash, || read(sink, lane, &named)),
    }
}

fn read(sink: &dyn RecordSink, lane: &LaneId, named: &FileRef) -> Result<Places> {
    let bytes = sink.read(named).map_err(MarketError::NotPublished)?;
    let places = Places::read(bytes.as_slice(), lane);
    places.map_err(|e| MarketError::NotPublished(format!("the list of places: {e}")))
}
