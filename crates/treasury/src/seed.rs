//! The wallet's one secret, and the file it lives in.
//!
//! Promises: the file is made with mode 0600, complete on disk before anybody may use an address
//! from it, and never overwritten but by [`Seed::encrypt`] and [`Seed::decrypt`], which put a whole new
//! file in its place; the secret is never logged or printed, and its memory is wiped when it is dropped. It
//! must not know descriptors or chains.
//!
//! A file whose first line ends in 1 holds the secret as it is; one that ends in 2 holds it under a
//! passphrase (`sealed`).

use crate::sealed::{self, Cost, Passphrase, SealError};
use gruve_units::{Blame, Blamed, Entropy};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const FIRST_LINE: &str = "gruve wallet seed 1";

const SEALED_FIRST_LINE: &str = "gruve wallet seed 2";

/// Longest seed file read: three short lines; anything longer is some other file.
const FILE_BYTES_MAX: u64 = 512;

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
    /// A passphrase is needed and none is given.
    #[error(
        "the wallet seed {0} is encrypted, and no passphrase is given: set [keys] in the configuration"
    )]
    Locked(PathBuf),
    /// The passphrase is another one, or the file was changed.
    #[error(
        "the passphrase does not open the wallet seed {0}: it is another one, or the file was damaged"
    )]
    WrongPassphrase(PathBuf),
    /// The passphrase cannot be used.
    #[error("the passphrase of the wallet seed: {0}")]
    Passphrase(&'static str),
    /// Others than its owner may read the file.
    #[error("{0} can be read by others; run `chmod 600` on it, and consider its coins exposed")]
    Exposed(PathBuf),
}

impl Blamed for SeedError {
    fn blame(&self) -> Blame {
        Blame::Fatal
    }
}

fn io(path: &Path, source: std::io::Error) -> SeedError {
    SeedError::Io { path: path.to_owned(), source }
}

fn sync_folder(path: &Path) -> Result<(), SeedError> {
    match path.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(folder) => File::open(folder).and_then(|f| f.sync_all()).map_err(|e| io(path, e)),
        None => Ok(()),
    }
}

fn seal_error(path: &Path, error: SealError) -> SeedError {
    match error {
        SealError::Malformed => SeedError::Malformed(path.to_owned()),
        SealError::Wrong => SeedError::WrongPassphrase(path.to_owned()),
        SealError::Passphrase(why) => SeedError::Passphrase(why),
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
        Self::open_or_create_with(path, entropy, None)
    }

    /// The same with a passphrase: it opens an encrypted file, and a new one is made encrypted.
    ///
    /// # Errors
    /// As [`Seed::open_or_create`]; [`SeedError::Locked`], [`SeedError::WrongPassphrase`].
    pub fn open_or_create_with(
        path: &Path,
        entropy: &dyn Entropy,
        passphrase: Option<&Passphrase>,
    ) -> Result<Seed, SeedError> {
        match File::open(path) {
            Ok(file) => Self::read(path, &file, passphrase),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                Self::create(path, entropy, passphrase)
            }
            Err(source) => Err(SeedError::Io { path: path.to_owned(), source }),
        }
    }

    /// Whether the file is encrypted.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_encrypted(path: &Path) -> Result<bool, SeedError> {
        let text = Self::text(path, &File::open(path).map_err(|e| io(path, e))?)?;
        Ok(text.starts_with(SEALED_FIRST_LINE))
    }

    /// Puts the file under a passphrase, or under another one; `old` opens it where it is encrypted already.
    ///
    /// # Errors
    /// As [`Seed::open_or_create_with`]; a file that is not there is not made.
    pub fn encrypt(
        path: &Path,
        old: Option<&Passphrase>,
        new: &Passphrase,
        entropy: &dyn Entropy,
    ) -> Result<(), SeedError> {
        let seed = Self::read(path, &File::open(path).map_err(|e| io(path, e))?, old)?;
        let text = seed.sealed_text(new, Cost::USUAL, entropy)?;
        Self::replace(path, &text, entropy)
    }

    /// Takes the passphrase off the file.
    ///
    /// # Errors
    /// As [`Seed::encrypt`].
    pub fn decrypt(path: &Path, old: &Passphrase, entropy: &dyn Entropy) -> Result<(), SeedError> {
        let seed = Self::read(path, &File::open(path).map_err(|e| io(path, e))?, Some(old))?;
        Self::replace(path, &seed.plain_text(), entropy)
    }

    fn plain_text(&self) -> Zeroizing<String> {
        let digits = Zeroizing::new(hex::encode(self.0.as_slice()));
        Zeroizing::new(format!("{FIRST_LINE}\n{}\n", digits.as_str()))
    }

    fn sealed_text(
        &self,
        passphrase: &Passphrase,
        cost: Cost,
        entropy: &dyn Entropy,
    ) -> Result<Zeroizing<String>, SeedError> {
        let lines = sealed::seal(&self.0, passphrase, cost, SEALED_FIRST_LINE, entropy);
        let lines = lines.map_err(|e| seal_error(Path::new(""), e))?;
        Ok(Zeroizing::new(format!("{SEALED_FIRST_LINE}\n{lines}")))
    }

    fn replace(path: &Path, text: &str, entropy: &dyn Entropy) -> Result<(), SeedError> {
        let draft = Self::write_draft(path, text, entropy)?;
        std::fs::rename(&draft, path).map_err(|e| io(path, e))?;
        sync_folder(path)
    }

    fn text(path: &Path, file: &File) -> Result<Zeroizing<String>, SeedError> {
        if file.metadata().map_err(|e| io(path, e))?.permissions().mode() & 0o077 != 0 {
            return Err(SeedError::Exposed(path.to_owned()));
        }
        let mut text = Zeroizing::new(String::with_capacity(512));
        let malformed = |_| SeedError::Malformed(path.to_owned());
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(malformed)?;
        Ok(text)
    }

    fn read(path: &Path, file: &File, passphrase: Option<&Passphrase>) -> Result<Seed, SeedError> {
        let malformed = || SeedError::Malformed(path.to_owned());
        let text = Self::text(path, file)?;
        let (first, rest) = text.split_once('\n').ok_or_else(malformed)?;
        if first == SEALED_FIRST_LINE {
            let passphrase = passphrase.ok_or_else(|| SeedError::Locked(path.to_owned()))?;
            let opened = sealed::open(rest, passphrase, SEALED_FIRST_LINE);
            return opened.map(Seed).map_err(|e| seal_error(path, e));
        }
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
    fn create(
        path: &Path,
        entropy: &dyn Entropy,
        passphrase: Option<&Passphrase>,
    ) -> Result<Seed, SeedError> {
        let seed = Self::generate(entropy);
        let text = match passphrase {
            Some(passphrase) => seed.sealed_text(passphrase, Cost::USUAL, entropy)?,
            None => seed.plain_text(),
        };
        let draft = Self::write_draft(path, &text, entropy)?;
        let linked = std::fs::hard_link(&draft, path);
        let removed = std::fs::remove_file(&draft);
        match linked {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                let file = File::open(path).map_err(|e| io(path, e))?;
                return Self::read(path, &file, passphrase);
            }
            Err(e) => return Err(io(path, e)),
        }
        removed.map_err(|e| io(path, e))?;
        sync_folder(path)?;
        Ok(seed)
    }

    /// A file beside the final name, whole on disk.
    fn write_draft(path: &Path, text: &str, entropy: &dyn Entropy) -> Result<PathBuf, SeedError> {
        let mut tag = [0u8; 8];
        entropy.fill(&mut tag);
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}", hex::encode(tag)));
        let draft = PathBuf::from(draft);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)
            .map_err(|e| io(path, e))?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.map_err(|e| io(path, e))?;
        Ok(draft)
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
        // Of a version that this one does not know, and longer than any.
        let text = String::from_utf8(whole.clone()).unwrap();
        let long = text.clone() + &" ".repeat(600);
        for text in [text.replacen("seed 1", "seed 9", 1), long] {
            std::fs::write(&path, &text).unwrap();
            let refused = Seed::open_or_create(&path, &SeededEntropy::new(1)).unwrap_err();
            assert!(matches!(refused, SeedError::Malformed(_)), "{text}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let refused = Seed::open_or_create(&path, &SeededEntropy::new(1)).unwrap_err();
        assert!(matches!(refused, SeedError::Exposed(_)));
    }

    #[test]
    fn a_passphrase_is_neither_short_nor_endless() {
        for (text, is_good) in [
            ("elevenchars".to_owned(), false),
            ("elevenchars\r\n".to_owned(), false),
            ("twelve chars".to_owned(), true),
            ("ø".repeat(12), true),
            ("x".repeat(1_024), true),
            ("x".repeat(1_025), false),
        ] {
            assert_eq!(Passphrase::new(&text).is_ok(), is_good, "{text}");
        }
    }

    #[test]
    fn an_encrypted_seed_opens_with_its_passphrase_only_and_gives_nothing_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wallet.seed");
        let entropy = SeededEntropy::new(1);
        let pass = |s: &str| Passphrase::new(s).unwrap();
        let (right, other) = (pass("correct horse battery"), pass("incorrect horse battery"));
        let made = Seed::open_or_create(&path, &entropy).unwrap();
        let light = made.sealed_text(&right, Cost::LIGHT, &entropy).unwrap();
        Seed::replace(&path, &light, &entropy).unwrap();
        assert!(Seed::is_encrypted(&path).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let open = |with| Seed::open_or_create_with(&path, &entropy, with);
        assert_eq!(open(Some(&right)).unwrap().bytes(), made.bytes());
        let locked = open(None).unwrap_err();
        assert!(matches!(locked, SeedError::Locked(_)));
        let wrong = open(Some(&other)).unwrap_err();
        assert!(matches!(wrong, SeedError::WrongPassphrase(_)));
        let digits = hex::encode(made.bytes());
        let file = std::fs::read_to_string(&path).unwrap();
        for text in [&file, &format!("{locked} {locked:?} {wrong} {wrong:?} {right:?}")] {
            assert!(!text.contains(&digits) && !text.contains("horse"), "{text}");
        }
        // Cheaper parameters than those it was made with do not pass: they are part of what is sealed.
        let changed = file.replace("t=1", "t=2");
        assert_ne!(changed, file);
        std::fs::write(&path, changed).unwrap();
        assert!(matches!(open(Some(&right)).unwrap_err(), SeedError::WrongPassphrase(_)));
        std::fs::write(&path, file.replace("m=64", "m=4000000000")).unwrap();
        assert!(matches!(open(Some(&right)).unwrap_err(), SeedError::Malformed(_)));
        std::fs::write(&path, &file).unwrap();
        Seed::decrypt(&path, &right, &entropy).unwrap();
        assert_eq!(Seed::open_or_create(&path, &entropy).unwrap().bytes(), made.bytes());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left behind");
    }

    #[test]
    fn a_seed_never_shows_itself() {
        assert_eq!(format!("{:?}", Seed::from_bytes([7; 32])), "Seed(…)");
    }
}
