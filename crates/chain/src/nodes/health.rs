//! How one node of several stands, and which of them is asked: pure.

use crate::{ChainInfo, NodeError};
use gruve_units::Duration;

/// A node this many blocks behind the highest that any of them has shown is not asked for
/// templates: work on so old a block is for nothing. One or two are a matter of seconds.
pub const BEHIND_MAX: u64 = 3;

/// What a node is fit for, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It is of another chain or network, or refuses us: it is never used.
    Unusable,
    /// No answer, or not asked yet.
    Down,
    /// It still downloads the chain.
    Downloading,
    /// More than [`BEHIND_MAX`] blocks behind another node of ours.
    Behind,
    /// Fit for everything.
    Ready,
}

impl Standing {
    /// A word for logs, pages and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Standing::Unusable => "unusable",
            Standing::Down => "down",
            Standing::Downloading => "downloading",
            Standing::Behind => "behind",
            Standing::Ready => "ready",
        }
    }
}

/// How one node stands: for pages, metrics and the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeHealth {
    /// Host and port, as configured; never a password.
    pub name: String,
    /// What it is fit for.
    pub standing: Standing,
    /// Whether templates come from it now.
    pub is_chosen: bool,
    /// Height of its best block, as last heard.
    pub height: Option<u64>,
    /// Height of the best header it knows.
    pub headers: Option<u64>,
    /// Connected peers.
    pub peers: Option<u64>,
    /// How long ago it gave its last template.
    pub template_age: Option<Duration>,
    /// Looks that failed since the last good one.
    pub failures: u32,
    /// Why it is not ready, in words.
    pub problem: Option<String>,
}

/// What was last heard of a node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// Its chain was found to be ours, and it answered when last asked.
    pub(crate) is_up: bool,
    /// It can never be used as it is.
    pub(crate) is_unusable: bool,
    pub(crate) is_downloading: bool,
    pub(crate) height: Option<u64>,
    pub(crate) headers: Option<u64>,
    pub(crate) peers: Option<u64>,
    pub(crate) failures: u32,
    pub(crate) problem: Option<String>,
}

impl Heard {
    pub(crate) fn info(&mut self, info: &ChainInfo) {
        *self = Heard {
            is_up: true,
            is_unusable: false,
            is_downloading: info.ibd,
            height: Some(info.blocks),
            headers: Some(info.headers),
            peers: Some(info.peers),
            failures: 0,
            problem: None,
        };
    }

    pub(crate) fn failure(&mut self, error: &NodeError) {
        self.is_up = false;
        self.is_unusable = matches!(
            error,
            NodeError::WrongChain { .. }
                | NodeError::PaysElsewhere { .. }
                | NodeError::Unauthorised { .. }
        );
        self.failures = self.failures.saturating_add(1);
        self.problem = Some(error.to_string());
    }

    /// What it is fit for when the highest block that any node has shown is `highest`.
    pub(crate) fn standing(&self, highest: u64) -> Standing {
        if self.is_unusable {
            Standing::Unusable
        } else if !self.is_up {
            Standing::Down
        } else if self.is_downloading {
            Standing::Downloading
        } else if self.height.unwrap_or(0).saturating_add(BEHIND_MAX) < highest {
            Standing::Behind
        } else {
            Standing::Ready
        }
    }
}

/// The highest block that any of them has shown, those that are down included: a node that stays
/// behind one that died is behind all the same.
pub(crate) fn highest(all: &[Heard]) -> u64 {
    all.iter().filter(|h| !h.is_unusable).filter_map(|h| h.height).max().unwrap_or(0)
}

/// Which node is asked: the fittest, then the highest, then one with peers. The present one is kept
/// while none is better, so that equals do not take turns; otherwise the first in the configuration.
pub(crate) fn choose(all: &[Heard], present: usize) -> usize {
    let highest = highest(all);
    let rank = |at: usize| {
        let heard = &all[at];
        (heard.standing(highest), heard.height, heard.peers.is_some_and(|p| p > 0))
    };
    let mut best = present.min(all.len().saturating_sub(1));
    for at in 0..all.len() {
        if rank(at) > rank(best) {
            best = at;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(height: u64) -> Heard {
        Heard { is_up: true, height: Some(height), peers: Some(8), ..Heard::default() }
    }

    #[test]
    fn equals_do_not_take_turns_and_a_higher_one_is_chosen() {
        assert_eq!(choose(&[up(10), up(10)], 0), 0);
        assert_eq!(choose(&[up(10), up(10)], 1), 1);
        assert_eq!(choose(&[up(10), up(11)], 0), 1);
    }

    #[test]
    fn a_node_that_downloads_is_down_or_is_of_another_chain_is_not_chosen_beside_a_good_one() {
        let good = up(10);
        let downloading = Heard { is_downloading: true, ..up(90) };
        let down = Heard { is_up: false, ..up(10) };
        let foreign = Heard { is_unusable: true, ..up(900_000) };
        for bad in [downloading, down, foreign] {
            assert_eq!(choose(&[bad.clone(), good.clone()], 0), 1, "{bad:?}");
        }
        let lonely = Heard { peers: Some(0), ..up(10) };
        assert_eq!(choose(&[lonely, good], 0), 1, "without peers it hears of nothing");
    }

    #[test]
    fn a_node_far_behind_one_that_died_is_behind_and_still_the_best_there_is() {
        let dead = Heard { is_up: false, ..up(100) };
        let all = [dead, up(90)];
        assert_eq!(choose(&all, 0), 1);
        assert_eq!(all[1].standing(highest(&all)), Standing::Behind);
        let all = [all[0].clone(), up(97)];
        assert_eq!(all[1].standing(highest(&all)), Standing::Ready);
    }

    #[test]
    fn heights_of_another_chain_put_nobody_behind() {
        let foreign = Heard { is_unusable: true, ..up(900_000) };
        assert_eq!(highest(&[foreign, up(10)]), 10);
    }
}
