//! Who keeps a name: accounts that nobody confirms lose theirs; which passwords they may have; and what their owners are
//! told of signing in. On both engines.
#![allow(clippy::unwrap_used, missing_docs)]

use argon2::{Argon2, PasswordHasher as _};
use gruve_accounts::{
    AccountRules, Accounts, AccountsError, Confirmed, Device, Mail, MailError, MailRules, Mailer,
    NETWORK_KNOWN, NewAccount, SEALED_FOR, Ticket, UNCONFIRMED_KEPT,
};
use gruve_store::{Store, laws, params, transact};
use gruve_units::{AccountId, Duration, ManualClock, SeededEntropy, Timestamp};
use std::sync::{Arc, Mutex};

const PASSWORD: &str = "four words make one";

#[derive(Default)]
struct Sink(Mutex<Vec<Mail>>);

#[async_trait::async_trait]
impl Mailer for Sink {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        self.0.lock().unwrap().push(mail.clone());
        Ok(())
    }
}

struct House {
    accounts: Accounts,
    clock: Arc<ManualClock>,
    store: Store,
    sink: Sink,
}

impl House {
    async fn new(store: Store, confirm_sign_up: bool) -> House {
        Accounts::migrate(&store).await.unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
        let mail = MailRules {
            origin: "https://gruve.test".into(),
            house: "Fjell Mining".into(),
            confirm_sign_up,
            say: gruve_accounts::in_english,
        };
        let rules = AccountRules { mail: Some(mail), ..AccountRules::default() };
        let entropy = Arc::new(SeededEntropy::new(7));
        let accounts = Accounts::with_rules(store.clone(), clock.clone(), entropy, rules);
        House { accounts, clock, store, sink: Sink::default() }
    }

    async fn mail(&self) -> Vec<Mail> {
        while self.accounts.deliver(&self.sink).await.unwrap().sent > 0 {}
        std::mem::take(&mut *self.sink.0.lock().unwrap())
    }

    async fn sign_up(&self, name: &str, password: &str) -> Result<AccountId, AccountsError> {
        let email = format!("{name}@example.org");
        let new = NewAccount { name: name.into(), email, password: password.into() };
        self.accounts.sign_up(new).await
    }

    async fn sign_in_from(&self, address: &str) {
        let device =
            Device { address: Some(address.parse().unwrap()), agent: "Fleetfoot/1".into() };
        self.accounts.sign_in("anna", PASSWORD, device).await.unwrap();
    }

    /// What the house does of accounts that wait too long and have nothing.
    async fn closes(&self) -> usize {
        let due = self.accounts.unconfirmed_due().await.unwrap();
        for account in &due {
            assert!(self.accounts.expire(*account).await.unwrap());
            assert!(!self.accounts.expire(*account).await.unwrap(), "once");
        }
        for closing in self.accounts.closings_due().await.unwrap() {
            self.accounts.seal(closing.account).await.unwrap();
        }
        due.len()
    }
}

fn ticket(mail: &Mail) -> Ticket {
    let at = "https://gruve.test/confirm?ticket=";
    let from = mail.body.find(at).unwrap_or_else(|| panic!("{}", mail.body)) + at.len();
    Ticket(mail.body[from..].chars().take(43).collect())
}

async fn a_name_that_nobody_confirms_is_free_again_after_a_week(store: Store) {
    let house = House::new(store, true).await;
    let squatter = house.sign_up("anna", PASSWORD).await.unwrap();
    house.mail().await;
    house.clock.advance(UNCONFIRMED_KEPT - Duration::from_secs(1));
    assert_eq!(house.closes().await, 0, "a week is kept");
    house.clock.advance(Duration::from_secs(1));
    assert_eq!(house.closes().await, 1);
    assert!(matches!(house.sign_up("anna", PASSWORD).await, Err(AccountsError::Taken)), "not yet");
    house.clock.advance(SEALED_FOR);
    assert!(house.accounts.erase(squatter).await.unwrap());
    assert!(house.mail().await.is_empty(), "who confirmed nothing is not written to");
    let anna = house.sign_up("anna", PASSWORD).await.unwrap();
    assert_eq!(house.accounts.account_by_name("anna").await.unwrap(), Some(anna));
    assert_eq!(
        house.accounts.confirm(&ticket(&house.mail().await[0])).await.unwrap(),
        Confirmed::SignUp
    );
    house.clock.advance(UNCONFIRMED_KEPT * 2);
    assert_eq!(house.closes().await, 0, "who has confirmed stays");
}

async fn who_has_something_or_confirms_at_the_last_minute_keeps_the_name(store: Store) {
    let house = House::new(store, true).await;
    let anna = house.sign_up("anna", PASSWORD).await.unwrap();
    house.clock.advance(UNCONFIRMED_KEPT);
    house.accounts.spare(anna).await.unwrap();
    assert_eq!(house.closes().await, 0, "left alone for as long again");
    house.clock.advance(UNCONFIRMED_KEPT);
    house.mail().await;
    let again = house.accounts.sign_in("anna", PASSWORD, None).await.unwrap_err();
    assert!(matches!(again, AccountsError::NotConfirmed), "{again}");
    let link = ticket(&house.mail().await[0]);
    assert!(house.accounts.expire(anna).await.unwrap());
    house.accounts.confirm(&link).await.unwrap();
    assert_eq!(house.accounts.closing(anna).await.unwrap(), None);
    house.accounts.sign_in("anna", PASSWORD, None).await.unwrap();
    assert!(!house.accounts.expire(anna).await.unwrap(), "it is confirmed");
}

async fn a_password_that_everybody_tries_is_refused_wherever_one_is_set(store: Store) {
    let house = House::new(store, false).await;
    let weak = |e: AccountsError| assert!(matches!(e, AccountsError::GuessablePassword), "{e}");
    weak(house.sign_up("anna", "password1234").await.unwrap_err());
    // Its own name and the house's are known to everybody.
    weak(house.sign_up("annaberg", "annabergfjell26").await.unwrap_err());
    let anna = house.sign_up("anna", PASSWORD).await.unwrap();
    let proof = (PASSWORD, None);
    let change = async |new: &str| house.accounts.change_password(anna, proof, new, "", None).await;
    weak(change("qwertyuiop123").await.unwrap_err());
    weak(change("anna-anna-anna").await.unwrap_err());
    house.accounts.ask_for_reset("anna@example.org").await.unwrap();
    let body = house.mail().await.remove(0).body;
    let at = body.find("ticket=").unwrap() + "ticket=".len();
    let link = Ticket(body[at..].chars().take(43).collect());
    weak(house.accounts.reset_password(&link, "letmein-letmein").await.unwrap_err());
    // The link is not used up by it.
    house.accounts.reset_password(&link, "five words are even better").await.unwrap();
}

async fn a_password_set_under_older_rules_goes_on_signing_in(store: Store) {
    let house = House::new(store, false).await;
    let anna = house.sign_up("anna", PASSWORD).await.unwrap();
    let old =
        Argon2::default().hash_password_with_salt(b"short one", &[7; 16]).unwrap().to_string();
    let set = transact!(house.store, tx -> gruve_accounts::Result<_> => {
        let sql = "UPDATE accounts_accounts SET password = $2 WHERE id = $1";
        Ok(tx.execute(sql, &params![anna, &old]).await?)
    });
    assert_eq!(set.unwrap(), 1);
    house.accounts.sign_in("anna", "short one", None).await.unwrap();
}

async fn a_sign_in_from_a_new_network_is_told_and_the_first_and_the_usual_are_not(store: Store) {
    let house = House::new(store, false).await;
    let anna = house.sign_up("anna", PASSWORD).await.unwrap();
    house.sign_in_from("192.0.2.7").await;
    house.sign_in_from("192.0.2.99").await;
    assert!(house.mail().await.is_empty(), "nothing is new about these");
    house.sign_in_from("198.51.100.1").await;
    let told = house.mail().await;
    assert_eq!(told.len(), 1);
    assert!(told[0].to == "anna@example.org" && told[0].body.contains("of late: 198.51.100.1."));
    assert!(!told[0].body.contains("Fleetfoot"), "who signs in writes no words of the house's");
    house.sign_in_from("198.51.100.2").await;
    assert!(house.mail().await.is_empty(), "told once");
    house.clock.advance(NETWORK_KNOWN);
    house.sign_in_from("192.0.2.7").await;
    assert_eq!(house.mail().await.len(), 1, "a network that was long not used is new");
    // A proof within a session, stolen or not, makes its network no usual one.
    let from = Some("203.0.113.5".parse().unwrap());
    house.accounts.prove(anna, PASSWORD, None, from).await.unwrap();
    house.sign_in_from("203.0.113.5").await;
    assert_eq!(house.mail().await.len(), 1);
}

laws! { names: [
    a_name_that_nobody_confirms_is_free_again_after_a_week,
    who_has_something_or_confirms_at_the_last_minute_keeps_the_name,
    a_password_that_everybody_tries_is_refused_wherever_one_is_set,
    a_password_set_under_older_rules_goes_on_signing_in,
    a_sign_in_from_a_new_network_is_told_and_the_first_and_the_usual_are_not,
] }
