//! What closing an account promises, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_accounts::{
    AccountRules, Accounts, AccountsError, CLOSING_DELAY, MailRules, NewAccount, Role, SEALED_FOR,
    Scope,
};
use gruve_store::{Store, laws};
use gruve_units::{AccountId, Asset, Duration, ManualClock, SeededEntropy, Timestamp};
use std::sync::Arc;

const PASSWORD: &str = "correct horse";

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
        let mail = MailRules {
            origin: "https://mine.example".into(),
            house: "Mine".into(),
            confirm_sign_up: false,
            say: gruve_accounts::in_english,
        };
        let rules = AccountRules { mail: Some(mail), ..AccountRules::default() };
        let accounts = Accounts::with_rules(store.clone(), clock.clone(), entropy, rules);
        let new = NewAccount {
            name: "anna".into(),
            email: "anna@example.org".into(),
            password: PASSWORD.into(),
        };
        let anna = accounts.sign_up(new).await.unwrap();
        House { accounts, clock, store, anna }
    }

    async fn ask(&self, password: &str) -> Result<gruve_accounts::Closing, AccountsError> {
        self.accounts.ask_to_close(self.anna, (password, ""), None).await
    }

    /// Everything that text columns of the room hold.
    async fn all_text(&self) -> String {
        let mut out = Vec::new();
        let mut tx = self.store.read().await.unwrap();
        gruve_store::transfer::export(&mut tx, &mut out).await.unwrap();
        String::from_utf8_lossy(&out).into_owned()
    }
}

async fn an_account_is_closed_by_proof_after_a_delay_and_can_be_kept(store: Store) {
    let house = House::new(store).await;
    let wrong = house.ask("wrong horse").await.unwrap_err();
    assert!(matches!(wrong, AccountsError::WrongCredentials));
    let closing = house.ask(PASSWORD).await.unwrap();
    assert_eq!(closing.due, closing.asked.plus(CLOSING_DELAY));
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(house.ask(PASSWORD).await.unwrap(), closing, "asking again changes nothing");
    assert!(house.accounts.closings_due().await.unwrap().is_empty());
    assert!(house.accounts.keep_open(house.anna, None).await.unwrap());
    assert!(!house.accounts.keep_open(house.anna, None).await.unwrap());
    house.ask(PASSWORD).await.unwrap();
    house.clock.advance(CLOSING_DELAY);
    let due = house.accounts.closings_due().await.unwrap();
    assert_eq!(due.len(), 1);
    assert!(!house.accounts.erase(house.anna).await.unwrap(), "sealed first");
    house.accounts.seal(house.anna).await.unwrap();
    let shut = house.accounts.sign_in("anna", PASSWORD, None).await.unwrap_err();
    assert!(matches!(shut, AccountsError::Closed), "{shut}");
    assert!(!house.accounts.erase(house.anna).await.unwrap(), "not at once");
    house.accounts.keep_open(house.anna, Some("open invoices")).await.unwrap();
    house.accounts.sign_in("anna", PASSWORD, None).await.unwrap();
}

async fn nothing_personal_is_left_and_the_log_still_holds(store: Store) {
    let house = House::new(store).await;
    let device = gruve_accounts::Device {
        address: Some("192.0.2.77".parse().unwrap()),
        agent: "Fleetfoot/1".into(),
    };
    house.accounts.sign_in("anna", PASSWORD, device).await.unwrap();
    let life = Duration::from_secs(3600);
    house.accounts.make_key(house.anna, "robotkey", &[Scope::Read], life).await.unwrap();
    house
        .accounts
        .add_address(house.anna, (PASSWORD, None), (Asset::Btc, "bc1qanna", "purse"), None)
        .await
        .unwrap();
    house.ask(PASSWORD).await.unwrap();
    let before = house.all_text().await;
    for told in ["anna@example.org", "robotkey", "bc1qanna"] {
        assert!(before.contains(told), "{told}");
    }
    house.clock.advance(CLOSING_DELAY);
    house.accounts.seal(house.anna).await.unwrap();
    house.clock.advance(SEALED_FOR);
    assert!(house.accounts.erase(house.anna).await.unwrap());
    assert!(!house.accounts.erase(house.anna).await.unwrap(), "once");
    // Messages hold the address until they are sent or given up.
    struct Taken;
    #[async_trait::async_trait]
    impl gruve_accounts::Mailer for Taken {
        async fn send(&self, _: &gruve_accounts::Mail) -> Result<(), gruve_accounts::MailError> {
            Ok(())
        }
    }
    while house.accounts.deliver(&Taken).await.unwrap().sent > 0 {}
    let after = house.all_text().await;
    for gone in ["anna", "Fleetfoot", "192.0.2.77", "robotkey", "bc1q"] {
        assert!(!after.contains(gone), "{gone}: {after}");
    }
    assert_eq!(house.accounts.verify_log().await.unwrap().fault, None, "the chain needs no names");
    assert!(house.accounts.name_of(house.anna).await.unwrap().unwrap().starts_with("closed-"));
    // The name and the address may be taken anew.
    let new = NewAccount {
        name: "anna".into(),
        email: "anna@example.org".into(),
        password: PASSWORD.into(),
    };
    house.accounts.sign_up(new).await.unwrap();
}

async fn staff_is_not_closed_before_its_role_is_taken(store: Store) {
    let house = House::new(store).await;
    house.accounts.set_role(None, "anna", Some(Role::Owner)).await.unwrap();
    assert!(matches!(house.ask(PASSWORD).await.unwrap_err(), AccountsError::IsStaff));
}

async fn who_comes_to_work_here_stays_whatever_was_asked_before(store: Store) {
    let house = House::new(store).await;
    house.ask(PASSWORD).await.unwrap();
    house.accounts.set_role(None, "anna", Some(Role::Support)).await.unwrap();
    assert_eq!(house.accounts.closing(house.anna).await.unwrap(), None);
    // Nor does it come back when the role is taken away again.
    house.accounts.set_role(None, "anna", None).await.unwrap();
    house.clock.advance(CLOSING_DELAY);
    assert!(house.accounts.closings_due().await.unwrap().is_empty());
    house.accounts.sign_in("anna", PASSWORD, None).await.unwrap();
}

async fn a_role_lets_somebody_in_again_whose_account_was_about_to_be_erased(store: Store) {
    let house = House::new(store).await;
    house.ask(PASSWORD).await.unwrap();
    house.clock.advance(CLOSING_DELAY);
    house.accounts.seal(house.anna).await.unwrap();
    house.accounts.set_role(None, "anna", Some(Role::Support)).await.unwrap();
    house.clock.advance(SEALED_FOR);
    assert!(!house.accounts.erase(house.anna).await.unwrap(), "nothing is erased");
    house.accounts.sign_in("anna", PASSWORD, None).await.unwrap();
}

laws! { closing: [
    who_comes_to_work_here_stays_whatever_was_asked_before,
    a_role_lets_somebody_in_again_whose_account_was_about_to_be_erased,
    an_account_is_closed_by_proof_after_a_delay_and_can_be_kept,
    nothing_personal_is_left_and_the_log_still_holds,
    staff_is_not_closed_before_its_role_is_taken,
] }
