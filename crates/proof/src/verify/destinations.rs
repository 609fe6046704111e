//! Where blocks would have paid to: told to the reader, in a bounded list.

use std::collections::BTreeSet;

/// Bytes of scripts that are listed at most, with what keeping one costs. A house has some dozens of thirty bytes.
const BYTES_MAX: usize = 1 << 20;
/// The same of the lists of all lanes together.
pub(super) const ALL_BYTES_MAX: usize = 16 << 20;
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

    /// Takes those of another list, as far as so many bytes more have room; how many were taken.
    pub(super) fn extend(&mut self, other: &Destinations, room: usize) -> usize {
        let before = self.bytes;
        for script in &other.known {
            let taken = self.bytes - before;
            let has_room = script.len() + COST <= room - taken || self.known.contains(script);
            if has_room { self.add(script) } else { self.is_cut = true }
        }
        self.is_cut |= other.is_cut;
        self.bytes - before
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
        assert!(few.extend(&all, BYTES_MAX) <= BYTES_MAX);
        assert!(few.is_cut);
        let (mut one, mut two) = (Destinations::default(), Destinations::default());
        (0..3u8).for_each(|n| two.add(&[n]));
        let each = 1 + COST;
        assert_eq!(one.extend(&two, 2 * each), 2 * each, "all lanes together have so much room");
        assert!(one.is_cut && one.told().len() == 2);
        assert_eq!(one.extend(&one.clone(), 0), 0, "what is known takes none");
    }
}
