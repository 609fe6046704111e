//! Adding a passkey.

use super::challenge::{Asked, use_up};
use super::{PASSKEYS_MAX, Passkey, TRANSPORT_CHARS_MAX, count, name_of, of_account};
use crate::service::Device;
use crate::sql::{ADD_PASSKEY, COUNT_RECOVERY};
use crate::webauthn::{self, Algorithm, Ceremony};
use crate::{Accounts, AccountsError, Result, factors};
use gruve_store::{params, transact};
use gruve_units::AccountId;

/// What a browser is asked for a new passkey.
#[derive(Clone, Debug)]
pub struct PasskeyAsked {
    /// To be signed; base64url.
    pub challenge: String,
    /// The host that the passkey is bound to.
    pub host: String,
    /// The house's name.
    pub house: String,
    /// What the authenticator knows the account by.
    pub user: [u8; 16],
    /// The account's name, shown by the authenticator.
    pub name: String,
    /// Kinds of keys taken, by their COSE numbers, the most wanted first.
    pub algorithms: Vec<i64>,
    /// The account's passkeys, which an authenticator does not make twice.
    pub has: Vec<Passkey>,
}

/// A new passkey as a browser hands it over.
#[derive(Clone, Debug)]
pub struct NewPasskey {
    /// What its owner calls it.
    pub name: String,
    /// `response.clientDataJSON`.
    pub client: Vec<u8>,
    /// `response.getAuthenticatorData()`.
    pub authenticator: Vec<u8>,
    /// `response.getTransports()`, divided by commas.
    pub transports: String,
}

/// The ways that browsers name, of what one has said.
fn transports(text: &str) -> String {
    let plain = |t: &&str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let mut out = String::new();
    for one in text.split(',').filter(plain) {
        if out.len() + one.len() < TRANSPORT_CHARS_MAX {
            out += if out.is_empty() { "" } else { "," };
            out += one;
        }
    }
    out
}

impl Accounts {
    /// Begins to add a passkey: proves who sits there, and says what the browser is to ask for.
    ///
    /// # Errors
    /// [`AccountsError::NoPasskeys`], [`AccountsError::TooManyPasskeys`]; as [`Accounts::prove`].
    pub async fn begin_passkey(
        &self,
        account: AccountId,
        proof: (&str, &str),
        from: impl Into<Device>,
    ) -> Result<PasskeyAsked> {
        let rules = self.passkey_site()?;
        self.prove(account, proof.0, Some(proof.1), from).await?;
        let has = self.passkeys(account).await?;
        if i64::try_from(has.len()).unwrap_or(i64::MAX) >= PASSKEYS_MAX {
            return Err(AccountsError::TooManyPasskeys);
        }
        let (key, now) = (self.challenge_key().await?, self.now());
        let challenge = key.challenge(Asked::Register, Some(account), now, self.entropy());
        Ok(PasskeyAsked {
            challenge,
            host: rules.host.clone(),
            house: rules.house.clone(),
            user: account.to_bytes(),
            name: self.name_of(account).await?.ok_or(AccountsError::NoAccount)?,
            algorithms: Algorithm::ALL.map(Algorithm::number).to_vec(),
            has,
        })
    }

    /// Adds a passkey that was asked for. Gives the codes for a lost device where it is the account's first
    /// factor; they are not shown again.
    ///
    /// # Errors
    /// [`AccountsError::BadPasskey`] with the reason, [`AccountsError::BadPasskeyName`],
    /// [`AccountsError::TicketVoid`] when it took too long, [`AccountsError::TooManyPasskeys`].
    pub async fn add_passkey(&self, account: AccountId, new: &NewPasskey) -> Result<Vec<String>> {
        let site = self.passkey_site()?.site();
        let name = name_of(&new.name)?;
        let challenge = webauthn::challenge(&new.client, Ceremony::Create, site);
        let challenge = challenge.map_err(AccountsError::BadPasskey)?;
        let (key, now) = (self.challenge_key().await?, self.now());
        let ends = key.ends(&challenge, Asked::Register, Some(account), now);
        let ends = ends.ok_or(AccountsError::TicketVoid)?;
        let made = webauthn::registered(&new.authenticator, site);
        let made = made.map_err(AccountsError::BadPasskey)?;
        let codes = self.recovery_codes();
        transact!(self.store(), tx -> Result<_> => {
            if !use_up(tx, &challenge, ends, now).await? {
                return Err(AccountsError::TicketVoid);
            }
            if i64::from(count(tx, account).await?) >= PASSKEYS_MAX {
                return Err(AccountsError::TooManyPasskeys);
            }
            let (algorithm, ways) = (made.key.algorithm().number(), transports(&new.transports));
            let row = params![
                made.id.clone(), account, &name, algorithm, made.key.bytes(),
                i64::from(made.said.count), i64::from(made.said.is_synced), &ways, now
            ];
            if tx.execute(ADD_PASSKEY, &row).await? == 0 {
                return Err(AccountsError::BadPasskey("this passkey is here already"));
            }
            let left: i64 = tx.fetch_one(COUNT_RECOVERY, &params![account]).await?.get("n")?;
            let is_first = of_account(tx, account).await?.len() == 1 && left == 0;
            if is_first {
                factors::set_recovery(tx, account, &codes).await?;
            }
            self.tell(tx, account, "A passkey was added to your account.", now).await?;
            self.record(tx, now, account, "passkey.added").await?;
            Ok(if is_first { codes.clone() } else { Vec::new() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::transports;

    #[test]
    fn of_what_a_browser_says_of_ways_only_plain_words_are_kept() {
        assert_eq!(transports("internal,hybrid"), "internal,hybrid");
        assert_eq!(transports("usb,<b>,,smart-card"), "usb,smart-card");
        assert!(transports(&"usb,".repeat(100)).len() <= 80);
    }
}
