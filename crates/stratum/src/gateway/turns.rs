//! Whose turn it is: those who have brought good work before those who have not (yet).
//!
//! Everybody can connect, and what he sends then costs the loop's thread something before anything is
//! known of him: a handshake of Noise or TLS a millisecond, a read of lines that bring nothing some
//! tenths of one. So there are two lines, and in a round the second has a bounded part of each of these
//! costs; whoever floods stands in it, with all who flood. A part it always has: a newcomer is
//! served in any case, and moves to the first line with what it brings.
//!
//! Pure: no sockets, no clock.

use super::slab::Key;
use crate::limits;
use std::collections::VecDeque;

/// Those who are to be visited.
#[derive(Debug, Default)]
pub(super) struct Turns {
    proven: VecDeque<Key>,
    others: VecDeque<Key>,
}

/// What one round may still do.
#[derive(Debug)]
pub(super) struct Allowance {
    /// Those who stood in line when it began: nobody has two visits in a round.
    proven: usize,
    others: usize,
    bytes: usize,
    handshakes: usize,
    /// Candidates with which it is full for the first line, and for both.
    full: usize,
    full_for_all: usize,
}

impl Turns {
    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.proven.is_empty() && self.others.is_empty()
    }

    /// One more, behind all of its line.
    pub(super) fn push(&mut self, key: Key, is_proven: bool) {
        let line = if is_proven { &mut self.proven } else { &mut self.others };
        line.push_back(key);
    }

    /// What a round that begins now may do.
    pub(super) fn begin(&self) -> Allowance {
        Allowance {
            proven: self.proven.len(),
            others: self.others.len().min(limits::OTHERS_PER_ROUND_MAX),
            bytes: limits::OTHERS_BYTES_PER_ROUND_MAX,
            handshakes: limits::HANDSHAKES_PER_ROUND_MAX,
            full: limits::CANDIDATES_PER_ROUND_MAX,
            full_for_all: limits::CANDIDATES_PER_ROUND_MAX,
        }
    }

    /// The next in turn, when a round has so many candidates already; `None` when it is to end.
    pub(super) fn next(&mut self, candidates: usize, left: &mut Allowance) -> Option<Key> {
        if left.proven > 0 && candidates < left.full {
            left.proven -= 1;
            if let Some(key) = self.proven.pop_front() {
                return Some(key);
            }
        }
        if left.full > 0 {
            // The second line begins: it has room even where the first has filled the round.
            left.full = 0;
            let own = candidates.saturating_add(limits::OTHERS_CANDIDATES_PER_ROUND);
            left.full_for_all = left.full_for_all.max(own);
        }
        let may = left.others > 0
            && left.bytes > 0
            && left.handshakes > 0
            && candidates < left.full_for_all;
        left.others = left.others.saturating_sub(1);
        if may { self.others.pop_front() } else { None }
    }
}

impl Allowance {
    /// A visit has cost so much.
    pub(super) fn spend(&mut self, bytes: usize, is_handshake: bool) {
        if self.full == 0 {
            self.bytes = self.bytes.saturating_sub(bytes);
            self.handshakes = self.handshakes.saturating_sub(usize::from(is_handshake));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::slab::Slab;
    use super::*;

    fn keys(count: usize) -> Vec<Key> {
        let mut slab = Slab::new();
        (0..count).map(|_| slab.insert(())).collect()
    }

    /// One round: who is visited, each visit costing so much.
    fn round(turns: &mut Turns, cost: impl Fn(Key) -> (usize, usize, bool)) -> Vec<Key> {
        let (mut left, mut candidates, mut visited) = (turns.begin(), 0, Vec::new());
        while let Some(key) = turns.next(candidates, &mut left) {
            let (shares, bytes, is_handshake) = cost(key);
            candidates += shares;
            left.spend(bytes, is_handshake);
            visited.push(key);
        }
        visited
    }

    #[test]
    fn who_has_brought_good_work_never_waits_for_more_than_a_few_handshakes() {
        let keys = keys(4001);
        let (honest, strangers) = keys.split_last().unwrap();
        let mut turns = Turns::default();
        strangers.iter().for_each(|key| turns.push(*key, false));
        turns.push(*honest, true);
        let visited = round(&mut turns, |key| (usize::from(key == *honest), 64, key != *honest));
        assert_eq!(visited[0], *honest, "before all who came before it");
        assert_eq!(visited.len(), 1 + limits::HANDSHAKES_PER_ROUND_MAX);
        // Every one of the others is served in the end, in the order they came.
        let mut rest = visited[1..].to_vec();
        while !turns.is_empty() {
            let some = round(&mut turns, |_| (0, 64, true));
            assert!(!some.is_empty() && some.len() <= limits::HANDSHAKES_PER_ROUND_MAX);
            rest.extend(some);
        }
        assert_eq!(rest, strangers);
    }

    #[test]
    fn lines_that_bring_nothing_take_a_bounded_part_of_a_round() {
        let mut turns = Turns::default();
        keys(4000).into_iter().for_each(|key| turns.push(key, false));
        let bytes = 16 << 10;
        let visited = round(&mut turns, |_| (0, bytes, false));
        assert_eq!(visited.len(), limits::OTHERS_BYTES_PER_ROUND_MAX.div_ceil(bytes));
        let visited = round(&mut turns, |_| (0, 1, false));
        assert_eq!(visited.len(), limits::OTHERS_PER_ROUND_MAX);
    }

    #[test]
    fn a_round_that_the_first_line_fills_has_room_for_newcomers_shares() {
        let keys = keys(40);
        let mut turns = Turns::default();
        keys.iter().enumerate().for_each(|(n, key)| turns.push(*key, n < 20));
        let each = limits::CANDIDATES_PER_VISIT_MAX;
        let visited = round(&mut turns, |_| (each, 1000, false));
        let proven = limits::CANDIDATES_PER_ROUND_MAX / each;
        assert_eq!(visited[..proven], keys[..proven]);
        let others = limits::OTHERS_CANDIDATES_PER_ROUND / each;
        assert_eq!(visited[proven..], keys[20..20 + others]);
    }

    #[test]
    fn alone_newcomers_have_the_whole_round_and_nobody_comes_twice() {
        let keys = keys(40);
        let mut turns = Turns::default();
        keys.iter().for_each(|key| turns.push(*key, false));
        let visited = round(&mut turns, |_| (8, 1000, false));
        assert_eq!(visited, keys[..limits::CANDIDATES_PER_ROUND_MAX / 8]);
        let mut turns = Turns::default();
        turns.push(keys[0], true);
        let mut left = turns.begin();
        assert_eq!(turns.next(0, &mut left), Some(keys[0]));
        turns.push(keys[0], true);
        assert_eq!(turns.next(1, &mut left), None, "what it has beyond waits for the next round");
        assert!(!turns.is_empty());
    }
}
