//! Ethash and Etchash: from an epoch to its seed and sizes, from a header hash and a nonce to the
//! seal.

use super::facts::Facts;
use super::member::{InputError, Member};
use gruve_pow::Difficulty;
use gruve_pow::ethash::{EthashEpoch, LightCache, hash_light};
use gruve_units::Algorithm;

/// The cache made last: entries of one epoch mostly stand together, and one cache is enough to
/// hold in memory.
#[derive(Debug, Default)]
pub(super) struct Caches(Option<LightCache>);

impl Caches {
    fn of(&mut self, epoch: EthashEpoch) -> &LightCache {
        let kept = self.0.take().filter(|c| c.epoch() == epoch);
        self.0.insert(kept.unwrap_or_else(|| LightCache::new(epoch)))
    }
}

/// What follows from an epoch, and from a seal if the entry has one.
pub(super) fn seal(
    entry: &Member<'_>,
    difficulty: Option<&Difficulty>,
    caches: &mut Caches,
    facts: &mut Facts,
) -> Result<(), InputError> {
    let epoch = epoch(entry)?;
    facts.label("epoch", epoch.number());
    facts.add("seed_hash", hex::encode(epoch.seed_hash()));
    facts.add("light_cache_items", epoch.cache_items());
    facts.add("cache_bytes", epoch.cache_bytes());
    facts.add("full_dataset_items_1024", epoch.dataset_pages());
    facts.add("dataset_bytes", epoch.dataset_bytes());
    let (header_hash, nonce) = (entry.get("header_hash"), entry.get("nonce"));
    if header_hash.value().is_null() && nonce.value().is_null() {
        return Ok(());
    }
    let header_hash = header_hash.array()?;
    let nonce = u64::from_be_bytes(nonce.array()?);
    let (mix, last) = hash_light(caches.of(epoch), &header_hash, nonce);
    facts.add("mix_hash", hex::encode(mix));
    facts.add("final_hash", hex::encode(last));
    if let Some(difficulty) = difficulty {
        facts.label("meets_difficulty", difficulty.is_reached_by_ethash(&last));
    }
    Ok(())
}

fn epoch(entry: &Member<'_>) -> Result<EthashEpoch, InputError> {
    let algorithm = algorithm(entry)?;
    let (number, block) = (entry.get("epoch"), entry.get("block_number"));
    let of_block = match block.clone().given() {
        None => None,
        Some(block) => {
            let found = EthashEpoch::of_block(algorithm, block.integer()?);
            Some(found.map_err(|e| block.error(format!("a block of a known epoch ({e})")))?)
        }
    };
    let Some(number) = number.clone().given() else {
        return of_block.ok_or_else(|| number.error("an epoch number, or block_number beside it"));
    };
    let epoch = EthashEpoch::new(algorithm, number.integer()?)
        .map_err(|e| number.error(format!("a known epoch ({e})")))?;
    match of_block {
        Some(other) if other != epoch => {
            Err(block.error(format!("a block of {algorithm} epoch {}", epoch.number())))
        }
        _ => Ok(epoch),
    }
}

/// Etchash where the entry says so, by name or by the length of its epochs.
fn algorithm(entry: &Member<'_>) -> Result<Algorithm, InputError> {
    let by_name = match entry.get("algo").given() {
        None => None,
        Some(member) => match member.value().as_str().and_then(|name| name.parse().ok()) {
            Some(a @ (Algorithm::Ethash | Algorithm::Etchash)) => Some(a),
            _ => return Err(member.error("\"ethash\" or \"etchash\"")),
        },
    };
    let Some(length) = entry.get("epoch_length").given() else {
        return Ok(by_name.unwrap_or(Algorithm::Ethash));
    };
    let by_length = match length.value().as_u64() {
        Some(30_000) => Algorithm::Ethash,
        Some(60_000) => Algorithm::Etchash,
        _ => return Err(length.error("30000 (Ethash) or 60000 (Etchash)")),
    };
    match by_name {
        Some(name) if name != by_length => {
            Err(length.error(format!("the length of {name} epochs")))
        }
        _ => Ok(by_length),
    }
}
