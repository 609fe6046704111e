//! Whose turn it is in the pool: who mines, newcomers, all others; in each of these lines address by address.
//!
//! | line | who stands in it | has |
//! |---|---|---|
//! | first | who has brought more good than bad; the first shares of machines that are known ([`super::super::known`]) | three turns of four, and goes between the hashes of the others' |
//! | newcomers | the first hashes of a connection of which nothing is known | every second turn of what is left |
//! | others | who has brought bad work, and what a newcomer's first turn left over | the rest |
//!
//! What one line does not use the others have. So who sends worthless shares keeps a newcomer waiting for one turn of all who
//! do so, and who mines for none; to stand with the newcomers again he has to connect and log in again. Where the program is
//! about to leave, the first line goes before all others.
//!
//! Pure: no threads, no clock.

use super::Parcel;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// Of so many turns one is for those who have not brought good work.
pub(super) const TURNS_FOR_ONE_OF_OTHERS: u8 = 4;

/// Which line a parcel stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    First,
    Newcomer,
    Other,
}

impl Rank {
    fn of(parcel: &Parcel) -> Rank {
        if parcel.is_proven || parcel.trust.is_some() {
            Rank::First
        } else if parcel.is_new && parcel.solved.is_empty() {
            Rank::Newcomer
        } else {
            Rank::Other
        }
    }
}

/// Parcels, address by address in turn.
#[derive(Default)]
struct Line {
    order: VecDeque<Option<IpAddr>>,
    /// Those of each address in the order; none is empty.
    of: HashMap<Option<IpAddr>, VecDeque<Parcel>>,
}

impl Line {
    fn push(&mut self, parcel: Parcel) {
        let from = parcel.from;
        let own = self.of.entry(from).or_default();
        if own.is_empty() {
            self.order.push_back(from);
        }
        own.push_back(parcel);
    }

    fn pop(&mut self) -> Option<Parcel> {
        let from = self.order.pop_front()?;
        let own = self.of.get_mut(&from)?;
        let parcel = own.pop_front();
        if own.is_empty() {
            self.of.remove(&from);
        } else {
            self.order.push_back(from);
        }
        parcel
    }

    fn all(&self) -> impl Iterator<Item = &Parcel> {
        self.of.values().flatten()
    }
}

/// All who wait.
#[derive(Default)]
pub(super) struct Queue {
    first: Line,
    newcomers: Line,
    others: Line,
    /// Turns since one was not of the first line.
    turns: u8,
    /// Of those that are not, the next is a newcomer's, where one waits.
    is_newcomers: bool,
    /// The first line goes before all others, whenever it comes.
    is_hurried: bool,
    pub(super) is_stopped: bool,
}

impl Queue {
    fn line(&mut self, rank: Rank) -> &mut Line {
        match rank {
            Rank::First => &mut self.first,
            Rank::Newcomer => &mut self.newcomers,
            Rank::Other => &mut self.others,
        }
    }

    /// One more, behind all of its line. Where all is over nobody would take it out again: it is given back.
    pub(super) fn push(&mut self, parcel: Parcel) -> Option<Parcel> {
        if self.is_stopped {
            return Some(parcel);
        }
        self.line(Rank::of(&parcel)).push(parcel);
        None
    }

    /// The first parcel of the next turn, and whose turn it is.
    pub(super) fn pop(&mut self) -> Option<(Rank, Parcel)> {
        if let Some(parcel) = self.pop_between() {
            return Some((Rank::First, parcel));
        }
        self.turns = 0;
        let order = match self.is_newcomers {
            true => [Rank::Newcomer, Rank::Other, Rank::First],
            false => [Rank::Other, Rank::Newcomer, Rank::First],
        };
        let mut lines = order.into_iter();
        let (rank, parcel) = lines.find_map(|rank| Some((rank, self.line(rank).pop()?)))?;
        self.is_newcomers = rank != Rank::Newcomer;
        Some((rank, parcel))
    }

    /// One of the first line, where it is not the others' turn: also between the hashes of a turn of theirs that has begun.
    pub(super) fn pop_between(&mut self) -> Option<Parcel> {
        if self.turns + 1 >= TURNS_FOR_ONE_OF_OTHERS && !self.is_hurried {
            return None;
        }
        let parcel = self.first.pop()?;
        self.turns = self.turns.saturating_add(1);
        Some(parcel)
    }

    /// One more parcel of a turn.
    pub(super) fn pop_more(&mut self, rank: Rank) -> Option<Parcel> {
        self.line(rank).pop()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Parcel> {
        self.first.all().chain(self.newcomers.all()).chain(self.others.all())
    }

    /// Little time is left: who mines goes first.
    pub(super) fn hurry(&mut self) {
        self.is_hurried = true;
    }

    /// Gives all that wait, and takes no more.
    pub(super) fn stop(&mut self) -> Vec<Parcel> {
        let all = std::mem::replace(self, Queue { is_stopped: true, ..Queue::default() });
        let lines = [all.first, all.newcomers, all.others];
        lines.into_iter().flat_map(|line| line.of.into_values().flatten()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::parcel;
    use super::*;
    use crate::gateway::serving::tests::post;
    use crate::gateway::slab::Slab;
    use crate::gateway::solving::tests::candidates;
    use crate::protocol::Solved;

    /// A queue of parcels of one hash each, made so.
    fn queue(count: usize, make: impl Fn(usize, Parcel) -> Parcel) -> Queue {
        let (_poll, post, _commands) = post();
        let (mut keys, mut queue) = (Slab::new(), Queue::default());
        for n in 0..count {
            let parcel = parcel(keys.insert(()), &post, candidates(1));
            assert!(queue.push(make(n, parcel)).is_none());
        }
        queue
    }

    #[test]
    fn who_brings_good_work_waits_for_one_strangers_turn_in_four_and_strangers_have_theirs() {
        let mut queue = queue(109, |n, p| Parcel { is_proven: n >= 100, ..p });
        let order: Vec<bool> =
            std::iter::from_fn(|| queue.pop()).take(14).map(|(_, p)| p.is_proven).collect();
        let (yes, no) = (true, false);
        let expected = [yes, yes, yes, no, yes, yes, yes, no, yes, yes, yes, no, no, no];
        assert_eq!(order, expected);
        let (_, last) = queue.pop().unwrap();
        let waiting = queue.all().count();
        assert_eq!(queue.stop().len(), waiting, "what waits is given back");
        assert!(queue.push(last).is_some(), "and so is what comes later");
        assert_eq!(queue.all().count(), 0, "where all is over nothing is kept");
    }

    #[test]
    fn where_little_time_is_left_all_who_bring_good_work_go_before_any_stranger() {
        let mut queue = queue(20, |n, p| Parcel { is_proven: n >= 10, is_new: n % 2 == 0, ..p });
        queue.hurry();
        let order: Vec<bool> =
            std::iter::from_fn(|| queue.pop()).map(|(_, p)| p.is_proven).collect();
        assert_eq!(order, [[true; 10], [false; 10]].concat());
    }

    #[test]
    fn a_newcomers_first_share_waits_for_one_turn_of_all_who_bring_bad_work() {
        let mut queue = queue(103, |n, p| Parcel { is_new: n >= 100, ..p });
        let order: Vec<Rank> =
            std::iter::from_fn(|| queue.pop()).take(8).map(|(rank, _)| rank).collect();
        let (new, other) = (Rank::Newcomer, Rank::Other);
        assert_eq!(order, [other, new, other, new, other, new, other, other]);
    }

    #[test]
    fn what_a_newcomers_first_turn_leaves_over_waits_with_those_of_others() {
        let solved = vec![Solved::NOTHING];
        let make = |_, p| Parcel { is_new: true, solved: solved.clone(), ..p };
        let mut queue = queue(1, make);
        assert_eq!(queue.pop().map(|(rank, _)| rank), Some(Rank::Other));
    }

    #[test]
    fn three_go_between_the_hashes_of_one_strangers_turn_and_no_more() {
        let mut queue = queue(11, |n, p| Parcel { is_proven: n > 0, ..p });
        (0..3).for_each(|_| assert!(queue.pop().unwrap().1.is_proven));
        assert!(!queue.pop().unwrap().1.is_proven);
        assert_eq!(std::iter::from_fn(|| queue.pop_between()).count(), 3);
        assert_eq!(queue.pop().map(|(rank, _)| rank), Some(Rank::First), "nobody else waits");
    }

    /// At the easiest class good work costs next to nothing: thousands of connections may bring it.
    #[test]
    fn an_address_with_a_thousand_connections_has_one_turn_in_two_beside_another() {
        let (flood, honest) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let address = |n| if n < 1000 { flood } else { honest };
        let mut queue = queue(1003, |n, p| Parcel { from: Some(address(n)), ..p });
        let order: Vec<IpAddr> =
            std::iter::from_fn(|| queue.pop()).filter_map(|(_, p)| p.from).collect();
        assert_eq!(order[..8], [flood, honest, flood, honest, flood, honest, flood, flood]);
        assert_eq!(order.len(), 1003);
        assert!(queue.others.of.is_empty() && queue.others.order.is_empty(), "nothing is kept");
    }
}
