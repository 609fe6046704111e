//! The wallet's one secret, and the file it lives in.
//!
//! Promises: the file is made with mode 0600, complete on disk before anybody may use an address
//! from it, and never overwritten; the secret is never logged or printed, and its memory is wiped
//! when it is dropped. It must not know descriptors or chains.
//!
//! At rest the secret is protected by the file's mode only; encrypting it with an operator's
//! passphrase is a later step, and the file's first line leaves room for it.

use gruve_units::{Blame, Blamed, Entropy};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const FIRST_LINE: &str = "gruve wallet seed 1";

/// Longest seed file read: two short lines; anything longer is some other file.
const FILE_BYTES_MAX: u64 = 256;

/// Thirty-two random bytes from which every key of the house's wallets is derived (BIP 32).
///
/// `Debug` shows nothing of it.
pub struct Seed(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// Why the wallet's secret could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The file system refused.
    #[error("the wallet seed {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a wallet seed.
    #[error("{0} is not a wallet seed this version can read; restore it from its backup")]
    Malformed(PathBuf),
    /// Others than its owner may read the file.
    #[error("{0} can be read by others; run `chmod 600` on it, and consider its coins exposed")]
    Exposed(PathBuf),
}

impl Blamed for SeedError {
    fn blame(&self) -> Blame {
        Blame::Fatal
    }
}

impl Seed {
    /// A new secret.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Seed {
        let mut bytes = Zeroizing::new([0u8; 32]);
        entropy.fill(bytes.as_mut_slice());
        Seed(bytes)
    }

    /// A secret that is known already (tests, restored backups).
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Seed {
        Seed(Zeroizing::new(bytes))
    }

    /// Reads the file, or makes it with a new secret when there is none.
    ///
    /// # Errors
    /// [`SeedError`]; in particular a file that is there but damaged is never replaced, for coins
    /// may depend on it.
    pub fn open_or_create(path: &Path, entropy: &dyn Entropy) -> Result<Seed, SeedError> {
        match File::open(path) {
            Ok(file) => Self::read(path, &file),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Self::create(path, entropy),
            Err(source) => Err(SeedError::Io { path: path.to_owned(), source }),
        }
    }

    fn read(path: &Path, file: &File) -> Result<Seed, SeedError> {
        let io = |source| SeedError::Io { path: path.to_owned(), source };
        let malformed = || SeedError::Malformed(path.to_owned());
        if file.metadata().map_err(io)?.permissions().mode() & 0o077 != 0 {
            return Err(SeedError::Exposed(path.to_owned()));
        }
        let mut text = Zeroizing::new(String::with_capacity(256));
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(io)?;
        let (first, rest) = text.split_once('\n').ok_or_else(malformed)?;
        let digits = rest.strip_suffix('\n').ok_or_else(malformed)?;
        if first != FIRST_LINE {
            return Err(malformed());
        }
        let mut bytes = Zeroizing::new([0u8; 32]);
        hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| malformed())?;
        Ok(Seed(bytes))
    }

    /// Writes beside the final name and links it into place, so that a crash leaves either no
    /// seed or a whole one, and two processes starting at once end up with the same one.
    fn create(path: &Path, entropy: &dyn Entropy) -> Result<Seed, SeedError> {
        let io = |source| SeedError::Io { path: path.to_owned(), source };
        let seed = Self::generate(entropy);
        let mut tag = [0u8; 8];
        entropy.fill(&mut tag);
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}", hex::encode(tag)));
        let draft = PathBuf::from(draft);
        let digits = Zeroizing::new(hex::encode(seed.0.as_slice()));
        let text = Zeroizing::new(format!("{FIRST_LINE}\n{}\n", digits.as_str()));
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(io)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        let linked = written.and_then(|()| std::fs::hard_link(&draft, path));
        let removed = std::fs::remove_file(&draft);
        match linked {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                return Self::read(path, &File::open(path).map_err(io)?);
            }
            Err(e) => return Err(io(e)),
        }
        removed.map_err(io)?;
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            File::open(folder).and_then(|f| f.sync_all()).map_err(io)?;
        }
        Ok(seed)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_units::SeededEntropy;

    #[test]
    fn a_seed_file_is_made_once_and_read_ever_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wallet.seed");
        let made = Seed::open_or_create(&path, &SeededEntropy::new(1)).unwrap();
        let read = Seed::open_or_create(&path, &SeededEntropy::new(2)).unwrap();
        assert_eq!(made.bytes(), read.bytes());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_or_exposed_seed_file_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wallet.seed");
        Seed::open_or_create(&path, &SeededEntropy::new(1)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        let refused = Seed::open_or_create(&path, &SeededEntropy::new(1)).unwrap_err();
        assert!(matches!(refused, SeedError::Malformed(_)));
        assert_eq!(std::fs::read(&path).unwrap(), &whole[..whole.len() - 3]);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let refused = Seed::open_or_create(&path, &SeededEntropy::new(1)).unwrap_err();
        assert!(matches!(refused, SeedError::Exposed(_)));
    }

    #[test]
    fn a_seed_never_shows_itself() {
        assert_eq!(format!("{:?}", Seed::from_bytes([7; 32])), "Seed(…)");
    }
}
