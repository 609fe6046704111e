//! Payouts to where nothing of their account has gone before, and machines that go to other customers: what they ask for, how
//! long they wait, and how they are stopped.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use gruve_accounts::{CHANGE_DELAY, Role, Scope};
use gruve_farm::{MachineState, NewInventory};
use gruve_hosting::{HostingKind, OfferTerms, PayFrom, Scheme};
use gruve_units::{Amount, Asset, Bps, Clock as _, Duration, Hashrate};
use house::House;
use house::balances::available;
use house::browser::{Answer, Browser, Program};
use house::letters::{self, writing_house};
use serde_json::{Value, json};

const PASSWORD: &str = "four words make one";
const PAYOUTS: &str = "/api/v1/payouts";

/// A house that writes and holds for a day, and a customer with half a coin.
async fn kari_has_coins() -> (House, Program) {
    let house = writing_house().await;
    house.epochs(2).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let top_up = json!({ "asset": "BTC", "amount": "0.5" });
    let invoice = kari.post("/api/v1/top-ups", top_up).await.json();
    let due = Amount::new(Asset::Btc, 50_000_000);
    house.pay(&house.lanes[0], invoice["address"].as_str().unwrap(), due);
    house.block(&house.lanes[0], false).await;
    (house, kari)
}

/// A machine that is Kari's own; the contract.
async fn machine_of(house: &House, kari: &Program, n: u32) -> String {
    machine_for(house, (kari, "kari"), n).await
}

/// A machine that is the customer's own; the contract.
async fn machine_for(house: &House, (who, name): (&Program, &str), n: u32) -> String {
    let new = NewInventory {
        site: house.farm.add_site("bergen").await.unwrap(),
        name: format!("hosted-{n}"),
        lane: house.lanes[0].id.clone(),
        serial: format!("SN000{n}"),
        model: "S19 Pro".to_owned(),
        rack: "A-3".to_owned(),
        nameplate: Hashrate(350_000),
        watts: 3_250,
    };
    let machine = house.farm.add_inventory(new).await.unwrap();
    house.farm.set_state(machine, MachineState::Running).await.unwrap();
    let terms = OfferTerms {
        kind: HostingKind::Sold,
        scheme: Scheme::Solo,
        pay_from: PayFrom::Balance,
        asset: Asset::Btc,
        energy_minor_per_kwh: 100,
        fee_minor_per_day: 2_000,
        level: Bps::new(9_500).unwrap(),
        term_epochs: 0,
        minimum_payout_minor: 0,
        earnings_fee: None,
    };
    let (to, nothing) = (house.account(name).await, Amount::new(Asset::Btc, 0));
    let id = house.hosting.offer(machine, to, terms, nothing).await.unwrap();
    let taken = who.post(&format!("/api/v1/machines/{id}/accept"), json!({})).await;
    assert_eq!(taken.status, StatusCode::OK, "{}", taken.body);
    id.to_string()
}

async fn pays(who: &Program, to: &str, password: Option<&str>) -> Answer {
    let order = json!({ "asset": "BTC", "amount": "0.01", "address": to, "password": password });
    who.post(PAYOUTS, order).await
}

fn kind(answer: &Answer) -> String {
    let kind = answer.json()["type"].as_str().unwrap_or_default().to_owned();
    kind.trim_start_matches("urn:gruve:problem:").to_owned()
}

async fn look(who: &Program, payout: &Answer) -> Value {
    assert_eq!(payout.status, StatusCode::CREATED, "{}", payout.body);
    who.get(&format!("{PAYOUTS}/{}", payout.json()["payout"].as_str().unwrap())).await.json()
}

#[tokio::test]
async fn a_payout_to_a_new_destination_takes_the_password_and_a_day_and_the_message_stops_it() {
    let (house, kari) = kari_has_coins().await;
    let lane = &house.lanes[0];
    let to = house.stranger(lane);
    // What cannot be done is told before anything is asked for.
    let nowhere = pays(&kari, "nowhere", None).await;
    assert_eq!(nowhere.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", nowhere.body);
    for without in [None, Some(""), Some(" ")] {
        let refused = pays(&kari, &to, without).await;
        assert_eq!(kind(&refused), "password-needed", "{}", refused.body);
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(kind(&pays(&kari, &to, Some("not this one")).await), "wrong-credentials");
    assert_eq!(kari.get(PAYOUTS).await.json()["items"], json!([]), "nothing was asked for");

    let first = pays(&kari, &to, Some(PASSWORD)).await;
    let until = gruve_accounts::date_text(house.clock.now().plus(CHANGE_DELAY));
    house.pay_out(lane).await;
    let held = look(&kari, &first).await;
    assert_eq!(held["state"], "approved", "{held}");
    let shown = held["held_until"].as_str().unwrap().replace('T', " ");
    assert!(shown.starts_with(until.trim_end_matches(" UTC")), "{shown}, {until}");
    // Stopped by the message, once.
    let ticket = json!({ "ticket": letters::ticket(&house, "undo").await });
    let stopped = kari.post("/api/v1/letters/undo", ticket.clone()).await;
    assert_eq!(stopped.status, StatusCode::NO_CONTENT, "{}", stopped.body);
    assert_eq!(look(&kari, &first).await["state"], "cancelled");
    assert_eq!(kind(&kari.post("/api/v1/letters/undo", ticket).await), "ticket-void");

    // A second one, which nobody stops, goes when its time has come; the third goes at once, and asks for nothing.
    let second = pays(&kari, &to, Some(PASSWORD)).await;
    let late = json!({ "ticket": letters::ticket(&house, "undo").await });
    house.clock.advance(CHANGE_DELAY - Duration::from_secs(1));
    house.pay_out(lane).await;
    assert_eq!(look(&kari, &second).await["state"], "approved");
    assert_eq!(kind(&pays(&kari, &to, None).await), "password-needed", "nothing has gone yet");
    house.clock.advance(Duration::from_secs(1));
    house.pay_out(lane).await;
    assert_eq!(look(&kari, &second).await["state"], "confirmed");
    assert_eq!(kind(&kari.post("/api/v1/letters/undo", late).await), "too-late");
    let third = pays(&kari, &to, None).await;
    assert_eq!(look(&kari, &third).await["held_until"], Value::Null);
    house.pay_out(lane).await;
    assert_eq!(look(&kari, &third).await["state"], "confirmed");
    // Known to her alone.
    let ola = Program::signed_up(&house.app, "ola").await;
    let account = house.account("ola").await;
    assert!(!house.treasury.has_paid_to(account, Asset::Btc, &to).await.unwrap());
    assert_eq!(kind(&pays(&ola, &to, None).await), "insufficient-funds");
}

#[tokio::test]
async fn the_book_is_paid_to_at_once_and_a_key_waits_for_anything_else() {
    let (house, kari) = kari_has_coins().await;
    let lane = &house.lanes[0];
    let (own, other) = (house.stranger(lane), house.stranger(lane));
    let account = house.account("kari").await;
    let proof = (PASSWORD, None);
    house.accounts.add_address(account, proof, (Asset::Btc, &own, "own"), None).await.unwrap();
    assert_eq!(kind(&pays(&kari, &own, None).await), "password-needed", "too new in the book");
    house.clock.advance(CHANGE_DELAY);
    let paid = pays(&kari, &own, None).await;
    assert_eq!(look(&kari, &paid).await["held_until"], Value::Null);
    house.pay_out(lane).await;
    assert_eq!(look(&kari, &paid).await["state"], "confirmed");

    let life = Duration::from_secs(86_400 * 3);
    let scopes = [Scope::Withdraw, Scope::Read];
    let key = house.accounts.make_key(account, "till", &scopes, life).await.unwrap().1;
    let mut program = Program::new(&house.app);
    program.token = Some(key);
    let made = pays(&program, &other, None).await;
    let held = look(&program, &made).await;
    assert!(held["held_until"].is_string(), "{held}");
    house.pay_out(lane).await;
    assert_eq!(look(&program, &made).await["state"], "approved");
    // The session sees it and takes it back.
    let path = format!("{PAYOUTS}/{}", made.json()["payout"].as_str().unwrap());
    assert_eq!(kari.send("DELETE", &path, None).await.json()["state"], "cancelled");
    let again = pays(&program, &own, None).await;
    assert_eq!(look(&program, &again).await["held_until"], Value::Null);
}

#[tokio::test]
async fn pages_say_before_and_after_that_a_payout_waits_and_ask_for_the_password() {
    let (house, kari) = kari_has_coins().await;
    let lane = &house.lanes[0];
    let to = house.stranger(lane);
    let mut me = Browser::new(&house.app);
    me.cookies.insert("gruve".to_owned(), kari.token.clone().unwrap());
    let csrf = me.get("/withdraw").await.field("csrf");
    let wish = [("csrf", csrf.as_str()), ("asset", "BTC"), ("amount", "0.01"), ("address", &to)];
    let review = me.post("/withdraw", &wish).await;
    assert!(review.body.contains("name=\"password\""), "{}", review.body);
    assert!(review.body.contains("the payout waits until"), "{}", review.body);
    let once = review.field("once");
    let mut fields = wish.to_vec();
    fields.push(("once", once.as_str()));
    // A wrong password, or none, is asked for once more: what was chosen stays, under the same key.
    for password in [None, Some("not this one")] {
        let mut fields = fields.clone();
        fields.extend(password.map(|p| ("password", p)));
        let again = me.post("/payouts", &fields).await;
        assert_eq!(again.status, StatusCode::UNAUTHORIZED, "{}", again.body);
        assert!(again.body.contains("role=\"alert\"") && again.body.contains("name=\"password\""));
        assert_eq!(
            (again.field("address"), again.field("amount")),
            (to.clone(), "0.01000000".into())
        );
        assert_eq!(again.field("once"), once);
    }
    fields.push(("password", PASSWORD));
    let made = me.post("/payouts", &fields).await.location().to_owned();
    assert!(me.get(&made).await.body.contains("so it waits until"));
    for list in ["/payouts", "/account"] {
        let page = me.get(list).await.body;
        assert!(page.contains("waits until <time"), "{list}: {page}");
    }
    house.clock.advance(CHANGE_DELAY);
    house.pay_out(lane).await;
    let paid = me.get(&made).await;
    assert!(paid.body.contains("Confirmed in a block"), "{}", paid.body);
    assert!(!paid.body.contains("so it waits until"));
    assert!(!me.get("/payouts").await.body.contains("waits until"));
    let review = me.post("/withdraw", &wish).await;
    assert!(!review.body.contains("name=\"password\""), "{}", review.body);
    assert!(!review.body.contains("the payout waits until"));
}

/// What would be refused at the last press is refused at the first, before anything is asked for.
#[tokio::test]
async fn pages_offer_no_payout_that_the_book_does_not_let_out() {
    let (house, kari) = kari_has_coins().await;
    let lane = &house.lanes[0];
    let (own, other) = (house.stranger(lane), house.stranger(lane));
    let account = house.account("kari").await;
    let proof = (PASSWORD, None);
    house.accounts.add_address(account, proof, (Asset::Btc, &own, "own"), None).await.unwrap();
    house.accounts.pay_to_book_only(account, true, proof, None).await.unwrap();
    let mut me = Browser::new(&house.app);
    me.cookies.insert("gruve".to_owned(), kari.token.clone().unwrap());
    let csrf = me.get("/withdraw").await.field("csrf");
    let mut ask = async |to: &str| {
        let wish = [("csrf", csrf.as_str()), ("asset", "BTC"), ("amount", "0.01"), ("address", to)];
        me.post("/withdraw", &wish).await
    };
    let asks_for_nothing = |page: &Answer, why: &str| {
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.body);
        assert!(page.body.contains(why), "{}", page.body);
        assert!(!page.body.contains("name=\"password\""), "{}", page.body);
    };
    asks_for_nothing(&ask(&own).await, "his address is new in your book");
    asks_for_nothing(&ask(&other).await, "this address is not in it");
    house.clock.advance(CHANGE_DELAY);
    let review = ask(&own).await;
    assert_eq!(review.status, StatusCode::OK, "{}", review.body);
    assert!(!review.body.contains("name=\"password\""), "{}", review.body);
}

/// Whoever decides, or is asked why nothing comes, sees that it is not staff a payout waits for.
#[tokio::test]
async fn the_console_says_until_when_a_payout_is_held() {
    let (house, kari) = kari_has_coins().await;
    let to = house.stranger(&house.lanes[0]);
    let large = json!({ "asset": "BTC", "amount": "0.4", "address": to, "password": PASSWORD });
    for made in [pays(&kari, &to, Some(PASSWORD)).await, kari.post(PAYOUTS, large).await] {
        assert!(look(&kari, &made).await["held_until"].is_string());
    }
    Program::signed_up(&house.app, "penger").await;
    house.accounts.set_role(None, "penger", Some(Role::Finance)).await.unwrap();
    let staff = Program::signed_in(&house.app, "penger").await;
    let mut console = Browser::new(&house.app);
    console.cookies.insert("gruve".to_owned(), staff.token.clone().unwrap());
    let customer = format!("/console/customers/{}", house.account("kari").await);
    for page in ["/console/payouts", &customer] {
        let body = console.get(page).await.body;
        assert_eq!(body.matches("held until").count(), 2, "{page}: {body}");
    }
    house.clock.advance(CHANGE_DELAY);
    for page in ["/console/payouts", &customer] {
        let body = console.get(page).await.body;
        assert!(body.contains(&to) && !body.contains("held until"), "{page}: {body}");
    }
}

#[tokio::test]
async fn what_a_machine_earns_goes_to_a_new_address_after_the_delay_and_to_a_known_one_at_once() {
    let (house, kari) = kari_has_coins().await;
    let set = async |machine: &str, to: &str| {
        let body = json!({ "address": to, "password": PASSWORD });
        let set = kari.post(&format!("/api/v1/machines/{machine}/address"), body).await;
        assert_eq!(set.status, StatusCode::OK, "{}", set.body);
        set.json()
    };
    let machines = [machine_of(&house, &kari, 1).await, machine_of(&house, &kari, 2).await];
    let to = house.stranger(&house.lanes[0]);
    let waiting = set(&machines[0], &to).await;
    assert_eq!(waiting["address"], Value::Null, "{waiting}");
    assert_eq!(waiting["next_address"]["address"], json!(to), "{waiting}");
    let paid = pays(&kari, &to, Some(PASSWORD)).await;
    house.clock.advance(CHANGE_DELAY);
    house.pay_out(&house.lanes[0]).await;
    assert_eq!(look(&kari, &paid).await["state"], "confirmed");
    let path = format!("/api/v1/machines/{}", machines[0]);
    assert_eq!(kari.get(&path).await.json()["address"], json!(to));
    assert_eq!(set(&machines[1], &to).await["address"], json!(to), "known by now");
}

#[tokio::test]
async fn a_new_password_takes_back_what_is_held_and_nothing_else() {
    let (house, kari) = kari_has_coins().await;
    let lane = &house.lanes[0];
    let account = house.account("kari").await;
    let (own, other) = (house.stranger(lane), house.stranger(lane));
    let proof = (PASSWORD, None);
    house.accounts.add_address(account, proof, (Asset::Btc, &own, "own"), None).await.unwrap();
    house.clock.advance(CHANGE_DELAY);
    let (known, held) = (pays(&kari, &own, None).await, pays(&kari, &other, Some(PASSWORD)).await);
    let machine = format!("/api/v1/machines/{}", machine_of(&house, &kari, 1).await);
    let set = json!({ "address": other, "password": PASSWORD });
    let set = kari.post(&format!("{machine}/address"), set).await;
    assert!(set.json()["next_address"].is_object(), "{}", set.body);
    let new = json!({ "new": "another four long words", "password": PASSWORD });
    let changed = kari.post("/api/v1/account/password", new).await;
    assert_eq!(changed.status, StatusCode::NO_CONTENT, "{}", changed.body);
    assert_eq!(look(&kari, &held).await["state"], "cancelled");
    assert_eq!(look(&kari, &known).await["state"], "approved");
    house.clock.advance(CHANGE_DELAY);
    let left = kari.get(&machine).await.json();
    assert_eq!((&left["address"], &left["next_address"]), (&Value::Null, &Value::Null), "{left}");
}

/// Whoever knows the old password knows what to wait for; whoever has the mailbox ends it.
#[tokio::test]
async fn a_new_password_by_mail_takes_back_what_waits_as_well() {
    let (house, kari) = kari_has_coins().await;
    let ola = Program::signed_up(&house.app, "ola").await;
    let offer = handed_to_kari(&ola, &machine_for(&house, (&ola, "ola"), 1).await).await;
    let held = pays(&kari, &house.stranger(&house.lanes[0]), Some(PASSWORD)).await;
    assert!(take(&kari, &offer).await.json()["taken_after"].is_string());
    letters::written(&house).await;
    let email = json!({ "email": "kari@example.org" });
    assert!(kari.post("/api/v1/letters/forgotten", email).await.status.is_success());
    let ticket = letters::ticket(&house, "reset").await;
    let new = json!({ "ticket": ticket, "new": "another four long words" });
    let set = kari.post("/api/v1/letters/password", new).await;
    assert!(set.status.is_success(), "{}", set.body);
    let login = json!({ "login": "kari", "password": "another four long words" });
    let mut kari = Program::new(&house.app);
    let session = kari.post("/api/v1/sessions", login).await.json();
    kari.token = Some(session["token"].as_str().unwrap().to_owned());
    assert_eq!(look(&kari, &held).await["state"], "cancelled");
    assert_eq!(kari.get(&offer).await.json()["taken_after"], Value::Null);
}

/// Offers a machine to Kari for a tenth of a coin; the path of the offer.
async fn handed_to_kari(owner: &Program, contract: &str) -> String {
    let order = json!({ "to": "kari", "asset": "BTC", "price": "0.1", "password": PASSWORD });
    let offer = owner.post(&format!("/api/v1/machines/{contract}/transfer"), order).await;
    assert_eq!(offer.status, StatusCode::CREATED, "{}", offer.body);
    format!("/api/v1/machines/{}", offer.json()["offer"].as_str().unwrap())
}

async fn take(who: &Program, offer: &str) -> Answer {
    who.post(&format!("{offer}/accept"), json!({ "password": PASSWORD })).await
}

#[tokio::test]
async fn what_another_customer_hands_on_is_agreed_first_and_taken_a_day_later() {
    let (house, kari) = kari_has_coins().await;
    let ola = Program::signed_up(&house.app, "ola").await;
    let machine = machine_for(&house, (&ola, "ola"), 1).await;
    let offer = handed_to_kari(&ola, &machine).await;
    letters::written(&house).await;
    let left = async || available(&house, house.account("kari").await).await;
    let before = left().await;

    let agreed = take(&kari, &offer).await;
    assert_eq!(agreed.status, StatusCode::OK, "{}", agreed.body);
    let after = agreed.json()["taken_after"].clone();
    assert!(after.is_string() && agreed.json()["from_epoch"].is_null(), "{}", agreed.body);
    let told = letters::written(&house).await;
    assert_eq!(told.len(), 2, "each of them: {told:?}");
    assert!(told.iter().all(|m| m.body.contains("If that was not you")), "{told:?}");
    // Pressed again it is agreed since then, and nobody is told twice.
    house.clock.advance(CHANGE_DELAY - Duration::from_secs(1));
    assert_eq!(take(&kari, &offer).await.json()["taken_after"], after);
    assert_eq!(kari.get(&offer).await.json()["taken_after"], after);
    assert!(letters::written(&house).await.is_empty());
    assert_eq!(
        (left().await, &kari.get(&offer).await.json()["state"]),
        (before, &json!("offered"))
    );

    house.clock.advance(Duration::from_secs(1));
    let taken = take(&kari, &offer).await;
    assert!(taken.json()["from_epoch"].is_u64(), "{}", taken.body);
    assert_eq!(left().await, before - 10_000_000);
    let seen = kari.get(&offer).await.json();
    assert_eq!((&seen["state"], &seen["taken_after"]), (&json!("active"), &Value::Null));
    // What the house itself offers waits for nothing.
    machine_of(&house, &kari, 2).await;
}

#[tokio::test]
async fn either_side_or_a_new_password_stops_what_was_agreed() {
    let (house, kari) = kari_has_coins().await;
    let ola = Program::signed_up(&house.app, "ola").await;
    let machine = machine_for(&house, (&ola, "ola"), 1).await;
    for who in [&ola, &kari] {
        let offer = handed_to_kari(&ola, &machine).await;
        assert!(take(&kari, &offer).await.json()["taken_after"].is_string());
        assert_eq!(who.send("DELETE", &offer, None).await.status, StatusCode::NO_CONTENT);
        house.clock.advance(CHANGE_DELAY);
        assert_eq!(take(&kari, &offer).await.status, StatusCode::CONFLICT);
    }
    // The buyer's: it is to be agreed anew.
    let offer = handed_to_kari(&ola, &machine).await;
    assert!(take(&kari, &offer).await.json()["taken_after"].is_string());
    let change = async |who: &Program, old: &str, new: &str| {
        let new = json!({ "new": new, "password": old });
        let changed = who.post("/api/v1/account/password", new).await;
        assert_eq!(changed.status, StatusCode::NO_CONTENT, "{}", changed.body);
    };
    change(&kari, PASSWORD, "another four long words").await;
    house.clock.advance(CHANGE_DELAY);
    assert_eq!(kari.get(&offer).await.json()["taken_after"], Value::Null);
    change(&kari, "another four long words", PASSWORD).await;
    let again = take(&kari, &offer).await;
    assert!(again.json()["taken_after"].is_string(), "{}", again.body);
    // The owner's: the offer is taken back.
    change(&ola, PASSWORD, "another four long words").await;
    house.clock.advance(CHANGE_DELAY);
    assert_eq!(kari.get(&offer).await.json()["state"], "withdrawn");
    assert_eq!(take(&kari, &offer).await.status, StatusCode::CONFLICT);
}
