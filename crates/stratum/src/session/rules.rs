//! What holds for all sessions of a gateway.

use crate::agents::AgentRule;
use crate::limits;
use crate::places::ChannelPlaces;
use crate::prefixes::Prefixes;
use crate::seen::SeenBudget;
use gruve_units::{Algorithm, Class, Duration};
use std::sync::Arc;

/// A gateway's rules for its sessions.
#[derive(Clone, Debug)]
pub struct SessionRules {
    /// What is hashed.
    pub algorithm: Algorithm,
    /// The easiest and the hardest class given out (the hardest is bounded by the network too).
    pub class_range: (Class, Class),
    /// The class a session begins at when the miner suggests none.
    pub start_class: Class,
    /// How often a session should send a share.
    pub share_interval: Duration,
    /// Version bits that miners may roll (BIP 310); zero for none.
    pub version_mask: u32,
    /// From connecting to the first login.
    pub handshake_max: Duration,
    /// Silence before closing.
    pub idle_max: Duration,
    /// What all sessions together may remember of shares.
    pub seen: Arc<SeenBudget>,
    /// What the operator knows of miners by their names, before [`crate::agents::KNOWN`].
    pub agents: Arc<[AgentRule]>,
    /// The beginnings of extranonces: each belongs to one living connection or channel.
    pub prefixes: Arc<Prefixes>,
    /// Places for V2 channels.
    pub channels: Arc<ChannelPlaces>,
}

impl SessionRules {
    /// Usual rules: a share in five seconds, the algorithm's version mask, the bounds of
    /// [`limits`].
    #[must_use]
    pub fn new(
        algorithm: Algorithm,
        class_range: (Class, Class),
        start_class: Class,
    ) -> SessionRules {
        SessionRules {
            algorithm,
            class_range,
            start_class,
            share_interval: Duration::from_secs(5),
            version_mask: SessionRules::default_version_mask(algorithm),
            handshake_max: limits::HANDSHAKE_MAX,
            idle_max: limits::IDLE_MAX,
            seen: Arc::default(),
            agents: Arc::default(),
            prefixes: Arc::default(),
            channels: Arc::default(),
        }
    }

    /// The version bits that may be rolled by default: BIP 320's for SHA-256d; none for scrypt,
    /// because merge-mined chains give these bits a meaning.
    #[must_use]
    pub const fn default_version_mask(algorithm: Algorithm) -> u32 {
        match algorithm {
            Algorithm::Sha256d => 0x1fff_e000,
            _ => 0,
        }
    }
}
