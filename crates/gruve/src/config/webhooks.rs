//! `[webhooks]`: what customers' webhooks may reach.

use serde::Deserialize;
use std::path::PathBuf;

/// `[webhooks]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhooksConfig {
    /// Whether addresses in private networks, and http, are taken: for a house among friends.
    pub allow_private: bool,
    /// Certificate authorities (PEM) by which receivers are known.
    pub authorities_file: PathBuf,
}

impl Default for WebhooksConfig {
    fn default() -> WebhooksConfig {
        WebhooksConfig {
            allow_private: false,
            authorities_file: PathBuf::from("/etc/ssl/certs/ca-certificates.crt"),
        }
    }
}
