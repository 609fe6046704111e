//! Hashrate by the meter on a phone, in Norwegian, without any script; with `GRUVE_LONG=1` on every screen.

use crate::chromium::{Driver, PHONE, Page, Screen};
use crate::house::House;
use crate::people::{screens, signs_in, signs_out, signs_up};

#[tokio::test(flavor = "multi_thread")]
async fn hashrate_by_the_meter_stops_at_zero_and_goes_on_after_a_top_up_without_scripts() {
    let house = House::open().await;
    let driver = Driver::start().await;
    let own = Screen { name: "metered", scripts: false, ..PHONE };
    for (screen, name) in screens(own, "marit") {
        driver
            .browse(screen, &house.home, async move |page| {
                pays_as_it_goes(&page, house, &name).await;
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
    let comma = if page.screen.language == "nb" { ',' } else { '.' };
    page.open("/top-up", "Fill your balance").await;
    page.choose("asset", "EUR").await;
    page.fill("amount", &format!("{euros}{comma}00")).await;
    page.press("Show how to pay").await;
    page.arrive("top-up-invoice", "Invoice").await;
    let shown = page.text("#invoice header").await.unwrap();
    assert!(shown.contains(&format!("{euros}{comma}00")), "{shown}");
    page.press("Pay by card").await;
    page.arrive("pay-elsewhere", "Pay elsewhere").await;
    page.press("Go on to").await;
    page.wait("the card desk's page", async || page.text("h1").await.filter(|t| t == "Card desk"))
        .await;
    page.press_at("button").await;
    page.heading("Invoice").await;
    let paid = page.say("Paid and confirmed");
    page.reload_until("the card payment is there", async || {
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
    page.reload_until("work is charged", async || {
        is("Active").await?;
        page.text("#usage tbody tr").await.filter(|t| t.contains("EUR"))
    })
    .await;
    page.look("metered-runs").await;
    page.reload_until("the balance is used up", async || is("Stopped: no balance").await).await;
    let told = page.text("#notices").await.unwrap();
    for notice in
        ["the balance will soon be used up", "stopped: nothing could be held for the next epoch"]
    {
        assert!(told.contains(&page.say(notice)), "{notice}: {told}");
    }
    page.look("metered-stopped").await;
}

async fn goes_on_and_ends(page: &Page, contract: &str) {
    page.go(contract).await;
    let goes_on = page.say("work goes on");
    page.reload_until("work goes on", async || {
        page.text("#notices").await.filter(|t| t.contains(&goes_on))
    })
    .await;
    page.look("metered-resumed").await;
    if page.screen.name == "metered" {
        page.keep_picture("metered", 980).await;
    }
    page.press("End at the next epoch border").await;
    page.heading("Bitcoin by the meter").await;
    let ended = page.say("Ended");
    page.reload_until("it has ended", async || {
        page.text("#figures .tag").await.filter(|t| *t == ended)
    })
    .await;
    page.look("metered-ended").await;
    page.open("/statement", "Statement").await;
    page.open("/account", "Overview").await;
}
