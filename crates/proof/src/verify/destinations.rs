//! Where blocks would have paid to: told to the reader, in a bounded list.

use std::collections::BTreeSet;

/// Bytes of scripts that are listed at most, with what keeping one costs. A house has some dozens of thirty bytes.
const BYTES_MAX: usize = 1 << 20;
/// Bytes that keeping one costs beside its own.
const COST: usize = 64;

/// Output scripts.
#[derive(Clone, Debug, Default)]
pub(super) struct Destinations {
    known: BTreeSet<Vec<u8>>,
    bytes: usize,
    /// Whether there were more than are listed.
    pub(super) is_cut: bool,
}

impl Destinations {
    pub(super) fn add(&mut self, script: &[u8]) {
        if self.known.contains(script) {
            return;
        }
        let bytes = self.bytes.saturating_add(script.len() + COST);
        if bytes > BYTES_MAX {
            self.is_cut = true;
            return;
        }
        self.bytes = bytes;
        self.known.insert(script.to_vec());
    }

    pub(super) fn extend(&mut self, other: &Destinations) {
        other.known.iter().for_each(|script| self.add(script));
        self.is_cut |= other.is_cut;
    }

    /// In hexadecimal, ascending.
    pub(super) fn told(&self) -> Vec<String> {
        self.known.iter().map(hex::encode).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_too_long_is_cut_and_says_so() {
        let mut all = Destinations::default();
        for n in 0..100_000u32 {
            all.add(&n.to_be_bytes());
        }
        assert!(all.is_cut && all.bytes <= BYTES_MAX);
        let mut few = Destinations::default();
        few.add(&[1]);
        few.add(&[1]);
        assert_eq!((few.told(), few.is_cut), (vec!["01".to_owned()], false));
        few.extend(&all);
        assert!(few.is_cut);
    }
}
