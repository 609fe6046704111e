//! What messages to customers say. Plain text, one place; each line is given whole to `MailRules::say`,
//! which may say it in another language.

use crate::mail::{Mail, Voice};

fn mail(voice: Voice<'_>, to: &str, subject: &str, lines: &[&str]) -> Mail {
    let lines: Vec<String> = lines.iter().map(|line| voice.say(line)).collect();
    let mut body = lines.join("\n\n");
    body.push_str("\n\n-- \n");
    let house = &voice.rules.house;
    body.push_str(house);
    body.push('\n');
    Mail { to: to.to_owned(), subject: format!("{house}: {}", voice.say(subject)), body }
}

fn link(voice: Voice<'_>, path: &str, ticket: &str) -> String {
    format!("{}{path}?ticket={ticket}", voice.rules.origin.trim_end_matches('/'))
}

pub(crate) fn confirm_sign_up(r: Voice<'_>, to: &str, name: &str, ticket: &str) -> Mail {
    let hello = format!("Somebody, probably you, has opened the account {name} with this address.");
    let link = link(r, "/confirm", ticket);
    let (ask, rest) =
        ("Open this page within a day to confirm it:", "If it was not you, do nothing.");
    mail(r, to, "confirm your address", &[&hello, ask, &link, rest])
}

/// To the owner of an address with which somebody wanted to open another account.
pub(crate) fn has_account(r: Voice<'_>, to: &str, name: &str) -> Mail {
    let hello = "Somebody, probably you, wanted to open an account with this address.";
    let there = format!(
        "There is one already: {name}. Sign in with it; if you do not know its password, set a new one:"
    );
    let link = format!("{}/forgot", r.rules.origin.trim_end_matches('/'));
    mail(r, to, "you have an account", &[hello, &there, &link, "If it was not you, do nothing."])
}

pub(crate) fn reset(r: Voice<'_>, to: &str, name: &str, ticket: &str) -> Mail {
    let hello = format!("Somebody, probably you, wants to set a new password for {name}.");
    let link = link(r, "/reset", ticket);
    let rest = "If it was not you, do nothing: the password stays as it is. A second factor is \
                asked for all the same.";
    mail(r, to, "a new password", &[&hello, "Open this page within an hour:", &link, rest])
}

pub(crate) fn confirm_new(r: Voice<'_>, to: &str, name: &str, ticket: &str) -> Mail {
    let hello = format!("The account {name} is to have this address.");
    let link = link(r, "/confirm", ticket);
    let rest = "If you have no such account, do nothing.";
    mail(r, to, "confirm your new address", &[&hello, "Open this page within a day:", &link, rest])
}

/// To who has just given the password, and says that the second factor is lost.
pub(crate) fn lost_factor(r: Voice<'_>, to: &str, name: &str, days: u64, ticket: &str) -> Mail {
    let hello = format!(
        "Somebody who has the password of {name} says that its second factor is lost, with the codes for a lost device."
    );
    let ask = format!(
        "If it was you, open this page within a day. The factor is then taken off after {days} days, in which nothing is \
         paid out:"
    );
    let link = link(r, "/lost-factor", ticket);
    let rest = "If it was not you, somebody has your password: set a new one at once. Nothing else has happened.";
    mail(r, to, "a lost second factor", &[&hello, &ask, &link, rest])
}

/// A notice of something that counts later, with the way to stop it.
pub(crate) fn notice(r: Voice<'_>, to: &str, what: &str, when: &str, ticket: &str) -> Mail {
    let counts = format!("It counts from {when} on.");
    let link = link(r, "/undo", ticket);
    let rest = "If it was not you: open this page to stop it, and set a new password.";
    mail(r, to, "a change of your account", &[what, &counts, rest, &link])
}

/// A notice of something that has happened: a sentence, or one on each line.
pub(crate) fn done(r: Voice<'_>, to: &str, what: &str) -> Mail {
    let rest = "If it was not you, set a new password and write to us.";
    let lines: Vec<&str> = what.lines().chain([rest]).collect();
    mail(r, to, "a change of your account", &lines)
}

/// What became of contracts: a sentence, or one on each line, each time with the path of its page.
pub(crate) fn of_contracts(r: Voice<'_>, to: &str, of: &[(String, String)]) -> Mail {
    let origin = r.rules.origin.trim_end_matches('/');
    let links: Vec<String> = of.iter().map(|(_, path)| format!("{origin}{path}")).collect();
    let both = of.iter().zip(&links);
    let lines: Vec<&str> =
        both.flat_map(|((said, _), link)| said.lines().chain([&**link])).collect();
    mail(r, to, "about your contracts", &lines)
}
