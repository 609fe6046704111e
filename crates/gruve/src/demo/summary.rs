//! The end of the demo: does everything add up, to the minor unit?

use super::api::Api;
use super::customer::Outcome;
use super::folder::DemoFolder;
use super::progress::Progress;
use super::scan::{AccountScan, Scan};
use super::settings::{DemoChain, DemoLane, LANES};
use crate::cli::DemoArgs;
use crate::house::Parts;
use gruve_chain::Node;
use gruve_chain::eth::{AccountNode, EthAddress, wei};
use gruve_store::Store;
use gruve_treasury::{AccountKeys, Keychain, ScriptForm, Seed, Treasury, WalletKeys};
use gruve_units::{Amount, Asset};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Addresses of each keychain looked for on the chain; a demo uses some dozens.
const ADDRESSES_SCANNED: u32 = 1_000;

/// One asset's books against its chain, in minor units.
#[derive(Clone, Debug, Serialize)]
pub struct AssetBooks {
    /// The asset.
    pub asset: String,
    /// What all our blocks paid.
    pub block_rewards: i64,
    /// Of that, to customers.
    pub customers: i64,
    /// To the operator.
    pub operator: i64,
    /// To the reserve of unfilled windows.
    pub window_reserve: i64,
    /// Not mature or not settled yet.
    pub maturing: i64,
    /// Rounding.
    pub remainder: i64,
    /// What the chain says our addresses hold.
    pub wallet_on_chain: i64,
    /// What the ledger says they hold.
    pub wallet_in_books: i64,
    /// On account chains: wei that they hold beside, below a minor unit (10⁻⁹ of a coin).
    pub wei_below_on_chain: Option<u32>,
    /// The same as the house counts them.
    pub wei_below_in_books: Option<u32>,
    /// The height at which both were read.
    pub height: u64,
    /// Whether the platform's own check agrees.
    pub platform_agrees: bool,
}

impl AssetBooks {
    fn holds(&self) -> bool {
        let parts =
            [self.customers, self.operator, self.window_reserve, self.maturing, self.remainder];
        let sum: i128 = parts.iter().map(|p| i128::from(*p)).sum();
        sum == i128::from(self.block_rewards)
            && self.wallet_on_chain == self.wallet_in_books
            && self.wei_below_on_chain == self.wei_below_in_books
            && self.platform_agrees
    }
}

/// Everything at the end.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Whether everything adds up.
    pub reconciles: bool,
    /// How long it took.
    pub seconds: u64,
    /// What the customer did.
    pub journeys: Vec<Outcome>,
    /// The books.
    pub assets: Vec<AssetBooks>,
}

impl Summary {
    /// Puts the parts together.
    pub fn new(journeys: Vec<Outcome>, assets: Vec<AssetBooks>, took: Duration) -> Summary {
        let reconciles = !assets.is_empty() && assets.iter().all(AssetBooks::holds);
        Summary { reconciles, seconds: took.as_secs(), journeys, assets }
    }

    /// Prints it, for people or for machines.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn print(&self, args: &DemoArgs, say: &Progress) -> Result<(), String> {
        say.line("");
        for books in &self.assets {
            let asset: Asset = books.asset.parse().map_err(|e| format!("{e}"))?;
            let line = |name: &str, minor: i64| {
                say.line(&format!("  {name:<28} {:>20}", Amount::new(asset, minor).decimal()));
            };
            say.line(&format!("{} at height {}", books.asset, books.height));
            line("block rewards", books.block_rewards);
            line("= customers", books.customers);
            line("+ operator", books.operator);
            line("+ reserve of unfilled windows", books.window_reserve);
            line("+ maturing", books.maturing);
            line("+ remainder", books.remainder);
            let wallet = |name: &str, minor: i64, below: Option<u32>| {
                let below = below.map_or(String::new(), |wei| format!(" and {wei} wei"));
                let decimal = Amount::new(asset, minor).decimal();
                say.line(&format!("  {name:<28} {decimal:>20}{below}"));
            };
            wallet("wallet, by the chain", books.wallet_on_chain, books.wei_below_on_chain);
            wallet("wallet, by the books", books.wallet_in_books, books.wei_below_in_books);
        }
        say.line(&format!(
            "\n{} after {} min {:02} s.",
            if self.reconciles { "Everything adds up" } else { "IT DOES NOT ADD UP" },
            self.seconds / 60,
            self.seconds % 60,
        ));
        if args.json {
            println!("{}", serde_json::to_string_pretty(self).map_err(|e| e.to_string())?);
        }
        Ok(())
    }
}

struct Scanned {
    asset: Asset,
    chain: ScannedChain,
}

/// A chain, and what of it is ours.
enum ScannedChain {
    Coins { node: Arc<dyn Node>, scripts: HashSet<Vec<u8>>, scan: Scan },
    Accounts { node: Arc<dyn AccountNode>, addresses: HashSet<EthAddress>, scan: AccountScan },
}

/// The chains, read independently of everything the house wrote down.
pub struct Scans {
    store: Store,
    treasury: Treasury,
    lanes: Vec<Scanned>,
}

impl Scans {
    /// Prepares to read the chains for all addresses of the house's wallets.
    ///
    /// # Errors
    /// When the wallets' secret cannot be read.
    pub fn open(folder: &DemoFolder, parts: &Parts) -> Result<Scans, String> {
        let seed = folder.wallet_seed()?;
        let mut lanes = Vec::new();
        for of in LANES.iter().flat_map(DemoLane::chains) {
            let chain = if of.lane.is_ethash() {
                accounts(&seed, of, parts)?
            } else {
                coins(&seed, of, parts)?
            };
            lanes.push(Scanned { asset: of.asset, chain });
        }
        let (store, treasury) = (parts.store.clone(), parts.treasury.clone());
        Ok(Scans { store, treasury, lanes })
    }

    /// Compares the books with the chains at one height each.
    ///
    /// # Errors
    /// When a chain cannot be read in time, or the platform does not answer.
    pub async fn reconcile(
        &mut self,
        api: &Api,
        within: Duration,
    ) -> Result<Vec<AssetBooks>, String> {
        let reading = async {
            let mut books = Vec::new();
            for lane in &mut self.lanes {
                books.push(lane.compare(api, &self.store, &self.treasury).await?);
            }
            Ok(books)
        };
        tokio::time::timeout(within, reading)
            .await
            .map_err(|_| "reading the chains took too long")?
    }
}

fn no_node(of: DemoChain) -> String {
    format!("no node for {} of lane {}", of.asset, of.lane.id)
}

fn coins(seed: &Seed, of: DemoChain, parts: &Parts) -> Result<ScannedChain, String> {
    let form = if of.asset == Asset::Doge { ScriptForm::Pkh } else { ScriptForm::Wpkh };
    let keys = WalletKeys::new(seed, of.asset, form, false).map_err(|e| e.to_string())?;
    let mut scripts = HashSet::new();
    for chain in Keychain::ALL {
        for index in 0..ADDRESSES_SCANNED {
            let script = keys.script(chain, index).map_err(|e| e.to_string())?;
            scripts.insert(script.into_bytes());
        }
    }
    let mut all = parts.all_nodes().into_iter();
    let found = all.find(|(id, n)| id.as_str() == of.lane.id && n.params().asset == of.asset);
    let (_, node) = found.ok_or_else(|| no_node(of))?;
    Ok(ScannedChain::Coins { node, scripts, scan: Scan::default() })
}

/// Pay-ins come to addresses of their own; all else is at the first of the capital's.
fn accounts(seed: &Seed, of: DemoChain, parts: &Parts) -> Result<ScannedChain, String> {
    let keys = AccountKeys::new(seed, of.asset, false).map_err(|e| e.to_string())?;
    let pay_ins = (0..ADDRESSES_SCANNED).map(|index| keys.address(Keychain::PayIn, index));
    let all = pay_ins.chain([keys.address(Keychain::Capital, 0)]);
    let addresses = all.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
    let found = parts.eth_nodes.iter().find(|(id, _)| id.as_str() == of.lane.id);
    let (_, node) = found.ok_or_else(|| no_node(of))?;
    Ok(ScannedChain::Accounts { node: node.clone(), addresses, scan: AccountScan::default() })
}

impl ScannedChain {
    /// Minor units held after the block at `height`, and on account chains the wei below.
    async fn held_at(&mut self, height: u64) -> Result<(i64, Option<u32>), String> {
        match self {
            ScannedChain::Coins { node, scripts, scan } => {
                let held = scan.held_at(node.as_ref(), scripts, height).await;
                held.map(|minor| (minor, None)).map_err(|e| e.to_string())
            }
            ScannedChain::Accounts { node, addresses, scan } => {
                let held = scan.held_at(node.as_ref(), addresses, height).await;
                let held = held.map_err(|e| e.to_string())?;
                let (minor, below) = wei::split(held).ok_or("more coins than there can be")?;
                Ok((minor, Some(below)))
            }
        }
    }
}

impl Scanned {
    /// Reads books and followed height before and after; repeats when a block came between.
    async fn compare(
        &mut self,
        api: &Api,
        store: &Store,
        treasury: &Treasury,
    ) -> Result<AssetBooks, String> {
        loop {
            let before = self.height(store, treasury).await?;
            let all = api.get("/api/v1/reconciliation").await.map_err(|e| e.to_string())?;
            if self.height(store, treasury).await? != before {
                continue;
            }
            let held = self.chain.held_at(before).await?;
            return self.books(&all, before, held);
        }
    }

    async fn height(&self, store: &Store, treasury: &Treasury) -> Result<u64, String> {
        let mut tx = store.read().await.map_err(|e| e.to_string())?;
        let known = treasury.known_blocks(&mut tx, self.asset, 1).await;
        let known = known.map_err(|e| e.to_string())?;
        known.first().map(|b| b.height).ok_or_else(|| "no block was followed yet".to_owned())
    }

    fn books(
        &self,
        all: &Value,
        height: u64,
        (held, wei_below_on_chain): (i64, Option<u32>),
    ) -> Result<AssetBooks, String> {
        let code = self.asset.code();
        let own = all["assets"].as_array().and_then(|l| l.iter().find(|a| a["asset"] == code));
        let own = own.ok_or_else(|| format!("the books say nothing of {code}"))?;
        let minor = |v: &Value| v["minor"].as_i64();
        let lines = |v: &Value| -> BTreeMap<String, i64> {
            let map = v.as_object().cloned().unwrap_or_default();
            map.into_iter().filter_map(|(k, v)| Some((k, minor(&v)?))).collect()
        };
        let parts = lines(&own["parts"]);
        let part = |name: &str| {
            parts.get(name).copied().ok_or_else(|| format!("the books have no part {name:?}"))
        };
        Ok(AssetBooks {
            asset: code.to_owned(),
            block_rewards: minor(&own["block_rewards"]).ok_or("no block rewards")?,
            customers: part("customers")?,
            operator: part("operator")?,
            window_reserve: part("window_reserve")?,
            maturing: part("maturing")?,
            remainder: part("remainder")?,
            wallet_on_chain: held,
            wallet_in_books: lines(&own["wallet_in_books"]).values().sum(),
            wei_below_on_chain,
            wei_below_in_books: own["wei_below"].as_u64().and_then(|wei| u32::try_from(wei).ok()),
            height,
            platform_agrees: own["adds_up"] == true,
        })
    }
}
