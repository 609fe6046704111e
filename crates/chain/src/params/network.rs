//! Which network of a coin.

use std::fmt;
use std::str::FromStr;

/// Which network of a coin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NetworkName {
    /// The real one.
    Mainnet,
    /// The public test networks (Bitcoin: testnet3, testnet4 and signet share their addresses).
    Testnet,
    /// A private network of real nodes.
    Regtest,
    /// The house's in-process development chain.
    Dev,
}

impl NetworkName {
    /// Every network, in the order of a table entry's rows.
    pub const ALL: [NetworkName; 4] =
        [NetworkName::Mainnet, NetworkName::Testnet, NetworkName::Regtest, NetworkName::Dev];

    /// The name in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            NetworkName::Mainnet => "mainnet",
            NetworkName::Testnet => "testnet",
            NetworkName::Regtest => "regtest",
            NetworkName::Dev => "dev",
        }
    }

    /// What `getblockchaininfo` may answer as `chain` on this network.
    #[must_use]
    pub const fn rpc_names(self) -> &'static [&'static str] {
        match self {
            NetworkName::Mainnet => &["main"],
            NetworkName::Testnet => &["test", "testnet4", "signet"],
            NetworkName::Regtest => &["regtest"],
            NetworkName::Dev => &["dev"],
        }
    }
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for NetworkName {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        NetworkName::ALL
            .into_iter()
            .find(|n| n.name() == s)
            .ok_or_else(|| format!("unknown network {s:?}: mainnet, testnet, regtest or dev"))
    }
}
