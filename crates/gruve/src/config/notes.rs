//! What can be read and its operator hardly means: told by `gruve config check`, and no fault.

use super::{Config, Fault, NodeConfig, SAMPLE};
use std::path::Path;

impl Config {
    /// Values of the sample that were left as they are, and folders that are waited for.
    #[must_use]
    pub fn notes(&self) -> Vec<Fault> {
        let mut all = Vec::new();
        let mut note = |place: String, what: String| all.push(Fault { place, what });
        if let Ok(sample) = Config::parse(SAMPLE, Path::new("")) {
            if self.house.origin == sample.house.origin {
                let what = "is the sample's; it names your public log and can never be changed: choose your own now";
                note("house.origin".to_owned(), what.to_owned());
            }
            if self.house.name == sample.house.name {
                let what = "is the sample's; messages to customers are signed with it";
                note("house.name".to_owned(), what.to_owned());
            }
            let node = sample.lanes.iter().find_map(|lane| lane.node.as_ref());
            let is_samples = |n: &NodeConfig| node.is_some_and(|s| s.password == n.password);
            for (i, lane) in self.lanes.iter().enumerate() {
                let aux = lane.aux.iter().flat_map(|aux| aux.node.iter().chain(&aux.nodes));
                if lane.node.iter().chain(&lane.nodes).chain(aux).any(is_samples) {
                    note(format!("lane[{i}]"), "a node's password is the sample's".to_owned());
                }
            }
        }
        if let Some(asset) = self.unguarded_coin() {
            let what = format!(
                "{asset} is of its main network: nothing starts while wallet.seed has no passphrase. Name where one comes from, \
                 then `gruve admin keys encrypt`; or set plain_on_mainnet = true"
            );
            note("keys".to_owned(), what);
        }
        for (i, bank) in self.banks.iter().enumerate() {
            if let Some(folder) = bank.folder.as_ref().filter(|folder| !folder.is_dir()) {
                let what = "there is no such folder; statements are read once it is there";
                note(format!("bank[{i}].folder"), format!("{}: {what}", folder.display()));
            }
        }
        all
    }
}
