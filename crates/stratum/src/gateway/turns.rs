//! Whose turn it is: those who have brought good work before those who have not (yet), and of the first
//! those who have a share to hand in before those who have heaps.
//!
//! Everybody can connect, and what he sends then costs the loop's thread something before anything is
//! known of him: a handshake of Noise or TLS a millisecond, a read of lines that bring nothing some
//! tenths of one. So strangers have a line of their own, which has a bounded part of each of these costs in
//! a round; whoever floods stands in it, with all who flood. A part it always has: a newcomer is
//! served in any case, and moves to another line with what it brings.
//!
//! Good work can flood, too: a share at the easiest class costs whoever makes it nothing. So who has
//! good standing has a light line, where a visit takes a few shares, and comes into the heavy one with
//! more than those, until it has had a visit there that found less. A single share waits for a few of each
//! other connection and not for sixty-four. What the heavy line takes in one turn of all who stand in it
//! is bounded, too, and it has a part of every round.
//!
//! Pure: no sockets, no clock.

use super::slab::Key;
use crate::limits;
use std::collections::VecDeque;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Most of what it has brought was good work, and its last visit found a few shares at the most.
    Light,
    /// The same, with more shares than those.
    Heavy,
    /// It has brought nothing, or mostly bad work.
    Other,
}

impl Standing {
    /// After a visit that took so many candidates.
    pub(super) fn after(is_proven: bool, taken: usize) -> Standing {
        match (is_proven, taken >= limits::LIGHT_CANDIDATES_PER_VISIT) {
            (false, _) => Standing::Other,
            (true, false) => Standing::Light,
            (true, true) => Standing::Heavy,
        }
    }
}

/// Those who are to be visited.
#[derive(Debug, Default)]
pub(super) struct Turns {
    light: VecDeque<Key>,
    heavy: VecDeque<Key>,
    others: VecDeque<Key>,
}

/// What one round may still do.
#[derive(Debug)]
pub(super) struct Allowance {
    /// Those who stood in line when it began: nobody has two visits in a round.
    light: usize,
    heavy: usize,
    others: usize,
    bytes: usize,
    handshakes: usize,
    /// Shares that a visit to the heavy line takes.
    heavy_each: usize,
    /// The line whose turn it is, and with how many candidates the round is full for it.
    line: Standing,
    full: usize,
}

impl Turns {
    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.light.is_empty() && self.heavy.is_empty() && self.others.is_empty()
    }

    /// One more, behind all of its line.
    pub(super) fn push(&mut self, key: Key, standing: Standing) {
        let line = match standing {
            Standing::Light => &mut self.light,
            Standing::Heavy => &mut self.heavy,
            Standing::Other => &mut self.others,
        };
        line.push_back(key);
    }

    /// What a round that begins now may do.
    pub(super) fn begin(&self) -> Allowance {
        let heavy = self.heavy.len();
        let each = limits::HEAVY_CANDIDATES_PER_TURN / heavy.max(1);
        let most = limits::CANDIDATES_PER_VISIT_MAX;
        Allowance {
            light: self.light.len().min(limits::LIGHT_VISITS_PER_ROUND_MAX),
            heavy,
            others: self.others.len().min(limits::OTHERS_PER_ROUND_MAX),
            bytes: limits::OTHERS_BYTES_PER_ROUND_MAX,
            handshakes: limits::HANDSHAKES_PER_ROUND_MAX,
            heavy_each: each.clamp(limits::HEAVY_CANDIDATES_PER_VISIT_MIN, most),
            line: Standing::Light,
            full: limits::CANDIDATES_PER_ROUND_MAX,
        }
    }

    /// The next in turn, when a round has so many candidates already, and how many its visit may add;
    /// `None` when the round is to end.
    pub(super) fn next(&mut self, candidates: usize, left: &mut Allowance) -> Option<(Key, usize)> {
        if left.line == Standing::Light {
            if left.light > 0 && candidates < left.full {
                left.light -= 1;
                if let Some(key) = self.light.pop_front() {
                    return Some((key, limits::LIGHT_CANDIDATES_PER_VISIT));
                }
            }
            // Where more of the light line wait it has its own part and no more.
            let most = if self.light.is_empty() { limits::CANDIDATES_PER_ROUND_MAX } else { 0 };
            left.go_to(Standing::Heavy, most, candidates, limits::HEAVY_CANDIDATES_PER_ROUND);
        }
        if left.line == Standing::Heavy {
            if left.heavy > 0 && candidates < left.full {
                left.heavy -= 1;
                if let Some(key) = self.heavy.pop_front() {
                    return Some((key, left.heavy_each));
                }
            }
            let most = limits::CANDIDATES_PER_ROUND_MAX;
            left.go_to(Standing::Other, most, candidates, limits::OTHERS_CANDIDATES_PER_ROUND);
        }
        let may =
            left.others > 0 && left.bytes > 0 && left.handshakes > 0 && candidates < left.full;
        left.others = left.others.saturating_sub(1);
        let key = if may { self.others.pop_front() } else { None };
        key.map(|key| (key, limits::CANDIDATES_PER_VISIT_MAX))
    }
}

impl Allowance {
    /// The turn of another line, until the round has `most` candidates: it has room of its own even where those before it
    /// have filled the round.
    fn go_to(&mut self, line: Standing, most: usize, candidates: usize, own: usize) {
        self.line = line;
        self.full = most.max(candidates.saturating_add(own));
    }

    /// A visit has cost so much.
    pub(super) fn spend(&mut self, bytes: usize, is_handshake: bool) {
        if self.line == Standing::Other {
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
        while let Some((key, _)) = turns.next(candidates, &mut left) {
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
        strangers.iter().for_each(|key| turns.push(*key, Standing::Other));
        turns.push(*honest, Standing::Light);
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
        keys(4000).into_iter().for_each(|key| turns.push(key, Standing::Other));
        let bytes = 16 << 10;
        let visited = round(&mut turns, |_| (0, bytes, false));
        assert_eq!(visited.len(), limits::OTHERS_BYTES_PER_ROUND_MAX.div_ceil(bytes));
        let visited = round(&mut turns, |_| (0, 1, false));
        assert_eq!(visited.len(), limits::OTHERS_PER_ROUND_MAX);
    }

    #[test]
    fn a_round_that_the_lines_before_fill_has_room_for_newcomers_shares() {
        let keys = keys(40);
        let mut turns = Turns::default();
        let of = |n| if n < 20 { Standing::Heavy } else { Standing::Other };
        keys.iter().enumerate().for_each(|(n, key)| turns.push(*key, of(n)));
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
        keys.iter().for_each(|key| turns.push(*key, Standing::Other));
        let visited = round(&mut turns, |_| (8, 1000, false));
        assert_eq!(visited, keys[..limits::CANDIDATES_PER_ROUND_MAX / 8]);
        let mut turns = Turns::default();
        turns.push(keys[0], Standing::Light);
        let mut left = turns.begin();
        assert_eq!(turns.next(0, &mut left), Some((keys[0], limits::LIGHT_CANDIDATES_PER_VISIT)));
        turns.push(keys[0], Standing::Light);
        assert_eq!(turns.next(1, &mut left), None, "what it has beyond waits for the next round");
        assert!(!turns.is_empty());
    }

    /// Connections in good standing, each with more shares to hand in at every moment, and what it
    /// makes of a visit; an honest one comes with a single share when all stand in line. Gives how
    /// many shares are taken before its own, and the most of a round.
    fn wait_beside(
        count: usize,
        has: impl Fn(usize) -> usize,
        rounds_before: usize,
    ) -> (usize, usize) {
        let keys = keys(count + 1);
        let (honest, flood) = keys.split_last().unwrap();
        let mut turns = Turns::default();
        let mut visits = vec![0; count];
        flood.iter().for_each(|key| turns.push(*key, Standing::Light));
        let (mut before, mut most) = (0, 0);
        for number in 0.. {
            if number == rounds_before {
                turns.push(*honest, Standing::Light);
            }
            let (mut left, mut candidates) = (turns.begin(), 0);
            while let Some((key, each)) = turns.next(candidates, &mut left) {
                if key == *honest {
                    return (before + candidates, most);
                }
                let n = flood.iter().position(|k| *k == key).unwrap();
                let taken = each.min(has(visits[n]));
                visits[n] += 1;
                candidates += taken;
                let standing = Standing::after(true, taken);
                turns.push(key, standing);
            }
            most = most.max(candidates);
            before += if number >= rounds_before { candidates } else { 0 };
        }
        unreachable!()
    }

    #[test]
    fn a_share_waits_for_a_few_of_each_flood_of_valid_shares_and_not_for_all_they_have() {
        let light = limits::LIGHT_CANDIDATES_PER_VISIT;
        let all = limits::CANDIDATES_PER_ROUND_MAX
            + limits::HEAVY_CANDIDATES_PER_ROUND
            + limits::OTHERS_CANDIDATES_PER_ROUND;
        // Heaps, always, when most have not had their first visit yet.
        let (before, most) = wait_beside(4000, |_| usize::MAX, 10);
        assert!(before <= 4000 * light * 5 / 4, "a fifth is the heavy line's: {before}");
        assert!(most <= all + limits::CANDIDATES_PER_VISIT_MAX, "{most}");
        let (settled, _) = wait_beside(1000, |_| usize::MAX, 100);
        assert!(settled <= all, "they stand in the heavy line: {settled}");
        // As many as go without standing there, and heaps in every second visit.
        let (before, _) = wait_beside(1000, |_| light - 1, 100);
        assert!(before <= 1000 * light, "{before}");
        let (before, _) = wait_beside(1000, |visit| if visit % 2 == 0 { 64 } else { 1 }, 100);
        assert!(before <= 1000 * light * 5 / 4, "{before}");
    }

    #[test]
    fn who_has_heaps_is_served_in_every_round_beside_thousands_with_a_share_each() {
        let keys = keys(2001);
        let (proxy, miners) = keys.split_last().unwrap();
        let mut turns = Turns::default();
        miners.iter().for_each(|key| turns.push(*key, Standing::Light));
        turns.push(*proxy, Standing::Heavy);
        let light = limits::LIGHT_VISITS_PER_ROUND_MAX;
        let visited = round(&mut turns, |key| (if key == *proxy { 64 } else { 1 }, 100, false));
        assert_eq!(visited.len(), light + 1);
        assert_eq!(visited.last(), Some(proxy));
        // And whoever stands in the light line in that many rounds.
        turns.push(*proxy, Standing::Heavy);
        let again = round(&mut turns, |_| (1, 100, false));
        assert_eq!(again[..light], miners[light..2 * light]);
    }

    #[test]
    fn what_the_heavy_line_takes_in_one_turn_is_bounded() {
        let each_of = |count| {
            let mut turns = Turns::default();
            keys(count).into_iter().for_each(|key| turns.push(key, Standing::Heavy));
            let mut left = turns.begin();
            turns.next(0, &mut left).unwrap().1
        };
        assert_eq!(each_of(1), limits::CANDIDATES_PER_VISIT_MAX);
        assert_eq!(each_of(100), limits::HEAVY_CANDIDATES_PER_TURN / 100);
        assert_eq!(each_of(4000), limits::HEAVY_CANDIDATES_PER_VISIT_MIN);
    }
}
