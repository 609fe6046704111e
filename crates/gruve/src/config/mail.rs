//! `[mail]` and `[accounts]`: how the house writes to its customers, and how long changes wait.

use super::{Fault, Span};
use serde::Deserialize;
use std::net::IpAddr;
use std::path::PathBuf;

/// `[mail]`: without it the house sends none.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// The mail server.
    pub host: String,
    /// Its port; 465 with `tls`, 587 with `starttls`, 25 with `none`, if unset.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is encrypted.
    #[serde(default)]
    pub security: MailSecurity,
    /// Who writes, as `Gruve <gruve@example.org>`.
    pub from: String,
    /// The account at the mail server.
    #[serde(default)]
    pub user: Option<String>,
    /// A file whose first line is its password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Connections to the mail server at most, side by side.
    #[serde(default = "four")]
    pub connections: u32,
    /// Letters handed to it in a second at most.
    #[serde(default = "twenty")]
    pub letters_per_second: u32,
    /// Whether new customers confirm their address before they are let in.
    #[serde(default = "yes")]
    pub confirm_sign_up: bool,
}

/// `mail.security`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailSecurity {
    /// TLS from the first byte.
    #[default]
    Tls,
    /// TLS after a greeting in the clear; never without.
    Starttls,
    /// In the clear: only to this machine.
    None,
}

const fn yes() -> bool {
    true
}

/// A letter takes a server half a dozen answers. At thirty milliseconds each that is five letters a second on a connection,
/// so four of them make [`twenty`]; servers that count connections let a client have ten and more.
const fn four() -> u32 {
    4
}

/// A thousand letters in less than a minute, and what providers of mail let a client send without being asked.
const fn twenty() -> u32 {
    20
}

/// More would look like an attack to many servers, and is not needed for [`LETTERS_PER_SECOND_MAX`].
const CONNECTIONS_MAX: u32 = 20;
/// Taken from the outbox at once, each with some kilobytes.
const LETTERS_PER_SECOND_MAX: u32 = 1_000;

/// `[accounts]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountsConfig {
    /// How long a new e-mail address and a new payout address wait.
    pub change_delay: Span,
    /// How long a payout waits that goes where nothing of its account has gone before; nothing has none wait.
    #[serde(deserialize_with = "super::duration::or_none")]
    pub payout_delay: Span,
    /// How long the closing of an account waits.
    pub closing_delay: Span,
    /// How long a lost second factor waits to be taken off; nothing takes none off.
    #[serde(deserialize_with = "super::duration::or_none")]
    pub recovery_delay: Span,
    /// Whether a payout address comes into a customer's book only with its owner's signature (BIP-322).
    pub owner_signatures: bool,
}

impl Default for AccountsConfig {
    fn default() -> AccountsConfig {
        AccountsConfig {
            change_delay: Span(gruve_accounts::CHANGE_DELAY),
            payout_delay: Span(gruve_accounts::CHANGE_DELAY),
            closing_delay: Span(gruve_accounts::CLOSING_DELAY),
            recovery_delay: Span(gruve_accounts::RECOVERY_DELAY),
            owner_signatures: false,
        }
    }
}

impl MailConfig {
    /// The port in use.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.security {
            MailSecurity::Tls => 465,
            MailSecurity::Starttls => 587,
            MailSecurity::None => 25,
        })
    }

    pub(super) fn faults(&self, has_origin: bool) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault =
            |place: &str, what: &str| faults.push(Fault { place: place.into(), what: what.into() });
        let is_here = self.host == "localhost"
            || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if self.security == MailSecurity::None && !is_here {
            fault("mail.security", "write `tls` or `starttls`: links in messages are secrets");
        }
        if self.host.is_empty() {
            fault("mail.host", "write the mail server's name");
        }
        if !self.from.contains('@') {
            fault("mail.from", "write who sends, as `Gruve <gruve@example.org>`");
        }
        if !(1..=CONNECTIONS_MAX).contains(&self.connections) {
            fault("mail.connections", "write 1 to 20");
        }
        if !(1..=LETTERS_PER_SECOND_MAX).contains(&self.letters_per_second) {
            fault("mail.letters_per_second", "write 1 to 1000");
        }
        if self.user.is_some() != self.password_file.is_some() {
            fault("mail.user", "set mail.user and mail.password_file both, or neither");
        }
        if !has_origin {
            fault("http.origin", "set it: links in messages lead there");
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str, has_origin: bool) -> Vec<String> {
        let config: MailConfig = toml::from_str(text).unwrap();
        config.faults(has_origin).into_iter().map(|f| f.place).collect()
    }

    #[test]
    fn links_in_messages_go_encrypted_or_stay_on_this_machine() {
        let from = "from = \"Gruve <g@example.org>\"\n";
        let with = |rest: &str| format!("{from}{rest}");
        assert!(places(&with("host = \"mx.example.org\""), true).is_empty());
        assert!(places(&with("host = \"127.0.0.1\"\nsecurity = \"none\""), true).is_empty());
        let open = with("host = \"mx.example.org\"\nsecurity = \"none\"");
        assert_eq!(places(&open, true), ["mail.security"]);
        assert_eq!(places(&with("host = \"mx.example.org\""), false), ["http.origin"]);
        assert_eq!(places(&with("host = \"mx\"\nuser = \"u\""), true), ["mail.user"]);
    }

    #[test]
    fn connections_and_letters_in_a_second_have_bounds() {
        let with = |rest: &str| format!("from = \"Gruve <g@example.org>\"\nhost = \"mx\"\n{rest}");
        let plain: MailConfig = toml::from_str(&with("")).unwrap();
        assert_eq!((plain.connections, plain.letters_per_second), (4, 20));
        assert!(places(&with("connections = 20\nletters_per_second = 1000"), true).is_empty());
        for connections in [0, 21] {
            let text = with(&format!("connections = {connections}"));
            assert_eq!(places(&text, true), ["mail.connections"]);
        }
        for letters in [0, 1_001] {
            let text = with(&format!("letters_per_second = {letters}"));
            assert_eq!(places(&text, true), ["mail.letters_per_second"]);
        }
    }
}
