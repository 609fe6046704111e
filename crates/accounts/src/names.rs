//! What names, addresses and passwords may be.

use crate::guessable::is_guessable;
use crate::{AccountsError, Result};

/// Names that no customer can take: they would be mistaken for the house's own.
pub const RESERVED_NAMES: [&str; 3] = ["house", "operator", "admin"];

/// Characters of a new password at least (OWASP ASVS 4.0.3, 2.1.1).
pub const PASSWORD_CHARS_MIN: usize = 12;

/// Bytes of a password at most: far above any passphrase, so that hashing it costs nothing extra.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Bytes of an e-mail address at most (RFC 5321, 4.5.3.1.3, less the angle brackets).
pub const EMAIL_BYTES_MAX: usize = 254;

/// Whether `name` is one that a customer's account can have: 3 to 32 of `a`–`z`, `0`–`9`, `_`, `-`.
#[must_use]
pub fn is_account_name(name: &str) -> bool {
    let plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    (3..=32).contains(&name.len()) && name.bytes().all(plain) && !RESERVED_NAMES.contains(&name)
}

/// The address in lower case, if it looks like one. Whether mail arrives there, only mail can tell.
pub(crate) fn email(text: &str) -> Result<String> {
    let ok = |(user, host): (&str, &str)| {
        !user.is_empty()
            && host.len() >= 3
            && host.contains('.')
            && !host.starts_with('.')
            && !host.ends_with('.')
            && !host.contains("..")
    };
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && !b"<>(),;:\\\"[]".contains(&b));
    let one_at = text.bytes().filter(|b| *b == b'@').count() == 1;
    let shaped = text.split_once('@').is_some_and(ok);
    if plain && one_at && shaped && text.len() <= EMAIL_BYTES_MAX {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(AccountsError::BadEmail)
    }
}

/// Whether a password may be set; `own` is what everybody knows of its account.
pub(crate) fn check_password(password: &str, own: &[&str]) -> Result<()> {
    check_length(password)?;
    if is_guessable(password, own) { Err(AccountsError::GuessablePassword) } else { Ok(()) }
}

/// The same without a look at what it is made of.
pub(crate) fn check_length(password: &str) -> Result<()> {
    let long_enough = password.chars().count() >= PASSWORD_CHARS_MIN;
    if long_enough && password.len() <= PASSWORD_BYTES_MAX {
        Ok(())
    } else {
        Err(AccountsError::BadPassword)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_mistaken_or_break_a_login_are_refused() {
        for good in ["alice", "a-b", "x_9", &"n".repeat(32)] {
            assert!(is_account_name(good), "{good}");
        }
        for bad in [
            "", "ab", "Alice", "a.b", "a b", "a@b", "house", "operator", "admin", "älice", "a\0b",
            "../etc",
        ] {
            assert!(!is_account_name(bad), "{bad}");
        }
        assert!(!is_account_name(&"n".repeat(33)));
    }

    #[test]
    fn addresses_of_no_possible_form_are_refused() {
        assert_eq!(email("Alice@Example.ORG").unwrap(), "alice@example.org");
        for bad in [
            "",
            "a",
            "a@b",
            "@b.c",
            "a@b.c@d.e",
            "a b@c.de",
            "a@.de",
            "a@d..e",
            "a\n@b.cd",
            "<a@b.cd>",
            "ä@b.cd",
        ] {
            assert!(email(bad).is_err(), "{bad}");
        }
        assert!(email(&format!("{}@b.cd", "a".repeat(250))).is_err());
    }

    #[test]
    fn passwords_are_measured_in_characters_and_bounded_in_bytes() {
        assert!(check_length("eleven char").is_err());
        assert!(check_length("двенадцать12").is_ok());
        assert!(check_length(&"x".repeat(1024)).is_ok());
        assert!(check_length(&"x".repeat(1025)).is_err());
    }

    #[test]
    fn a_password_is_refused_for_its_length_before_what_it_is_made_of() {
        let check = |p| check_password(p, &["kari"]);
        assert!(matches!(check("password"), Err(AccountsError::BadPassword)));
        assert!(matches!(check("password1234"), Err(AccountsError::GuessablePassword)));
        assert!(check("four words make one").is_ok());
    }
}
