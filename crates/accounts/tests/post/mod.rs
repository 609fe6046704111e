//! A house that sends mail, a clock in the test's hands, and what arrives.
#![allow(dead_code)] // each test file uses its part

use gruve_accounts::{
    AccountRules, Accounts, AccountsError, Mail, MailError, MailRules, Mailer, NewAccount, Ticket,
};
use gruve_store::Store;
use gruve_units::{AccountId, Duration, ManualClock, SeededEntropy, Timestamp};
use std::sync::{Arc, Mutex};

pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const PROOF: (&str, Option<&str>) = (PASSWORD, None);

/// Keeps what it is handed, or refuses it.
#[derive(Default)]
pub(crate) struct Sink {
    pub(crate) taken: Mutex<Vec<Mail>>,
    pub(crate) refusal: Mutex<Option<MailError>>,
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

pub(crate) struct House {
    pub(crate) accounts: Accounts,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) sink: Sink,
}

impl House {
    pub(crate) async fn new(store: Store, confirm_sign_up: bool) -> House {
        House::with(store, confirm_sign_up, AccountRules::default()).await
    }

    /// One in which changes wait so long.
    pub(crate) async fn waiting(store: Store, change_delay: Duration) -> House {
        House::with(store, false, AccountRules { change_delay, ..AccountRules::default() }).await
    }

    async fn with(store: Store, confirm_sign_up: bool, rules: AccountRules) -> House {
        Accounts::migrate(&store).await.unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
        let entropy = Arc::new(SeededEntropy::new(7));
        let mail = MailRules {
            origin: "https://gruve.test".into(),
            house: "Gruve".into(),
            confirm_sign_up,
            say: gruve_accounts::in_english,
        };
        let rules = AccountRules { mail: Some(mail), ..rules };
        let accounts = Accounts::with_rules(store.clone(), clock.clone(), entropy, rules);
        House { accounts, clock, sink: Sink::default() }
    }

    pub(crate) async fn with_anna(store: Store) -> (House, AccountId) {
        let house = House::new(store, false).await;
        let anna = house.accounts.sign_up(named("anna")).await.unwrap();
        (house, anna)
    }

    /// The messages sent since the last time.
    pub(crate) async fn mail(&self) -> Vec<Mail> {
        while self.accounts.deliver(&self.sink).await.unwrap().sent > 0 {}
        std::mem::take(&mut *self.sink.taken.lock().unwrap())
    }

    pub(crate) async fn sign_in(
        &self,
        login: &str,
        password: &str,
    ) -> Result<String, AccountsError> {
        self.accounts.sign_in(login, password, None).await.map(|s| s.token)
    }
}

pub(crate) fn named(name: &str) -> NewAccount {
    let email = format!("{name}@example.org");
    NewAccount { name: name.into(), email, password: PASSWORD.into() }
}

/// The ticket in a message's link to a page.
pub(crate) fn ticket(mail: &Mail, page: &str) -> Ticket {
    let at = format!("https://gruve.test/{page}?ticket=");
    let from = mail.body.find(&at).unwrap_or_else(|| panic!("{}", mail.body)) + at.len();
    Ticket(mail.body[from..].chars().take(43).collect())
}
