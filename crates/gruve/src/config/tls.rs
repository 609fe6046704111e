//! `[lane.stratum.tls]`: encrypted Stratum V1, and whose certificate.

use super::{Fault, PublicDoor};
use gruve_stratum::proxy::Network;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `[lane.stratum.tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// Address machines connect to with TLS.
    pub listen: SocketAddr,
    /// The certificate chain, PEM. Without it one is made and kept in the data folder.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Its key, PEM.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// Host names and addresses for a certificate that is made.
    #[serde(default)]
    pub names: Vec<String>,
    /// Networks of the load balancers that connections come through.
    #[serde(default)]
    pub proxy_protocol: Option<Vec<Network>>,
    /// Where miners know it to be.
    #[serde(default)]
    pub public: Option<PublicDoor>,
}

impl TlsConfig {
    /// What is wrong with it; `place` is its own.
    pub(super) fn faults(&self, place: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, what: &str| {
            faults.push(Fault { place: format!("{place}.{key}"), what: what.to_owned() });
        };
        match (&self.certificate, &self.key) {
            (Some(_), None) => fault("key", "name the certificate's key file, too"),
            (None, Some(_)) => fault("certificate", "name the key's certificate file, too"),
            _ => {}
        }
        if self.certificate.is_some() && !self.names.is_empty() {
            fault("names", "only for a certificate that Gruve makes: leave it out");
        }
        if !proxies_are_told(self.proxy_protocol.as_deref()) {
            fault("proxy_protocol", NO_PROXIES);
        }
        faults
    }
}

/// What is wrong with an empty list.
pub(super) const NO_PROXIES: &str =
    "name the networks of your load balancers, or leave it out where miners connect themselves";

/// An empty list would let nobody in.
pub(super) fn proxies_are_told(networks: Option<&[Network]>) -> bool {
    networks.is_none_or(|n| !n.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, SAMPLE};
    use std::path::Path;

    const SECTION: &str = r#"
[lane.stratum.tls]
listen = "0.0.0.0:3443"
certificate = "c.pem"
key = "/k.pem"
proxy_protocol = ["10.64.0.0/10"]
"#;

    fn with(section: &str) -> Result<Config, Vec<String>> {
        let next = SAMPLE.find("[[lane]]\nid = \"ltc\"").unwrap();
        let text = [&SAMPLE[..next], section, "\n", &SAMPLE[next..]].concat();
        let told =
            |faults: Vec<crate::config::Fault>| faults.iter().map(ToString::to_string).collect();
        Config::parse(&text, Path::new("/base")).map_err(told)
    }

    #[test]
    fn encrypted_listeners_and_proxies_are_read() {
        let config = with(SECTION).unwrap();
        let tls = config.lanes[0].stratum.tls.as_ref().unwrap();
        assert_eq!(tls.certificate.as_deref(), Some(Path::new("/base/c.pem")));
        assert_eq!(tls.key.as_deref(), Some(Path::new("/k.pem")));
        assert!(tls.proxy_protocol.as_ref().unwrap()[0].contains("10.65.1.2".parse().unwrap()));
    }

    #[test]
    fn what_is_wrong_with_an_encrypted_listener_is_told_with_its_place() {
        for (from, to, place) in [
            ("key = \"/k.pem\"\n", "", "lane[0].stratum.tls.key"),
            ("certificate = \"c.pem\"\n", "", "lane[0].stratum.tls.certificate"),
            ("[\"10.64.0.0/10\"]", "[]", "lane[0].stratum.tls.proxy_protocol"),
            ("3443", "3333", "lane[0].stratum.tls.listen"),
            ("10.64.0.0/10", "10.64.0.1/10", "line "),
            ("key =", "names = [\"x\"]\nkey =", "lane[0].stratum.tls.names"),
        ] {
            let found = with(&SECTION.replacen(from, to, 1)).unwrap_err();
            assert!(found.len() == 1 && found[0].starts_with(place), "{from}: {found:?}");
        }
    }
}
