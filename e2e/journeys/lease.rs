//! A lease, from an account to coins in another wallet, by the keyboard alone.

use crate::chromium::{DESK, Driver, Page, Screen};
use crate::house::House;
use crate::people::{PASSWORD, email, link};

const NAME: &str = "kari";

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_bought_earns_is_checked_and_withdrawn_by_the_keyboard_alone() {
    let house = House::open().await;
    let driver = Driver::start().await;
    let screen = Screen { name: "lease", ..DESK };
    driver
        .browse(screen, &house.home, async move |page| {
            opens_an_account(&page, house).await;
            buys(&page, house).await;
            earns(&page).await;
            checks_a_receipt(&page).await;
            withdraws(&page, house).await;
        })
        .await;
}

async fn opens_an_account(page: &Page, house: &House) {
    page.open("/", "Hashpower, counted in proof of work").await;
    page.enter_on("Open an account").await;
    page.arrive("sign-up", "Open an account").await;
    page.write_into("name", NAME).await;
    page.write_into("email", &email(NAME)).await;
    page.write_into("password", PASSWORD).await;
    page.enter_on("Open the account").await;
    page.arrive("sign-up-mail", "Look into your mail").await;
    page.go(&link(page, house, NAME, "/confirm").await).await;
    page.heading("Confirm your address").await;
    page.enter_on("Confirm your address").await;
    page.arrive("confirmed", "Confirmed").await;
    // The header's link comes first and leads to the same.
    page.enter_on("Sign in").await;
    page.arrive("sign-in", "Sign in").await;
    page.write_into("login", NAME).await;
    page.write_into("password", PASSWORD).await;
    page.enter_on("Sign in").await;
    page.arrive("account-new", "Overview").await;
}

async fn buys(page: &Page, house: &House) {
    page.enter_on("Plans").await;
    page.heading("Plans").await;
    page.updates_itself("both plans are on sale", async || {
        page.text("#plans").await.filter(|t| t.matches("On sale now").count() == 2)
    })
    .await;
    let plans = page.text("#plans").await.unwrap();
    for part in ["Bitcoin lease", "Bitcoin by the meter", "2.00 %", "for 100 kH/s a day"] {
        assert!(plans.contains(part), "{part}: {plans}");
    }
    page.look("plans").await;
    page.keep_picture("plans", 780).await;
    page.enter_on("Buy").await;
    page.arrive("buy", "Buy: Bitcoin lease").await;
    page.write_into("hashrate", "200 kH/s").await;
    page.enter_on("Show the total").await;
    page.arrive("quote", "Your total").await;
    page.enter_on("Buy and show the invoice").await;
    page.arrive("invoice", "Invoice").await;
    let address = page.text("dd.copy").await.unwrap();
    let due = page.text(".pairs .amount").await.unwrap();
    let (coins, asset) = due.split_once(' ').unwrap();
    assert_eq!(asset, "BTC");
    house.pay(&address, &coins.replace(',', "")).await;
    page.updates_itself("the invoice is paid", async || {
        page.text("#invoice header").await.filter(|t| t.contains("Paid and confirmed"))
    })
    .await;
    page.look("invoice-paid").await;
    page.enter_on("To the contract").await;
}

async fn earns(page: &Page) {
    page.heading("Bitcoin lease").await;
    page.updates_itself("the contract runs", async || {
        page.text("#figures header").await.filter(|t| t.contains("Running"))
    })
    .await;
    page.updates_itself("earnings are credited", async || {
        page.text("#settlements table tbody tr").await.filter(|t| t.contains("BTC"))
    })
    .await;
    page.updates_itself("six epochs are listed", async || {
        page.text("#lines table tbody tr:nth-child(6)").await
    })
    .await;
    page.look("contract").await;
    page.keep_picture("contract", 1_480).await;
}

/// The receipts are kept as a file, and one goes through the check that the page does by itself.
async fn checks_a_receipt(page: &Page) {
    page.enter_on("as text").await;
    let all = page.kept_file(".jsonl").await;
    let receipts: Vec<&str> = all.lines().collect();
    assert!(!receipts.is_empty());
    page.enter_on("A receipt against the public record").await;
    page.arrive("receipt", "Check a receipt").await;
    page.tab_to("receipt-text").await;
    page.paste(receipts[0]).await;
    page.enter_on("Check").await;
    let said = page
        .wait("the receipt is checked", async || {
            page.text("#receipt-said").await.filter(|t| t.starts_with("Yes"))
        })
        .await;
    assert!(said.contains("proven work") && said.contains("the same history"), "{said}");
    page.look("receipt-checked").await;
    page.keep_picture("receipt", 760).await;
    // With one digit more of what it got the same receipt is a lie.
    page.write_into("receipt-text", " ").await;
    page.paste(&receipts[0].replacen("\"allocated\":\"", "\"allocated\":\"1", 1)).await;
    page.enter_on("Check").await;
    page.wait("the lie is found", async || {
        page.text("#receipt-said").await.filter(|t| t.starts_with("No"))
    })
    .await;
    page.enter_on("Proof").await;
    page.arrive("proof", "Proof").await;
    let newest = page.text("table a[href^='/proof/']").await.unwrap();
    page.enter_on(&newest).await;
    page.arrive("proof-epoch", "Epoch").await;
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
    page.wait("payouts go to the book alone", async || {
        page.text("main").await.filter(|t| t.contains("Your payouts go to this book alone"))
    })
    .await;
    page.look("addresses").await;
    page.wait("the new address may be used", async || {
        page.go("/withdraw").await;
        page.write_into("amount", "0.01").await;
        page.write_into("address", &address).await;
        page.look("withdraw").await;
        page.enter_on("Show the fee").await;
        (page.text("h1").await? == "Confirm the payout").then_some(())
    })
    .await;
    page.arrive("withdraw-confirm", "Confirm the payout").await;
    page.enter_on("Withdraw 0.01").await;
    page.arrive("payout-requested", "Payout").await;
    page.updates_itself("the payout is in a block", async || {
        page.text("#payout header").await.filter(|t| t.contains("Confirmed in a block"))
    })
    .await;
    page.look("payout").await;
    let got = house.received(&address).await;
    assert!(0.0 < got && got <= 0.01, "{got}");
}
