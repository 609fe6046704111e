//! What confirmations, resets and delayed changes promise, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_accounts::{
    AccountRules, Accounts, AccountsError, CHANGE_DELAY, Confirmed, Delivered, Mail, MailError,
    MailRules, Mailer, NewAccount, PER_ADDRESS, TRIES_MAX, Ticket,
};
use gruve_store::{Store, laws};
use gruve_units::{AccountId, Asset, Clock, Duration, ManualClock, SeededEntropy, Timestamp};
use std::sync::{Arc, Mutex};

const PASSWORD: &str = "correct horse";
const PROOF: (&str, Option<&str>) = (PASSWORD, None);

/// Keeps what it is handed, or refuses it.
#[derive(Default)]
struct Sink {
    taken: Mutex<Vec<Mail>>,
    refusal: Mutex<Option<MailError>>,
}

#[async_trait::async_trait]
impl Mailer for Sink {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        if let Some(refusal) = self.refusal.lock().unwrap().clone() {
            return Err(refusal);
        }
        self.taken.lock().unwrap().push(mail.clone());
        Ok(())
    }
}

struct House {
    accounts: Accounts,
    clock: Arc<ManualClock>,
    sink: Sink,
}

impl House {
    async fn new(store: Store, confirm_sign_up: bool) -> House {
        Accounts::migrate(&store).await.unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
        let entropy = Arc::new(SeededEntropy::new(7));
        let mail = MailRules {
            origin: "https://gruve.test".into(),
            house: "Gruve".into(),
            confirm_sign_up,
        };
        let rules = AccountRules { mail: Some(mail), ..AccountRules::default() };
        let accounts = Accounts::with_rules(store.clone(), clock.clone(), entropy, rules);
        House { accounts, clock, sink: Sink::default() }
    }

    async fn with_anna(store: Store) -> (House, AccountId) {
        let house = House::new(store, false).await;
        let anna = house.accounts.sign_up(named("anna")).await.unwrap();
        (house, anna)
    }

    /// The messages sent since the last time.
    async fn mail(&self) -> Vec<Mail> {
        while self.accounts.deliver(&self.sink).await.unwrap().sent > 0 {}
        std::mem::take(&mut *self.sink.taken.lock().unwrap())
    }

    async fn sign_in(&self, login: &str, password: &str) -> Result<String, AccountsError> {
        self.accounts.sign_in(login, password, None).await.map(|s| s.token)
    }
}

fn named(name: &str) -> NewAccount {
    let email = format!("{name}@example.org");
    NewAccount { name: name.into(), email, password: PASSWORD.into() }
}

/// The ticket in a message's link to a page.
fn ticket(mail: &Mail, page: &str) -> Ticket {
    let at = format!("https://gruve.test/{page}?ticket=");
    let from = mail.body.find(&at).unwrap_or_else(|| panic!("{}", mail.body)) + at.len();
    Ticket(mail.body[from..].chars().take(43).collect())
}

async fn where_addresses_are_confirmed_nobody_is_let_in_before(store: Store) {
    let house = House::new(store, true).await;
    house.accounts.sign_up(named("anna")).await.unwrap();
    let sent = house.mail().await;
    assert_eq!((sent.len(), sent[0].to.as_str()), (1, "anna@example.org"));
    let wrong = house.sign_in("anna", "wrong horse").await.unwrap_err();
    assert!(matches!(wrong, AccountsError::WrongCredentials), "{wrong}");
    let held = house.sign_in("anna", PASSWORD).await.unwrap_err();
    assert!(matches!(held, AccountsError::NotConfirmed), "{held}");
    let again = house.mail().await;
    assert_eq!(again.len(), 1, "the message goes out again");
    let link = ticket(&again[0], "confirm");
    assert_eq!(house.accounts.confirm(&link).await.unwrap(), Confirmed::SignUp);
    house.sign_in("anna", PASSWORD).await.unwrap();
    let first = house.accounts.confirm(&ticket(&sent[0], "confirm")).await.unwrap_err();
    assert!(matches!(first, AccountsError::TicketVoid), "{first}");
}

async fn a_new_password_by_mail_ends_sessions_and_is_set_once(store: Store) {
    let (house, _) = House::with_anna(store).await;
    let token = house.sign_in("anna", PASSWORD).await.unwrap();
    house.accounts.ask_for_reset(" Anna@Example.org ").await.unwrap();
    let sent = house.mail().await;
    let link = ticket(&sent[0], "reset");
    let short = house.accounts.reset_password(&link, "short").await.unwrap_err();
    assert!(matches!(short, AccountsError::BadPassword));
    house.accounts.reset_password(&link, "battery staple").await.unwrap();
    assert!(house.accounts.session(&token).await.unwrap().is_none());
    house.sign_in("anna", "battery staple").await.unwrap();
    let again = house.accounts.reset_password(&link, "third password").await.unwrap_err();
    assert!(matches!(again, AccountsError::TicketVoid));
    assert_eq!(house.mail().await.len(), 1, "and the owner is told");
    house.accounts.ask_for_reset("anna@example.org").await.unwrap();
    let late = ticket(&house.mail().await[0], "reset");
    house.clock.advance(Duration::from_secs(3600));
    let late = house.accounts.reset_password(&late, "third password").await.unwrap_err();
    assert!(matches!(late, AccountsError::TicketVoid));
}

async fn asking_for_a_new_password_tells_nobody_whether_there_is_an_account(store: Store) {
    let (house, _) = House::with_anna(store).await;
    for email in ["anna@example.org", "nobody@example.org"] {
        for _ in 0..PER_ADDRESS.at_once {
            house.accounts.ask_for_reset(email).await.unwrap();
        }
        let held = house.accounts.ask_for_reset(email).await.unwrap_err();
        assert!(matches!(held, AccountsError::TooManyAttempts { .. }), "{email}");
    }
    house.accounts.ask_for_reset("no address").await.unwrap();
    let sent = house.mail().await;
    assert_eq!(sent.len(), usize::try_from(PER_ADDRESS.at_once).unwrap());
    assert!(sent.iter().all(|m| m.to == "anna@example.org"));
}

async fn a_ticket_for_one_thing_is_none_for_another(store: Store) {
    let (house, anna) = House::with_anna(store).await;
    house.accounts.ask_for_reset("anna@example.org").await.unwrap();
    let reset = ticket(&house.mail().await[0], "reset");
    assert!(house.accounts.confirm(&reset).await.is_err());
    assert!(house.accounts.undo(&reset).await.is_err());
    assert!(house.accounts.sign_in_second(&reset, "000000", None).await.is_err());
    house.accounts.ask_for_email(anna, PROOF, "new@example.org", None).await.unwrap();
    let sent = house.mail().await;
    let confirm = ticket(sent.iter().find(|m| m.to.starts_with("new")).unwrap(), "confirm");
    assert!(house.accounts.reset_password(&confirm, "battery staple").await.is_err());
    house.accounts.reset_password(&reset, "battery staple").await.unwrap();
}

async fn a_new_address_counts_when_it_has_answered_and_the_delay_is_over(store: Store) {
    let (house, anna) = House::with_anna(store).await;
    let wrong = ("wrong horse", None);
    assert!(house.accounts.ask_for_email(anna, wrong, "new@example.org", None).await.is_err());
    let due = house.accounts.ask_for_email(anna, PROOF, "New@example.org", None).await.unwrap();
    assert_eq!(due, house.clock.now().plus(CHANGE_DELAY));
    let sent = house.mail().await;
    let to: Vec<_> = sent.iter().map(|m| m.to.as_str()).collect();
    assert!(to.contains(&"new@example.org") && to.contains(&"anna@example.org"), "{to:?}");
    // Time alone is not enough.
    let new = sent.iter().find(|m| m.to == "new@example.org").unwrap();
    let confirmed = house.accounts.confirm(&ticket(new, "confirm")).await.unwrap();
    assert_eq!(confirmed, Confirmed::NewAddress(due));
    assert_eq!(house.accounts.apply_changes().await.unwrap(), 0, "not yet");
    house.sign_in("anna@example.org", PASSWORD).await.unwrap();
    house.clock.advance(CHANGE_DELAY);
    assert_eq!(house.accounts.apply_changes().await.unwrap(), 1);
    assert_eq!(house.accounts.apply_changes().await.unwrap(), 0);
    house.sign_in("new@example.org", PASSWORD).await.unwrap();
    assert!(house.sign_in("anna@example.org", PASSWORD).await.is_err());
}

async fn an_address_that_never_answered_or_was_stopped_does_not_count(store: Store) {
    let (house, anna) = House::with_anna(store).await;
    house.accounts.ask_for_email(anna, PROOF, "thief@example.org", None).await.unwrap();
    let sent = house.mail().await;
    house.clock.advance(CHANGE_DELAY);
    assert_eq!(house.accounts.apply_changes().await.unwrap(), 0, "it has not answered");
    house.accounts.ask_for_email(anna, PROOF, "thief@example.org", None).await.unwrap();
    let sent_again = house.mail().await;
    let new = sent_again.iter().find(|m| m.to.starts_with("thief")).unwrap();
    house.accounts.confirm(&ticket(new, "confirm")).await.unwrap();
    let old = sent.iter().chain(&sent_again).rfind(|m| m.to.starts_with("anna")).unwrap();
    house.accounts.undo(&ticket(old, "undo")).await.unwrap();
    house.clock.advance(CHANGE_DELAY);
    assert_eq!(house.accounts.apply_changes().await.unwrap(), 0);
    assert!(house.accounts.email_change(anna).await.unwrap().is_none());
    house.sign_in("anna@example.org", PASSWORD).await.unwrap();
}

async fn payouts_to_the_book_alone_wait_for_new_addresses_and_for_leaving_it(store: Store) {
    let (house, anna) = House::with_anna(store).await;
    let may = async |address: &str| house.accounts.may_pay_to(anna, Asset::Btc, address).await;
    may("bc1anything").await.unwrap();
    house.accounts.pay_to_book_only(anna, true, PROOF, None).await.unwrap();
    assert!(matches!(may("bc1anything").await.unwrap_err(), AccountsError::NotInBook));
    let new = (Asset::Btc, "bc1own", "cold");
    house.accounts.add_address(anna, PROOF, new, None).await.unwrap();
    let early = may("bc1own").await.unwrap_err();
    assert!(early.to_string().contains("2023-11-15 22:13 UTC"), "{early}");
    house.clock.advance(CHANGE_DELAY);
    may("bc1own").await.unwrap();
    let other = house.accounts.may_pay_to(anna, Asset::Ltc, "bc1own").await.unwrap_err();
    assert!(matches!(other, AccountsError::NotInBook), "of another coin");
    // The same again does not begin anew.
    let again = house.accounts.add_address(anna, PROOF, new, None).await.unwrap();
    assert!(again <= house.clock.now());
    // Leaving takes the delay, too.
    house.accounts.pay_to_book_only(anna, false, PROOF, None).await.unwrap();
    assert!(matches!(may("bc1anything").await.unwrap_err(), AccountsError::NotInBook));
    assert!(house.accounts.address_book(anna).await.unwrap().only_until.is_some());
    house.clock.advance(CHANGE_DELAY);
    may("bc1anything").await.unwrap();
    assert!(!house.accounts.address_book(anna).await.unwrap().only);
}

async fn a_notice_stops_a_new_payout_address_and_leaving_the_book(store: Store) {
    let (house, anna) = House::with_anna(store).await;
    house.accounts.pay_to_book_only(anna, true, PROOF, None).await.unwrap();
    let new = (Asset::Btc, "bc1thief", "");
    house.accounts.add_address(anna, PROOF, new, None).await.unwrap();
    let sent = house.mail().await;
    assert!(sent[0].body.contains("bc1thief"));
    house.accounts.undo(&ticket(&sent[0], "undo")).await.unwrap();
    house.accounts.pay_to_book_only(anna, false, PROOF, None).await.unwrap();
    house.accounts.undo(&ticket(&house.mail().await[0], "undo")).await.unwrap();
    house.clock.advance(CHANGE_DELAY);
    let refused = house.accounts.may_pay_to(anna, Asset::Btc, "bc1thief").await.unwrap_err();
    assert!(matches!(refused, AccountsError::NotInBook), "{refused}");
}

async fn messages_are_tried_again_later_and_given_up_in_the_end(store: Store) {
    let (house, _) = House::with_anna(store).await;
    house.accounts.ask_for_reset("anna@example.org").await.unwrap();
    *house.sink.refusal.lock().unwrap() = Some(MailError::Later("busy".into()));
    let once = Delivered { later: 1, ..Delivered::default() };
    assert_eq!(house.accounts.deliver(&house.sink).await.unwrap(), once);
    assert_eq!(house.accounts.deliver(&house.sink).await.unwrap(), Delivered::default(), "waits");
    house.clock.advance(Duration::from_secs(60));
    *house.sink.refusal.lock().unwrap() = None;
    assert_eq!(house.mail().await.len(), 1);
    house.accounts.ask_for_reset("anna@example.org").await.unwrap();
    *house.sink.refusal.lock().unwrap() = Some(MailError::Later("busy".into()));
    let mut tries = 0;
    loop {
        tries += 1;
        let done = house.accounts.deliver(&house.sink).await.unwrap();
        house.clock.advance(Duration::from_secs(16 * 3600));
        if done.given_up == 1 {
            break;
        }
        assert_eq!(done.later, 1);
    }
    assert_eq!(tries, TRIES_MAX);
    assert_eq!(house.accounts.deliver(&house.sink).await.unwrap(), Delivered::default());
    assert!(!format!("{:?}", Mail { to: "a@b.cd".into(), ..house_mail() }).contains('@'));
}

fn house_mail() -> Mail {
    Mail { to: String::new(), subject: "s".into(), body: "secret".into() }
}

async fn a_house_without_mail_says_so(store: Store) {
    Accounts::migrate(&store).await.unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let accounts = Accounts::new(store, clock, Arc::new(SeededEntropy::new(7)));
    let anna = accounts.sign_up(named("anna")).await.unwrap();
    accounts.sign_in("anna", PASSWORD, None).await.unwrap();
    let reset = accounts.ask_for_reset("anna@example.org").await.unwrap_err();
    assert!(matches!(reset, AccountsError::NoMail));
    let email = accounts.ask_for_email(anna, PROOF, "new@example.org", None).await.unwrap_err();
    assert!(matches!(email, AccountsError::NoMail));
    accounts.add_address(anna, PROOF, (Asset::Btc, "bc1own", ""), None).await.unwrap();
    assert_eq!(accounts.deliver(&Sink::default()).await.unwrap(), Delivered::default());
}

laws! { mail: [
    where_addresses_are_confirmed_nobody_is_let_in_before,
    a_new_password_by_mail_ends_sessions_and_is_set_once,
    asking_for_a_new_password_tells_nobody_whether_there_is_an_account,
    a_ticket_for_one_thing_is_none_for_another,
    messages_are_tried_again_later_and_given_up_in_the_end,
    a_house_without_mail_says_so,
] }

laws! { changes: [
    a_new_address_counts_when_it_has_answered_and_the_delay_is_over,
    an_address_that_never_answered_or_was_stopped_does_not_count,
    payouts_to_the_book_alone_wait_for_new_addresses_and_for_leaving_it,
    a_notice_stops_a_new_payout_address_and_leaving_the_book,
] }
