//! Signing in with a passkey, alone or after the password, and proving with one who sits there.

use super::challenge::{Asked, use_up};
use super::{Passkey, of_account};
use crate::attempts::standing;
use crate::factors::PER_SECOND_FACTOR;
use crate::service::Device;
use crate::sql::{PASSKEY, SET_ATTEMPTS, UNCONFIRMED_OF, USE_PASSKEY};
use crate::tickets::{self, Purpose, Ticket};
use crate::webauthn::{self, Ceremony, PublicKey, Said};
use crate::{Accounts, AccountsError, Result, Session, names};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gruve_store::{Tx, params, transact};
use gruve_units::{AccountId, Timestamp};

/// What a browser is asked to have signed.
#[derive(Clone, Debug)]
pub struct AssertionAsked {
    /// To be signed; base64url.
    pub challenge: String,
    /// The host that passkeys are bound to.
    pub host: String,
    /// Passkeys that may sign, by id and ways; any of the host's where there are none.
    pub allowed: Vec<(String, Vec<String>)>,
    /// Whether the authenticator must make sure who sits there.
    pub must_verify: bool,
}

/// An answer of a passkey, as a browser hands it over.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// The passkey's id, base64url.
    pub id: String,
    /// `response.clientDataJSON`.
    pub client: Vec<u8>,
    /// `response.authenticatorData`.
    pub authenticator: Vec<u8>,
    /// `response.signature`.
    pub signature: Vec<u8>,
    /// `response.userHandle`; empty where the authenticator gives none.
    pub user: Vec<u8>,
}

/// A passkey with what checks its signatures.
struct Known {
    account: AccountId,
    id: Vec<u8>,
    key: PublicKey,
    count: u32,
}

async fn known(tx: &mut Tx, id: &[u8]) -> Result<Option<Known>> {
    let Some(row) = tx.fetch_optional(PASSKEY, &params![id]).await? else { return Ok(None) };
    let key = PublicKey::stored(row.get("algorithm")?, row.get("public_key")?);
    let key = key.ok_or(AccountsError::Damaged("a passkey's key is of no known kind"))?;
    let (account, count) = (row.get("account")?, row.get("sign_count")?);
    Ok(Some(Known { account, id: id.to_vec(), key, count }))
}

/// Whether a count tells that the key was used elsewhere since: it must grow, unless none is kept.
const fn is_copied(before: u32, now: u32) -> bool {
    (before != 0 || now != 0) && now <= before
}

/// The limit on answers of an account's passkeys that are wrong; 18 bytes: no other subject is as long.
fn subject(account: AccountId) -> Vec<u8> {
    [account.to_bytes().as_slice(), &[3, 0]].concat()
}

fn offered(all: Vec<Passkey>) -> Vec<(String, Vec<String>)> {
    all.into_iter().map(|p| (p.id, p.transports)).collect()
}

impl Accounts {
    async fn asked(
        &self,
        asked: Asked,
        account: Option<AccountId>,
        allowed: Vec<(String, Vec<String>)>,
    ) -> Result<AssertionAsked> {
        let host = self.passkey_site()?.host.clone();
        let key = self.challenge_key().await?;
        let challenge = key.challenge(asked, account, self.now(), self.entropy());
        Ok(AssertionAsked { challenge, host, allowed, must_verify: asked == Asked::SignIn })
    }

    /// Begins to sign in by a passkey alone; with a name, for passkeys that authenticators do not list by
    /// themselves. Whether there is such an account is not told. With an address it is as without anything: what is
    /// offered could tell by its number and kind whose address it is.
    ///
    /// # Errors
    /// [`AccountsError::NoPasskeys`]; the database's.
    pub async fn begin_passkey_sign_in(&self, login: Option<&str>) -> Result<AssertionAsked> {
        let login = login.map(str::trim).filter(|l| !l.is_empty());
        let login = login.filter(|l| l.len() <= names::EMAIL_BYTES_MAX && !l.contains(['\0', '@']));
        let allowed = match login.map(str::to_ascii_lowercase) {
            None => Vec::new(),
            Some(login) => {
                let decoy = self.challenge_key().await?.decoy(&login);
                let found = self.account_of_login(&login).await?;
                let id = found.unwrap_or(AccountId::from_bytes([0; 16]));
                let mut allowed = offered(self.passkeys(id).await?);
                if allowed.is_empty() {
                    allowed = vec![(URL_SAFE_NO_PAD.encode(decoy), vec!["internal".to_owned()])];
                }
                allowed
            }
        };
        self.asked(Asked::SignIn, None, allowed).await
    }

    /// Signs in by a passkey alone, whose authenticator has made sure who sits there.
    ///
    /// # Errors
    /// [`AccountsError::WrongPasskey`]; [`AccountsError::TicketVoid`] when it took too long;
    /// [`AccountsError::NotConfirmed`]; the database's.
    pub async fn sign_in_by_passkey(
        &self,
        given: &Assertion,
        from: impl Into<Device>,
    ) -> Result<Session> {
        let device = from.into();
        let account = self.answered(given, Asked::SignIn, None).await?;
        let now = self.now();
        // Asking anew for the address to be confirmed is no failure of the transaction.
        let opened = transact!(self.store(), tx -> Result<_> => {
            let row = tx.fetch_one(UNCONFIRMED_OF, &params![account]).await?;
            if row.get::<Option<Timestamp>>("unconfirmed_since")?.is_some() {
                self.ask_to_confirm(tx, account, now).await?;
                return Ok(None);
            }
            self.open_session(tx, account, &device, now).await.map(Some)
        })?;
        opened.ok_or(AccountsError::NotConfirmed)
    }

    /// Begins the second step of signing in with a passkey, after the password was right.
    ///
    /// # Errors
    /// [`AccountsError::TicketVoid`], [`AccountsError::NoPasskeys`]; the database's.
    pub async fn begin_passkey_second(&self, ticket: &Ticket) -> Result<AssertionAsked> {
        let (account, allowed) = {
            let mut tx = self.store().read().await?;
            let held = tickets::look(&mut tx, &ticket.0, Purpose::Second, self.now()).await?;
            let account = held.ok_or(AccountsError::TicketVoid)?.account;
            (account, offered(of_account(&mut tx, account).await?))
        };
        self.asked(Asked::Second, Some(account), allowed).await
    }

    /// Goes on signing in with a passkey, after the password was right.
    ///
    /// # Errors
    /// [`AccountsError::WrongPasskey`], [`AccountsError::TicketVoid`]; the database's.
    pub async fn sign_in_second_by_passkey(
        &self,
        ticket: &Ticket,
        given: &Assertion,
        from: impl Into<Device>,
    ) -> Result<Session> {
        let device = from.into();
        let now = self.now();
        let held = {
            let mut tx = self.store().read().await?;
            tickets::look(&mut tx, &ticket.0, Purpose::Second, now).await?
        };
        let account = held.ok_or(AccountsError::TicketVoid)?.account;
        self.answered(given, Asked::Second, Some(account)).await?;
        transact!(self.store(), tx -> Result<_> => {
            let held = tickets::take(tx, &ticket.0, Purpose::Second, now).await?;
            held.ok_or(AccountsError::TicketVoid)?;
            self.open_session(tx, account, &device, now).await
        })
    }

    /// Begins to prove with a passkey who sits there.
    ///
    /// # Errors
    /// [`AccountsError::NoPasskeys`]; the database's.
    pub async fn begin_passkey_proof(&self, account: AccountId) -> Result<AssertionAsked> {
        let allowed = offered(self.passkeys(account).await?);
        self.asked(Asked::Proof, Some(account), allowed).await
    }

    /// Proves with a passkey who sits there: gives what stands in for a code, once and within five minutes.
    ///
    /// # Errors
    /// [`AccountsError::WrongPasskey`], [`AccountsError::TicketVoid`]; the database's.
    pub async fn prove_by_passkey(&self, account: AccountId, given: &Assertion) -> Result<Ticket> {
        self.answered(given, Asked::Proof, Some(account)).await?;
        let now = self.now();
        transact!(self.store(), tx -> Result<_> => {
            tickets::issue(tx, account, Purpose::Proof, "", now, self.entropy()).await
        })
    }

    /// Whose passkey has answered a challenge of this kind, rightly and for the first time.
    async fn answered(
        &self,
        given: &Assertion,
        asked: Asked,
        account: Option<AccountId>,
    ) -> Result<AccountId> {
        let site = self.passkey_site()?.site();
        let now = self.now();
        let refused = |reason: &'static str| AccountsError::WrongPasskey(reason);
        let challenge = webauthn::challenge(&given.client, Ceremony::Get, site).map_err(refused)?;
        let key = self.challenge_key().await?;
        let ends = key.ends(&challenge, asked, account, now).ok_or(AccountsError::TicketVoid)?;
        let id = super::id_bytes(&given.id).ok_or(refused("this passkey is not known here"))?;
        let found = known(&mut self.store().read().await?, &id).await?;
        let found = found.ok_or(refused("this passkey is not known here"))?;
        let is_theirs = account.is_none_or(|a| a == found.account)
            && (given.user.is_empty() || given.user == found.account.to_bytes());
        if !is_theirs {
            return Err(refused("this passkey is not the account's"));
        }
        let (says, client) = (&given.authenticator, &given.client);
        let said = webauthn::asserted(&found.key, says, client, &given.signature, site);
        let said = match said {
            Ok(said) if asked == Asked::SignIn && !said.is_verified => {
                return Err(refused("the device did not make sure who sits there"));
            }
            Ok(said) => said,
            Err(reason) => {
                self.note_refused(found.account, now).await?;
                return Err(refused(reason));
            }
        };
        self.count_signature(&found, said, &challenge, ends, now).await?;
        Ok(found.account)
    }

    /// Writes down that a passkey has signed: its count must have grown, its challenge be unused.
    async fn count_signature(
        &self,
        found: &Known,
        said: Said,
        challenge: &str,
        ends: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let counted = transact!(self.store(), tx -> Result<_> => {
            if !use_up(tx, challenge, ends, now).await? {
                return Err(AccountsError::TicketVoid);
            }
            let row = params![found.id.clone(), i64::from(said.count), now, i64::from(said.is_synced)];
            let grown = !is_copied(found.count, said.count)
                && tx.execute(USE_PASSKEY, &row).await? == 1;
            if grown {
                self.factor_is_there(tx, found.account, now).await?;
            } else {
                let what = "A passkey of your account was refused: it looks like a copy of it was used. Remove it, \
                            and add it anew, unless you know better.";
                self.tell(tx, found.account, what, now).await?;
                self.record(tx, now, found.account, "passkey.copied").await?;
            }
            Ok(grown)
        })?;
        if counted {
            Ok(())
        } else {
            Err(AccountsError::WrongPasskey("its count of signatures did not grow"))
        }
    }

    /// Writes down a wrong answer; so many lines, not more.
    async fn note_refused(&self, account: AccountId, now: Timestamp) -> Result<()> {
        let subject = subject(account);
        transact!(self.store(), tx -> Result<_> => {
            let Ok(until) = standing(tx, &subject, PER_SECOND_FACTOR, now).await else {
                return Ok(());
            };
            tx.execute(SET_ATTEMPTS, &params![subject.clone(), until]).await?;
            self.record(tx, now, account, "passkey.refused").await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::is_copied;

    #[test]
    fn a_count_must_grow_unless_none_is_kept() {
        assert!(!is_copied(0, 0));
        assert!(!is_copied(0, 1));
        assert!(!is_copied(7, 8));
        assert!(is_copied(7, 7) && is_copied(7, 6) && is_copied(7, 0));
    }
}
