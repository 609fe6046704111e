//! How the following of a chain stands: what pages, metrics and settlements ask.

use crate::BlockRef;

/// How the following of a chain stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ChainStanding {
    /// The node has not been asked yet: whether what is stored still holds is not known.
    #[default]
    Starting,
    /// The sink has the node's chain, or is being brought there.
    Following {
        /// The sink's newest block; `None` while it has none.
        at: Option<BlockRef>,
    },
    /// The node or the database does not do what is asked; it is tried again.
    Failing {
        /// Why, in words.
        why: String,
    },
    /// The node's chain cannot be followed. Nothing is taken back and nothing matures; what the
    /// sink has may not be on the best chain any more. It is looked at again now and then, for the
    /// cause may be a node that can be mended.
    Halted {
        /// Why, in words.
        why: String,
    },
}

impl ChainStanding {
    /// A word for pages and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            ChainStanding::Starting => "starting",
            ChainStanding::Following { .. } => "following",
            ChainStanding::Failing { .. } => "failing",
            ChainStanding::Halted { .. } => "halted",
        }
    }

    /// Whether what the chain has matured may be settled: what the sink has was found on the
    /// node's chain, and nothing since says otherwise.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        matches!(self, ChainStanding::Following { .. } | ChainStanding::Failing { .. })
    }

    /// The sink's newest block, where it is known to be on the node's chain.
    #[must_use]
    pub const fn at(&self) -> Option<BlockRef> {
        match self {
            ChainStanding::Following { at } => *at,
            _ => None,
        }
    }

    /// What is wrong, in words.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        match self {
            ChainStanding::Starting | ChainStanding::Following { .. } => None,
            ChainStanding::Failing { why } | ChainStanding::Halted { why } => Some(why),
        }
    }
}
