//! `[stripe]` and `[btcpay]`: services at which invoices may be paid.

use super::Fault;
use gruve_treasury::remote::PATIENCE;
use gruve_treasury::{BtcPayConfig, Secret, StripeConfig};
use gruve_units::Asset;
use serde::Deserialize;
use std::path::PathBuf;

/// `[stripe]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardConfig {
    /// The API's address.
    #[serde(default = "default_stripe")]
    pub url: String,
    /// The secret key.
    pub secret_key: Secret,
    /// The webhook's signing secret.
    pub webhook_secret: Secret,
    /// The one before, while it changes.
    #[serde(default)]
    pub webhook_secret_old: Option<Secret>,
    /// The currencies it is offered for.
    #[serde(default = "default_currencies")]
    pub assets: Vec<Asset>,
    /// Certificate authorities (PEM); the system's if not given.
    #[serde(default = "default_authorities")]
    pub authorities_file: PathBuf,
    /// Whether it is used.
    #[serde(default = "default_enabled")]
    pub enabled: bool,
}

/// `[btcpay]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoinServerConfig {
    /// The server's address.
    pub url: String,
    /// The store's id.
    pub store: String,
    /// The API key.
    pub api_key: Secret,
    /// The webhook's secret.
    pub webhook_secret: Secret,
    /// What it is offered for.
    #[serde(default = "default_currencies")]
    pub assets: Vec<Asset>,
    /// Certificate authorities (PEM); the system's if not given.
    #[serde(default = "default_authorities")]
    pub authorities_file: PathBuf,
    /// Whether it is used.
    #[serde(default = "default_enabled")]
    pub enabled: bool,
}

fn default_stripe() -> String {
    "https://api.stripe.com".to_owned()
}

fn default_currencies() -> Vec<Asset> {
    vec![Asset::Eur, Asset::Usd]
}

pub(super) fn default_authorities() -> PathBuf {
    PathBuf::from("/etc/ssl/certs/ca-certificates.crt")
}

const fn default_enabled() -> bool {
    true
}

impl CardConfig {
    /// As the treasury knows it; `origin` is the house's address as browsers see it.
    #[must_use]
    pub fn service(&self, origin: &str) -> StripeConfig {
        let secrets = std::iter::once(&self.webhook_secret).chain(&self.webhook_secret_old);
        StripeConfig {
            url: self.url.clone(),
            secret_key: self.secret_key.clone(),
            webhook_secrets: secrets.cloned().collect(),
            assets: self.assets.clone(),
            origin: origin.to_owned(),
            authorities: self.authorities_file.clone(),
            patience: PATIENCE,
        }
    }
}

impl CoinServerConfig {
    /// As the treasury knows it; `origin` is the house's address as browsers see it.
    #[must_use]
    pub fn service(&self, origin: &str) -> BtcPayConfig {
        BtcPayConfig {
            url: self.url.clone(),
            store: self.store.clone(),
            api_key: self.api_key.clone(),
            webhook_secret: self.webhook_secret.clone(),
            assets: self.assets.clone(),
            origin: origin.to_owned(),
            authorities: self.authorities_file.clone(),
            patience: PATIENCE,
        }
    }
}

/// What is wrong with them.
pub(super) fn faults(
    stripe: Option<&CardConfig>,
    btcpay: Option<&CoinServerConfig>,
    has_origin: bool,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |place: &str, what: &str| {
        faults.push(Fault { place: place.to_owned(), what: what.to_owned() });
    };
    let is_far = |url: &str| {
        let host = url.strip_prefix("http://").unwrap_or_default();
        !host.is_empty() && !["127.0.0.1", "localhost", "[::1]"].iter().any(|l| host.starts_with(l))
    };
    let places = [
        stripe.map(|s| ("stripe", &s.url, s.secret_key.is_empty() || s.webhook_secret.is_empty())),
        btcpay.map(|b| ("btcpay", &b.url, b.api_key.is_empty() || b.webhook_secret.is_empty())),
    ];
    for (name, url, lacks) in places.into_iter().flatten() {
        if !url.starts_with("https://") && !url.starts_with("http://") {
            fault(&format!("{name}.url"), "write https://…");
        } else if is_far(url) {
            fault(&format!("{name}.url"), "write https://…: keys are sent to it");
        }
        if lacks {
            fault(name, "keys and secrets must not be empty");
        }
        if !has_origin {
            fault("http.origin", "is needed where customers pay elsewhere and come back");
        }
    }
    if stripe.is_some_and(|s| !s.assets.iter().all(|a| a.is_fiat())) {
        fault("stripe.assets", "write EUR, USD or both");
    }
    faults
}
