//! An operator's day: a large payout that takes two people, money given back, a ticket opened, and the books that
//! say who did what.

use crate::chromium::{DESK, Driver, PATIENCE, Page, Screen};
use crate::house::House;
use crate::people::{PASSWORD, confirms, email, sets_up_codes, signs_in, takes_into_inventory};
use crate::screens::{Walk, walks};
use crate::support::until;
use fantoccini::Locator;
use gruve::demo::Api;
use serde_json::{Value, json};

/// Who and what a walk is about.
struct Cast {
    owner: String,
    second: String,
    customer: String,
    serial: String,
    ticket: String,
}

impl Cast {
    fn of(walk: &Walk) -> Cast {
        let serial = format!("NV-{}", 9_001 + walk.n);
        Cast {
            owner: walk.name("berit"),
            second: walk.name("finn"),
            customer: walk.name("per"),
            ticket: format!("Dust filter of {serial}"),
            serial,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_let_a_large_payout_go_money_is_given_back_and_the_books_say_who() {
    let house = House::open().await;
    let driver = Driver::start().await;
    for walk in walks(Screen { name: "operator", ..DESK }) {
        let cast = Cast::of(&walk);
        house.hires(&cast.owner, "owner", PASSWORD);
        house.hires(&cast.second, "finance", PASSWORD);
        driver
            .walk(&house.home, async move |windows| {
                let berit = windows.open(walk.screen).await;
                let finn = windows.open(walk.across("second")).await;
                let per = comes(&berit, house, &cast.customer).await;
                let address = house.address().await;
                let payout = asks_for_much(&per, &address).await;
                confirms(&berit, house, &cast.owner).await;
                signs_in(&berit, &cast.owner).await;
                sets_up_codes(&berit).await;
                looks_around(&berit).await;
                approves_first(&berit, &per, &payout).await;
                approves_second(&finn, house, &cast.second).await;
                is_paid(&per, house, &payout, &address).await;
                gives_back(&berit, house, &per, &cast.customer).await;
                opens_a_ticket(&berit, &cast).await;
                reads_the_books(&berit, &cast).await;
            })
            .await;
    }
}

/// A customer with three coins and 25 euros that came by card.
async fn comes(page: &Page, house: &House, name: &str) -> Api {
    let api = house.api();
    let account = json!({ "name": name, "email": email(name), "password": PASSWORD });
    api.post("/api/v1/accounts", &account).await.unwrap();
    confirms(page, house, name).await;
    let per = house.signed_in(name, PASSWORD).await;
    let coins = json!({ "asset": "BTC", "amount": "3" });
    let coins = per.post("/api/v1/top-ups", &coins).await.unwrap();
    house.pay(coins["address"].as_str().unwrap(), "3").await;
    let euros = json!({ "asset": "EUR", "amount": "25" });
    let euros = per.post("/api/v1/top-ups", &euros).await.unwrap();
    let place = format!("/api/v1/invoices/{}/checkouts", euros["id"].as_str().unwrap());
    let checkout = per.post(&place, &json!({ "method": "card" })).await.unwrap();
    house.desk.pay(checkout["url"].as_str().unwrap()).await;
    for asset in ["BTC", "EUR"] {
        available(&per, asset, |minor| minor > 0).await;
    }
    per
}

/// Waits until a balance is so; gives it.
async fn available(of: &Api, asset: &str, is: impl Fn(i64) -> bool) -> i64 {
    let what = format!("the balance of {asset} is as it should be");
    until(&what, PATIENCE, async || {
        let all = of.get("/api/v1/balances").await.ok()?;
        let found = all["items"].as_array()?.iter().find(|b| b["asset"] == asset)?;
        found["available"]["minor"].as_i64().filter(|minor| is(*minor))
    })
    .await
    .unwrap()
}

/// More than one person may let go.
async fn asks_for_much(per: &Api, address: &str) -> String {
    let order = json!({ "asset": "BTC", "amount": "2", "address": address, "password": PASSWORD });
    let payout = per.post("/api/v1/payouts", &order).await.unwrap();
    assert_eq!(payout["state"], "requested", "{payout:#}");
    payout["payout"].as_str().unwrap().to_owned()
}

async fn state_of(per: &Api, payout: &str) -> Value {
    per.get(&format!("/api/v1/payouts/{payout}")).await.unwrap()["state"].take()
}

async fn looks_around(page: &Page) {
    page.open("/console", "House").await;
    let waiting = page.text("#waiting").await.unwrap();
    assert!(waiting.contains('1'), "{waiting}");
    page.keep_picture("console", 900).await;
    for (path, heading) in [
        ("/console/alerts", "Alerts"),
        ("/console/contracts", "Contracts"),
        ("/console/invoices", "Invoices"),
        ("/console/pay-ins", "Pay-ins"),
        ("/console/plans", "Plans"),
        ("/console/money", "Prices and reserves"),
        ("/console/staff", "Staff"),
    ] {
        page.open(path, heading).await;
    }
}

async fn approves_first(page: &Page, per: &Api, payout: &str) {
    page.open("/console/payouts", "Payouts").await;
    page.press("Approve").await;
    let one = page.say("Approved by one person; another is needed.");
    page.wait("one person has approved", async || {
        page.text("#requested").await.filter(|t| t.contains(&one))
    })
    .await;
    page.look("console-payouts-one").await;
    page.keep_picture("approval", 640).await;
    assert_eq!(state_of(per, payout).await, "requested");
    // The same person once more is still one.
    page.press("Approve").await;
    page.go("/console/payouts").await;
    page.heading("Payouts").await;
    assert_eq!(state_of(per, payout).await, "requested");
}

async fn approves_second(page: &Page, house: &House, name: &str) {
    confirms(page, house, name).await;
    signs_in(page, name).await;
    sets_up_codes(page).await;
    page.open("/console/payouts", "Payouts").await;
    page.press("Approve").await;
    page.wait("nothing waits any more", async || {
        page.text("#requested").await.filter(|t| t.contains(&page.say("Nothing here.")))
    })
    .await;
    page.look("console-payouts-both").await;
    // Who decides about money reads no log of who did what.
    page.go("/console/log").await;
    page.heading("Not allowed").await;
}

async fn is_paid(per: &Api, house: &House, payout: &str, address: &str) {
    until("the payout is in a block", PATIENCE, async || {
        (state_of(per, payout).await == "confirmed").then_some(())
    })
    .await
    .unwrap_or_else(|e| panic!("{e}\n{}", house.says()));
    let got = house.received(address).await;
    assert!(1.99 < got && got < 2.0, "{got}");
}

/// Ten of the 25 euros go back to the card.
async fn gives_back(page: &Page, house: &House, per: &Api, customer: &str) {
    let cents = || house.desk.given_back().iter().filter(|(_, cents)| *cents == 1_000).count();
    let given_before = cents();
    let before = available(per, "EUR", |minor| minor > 0).await;
    page.open("/console/customers", "Customers").await;
    page.press(customer).await;
    page.heading(customer).await;
    page.look("console-customer").await;
    for (name, text) in [("amount", "10"), ("why", "bought by mistake")] {
        let field = format!("#payments input[name={name}]:not([type=hidden])");
        let field = page.client.find(Locator::Css(&field)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }
    page.press("Give back").await;
    page.heading(customer).await;
    page.look("console-customer-refunded").await;
    let after = available(per, "EUR", |minor| minor < before).await;
    assert_eq!(before - after, 10_000_000, "millionths of a euro");
    until("the card desk has given it back", PATIENCE, async || {
        (cents() > given_before).then_some(())
    })
    .await
    .unwrap_or_else(|e| panic!("{e}\n{}", house.says()));
}

async fn opens_a_ticket(page: &Page, cast: &Cast) {
    takes_into_inventory(page, &format!("stock-{}", cast.serial.to_lowercase()), &cast.serial)
        .await;
    page.open("/console/tickets", "Tickets").await;
    page.fill("ticket-serial", &cast.serial).await;
    page.fill("ticket-title", &cast.ticket).await;
    page.fill("ticket-text", "To be changed before it goes into the rack.").await;
    page.press("Open it").await;
    page.arrive("console-ticket", &cast.ticket).await;
}

async fn reads_the_books(page: &Page, cast: &Cast) {
    page.open("/console/log", "Security log").await;
    let log = page.rows("#log tbody").await.unwrap();
    let says = |row: &[String], what: &str| row.iter().any(|cell| cell.contains(what));
    for name in [&cast.owner, &cast.second] {
        let approved = log.iter().any(|r| says(r, "payout.approve") && says(r, name));
        assert!(approved, "{name}: {log:#?}");
    }
    assert!(log.iter().any(|r| says(r, "payment.refund")), "{log:#?}");
    page.open("/console/journal", "Journal").await;
    let mut entries = String::new();
    // The entries of a busy house: some pages back stands what was done a moment ago.
    page.wait("the payout and the refund stand in the journal", async || {
        entries.push_str(&page.text("#journal").await?);
        if ["payout", "refund"].iter().all(|kind| entries.contains(kind)) {
            return Some(());
        }
        page.client
            .find(Locator::Css("main > .inner > p.actions a"))
            .await
            .ok()?
            .click()
            .await
            .ok()?;
        None
    })
    .await;
}
