//! A draft: books and wallets of one instant.

use super::cold::{self, ColdHolder};
use super::{Desk, at};
use gruve_market::funds;
use gruve_proof::funds::{AssetFunds, FundsEntry, ShownBy};
use gruve_proof::liabilities::{self, Of};
use gruve_proof::merkle;
use gruve_proof::note::Checkpoint;
use gruve_proof::publish::CHECKPOINT_FILE;
use gruve_proof::reserves::{AssetReserves, Coin, Holder, Holding, Reserves};
use gruve_proof::summary::FileRef;
use gruve_store::Tx;
use gruve_treasury::Treasury;
use gruve_units::Asset;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

pub(super) const ENTRY_FILE: &str = "entry";
pub(super) const RESERVES_FILE: &str = "reserves";
const UNSIGNED_FILE: &str = "unsigned.json";

/// The name of an asset's tree in the draft.
pub(super) fn tree_file(asset: &str) -> String {
    format!("tree-{asset}")
}

impl Desk {
    pub(super) fn has_draft(&self) -> bool {
        self.places.draft.join(ENTRY_FILE).exists()
    }

    /// What others are to sign.
    pub(super) fn unsigned(&self) -> PathBuf {
        self.places.draft.join(UNSIGNED_FILE)
    }

    pub(super) fn discard(&self) -> Result<(), String> {
        match fs::remove_dir_all(&self.places.draft) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(at(&self.places.draft)(e)),
            _ => Ok(()),
        }
    }

    /// Takes the books as they stand; how many scripts others must sign.
    pub(super) async fn draft(&self, cold: Vec<ColdHolder>) -> Result<usize, String> {
        if self.has_draft() {
            return Err("there is a draft: publish or discard it".to_owned());
        }
        let (head_size, head_root) = self.head()?;
        let mut tx = self.store.read().await.map_err(|e| e.to_string())?;
        let last = funds::last_statement(&mut tx).await.map_err(|e| e.to_string())?;
        let last = last.map_or(0, |last| last.statement);
        let place = funds::statement_place(&mut tx, last).await.map_err(|e| e.to_string())?;
        // What is signed names a head behind the last statement: so nobody can sign for many of them at once.
        if last > 0 && place.is_none_or(|place| head_size <= place) {
            let what = "the last statement is not in the public log yet: it comes there with the next epoch's entry";
            return Err(format!("{what}; draft again then"));
        }
        let statement = last + 1;
        let at_us = u64::try_from(self.clock.now().0).unwrap_or(0);
        let mut reserves = Reserves { statement, head_size, head_root, assets: Vec::new() };
        let mut entry =
            FundsEntry { statement, at_us, reserves: FileRef::default(), assets: Vec::new() };
        let mut trees = BTreeMap::new();
        let mut cold = by_asset(cold)?;
        let mut assets: Vec<Asset> = Asset::ALL.to_vec();
        assets.sort_by_key(ToString::to_string);
        for asset in assets {
            let name = asset.to_string();
            let others = cold.remove(&name).unwrap_or_default();
            let held = held(&self.treasury, &mut tx, asset, others).await?;
            let owed = funds::owed_in(&mut tx, asset).await.map_err(|e| e.to_string())?;
            if owed.is_empty() && held.is_none() {
                continue;
            }
            let of = Of { statement, asset: &name };
            let built = liabilities::build(&of, &self.secret, &owed)
                .ok_or_else(|| format!("{name}: more is owed, or to more, than a tree holds"))?;
            let sum = held.as_ref().map_or(Some(0), AssetReserves::sum);
            entry.assets.push(AssetFunds {
                asset: name.clone(),
                owed: built.root,
                leaves: built.leaves,
                shown: held.as_ref().map_or(ShownBy::Nothing, |h| h.shown),
                reserves: sum.ok_or_else(|| format!("{name}: more than there can be"))?,
            });
            trees.insert(name, built.kept);
            reserves.assets.extend(held);
        }
        tx.rollback().await.map_err(|e| e.to_string())?;
        if let Some(asset) = cold.keys().next() {
            return Err(format!("{asset}: no asset of this house"));
        }
        if entry.assets.is_empty() {
            return Err("nothing is owed and nothing is held: there is nothing to state".to_owned());
        }
        self.sign_own(&mut reserves)?;
        self.write(&entry, &reserves, &trees)
    }

    /// The head that was published last.
    fn head(&self) -> Result<(u64, [u8; 32]), String> {
        let path = self.places.public.join(CHECKPOINT_FILE);
        match fs::read_to_string(&path) {
            Ok(note) => {
                let head =
                    Checkpoint::read(&note).map_err(|e| format!("{}: {e}", path.display()))?;
                Ok((head.size, head.root))
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok((0, merkle::empty_root())),
            Err(e) => Err(at(&path)(e)),
        }
    }

    /// Signs for everything whose keys are here.
    fn sign_own(&self, reserves: &mut Reserves) -> Result<(), String> {
        let treasury = &self.treasury;
        for place in 0..reserves.assets.len() {
            let message = reserves.message(&self.origin, &reserves.assets[place]);
            let asset: Asset = reserves.assets[place].asset.parse().map_err(|e| format!("{e}"))?;
            for h in &mut reserves.assets[place].holders {
                // What is drafted with a key of ours says which.
                let Some(own) = h.signature.strip_prefix(OWN).map(str::to_owned) else { continue };
                let key = own.split_once('/').and_then(|(keychain, index)| {
                    let keychain = gruve_treasury::Keychain::from_number(keychain.parse().ok()?)?;
                    Some((keychain, index.parse().ok()?))
                });
                let (keychain, index) = key.ok_or("a key of ours that is none")?;
                if treasury.is_signed_elsewhere(asset) {
                    // Whoever has the keys signs: it is given out with what else is to be signed.
                    h.signature = String::new();
                    continue;
                }
                let signed = treasury.sign_message(asset, keychain, index, &message);
                h.signature = signed.map_err(|e| e.to_string())?;
                h.check(&message).map_err(|e| format!("{asset}: our own signature: {e}"))?;
            }
        }
        Ok(())
    }

    fn write(
        &self,
        entry: &FundsEntry,
        reserves: &Reserves,
        trees: &BTreeMap<String, Vec<u8>>,
    ) -> Result<usize, String> {
        let folder = &self.places.draft;
        self.discard()?;
        let mut make = fs::DirBuilder::new();
        make.recursive(true).mode(0o700).create(folder).map_err(at(folder))?;
        for (asset, kept) in trees {
            let path = folder.join(tree_file(asset));
            fs::write(&path, kept).map_err(at(&path))?;
        }
        let unsigned = cold::unsigned(reserves, &self.origin);
        if !unsigned.is_empty() {
            let path = self.unsigned();
            let text = serde_json::to_string_pretty(&unsigned).map_err(|e| e.to_string())?;
            fs::write(&path, text).map_err(at(&path))?;
        }
        let path = folder.join(RESERVES_FILE);
        fs::write(&path, reserves.to_bytes()).map_err(at(&path))?;
        // Last: without it there is no draft.
        let path = folder.join(ENTRY_FILE);
        fs::write(&path, entry.canonical()).map_err(at(&path))?;
        Ok(unsigned.len())
    }
}

/// Marks, while a draft is made, what one of our keys signs.
const OWN: &str = "own:";

fn by_asset(cold: Vec<ColdHolder>) -> Result<BTreeMap<String, Vec<Holder>>, String> {
    let mut all: BTreeMap<String, Vec<Holder>> = BTreeMap::new();
    for c in cold {
        let holder = c.holder()?;
        all.entry(c.asset).or_default().push(holder);
    }
    Ok(all)
}

/// What the house's wallet and others hold; `None` when there is no wallet, or no block yet.
async fn held(
    treasury: &Treasury,
    tx: &mut Tx,
    asset: Asset,
    others: Vec<Holder>,
) -> Result<Option<AssetReserves>, String> {
    if !treasury.assets().contains(&asset) {
        return match others.is_empty() {
            true => Ok(None),
            false => Err(format!("{asset}: this house follows no chain of it")),
        };
    }
    let found = treasury.holdings(tx, asset).await.map_err(|e| e.to_string())?;
    let Some(found) = found else { return Ok(None) };
    let accounts = treasury.is_account_chain(asset);
    let mut holders = others;
    for part in found.parts {
        let coin =
            |c: &gruve_treasury::HeldCoin| Coin { txid: c.txid, vout: c.vout, value: c.value };
        let holding = match accounts {
            true => Holding::Account(u128::from(part.balance)),
            false => Holding::Coins(part.coins.iter().map(coin).collect()),
        };
        let signature = format!("{OWN}{}/{}", part.keychain.number(), part.index);
        holders.push(Holder { of: part.of, signature, holding });
    }
    holders.sort_by(|a, b| a.of.cmp(&b.of));
    if holders.windows(2).any(|w| w[0].of == w[1].of) {
        return Err(format!("{asset}: a script named twice"));
    }
    let shown = if accounts { ShownBy::Accounts } else { ShownBy::Coins };
    let asset = asset.to_string();
    Ok(Some(AssetReserves { asset, shown, height: found.height, block: found.block, holders }))
}
