//! The console: the operator's pages. What each needs of a role, says its route (`app.rs`); what a page
//! offers besides, it asks the role before it shows it.

pub(crate) mod alerts;
pub(crate) mod customers;
pub(crate) mod farm;
pub(crate) mod hosting;
pub(crate) mod machine;
pub(crate) mod map;
pub(crate) mod money;
pub(crate) mod overview;
pub(crate) mod payins;
pub(crate) mod plans;
pub(crate) mod staff;
pub(crate) mod tickets;
pub(crate) mod withholding;

use crate::extract::Staff;
use crate::layout::{page, token};
use crate::visitor::Visitor;
use crate::words::{say, t};
use gruve_accounts::Permission;
use maud::{Markup, html};

/// The console's places in the order of its navigation, each with what it needs.
const PLACES: [(&str, &str, Permission); 18] = [
    ("/console", "House", Permission::SeeFarm),
    ("/console/alerts", "Alerts", Permission::SeeFarm),
    ("/console/map", "Farm map", Permission::SeeFarm),
    ("/console/sites", "Sites", Permission::SeeFarm),
    ("/console/machines", "Machines", Permission::SeeFarm),
    ("/console/withholding", "Withheld blocks", Permission::SeeFarm),
    ("/console/hosting", "Hosting", Permission::SeeFarm),
    ("/console/tickets", "Tickets", Permission::SeeFarm),
    ("/console/plans", "Plans", Permission::SeeBooks),
    ("/console/customers", "Customers", Permission::SeeCustomers),
    ("/console/contracts", "Contracts", Permission::SeeCustomers),
    ("/console/invoices", "Invoices", Permission::SeeCustomers),
    ("/console/pay-ins", "Pay-ins", Permission::SeeBooks),
    ("/console/payouts", "Payouts", Permission::SeeBooks),
    ("/console/money", "Prices and reserves", Permission::SeeBooks),
    ("/console/journal", "Journal", Permission::SeeBooks),
    ("/console/log", "Security log", Permission::SeeLog),
    ("/console/staff", "Staff", Permission::SeeStaff),
];

/// A page of the console.
fn frame(visitor: &Visitor, staff: Staff, title: &str, lead: &str, content: &Markup) -> Markup {
    let body = html! {
        div.lead {
            p.crumbs { (say!("Console · {role}", role = t(staff.role.name()))) }
            h1 { (t(title)) }
            p { (t(lead)) }
            nav.actions aria-label=(t("Console")) {
                @for (href, label, needed) in PLACES {
                    @if staff.role.may(needed) {
                        @let here = (visitor.path == href).then_some("page");
                        a href=(href) aria-current=[here] { (t(label)) }
                    }
                }
            }
        }
        (content)
    };
    page(visitor, t(title), false, &body)
}

/// A table whose rows become cards on a phone; columns that begin with `>` are figures.
fn table(caption: &str, columns: &[&str], rows: &[Vec<Markup>]) -> Markup {
    let name = |c: &str| t(c.trim_start_matches('>')).to_owned();
    let class = |c: &str| c.starts_with('>').then_some("r");
    html! {
        @if rows.is_empty() { p.empty { (t("Nothing here.")) } } @else {
            table.cards {
                caption.visually-hidden { (t(caption)) }
                thead { tr { @for c in columns { th scope="col" class=[class(c)] { (name(c)) } } } }
                tbody { @for row in rows { tr {
                    @for (c, content) in columns.iter().zip(row) {
                        td class=[class(c)] data-label=(name(c)) { span { (content) } }
                    }
                } } }
            }
        }
    }
}

/// A section with a heading.
fn sheet(id: &str, title: &str, content: &Markup) -> Markup {
    let heading = format!("{id}-h");
    html! {
        section.sheet id=(id) aria-labelledby=(heading) {
            header { h2 id=(heading) { (t(title)) } }
            (content)
        }
    }
}

/// A button that posts what is hidden with it.
fn button(visitor: &Visitor, action: &str, label: &str, hidden: &[(&str, &str)]) -> Markup {
    html! {
        form method="post" action=(action) {
            (token(visitor))
            @for (name, value) in hidden { input type="hidden" name=(name) value=(value); }
            button.quiet type="submit" { (t(label)) }
        }
    }
}

/// A short field of a form: name, label and what it may look like.
fn field(form: &str, name: &str, label: &str, hint: &str) -> Markup {
    let (id, described) = (format!("{form}-{name}"), format!("{form}-{name}-hint"));
    html! {
        div.field {
            label for=(id) { (t(label)) }
            input id=(id) name=(name) type="text" maxlength="256" autocomplete="off"
                autocapitalize="none" spellcheck="false" aria-describedby=(described);
            p.hint id=(described) { (t(hint)) }
        }
    }
}

/// A choice of a form.
fn choice<'a>(
    form: &str,
    name: &str,
    label: &str,
    options: impl Iterator<Item = (&'a str, &'a str)>,
) -> Markup {
    let id = format!("{form}-{name}");
    html! {
        div.field {
            label for=(id) { (t(label)) }
            select id=(id) name=(name) {
                @for (value, shown) in options { option value=(value) { (t(shown)) } }
            }
        }
    }
}

/// A link to the page that follows, if there may be one.
fn more(path: &str, cursor: Option<String>) -> Markup {
    html! { @if let Some(c) = cursor { p.actions { a.button.quiet href={ (path) (c) } { (t("More")) } } } }
}
