//! The frame of every page: landmarks, navigation, notices.

use crate::assets::{CSS, JS, LOGO, PASSWORD_JS};
use crate::failure::Failure;
use crate::gate::percent_encoded;
use crate::pages::lost;
use crate::visitor::Visitor;
use crate::words::{all, heard, say, spoken, t, text};
use gruve_accounts::PASSWORD_CHARS_MIN;
use maud::{DOCTYPE, Markup, html};

/// The line that stands wherever coins are listed for customers.
pub(crate) const ETH_NOTE: &str = "ETH ended proof of work on 2022-09-15 (block 15,537,393); it cannot be mined. Ethash chains that \
     are mined, as Ethereum Classic (ETC), are other coins and stand under their own names.";

/// A page in its frame. `live` pages load the script that keeps their marked parts fresh, and tell it how many changes there
/// were before they were written: so it learns of those that come before it listens.
pub(crate) fn page(visitor: &Visitor, title: &str, live: bool, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(spoken().code) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (visitor.house()) }
                link rel="stylesheet" href=(CSS.path());
                link rel="icon" type="image/svg+xml" href=(LOGO.path());
                @if live { script src=(JS.path()) defer data-changes=(visitor.changes) {} }
            }
            body {
                a.skip href="#main" { (t("Skip to the content")) }
                header.top.own[visitor.name.is_some()] { div.inner { (top(visitor)) } }
                @if let Some(lost) = &visitor.lost_factor { (lost::banner(visitor, lost)) }
                main #main tabindex="-1" { div.inner { (content) } }
                footer.foot {
                    div.inner {
                        p { @if visitor.house.is_empty() { (t("Gruve. Times are UTC. Amounts are whole minor units: nothing is rounded away.")) }
                            @else { (text!("{house} works with Gruve. Times are UTC. Amounts are whole minor units: nothing is rounded away.", house = visitor.house())) }
                            " " a href="/status" { (t("Status")) } " · " a href="/appraise" { (t("Appraise an offer")) }
                            " · " a href="/docs" { (t("Documents")) } }
                        p.lamp #live-lamp hidden { (t("Live")) }
                        (languages(visitor))
                    }
                }
            }
        }
    }
}

fn top(visitor: &Visitor) -> Markup {
    const PUBLIC: [(&str, &str); 4] =
        [("/", "Lanes"), ("/plans", "Plans"), ("/books", "Books"), ("/proof", "Proof")];
    const OWN: [(&str, &str); 5] = [
        ("/account", "Overview"),
        ("/machines", "Machines"),
        ("/statement", "Statement"),
        ("/withdraw", "Withdraw"),
        ("/payouts", "Payouts"),
    ];
    const CONSOLE: [(&str, &str); 1] = [("/console", "Console")];
    let own: &[(&str, &str)] = if visitor.name.is_some() { &OWN } else { &[] };
    html! {
        a.brand href="/" { img src=(LOGO.path()) alt="" width="28" height="28"; span { (visitor.house()) } }
        nav aria-label=(t("Main")) {
            ul {
                @let console: &[(&str, &str)] = if visitor.role.is_some() { &CONSOLE } else { &[] };
                @for (href, label) in PUBLIC.iter().chain(own).chain(console) {
                    @let here = (visitor.path == *href).then_some("page");
                    @let is_next = *href == OWN[0].0 || *href == CONSOLE[0].0;
                    li.next[is_next] { a href=(href) aria-current=[here] { (t(label)) } }
                }
            }
        }
        div.who {
            @if let Some(name) = &visitor.name {
                @let who = text!("Signed in as {name}", name = name);
                a.name.small href="/account/security" aria-label=(who) title=(who) { (name) }
                form method="post" action="/sign-out" {
                    (token(visitor))
                    button.plain type="submit" { (t("Sign out")) }
                }
            } @else {
                a href="/sign-in" { (t("Sign in")) }
                a.button.quiet href="/sign-up" { (t("Open an account")) }
            }
        }
    }
}

/// The choice of a language, each in its own words.
fn languages(visitor: &Visitor) -> Markup {
    html! {
        nav.languages aria-label=(t("Language")) {
            ul {
                @for l in all() {
                    @let here = (l.code == spoken().code).then_some("true");
                    @let back = percent_encoded(if visitor.place.is_empty() { "/" } else { &visitor.place });
                    li { a href={ "/language/" (l.code) "?back=" (back) } lang=(l.code) hreflang=(l.code)
                        rel="nofollow" aria-current=[here] { (l.locale.name) } }
                }
            }
        }
    }
}

/// The hidden field that every form carries.
pub(crate) fn token(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="csrf" value=(visitor.csrf); }
}

/// Between whom it is, on what a customer keeps.
pub(crate) fn parties(visitor: &Visitor) -> Markup {
    let name = visitor.name.as_deref().unwrap_or_default();
    html! { p.soft { (text!("From {house} to {name}.", house = visitor.house(), name = name)) } }
}

/// A page that says what went wrong.
pub(crate) fn failure_page(visitor: &Visitor, f: &Failure) -> Markup {
    let body = html! {
        div.lead {
            p.crumbs { (say!("Error {number}", number = f.status.as_u16())) }
            h1 { (t(f.title)) }
            p { (heard(&f.detail)) }
        }
        p.actions {
            a.button href="/" { (t("To the lanes")) }
            @if visitor.name.is_some() { a.button.quiet href="/account" { (t("To your overview")) } }
        }
    };
    page(visitor, t(f.title), false, &body)
}

/// A table cell that carries its column's name for narrow screens.
macro_rules! cell {
    ($label:expr, $content:expr) => {
        maud::html! { td data-label=($crate::words::t($label)) { span { ($content) } } }
    };
    (r $label:expr, $content:expr) => {
        maud::html! { td.r data-label=($crate::words::t($label)) { span { ($content) } } }
    };
}
pub(crate) use cell;

/// The script of password fields, with the words it says.
fn password_script() -> Markup {
    html! {
        script src=(PASSWORD_JS.path()) defer data-least=(PASSWORD_CHARS_MIN) data-show=(t("Show the password"))
            data-short=(t("Too short: {n} of 12 characters.")) data-weak=(t("Easily guessed: it will be refused."))
            data-fair=(t("It will do. Another word makes it better.")) data-good=(t("Good.")) {}
    }
}

/// A field for more than a line, which must be filled in, with label and hint.
pub(crate) fn text_area(
    (id, name): (&str, &str),
    label: &str,
    hint: &str,
    chars_max: usize,
) -> Markup {
    let described = format!("{id}-hint");
    html! {
        div.field {
            label for=(id) { (t(label)) }
            textarea id=(id) name=(name) required maxlength=(chars_max) rows="4" aria-describedby=(described) {}
            p.hint id=(described) { (t(hint)) }
        }
    }
}

/// A form field with label, hint and error, tied together for screen readers.
pub(crate) struct Field<'a> {
    pub(crate) id: &'a str,
    pub(crate) label: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) value: &'a str,
    pub(crate) hint: &'a str,
    pub(crate) error: Option<&'a str>,
    pub(crate) autocomplete: &'a str,
    pub(crate) inputmode: Option<&'a str>,
}

impl Field<'_> {
    /// The field, which must be filled in.
    pub(crate) fn draw(&self) -> Markup {
        self.draw_with(true, 256)
    }

    /// The field, which may be left empty where nothing else is said.
    pub(crate) fn draw_with(&self, is_required: bool, chars_max: usize) -> Markup {
        let (hint_id, error_id) = (format!("{}-hint", self.id), format!("{}-error", self.id));
        let described = match self.error {
            Some(_) => format!("{hint_id} {error_id}"),
            None => hint_id.clone(),
        };
        html! {
            div.field {
                label for=(self.id) { (t(self.label)) }
                input id=(self.id) name=(self.id) type=(self.kind) value=(self.value) required[is_required]
                    autocomplete=(self.autocomplete) inputmode=[self.inputmode] maxlength=(chars_max)
                    autocapitalize="none" spellcheck="false"
                    aria-describedby=(described) aria-invalid=[self.error.map(|_| "true")];
                p.hint id=(hint_id) { (t(self.hint)) }
                @if let Some(e) = self.error { p.error id=(error_id) { (heard(e)) } }
            }
            @if self.kind == "password" { (password_script()) }
        }
    }
}
