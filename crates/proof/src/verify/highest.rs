//! The highest number of a stretch of many: for thresholds that may bind some epochs of a long log.

use std::ops::Range;

/// The highest of any stretch of numbers, in few steps however long it is.
pub(super) struct Highest {
    /// The numbers, and before them the highest of each two below.
    tree: Vec<u8>,
    count: usize,
}

impl Highest {
    pub(super) fn of(all: impl ExactSizeIterator<Item = u8>) -> Highest {
        let count = all.len();
        let mut tree = vec![0; count];
        tree.extend(all);
        for at in (1..count).rev() {
            tree[at] = tree[2 * at].max(tree[2 * at + 1]);
        }
        Highest { tree, count }
    }

    /// 0 of none.
    pub(super) fn within(&self, places: Range<usize>) -> u8 {
        let (mut from, mut to) = (places.start + self.count, places.end + self.count);
        let mut highest = 0;
        while from < to {
            if from % 2 == 1 {
                highest = highest.max(self.tree[from]);
                from += 1;
            }
            if to % 2 == 1 {
                to -= 1;
                highest = highest.max(self.tree[to]);
            }
            (from, to) = (from / 2, to / 2);
        }
        highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_of_a_stretch_is_that_of_all_in_it() {
        for count in 0..20u8 {
            let all: Vec<u8> = (0..count).map(|n| n.wrapping_mul(37) % 23).collect();
            let highest = Highest::of(all.iter().copied());
            for from in 0..=all.len() {
                for to in from..=all.len() {
                    let simply = all[from..to].iter().copied().max().unwrap_or(0);
                    assert_eq!(highest.within(from..to), simply, "{from} to {to} of {count}");
                }
            }
        }
    }
}
