//! Which key the public log says is in force, and putting another one in its place.
//!
//! The log's first entry names the first key; each change of keys is an entry that the key before it (or the recovery
//! key) and the new one have signed. Everything else follows the log: a house whose `operator.key` is not the key in
//! force does not start.

use super::files::{folder_of, read_secret_text};
use super::{Parts, StartError};
use crate::config::Config;
use ed25519_dalek::SigningKey;
use gruve_market::Market;
use gruve_proof::log::{Entry, KEYS_MAX, KeyChange, LogHead};
use gruve_proof::note::NoteKey;
use std::fs::File;
use std::path::Path;

/// The key to come, until the change is in the log.
const NEXT_KEY_FILE: &str = "operator.key.next";
const KEY_FILE: &str = "operator.key";

/// The log's beginning and the key in force; `None` before it has begun.
async fn in_force(market: &Market) -> Result<Option<(LogHead, [u8; 32])>, StartError> {
    let Some((head, keys)) = read(market).await? else { return Ok(None) };
    let key = keys.last().copied().unwrap_or(head.operator_key);
    Ok(Some((head, key)))
}

/// Every key that the log has had in force, the oldest first; none before it has begun.
pub(super) async fn all(market: &Market) -> Result<Vec<[u8; 32]>, StartError> {
    Ok(read(market).await?.map(|(_, keys)| keys).unwrap_or_default())
}

async fn read(market: &Market) -> Result<Option<(LogHead, Vec<[u8; 32]>)>, StartError> {
    let own = market.log_keys().await?;
    let Some(first) = own.first() else { return Ok(None) };
    let Ok(Entry::Head(head)) = Entry::parse(first) else { return Err(StartError::RecordKey) };
    let mut keys = vec![head.operator_key];
    for entry in own.iter().skip(1) {
        let Ok(Entry::Keys(change)) = Entry::parse(entry) else {
            return Err(StartError::RecordKey);
        };
        keys.push(change.to);
    }
    Ok(Some((head, keys)))
}

/// Begins the log, or sees that it was begun by this house and that this key is in force.
pub(super) async fn begin(
    config: &Config,
    key: &SigningKey,
    market: &Market,
) -> Result<(), StartError> {
    let own = LogHead {
        origin: config.house.origin.clone(),
        operator_key: key.verifying_key().to_bytes(),
        recovery_key: config.record.recovery_key(),
    };
    match in_force(market).await? {
        None => Ok(market.begin_log(&own.canonical()).await?),
        Some((head, _)) if (&head.origin, head.recovery_key) != (&own.origin, own.recovery_key) => {
            Err(StartError::RecordBegan)
        }
        Some((_, key)) if key != own.operator_key => Err(StartError::RecordKey),
        Some(_) => Ok(()),
    }
}

/// Puts a new operator key in force: an entry of the log, then the files. Killed anywhere, the same again finishes it.
/// `recovery` appoints the key in place of a lost or stolen one. The new key, as verifiers write it.
///
/// # Errors
/// In words.
pub async fn rotate(
    config: &Config,
    parts: &Parts,
    recovery: Option<&SigningKey>,
) -> Result<NoteKey, String> {
    let said = |e: StartError| e.to_string();
    let folder = &config.house.data;
    let next = parts.folder.new_secret(NEXT_KEY_FILE, parts.entropy.as_ref());
    let next = SigningKey::from_bytes(&next.map_err(|e| e.to_string())?);
    let Some((head, key)) = in_force(&parts.market).await.map_err(said)? else {
        return Err("the public log has not begun: start the house once".to_owned());
    };
    let to = next.verifying_key().to_bytes();
    if key != to {
        let by = recovery.unwrap_or(parts.operator());
        let own = by.verifying_key().to_bytes();
        if own != key && (own != head.recovery_key || own == [0; 32]) {
            return Err("this key may not appoint another: it is neither the one in force nor the recovery key of the log's \
                first entry".to_owned());
        }
        let held = parts.market.log_keys().await.map_err(|e| e.to_string())?.len();
        if held >= KEYS_MAX {
            return Err(format!(
                "the public log has had {held} keys, the most that it may have: its readers would refuse another"
            ));
        }
        let entry = |at| KeyChange::sign(&head.origin, at, by, &next).canonical();
        parts.market.change_keys(entry).await.map_err(|e| e.to_string())?;
    }
    replace(folder, &key).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(NoteKey { name: head.origin, key: to })
}

/// The old key's file gets a name of its own, the new one its place. A key that was lost has no file: what stands there was made
/// anew by this start, has signed nothing and must not be taken for it.
fn replace(folder: &Path, old: &[u8; 32]) -> std::io::Result<()> {
    let (own, next) = (folder.join(KEY_FILE), folder.join(NEXT_KEY_FILE));
    let aside = folder.join(format!("{KEY_FILE}.was-{}", hex::encode(&old[..4])));
    if is_of(&own, old) && !aside.exists() {
        std::fs::hard_link(&own, aside)?;
    }
    std::fs::rename(next, &own)?;
    File::open(folder_of(&own))?.sync_all()
}

/// Whether a file holds this key's secret half.
fn is_of(file: &Path, key: &[u8; 32]) -> bool {
    let mut secret = [0; 32];
    read_secret_text(file).is_ok_and(|text| hex::decode_to_slice(text.trim(), &mut secret).is_ok())
        && SigningKey::from_bytes(&secret).verifying_key().to_bytes() == *key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::files::write_secret;

    fn names(folder: &Path) -> Vec<String> {
        let all = std::fs::read_dir(folder).unwrap();
        let mut all: Vec<_> = all.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    }

    #[test]
    fn the_old_key_stays_beside_and_one_that_was_made_in_a_lost_ones_place_does_not() {
        let old = SigningKey::from_bytes(&[1; 32]).verifying_key().to_bytes();
        let was = format!("{KEY_FILE}.was-{}", hex::encode(&old[..4]));
        for (there, left) in [(1, vec![KEY_FILE, &was]), (3, vec![KEY_FILE])] {
            let dir = tempfile::tempdir().unwrap();
            let put = |name: &str, n: u8| {
                write_secret(&dir.path().join(name), &hex::encode([n; 32])).unwrap();
            };
            put(KEY_FILE, there);
            put(NEXT_KEY_FILE, 2);
            replace(dir.path(), &old).unwrap();
            assert_eq!(names(dir.path()), left);
            let now = read_secret_text(&dir.path().join(KEY_FILE)).unwrap();
            assert_eq!(now, hex::encode([2; 32]));
            if there == 1 {
                let kept = read_secret_text(&dir.path().join(&was)).unwrap();
                assert_eq!(kept, hex::encode([1; 32]));
            }
        }
    }
}
