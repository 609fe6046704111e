//! What accounts and sessions promise, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_accounts::{
    AUDIT_KEPT, Accounts, AccountsError, MIGRATIONS, NAMES_PER_NETWORK, NETWORK_KNOWN,
    NETWORKS_KNOWN_MAX, NewAccount, PER_NAME, PER_NETWORK, SESSION_IDLE, SESSION_LIFE,
    SESSIONS_MAX, Session,
};
use gruve_store::{Store, laws, matches_on_both_engines};
use gruve_units::{
    AccountId, Blame, Blamed, Clock, Duration, ManualClock, SeededEntropy, Timestamp,
};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

const PASSWORD: &str = "correct horse";

/// Where customers sign in from.
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

struct House {
    accounts: Accounts,
    clock: Arc<ManualClock>,
    store: Store,
}

async fn house(store: Store) -> House {
    Accounts::migrate(&store).await.unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let entropy = Arc::new(SeededEntropy::new(7));
    let accounts = Accounts::new(store.clone(), clock.clone(), entropy);
    House { accounts, clock, store }
}

fn new(name: &str) -> NewAccount {
    let email = format!("{name}@Example.org");
    NewAccount { name: name.to_owned(), email, password: PASSWORD.to_owned() }
}

impl House {
    async fn with(store: Store, name: &str) -> (House, AccountId) {
        let house = house(store).await;
        let id = house.accounts.sign_up(new(name)).await.unwrap();
        (house, id)
    }

    async fn sign_in(&self, login: &str, password: &str) -> Result<Session, AccountsError> {
        self.accounts.sign_in(login, password, Some(HOME)).await
    }

    /// A wrong password from network `n`.
    async fn guess(&self, login: &str, n: u32) -> AccountsError {
        let from = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0001 + (n << 8)));
        self.accounts.sign_in(login, "wrong horse", Some(from)).await.unwrap_err()
    }

    async fn count(&self, sql: &'static str) -> i64 {
        let mut tx = self.store.read().await.unwrap();
        tx.fetch_one(sql, &[]).await.unwrap().get("n").unwrap()
    }
}

async fn who_signs_up_can_sign_in_by_name_or_address(store: Store) {
    let (house, id) = House::with(store, "alice").await;
    for login in ["alice", "ALICE", "alice@example.org", "Alice@EXAMPLE.org"] {
        let session = house.sign_in(login, PASSWORD).await.unwrap();
        assert_eq!(session.account, id);
        let info = house.accounts.session(&session.token).await.unwrap().unwrap();
        assert_eq!((info.account, info.name.as_str()), (id, "alice"));
        assert_eq!(info.expires, session.expires);
        assert!(info.csrf_matches(&session.csrf));
        assert!(!info.csrf_matches("") && !info.csrf_matches(&session.token));
    }
    assert_eq!(house.accounts.account_by_name("alice").await.unwrap(), Some(id));
    assert_eq!(house.accounts.account_by_name("bob").await.unwrap(), None);
    assert_eq!(house.accounts.account_by_name("a'; --\0").await.unwrap(), None);
    assert_eq!(house.accounts.name_of(id).await.unwrap().as_deref(), Some("alice"));
    let nobody = AccountId::from_bytes([1; 16]);
    assert_eq!(house.accounts.name_of(nobody).await.unwrap(), None);
    let names = house.accounts.names_of(&[id, nobody].into()).await.unwrap();
    assert_eq!(names, [(id, "alice".to_owned())].into());
    assert!(house.accounts.names_of(&[].into()).await.unwrap().is_empty());
}

async fn a_name_or_address_is_taken_once_even_in_a_race(store: Store) {
    let house = house(store).await;
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let accounts = house.accounts.clone();
            tokio::spawn(async move { accounts.sign_up(new("alice")).await })
        })
        .collect();
    let mut opened = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => opened += 1,
            Err(e) => assert!(matches!(e, AccountsError::Taken), "{e}"),
        }
    }
    assert_eq!(opened, 1);
    let other_name = NewAccount { name: "bob".to_owned(), ..new("alice") };
    assert!(matches!(house.accounts.sign_up(other_name).await, Err(AccountsError::Taken)));
}

async fn what_cannot_be_an_account_is_refused(store: Store) {
    let house = house(store).await;
    for name in ["", "ab", "House", "house", "admin", "a.b", "a b"] {
        let refused = house.accounts.sign_up(new(name)).await.unwrap_err();
        assert!(matches!(refused, AccountsError::BadName), "{name}");
    }
    let no_address = NewAccount { email: "nowhere".to_owned(), ..new("alice") };
    assert!(matches!(house.accounts.sign_up(no_address).await, Err(AccountsError::BadEmail)));
    let short = NewAccount { password: "short".to_owned(), ..new("alice") };
    assert!(matches!(house.accounts.sign_up(short).await, Err(AccountsError::BadPassword)));
    assert_eq!(house.count("SELECT COUNT(*) AS n FROM accounts_accounts").await, 0);
}

async fn a_wrong_name_and_a_wrong_password_get_the_same_answer(store: Store) {
    let (house, _) = House::with(store, "alice").await;
    for (login, password) in [
        ("alice", "wrong horse"),
        ("nobody", PASSWORD),
        ("nobody@example.org", PASSWORD),
        ("", ""),
        ("a\0b", PASSWORD),
        ("alice", &"x".repeat(5_000)),
    ] {
        let refused = house.sign_in(login, password).await.unwrap_err();
        assert!(matches!(refused, AccountsError::WrongCredentials), "{login:?}: {refused}");
        assert_eq!(refused.to_string(), AccountsError::WrongCredentials.to_string());
    }
}

async fn attempts_are_limited_alike_for_names_that_exist_and_that_do_not(store: Store) {
    let (house, _) = House::with(store, "alice").await;
    for login in ["alice", "nobody"] {
        for _ in 0..PER_NETWORK.at_once {
            let refused = house.sign_in(login, "wrong horse").await.unwrap_err();
            assert!(matches!(refused, AccountsError::WrongCredentials), "{refused}");
        }
        match house.sign_in(login, PASSWORD).await.unwrap_err() {
            AccountsError::TooManyAttempts { retry_after } => {
                assert_eq!(retry_after, PER_NETWORK.interval);
            }
            other => panic!("{other}"),
        }
    }
    // Another name is not held up, and time works the attempts off one by one.
    house.accounts.sign_up(new("bob")).await.unwrap();
    house.sign_in("bob", PASSWORD).await.unwrap();
    house.clock.advance(PER_NETWORK.interval);
    house.sign_in("alice", PASSWORD).await.unwrap();
    // Success clears the slate.
    for _ in 0..PER_NETWORK.at_once {
        let refused = house.sign_in("alice", "wrong horse").await.unwrap_err();
        assert!(matches!(refused, AccountsError::WrongCredentials), "{refused}");
    }
}

async fn strangers_lock_no_customer_out_of_a_network_known_to_the_account(store: Store) {
    let (house, _) = House::with(store, "alice").await;
    house.sign_in("alice", PASSWORD).await.unwrap();
    // One stranger: his network is not heard any more, the customer's is, known or not.
    while matches!(house.guess("alice", 0).await, AccountsError::WrongCredentials) {}
    let elsewhere = Some(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)));
    house.accounts.sign_in("alice", PASSWORD, elsewhere).await.unwrap();
    // Strangers in many networks: then only known networks are heard.
    for n in 1..=PER_NAME.at_once {
        house.guess("alice", n).await;
    }
    let held = house.guess("alice", 1_000).await;
    let AccountsError::TooManyAttempts { retry_after } = held else { panic!("{held}") };
    assert!(retry_after <= PER_NAME.interval, "{retry_after:?}");
    house.sign_in("alice", PASSWORD).await.unwrap();
    house.accounts.sign_in("alice", PASSWORD, elsewhere).await.unwrap();
    // And others after the time that was named.
    let unknown = Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)));
    house.accounts.sign_in("alice", PASSWORD, unknown).await.unwrap_err();
    house.clock.advance(held.retry_after().unwrap());
    house.accounts.sign_in("alice", PASSWORD, unknown).await.unwrap();
}

async fn guessing_from_many_networks_is_limited_alike_for_names_that_do_not_exist(store: Store) {
    let (house, _) = House::with(store, "alice").await;
    for login in ["alice", "nobody"] {
        let mut heard = 0;
        for n in 0..PER_NAME.at_once + 5 {
            match house.guess(login, n).await {
                AccountsError::WrongCredentials => heard += 1,
                AccountsError::TooManyAttempts { .. } => {}
                other => panic!("{other}"),
            }
        }
        assert_eq!(heard, PER_NAME.at_once, "{login}");
    }
}

async fn one_network_tries_a_bounded_number_of_names(store: Store) {
    let (house, _) = House::with(store, "alice").await;
    house.sign_in("alice", PASSWORD).await.unwrap();
    let guess = async |n: u32| {
        let name = format!("nobody-{n}");
        house.accounts.sign_in(&name, PASSWORD, Some(HOME)).await.unwrap_err()
    };
    for n in 0..NAMES_PER_NETWORK.at_once {
        let refused = guess(n).await;
        assert!(matches!(refused, AccountsError::WrongCredentials), "{n}: {refused}");
    }
    let held = guess(1_000).await;
    assert!(matches!(held, AccountsError::TooManyAttempts { .. }), "{held}");
    // Whoever has signed in from there before is not held up, nor is anybody elsewhere.
    house.accounts.sign_in("alice", PASSWORD, Some(HOME)).await.unwrap();
    house.accounts.sign_up(new("bob")).await.unwrap();
    let held = house.accounts.sign_in("bob", PASSWORD, Some(HOME)).await.unwrap_err();
    assert!(matches!(held, AccountsError::TooManyAttempts { .. }), "{held}");
    let elsewhere = Some(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)));
    house.accounts.sign_in("bob", PASSWORD, elsewhere).await.unwrap();
    // What succeeds is given back: a first sign-in leaves room for another's.
    house.clock.advance(NAMES_PER_NETWORK.interval);
    house.accounts.sign_in("bob", PASSWORD, Some(HOME)).await.unwrap();
    let after = guess(1_001).await;
    assert!(matches!(after, AccountsError::WrongCredentials), "{after}");
}

async fn what_is_kept_of_attempts_and_networks_is_bounded(store: Store) {
    let (house, _) = House::with(store, "alice").await;
    for n in 0..30 {
        house.guess("alice", n).await;
        house.guess(&format!("nobody-{n}"), n).await;
    }
    house.clock.advance(PER_NETWORK.interval * PER_NETWORK.at_once + PER_NAME.interval * 50);
    for n in 0..30 {
        house.guess("alice", n).await;
    }
    let kept = house.count("SELECT COUNT(*) AS n FROM accounts_attempts").await;
    // Of each of the networks two, and the name.
    assert!(kept <= 61, "{kept}");
    for n in 0..NETWORKS_KNOWN_MAX + 4 {
        house.clock.advance(Duration::from_secs(3600));
        let from = IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0001 + (n << 8)));
        house.accounts.sign_in("alice", PASSWORD, Some(from)).await.unwrap();
    }
    let known = "SELECT COUNT(*) AS n FROM accounts_networks";
    assert_eq!(house.count(known).await, i64::from(NETWORKS_KNOWN_MAX));
    house.clock.advance(NETWORK_KNOWN);
    house.sign_in("alice", PASSWORD).await.unwrap();
    assert_eq!(house.count(known).await, 1);
}

#[test]
fn the_time_to_wait_is_told_in_whole_seconds_rounded_up() {
    let told = |ms| {
        let e = AccountsError::TooManyAttempts { retry_after: Duration::from_millis(ms) };
        (e.retry_after().unwrap().as_secs(), e.to_string())
    };
    assert_eq!(told(1).0, 1);
    assert_eq!(told(1_000).0, 1);
    assert_eq!(told(1_001).0, 2);
    assert!(told(89_500).1.ends_with("try again in 90 seconds"), "{}", told(89_500).1);
    assert_eq!(AccountsError::WrongCredentials.retry_after(), None);
}

async fn attempts_at_once_gain_nothing(store: Store) {
    let (house, _) = House::with(store, "alice").await;
    let tasks: Vec<_> = (0..PER_NETWORK.at_once + 8)
        .map(|_| {
            let accounts = house.accounts.clone();
            tokio::spawn(async move { accounts.sign_in("alice", "wrong horse", Some(HOME)).await })
        })
        .collect();
    let mut heard = 0;
    for task in tasks {
        match task.await.unwrap().unwrap_err() {
            AccountsError::WrongCredentials => heard += 1,
            e => assert_eq!(e.blame(), Blame::Transient, "{e}"),
        }
    }
    assert!(heard <= PER_NETWORK.at_once, "{heard}");
}

async fn a_clock_that_goes_back_locks_nobody_out_for_long(store: Store) {
    let (house, _) = House::with(store, "alice").await;
    house.accounts.sign_up(new("bob")).await.unwrap();
    let most = PER_NETWORK.interval * PER_NETWORK.at_once;
    for (name, back) in [("alice", 60), ("bob", 365 * 24 * 3600)] {
        for _ in 0..PER_NETWORK.at_once {
            house.sign_in(name, "wrong horse").await.unwrap_err();
        }
        let held = house.sign_in(name, PASSWORD).await.unwrap_err();
        assert!(matches!(held, AccountsError::TooManyAttempts { .. }), "{held}");
        house.clock.set(house.clock.now().minus(Duration::from_secs(back)));
        house.clock.advance(most);
        house.sign_in(name, PASSWORD).await.unwrap();
    }
}

/// Two addresses that nobody has, whose hashes begin alike: whoever could choose them so would fill the limit of one
/// and see by the other whether somebody has it.
fn of_one_hash() -> (String, String) {
    let mut seen = std::collections::HashMap::new();
    for n in 0_u32.. {
        let login = format!("nobody-{n}@example.org");
        let start = <sha2::Sha256 as sha2::Digest>::digest(login.as_bytes())[..2].to_vec();
        if let Some(first) = seen.insert(start, login.clone()) {
            return (first, login);
        }
    }
    unreachable!()
}

async fn which_names_share_a_limit_cannot_be_computed(store: Store) {
    let (house, _) = House::with(store, "alice").await;
    let (one, other) = of_one_hash();
    for _ in 0..PER_NETWORK.at_once {
        house.guess(&one, 1).await;
    }
    let full = house.guess(&one, 1).await;
    assert!(matches!(full, AccountsError::TooManyAttempts { .. }), "{full}");
    let heard = house.guess(&other, 1).await;
    assert!(matches!(heard, AccountsError::WrongCredentials), "{heard}");
}

async fn a_session_ends_when_it_is_signed_out_unused_or_old(store: Store) {
    let (house, id) = House::with(store, "alice").await;
    let alive = async |token: &str| house.accounts.session(token).await.unwrap().is_some();
    let one = house.sign_in("alice", PASSWORD).await.unwrap();
    let two = house.sign_in("alice", PASSWORD).await.unwrap();
    assert_ne!(one.token, two.token);
    house.accounts.sign_out(&one.token).await.unwrap();
    house.accounts.sign_out(&one.token).await.unwrap();
    assert!(!alive(&one.token).await && alive(&two.token).await);

    // Used now and then it lives on, but not past its life.
    let mut age = Duration::ZERO;
    while age + SESSION_IDLE / 2 < SESSION_LIFE {
        house.clock.advance(SESSION_IDLE / 2);
        age += SESSION_IDLE / 2;
        assert!(alive(&two.token).await, "{age:?}");
    }
    house.clock.advance(SESSION_IDLE / 2);
    assert!(!alive(&two.token).await);

    let three = house.sign_in("alice", PASSWORD).await.unwrap();
    assert_eq!(three.account, id);
    house.clock.advance(SESSION_IDLE);
    assert!(!alive(&three.token).await);
    // What has ended is removed at the next sign-in.
    house.sign_in("alice", PASSWORD).await.unwrap();
    assert_eq!(house.count("SELECT COUNT(*) AS n FROM accounts_sessions").await, 1);
}

async fn an_account_has_a_bounded_number_of_sessions(store: Store) {
    let (house, _) = House::with(store, "alice").await;
    let first = house.sign_in("alice", PASSWORD).await.unwrap();
    for _ in 0..SESSIONS_MAX {
        house.clock.advance(Duration::from_secs(1));
        let last = house.sign_in("alice", PASSWORD).await.unwrap();
        assert!(house.accounts.session(&last.token).await.unwrap().is_some());
    }
    assert!(house.accounts.session(&first.token).await.unwrap().is_none());
    let kept = house.count("SELECT COUNT(*) AS n FROM accounts_sessions").await;
    assert_eq!(kept, i64::from(SESSIONS_MAX));
}

async fn tokens_of_no_possible_form_prove_nothing(store: Store) {
    let (house, _) = House::with(store, "alice").await;
    let good = house.sign_in("alice", PASSWORD).await.unwrap().token;
    let mut changed = good.clone().into_bytes();
    changed[0] ^= 1;
    let changed = String::from_utf8_lossy(&changed).into_owned();
    for token in ["", "x", &good[1..], &format!("{good}="), &changed, &"é".repeat(22), "\0"] {
        assert!(house.accounts.session(token).await.unwrap().is_none(), "{token}");
        house.accounts.sign_out(token).await.unwrap();
    }
    assert!(house.accounts.session(&good).await.unwrap().is_some());
}

async fn no_secret_is_stored_or_shown(store: Store) {
    let (house, _) = House::with(store, "alice").await;
    let session = house.sign_in("alice", PASSWORD).await.unwrap();
    let info = house.accounts.session(&session.token).await.unwrap().unwrap();
    let shown = format!("{session:?} {info:?} {:?} {:?}", new("alice"), house.accounts);
    for secret in [session.token.as_str(), session.csrf.as_str(), PASSWORD, "@"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let mut tx = house.store.read().await.unwrap();
    let sql = "SELECT password FROM accounts_accounts";
    let stored: String = tx.fetch_one(sql, &[]).await.unwrap().get("password").unwrap();
    assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
    let sql = "SELECT token_hash FROM accounts_sessions";
    let stored: Vec<u8> = tx.fetch_one(sql, &[]).await.unwrap().get("token_hash").unwrap();
    assert_eq!(stored.len(), 32);
}

async fn what_is_done_to_an_account_is_logged_and_in_time_forgotten(store: Store) {
    let (house, id) = House::with(store, "alice").await;
    house.sign_in("alice", "wrong horse").await.unwrap_err();
    let session = house.sign_in("alice", PASSWORD).await.unwrap();
    house.accounts.sign_out(&session.token).await.unwrap();
    let log = house.accounts.audit_log(id, 10).await.unwrap();
    let mut actions: Vec<_> = log.iter().map(|r| r.action.as_str()).collect();
    actions.sort_unstable();
    assert_eq!(actions, ["account.opened", "session.closed", "session.opened", "session.refused"]);
    assert!(log.iter().all(|r| r.account == Some(id) && r.at == house.clock.now()));
    assert_eq!(house.accounts.audit_log(id, 2).await.unwrap().len(), 2);

    house.clock.advance(AUDIT_KEPT + Duration::from_secs(1));
    house.sign_in("alice", PASSWORD).await.unwrap();
    let log = house.accounts.audit_log(id, 10).await.unwrap();
    assert_eq!(log.len(), 1);
}

laws! { accounts: [
    who_signs_up_can_sign_in_by_name_or_address,
    a_name_or_address_is_taken_once_even_in_a_race,
    what_cannot_be_an_account_is_refused,
    a_wrong_name_and_a_wrong_password_get_the_same_answer,
    attempts_are_limited_alike_for_names_that_exist_and_that_do_not,
    attempts_at_once_gain_nothing,
    strangers_lock_no_customer_out_of_a_network_known_to_the_account,
    guessing_from_many_networks_is_limited_alike_for_names_that_do_not_exist,
    one_network_tries_a_bounded_number_of_names,
    which_names_share_a_limit_cannot_be_computed,
    what_is_kept_of_attempts_and_networks_is_bounded,
    a_clock_that_goes_back_locks_nobody_out_for_long,
    what_is_done_to_an_account_is_logged_and_in_time_forgotten,
] }

laws! { sessions: [
    a_session_ends_when_it_is_signed_out_unused_or_old,
    an_account_has_a_bounded_number_of_sessions,
    tokens_of_no_possible_form_prove_nothing,
    no_secret_is_stored_or_shown,
] }

#[test]
fn the_tables_are_the_same_on_both_engines() {
    for m in MIGRATIONS {
        matches_on_both_engines(m).unwrap();
    }
}
