//! The console: the operator's pages. What each needs of a role, says its route (`app.rs`); what a page
//! offers besides, it asks the role before it shows it.

pub(crate) mod alerts;
pub(crate) mod blocks;
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

/// A place of the console: address, name, and what it needs.
type Place = (&'static str, &'static str, Permission);

/// The console's places in the order of its navigation, in groups of a few. The first of a group is where its name
/// leads, for roles that may go there; for others the first that they may see.
const GROUPS: [(&str, &[Place]); 5] = [
    (
        "House",
        &[
            ("/console", "Overview", Permission::SeeFarm),
            ("/console/blocks", "Blocks and luck", Permission::SeeFarm),
            ("/console/alerts", "Alerts", Permission::SeeFarm),
        ],
    ),
    (
        "Farm",
        &[
            ("/console/map", "Farm map", Permission::SeeFarm),
            ("/console/sites", "Sites", Permission::SeeFarm),
            ("/console/machines", "Machines", Permission::SeeFarm),
            ("/console/withholding", "Withheld blocks", Permission::SeeFarm),
            ("/console/hosting", "Hosting", Permission::SeeFarm),
            ("/console/tickets", "Tickets", Permission::SeeFarm),
        ],
    ),
    (
        "Customers",
        &[
            ("/console/customers", "Accounts", Permission::SeeCustomers),
            ("/console/contracts", "Contracts", Permission::SeeCustomers),
            ("/console/invoices", "Invoices", Permission::SeeCustomers),
        ],
    ),
    (
        "Money",
        &[
            ("/console/payouts", "Payouts", Permission::SeeBooks),
            ("/console/pay-ins", "Pay-ins", Permission::SeeBooks),
            ("/console/plans", "Plans", Permission::SeeBooks),
            ("/console/money", "Prices and reserves", Permission::SeeBooks),
            ("/console/journal", "Journal", Permission::SeeBooks),
        ],
    ),
    (
        "People",
        &[
            ("/console/staff", "Staff", Permission::SeeStaff),
            ("/console/log", "Security log", Permission::SeeLog),
        ],
    ),
];

/// Whether a page is a place or below it; everything is below the first.
fn is_at(path: &str, href: &str) -> bool {
    let below = || path.strip_prefix(href).is_some_and(|rest| rest.starts_with('/'));
    path == href || (href != "/console" && below())
}

/// The menu: groups, and the places of the one that the page is in.
fn menu(visitor: &Visitor, staff: Staff) -> Markup {
    let may = |places: &'static [Place]| -> Vec<Place> {
        places.iter().filter(|(_, _, needed)| staff.role.may(*needed)).copied().collect()
    };
    let groups: Vec<(&str, Vec<Place>)> = GROUPS
        .iter()
        .map(|(name, places)| (*name, may(places)))
        .filter(|g| !g.1.is_empty())
        .collect();
    let is_here = |places: &[Place]| places.iter().any(|(href, ..)| is_at(&visitor.path, href));
    let current = groups.iter().find(|(_, places)| is_here(places));
    html! {
        nav.console aria-label=(t("Console")) {
            ul {
                @for (name, places) in &groups {
                    @let first = places.first().map_or("/console", |p| p.0);
                    @let here = is_here(places).then_some("true");
                    li { a href=(first) aria-current=[here] { (t(name)) } }
                }
            }
            @if let Some((_, places)) = current {
                @if places.len() > 1 { ul {
                    @for (href, label, _) in places {
                        @let here = is_at(&visitor.path, href).then_some("page");
                        li { a href=(href) aria-current=[here] { (t(label)) } }
                    }
                } }
            }
        }
    }
}

/// A page of the console.
fn frame(visitor: &Visitor, staff: Staff, title: &str, lead: &str, content: &Markup) -> Markup {
    let body = html! {
        div.lead {
            p.crumbs { (say!("Console · {role}", role = t(staff.role.name()))) }
            h1 { (t(title)) }
            p { (t(lead)) }
            (menu(visitor, staff))
        }
        (content)
    };
    page(visitor, t(title), true, &body)
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

/// A section that is kept fresh by these topics, divided by spaces.
fn live_sheet(id: &str, title: &str, topics: &str, content: &Markup) -> Markup {
    let heading = format!("{id}-h");
    html! {
        section.sheet id=(id) data-live=(topics) aria-labelledby=(heading) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_accounts::Role;
    use gruve_units::AccountId;

    fn shown(role: Role, path: &str) -> String {
        let staff = Staff { account: AccountId::from_bytes([1; 16]), role };
        let visitor = Visitor { path: path.to_owned(), ..Visitor::default() };
        menu(&visitor, staff).into_string()
    }

    #[test]
    fn the_menu_is_short_and_every_place_is_two_steps_away() {
        for (_, places) in GROUPS {
            for (href, ..) in places {
                let menu = shown(Role::Owner, href);
                assert!(
                    menu.contains(&format!("href=\"{href}\" aria-current=\"page\"")),
                    "{href}: {menu}"
                );
                assert!(menu.matches("<a ").count() <= 11, "{href}: {menu}");
            }
        }
        let below = shown(Role::Owner, "/console/machines/SN1");
        assert!(below.contains("href=\"/console/machines\" aria-current=\"page\""), "{below}");
        assert!(!below.contains("href=\"/console\" aria-current"), "{below}");
    }

    #[test]
    fn the_menu_leads_nobody_where_the_role_does_not() {
        let technician = shown(Role::Technician, "/console");
        assert!(technician.contains("/console/map") && !technician.contains("/console/payouts"));
        assert!(
            !technician.contains("/console/customers") && !technician.contains("/console/staff")
        );
        let support = shown(Role::Support, "/console/customers");
        assert!(support.contains("/console/invoices") && !support.contains("/console/payouts"));
    }
}
