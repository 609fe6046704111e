//! Passkeys between browsers or programs and the accounts' room: the same bytes come from forms and as JSON.

use crate::api::{Time, time};
use crate::failure::{Failure, sentence};
use crate::openapi::answers;
use crate::state::accounts_failure;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gruve_accounts::{AccountsError, Assertion, AssertionAsked, NewPasskey, Passkey, PasskeyAsked};
use serde::Deserialize;

/// A new passkey as it is sent: bytes in base64url.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Made {
    name: String,
    client: String,
    authenticator: String,
    #[serde(default)]
    transports: String,
    /// A form's token, which the gate has looked at.
    #[serde(default, rename = "csrf")]
    _csrf: String,
}

/// A passkey's answer as it is sent: bytes in base64url.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signed {
    pub(crate) id: String,
    pub(crate) client: String,
    pub(crate) authenticator: String,
    pub(crate) signature: String,
    #[serde(default)]
    pub(crate) user: String,
    /// A form's token, which the gate has looked at.
    #[serde(default, rename = "csrf")]
    pub(crate) _csrf: String,
}

/// Bytes of base64url without padding.
fn bytes(text: &str) -> Result<Vec<u8>, Failure> {
    let wrong = |_| Failure::bad_request("Something of the passkey is not base64url.");
    URL_SAFE_NO_PAD.decode(text).map_err(wrong)
}

impl Made {
    pub(crate) fn read(self) -> Result<NewPasskey, Failure> {
        Ok(NewPasskey {
            name: self.name,
            client: bytes(&self.client)?,
            authenticator: bytes(&self.authenticator)?,
            transports: self.transports,
        })
    }
}

impl Signed {
    pub(crate) fn read(self) -> Result<Assertion, Failure> {
        Ok(Assertion {
            id: self.id,
            client: bytes(&self.client)?,
            authenticator: bytes(&self.authenticator)?,
            signature: bytes(&self.signature)?,
            user: bytes(&self.user)?,
        })
    }
}

answers! {
    /// What an authenticator is to be asked for.
    struct PasskeyCreation {
        /// To be signed over, base64url.
        challenge: String,
        /// The host that it is for.
        host: String,
        /// The house's name.
        house: String,
        /// The account as authenticators know it, base64url.
        user: String,
        /// The account's name.
        name: String,
        /// Algorithms that are taken, by their numbers.
        algorithms: Vec<i64>,
        /// Passkeys that the account has.
        has: Vec<PasskeyKnown>,
    }

    /// What an authenticator is to sign.
    struct PasskeyAssertion {
        /// To be signed, base64url.
        challenge: String,
        /// The host that it is for.
        host: String,
        /// Passkeys that may sign; any where there are none.
        allowed: Vec<PasskeyKnown>,
        /// Whether the authenticator must have known its user.
        must_verify: bool,
    }

    /// A passkey that the house knows.
    struct PasskeyKnown {
        /// Its id, base64url.
        id: String,
        /// How it is reached.
        transports: Vec<String>,
    }

    /// A passkey of the account.
    struct PasskeyBody {
        /// Its id, base64url.
        id: String,
        /// What its owner calls it.
        name: String,
        /// Whether it is kept on more than one device.
        is_synced: bool,
        /// How it is reached.
        transports: Vec<String>,
        /// When it was added.
        created_at: Time,
        /// When it was last used.
        used_at: Option<Time>,
    }
}

/// What a browser or program is to ask an authenticator for.
pub(crate) fn creation(asked: &PasskeyAsked) -> PasskeyCreation {
    PasskeyCreation {
        challenge: asked.challenge.clone(),
        host: asked.host.clone(),
        house: asked.house.clone(),
        user: URL_SAFE_NO_PAD.encode(asked.user),
        name: asked.name.clone(),
        algorithms: asked.algorithms.clone(),
        has: asked.has.iter().map(|p| known(&p.id, &p.transports)).collect(),
    }
}

/// What an authenticator is to sign.
pub(crate) fn assertion(asked: &AssertionAsked) -> PasskeyAssertion {
    PasskeyAssertion {
        challenge: asked.challenge.clone(),
        host: asked.host.clone(),
        allowed: asked.allowed.iter().map(|(id, ways)| known(id, ways)).collect(),
        must_verify: asked.must_verify,
    }
}

fn known(id: &str, transports: &[String]) -> PasskeyKnown {
    PasskeyKnown { id: id.to_owned(), transports: transports.to_vec() }
}

/// A passkey for programs.
pub(crate) fn body(p: &Passkey) -> PasskeyBody {
    PasskeyBody {
        id: p.id.clone(),
        name: p.name.clone(),
        is_synced: p.is_synced,
        transports: p.transports.clone(),
        created_at: time(p.made),
        used_at: p.used.map(time),
    }
}

/// A refusal over HTTP.
pub(crate) fn failure(e: &AccountsError) -> Failure {
    match e {
        AccountsError::NoSuchPasskey => Failure::not_found("passkey"),
        AccountsError::NoPasskeys => Failure::conflict("no-passkeys", sentence(&e.to_string())),
        AccountsError::WrongPasskey(_) => Failure::wrong_passkey(sentence(&e.to_string())),
        other => accounts_failure(other),
    }
}
