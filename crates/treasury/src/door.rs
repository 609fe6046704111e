//! The ways to a signer: a folder of files, or an address that answers HTTP.
//!
//! | way | the order | the answer |
//! |---|---|---|
//! | folder | `NAME.psbt` is put there, whole or not at all | `NAME.signed.psbt` (or the same as Base64), put there by whoever carries files; `NAME.refused.txt` for *no*, in words |
//! | HTTP | `POST` of the PSBT, its name in `X-Gruve-Order` | 200 with the signed PSBT; 202 for *later*; 4xx for *no*, in words |
//!
//! Asking again is harmless: the same name is always the same bytes. What it must not know: databases, keys.

use crate::exchange::{put, remove, take};
use crate::order::PSBT_BYTES_MAX;
use crate::orders::{SignerDoor, SignerWord};
use crate::remote::{Client, Secret};
use async_trait::async_trait;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of a refusal that are read.
const REFUSAL_BYTES_MAX: u64 = 4_096;
/// An answer may be written as Base64, with line ends.
const ANSWER_BYTES_MAX: u64 = PSBT_BYTES_MAX as u64 * 2;

/// A folder that somebody carries files from and to.
#[derive(Clone, Debug)]
pub struct FolderDoor {
    folder: PathBuf,
}

impl FolderDoor {
    /// A folder that is there.
    ///
    /// # Errors
    /// In words, when it is none.
    pub fn open(folder: &Path) -> Result<FolderDoor, String> {
        let is_folder = std::fs::metadata(folder).map(|m| m.is_dir());
        match is_folder {
            Ok(true) => Ok(FolderDoor { folder: folder.to_owned() }),
            Ok(false) => Err(format!("{} is no folder", folder.display())),
            Err(e) => Err(format!("{}: {e}", folder.display())),
        }
    }

    /// The order, its answer, and its refusal.
    fn paths(&self, name: &str) -> [PathBuf; 3] {
        [".psbt", ".signed.psbt", ".refused.txt"]
            .map(|end| self.folder.join(format!("{name}{end}")))
    }

    fn exchange(&self, name: &str, psbt: &[u8]) -> Result<SignerWord, String> {
        let [order, answer, refusal] = self.paths(name);
        let at = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
        match take(&answer, ANSWER_BYTES_MAX) {
            Ok(Some(bytes)) => return Ok(SignerWord::Signed(bytes)),
            Ok(None) => {}
            // One that cannot be read is about this order alone: the way to the signer is open.
            Err(e) => return Ok(SignerWord::Refused(format!("the answer cannot be read: {e}"))),
        }
        // Somebody took it away, or changed it: it is put there again.
        if !take(&order, PSBT_BYTES_MAX as u64).is_ok_and(|there| there.as_deref() == Some(psbt)) {
            put(&order, psbt).map_err(|e| at(&order, e))?;
        }
        match take(&refusal, REFUSAL_BYTES_MAX) {
            Ok(Some(words)) => {
                Ok(SignerWord::Refused(String::from_utf8_lossy(&words).trim().to_owned()))
            }
            _ => Ok(SignerWord::Waits),
        }
    }
}

#[async_trait]
impl SignerDoor for FolderDoor {
    async fn ask(&self, name: &str, psbt: &[u8]) -> Result<SignerWord, String> {
        let (door, name, psbt) = (self.clone(), name.to_owned(), psbt.to_vec());
        let done = tokio::task::spawn_blocking(move || door.exchange(&name, &psbt));
        done.await.map_err(|e| e.to_string())?
    }

    async fn over(&self, name: &str) {
        for path in self.paths(name) {
            // Left there it would only be in the way of a person.
            if let Err(error) = remove(&path) {
                tracing::warn!(file = %path.display(), %error, "a file of a signed order stays");
            }
        }
    }
}

/// An address that answers HTTP.
#[derive(Debug)]
pub struct HttpDoor {
    client: Client,
}

impl HttpDoor {
    /// An address; `token` is sent with every order, `authorities` is a file of certificates (PEM) by which an `https`
    /// address is known.
    ///
    /// # Errors
    /// In words, when the address is none.
    pub fn open(url: &str, token: Secret, authorities: &Path) -> Result<HttpDoor, String> {
        Ok(HttpDoor { client: Client::new(url, "Bearer", token, authorities)? })
    }

    /// The same, with another time to wait for an answer than [`crate::remote::PATIENCE`].
    #[must_use]
    pub fn within(self, patience: Duration) -> HttpDoor {
        HttpDoor { client: self.client.within(patience) }
    }
}

#[async_trait]
impl SignerDoor for HttpDoor {
    async fn ask(&self, name: &str, psbt: &[u8]) -> Result<SignerWord, String> {
        let (status, body) = self.client.hand_over(name, psbt, PSBT_BYTES_MAX).await?;
        match status.as_u16() {
            200 => Ok(SignerWord::Signed(body.to_vec())),
            202 | 204 => Ok(SignerWord::Waits),
            // Who it is, or how often, was wrong: none of it is a word about the order.
            401 | 403 | 404 | 408 | 425 | 429 => Err(format!("it answered {status}")),
            400..=499 => Ok(SignerWord::Refused(String::from_utf8_lossy(&body).into_owned())),
            _ => Err(format!("it answered {status}")),
        }
    }

    async fn over(&self, _: &str) {}
}
