//! Pages that are open while something happens in the house: they show it by themselves, what the reader does on them
//! stays, nothing is fetched for what they do not show, and after a cut they come back with what was missed. Without scripts
//! the same pages say the same when they are loaded.

use crate::chromium::{DESK, Driver, PATIENCE, PHONE, Page, Screen, Windows};
use crate::doorway::{Door, Doorway};
use crate::house::House;
use crate::people::{PASSWORD, confirms, email, sets_up_codes, signs_in};
use crate::support::until;
use fantoccini::Locator;
use gruve::demo::Api;
use serde_json::{Value, json};

const LIGHT: &[&str] = &["light"];
const CUSTOMER: &str = "tone";
const STAFF: &str = "arve";

#[tokio::test(flavor = "multi_thread")]
async fn open_pages_show_what_happens_and_keep_what_the_reader_does_there() {
    // Payouts that wait for a person stay behind, and another journey counts those.
    let house = House::of_its_own().await;
    let driver = Driver::start().await;
    house.hires(STAFF, "finance", PASSWORD);
    driver
        .walk(&house.home, async move |windows| {
            let screen = |name, seat: Screen| Screen { name, colours: LIGHT, ..seat };
            let tone = windows.open(screen("live", DESK)).await;
            let api = comes(&tone, house).await;
            let arve = windows.open(screen("live-staff", Screen { language: "nb", ..DESK })).await;
            confirms(&arve, house, STAFF).await;
            signs_in(&arve, STAFF).await;
            sets_up_codes(&arve).await;
            half_a_word_stays_with_its_row(&arve, &tone, house, &api).await;
            the_overview_shows_a_payout_of_another_session(&tone, house, &api).await;
            a_contract_grows_under_what_is_folded_open(&tone, &api).await;
            nothing_is_fetched_for_what_is_not_shown(&tone).await;
            let still = Screen { scripts: false, ..screen("live-still", PHONE) };
            without_scripts_the_page_says_the_same(&windows, still, &tone).await;
            after_a_cut_comes_what_was_missed(&tone, house, &api).await;
        })
        .await;
}

/// A customer with coins.
async fn comes(page: &Page, house: &House) -> Api {
    let account = json!({ "name": CUSTOMER, "email": email(CUSTOMER), "password": PASSWORD });
    house.api().post("/api/v1/accounts", &account).await.unwrap();
    confirms(page, house, CUSTOMER).await;
    let api = house.signed_in(CUSTOMER, PASSWORD).await;
    let coins = json!({ "asset": "BTC", "amount": "9" });
    let coins = api.post("/api/v1/top-ups", &coins).await.unwrap();
    house.pay(coins["address"].as_str().unwrap(), "9").await;
    until("the coins are there", PATIENCE, async || {
        let all = api.get("/api/v1/balances").await.ok()?;
        let found = all["items"].as_array()?.iter().find(|b| b["asset"] == "BTC")?;
        found["available"]["minor"].as_i64().filter(|minor| *minor > 0)
    })
    .await
    .unwrap_or_else(|e| panic!("{e}\n{}", house.says()));
    signs_in(page, CUSTOMER).await;
    api
}

/// Asks, as another session, for a payout that waits for a person; gives its id.
async fn asks_for(house: &House, api: &Api, amount: &str) -> String {
    let to = house.address().await;
    let order = json!({ "asset": "BTC", "amount": amount, "address": to, "password": PASSWORD });
    let payout = api.post("/api/v1/payouts", &order).await.unwrap();
    assert_eq!(payout["state"], "requested", "{payout:#}");
    payout["payout"].as_str().unwrap().to_owned()
}

async fn run(page: &Page, script: &str) -> Value {
    page.client.execute(script, vec![]).await.unwrap()
}

/// The rows of a table that say this, by what they say.
async fn rows_with(page: &Page, tbody: &str, text: &str) -> Option<Vec<String>> {
    let rows = page.rows(tbody).await?;
    Some(rows.into_iter().map(|r| r.join(" | ")).filter(|r| r.contains(text)).collect())
}

async fn half_a_word_stays_with_its_row(arve: &Page, tone: &Page, house: &House, api: &Api) {
    const ROWS: &str = "#requested tbody";
    let field =
        |id: &str| format!("form[action='/console/payouts/{id}/refuse'] input[name=reason]");
    arve.open("/console/payouts", "Payouts").await;
    let first = asks_for(house, api, "1.11").await;
    let there = async |id: &str| arve.client.find(Locator::Css(&field(id))).await.ok();
    let reason = arve.updates_itself("the first waits", async || there(&first).await).await;
    reason.send_keys("who is thsi").await.unwrap();
    let keep = "const f = document.activeElement; f.setSelectionRange(3, 5); scrollTo(0, 40); \
        window.kept = [f, scrollY, f.closest('tr'), document.getElementById('payouts')];";
    run(arve, keep).await;
    let second = asks_for(house, api, "1.12").await;
    arve.updates_itself("the second waits beside it", async || there(&second).await).await;
    let stays = "const [f, y, row, part] = window.kept; return [f === document.activeElement, f.value, \
        f.selectionStart, f.selectionEnd, scrollY === y, row.contains(f) && row.isConnected, part.isConnected, \
        f.closest('form').getAttribute('action')];";
    let place = format!("/console/payouts/{first}/refuse");
    let as_left = json!([true, "who is thsi", 3, 5, true, true, true, place]);
    assert_eq!(run(arve, stays).await, as_left);
    assert_eq!(rows_with(arve, ROWS, CUSTOMER).await.unwrap().len(), 2);
    // The customer takes the first back: the words go with it, not to the other.
    tone.go(&format!("/payouts/{first}")).await;
    tone.press("Cancel this payout").await;
    let gone = async || there(&first).await.is_none().then_some(());
    arve.updates_itself("the first waits no more", gone).await;
    let other = there(&second).await.unwrap().prop("value").await.unwrap();
    assert_eq!(other.as_deref(), Some(""));
}

async fn the_overview_shows_a_payout_of_another_session(page: &Page, house: &House, api: &Api) {
    page.open("/account", "Overview").await;
    let keep = "document.querySelector('#payouts header a').focus(); scrollTo(0, 60); \
        const text = document.querySelector('#balances caption'); getSelection().selectAllChildren(text); \
        window.kept = [document.activeElement, scrollY, document.querySelector('#payouts tbody tr:last-child'), \
        [...document.querySelectorAll('[data-live]')], String(getSelection())];";
    run(page, keep).await;
    asks_for(house, api, "1.13").await;
    let amount = page.figure("1.13");
    page.updates_itself("the payout stands on the overview", async || {
        rows_with(page, "#payouts tbody", &amount).await.filter(|rows| rows.len() == 1)
    })
    .await;
    let stays = "const [at, y, row, parts, text] = window.kept; \
        return [at === document.activeElement, scrollY === y, row.isConnected, parts.every((p) => p.isConnected), \
        text !== '' && String(getSelection()) === text];";
    assert_eq!(run(page, stays).await, json!([true, true, true, true, true]));
}

async fn a_contract_grows_under_what_is_folded_open(page: &Page, api: &Api) {
    let order = json!({ "plan": "btc-lease", "hashrate": "50 kH/s", "term_epochs": 300 });
    // What the machines have proven may be less than what the other journeys have bought for a while.
    let bought = until("a lease is sold", PATIENCE, async || {
        let quote = api.post("/api/v1/quotes", &order).await.ok()?["quote"].clone();
        api.post("/api/v1/contracts", &json!({ "quote": quote })).await.ok()
    })
    .await
    .unwrap();
    let invoice = bought["invoice"]["id"].as_str().unwrap();
    api.post(&format!("/api/v1/invoices/{invoice}/balance"), &json!({})).await.unwrap();
    let contract = bought["contract"].as_str().unwrap();
    page.go(&format!("/contracts/{contract}")).await;
    page.heading("Bitcoin lease").await;
    let folded = page
        .updates_itself("older epochs are folded away", async || {
            page.client.find(Locator::Css("#lines details > summary")).await.ok()
        })
        .await;
    folded.click().await.unwrap();
    let keep = "const d = document.querySelector('#lines details'); \
        d.querySelector('summary').focus(); window.kept = [d, document.querySelector('#lines tbody tr')];";
    run(page, keep).await;
    let first = page.text("#lines tbody tr").await.unwrap();
    let older = page.rows("#lines details tbody").await.unwrap().len();
    page.updates_itself("two more epochs are listed", async || {
        let rows = page.rows("#lines details tbody").await?.len();
        (rows >= older + 2).then_some(())
    })
    .await;
    assert_ne!(page.text("#lines tbody tr").await.unwrap(), first, "the newest comes first");
    let stays = "const [d, row] = window.kept; return [d.isConnected, d.open, \
        document.activeElement === d.querySelector('summary'), row.isConnected];";
    assert_eq!(run(page, stays).await, json!([true, true, true, true]));
}

/// Of the status page only a change of the house's parts is of interest, while lanes change all the time.
async fn nothing_is_fetched_for_what_is_not_shown(page: &Page) {
    page.open("/status", "Status").await;
    run(
        page,
        "window.heard = []; new EventSource('/events').addEventListener('change', \
         (e) => heard.push((e.data.split(' ')[2] || '').split(',')));",
    )
    .await;
    const COUNT: &str = "const of = (t) => heard.filter((h) => h.includes(t)).length; \
        const asked = performance.getEntriesByType('resource').filter((r) => r.initiatorType === 'fetch'); \
        return [of('lanes'), of('health'), asked.length];";
    let heard = page
        .wait("lanes have changed four times", async || {
            let all: [u64; 3] = serde_json::from_value(run(page, COUNT).await).ok()?;
            (all[0] >= 4).then_some(all)
        })
        .await;
    // Once more where something changed between the page and its stream.
    assert!(heard[2] <= heard[1] + 1, "lanes, health, fetches: {heard:?}");
}

async fn without_scripts_the_page_says_the_same(windows: &Windows, screen: Screen, with: &Page) {
    let page = windows.open(Screen { language: "en", ..screen }).await;
    signs_in(&page, CUSTOMER).await;
    with.open("/account", "Overview").await;
    page.open("/account", "Overview").await;
    const PAYOUTS: &str = "return document.querySelector('#payouts tbody').textContent;";
    let said = run(with, PAYOUTS).await;
    assert_eq!(run(&page, PAYOUTS).await, said);
    assert!(said.as_str().unwrap().contains("1.13"), "{said}");
}

async fn after_a_cut_comes_what_was_missed(page: &Page, house: &House, api: &Api) {
    let doorway = Doorway::before(&house.home).await;
    page.go(&format!("{}/account", doorway.home)).await;
    page.heading("Overview").await;
    let lit = async |wanted: bool| {
        let is = run(page, "return !document.getElementById('live-lamp').hidden;").await;
        (is == wanted).then_some(())
    };
    let shown = async |amount: &str| {
        let amount = page.figure(amount);
        rows_with(page, "#payouts tbody", &amount).await.filter(|rows| rows.len() == 1)
    };
    page.updates_itself("the lamp says that the page is live", async || lit(true).await).await;
    doorway.is(Door::Shut);
    page.updates_itself("the lamp is out", async || lit(false).await).await;
    asks_for(house, api, "1.14").await;
    doorway.is(Door::Open);
    page.updates_itself("what was missed is there", async || shown("1.14").await).await;
    page.updates_itself("the lamp is on again", async || lit(true).await).await;
    // A proxy answers while the house restarts: a browser does not ask again by itself after that.
    doorway.is(Door::Unattended);
    page.updates_itself("the page was turned away", async || {
        (doorway.turned_away() > 0).then_some(())
    })
    .await;
    asks_for(house, api, "1.15").await;
    doorway.is(Door::Open);
    page.updates_itself("it comes back all the same", async || shown("1.15").await).await;
    page.updates_itself("and is live", async || lit(true).await).await;
}
