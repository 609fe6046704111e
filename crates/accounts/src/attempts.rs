//! Limiting attempts to sign in.
//!
//! Three limits hold, each a row with the instant at which its attempts will have been worked off (the
//! generic cell rate algorithm: one integer a subject):
//!
//! | limit | counted together | so that |
//! |---|---|---|
//! | [`PER_NETWORK`] | a name from one network | a stranger who guesses holds up nobody but those beside him |
//! | [`PER_NAME`] | a name from everywhere, networks apart from which the account has signed in before | guessing from many networks is slow, and the customer does not feel it |
//! | [`NAMES_PER_NETWORK`] | all names from one network, accounts apart that have signed in from there before | trying one password on many names is slow, too |
//!
//! A network is an IPv4 /24 or an IPv6 /48; unknown addresses are one network. An attempt is counted
//! before the password is checked, so that many at once gain nothing. The name's subject is the
//! account; for names that do not exist it is one of 65,536 cells, so that a missing limit does not
//! show that a name does not exist. Which names share a cell, only the house can tell: whoever could
//! compute it would fill a cell under one name and see by another whether that one shares it, or is
//! an account's. A success clears the network's count. What has been worked off
//! counts for nothing and is removed bit by bit.

use crate::sql::{
    ATTEMPTS_OF, CLEAR_ATTEMPTS, FORGET_NETWORKS, FORGET_WORKED_OFF, GIVE_BACK_ATTEMPT,
    HAS_NETWORKS, IS_KNOWN_NETWORK, KNOW_NETWORK, SET_ATTEMPTS,
};
use crate::{AccountsError, Result};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Duration, Timestamp};
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// How many attempts are heard: so many at once, then one in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptLimit {
    /// Attempts heard in quick succession.
    pub at_once: u32,
    /// How long it takes until one more is heard.
    pub interval: Duration,
}

/// Under one name from one network: more at once than a person with several passwords in mind
/// needs; then some thousand guesses a day.
pub const PER_NETWORK: AttemptLimit =
    AttemptLimit { at_once: 10, interval: Duration::from_secs(90) };

/// Under one name from all networks that the account has not signed in from: a hundred guesses in any hour (OWASP
/// ASVS 2.2.1), however many machines guess, some fourteen hundred a day.
pub const PER_NAME: AttemptLimit = AttemptLimit { at_once: 40, interval: Duration::from_secs(60) };

/// Accounts opened from one network: a class or an office at once, then thirty an hour; far below
/// [`SIGN_UPS_PER_HOUR_MAX`](crate::SIGN_UPS_PER_HOUR_MAX), so that one network cannot close the door to all.
pub const SIGN_UPS_PER_NETWORK: AttemptLimit =
    AttemptLimit { at_once: 30, interval: Duration::from_secs(120) };

/// Under all names from one network: a school's morning at once, then a hundred an hour. What succeeds is given back,
/// and accounts that have signed in from there before are not counted: whoever sits beside a guesser, or behind the
/// same proxy, gets in.
pub const NAMES_PER_NETWORK: AttemptLimit =
    AttemptLimit { at_once: 100, interval: Duration::from_secs(36) };

/// Messages that anybody in one network may have sent, whoever they go to: a forgetful office at once, then one in two
/// minutes.
pub const LETTERS_PER_NETWORK: AttemptLimit =
    AttemptLimit { at_once: 20, interval: Duration::from_secs(120) };

/// Messages to an owner that somebody has signed in from a network that is new: a journey at once, then one an hour.
/// Whoever has the password and many networks could otherwise fill the owner's place in the outbox with them, and no
/// message that something is to be done with would go out; each sign-in stands under Security all the same.
pub const SIGN_INS_TOLD: AttemptLimit =
    AttemptLimit { at_once: 5, interval: Duration::from_secs(3600) };

/// Networks remembered for an account; the longest unused is forgotten first.
pub const NETWORKS_KNOWN_MAX: u32 = 16;

/// A network from which nobody has signed in for so long is forgotten.
pub const NETWORK_KNOWN: Duration = Duration::from_secs(90 * 24 * 3600);

/// Rows that have been worked off and are removed with whatever adds some, which are at most three.
const REMOVED_AT_ONCE: u32 = 8;

/// Who tries, and from where.
pub(crate) struct Attempt {
    account: Option<AccountId>,
    network: Vec<u8>,
    name_subject: Vec<u8>,
    network_subject: Vec<u8>,
    /// Of the network over all names; none where the address is not known: it would be everybody's.
    names_subject: Option<Vec<u8>>,
}

impl Attempt {
    /// At an account.
    pub(crate) fn at(account: AccountId, from: Option<IpAddr>) -> Attempt {
        Attempt::new(Some(account), account.to_bytes().to_vec(), from)
    }

    /// At a name that nobody has; `cell` is the house's for it. Two bytes: no account's id has that length.
    pub(crate) fn at_nobody(cell: [u8; 2], from: Option<IpAddr>) -> Attempt {
        Attempt::new(None, cell.to_vec(), from)
    }

    fn new(account: Option<AccountId>, name_subject: Vec<u8>, from: Option<IpAddr>) -> Attempt {
        let network = network_of(from);
        let both = Sha256::new().chain_update(&name_subject).chain_update([0]);
        // 20 bytes: a length that no name's subject has.
        let network_subject = both.chain_update(&network).finalize()[..20].to_vec();
        // 23 bytes: no other subject has that length.
        let names_subject = from.is_some().then(|| subject_of(b"names", &network, 23));
        Attempt { account, network, name_subject, network_subject, names_subject }
    }

    /// Counts it.
    pub(crate) async fn count(&self, tx: &mut Tx, now: Timestamp) -> Result<()> {
        let network = standing(tx, &self.network_subject, PER_NETWORK, now).await?;
        let is_known = self.is_known(tx, now).await?;
        let name = match is_known {
            true => None,
            false => Some(standing(tx, &self.name_subject, PER_NAME, now).await?),
        };
        let names = match self.names_subject.as_ref().filter(|_| !is_known) {
            Some(subject) => Some(standing(tx, subject, NAMES_PER_NETWORK, now).await?),
            None => None,
        };
        // Only an attempt that is heard counts, and then under both limits.
        tx.execute(SET_ATTEMPTS, &params![self.network_subject.clone(), network]).await?;
        if let Some(name) = name {
            tx.execute(SET_ATTEMPTS, &params![self.name_subject.clone(), name]).await?;
        }
        if let Some((subject, names)) = self.names_subject.as_ref().zip(names) {
            tx.execute(SET_ATTEMPTS, &params![subject.clone(), names]).await?;
        }
        Ok(())
    }

    /// It failed: removes a few rows that count for nothing any more.
    pub(crate) async fn failed(&self, tx: &mut Tx, now: Timestamp) -> Result<()> {
        tx.execute(FORGET_WORKED_OFF, &params![now, REMOVED_AT_ONCE]).await?;
        Ok(())
    }

    /// It succeeded, and somebody is signed in by it: the network is known from now on, and its count cleared.
    pub(crate) async fn signed_in(
        &self,
        tx: &mut Tx,
        account: AccountId,
        now: Timestamp,
    ) -> Result<()> {
        self.succeeded(tx, now).await?;
        tx.execute(KNOW_NETWORK, &params![account, self.network.clone(), now]).await?;
        let since = now.minus(NETWORK_KNOWN);
        tx.execute(FORGET_NETWORKS, &params![account, since, NETWORKS_KNOWN_MAX]).await?;
        Ok(())
    }

    /// It succeeded: its count is cleared. The network is not known by that: nobody is told of a proof given within
    /// a session, and whoever has stolen one would sign in unnoticed afterwards.
    pub(crate) async fn succeeded(&self, tx: &mut Tx, now: Timestamp) -> Result<()> {
        tx.execute(CLEAR_ATTEMPTS, &params![self.network_subject.clone()]).await?;
        if let Some(subject) = self.names_subject.as_ref()
            && !self.is_known(tx, now).await?
        {
            let back = i64::try_from(NAMES_PER_NETWORK.interval.as_micros()).unwrap_or(0);
            tx.execute(GIVE_BACK_ATTEMPT, &params![subject.clone(), back]).await?;
        }
        Ok(())
    }

    /// Whether the account has signed in before, and never from this network of late.
    pub(crate) async fn is_from_elsewhere(
        &self,
        tx: &mut Tx,
        account: AccountId,
        now: Timestamp,
    ) -> Result<bool> {
        let has_any = tx.fetch_optional(HAS_NETWORKS, &params![account]).await?.is_some();
        Ok(has_any && !self.is_known(tx, now).await?)
    }

    async fn is_known(&self, tx: &mut Tx, now: Timestamp) -> Result<bool> {
        let Some(account) = self.account else { return Ok(false) };
        let key = params![account, self.network.clone(), now.minus(NETWORK_KNOWN)];
        Ok(tx.fetch_optional(IS_KNOWN_NETWORK, &key).await?.is_some())
    }
}

/// When a subject's attempts will have been worked off if one more is heard now.
pub(crate) async fn standing(
    tx: &mut Tx,
    subject: &[u8],
    limit: AttemptLimit,
    now: Timestamp,
) -> Result<Timestamp> {
    let most = limit.interval * limit.at_once;
    let row = tx.fetch_optional(ATTEMPTS_OF, &params![subject]).await?;
    let stored: Timestamp = row.map(|r| r.get("worked_off_at")).transpose()?.unwrap_or(now);
    // No row reaches further ahead than `most` unless the clock has gone back since. One that tells of more than twice
    // that counts for nothing: nobody is locked out for as long as a clock was wrong.
    let begins = if stored > now.plus(most * 2) { now } else { stored.clamp(now, now.plus(most)) };
    let worked_off = begins.plus(limit.interval);
    if worked_off > now.plus(most) {
        let retry_after = worked_off.since(now.plus(most));
        return Err(AccountsError::TooManyAttempts { retry_after });
    }
    Ok(worked_off)
}

/// What is counted of a network, under a length that nothing else has.
fn subject_of(what: &[u8], network: &[u8], length: usize) -> Vec<u8> {
    let hash = Sha256::new().chain_update(what).chain_update(network).finalize();
    hash.iter().copied().take(length).collect()
}

/// Counts an account that is opened from an address.
pub(crate) async fn count_sign_up(tx: &mut Tx, from: IpAddr, now: Timestamp) -> Result<()> {
    // 22 bytes: no other subject has that length.
    let subject = subject_of(b"sign-up", &network_of(Some(from)), 22);
    count_of(tx, subject, SIGN_UPS_PER_NETWORK, now).await
}

/// Counts a message that somebody at an address has sent to another.
pub(crate) async fn count_letter(tx: &mut Tx, from: IpAddr, now: Timestamp) -> Result<()> {
    // 24 bytes: no other subject has that length.
    let subject = subject_of(b"letter", &network_of(Some(from)), 24);
    count_of(tx, subject, LETTERS_PER_NETWORK, now).await
}

/// Whether an owner is told of one more sign-in from a new network; it counts then.
pub(crate) async fn may_tell_of_sign_in(
    tx: &mut Tx,
    account: AccountId,
    now: Timestamp,
) -> Result<bool> {
    // 25 bytes: no other subject has that length.
    let subject = subject_of(b"sign-in told", &account.to_bytes(), 25);
    match count_of(tx, subject, SIGN_INS_TOLD, now).await {
        Ok(()) => Ok(true),
        Err(AccountsError::TooManyAttempts { .. }) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Counts one more of a subject, and removes a few rows that count for nothing any more: whoever may add rows
/// without a password must not fill the table with them.
pub(crate) async fn count_of(
    tx: &mut Tx,
    subject: Vec<u8>,
    limit: AttemptLimit,
    now: Timestamp,
) -> Result<()> {
    let until = standing(tx, &subject, limit, now).await?;
    tx.execute(SET_ATTEMPTS, &params![subject, until]).await?;
    tx.execute(FORGET_WORKED_OFF, &params![now, REMOVED_AT_ONCE]).await?;
    Ok(())
}

/// The network of an address: what one customer of a provider may hold.
pub(crate) fn network_of(address: Option<IpAddr>) -> Vec<u8> {
    match address.map(|a| a.to_canonical()) {
        Some(IpAddr::V4(a)) => a.octets()[..3].to_vec(),
        Some(IpAddr::V6(a)) => a.octets()[..6].to_vec(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_what_one_customer_of_a_provider_holds() {
        let of = |text: &str| network_of(Some(text.parse().unwrap()));
        assert_eq!(of("192.0.2.1"), of("192.0.2.254"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.9"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:ffff::4"));
        assert_ne!(of("2001:db8:1::1"), of("2001:db8:2::1"));
        assert_ne!(of("0.0.0.0"), network_of(None));
    }
}
