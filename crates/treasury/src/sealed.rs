//! Thirty-two secret bytes under a passphrase.
//!
//! The key comes from the passphrase by Argon2id (RFC 9106) with a salt of its own; the bytes are sealed with
//! ChaCha20-Poly1305 (RFC 8439) and the two lines before them as associated data, so that nobody can lower the
//! cost of guessing without being noticed. Format, a line each:
//!
//! ```text
//! argon2id m=65536 t=3 p=1 salt=<32 hex digits>
//! chacha20-poly1305 nonce=<24 hex digits> box=<96 hex digits>
//! ```
//!
//! It must not know files, or what the bytes are for.

use argon2::{Algorithm, Argon2, Params, Version};
use gruve_units::Entropy;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// Fewest characters of a passphrase. A file that is stolen is guessed at without limit; what protects it is
/// the passphrase's length.
const CHARS_MIN: usize = 12;

/// Bytes of a passphrase at most: a file with more is some other file.
const BYTES_MAX: usize = 1_024;

/// Bounds of what a file may ask for: a gigabyte and some seconds.
const COST_MAX: Cost = Cost { kib: 1 << 20, passes: 16, lanes: 8 };

/// A passphrase. `Debug` shows nothing of it, and its memory is wiped.
pub struct Passphrase(Zeroizing<String>);

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

impl Passphrase {
    /// A passphrase, without the end of its line.
    ///
    /// # Errors
    /// What is wrong with it, when it is too short or too long.
    pub fn new(text: &str) -> Result<Passphrase, crate::SeedError> {
        let text = text.trim_end_matches(['\r', '\n']);
        if text.chars().count() < CHARS_MIN {
            return Err(crate::SeedError::Passphrase("write at least 12 characters"));
        }
        if text.len() > BYTES_MAX {
            return Err(crate::SeedError::Passphrase("write at most 1,024 bytes"));
        }
        Ok(Passphrase(Zeroizing::new(text.to_owned())))
    }
}

/// What guessing costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// The second recommended option of RFC 9106, section 4: 64 MiB, three passes.
    pub(crate) const USUAL: Cost = Cost { kib: 64 * 1_024, passes: 3, lanes: 1 };

    /// For tests only.
    #[cfg(test)]
    pub(crate) const LIGHT: Cost = Cost { kib: 64, passes: 1, lanes: 1 };
}

/// Why something sealed did not open.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SealError {
    Malformed,
    Wrong,
    Passphrase(&'static str),
}

fn key(passphrase: &Passphrase, salt: &[u8], cost: Cost) -> Result<LessSafeKey, SealError> {
    let params = Params::new(cost.kib, cost.passes, cost.lanes, Some(32));
    let argon =
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params.map_err(|_| SealError::Malformed)?);
    let mut bytes = Zeroizing::new([0_u8; 32]);
    argon
        .hash_password_into(passphrase.0.as_bytes(), salt, bytes.as_mut_slice())
        .map_err(|_| SealError::Passphrase("not enough memory to try it"))?;
    let key = UnboundKey::new(&CHACHA20_POLY1305, bytes.as_slice());
    key.map(LessSafeKey::new).map_err(|_| SealError::Malformed)
}

fn aad(first_line: &str, cost_line: &str) -> Vec<u8> {
    format!("{first_line}\n{cost_line}\n").into_bytes()
}

/// Seals `secret`; gives two lines. `first_line` is what will stand before them.
pub(crate) fn seal(
    secret: &[u8; 32],
    passphrase: &Passphrase,
    cost: Cost,
    first_line: &str,
    entropy: &dyn Entropy,
) -> Result<String, SealError> {
    let (mut salt, mut nonce) = ([0_u8; 16], [0_u8; NONCE_LEN]);
    entropy.fill(&mut salt);
    entropy.fill(&mut nonce);
    let Cost { kib, passes, lanes } = cost;
    let line = format!("argon2id m={kib} t={passes} p={lanes} salt={}", hex::encode(salt));
    let key = key(passphrase, &salt, cost)?;
    let mut sealed = Zeroizing::new(secret.to_vec());
    // Room for the tag, so that no copy of the secret is left behind.
    sealed.reserve_exact(16);
    let aad = Aad::from(aad(first_line, &line));
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut *sealed)
        .map_err(|_| SealError::Malformed)?;
    let (nonce, sealed) = (hex::encode(nonce), hex::encode(&*sealed));
    Ok(format!("{line}\nchacha20-poly1305 nonce={nonce} box={sealed}\n"))
}

/// Opens what [`seal`] made.
pub(crate) fn open(
    lines: &str,
    passphrase: &Passphrase,
    first_line: &str,
) -> Result<Zeroizing<[u8; 32]>, SealError> {
    let (line, rest) = lines.split_once('\n').ok_or(SealError::Malformed)?;
    let (cost, salt) = read_cost(line).ok_or(SealError::Malformed)?;
    let (nonce, mut sealed) = read_box(rest).ok_or(SealError::Malformed)?;
    let key = key(passphrase, &salt, cost)?;
    let aad = Aad::from(aad(first_line, line));
    let opened = key.open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut sealed);
    let opened = opened.map_err(|_| SealError::Wrong)?;
    let mut secret = Zeroizing::new([0_u8; 32]);
    secret.copy_from_slice(opened.get(..32).ok_or(SealError::Malformed)?);
    Ok(secret)
}

fn read_cost(line: &str) -> Option<(Cost, [u8; 16])> {
    let mut words = line.strip_prefix("argon2id ")?.split(' ');
    let mut number = |name: &str| words.next()?.strip_prefix(name)?.parse::<u32>().ok();
    let cost = Cost { kib: number("m=")?, passes: number("t=")?, lanes: number("p=")? };
    let mut salt = [0; 16];
    hex::decode_to_slice(words.next()?.strip_prefix("salt=")?, &mut salt).ok()?;
    let is_bounded =
        cost.kib <= COST_MAX.kib && cost.passes <= COST_MAX.passes && cost.lanes <= COST_MAX.lanes;
    (is_bounded && words.next().is_none()).then_some((cost, salt))
}

fn read_box(rest: &str) -> Option<([u8; NONCE_LEN], Zeroizing<Vec<u8>>)> {
    let line = rest.strip_suffix('\n')?;
    let (nonce, sealed) = line.strip_prefix("chacha20-poly1305 nonce=")?.split_once(" box=")?;
    let mut bytes = [0; NONCE_LEN];
    hex::decode_to_slice(nonce, &mut bytes).ok()?;
    Some((bytes, Zeroizing::new(hex::decode(sealed).ok()?)))
}
