//! What holds for all sessions of a gateway.

use gruve_units::{Algorithm, Class, Duration};

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
}

impl SessionRules {
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
