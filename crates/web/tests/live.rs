//! Live events and the server itself, over a real socket.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use gruve_units::Clock as _;
use gruve_web::{Access, Looker, Lookout, Topic, routes};
use house::House;
use house::browser::{Browser, ask};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PATIENCE: Duration = Duration::from_secs(20);

/// Reads frames until one holds `text`.
async fn until(body: &mut Body, text: &str) {
    let reading = async {
        let mut seen = String::new();
        while !seen.contains(text) {
            let frame = body.frame().await.unwrap().unwrap();
            seen.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap();
}

#[tokio::test]
async fn a_beat_reaches_whoever_listens() {
    let house = House::new().await;
    let service = TowerToHyperService::new(house.app.clone());
    let request = Request::get("/events").body(Body::empty()).unwrap();
    let answer = service.call(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["x-frame-options"], "DENY");
    let mut body = answer.into_body();
    until(&mut body, "event: hello").await;
    assert_eq!(house.state.pulse().listeners(), 1);
    house.state.pulse().beat();
    until(&mut body, "event: change").await;
    drop(body);
    assert_eq!(house.state.pulse().listeners(), 0, "a listener that went gives its place back");
}

#[tokio::test]
async fn listeners_are_bounded_and_the_one_too_many_is_told_to_reload_by_hand() {
    let house = House::new().await;
    let service = TowerToHyperService::new(house.app.clone());
    let mut streams = Vec::new();
    let refused = loop {
        let request = Request::get("/events").body(Body::empty()).unwrap();
        let answer = service.call(request).await.unwrap();
        if answer.status() != StatusCode::OK {
            break answer;
        }
        streams.push(answer);
        assert!(streams.len() <= 2_000, "no bound in sight");
    };
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    streams.pop();
    let request = Request::get("/events").body(Body::empty()).unwrap();
    assert_eq!(service.call(request).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_served_page_refreshes_when_an_epoch_closes_and_the_server_ends_when_told() {
    let house = House::new().await;
    house.epochs(2).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let begun = house.state.pulse().count();
    let server = tokio::spawn(gruve_web::serve(listener, house.state.clone(), async {
        stopped.await.unwrap();
    }));
    let newest = |seen: &str| {
        seen.lines().filter_map(|l| l.strip_prefix("id: ")?.trim().parse::<u64>().ok()).max()
    };
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: gruve.test\r\n\r\n").await.unwrap();
    let mut seen = String::new();
    let mut buffer = [0u8; 4096];
    let reading = async {
        let mut looked: Option<u64> = None;
        while looked.is_none_or(|count| newest(&seen) <= Some(count)) {
            let n = stream.read(&mut buffer).await.unwrap();
            assert_ne!(n, 0, "the stream ended: {seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
            if seen.contains("event: hello") && looked.is_none() {
                // The watcher's first look, when somebody listens, tells everything; then something happens.
                while house.state.pulse().count() == begun {
                    tokio::task::yield_now().await;
                }
                looked = Some(house.state.pulse().count());
                house.epoch().await;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap();
    stop.send(()).unwrap();
    tokio::time::timeout(PATIENCE, server).await.unwrap().unwrap().unwrap();
}

/// The stream of a customer from behind an event on.
async fn stream_of(house: &House, token: &str, last: Option<&str>) -> Body {
    let mut request =
        Request::get("/api/v1/events").header("authorization", format!("Bearer {token}"));
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let service = TowerToHyperService::new(house.app.clone());
    let answer = service.call(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    answer.into_body()
}

/// Reads events until one has `text` among its lines, and gives that one.
async fn event_with(body: &mut Body, text: &str) -> String {
    let reading = async {
        let mut seen = String::new();
        loop {
            let frame = body.frame().await.unwrap().unwrap();
            seen.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
            let whole = seen.split_inclusive("\n\n").filter(|e| e.ends_with("\n\n"));
            if let Some(found) = whole.into_iter().find(|e| e.contains(text)) {
                return found.to_owned();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reading).await.unwrap()
}

#[tokio::test]
async fn a_customer_hears_of_own_things_alone_and_after_a_break_of_what_came_meanwhile() {
    let house = House::new().await;
    house.epochs(8).await;
    let kari = house::browser::Program::signed_up(&house.app, "kari").await;
    let ola = house::browser::Program::signed_up(&house.app, "ola").await;
    let (kari_token, ola_token) = (kari.token.clone().unwrap(), ola.token.clone().unwrap());
    let hello = event_with(&mut stream_of(&house, &kari_token, None).await, "hello").await;
    let place = hello.lines().find_map(|l| l.strip_prefix("id: ")).unwrap().to_owned();
    let mut theirs = stream_of(&house, &ola_token, None).await;

    // While nobody of hers listens, her invoice is paid.
    house.clock.advance(Duration::from_secs(1));
    let top_up = serde_json::json!({ "asset": "BTC", "amount": "0.5" });
    let pay = async |who: &house::browser::Program| {
        let invoice = who.post("/api/v1/top-ups", top_up.clone()).await.json();
        let lane = &house.lanes[0];
        let due = gruve_units::Amount::new(lane.asset, 50_000_000);
        house.pay(lane, invoice["address"].as_str().unwrap(), due);
        house.block(lane, false).await;
        house.clock.advance(Duration::from_secs(3));
        house.state.pulse().beat();
        invoice["id"].as_str().unwrap().to_owned()
    };
    let first = pay(&kari).await;
    let mut own = stream_of(&house, &kari_token, Some(&place)).await;
    let told = event_with(&mut own, "happened").await;
    assert!(told.contains(&first) && told.contains("\"confirmed\""), "{told}");
    let data = told.lines().find_map(|l| l.strip_prefix("data: ")).unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    let schema = &gruve_web::document()["components"]["schemas"]["Happened"];
    assert_eq!(house::document::wrong(schema, &data, ""), None);

    // What was heard is not told again, and what comes is told to whom it belongs.
    let place = told.lines().find_map(|l| l.strip_prefix("id: ")).unwrap().to_owned();
    let mut own = stream_of(&house, &kari_token, Some(&place)).await;
    let second = pay(&kari).await;
    let told = event_with(&mut own, "happened").await;
    assert!(told.contains(&second) && !told.contains(&first), "{told}");
    let others = pay(&ola).await;
    let told = event_with(&mut theirs, "happened").await;
    assert!(told.contains(&others), "{told}");
    let wrong = [("last-event-id", "yesterday")];
    let refused = kari.send_with("GET", "/api/v1/events", None, &wrong).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

/// The data of the next change on a stream of pages: its count, the spread, the topics.
async fn change(body: &mut Body) -> (u64, String) {
    let told = event_with(body, "event: change").await;
    let data = told.lines().find_map(|l| l.strip_prefix("data: ")).unwrap().to_owned();
    let mut parts = data.split(' ');
    let count = parts.next().unwrap().parse().unwrap();
    (count, parts.nth(1).unwrap().to_owned())
}

#[tokio::test]
async fn pages_are_told_which_topics_have_changed_and_of_nothing_when_nothing_has_moved() {
    let house = House::new().await;
    house.epochs(2).await;
    let kari = house::browser::Program::signed_up(&house.app, "kari").await;
    drop(kari);
    let who = house::balances::account(&house, "kari").await;
    let service = TowerToHyperService::new(house.app.clone());
    let request = Request::get("/events").body(Body::empty()).unwrap();
    let mut body = service.call(request).await.unwrap().into_body();
    until(&mut body, "event: hello").await;
    let all = Topic::ALL.map(Topic::name).join(",");
    let begun = house.state.pulse().count();
    let mut lookout = Lookout::new(house.state.clone());
    lookout.look().await;
    // What has moved before the first look, nobody knows.
    assert_eq!(change(&mut body).await, (begun + 1, all.clone()));
    let before = house.state.pulse().count();
    // Two minutes: the status page, too, shows the same.
    for _ in 0..60 {
        house.clock.advance(Duration::from_secs(2));
        lookout.look().await;
    }
    assert_eq!(house.state.pulse().count(), before, "nothing has changed");
    // The watch has found the house well: the status page shows a first day.
    house.state.look(&mut Looker::new(house.clock.now())).await.unwrap();
    for _ in 0..30 {
        lookout.look().await;
    }
    assert_eq!(change(&mut body).await, (before + 1, "health".to_owned()));

    let before = house.state.pulse().count();
    house::balances::fund(&house, who, 1_000).await;
    lookout.look().await;
    assert_eq!(change(&mut body).await, (before + 1, "money".to_owned()));
    house.epoch().await;
    lookout.look().await;
    let (count, topics) = change(&mut body).await;
    assert_eq!(count, before + 2);
    assert!(topics.split(',').any(|t| t == "lanes"), "{topics}");
    // What somebody did here himself is of any topic.
    house.state.pulse().beat();
    assert_eq!(change(&mut body).await, (before + 3, all));
    // Two changes that were not heard apart are told together.
    house.state.pulse().tell(&[Topic::Farm]);
    house.state.pulse().tell(&[Topic::Work]);
    assert_eq!(change(&mut body).await, (before + 5, "farm,work".to_owned()));
}

/// How many changes there were when a page was written, as it says itself.
fn written_after(page: &str) -> u64 {
    let rest = page.split_once("data-changes=\"").unwrap().1;
    rest.split('"').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_page_says_after_which_change_it_was_written_so_that_it_hears_of_those_before_it_listens()
{
    let house = House::new().await;
    house.epochs(2).await;
    let pulse = house.state.pulse();
    let mut kari = Browser::new(&house.app);
    kari.sign_up("kari").await;
    let refresh = async || {
        let request = Request::get("/").header("host", "gruve.test").header("gruve-refresh", "yes");
        ask(&house.app, request.body(Body::empty()).unwrap()).await.body
    };
    for _ in 0..2 {
        let begun = pulse.count();
        let (own, shared) = (kari.get("/account").await.body, refresh().await);
        assert_eq!((written_after(&own), written_after(&shared)), (begun, begun));
        assert_eq!(refresh().await, shared, "written once");
        // Told between the page and its stream: the greeting has another count than the page.
        pulse.tell(&[Topic::Money]);
        let service = TowerToHyperService::new(house.app.clone());
        let request = Request::get("/events").body(Body::empty()).unwrap();
        let mut body = service.call(request).await.unwrap().into_body();
        let hello = event_with(&mut body, "event: hello").await;
        assert!(hello.contains(&format!("data: {} ", begun + 1)), "{hello}");
    }
    // The script begins with the page's count, and its own element carries it.
    let script = include_str!("../assets/live.js");
    assert!(script.contains("let heard = document.currentScript.dataset.changes;"));
    assert!(script.contains("if (heard !== count) changed();"));
    // Another start counts from another number: a page of before does not take it for its own.
    assert_ne!(gruve_web::Pulse::default().count(), gruve_web::Pulse::default().count());
}

#[test]
fn parts_of_pages_name_topics_that_there_are() {
    let pages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pages");
    let (mut open, mut named) = (vec![pages], 0);
    while let Some(place) = open.pop() {
        if place.is_dir() {
            open.extend(std::fs::read_dir(&place).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        let source = std::fs::read_to_string(&place).unwrap();
        let written = source.split("data-live=\"").skip(1).map(|p| p.split('"').next().unwrap());
        // The console's sheets: an id, a title, topics.
        let sheets = source.split("live_sheet(\"").skip(1).map(|p| p.split('"').nth(4).unwrap());
        for topics in written.chain(sheets) {
            for topic in topics.split(' ') {
                let is_one = Topic::ALL.iter().any(|t| t.name() == topic);
                assert!(is_one, "{}: {topic:?}", place.display());
                named += 1;
            }
        }
    }
    assert!(named >= 60, "{named}");
}

#[tokio::test]
async fn an_account_has_a_few_streams_and_leaves_room_for_others() {
    let house = House::new().await;
    let kari = house::browser::Program::signed_up(&house.app, "kari").await.token.unwrap();
    let ola = house::browser::Program::signed_up(&house.app, "ola").await.token.unwrap();
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(stream_of(&house, &kari, None).await);
    }
    let service = TowerToHyperService::new(house.app.clone());
    let fifth = Request::get("/api/v1/events").header("authorization", format!("Bearer {kari}"));
    let refused = service.call(fifth.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let _other = stream_of(&house, &ola, None).await;
    streams.pop();
    let _again = stream_of(&house, &kari, None).await;
}

#[tokio::test]
async fn one_household_does_not_take_all_places_for_live_pages() {
    let house = House::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_stop, stopped) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(gruve_web::serve(listener, house.state.clone(), async {
        let _ = stopped.await;
    }));
    let mut held = Vec::new();
    let refused = loop {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /events HTTP/1.1\r\nHost: gruve.test\r\n\r\n").await.unwrap();
        let mut head = [0; 12];
        let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut head)).await;
        read.unwrap().unwrap();
        if !head.ends_with(b"200") {
            break String::from_utf8_lossy(&head).into_owned();
        }
        held.push(stream);
        assert!(held.len() <= 64, "no bound in sight");
    };
    assert!(refused.ends_with("503") && held.len() == 64, "{refused} after {}", held.len());
}

#[tokio::test]
async fn every_public_page_with_live_parts_is_written_once_for_a_change_and_made_up_addresses_are_not()
 {
    let house = House::new().await;
    house.epochs(8).await;
    let look = async |path: &str, refreshes: bool| {
        let mut request = Request::get(path).header("host", "gruve.test");
        if refreshes {
            request = request.header("gruve-refresh", "yes");
        }
        let answer = ask(&house.app, request.body(Body::empty()).unwrap()).await;
        (answer.status == StatusCode::OK && answer.body.contains("data-live="))
            .then_some(answer.body)
    };
    let mut live = Vec::new();
    for route in routes(&house.state) {
        if route.method == Method::GET && route.access == Access::Public && route.path != "/events"
        {
            let path = route.path.replace("{lane}", "btc").replace("{name}", "btc-lease");
            live.extend(look(&path, true).await.map(|body| (path, body)));
        }
    }
    assert!(live.len() >= 5, "{}", live.len());
    // Nobody says that this is a change.
    house.epochs(3).await;
    for (path, before) in &live {
        assert_eq!(look(path, true).await.as_ref(), Some(before), "{path} was written again");
    }
    let (_, home) = live.iter().find(|(path, _)| path == "/").unwrap();
    for (path, refreshes) in [("/", false), ("/?made-up", true)] {
        assert_ne!(look(path, refreshes).await.as_ref(), Some(home), "{path} is written anew");
    }
    house.state.pulse().beat();
    assert_ne!(look("/", true).await.as_ref(), Some(home), "a change");
}
