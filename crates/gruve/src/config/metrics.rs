//! `[metrics]`: where the operator's own metrics are.

use super::Fault;
use serde::Deserialize;
use std::net::SocketAddr;

/// A token that is shorter could be guessed.
const TOKEN_CHARS_MIN: usize = 16;

/// `[metrics]`
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Address of `/metrics` with the house's single machines in it; the dashboards' address then has
    /// none.
    pub listen: Option<SocketAddr>,
    /// What readers must send as `Authorization: Bearer …`; needed unless `listen` is on loopback.
    pub token: Option<String>,
}

impl std::fmt::Debug for MetricsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricsConfig").field("listen", &self.listen).finish_non_exhaustive()
    }
}

impl MetricsConfig {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let fault = |place: &str, what: &str| Fault { place: place.into(), what: what.into() };
        match (&self.listen, &self.token) {
            (None, Some(_)) => {
                vec![fault("metrics.token", "set metrics.listen too, or leave it out")]
            }
            (_, Some(token)) if token.chars().count() < TOKEN_CHARS_MIN => {
                vec![fault("metrics.token", "write at least 16 characters")]
            }
            (Some(listen), None) if !listen.ip().is_loopback() => {
                let what =
                    "machines' names are told there: set metrics.token, or listen on loopback";
                vec![fault("metrics.listen", what)]
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Vec<String> {
        let config: MetricsConfig = toml::from_str(text).unwrap();
        config.faults().into_iter().map(|f| f.place).collect()
    }

    #[test]
    fn machines_names_are_told_on_loopback_or_for_a_token() {
        assert!(places("").is_empty());
        assert!(places("listen = \"127.0.0.1:9100\"").is_empty());
        assert!(places("listen = \"[::1]:9100\"").is_empty());
        let token = "token = \"0123456789abcdef\"\n";
        assert!(places(&format!("{token}listen = \"0.0.0.0:9100\"")).is_empty());
        assert_eq!(places("listen = \"0.0.0.0:9100\""), ["metrics.listen"]);
        assert_eq!(places("token = \"x\"\nlisten = \"127.0.0.1:1\""), ["metrics.token"]);
        assert_eq!(places(token), ["metrics.token"]);
    }

    #[test]
    fn the_token_is_not_shown() {
        let config: MetricsConfig =
            toml::from_str("listen = \"127.0.0.1:1\"\ntoken = \"0123456789abcdef\"").unwrap();
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
    }
}
