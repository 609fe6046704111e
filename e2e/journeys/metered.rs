//! Hashrate by the meter: pay as you go.

use crate::chromium::{Driver, PHONE, Page, Screen};
use crate::house::House;
use crate::people::{signs_in, signs_out, signs_up};
use crate::screens::walks;

#[tokio::test(flavor = "multi_thread")]
async fn hashrate_by_the_meter_stops_at_zero_and_goes_on_after_a_top_up() {
    let house = House::open().await;
    let driver = Driver::start().await;
    let own = Screen { name: "metered", scripts: false, ..PHONE };
    for walk in walks(own) {
        driver
            .browse(walk.screen, &house.home, async move |page| {
                pays_as_it_goes(&page, house, &walk.name("marit")).await;
            })
            .await;
    }
}

async fn pays_as_it_goes(page: &Page, house: &House, name: &str) {
    signs_up(page, house, name).await;
    signs_in(page, name).await;
    // Six epochs' worth.
    tops_up(page, 3).await;
    starts(page).await;
    uses_it_up(page).await;
    let contract = page.client.current_url().await.unwrap().path().to_owned();
    tops_up(page, 40).await;
    goes_on_and_ends(page, &contract).await;
    signs_out(page).await;
}

/// Fills the balance with euros by card; the amount as one writes it in the language.
async fn tops_up(page: &Page, euros: u32) {
    let amount = page.figure(&format!("{euros}.00"));
    page.open("/top-up", "Fill your balance").await;
    page.choose("asset", "EUR").await;
    page.fill("amount", &amount).await;
    page.press("Show how to pay").await;
    page.arrive("top-up-invoice", "Invoice").await;
    let shown = page.text("#invoice header").await.unwrap();
    assert!(shown.contains(&amount), "{shown}");
    page.press("Pay by card").await;
    page.arrive("pay-elsewhere", "Pay elsewhere").await;
    page.press("Go on to").await;
    page.wait("the card desk's page", async || page.text("h1").await.filter(|t| t == "Card desk"))
        .await;
    page.press_at("button").await;
    page.heading("Invoice").await;
    let paid = page.say("Paid and confirmed");
    page.comes("the card payment is there", async || {
        page.text("#invoice header").await.filter(|t| t.contains(&paid))
    })
    .await;
    page.look("top-up-paid").await;
}

async fn starts(page: &Page) {
    page.wait("the plan is on sale", async || {
        page.go("/plans").await;
        let start = "a[href='/metered?plan=btc-meter']";
        page.client.find(fantoccini::Locator::Css(start)).await.ok()?.click().await.ok()
    })
    .await;
    page.arrive("metered-start", "By the meter").await;
    page.fill("hashrate", "100 kH/s").await;
    page.press("Start with the next epoch").await;
    page.heading("Bitcoin by the meter").await;
}

/// Until nothing is left to be held for the next epoch.
async fn uses_it_up(page: &Page) {
    let is = async |state: &str| {
        let state = page.say(state);
        page.text("#figures .tag").await.filter(|t| *t == state)
    };
    page.comes("work is charged", async || {
        is("Active").await?;
        page.text("#usage tbody tr").await.filter(|t| t.contains("EUR"))
    })
    .await;
    page.look("metered-runs").await;
    page.comes("the balance is used up", async || is("Stopped: no balance").await).await;
    for notice in
        ["the balance will soon be used up", "stopped: nothing could be held for the next epoch"]
    {
        let notice = page.say(notice);
        page.comes("the notices say why", async || {
            page.text("#notices").await.filter(|t| t.contains(&notice))
        })
        .await;
    }
    page.look("metered-stopped").await;
}

async fn goes_on_and_ends(page: &Page, contract: &str) {
    page.go(contract).await;
    let goes_on = page.say("work goes on");
    page.comes("work goes on", async || {
        page.text("#notices").await.filter(|t| t.contains(&goes_on))
    })
    .await;
    page.look("metered-resumed").await;
    page.keep_picture("metered", 980).await;
    page.press("End at the next epoch border").await;
    page.heading("Bitcoin by the meter").await;
    let ended = page.say("Ended");
    page.comes("it has ended", async || page.text("#figures .tag").await.filter(|t| *t == ended))
        .await;
    page.look("metered-ended").await;
    page.open("/statement", "Statement").await;
    page.open("/account", "Overview").await;
}
