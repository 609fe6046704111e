//! Which epochs get a row of their own when one seal covers many. Pure.

use gruve_units::EpochNumber;

/// Empty epochs in a row that still get a row of their own; a longer run is skipped.
pub const EMPTY_ROWS_MAX: u64 = 12;

/// Which epochs get a row when `sealed` is sealed, each with the number skipped before it. `with_work` is
/// sorted and not above `sealed`.
pub(super) fn epochs_to_close(
    closed: Option<EpochNumber>,
    with_work: &[EpochNumber],
    sealed: EpochNumber,
) -> Vec<(EpochNumber, u64)> {
    let mut all = Vec::new();
    let mut last = closed;
    let end = (with_work.last() != Some(&sealed)).then_some(sealed);
    for epoch in with_work.iter().copied().chain(end) {
        let mut skipped = 0;
        if let Some(before) = last {
            let empty = epoch.0.saturating_sub(before.0).saturating_sub(1);
            if empty <= EMPTY_ROWS_MAX {
                all.extend((before.0 + 1..epoch.0).map(|e| (EpochNumber(e), 0)));
            } else {
                skipped = empty;
            }
        }
        all.push((epoch, skipped));
        last = Some(epoch);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(closed: Option<u64>, work: &[u64], sealed: u64) -> Vec<(u64, u64)> {
        let work: Vec<_> = work.iter().copied().map(EpochNumber).collect();
        epochs_to_close(closed.map(EpochNumber), &work, EpochNumber(sealed))
            .into_iter()
            .map(|(e, s)| (e.0, s))
            .collect()
    }

    #[test]
    fn every_epoch_of_a_running_lane_gets_a_row() {
        assert_eq!(rows(Some(6), &[7], 7), [(7, 0)]);
        assert_eq!(rows(Some(6), &[], 7), [(7, 0)]);
        assert_eq!(rows(Some(6), &[8], 9), [(7, 0), (8, 0), (9, 0)]);
    }

    #[test]
    fn the_first_epoch_of_a_lane_has_nothing_before_it() {
        assert_eq!(rows(None, &[], 1_000_000), [(1_000_000, 0)]);
        assert_eq!(rows(None, &[500], 502), [(500, 0), (501, 0), (502, 0)]);
    }

    #[test]
    fn a_long_gap_is_one_row() {
        assert_eq!(rows(Some(6), &[7, 8], 1_000_000), [(7, 0), (8, 0), (1_000_000, 999_991)]);
        let most = rows(Some(6), &[], 6 + EMPTY_ROWS_MAX + 1);
        assert_eq!(most.len(), usize::try_from(EMPTY_ROWS_MAX).unwrap() + 1);
        assert_eq!(rows(Some(6), &[], 6 + EMPTY_ROWS_MAX + 2).len(), 1);
    }
}
