//! A lease, from an account to coins in another wallet, by the keyboard alone.

use crate::chromium::{DESK, Driver, Page, Screen};
use crate::house::House;
use crate::people::{PASSWORD, email, link};
use crate::screens::walks;
use crate::support::run;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_bought_earns_is_checked_and_withdrawn_by_the_keyboard_alone() {
    let house = House::open().await;
    let driver = Driver::start().await;
    for walk in walks(Screen { name: "lease", ..DESK }) {
        // All together fit into what new customers may order and the house proves.
        let hashrate = if walk.n == 0 { "100 kH/s" } else { "50 kH/s" };
        driver
            .browse(walk.screen, &house.home, async move |page| {
                opens_an_account(&page, house, &walk.name("kari")).await;
                buys(&page, house, hashrate).await;
                earns(&page).await;
                keeps_and_checks_receipts(&page).await;
                withdraws(&page, house).await;
            })
            .await;
    }
}

async fn opens_an_account(page: &Page, house: &House, name: &str) {
    page.open("/", "Hashpower, counted in proof of work").await;
    page.enter_on("Open an account").await;
    page.arrive("sign-up", "Open an account").await;
    page.write_into("name", name).await;
    page.write_into("email", &email(name)).await;
    page.write_into("password", PASSWORD).await;
    page.enter_on("Open the account").await;
    page.arrive("sign-up-mail", "Look into your mail").await;
    page.go(&link(page, house, name, "/confirm").await).await;
    page.heading("Confirm your address").await;
    page.enter_on("Confirm your address").await;
    page.arrive("confirmed", "Confirmed").await;
    // The header's link comes first and leads to the same.
    page.enter_on("Sign in").await;
    page.arrive("sign-in", "Sign in").await;
    page.write_into("login", name).await;
    page.write_into("password", PASSWORD).await;
    page.enter_on("Sign in").await;
    page.arrive("account-new", "Overview").await;
}

async fn buys(page: &Page, house: &House, hashrate: &str) {
    page.enter_on("Plans").await;
    page.heading("Plans").await;
    let on_sale = page.say("On sale now:");
    page.comes("both plans are on sale", async || {
        page.text("#plans").await.filter(|t| t.matches(&on_sale).count() == 2)
    })
    .await;
    let plans = page.text("#plans").await.unwrap();
    let fee = format!("{} %", page.figure("2.00"));
    let price = page.say("for {hashrate} a day").replace("{hashrate}", "100 kH/s");
    for part in ["Bitcoin lease", "Bitcoin by the meter", &fee, &price] {
        assert!(plans.contains(part), "{part}: {plans}");
    }
    page.look("plans").await;
    page.keep_picture("plans", 780).await;
    page.enter_on("Buy").await;
    page.arrive("buy", "Buy:").await;
    is_offered(page, hashrate).await;
    page.arrive("quote", "Your total").await;
    page.enter_on("Buy and show the invoice").await;
    page.arrive("invoice", "Invoice").await;
    let address = page.text("dd.copy").await.unwrap();
    let due = page.text(".pairs .amount").await.unwrap();
    let (coins, asset) = due.split_once(' ').unwrap();
    assert_eq!(asset, "BTC");
    house.pay(&address, &page.plain(coins)).await;
    let paid = page.say("Paid and confirmed");
    page.comes("the invoice is paid", async || {
        page.text("#invoice header").await.filter(|t| t.contains(&paid))
    })
    .await;
    page.look("invoice-paid").await;
    page.enter_on("To the contract").await;
}

/// Asks for the total until that much is on sale: what a house sells is what it has proven, and on a busy machine that
/// is less for a while.
async fn is_offered(page: &Page, hashrate: &str) {
    let form = page.client.current_url().await.unwrap().to_string();
    let total = page.say("Your total");
    page.wait("so much hashrate is on sale", async || {
        page.write_into("hashrate", hashrate).await;
        page.enter_on("Show the total").await;
        let is_total = page
            .wait("the total, or why there is none", async || {
                let is_total = page.text("h1").await?.contains(&total);
                let is_refused = page.text(".message.bad").await.is_some();
                (is_total || is_refused).then_some(is_total)
            })
            .await;
        if !is_total {
            page.go(&form).await;
        }
        is_total.then_some(())
    })
    .await;
}

async fn earns(page: &Page) {
    page.heading("Bitcoin lease").await;
    let running = page.say("Running");
    page.comes("the contract runs", async || {
        page.text("#figures header").await.filter(|t| t.contains(&running))
    })
    .await;
    // What can be done while it runs comes with it, by itself where the page updates itself.
    let on = page.say("Going on");
    page.comes("it says how it goes on", async || {
        page.text("#renewal h2").await.filter(|t| *t == on)
    })
    .await;
    page.comes("earnings are credited", async || {
        page.text("#settlements table tbody tr").await.filter(|t| t.contains("BTC"))
    })
    .await;
    page.comes("six epochs are listed", async || {
        page.text("#lines table tbody tr:nth-child(6)").await
    })
    .await;
    page.look("contract").await;
    page.keep_picture("contract", 1_480).await;
}

/// The receipts are kept as a file, and one is checked: by the page itself where scripts run, else by the program.
async fn keeps_and_checks_receipts(page: &Page) {
    page.enter_on("as text").await;
    let all = page.kept_file(".jsonl").await;
    let receipt = all.lines().next().unwrap();
    // With one digit more of what it got the same receipt is a lie.
    let lie = receipt.replacen("\"allocated\":\"", "\"allocated\":\"1", 1);
    if page.screen.scripts {
        checks_a_settlements_receipt(page).await;
    }
    page.enter_on("A receipt against the public record").await;
    page.arrive("receipt", "Check a receipt").await;
    match page.screen.scripts {
        true => the_page_checks(page, receipt, &lie).await,
        false => the_program_checks(page, receipt, &lie),
    }
    page.enter_on("Proof").await;
    page.arrive("proof", "Proof").await;
    let newest = page.text("table a[href^='/proof/']").await.unwrap();
    page.enter_on(&newest).await;
    page.arrive("proof-epoch", "Epoch").await;
}

/// The receipt behind a settlement is a press away: the page fetches it and checks it.
async fn checks_a_settlements_receipt(page: &Page) {
    let contract = page.client.current_url().await.unwrap().to_string();
    page.enter_on("Check it yourself").await;
    page.heading("Check a receipt").await;
    let (yes, checking) = (page.say("Yes: {n} receipt holds."), page.say("Checking…"));
    let yes = yes.split_once(':').unwrap().0;
    page.wait("the receipt is fetched and checked", async || {
        let said = page.text("#receipt-said").await?;
        if said.starts_with(yes) {
            return Some(());
        }
        // The record may have the epoch a moment after it was settled.
        if !said.starts_with(&checking) {
            page.client.refresh().await.ok()?;
        }
        None
    })
    .await;
    page.go(&contract).await;
    page.heading("Bitcoin lease").await;
}

fn the_program_checks(page: &Page, receipt: &str, lie: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("receipt.json");
    let record = format!("{}/record", page.home);
    let args = ["verify", &record, "--forget", "--json", "--receipt", file.to_str().unwrap()];
    std::fs::write(&file, receipt).unwrap();
    let out = run(&args);
    let said: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(out.status.success() && said["holds"] == true && said["receipts"] == 1, "{said:#}");
    std::fs::write(&file, lie).unwrap();
    assert_eq!(run(&args).status.code(), Some(1), "a lie has a status of its own");
}

async fn the_page_checks(page: &Page, receipt: &str, lie: &str) {
    let (yes, no) = (page.say("Yes: {n} receipt holds."), page.say("No: {why}"));
    let begin = |text: &str| text.split_once(':').unwrap().0.to_owned();
    let (yes, no) = (begin(&yes), begin(&no));
    let same = page.say("Compared with the public log as it is now:");
    page.tab_to("receipt-text").await;
    page.paste(receipt).await;
    page.enter_on("Check").await;
    let said = page
        .wait("the receipt is checked", async || {
            page.text("#receipt-said").await.filter(|t| t.starts_with(&yes))
        })
        .await;
    assert!(said.contains(same.trim()), "{said}");
    page.look("receipt-checked").await;
    page.keep_picture("receipt", 760).await;
    page.write_into("receipt-text", " ").await;
    page.paste(lie).await;
    page.enter_on("Check").await;
    page.wait("the lie is found", async || {
        page.text("#receipt-said").await.filter(|t| t.starts_with(&no))
    })
    .await;
}

/// Binds payouts to the address book, waits until the new address may be used, and withdraws to it.
async fn withdraws(page: &Page, house: &House) {
    let address = house.address().await;
    page.enter_on("Overview").await;
    page.arrive("account", "Overview").await;
    page.keep_picture("overview", 1_000).await;
    page.enter_on("Security").await;
    page.arrive("security", "Security").await;
    page.enter_on("Address book").await;
    page.arrive("addresses-none", "Address book").await;
    page.write_into("address", &address).await;
    page.write_into("label", "hardware wallet").await;
    page.write_into("add-password", PASSWORD).await;
    page.enter_on("Add it").await;
    page.wait("the address is listed", async || {
        page.text("table tbody tr").await.filter(|t| t.contains("hardware wallet"))
    })
    .await;
    page.write_into("only-password", PASSWORD).await;
    page.enter_on("Bind them to the book").await;
    let alone = page.say("Your payouts go to this book alone. To end that takes the delay, too.");
    page.wait("payouts go to the book alone", async || {
        page.text("main").await.filter(|t| t.contains(&alone))
    })
    .await;
    page.look("addresses").await;
    page.wait("the new address may be used", async || {
        page.go("/withdraw").await;
        page.write_into("amount", &page.figure("0.01")).await;
        page.write_into("address", &address).await;
        page.look("withdraw").await;
        page.enter_on("Show the fee").await;
        (page.text("h1").await? == page.say("Confirm the payout")).then_some(())
    })
    .await;
    page.arrive("withdraw-confirm", "Confirm the payout").await;
    // The menu's link comes first, without an amount.
    page.enter_on(&format!(
        "{}{}",
        page.say("Withdraw {amount}").split('{').next().unwrap(),
        page.figure("0.01")
    ))
    .await;
    page.arrive("payout-requested", "Payout").await;
    let confirmed = page.say("Confirmed in a block");
    page.comes("the payout is in a block", async || {
        page.text("#payout header").await.filter(|t| t.contains(&confirmed))
    })
    .await;
    page.look("payout").await;
    let got = house.received(&address).await;
    assert!(0.0 < got && got <= 0.01, "{got}");
}
