//! What second factors, sessions' lists and keys promise, on both engines.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod totp;

use gruve_accounts::{
    AccountRules, Accounts, AccountsError, KEY_LIFE_MAX, KEY_PREFIX, KEYS_MAX, NewAccount,
    PER_SECOND_FACTOR, RECOVERY_CODES, Role, Scope, Ticket, Vault,
};
use gruve_store::{Store, laws};
use gruve_units::{AccountId, Clock, Duration, ManualClock, SeededEntropy, Timestamp};
use std::sync::Arc;
use totp::code_of;

const PASSWORD: &str = "correct horse";
const PROOF: (&str, Option<&str>) = (PASSWORD, None);

struct House {
    accounts: Accounts,
    clock: Arc<ManualClock>,
    store: Store,
    anna: AccountId,
}

impl House {
    async fn new(store: Store) -> House {
        Accounts::migrate(&store).await.unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
        let entropy = Arc::new(SeededEntropy::new(7));
        let accounts = Accounts::new(store.clone(), clock.clone(), entropy);
        let anna = accounts.sign_up(named("anna")).await.unwrap();
        House { accounts, clock, store, anna }
    }

    /// With codes asked for: the secret, and the codes for when the device is lost.
    async fn protected(store: Store) -> (House, String, Vec<String>) {
        let house = House::new(store).await;
        let setup = house.accounts.begin_totp(house.anna, "gruve.test").await.unwrap();
        assert!(setup.uri.starts_with("otpauth://totp/gruve.test:anna?secret="));
        let code = house.code(&setup.secret);
        let recovery = house.accounts.confirm_totp(house.anna, PROOF, &code, None).await.unwrap();
        assert_eq!(recovery.len(), RECOVERY_CODES);
        house.clock.advance(Duration::from_secs(60));
        (house, setup.secret, recovery)
    }

    fn code(&self, secret: &str) -> String {
        code_of(secret, self.clock.now())
    }

    async fn ticket(&self) -> Ticket {
        match self.accounts.sign_in("anna", PASSWORD, None).await.unwrap_err() {
            AccountsError::SecondFactorNeeded(ticket) => ticket,
            other => panic!("{other}"),
        }
    }

    async fn second(&self, code: &str) -> Result<String, AccountsError> {
        let ticket = self.ticket().await;
        self.accounts.sign_in_second(&ticket, code, None).await.map(|s| s.token)
    }
}

fn named(name: &str) -> NewAccount {
    let email = format!("{name}@example.org");
    NewAccount { name: name.into(), email, password: PASSWORD.into() }
}

async fn with_a_second_factor_the_password_alone_opens_nothing(store: Store) {
    let (house, secret, _) = House::protected(store).await;
    let wrong = house.accounts.sign_in("anna", "wrong horse", None).await.unwrap_err();
    assert!(matches!(wrong, AccountsError::WrongCredentials), "no word of a code: {wrong}");
    let none = house.second("000000").await.unwrap_err();
    assert!(matches!(none, AccountsError::WrongCode));
    let token = house.second(&house.code(&secret)).await.unwrap();
    assert!(house.accounts.session(&token).await.unwrap().is_some());
    // The same code does not open a second session.
    let again = house.second(&house.code(&secret)).await.unwrap_err();
    assert!(matches!(again, AccountsError::WrongCode));
    let shown = format!("{:?} {:?}", house.ticket().await, AccountsError::WrongCode);
    assert_eq!(shown, "Ticket WrongCode");
}

async fn a_ticket_is_good_for_five_minutes_and_once(store: Store) {
    let (house, secret, _) = House::protected(store).await;
    let ticket = house.ticket().await;
    house.accounts.sign_in_second(&ticket, &house.code(&secret), None).await.unwrap();
    house.clock.advance(Duration::from_secs(60));
    let used = house.accounts.sign_in_second(&ticket, &house.code(&secret), None).await;
    assert!(matches!(used.unwrap_err(), AccountsError::TicketVoid));
    let ticket = house.ticket().await;
    house.clock.advance(Duration::from_secs(300));
    let old = house.accounts.sign_in_second(&ticket, &house.code(&secret), None).await;
    assert!(matches!(old.unwrap_err(), AccountsError::TicketVoid));
    let forged = house.accounts.sign_in_second(&Ticket("x".repeat(43)), "1", None).await;
    assert!(matches!(forged.unwrap_err(), AccountsError::TicketVoid));
}

async fn codes_cannot_be_guessed_quickly_even_with_many_tickets(store: Store) {
    let (house, secret, _) = House::protected(store).await;
    for _ in 0..PER_SECOND_FACTOR.at_once {
        assert!(matches!(house.second("000000").await.unwrap_err(), AccountsError::WrongCode));
    }
    // Now the right one is not heard either.
    let held = house.second(&house.code(&secret)).await.unwrap_err();
    assert!(matches!(held, AccountsError::TooManyAttempts { .. }), "{held}");
    house.clock.advance(PER_SECOND_FACTOR.interval);
    house.second(&house.code(&secret)).await.unwrap();
}

async fn a_code_for_the_lost_device_signs_in_once_however_it_is_typed(store: Store) {
    let (house, _, recovery) = House::protected(store).await;
    let typed = recovery[0].to_lowercase().replace('-', " ");
    house.second(&typed).await.unwrap();
    assert!(matches!(house.second(&recovery[0]).await.unwrap_err(), AccountsError::WrongCode));
    let factors = house.accounts.factors(house.anna).await.unwrap();
    assert_eq!(factors.recovery_left, u32::try_from(RECOVERY_CODES).unwrap() - 1);
    // With another the factor is taken away, and the password is enough again.
    house.accounts.end_totp(house.anna, PASSWORD, &recovery[1], None).await.unwrap();
    house.accounts.sign_in("anna", PASSWORD, None).await.unwrap();
    assert_eq!(house.accounts.factors(house.anna).await.unwrap().recovery_left, 0);
}

async fn new_codes_for_the_lost_device_void_the_old_ones(store: Store) {
    let (house, secret, old) = House::protected(store).await;
    let code = house.code(&secret);
    let accounts = &house.accounts;
    let new = accounts.new_recovery_codes(house.anna, PASSWORD, &code, None).await.unwrap();
    assert!(matches!(house.second(&old[2]).await.unwrap_err(), AccountsError::WrongCode));
    house.second(&new[2]).await.unwrap();
}

async fn a_factor_that_was_not_confirmed_is_not_asked_for(store: Store) {
    let house = House::new(store).await;
    let first = house.accounts.begin_totp(house.anna, "gruve.test").await.unwrap();
    house.accounts.sign_in("anna", PASSWORD, None).await.unwrap();
    let second = house.accounts.begin_totp(house.anna, "gruve.test").await.unwrap();
    assert_ne!(first.secret, second.secret);
    let wrong =
        house.accounts.confirm_totp(house.anna, PROOF, &house.code(&first.secret), None).await;
    assert!(matches!(wrong.unwrap_err(), AccountsError::WrongCode));
    let right = house.code(&second.secret);
    house.accounts.confirm_totp(house.anna, PROOF, &right, None).await.unwrap();
    let on = house.accounts.begin_totp(house.anna, "gruve.test").await.unwrap_err();
    assert!(matches!(on, AccountsError::FactorIsOn));
}

async fn a_stolen_session_turns_no_second_factor_on(store: Store) {
    let house = House::new(store).await;
    let setup = house.accounts.begin_totp(house.anna, "gruve.test").await.unwrap();
    let code = house.code(&setup.secret);
    let wrong = ("wrong horse", None);
    let refused = house.accounts.confirm_totp(house.anna, wrong, &code, None).await.unwrap_err();
    assert!(matches!(refused, AccountsError::WrongCredentials), "{refused}");
    assert!(!house.accounts.factors(house.anna).await.unwrap().is_needed());
    house.accounts.confirm_totp(house.anna, PROOF, &code, None).await.unwrap();
    assert!(house.accounts.factors(house.anna).await.unwrap().is_needed());
}

async fn what_a_stolen_session_must_not_do_asks_for_password_and_code(store: Store) {
    let (house, secret, _) = House::protected(store).await;
    let prove = async |password: &str, code: Option<&str>| {
        house.accounts.prove(house.anna, password, code, None).await
    };
    assert!(matches!(prove("no", None).await.unwrap_err(), AccountsError::WrongCredentials));
    assert!(matches!(prove(PASSWORD, None).await.unwrap_err(), AccountsError::WrongCode));
    prove(PASSWORD, Some(&house.code(&secret))).await.unwrap();
    let off = house.accounts.end_totp(house.anna, PASSWORD, "000000", None).await.unwrap_err();
    assert!(matches!(off, AccountsError::WrongCode));
}

async fn a_new_password_ends_all_other_sessions(store: Store) {
    let house = House::new(store).await;
    let own = house.accounts.sign_in("anna", PASSWORD, None).await.unwrap().token;
    let other = house.accounts.sign_in("anna", PASSWORD, None).await.unwrap().token;
    let change = async |old: &str, new: &str| {
        house.accounts.change_password(house.anna, (old, None), new, &own, None).await
    };
    let wrong = change("wrong horse", "battery staple").await.unwrap_err();
    assert!(matches!(wrong, AccountsError::WrongCredentials));
    assert!(matches!(change(PASSWORD, "short").await.unwrap_err(), AccountsError::BadPassword));
    change(PASSWORD, "battery staple").await.unwrap();
    assert!(house.accounts.session(&own).await.unwrap().is_some());
    assert!(house.accounts.session(&other).await.unwrap().is_none());
    assert!(house.accounts.sign_in("anna", PASSWORD, None).await.is_err());
    house.accounts.sign_in("anna", "battery staple", None).await.unwrap();
}

async fn sessions_are_listed_and_ended_one_by_one_by_their_owner_only(store: Store) {
    let house = House::new(store).await;
    let berit = house.accounts.sign_up(named("berit")).await.unwrap();
    let device = gruve_accounts::Device {
        address: Some("192.0.2.9".parse().unwrap()),
        agent: "Browser/1 \n(X)".to_owned(),
    };
    let first = house.accounts.sign_in("anna", PASSWORD, device).await.unwrap();
    house.clock.advance(Duration::from_secs(5));
    let own = house.accounts.sign_in("anna", PASSWORD, None).await.unwrap();
    let listed = house.accounts.sessions(house.anna, &own.token).await.unwrap();
    assert_eq!(listed.iter().map(|s| s.is_own).collect::<Vec<_>>(), [true, false]);
    assert_eq!(listed[1].about, "192.0.2.9 Browser/1 (X)");
    let id = listed[1].id.to_string();
    assert!(!first.token.contains(&id));
    assert!(!house.accounts.end_session(berit, &id).await.unwrap(), "not hers");
    assert!(house.accounts.session(&first.token).await.unwrap().is_some());
    assert!(house.accounts.end_session(house.anna, &id).await.unwrap());
    assert!(!house.accounts.end_session(house.anna, &id).await.unwrap());
    assert!(house.accounts.session(&first.token).await.unwrap().is_none());
    let third = house.accounts.sign_in("anna", PASSWORD, None).await.unwrap();
    assert_eq!(house.accounts.end_other_sessions(house.anna, &own.token).await.unwrap(), 1);
    assert!(house.accounts.session(&third.token).await.unwrap().is_none());
    assert!(house.accounts.session(&own.token).await.unwrap().is_some());
}

async fn a_key_proves_its_account_until_it_ends(store: Store) {
    let house = House::new(store).await;
    house.accounts.set_role(None, "anna", Some(Role::Owner)).await.unwrap();
    let day = Duration::from_secs(86_400);
    let scopes = [Scope::Trade, Scope::Read, Scope::Read];
    let made = house.accounts.make_key(house.anna, " robot ", &scopes, day).await.unwrap();
    let (key, secret) = made;
    assert!(secret.starts_with(KEY_PREFIX));
    assert_eq!((key.name.as_str(), &key.scopes[..]), ("robot", &[Scope::Read, Scope::Trade][..]));
    let found = house.accounts.key(&secret).await.unwrap().unwrap();
    assert_eq!((found.id, found.account), (key.id, house.anna));
    let keys = house.accounts.keys(house.anna).await.unwrap();
    assert_eq!(keys[0].used, Some(house.clock.now()));
    assert!(house.accounts.session(&secret).await.unwrap().is_none(), "no session");
    for wrong in ["", "gruve_", &secret[6..], &format!("{secret}="), "gruve_\u{e9}"] {
        assert!(house.accounts.key(wrong).await.unwrap().is_none(), "{wrong}");
    }
    house.clock.advance(day);
    assert!(house.accounts.key(&secret).await.unwrap().is_none(), "ended by time");
    let (key, secret) = house.accounts.make_key(house.anna, "x", &scopes, day).await.unwrap();
    let berit = house.accounts.sign_up(named("berit")).await.unwrap();
    assert!(!house.accounts.end_key(berit, key.id).await.unwrap(), "not hers");
    assert!(house.accounts.key(&secret).await.unwrap().is_some());
    assert!(house.accounts.end_key(house.anna, key.id).await.unwrap());
    assert!(house.accounts.key(&secret).await.unwrap().is_none());
    assert_eq!(key.id.to_string().parse(), Ok(key.id));
}

async fn keys_are_bounded_in_number_name_and_life(store: Store) {
    let house = House::new(store).await;
    let day = Duration::from_secs(86_400);
    let make = async |name: &str, scopes: &[Scope], life: Duration| {
        house.accounts.make_key(house.anna, name, scopes, life).await.map(|(k, _)| k.id)
    };
    let too_long = KEY_LIFE_MAX + Duration::from_secs(1);
    for (name, scopes, life) in [
        ("", &[Scope::Read][..], day),
        ("a\nb", &[Scope::Read], day),
        ("a", &[], day),
        ("a", &[Scope::Read], Duration::ZERO),
        ("a", &[Scope::Read], too_long),
    ] {
        assert!(matches!(make(name, scopes, life).await, Err(AccountsError::BadKey)), "{name:?}");
    }
    for _ in 0..KEYS_MAX {
        make("a", &[Scope::Read], day).await.unwrap();
    }
    assert!(matches!(make("a", &[Scope::Read], day).await, Err(AccountsError::TooManyKeys)));
    house.clock.advance(day);
    make("a", &[Scope::Read], day).await.unwrap();
    assert_eq!(house.accounts.keys(house.anna).await.unwrap().len(), 1, "ended ones are gone");
}

async fn of_codes_and_keys_only_hashes_are_stored(store: Store) {
    let (house, _, recovery) = House::protected(store).await;
    let day = Duration::from_secs(86_400);
    let (_, secret) = house.accounts.make_key(house.anna, "x", &[Scope::Read], day).await.unwrap();
    let mut tx = house.store.read().await.unwrap();
    for sql in [
        "SELECT code_hash AS h FROM accounts_recovery",
        "SELECT token_hash AS h FROM accounts_keys",
    ] {
        for row in tx.fetch_all(sql, &[]).await.unwrap() {
            let hash: Vec<u8> = row.get("h").unwrap();
            assert_eq!(hash.len(), 32);
            assert!(
                !hash.starts_with(recovery[0].as_bytes()) && !hash.starts_with(secret.as_bytes())
            );
        }
    }
}

/// The same house with a vault of this key.
fn with_vault(house: &House, key: u8) -> Accounts {
    let rules = AccountRules { vault: Vault::new(&[key; 32]), ..AccountRules::default() };
    let entropy = Arc::new(SeededEntropy::new(u64::from(key) + 100));
    Accounts::with_rules(house.store.clone(), house.clock.clone(), entropy, rules)
}

async fn stored(store: &Store) -> (Vec<u8>, Option<Vec<u8>>) {
    let sql = "SELECT secret, key_id FROM accounts_codes";
    let row = store.read().await.unwrap().fetch_one(sql, &[]).await.unwrap();
    (row.get("secret").unwrap(), row.get("key_id").unwrap())
}

async fn secrets_of_codes_are_sealed_also_those_that_lay_open(store: Store) {
    let (house, secret, _) = House::protected(store).await;
    let (open, key) = stored(&house.store).await;
    assert_eq!((open.len(), key), (20, None), "a house without a vault");
    let sealing = with_vault(&house, 1);
    assert_eq!(sealing.seal_codes().await.unwrap(), (1, 0));
    assert_eq!(sealing.seal_codes().await.unwrap(), (0, 0), "once");
    let (sealed, key) = stored(&house.store).await;
    assert!(key.is_some() && !sealed.windows(8).any(|w| open.windows(8).any(|o| o == w)));
    // The same codes go on.
    let ticket = house.ticket().await;
    sealing.sign_in_second(&ticket, &house.code(&secret), None).await.unwrap();
    // And new ones are sealed from the beginning.
    let bert = sealing.sign_up(named("bert")).await.unwrap();
    let setup = sealing.begin_totp(bert, "gruve.test").await.unwrap();
    sealing.confirm_totp(bert, PROOF, &house.code(&setup.secret), None).await.unwrap();
    let sql = "SELECT COUNT(*) AS n FROM accounts_codes WHERE key_id IS NULL";
    let open: i64 =
        house.store.read().await.unwrap().fetch_one(sql, &[]).await.unwrap().get("n").unwrap();
    assert_eq!(open, 0);
}

async fn a_lost_key_is_said_and_leaves_other_ways_in(store: Store) {
    let (house, secret, recovery) = House::protected(store).await;
    with_vault(&house, 1).seal_codes().await.unwrap();
    for lost in [with_vault(&house, 2), house.accounts.clone()] {
        let said = house.ticket().await;
        let said = lost.sign_in_second(&said, &house.code(&secret), None).await.unwrap_err();
        assert!(matches!(said, AccountsError::CodesUnreadable), "{said}");
    }
    let other = with_vault(&house, 2);
    assert_eq!(other.seal_codes().await.unwrap(), (0, 1), "the house is told at its start");
    other.sign_in_second(&house.ticket().await, &recovery[0], None).await.unwrap();
    // With the key back all is as it was.
    house.clock.advance(Duration::from_secs(3600));
    let found = with_vault(&house, 1);
    found.sign_in_second(&house.ticket().await, &house.code(&secret), None).await.unwrap();
}

async fn a_code_alone_proves_where_there_is_a_second_factor(store: Store) {
    let (house, secret, recovery) = House::protected(store).await;
    house.accounts.prove_by_code(house.anna, &house.code(&secret)).await.unwrap();
    for used in [house.code(&secret).as_str(), "", "000000"] {
        let wrong = house.accounts.prove_by_code(house.anna, used).await.unwrap_err();
        assert!(matches!(wrong, AccountsError::WrongCode), "{used:?}: {wrong}");
    }
    house.accounts.prove_by_code(house.anna, &recovery[0]).await.unwrap();
    let bert = house.accounts.sign_up(named("bert")).await.unwrap();
    house.accounts.prove_by_code(bert, "").await.unwrap();
}

laws! { vault: [
    secrets_of_codes_are_sealed_also_those_that_lay_open,
    a_lost_key_is_said_and_leaves_other_ways_in,
    a_code_alone_proves_where_there_is_a_second_factor,
] }

laws! { factors: [
    with_a_second_factor_the_password_alone_opens_nothing,
    a_ticket_is_good_for_five_minutes_and_once,
    codes_cannot_be_guessed_quickly_even_with_many_tickets,
    a_code_for_the_lost_device_signs_in_once_however_it_is_typed,
    new_codes_for_the_lost_device_void_the_old_ones,
    a_factor_that_was_not_confirmed_is_not_asked_for,
    a_stolen_session_turns_no_second_factor_on,
    what_a_stolen_session_must_not_do_asks_for_password_and_code,
] }

laws! { devices: [
    a_new_password_ends_all_other_sessions,
    sessions_are_listed_and_ended_one_by_one_by_their_owner_only,
    a_key_proves_its_account_until_it_ends,
    keys_are_bounded_in_number_name_and_life,
    of_codes_and_keys_only_hashes_are_stored,
] }
