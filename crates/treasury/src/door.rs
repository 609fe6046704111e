//! The ways to a signer: a folder of files, or an address that answers HTTP.
//!
//! | way | the order | the answer |
//! |---|---|---|
//! | folder | `NAME.psbt` is put there, whole or not at all | `NAME.signed.psbt` (or the same as Base64), put there by whoever carries files |
//! | HTTP | `POST` of the PSBT, its name in `X-Gruve-Order` | 200 with the signed PSBT; 202 for *later*; 4xx for *no*, in words |
//!
//! Asking again is harmless: the same name is always the same bytes. What it must not know: databases, keys.

use crate::order::PSBT_BYTES_MAX;
use crate::orders::{SignerDoor, SignerWord};
use crate::remote::{Client, Secret};
use async_trait::async_trait;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

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

    fn paths(&self, name: &str) -> (PathBuf, PathBuf) {
        let at = |end: &str| self.folder.join(format!("{name}{end}"));
        (at(".psbt"), at(".signed.psbt"))
    }

    fn exchange(&self, name: &str, psbt: &[u8]) -> std::io::Result<SignerWord> {
        let (order, answer) = self.paths(name);
        match std::fs::File::open(&answer) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(PSBT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
                return Ok(SignerWord::Signed(bytes));
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        if std::fs::metadata(&order).is_ok_and(|m| m.len() == psbt.len() as u64) {
            return Ok(SignerWord::Waits);
        }
        let draft = self.folder.join(format!(".{name}.draft"));
        let mut file = std::fs::File::create(&draft)?;
        file.write_all(psbt)?;
        file.sync_all()?;
        std::fs::rename(&draft, &order)?;
        Ok(SignerWord::Waits)
    }
}

#[async_trait]
impl SignerDoor for FolderDoor {
    async fn ask(&self, name: &str, psbt: &[u8]) -> Result<SignerWord, String> {
        let (door, name, psbt) = (self.clone(), name.to_owned(), psbt.to_vec());
        let done = tokio::task::spawn_blocking(move || {
            let said = door.exchange(&name, &psbt);
            said.map_err(|e| format!("{}: {e}", door.folder.display()))
        });
        done.await.map_err(|e| e.to_string())?
    }

    async fn over(&self, name: &str) {
        let (order, answer) = self.paths(name);
        for path in [order, answer] {
            // Left there it would only be in the way of a person.
            if let Err(error) = tokio::fs::remove_file(&path).await
                && error.kind() != ErrorKind::NotFound
            {
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
