//! The operator is told once when something goes wrong and once when it is over; everybody sees it on the
//! status page, which counts what nobody looked at as bad.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use futures_util::future::BoxFuture;
use gruve_accounts::{AccountRules, Mail, MailError, MailRules, Mailer, NewAccount, Role};
use gruve_units::{Clock, Duration};
use gruve_web::{
    Hook, HookFault, HookSecret, HookSender, LiveLogReader, LogReaderKind, Looker, WatchConfig,
    WebConfig,
};
use house::House;
use house::browser::{Browser, Program};
use serde_json::Value;
use std::sync::{Arc, Mutex};

type Sent = (Vec<(&'static str, String)>, String);

/// A receiver that writes down what it is sent, and refuses what it is told to.
#[derive(Default)]
struct Receiver {
    sent: Mutex<Vec<Sent>>,
    refuses: Mutex<u32>,
}

impl HookSender for Receiver {
    fn post<'a>(
        &'a self,
        url: &'a str,
        headers: &'a [(&'static str, String)],
        body: &'a str,
    ) -> BoxFuture<'a, Result<u16, HookFault>> {
        assert_eq!(url, "https://ops.example/hook");
        Box::pin(async move {
            self.sent.lock().unwrap().push((headers.to_vec(), body.to_owned()));
            let mut refuses = self.refuses.lock().unwrap();
            if *refuses == 0 {
                return Ok(204);
            }
            *refuses -= 1;
            Err(HookFault::Refused)
        })
    }
}

async fn watched() -> (House, Arc<Receiver>) {
    let receiver = Arc::new(Receiver::default());
    let hook = Hook {
        url: "https://ops.example/hook".into(),
        secret: HookSecret::from_bytes(&[7; 32]).unwrap(),
        sender: receiver.clone(),
    };
    let watch = WatchConfig {
        hook: Some(hook),
        mail_roles: vec![Role::Owner],
        disk: Some(Arc::new(|| Some((5, 100)))),
        ..WatchConfig::default()
    };
    let mail = MailRules {
        origin: "https://mine.example".into(),
        house: "Mine".into(),
        confirm_sign_up: false,
        say: gruve_accounts::in_english,
    };
    let rules = AccountRules { mail: Some(mail), ..AccountRules::default() };
    let house = House::with_rules(WebConfig { watch, ..WebConfig::default() }, rules).await;
    (house, receiver)
}

/// The letters that wait, all to kari.
async fn letters(house: &House) -> Vec<Mail> {
    struct Post(Mutex<Vec<Mail>>);
    #[async_trait::async_trait]
    impl Mailer for Post {
        async fn send(&self, mail: &Mail) -> Result<(), MailError> {
            assert_eq!(mail.to, "kari@example.org");
            self.0.lock().unwrap().push(mail.clone());
            Ok(())
        }
    }
    let post = Post(Mutex::default());
    while house.accounts.deliver(&post).await.unwrap().sent > 0 {}
    post.0.into_inner().unwrap()
}

/// An owner of the house, who is written to.
async fn owner(house: &House) {
    let new = NewAccount {
        name: "kari".into(),
        email: "kari@example.org".into(),
        password: "four words make one".into(),
    };
    house.accounts.sign_up(new).await.unwrap();
    house.accounts.set_role(None, "kari", Some(Role::Owner)).await.unwrap();
}

fn kinds(sent: &[Sent]) -> Vec<String> {
    let word = |v: &Value, p: &str| v.pointer(p).unwrap().as_str().unwrap().to_owned();
    let one = |(_, body): &Sent| {
        let v: Value = serde_json::from_str(body).unwrap();
        format!("{} {} {}", word(&v, "/type"), word(&v, "/data/rule"), word(&v, "/data/subject"))
    };
    sent.iter().map(one).collect()
}

#[tokio::test]
async fn a_silent_lane_is_told_once_when_it_begins_and_once_when_it_is_over() {
    let (house, receiver) = watched().await;
    owner(&house).await;
    let mut looker = Looker::new(house.clock.now());
    house.state.look(&mut looker).await.unwrap();
    house.state.send_hooks().await.unwrap();
    assert_eq!(kinds(&receiver.sent.lock().unwrap()), ["alert.opened disk_low data"]);
    for _ in 0..12 {
        house.clock.advance(Duration::from_secs(60));
        house.state.look(&mut looker).await.unwrap();
    }
    house.live.share_at(house.clock.now());
    for _ in 0..3 {
        house.state.look(&mut looker).await.unwrap();
    }
    while house.state.send_hooks().await.unwrap() > 0 {}
    let mut told = kinds(&receiver.sent.lock().unwrap())[1..].to_vec();
    told.sort();
    let wanted = [
        "alert.closed lane_silent btc",
        "alert.closed lane_silent ltc",
        "alert.opened lane_silent btc",
        "alert.opened lane_silent ltc",
        "alert.opened node_behind btc",
    ];
    assert_eq!(told, wanted);
    // A new process, which has seen nothing, does not tell again of what is open.
    house.state.look(&mut Looker::new(house.clock.now())).await.unwrap();
    assert_eq!(
        house.state.send_hooks().await.unwrap(),
        1,
        "only that the node's ailing is measured anew"
    );

    let subjects: Vec<String> = letters(&house).await.into_iter().map(|m| m.subject).collect();
    assert!(subjects.contains(&"Mine: No shares arrive (btc) begins".to_owned()), "{subjects:?}");
    assert!(subjects.contains(&"Mine: No shares arrive (btc) is over".to_owned()), "{subjects:?}");

    // Page by page all of them come, each once, also those that began at one moment.
    let kari = Program::signed_in(&house.app, "kari").await;
    let all = kari.get("/api/v1/console/alerts/all?limit=500").await.json();
    let all = all["items"].as_array().unwrap();
    assert!(all.len() >= 4, "{all:?}");
    assert!(all.windows(2).any(|two| two[0]["opened_at"] == two[1]["opened_at"]), "{all:?}");
    let (mut paged, mut after) = (Vec::new(), String::new());
    loop {
        let page = kari.get(&format!("/api/v1/console/alerts/all?limit=1{after}")).await.json();
        paged.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(&paged, all);
}

#[tokio::test]
async fn a_message_that_is_not_taken_is_tried_again_later_under_the_same_id_and_a_fresh_signature()
{
    let (house, receiver) = watched().await;
    *receiver.refuses.lock().unwrap() = 1;
    house.state.look(&mut Looker::new(house.clock.now())).await.unwrap();
    assert_eq!(house.state.send_hooks().await.unwrap(), 0);
    assert_eq!(house.state.send_hooks().await.unwrap(), 0, "not at once");
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(house.state.send_hooks().await.unwrap(), 1);
    house.clock.advance(Duration::from_secs(86_400));
    assert_eq!(house.state.send_hooks().await.unwrap(), 0, "it is taken");
    let sent = receiver.sent.lock().unwrap().clone();
    let (first, second) = (&sent[0], &sent[1]);
    assert_eq!((first.0[0].clone(), &first.1), (second.0[0].clone(), &second.1), "id and body");
    assert_ne!(first.0[1], second.0[1], "the time of sending");
    let secret = HookSecret::from_bytes(&[7; 32]).unwrap();
    let at = gruve_units::Timestamp::from_secs(second.0[1].1.parse().unwrap());
    assert_eq!(second.0, secret.headers(&second.0[0].1, at, &second.1));
}

#[tokio::test]
async fn everybody_sees_what_does_not_work_and_the_operator_sees_it_in_the_console() {
    let (house, _) = watched().await;
    let mut looker = Looker::new(house.clock.now());
    for _ in 0..20 {
        house.state.look(&mut looker).await.unwrap();
        house.clock.advance(Duration::from_secs(60));
    }
    let mut anybody = Browser::new(&house.app);
    let page = anybody.get("/status").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.body.contains("No shares arrive") && page.body.contains("Lane btc"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("disk"), "the operator's own affair: {}", page.body);
    let json = Program::new(&house.app).get("/api/v1/status").await.json();
    let part = |code: &str| {
        json["parts"].as_array().unwrap().iter().find(|p| p["part"] == code).unwrap().clone()
    };
    assert_eq!(
        (&part("site")["works"], &part("lane btc")["works"]),
        (&Value::Bool(true), &Value::Bool(false))
    );
    assert!(part("site")["uptime_bps"].as_i64().unwrap() > 9_000);
    assert!(part("lane btc")["uptime_bps"].as_i64().unwrap() < 7_000);
    // Nobody looks for a day: that is no uptime.
    house.clock.advance(Duration::from_secs(86_400));
    let json = Program::new(&house.app).get("/api/v1/status").await.json();
    let site =
        json["parts"].as_array().unwrap().iter().find(|p| p["part"] == "site").unwrap().clone();
    assert!(site["uptime_bps"].as_i64().unwrap() < 300, "{site}");

    let mut me = Browser::new(&house.app);
    me.sign_up("kari").await;
    house.accounts.set_role(None, "kari", Some(Role::Technician)).await.unwrap();
    let csrf = me.get("/sign-in").await.field("csrf");
    let login = [("csrf", csrf.as_str()), ("login", "kari"), ("password", "four words make one")];
    me.post("/sign-in", &login).await;
    let page = me.get("/console/alerts").await;
    assert!(page.body.contains("The disk is nearly full"), "{}", page.body);
    let csrf = page.field("csrf");
    let at = page.body.find("/console/alerts/").unwrap();
    let path = page.body[at..].split('"').next().unwrap().to_owned();
    assert_eq!(me.post(&path, &[("csrf", &csrf)]).await.status, StatusCode::SEE_OTHER);
    let says =
        [("csrf", csrf.as_str()), ("title", "New cables"), ("body", "On Monday from 8 to 9.")];
    assert_eq!(me.post("/console/bulletins", &says).await.status, StatusCode::SEE_OTHER);
    assert!(anybody.get("/status").await.body.contains("On Monday from 8 to 9."));
    let long = [("csrf", csrf.as_str()), ("title", ""), ("body", "x")];
    assert_eq!(me.post("/console/bulletins", &long).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn who_does_not_read_a_share_log_on_is_told_with_how_far_it_is_and_what_to_do() {
    let (house, receiver) = watched().await;
    owner(&house).await;
    let (mut looker, began) = (Looker::new(house.clock.now()), house.clock.now());
    let reader = |who, unread_bytes, behind_since| LiveLogReader {
        lane: "btc".parse().unwrap(),
        who,
        unread_bytes,
        behind_since,
    };
    let (counter, signer) = (LogReaderKind::CountByMachine, LogReaderKind::AcceptanceRoots);
    // Older than the house's life, as after a stop: it counts from the start on.
    let old = began.minus(Duration::from_secs(86_400));
    let stuck = reader(signer, 7 << 20, Some(old));
    house.live.read_so_far(vec![reader(counter, 100, Some(began)), stuck.clone()]);
    let told = || {
        let all = kinds(&receiver.sent.lock().unwrap());
        all.into_iter().filter(|k| k.contains("log_unread")).collect::<Vec<_>>()
    };
    for minute in 0..60 {
        house.state.look(&mut looker).await.unwrap();
        while house.state.send_hooks().await.unwrap() > 0 {}
        assert!(told().is_empty(), "after {minute} minutes: {:?}", told());
        house.clock.advance(Duration::from_secs(60));
        let at = house.clock.now();
        house.live.read_so_far(vec![reader(counter, 100, Some(at)), stuck.clone()]);
    }
    house.state.look(&mut looker).await.unwrap();
    while house.state.send_hooks().await.unwrap() > 0 {}
    assert_eq!(told(), ["alert.opened log_unread btc acceptance_roots"]);
    let sent = receiver.sent.lock().unwrap().clone();
    let body = sent.iter().find(|(_, body)| body.contains("log_unread")).unwrap().1.clone();
    let about = serde_json::from_str::<Value>(&body).unwrap()["data"]["about"].clone();
    let about = about.as_str().unwrap();
    for said in ["7 MiB", "lane btc", "1 day 1 h", "no acceptance root was signed"] {
        assert!(about.contains(said), "{said}: {about}");
    }

    let mails = letters(&house).await;
    let mail = mails.iter().find(|m| m.subject.contains("share log")).unwrap();
    assert!(mail.subject.contains("(btc acceptance_roots) begins"), "{}", mail.subject);
    assert!(mail.body.contains(about), "{}", mail.body);

    let mut me = Browser::new(&house.app);
    let csrf = me.get("/sign-in").await.field("csrf");
    let login = [("csrf", csrf.as_str()), ("login", "kari"), ("password", "four words make one")];
    me.post("/sign-in", &login).await;
    let page = me.get("/console/alerts").await.body;
    assert!(page.contains("A share log is not read on") && page.contains("7 MiB"), "{page}");
    let program = Program::signed_in(&house.app, "kari").await;
    let open = program.get("/api/v1/console/alerts").await.json();
    let open = open["open"].as_array().unwrap();
    let one = open.iter().find(|a| a["rule"] == "log_unread").unwrap();
    assert_eq!(one["about"].as_str(), Some(about));
    let metrics = Program::new(&house.app).get("/metrics").await.body;
    for line in [
        "gruve_share_log_unread_bytes{lane=\"btc\",reader=\"acceptance_roots\"} 7340032",
        "gruve_share_log_unread_seconds{lane=\"btc\",reader=\"acceptance_roots\"} 90000",
        "gruve_share_log_unread_seconds{lane=\"btc\",reader=\"count_by_machine\"} 0",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line}\n{metrics}");
    }

    // Who reads no more, as when the last machine has gone, is over it as well as who has read on.
    house.live.read_so_far(vec![reader(counter, 0, None)]);
    house.state.look(&mut looker).await.unwrap();
    while house.state.send_hooks().await.unwrap() > 0 {}
    assert_eq!(told()[1..], ["alert.closed log_unread btc acceptance_roots"]);
}
