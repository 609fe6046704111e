//! Late work: shares of an epoch that stand behind its seal. Pure.
//!
//! A seal says that an epoch is counted. Work of it that comes afterwards (whoever made it was cut off) is not lost: it
//! may enter while its epoch is one of the last [`LATE_EPOCHS`] before the one that is sealed next, and counts in that one.
//! Its place in the log says which that is, so that everybody who reads the log counts it in the same.

use gruve_units::EpochNumber;

/// For how many epochs after its own work may still be counted: what the public record allows.
pub const LATE_EPOCHS: u64 = 2;

/// In which epoch a share counts that stands behind the seal of `sealed`: its own, or the next one to be sealed; `None`
/// when it is too late for either.
#[must_use]
#[inline]
pub fn counts_in(sealed: Option<EpochNumber>, epoch: EpochNumber) -> Option<EpochNumber> {
    match sealed.filter(|s| epoch <= *s) {
        None => Some(epoch),
        Some(s) => Some(s.next()).filter(|next| next.0.saturating_sub(epoch.0) <= LATE_EPOCHS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_counts_in_its_own_epoch_or_in_one_of_the_two_after_it() {
        let of = |sealed: Option<u64>, epoch| {
            counts_in(sealed.map(EpochNumber), EpochNumber(epoch)).map(|e| e.0)
        };
        assert_eq!(of(None, 7), Some(7));
        assert_eq!(of(Some(6), 7), Some(7));
        assert_eq!(of(Some(7), 7), Some(8));
        assert_eq!(of(Some(8), 7), Some(9));
        assert_eq!(of(Some(9), 7), None);
        assert_eq!(of(Some(u64::MAX), 0), None);
    }
}
