//! What messages to customers say. Plain text, one place.

use crate::mail::{Mail, MailRules};

fn mail(rules: &MailRules, to: &str, subject: &str, lines: &[&str]) -> Mail {
    let mut body = lines.join("\n\n");
    body.push_str("\n\n-- \n");
    body.push_str(&rules.house);
    body.push('\n');
    Mail { to: to.to_owned(), subject: format!("{}: {subject}", rules.house), body }
}

fn link(rules: &MailRules, path: &str, ticket: &str) -> String {
    format!("{}{path}?ticket={ticket}", rules.origin.trim_end_matches('/'))
}

pub(crate) fn confirm_sign_up(r: &MailRules, to: &str, name: &str, ticket: &str) -> Mail {
    let hello = format!("Somebody, probably you, has opened the account {name} with this address.");
    let link = link(r, "/confirm", ticket);
    let (ask, rest) =
        ("Open this page within a day to confirm it:", "If it was not you, do nothing.");
    mail(r, to, "confirm your address", &[&hello, ask, &link, rest])
}

pub(crate) fn reset(r: &MailRules, to: &str, name: &str, ticket: &str) -> Mail {
    let hello = format!("Somebody, probably you, wants to set a new password for {name}.");
    let link = link(r, "/reset", ticket);
    let rest = "If it was not you, do nothing: the password stays as it is. A second factor is \
                asked for all the same.";
    mail(r, to, "a new password", &[&hello, "Open this page within an hour:", &link, rest])
}

pub(crate) fn confirm_new(r: &MailRules, to: &str, name: &str, ticket: &str) -> Mail {
    let hello = format!("The account {name} is to have this address.");
    let link = link(r, "/confirm", ticket);
    let rest = "If you have no such account, do nothing.";
    mail(r, to, "confirm your new address", &[&hello, "Open this page within a day:", &link, rest])
}

/// A notice of something that counts later, with the way to stop it.
pub(crate) fn notice(r: &MailRules, to: &str, what: &str, when: &str, ticket: &str) -> Mail {
    let counts = format!("It counts from {when} on.");
    let link = link(r, "/undo", ticket);
    let rest = "If it was not you: open this page to stop it, and set a new password.";
    mail(r, to, "a change of your account", &[what, &counts, rest, &link])
}

/// A notice of something that has happened.
pub(crate) fn done(r: &MailRules, to: &str, what: &str) -> Mail {
    let rest = "If it was not you, set a new password and write to us.";
    mail(r, to, "a change of your account", &[what, rest])
}
