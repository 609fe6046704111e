//! What taking off a lost second factor promises, on both engines.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod totp;

use async_trait::async_trait;
use gruve_accounts::{
    AccountRules, Accounts, AccountsError, CHANGE_DELAY, Mail, MailError, MailRules, Mailer,
    NewAccount, RECOVERY_DELAY, Role, Scope, Ticket, in_english,
};
use gruve_store::{Store, laws};
use gruve_units::{
    AccountId, Amount, Asset, Clock, Duration, ManualClock, PayoutId, SeededEntropy, Timestamp,
};
use std::sync::{Arc, Mutex};
use totp::code_of;

const PASSWORD: &str = "correct horse";
const DAY: Duration = Duration::from_secs(86_400);

#[derive(Default)]
struct Sink(Mutex<Vec<Mail>>);

#[async_trait]
impl Mailer for Sink {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        self.0.lock().unwrap().push(mail.clone());
        Ok(())
    }
}

struct House {
    accounts: Accounts,
    clock: Arc<ManualClock>,
    sink: Sink,
    anna: AccountId,
    /// Codes for the lost device.
    codes: Vec<String>,
}

impl House {
    /// With a customer whose second factor is on.
    async fn new(store: Store, recovery_delay: Duration) -> House {
        Accounts::migrate(&store).await.unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
        let mail = MailRules {
            origin: "https://gruve.test".into(),
            house: "Gruve".into(),
            confirm_sign_up: false,
            say: in_english,
        };
        let rules = AccountRules { mail: Some(mail), recovery_delay, ..AccountRules::default() };
        let entropy = Arc::new(SeededEntropy::new(7));
        let accounts = Accounts::with_rules(store, clock.clone(), entropy, rules);
        let new = NewAccount {
            name: "anna".into(),
            email: "anna@example.org".into(),
            password: PASSWORD.into(),
        };
        let anna = accounts.sign_up(new).await.unwrap();
        let setup = accounts.begin_totp(anna, "gruve.test").await.unwrap();
        let code = code_of(&setup.secret, clock.now());
        let codes = accounts.confirm_totp(anna, (PASSWORD, None), &code, None).await.unwrap();
        let house = House { accounts, clock, sink: Sink::default(), anna, codes };
        house.mail().await;
        house
    }

    async fn mail(&self) -> Vec<Mail> {
        while self.accounts.deliver(&self.sink).await.unwrap().sent > 0 {}
        std::mem::take(&mut *self.sink.0.lock().unwrap())
    }

    /// The password is right, and a code would be asked for.
    async fn password(&self) -> Ticket {
        match self.accounts.sign_in("anna", PASSWORD, None).await.unwrap_err() {
            AccountsError::SecondFactorNeeded(ticket) => ticket,
            other => panic!("{other}"),
        }
    }

    /// Signs in with a code for the lost device.
    async fn session(&self, n: usize) -> String {
        let ticket = self.password().await;
        self.accounts.sign_in_second(&ticket, &self.codes[n], None).await.unwrap().token
    }

    /// The wait has begun; the notices of it.
    async fn waiting(&self) -> Vec<Mail> {
        self.mail().await;
        self.accounts.ask_to_drop_factor(&self.password().await).await.unwrap();
        let sent = self.mail().await;
        let link = ticket(&sent[0], "lost-factor");
        self.accounts.begin_dropping_factor(&link).await.unwrap();
        self.mail().await
    }

    async fn pays(&self) -> Result<(), AccountsError> {
        self.accounts.may_pay_to(self.anna, Asset::Btc, "bc1anna").await
    }
}

/// The ticket in a message's link to a page.
fn ticket(mail: &Mail, page: &str) -> Ticket {
    let at = format!("https://gruve.test/{page}?ticket=");
    let from = mail.body.find(&at).unwrap_or_else(|| panic!("{}", mail.body)) + at.len();
    Ticket(mail.body[from..].chars().take(43).collect())
}

async fn a_lost_factor_is_taken_off_after_days_and_nothing_is_paid_out_meanwhile(store: Store) {
    let house = House::new(store, RECOVERY_DELAY).await;
    let there = house.session(0).await;
    let (_, key) =
        house.accounts.make_key(house.anna, "x", &[Scope::Read], DAY * 60).await.unwrap();
    house.mail().await;
    house.pays().await.unwrap();
    house.accounts.ask_to_drop_factor(&house.password().await).await.unwrap();
    let asked = house.mail().await;
    assert_eq!((asked.len(), asked[0].to.as_str()), (1, "anna@example.org"));
    assert!(house.accounts.lost_factor(house.anna).await.unwrap().is_none(), "not by asking");
    house.pays().await.unwrap();
    let link = ticket(&asked[0], "lost-factor");
    let lost = house.accounts.begin_dropping_factor(&link).await.unwrap();
    assert_eq!(lost.due, house.clock.now().plus(RECOVERY_DELAY));
    let used = house.accounts.begin_dropping_factor(&link).await.unwrap_err();
    assert!(matches!(used, AccountsError::TicketVoid));
    // Told by mail, in each session, to staff; each day anew.
    assert_eq!(house.mail().await.len(), 1);
    let seen = house.accounts.session(&there).await.unwrap().unwrap();
    assert_eq!(seen.lost_factor, Some(lost));
    let listed = house.accounts.lost_factors().await.unwrap();
    assert_eq!(listed, [(lost, "anna".to_owned())]);
    for _ in 0..6 {
        house.clock.advance(DAY);
        assert!(house.accounts.session(&there).await.unwrap().is_some());
        assert_eq!(house.accounts.apply_lost_factors().await.unwrap(), 0);
        assert_eq!(house.mail().await.len(), 1);
        let held = house.pays().await.unwrap_err();
        assert!(matches!(held, AccountsError::FactorLost(_)), "{held}");
    }
    house.clock.advance(DAY);
    assert_eq!(house.accounts.apply_lost_factors().await.unwrap(), 1);
    assert_eq!(house.accounts.apply_lost_factors().await.unwrap(), 0, "once");
    // Whoever was signed in is not, and the password alone opens the account.
    assert!(house.accounts.session(&there).await.unwrap().is_none());
    assert!(house.accounts.key(&key).await.unwrap().is_none());
    let new = house.accounts.sign_in("anna", PASSWORD, None).await.unwrap();
    let seen = house.accounts.session(&new.token).await.unwrap().unwrap().lost_factor.unwrap();
    assert!(seen.done.is_some());
    assert!(matches!(house.pays().await.unwrap_err(), AccountsError::FactorLost(_)));
    house.clock.advance(CHANGE_DELAY);
    house.accounts.apply_lost_factors().await.unwrap();
    house.pays().await.unwrap();
    assert_eq!(house.accounts.lost_factor(house.anna).await.unwrap(), None);
}

async fn it_is_stopped_by_whoever_has_the_factor_a_session_or_a_message(store: Store) {
    let house = House::new(store, RECOVERY_DELAY).await;
    let is_stopped = async || house.accounts.lost_factor(house.anna).await.unwrap().is_none();
    let notices = house.waiting().await;
    assert!(!is_stopped().await);
    // By the message.
    house.accounts.undo(&ticket(&notices[0], "undo")).await.unwrap();
    assert!(is_stopped().await);
    assert_eq!(house.mail().await.len(), 1, "and told");
    // By using the factor.
    house.waiting().await;
    house.session(0).await;
    assert!(is_stopped().await);
    // By a session, or staff.
    house.clock.advance(Duration::from_secs(3600));
    house.waiting().await;
    assert!(house.accounts.keep_factor(None, house.anna).await.unwrap());
    assert!(!house.accounts.keep_factor(None, house.anna).await.unwrap());
    assert!(is_stopped().await);
    // By a new password.
    house.waiting().await;
    house.accounts.ask_for_reset("anna@example.org").await.unwrap();
    let reset = ticket(&house.mail().await[0], "reset");
    house.accounts.reset_password(&reset, PASSWORD).await.unwrap();
    assert!(is_stopped().await);
    // What was stopped is not done later, and the factor is asked for as ever.
    house.clock.advance(RECOVERY_DELAY * 2);
    assert_eq!(house.accounts.apply_lost_factors().await.unwrap(), 0);
    house.password().await;
    house.pays().await.unwrap();
}

async fn it_is_told_however_many_notices_of_other_things_and_of_itself_are_out(store: Store) {
    let house = House::new(store.clone(), RECOVERY_DELAY).await;
    let mut tx = store.begin().await.unwrap();
    for n in 0..20 {
        let what = (Amount::new(Asset::Btc, 1_000), "bc1new");
        let due = house.clock.now().plus(RECOVERY_DELAY);
        let id = PayoutId::from_bytes([n; 16]);
        house.accounts.tell_of_payout(&mut tx, house.anna, id, what, due).await.unwrap();
    }
    tx.commit().await.unwrap();
    for _ in 0..21 {
        house.clock.advance(Duration::from_secs(900));
        let told = house.waiting().await;
        assert_eq!(told.len(), 1);
        house.accounts.undo(&ticket(&told[0], "undo")).await.unwrap();
    }
}

async fn it_takes_the_password_and_the_mail_and_is_not_for_staff(store: Store) {
    let house = House::new(store, RECOVERY_DELAY).await;
    let forged = house.accounts.ask_to_drop_factor(&Ticket("x".repeat(43))).await.unwrap_err();
    assert!(matches!(forged, AccountsError::TicketVoid));
    let password = house.password().await;
    // The password's ticket is not the message's.
    let short = house.accounts.begin_dropping_factor(&password).await.unwrap_err();
    assert!(matches!(short, AccountsError::TicketVoid));
    house.accounts.ask_to_drop_factor(&password).await.unwrap();
    let link = ticket(&house.mail().await[0], "lost-factor");
    house.accounts.set_role(None, "anna", Some(Role::Support)).await.unwrap();
    for refused in [
        house.accounts.ask_to_drop_factor(&password).await.unwrap_err(),
        house.accounts.begin_dropping_factor(&link).await.unwrap_err(),
    ] {
        assert!(matches!(refused, AccountsError::StaffFactor), "{refused}");
    }
    // At the machine itself it is done at once.
    house.accounts.drop_factors("anna").await.unwrap();
    house.accounts.sign_in("anna", PASSWORD, None).await.unwrap();
    let nobody = house.accounts.drop_factors("nobody").await.unwrap_err();
    assert!(matches!(nobody, AccountsError::NoAccount));
}

async fn a_message_is_asked_for_a_bounded_number_of_times_and_not_where_the_house_does_not(
    store: Store,
) {
    let house = House::new(store.clone(), RECOVERY_DELAY).await;
    let password = house.password().await;
    for _ in 0..gruve_accounts::PER_ADDRESS.at_once {
        house.accounts.ask_to_drop_factor(&password).await.unwrap();
    }
    let more = house.accounts.ask_to_drop_factor(&password).await.unwrap_err();
    assert!(matches!(more, AccountsError::TooManyAttempts { .. }), "{more}");
    let rules = AccountRules { recovery_delay: Duration::ZERO, ..AccountRules::default() };
    let (clock, entropy) = (house.clock.clone(), Arc::new(SeededEntropy::new(8)));
    let without = Accounts::with_rules(store, clock, entropy, rules);
    assert_eq!(without.recovery_delay(), None);
    let none = without.ask_to_drop_factor(&password).await.unwrap_err();
    assert!(matches!(none, AccountsError::NoRecovery), "{none}");
}

laws! { lost: [
    a_lost_factor_is_taken_off_after_days_and_nothing_is_paid_out_meanwhile,
    it_is_stopped_by_whoever_has_the_factor_a_session_or_a_message,
    it_is_told_however_many_notices_of_other_things_and_of_itself_are_out,
    it_takes_the_password_and_the_mail_and_is_not_for_staff,
    a_message_is_asked_for_a_bounded_number_of_times_and_not_where_the_house_does_not,
] }
