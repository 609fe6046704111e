//! The pages in a real browser: what a customer sees and presses, at a desk, on a phone and
//! without scripts; at the desk in English, on the phone in Norwegian. Pictures of every page are left in `test-output/screenshots`.
#![allow(clippy::unwrap_used, missing_docs)]

mod chromium;
mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chromium::{DESK, Driver, PHONE, Page, Screen};
use fantoccini::Locator;
use gruve::demo::{Api, Rpc};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use support::{Running, free_ports, tail, until};

const NAME: &str = "ingrid";
const PASSWORD: &str = "four unrelated words here";

const SCRIPTLESS: Screen = Screen { name: "scriptless", scripts: false, ..PHONE };

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_goes_the_whole_way_at_a_desk_and_on_a_phone_and_signs_in_without_scripts() {
    let driver = Driver::start().await;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("demo");
    let base = free_ports(8);
    let ports = base.to_string();
    let data_arg = data.to_str().unwrap();
    let log = dir.path().join("house.log");
    let house = Running::start(
        &["demo", "--data", data_arg, "--ports", &ports, "--epoch", "2s", "--spacing", "5s"],
        &log,
    );
    let home = format!("http://127.0.0.1:{base}");
    let api = Api::new(home.clone());
    until("the house answers", Duration::from_secs(60), async || {
        api.get("/api/v1/lanes").await.ok()
    })
    .await
    .unwrap_or_else(|e| panic!("{e}\n{}", tail(&log)));
    let rpc_password = std::fs::read_to_string(data.join("gruve-demo")).unwrap();
    let wallet =
        |port: u16| Rpc::new(format!("http://127.0.0.1:{port}"), "gruve", rpc_password.trim());

    let btc = Lane { plan: "btc-lease", asset: "BTC", wallet: wallet(base + 3) };
    driver
        .browse(DESK, &home, async move |page| {
            reads_the_public_pages(&page).await;
            signs_up(&page).await;
            buys_earns_and_withdraws(&page, &btc).await;
        })
        .await;
    let ltc = Lane { plan: "ltc-lease", asset: "LTC", wallet: wallet(base + 4) };
    driver
        .browse(PHONE, &home, async move |page| {
            reads_the_public_pages(&page).await;
            page.open("/sign-up", "Open an account").await;
            signs_in(&page).await;
            buys_earns_and_withdraws(&page, &ltc).await;
            signs_out(&page).await;
        })
        .await;
    driver
        .browse(SCRIPTLESS, &home, async move |page| {
            page.open("/", "Hashpower, counted in proof of work").await;
            signs_in(&page).await;
            page.press("lease, four minutes").await;
            page.arrive("contract", "lease, four minutes").await;
            signs_out(&page).await;
        })
        .await;
    // Once more, now that there is something to show: two contracts and a history.
    driver
        .browse(DESK, &home, async move |page| {
            signs_in(&page).await;
            page.press("BTC lease, four minutes").await;
            page.arrive("contract", "BTC lease, four minutes").await;
            page.open("/plans", "Plans").await;
            page.open("/lanes/btc", "Bitcoin").await;
            page.open("/lanes/ltc", "Litecoin").await;
            page.open("/lanes/etc", "Ethereum Classic").await;
            page.open("/books", "Books").await;
            page.open("/", "Hashpower, counted in proof of work").await;
            checks_receipts(&page, &api).await;
        })
        .await;
    assert!(house.stop().await.success(), "{}", tail(&log));
}

/// The customer's receipts against the public record: by the program, in the browser, and there without a connection.
async fn checks_receipts(page: &Page, api: &Api) {
    let login = json!({ "login": NAME, "password": PASSWORD });
    let session = api.post("/api/v1/sessions", &login).await.unwrap();
    let own = api.signed_in(session["token"].as_str().unwrap());
    let contracts = own.get("/api/v1/contracts").await.unwrap();
    let contracts = contracts["items"].as_array().unwrap();
    let id = contracts[0]["contract"].as_str().unwrap();
    let path = format!("/api/v1/contracts/{id}/receipts");
    let all = own.get(&path).await.unwrap()["receipts"].take();
    let all = all.as_array().unwrap();
    assert!(all.len() > 3, "a receipt for each epoch: {}", all.len());
    let epoch = own.get(&format!("{path}?limit=1")).await.unwrap()["next_epoch"].take();
    let one = own.get(&format!("{path}?epoch={epoch}")).await;
    assert!(one.is_ok() || epoch.is_null());

    let lines: Vec<String> = all.iter().map(Value::to_string).collect();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("receipts.jsonl");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let record = format!("{}/record", page.home);
    let args = ["verify", &record, "--forget", "--json", "--receipt", file.to_str().unwrap()];
    let out = support::run(&args);
    let said: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(out.status.success() && said["holds"] == true, "{said:#}");
    assert_eq!(said["receipts"], all.len(), "over the network, every one");
    let other = lines[0].replacen("\"allocated\":\"", "\"allocated\":\"1", 1);
    std::fs::write(&file, &other).unwrap();
    assert_eq!(support::run(&args).status.code(), Some(1), "a lie has a status of its own");

    page.open("/proof", "Proof").await;
    page.client
        .find(Locator::Css("a[href^='/proof/']:not([href$='receipt'])"))
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
    page.arrive("proof-epoch", "Epoch").await;
    page.open("/proof/receipt", "Check a receipt").await;
    let check = async |text: &str, answer: &str| {
        let fill = "document.getElementById('receipt-text').value = arguments[0]; \
            document.getElementById('receipt-said').replaceChildren();";
        page.client.execute(fill, vec![text.into()]).await.unwrap();
        page.press("Check").await;
        page.wait(answer, async || {
            page.text("#receipt-said").await.filter(|t| t.starts_with(answer))
        })
        .await;
        page.text("#receipt-said").await.unwrap()
    };
    let said = check(&lines.join("\n"), "Yes").await;
    assert!(said.contains("the same history"), "{said}");
    page.look("receipt-checked").await;
    check(&other, "No").await;
    let other_head = lines[0].replacen("\"entry_index\":", "\"entry_index\":1", 1);
    check(&other_head, "No").await;
    checks_the_series(page, id, all.len(), &args, &file).await;
    let offline =
        json!({ "offline": true, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0 });
    // Without the first, the second is taken and changes nothing.
    page.devtools("Network.enable", json!({})).await;
    page.devtools("Network.emulateNetworkConditions", offline).await;
    let said = check(&lines[0], "Yes").await;
    assert!(said.contains("Not compared"), "{said}");
}

/// All of a contract's receipts in one file, as the site gives it: the same two say yes to it, and no to it cut short.
async fn checks_the_series(page: &Page, id: &str, least: usize, verify: &[&str], file: &Path) {
    let path = format!("/contracts/{id}/receipts.bin");
    let fetch = "const [path, cut, done] = arguments; \
        (async () => { \
            const bytes = new Uint8Array(await (await fetch(path)).arrayBuffer()); \
            const given = new DataTransfer(); \
            given.items.add(new File([bytes.subarray(0, bytes.length - cut)], 'receipts.bin')); \
            document.getElementById('receipt-file').files = given.files; \
            document.getElementById('receipt-said').replaceChildren(); \
            done(btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(''))); \
        })();";
    for (cut, answer) in [(0, "Yes"), (1, "No")] {
        let args = vec![path.as_str().into(), cut.into()];
        let bytes = page.client.execute_async(fetch, args).await.unwrap();
        let bytes = BASE64.decode(bytes.as_str().unwrap()).unwrap();
        page.press("Check").await;
        page.wait(answer, async || {
            page.text("#receipt-said").await.filter(|t| t.starts_with(answer))
        })
        .await;
        std::fs::write(file, &bytes[..bytes.len() - cut]).unwrap();
        let out = support::run(verify);
        let said: Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
        assert_eq!(said["holds"] == true, cut == 0, "{said:#}");
        if cut == 0 {
            assert!(said["receipts"].as_u64() >= Some(least as u64), "{said:#}");
        }
    }
    page.client
        .execute("document.getElementById('receipt-file').value = ''", vec![])
        .await
        .unwrap();
}

struct Lane {
    plan: &'static str,
    asset: &'static str,
    wallet: Rpc,
}

async fn reads_the_public_pages(page: &Page) {
    page.open("/", "Hashpower, counted in proof of work").await;
    page.open("/lanes/btc", "Bitcoin").await;
    page.open("/plans", "Plans").await;
    page.open("/books", "Books").await;
}

async fn signs_up(page: &Page) {
    page.open("/sign-up", "Open an account").await;
    page.fill("name", NAME).await;
    page.fill("email", "ingrid@example.org").await;
    page.fill("password", PASSWORD).await;
    page.press("Open the account").await;
    page.arrive("account-new", "Overview").await;
}

async fn signs_in(page: &Page) {
    page.open("/sign-in", "Sign in").await;
    page.fill("login", NAME).await;
    page.fill("password", PASSWORD).await;
    page.press("Sign in").await;
    page.wait("the account's pages are there", async || {
        let place = page.client.current_url().await.ok()?;
        (place.path() == "/account").then_some(())
    })
    .await;
    // The account speaks the language that was chosen in it last, at the other screen.
    page.go(&format!("/language/{}?back=/account", page.screen.language)).await;
    page.arrive("account", "Overview").await;
}

async fn signs_out(page: &Page) {
    page.press("Sign out").await;
    page.heading("Hashpower, counted in proof of work").await;
    page.go("/account").await;
    page.heading("Sign in").await;
}

async fn buys_earns_and_withdraws(page: &Page, lane: &Lane) {
    let buy = format!("a[href='/buy?plan={}']", lane.plan);
    // Another customer buys at the same time: what was on sale may be gone when the form is sent, or held for an order
    // that is not paid yet.
    page.wait("hashrate is sold", async || {
        page.go("/plans").await;
        page.client.find(Locator::Css(&buy)).await.ok()?.click().await.ok()?;
        page.heading("Buy:").await;
        page.look("buy").await;
        page.press("Show the total").await;
        let total = page.say("Your total");
        page.text("h1").await.filter(|heading| *heading == total)?;
        page.look("quote").await;
        page.press("Buy and show the invoice").await;
        let answer = page.wait("the order is answered", async || {
            page.text("h1").await.filter(|heading| *heading != total)
        });
        (answer.await == page.say("Invoice")).then_some(())
    })
    .await;
    page.arrive("invoice", "Invoice").await;
    pays(page, lane).await;

    page.press("To the contract").await;
    page.heading("lease, four minutes").await;
    page.updates_itself("the contract runs", async || {
        page.text("#figures header").await.filter(|t| t.contains(&page.say("Running")))
    })
    .await;
    page.updates_itself("earnings are credited", async || {
        page.text("#settlements table tbody tr").await.filter(|t| t.contains(lane.asset))
    })
    .await;
    page.updates_itself("three epochs are listed", async || {
        page.text("#lines table tbody tr:nth-child(3)").await
    })
    .await;
    page.arrive("contract", "lease, four minutes").await;
    let contract = page.client.current_url().await.unwrap().path().to_owned();
    withdraws(page, lane).await;

    page.go("/payouts").await;
    page.arrive("payouts", "Payouts").await;
    let listed = page.text("#payouts tbody tr").await.unwrap();
    assert!(
        listed.contains(lane.asset) && listed.contains(&page.say("Confirmed in a block")),
        "{listed}"
    );
    page.open("/statement", "Statement").await;
    page.open("/books", "Books").await;
    let books = page.text("#books").await.unwrap();
    assert!(
        books.contains(&page.say("Adds up")) && !books.contains(&page.say("Does not add up")),
        "{books}"
    );
    page.go(&contract).await;
    page.arrive("contract", "lease, four minutes").await;
    page.open("/account", "Overview").await;
}

/// Pays what the invoice says to the address that it says, and waits for the page to say so.
async fn pays(page: &Page, lane: &Lane) {
    let address = page.text("dd.copy").await.unwrap();
    let due = page.text(".pairs .amount").await.unwrap();
    let (number, asset) = due.split_once(' ').unwrap();
    assert_eq!(asset, lane.asset);
    let number: Value = serde_json::from_str(&number.replace(',', ".")).unwrap();
    lane.wallet.call("sendtoaddress", json!([address, number])).await.unwrap();
    page.updates_itself("the invoice is paid", async || {
        page.text("#invoice header").await.filter(|t| t.contains(&page.say("Paid and confirmed")))
    })
    .await;
    page.arrive("invoice-paid", "Invoice").await;
}

/// Withdraws all that is available, as soon as it is worth its network fee.
async fn withdraws(page: &Page, lane: &Lane) {
    let address = lane.wallet.call("getnewaddress", json!([])).await.unwrap();
    let address = address.as_str().unwrap();
    let option = format!("option[value='{}']", lane.asset);
    page.wait("earnings are worth a payout", async || {
        page.go("/withdraw").await;
        let offered = page.text(&option).await?;
        // As it is shown, with the language's own decimal mark: so it may be typed.
        let (_, available) = offered.split_once(": ")?;
        let (available, _) = available.split_once(' ')?;
        page.client.find(Locator::Css(&option)).await.ok()?.click().await.ok()?;
        page.fill("amount", available).await;
        page.fill("address", address).await;
        page.look("withdraw").await;
        page.press("Show the fee").await;
        let heading = page.text("h1").await?;
        (heading == page.say("Confirm the payout")).then_some(())
    })
    .await;
    page.arrive("withdraw-confirm", "Confirm the payout").await;
    page.fill("password", PASSWORD).await;
    page.press("Withdraw ").await;
    page.arrive("payout-requested", "Payout").await;
    page.updates_itself("the payout is in a block", async || {
        page.text("#payout header").await.filter(|t| t.contains(&page.say("Confirmed in a block")))
    })
    .await;
    page.arrive("payout", "Payout").await;
    let got = lane.wallet.call("getreceivedbyaddress", json!([address, 1])).await.unwrap();
    assert!(got.as_f64().unwrap() > 0.0, "{got}");
}
