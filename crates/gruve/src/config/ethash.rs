//! `[lane.ethash]`: what a lane of the Ethash family needs beside its node.

use super::{LaneConfig, NetworkConfig, Span};
use gruve_units::{Algorithm, Duration};
use serde::Deserialize;

/// `[lane.ethash]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EthashConfig {
    /// Holds the whole dataset of the epoch in memory, in at most so many bytes: verification is then
    /// several hundred times as fast. Without it the epoch's cache is used.
    pub dataset_bytes_max: Option<u64>,
    /// Threads that make the dataset; all cores but one if unset.
    pub dataset_threads: Option<usize>,
    /// How often the node is asked for work; 250 ms if unset.
    pub poll: Option<Span>,
    /// Whether the node is to put this house's stamp into its blocks' `extraData`, by which their work is proven; yes if
    /// unset. What a node does not let be set stays as it is, and its work is unproven.
    pub stamp: Option<bool>,
    /// The chain's name, as customers see it. This and what follows describe a chain of one's own: they
    /// may be written where the network is `regtest` or `dev`.
    pub name: Option<String>,
    /// The chain's number (EIP-155).
    pub chain_id: Option<u64>,
    /// `ethash` (epochs of 30,000 blocks) or `etchash` (of 60,000).
    pub algorithm: Option<Algorithm>,
    /// The first block of Etchash, where the chain began with Ethash.
    pub etchash_from: Option<u64>,
    /// What a block of the first era pays, in wei (a text, for it is a large number).
    pub block_reward_wei: Option<String>,
    /// Blocks of an era, after which blocks pay a fifth less (ECIP-1017); without it they always pay
    /// the same.
    pub era_blocks: Option<u64>,
}

/// Threads at most: more than any machine's cores, fewer than would hurt it.
const THREADS_MAX: usize = 1024;
/// The node is not asked more often than this: it makes a block's header each time.
const POLL_MIN: Duration = Duration::from_millis(50);
/// Nor less often: a block is thirteen seconds.
const POLL_MAX: Duration = Duration::from_secs(10);

/// A signature carries twice the chain's number and 35 or 36 (EIP-155, EIP-2294), which must be a `u64`: a larger
/// number would make payouts that no node takes.
pub(super) const CHAIN_ID_MAX: u64 = u64::MAX / 2 - 36;

impl EthashConfig {
    fn describes_a_chain(&self) -> bool {
        self.name.is_some()
            || self.chain_id.is_some()
            || self.algorithm.is_some()
            || self.etchash_from.is_some()
            || self.block_reward_wei.is_some()
            || self.era_blocks.is_some()
    }

    /// Wei of a block of the first era, if the configuration says it.
    ///
    /// # Errors
    /// When it is no number of wei.
    pub fn reward_wei(&self) -> Result<Option<u128>, &'static str> {
        let Some(text) = &self.block_reward_wei else { return Ok(None) };
        // Above a billion coins a block no sum of rewards would fit.
        let wei = text.parse::<u128>().ok().filter(|wei| (1..=10_u128.pow(27)).contains(wei));
        wei.map(Some).ok_or("write a number of wei above zero, as \"2000000000000000000\"")
    }

    /// What is wrong with it, by key.
    pub(super) fn faults(&self, lane: &LaneConfig, mut fault: impl FnMut(&str, &str)) {
        if !(1..=THREADS_MAX).contains(&self.dataset_threads.unwrap_or(1)) {
            fault("dataset_threads", "write 1 to 1024");
        }
        if !(POLL_MIN..=POLL_MAX).contains(&self.poll.map_or(POLL_MIN, |span| span.0)) {
            fault("poll", "write 50ms to 10s");
        }
        let is_own = matches!(lane.network, NetworkConfig::Regtest | NetworkConfig::Dev);
        if self.describes_a_chain() && !is_own {
            let what = "this network's rules are known: leave out name, chain_id, algorithm, \
                        etchash_from, block_reward_wei and era_blocks, or set network = \"regtest\" \
                        for a chain of your own";
            fault("name", what);
        }
        if !(1..=CHAIN_ID_MAX).contains(&self.chain_id.unwrap_or(1)) {
            fault("chain_id", "write the chain's number: 1 to 9223372036854775771");
        }
        if self.name.as_ref().is_some_and(|n| n.is_empty() || n.len() > 60) {
            fault("name", "write 1 to 60 characters");
        }
        match (self.algorithm, self.etchash_from) {
            (Some(Algorithm::Sha256d | Algorithm::Scrypt), _) => {
                fault("algorithm", "write ethash or etchash");
            }
            (Some(Algorithm::Ethash), Some(_)) => {
                fault("etchash_from", "only with algorithm = \"etchash\"");
            }
            _ => {}
        }
        if let Err(what) = self.reward_wei() {
            fault("block_reward_wei", what);
        }
        if self.era_blocks == Some(0) {
            fault("era_blocks", "write at least 1, or leave it out: blocks always pay the same");
        }
        if self.era_blocks.is_some() && self.block_reward_wei.is_none() {
            fault("era_blocks", "write block_reward_wei, too");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, SAMPLE};
    use std::path::Path;

    const LANE: &str = r#"
[[lane]]
id = "etc"
asset = "ETC"
network = "NETWORK"
confirmations = 3000

[lane.node]
url = "http://127.0.0.1:8545"

[lane.ethash]
KEYS

[lane.stratum]
listen = "0.0.0.0:3337"

"#;

    fn with(network: &str, keys: &str) -> Result<Config, Vec<String>> {
        let next = SAMPLE.find("# Offers to customers").unwrap();
        let lane = LANE.replace("NETWORK", network).replace("KEYS", keys);
        let text = [&SAMPLE[..next], &lane, &SAMPLE[next..]].concat();
        let told =
            |faults: Vec<crate::config::Fault>| faults.iter().map(ToString::to_string).collect();
        Config::parse(&text, Path::new("/base")).map_err(told)
    }

    #[test]
    fn a_lane_of_a_known_chain_needs_its_node_only() {
        let config = with("mainnet", "").unwrap();
        crate::house::check(&config).unwrap();
        let config =
            with("mainnet", "dataset_threads = 2\ndataset_bytes_max = 6000000000").unwrap();
        let lane = config.lanes.iter().find(|l| l.id.as_str() == "etc").unwrap();
        assert_eq!(lane.ethash.dataset_threads, Some(2));
    }

    /// The sample with its commented lane's tables and keys; for a chain of one's own with those in it that
    /// are commented once more.
    fn with_the_samples_lane(is_own: bool) -> String {
        let from = SAMPLE.find("# [[lane]]\n# id = \"etc\"").unwrap();
        let next = SAMPLE.find("# Offers to customers").unwrap();
        let is_key = |line: &&str| {
            let name = line.split(" = ").next().unwrap_or_default();
            line.starts_with('[')
                || line.contains(" = ") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        let bare = |line: &'static str| {
            let line = line.strip_prefix("# ").unwrap_or(line);
            if is_own { line.strip_prefix("# ").unwrap_or(line) } else { line }
        };
        let lane: Vec<&str> = SAMPLE[from..next].lines().map(bare).filter(is_key).collect();
        let lane = lane.join("\n");
        let lane = if is_own { lane.replace("\"mainnet\"", "\"regtest\"") } else { lane };
        [&SAMPLE[..from], &lane, "\n\n", &SAMPLE[next..]].concat()
    }

    #[test]
    fn the_samples_lane_is_good_without_its_comment_signs() {
        for is_own in [false, true] {
            let text = with_the_samples_lane(is_own);
            let config = Config::parse(&text, Path::new("/base"));
            let config = config.unwrap_or_else(|faults| panic!("{faults:?}\n{text}"));
            crate::house::check(&config).unwrap();
            let lane = config.lanes.iter().find(|l| l.id.as_str() == "etc").unwrap();
            assert_eq!(lane.ethash.name.is_some(), is_own);
            assert_eq!(lane.confirmations, Some(3_000));
        }
    }

    #[test]
    fn another_chain_is_described_by_its_rules() {
        let keys = "name = \"Ours\"\nchain_id = 77\nalgorithm = \"ethash\"\n\
                    block_reward_wei = \"2000000000000000000\"";
        let config = with("regtest", keys).unwrap();
        let lane = config.lanes.iter().find(|l| l.id.as_str() == "etc").unwrap();
        let params = crate::house::chain_params(lane).unwrap();
        assert_eq!((params.chain_id(), params.etchash_from), (Some(77), None));
        let rule = params.eras().unwrap();
        assert_eq!((rule.first.to::<u128>(), rule.era_blocks), (2 * 10_u128.pow(18), None));
    }

    #[test]
    fn what_is_wrong_with_an_ethash_lane_is_told_with_its_place() {
        for (network, keys, place) in [
            ("mainnet", "chain_id = 7", "lane[2].ethash.name"),
            ("regtest", "chain_id = 0", "lane[2].ethash.chain_id"),
            ("regtest", "chain_id = 9223372036854775772", "lane[2].ethash.chain_id"),
            ("regtest", "algorithm = \"scrypt\"", "lane[2].ethash.algorithm"),
            ("dev", "algorithm = \"ethash\"\netchash_from = 9", "lane[2].ethash.etchash_from"),
            ("dev", "block_reward_wei = \"-1\"", "lane[2].ethash.block_reward_wei"),
            ("dev", "era_blocks = 5", "lane[2].ethash.era_blocks"),
            ("mainnet", "dataset_threads = 0", "lane[2].ethash.dataset_threads"),
            ("mainnet", "poll = \"1ms\"", "lane[2].ethash.poll"),
        ] {
            let found = with(network, keys).unwrap_err();
            assert!(found.len() == 1 && found[0].starts_with(place), "{keys}: {found:?}");
        }
    }
}
