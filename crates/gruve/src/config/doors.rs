//! Where miners know a lane's ports to be, and what the operator knows of miners by their names.

use super::Fault;
use gruve_stratum::agents::AgentRule;
use serde::Deserialize;
use std::str::FromStr;

/// The longest host name there is (RFC 1035).
const HOST_BYTES_MAX: usize = 253;

/// `public`: the host and port under which miners reach a listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicDoor {
    /// A name or an address.
    pub host: String,
    /// Not zero.
    pub port: u16,
}

impl FromStr for PublicDoor {
    type Err = String;

    fn from_str(text: &str) -> Result<PublicDoor, String> {
        let not = || format!("{text:?} is not host:port: write it like mine.example:3333");
        let (host, port) = text.rsplit_once(':').ok_or_else(not)?;
        let port: u16 = port.parse().map_err(|_| not())?;
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let is_good = port > 0 && !host.is_empty() && host.len() <= HOST_BYTES_MAX;
        if !is_good || !host.chars().all(is_host) {
            return Err(not());
        }
        Ok(PublicDoor { host: host.to_owned(), port })
    }
}

impl TryFrom<String> for PublicDoor {
    type Error = String;

    fn try_from(text: String) -> Result<PublicDoor, String> {
        text.parse()
    }
}

/// `[[lane.stratum.agent]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentConfig {
    /// What the miners call themselves begins so.
    pub begins_with: String,
    /// The least difficulty they are given.
    pub difficulty_min: f64,
}

impl AgentConfig {
    /// For the gateway.
    #[must_use]
    pub fn rule(&self) -> AgentRule {
        AgentRule {
            begins_with: self.begins_with.clone().into(),
            algorithm: None,
            difficulty_min: self.difficulty_min,
            reason: "the operator's word".into(),
        }
    }

    /// What is wrong with it; `place` is its own.
    pub(super) fn faults(&self, place: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, what: &str| {
            faults.push(Fault { place: format!("{place}.{key}"), what: what.to_owned() });
        };
        if self.begins_with.is_empty() {
            fault("begins_with", "write how the miners' name begins: empty would mean all");
        }
        if !(self.difficulty_min.is_finite() && self.difficulty_min > 0.0) {
            fault("difficulty_min", "write a difficulty above 0");
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, SAMPLE};
    use std::path::Path;

    #[test]
    fn a_public_door_is_a_host_and_a_port_and_nothing_else() {
        let door: PublicDoor = "mine.example:3333".parse().unwrap();
        assert_eq!((door.host.as_str(), door.port), ("mine.example", 3333));
        for bad in [
            "",
            "mine.example",
            ":3333",
            "mine.example:0",
            "mine.example:70000",
            "a b:1",
            "a\"b:1",
            "http://a:1",
        ] {
            assert!(bad.parse::<PublicDoor>().is_err(), "{bad}");
        }
    }

    #[test]
    fn miners_names_and_public_doors_are_read_and_held_to_their_ranges() {
        let with = |agent: &str| {
            let own = "[lane.stratum]\npublic = \"mine.example:3333\"\n";
            let text = SAMPLE.replacen("[lane.stratum]\n", own, 1);
            let next = text.find("[[lane]]\nid = \"ltc\"").unwrap();
            let v2 =
                "[lane.stratum.v2]\nlisten = \"0.0.0.0:3336\"\nproxy_protocol = [\"10.0.0.0/8\"]\n";
            let text = [&text[..next], v2, agent, "\n", &text[next..]].concat();
            let told =
                |faults: Vec<Fault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>();
            Config::parse(&text, Path::new("/base")).map_err(told)
        };
        let good = "[[lane.stratum.agent]]\nbegins_with = \"nicehash/\"\ndifficulty_min = 1e6\n";
        let config = with(good).unwrap();
        let stratum = &config.lanes[0].stratum;
        assert_eq!(stratum.public.as_ref().unwrap().port, 3333);
        assert!((stratum.agents[0].rule().difficulty_min - 1e6).abs() < 1e-9);
        assert!(stratum.v2.as_ref().unwrap().proxy_protocol.is_some());
        for (from, to, place) in [
            ("1e6", "-1.0", "lane[0].stratum.agent[0].difficulty_min"),
            ("1e6", "nan", "lane[0].stratum.agent[0].difficulty_min"),
            ("nicehash/", "", "lane[0].stratum.agent[0].begins_with"),
        ] {
            let found = with(&good.replacen(from, to, 1)).unwrap_err();
            assert!(found.iter().any(|f| f.contains(place)), "{found:?}");
        }
    }
}
