//! Challenges: made of a secret of the house's, so that asking for one writes nothing, and known again when
//! they are answered. A right answer is written down until its challenge is too old, so that it counts once.

use crate::sql::{ADD_CHALLENGE_KEY, CHALLENGE_KEY, FORGET_CHALLENGES, USE_CHALLENGE};
use crate::{AccountsError, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Duration, Entropy, Timestamp};
use ring::hmac;
use sha2::{Digest, Sha256};

/// How long a challenge may be answered: as long as browsers wait for a finger.
pub(super) const CHALLENGE_LIFE: Duration = Duration::from_secs(300);

/// What a challenge is for. One for another purpose is no challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A new passkey of an account.
    Register,
    /// To sign in with nothing else.
    SignIn,
    /// A second factor of an account.
    Second,
    /// To prove again who sits there.
    Proof,
}

impl Asked {
    const fn word(self) -> u8 {
        match self {
            Asked::Register => 1,
            Asked::SignIn => 2,
            Asked::Second => 3,
            Asked::Proof => 4,
        }
    }
}

/// The secret that challenges are made of; made when it is first needed.
pub(super) struct ChallengeKey(hmac::Key);

/// Bytes: 16 by chance, 8 of time, 16 of the tag.
const BYTES: usize = 40;

impl ChallengeKey {
    /// Reads it, or `None` where there is none yet.
    pub(super) async fn read(tx: &mut Tx) -> Result<Option<ChallengeKey>> {
        let Some(row) = tx.fetch_optional(CHALLENGE_KEY, &[]).await? else { return Ok(None) };
        let secret: [u8; 32] = row.get("secret")?;
        Ok(Some(ChallengeKey(hmac::Key::new(hmac::HMAC_SHA256, &secret))))
    }

    /// Makes it, unless somebody else just has.
    pub(super) async fn make(tx: &mut Tx, entropy: &dyn Entropy) -> Result<ChallengeKey> {
        let mut secret = [0_u8; 32];
        entropy.fill(&mut secret);
        tx.execute(ADD_CHALLENGE_KEY, &params![secret]).await?;
        let made = ChallengeKey::read(tx).await?;
        made.ok_or(AccountsError::Damaged("a secret that was written is not there"))
    }

    fn tag(&self, asked: Asked, account: Option<AccountId>, front: &[u8]) -> [u8; 16] {
        let mut said = vec![asked.word(), u8::from(account.is_some())];
        said.extend(account.map(|a| a.to_bytes()).unwrap_or_default());
        said.extend(front);
        let tag = hmac::sign(&self.0, &said);
        let mut out = [0; 16];
        out.copy_from_slice(&tag.as_ref()[..16]);
        out
    }

    /// A new challenge; for `account` alone where one is named.
    pub(super) fn challenge(
        &self,
        asked: Asked,
        account: Option<AccountId>,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> String {
        let mut front = [0_u8; 24];
        entropy.fill(&mut front[..16]);
        front[16..].copy_from_slice(&now.plus(CHALLENGE_LIFE).0.to_be_bytes());
        let tag = self.tag(asked, account, &front);
        URL_SAFE_NO_PAD.encode([front.as_slice(), &tag].concat())
    }

    /// When a challenge ends, if it is one of the house's that may be answered now.
    pub(super) fn ends(
        &self,
        text: &str,
        asked: Asked,
        account: Option<AccountId>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|b| b.len() == BYTES)?;
        let (front, tag) = bytes.split_at(24);
        let wanted = self.tag(asked, account, front);
        let right: bool = subtle::ConstantTimeEq::ct_eq(tag, wanted.as_slice()).into();
        let ends = Timestamp(i64::from_be_bytes(front[16..].try_into().ok()?));
        (right && now < ends).then_some(ends)
    }

    /// Which cell of attempts a name belongs to that nobody has.
    pub(super) fn cell(&self, login: &str) -> [u8; 2] {
        let tag = hmac::sign(&self.0, &[b"cell 1\0", login.as_bytes()].concat());
        [tag.as_ref()[0], tag.as_ref()[1]]
    }

    /// Ids that could be an account's, for one that has none: the same at each asking.
    pub(super) fn decoy(&self, login: &str) -> Vec<u8> {
        let one = hmac::sign(&self.0, &[b"decoy 1\0", login.as_bytes()].concat());
        let two = hmac::sign(&self.0, &[b"decoy 2\0", login.as_bytes()].concat());
        // The lengths that phones and security keys use.
        let length = [16, 20, 32, 64][usize::from(one.as_ref()[31] & 3)];
        [two.as_ref(), one.as_ref()].concat()[..length].to_vec()
    }
}

/// Uses a challenge up; whether nobody had.
pub(super) async fn use_up(
    tx: &mut Tx,
    text: &str,
    ends: Timestamp,
    now: Timestamp,
) -> Result<bool> {
    tx.execute(FORGET_CHALLENGES, &params![now]).await?;
    let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    Ok(tx.execute(USE_CHALLENGE, &params![hash, ends]).await? == 1)
}
