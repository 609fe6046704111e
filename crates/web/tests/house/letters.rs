//! A house that writes messages, and the tickets in the links of what it wrote.

use super::House;
use gruve_accounts::{AccountRules, Mail, MailError, MailRules, Mailer};
use gruve_web::WebConfig;
use std::sync::Mutex;

#[derive(Default)]
struct Sink(Mutex<Vec<Mail>>);

#[async_trait::async_trait]
impl Mailer for Sink {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        self.0.lock().unwrap().push(mail.clone());
        Ok(())
    }
}

/// A house that writes, and lets in whoever has not confirmed yet.
pub async fn writing_house() -> House {
    let mail = MailRules {
        origin: "http://gruve.test".into(),
        house: "Gruve".into(),
        confirm_sign_up: false,
        say: gruve_web::in_chosen_language,
    };
    let rules = AccountRules { mail: Some(mail), ..AccountRules::default() };
    House::with_rules(WebConfig::default(), rules).await
}

/// What was written and not sent yet, all of it.
pub async fn written(house: &House) -> Vec<Mail> {
    let sink = Sink::default();
    house.accounts.deliver(&sink).await.unwrap();
    sink.0.into_inner().unwrap()
}

/// The ticket of the link to a page in the last message that has one.
pub async fn ticket(house: &House, page: &str) -> String {
    let at = format!("http://gruve.test/{page}?ticket=");
    let sent = written(house).await;
    let body = sent.iter().rev().find_map(|m| m.body.split(&at).nth(1)).unwrap();
    body.chars().take(43).collect()
}
