//! A machine of one's own in the operator's site: offered, bought, watched, and looked after when its fan is loud.

use crate::chromium::{Driver, PHONE, Page, Screen, Windows};
use crate::house::House;
use crate::people::{PASSWORD, confirms, sets_up_codes, signs_in, signs_up, takes_into_inventory};
use crate::screens::{Walk, walks};
use crate::support::Running;
use gruve_units::Hashrate;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const RATE: Hashrate = Hashrate(100_000);

/// Who and what a walk is about.
struct Cast {
    owner: String,
    technician: String,
    customer: String,
    serial: String,
    machine: String,
    ticket: String,
}

impl Cast {
    fn of(walk: &Walk) -> Cast {
        let serial = format!("NV-{}", 7_001 + walk.n);
        Cast {
            owner: walk.name("anna"),
            technician: walk.name("tore"),
            customer: walk.name("ola"),
            machine: format!("rack2-{:02}", 1 + walk.n),
            ticket: format!("Loud fan in {serial}"),
            serial,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hosted_machine_is_sold_pays_its_bills_and_its_ticket_is_answered() {
    let house = House::open().await;
    let driver = Driver::start().await;
    // One after the other: a site's new token ends its agent before.
    for walk in walks(Screen { name: "hosted", ..PHONE }) {
        driver
            .walk(&house.home, async move |windows| is_hosted(&windows, &walk, house).await)
            .await;
    }
}

async fn is_hosted(windows: &Windows, walk: &Walk, house: &'static House) {
    let cast = &Cast::of(walk);
    house.hires(&cast.owner, "owner", PASSWORD);
    house.hires(&cast.technician, "technician", PASSWORD);
    let anna = windows.open(walk.across("owner")).await;
    let tore = windows.open(walk.also("technician")).await;
    let ola = windows.open(walk.screen).await;
    signs_up(&ola, house, &cast.customer).await;
    signs_in(&ola, &cast.customer).await;
    fills_balance(&ola, house).await;
    offers(&anna, house, cast).await;
    let agent = connects(&anna, house, cast).await;
    let contract = accepts(&ola, house, cast).await;
    opens_a_ticket(&ola, cast).await;
    answers(&tore, house, cast).await;
    reads_the_answer(&ola).await;
    is_billed(&ola, &contract).await;
    sees_the_machine(&anna, cast).await;
    assert!(agent.stop().await.success());
}

/// On the chain, for the price and the bills.
async fn fills_balance(page: &Page, house: &House) {
    page.open("/top-up", "Fill your balance").await;
    page.choose("asset", "BTC").await;
    page.fill("amount", "1").await;
    page.press("Show how to pay").await;
    page.arrive("top-up-invoice", "Invoice").await;
    let address = page.text("dd.copy").await.unwrap();
    house.pay(&address, "1").await;
    page.comes("the balance is filled", async || {
        page.text("#invoice header").await.filter(|t| t.contains(&page.say("Paid and confirmed")))
    })
    .await;
}

/// The console is closed until a second factor is set up; then a machine goes from the stock to a customer.
async fn offers(page: &Page, house: &House, cast: &Cast) {
    let (serial, customer) = (&cast.serial, &cast.customer);
    confirms(page, house, &cast.owner).await;
    signs_in(page, &cast.owner).await;
    page.go("/console").await;
    page.arrive("console-closed", "Not allowed").await;
    sets_up_codes(page).await;
    takes_into_inventory(page, &cast.machine, serial).await;
    let list = format!("select[aria-label*='{serial}']");
    let list = page.client.find(fantoccini::Locator::Css(&list)).await.unwrap();
    list.select_by_value("running").await.unwrap();
    page.press_at(&format!("tr:has(select[aria-label*='{serial}']) button")).await;
    let running = page.say("running");
    let state = format!("tr:has(select[aria-label*='{serial}']) option[selected]");
    page.wait("the machine may work", async || page.text(&state).await.filter(|t| *t == running))
        .await;
    page.open("/console/hosting", "Hosting").await;
    for (id, text) in [
        ("offer-serial", serial.as_str()),
        ("offer-to", customer),
        ("offer-asset", "BTC"),
        ("offer-energy", &page.figure("0.00010000")),
        ("offer-fee", &page.figure("0.5")),
        ("offer-level", "9500"),
        ("offer-price", &page.figure("0.5")),
        ("offer-price_asset", "BTC"),
    ] {
        page.fill(id, text).await;
    }
    page.choose("offer-kind", "sold").await;
    page.choose("offer-scheme", "pplns").await;
    page.choose("offer-pay_from", "balance").await;
    page.press("Offer it").await;
    page.wait("the offer is listed", async || {
        page.text("#hosting").await.filter(|t| t.contains(serial))
    })
    .await;
    page.look("console-hosting-offered").await;
}

/// Makes the site's token, starts the agent with it, and switches the machine on.
async fn connects(page: &Page, house: &House, cast: &Cast) -> Running {
    let serial = &cast.serial;
    page.open("/console/sites", "Sites").await;
    page.press("New agent token").await;
    page.heading("New agent token").await;
    let token = page.text("p.copy").await.unwrap();
    let folder = house.folder.join(format!("agent of {serial}"));
    std::fs::create_dir_all(&folder).unwrap();
    let token_file = folder.join("site.token");
    std::fs::write(&token_file, token).unwrap();
    std::fs::set_permissions(&token_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(answers_as_a_machine(listener));
    let config = folder.join("agent.toml");
    let text = format!(
        "house = \"{}\"\ntoken_file = \"site.token\"\nspool = \"spool\"\nevery_s = 5\n\
         [[machine]]\nserial = \"{serial}\"\naddress = \"{address}\"\n",
        house.home
    );
    std::fs::write(&config, text).unwrap();
    // It mines until the test's program ends, as the house's own do.
    std::mem::forget(house.machine(&cast.machine, RATE));
    Running::start(&["agent", "--config", config.to_str().unwrap()], &folder.join("agent.log"))
}

/// Speaks cgminer's API as far as the agent asks.
async fn answers_as_a_machine(listener: TcpListener) {
    let summary = json!({ "Elapsed": 86_400, "KHS 5s": 100.0, "Power": 3_250, "Temperature": 64.0,
        "Fan Speed In": 5_880, "Fan Speed Out": 6_000 });
    let yes =
        json!({ "STATUS": [{ "STATUS": "S", "Msg": "Summary" }], "SUMMARY": [summary], "id": 1 });
    let no =
        json!({ "STATUS": [{ "STATUS": "E", "Code": 14, "Msg": "Invalid command" }], "id": 1 });
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut question = [0; 256];
        let Ok(n) = stream.read(&mut question).await else { continue };
        let asked = String::from_utf8_lossy(&question[..n]).into_owned();
        let answer = if asked.contains("summary") { &yes } else { &no };
        // Who asked may have gone.
        let _ = stream.write_all(answer.to_string().as_bytes()).await;
    }
}

/// The customer takes the machine and says where its coins go. Gives the contract's path.
async fn accepts(page: &Page, house: &House, cast: &Cast) -> String {
    page.open("/machines", "Hosted machines").await;
    page.press_at("main table a").await;
    page.heading(&cast.serial).await;
    page.look("machine-offered").await;
    page.fill("accept-password", PASSWORD).await;
    page.press("Accept").await;
    page.wait("the machine is the customer's", async || {
        page.text("#figures .tag").await.filter(|t| *t == page.say("Yours"))
    })
    .await;
    page.look("machine-accepted").await;
    let address = house.address().await;
    page.fill("address", &address).await;
    page.fill("address-password", PASSWORD).await;
    page.press("Set the address").await;
    page.wait("the address is set", async || {
        page.text("section[aria-labelledby=address-h]").await.filter(|t| t.contains(&address))
    })
    .await;
    page.client.current_url().await.unwrap().path().to_owned()
}

/// As soon as the machine is the customer's: from an epoch's border half a minute after it was accepted.
async fn opens_a_ticket(page: &Page, cast: &Cast) {
    page.comes("the machine's new owner may open tickets", async || {
        page.text("form[action$='/tickets']").await
    })
    .await;
    page.fill("title", &cast.ticket).await;
    page.fill("text", "The second fan is loud since this morning.").await;
    page.press("Open a ticket").await;
    page.arrive("ticket-opened", &cast.ticket).await;
}

async fn answers(page: &Page, house: &House, cast: &Cast) {
    confirms(page, house, &cast.technician).await;
    signs_in(page, &cast.technician).await;
    sets_up_codes(page).await;
    page.open("/console/tickets", "Tickets").await;
    page.press(&cast.ticket).await;
    page.heading(&cast.ticket).await;
    page.fill("answer-text", "Fan changed; it runs quietly now.").await;
    page.press("Send").await;
    page.wait("the answer stands there", async || {
        page.text("#notes").await.filter(|t| t.contains("Fan changed"))
    })
    .await;
    page.look("console-ticket").await;
    // What is the owner's to do does not exist for a technician.
    page.go("/console/payouts").await;
    page.heading("Not allowed").await;
}

async fn reads_the_answer(page: &Page) {
    page.comes("the answer is there", async || {
        page.text("main table").await.filter(|t| t.contains("Fan changed"))
    })
    .await;
    page.look("ticket-answered").await;
    page.press("Close this ticket").await;
    page.wait("the ticket is closed", async || {
        page.text("main .note").await.filter(|t| t.starts_with(&page.say("Closed ")))
    })
    .await;
}

/// Every settlement bills what was used since the last.
async fn is_billed(page: &Page, contract: &str) {
    page.go(contract).await;
    let (all, none) = (page.figure("100.0"), page.figure("0.000"));
    page.comes("energy and hosting are billed", async || {
        // Of some bill: the machine was up all the time, and its electricity was measured.
        let rows = page.rows("section[aria-labelledby=bills-h] tbody").await?;
        rows.iter().any(|r| r[4].starts_with(&all) && r[1] != none).then_some(())
    })
    .await;
    let telemetry = page.text("#figures").await.unwrap();
    for part in ["3250 W", "64 °C", "5880"] {
        assert!(telemetry.contains(part), "{part}: {telemetry}");
    }
    page.look("machine").await;
    page.keep_picture("machine", 1_150).await;
}

async fn sees_the_machine(page: &Page, cast: &Cast) {
    page.open("/console/hosting", "Hosting").await;
    page.press(&cast.serial).await;
    page.wait("the contract's page", async || {
        let place = page.client.current_url().await.ok()?;
        place.path().starts_with("/console/hosting/").then_some(())
    })
    .await;
    page.look("console-hosting-contract").await;
    page.open("/console/map", "Farm map").await;
    page.open("/console/machines", "Machines").await;
}
