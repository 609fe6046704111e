use super::super::smtp::tests::{Came, Manners, config, server};
use super::*;
use gruve_accounts::{AccountRules, MailRules, NewAccount};
use gruve_store::{Store, laws, transact};
use gruve_units::{ManualClock, SeededEntropy, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{Barrier, mpsc::UnboundedReceiver};

/// A house with so many letters that are due.
async fn with_letters(store: Store, letters: u32) -> Accounts {
    Accounts::migrate(&store).await.unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let mail = MailRules {
        origin: "https://gruve.test".into(),
        house: "Gruve".into(),
        confirm_sign_up: false,
        say: gruve_accounts::in_english,
    };
    let rules = AccountRules { mail: Some(mail), ..AccountRules::default() };
    let entropy = Arc::new(SeededEntropy::new(7));
    let accounts = Accounts::with_rules(store.clone(), clock, entropy, rules);
    for n in 0..letters {
        if n.is_multiple_of(20) {
            let name = format!("owner-{n}");
            let email = format!("{name}@example.org");
            let new = NewAccount { name, email, password: "correct horse".into() };
            accounts.sign_up(new).await.unwrap();
        }
        let name = format!("owner-{}", n / 20 * 20);
        let who = accounts.account_by_name(&name).await.unwrap().unwrap();
        transact!(store, tx -> Result<(), AccountsError> => {
            accounts.tell_owner(tx, who, &format!("Letter {n} of many.")).await
        })
        .unwrap();
    }
    accounts
}

/// Which letters came over which connections.
fn numbers(came: &mut UnboundedReceiver<Came>) -> (BTreeSet<usize>, Vec<u32>) {
    let (mut connections, mut numbers) = (BTreeSet::new(), Vec::new());
    while let Ok((connection, text)) = came.try_recv() {
        connections.insert(connection);
        let said = text.split("Letter ").nth(1).unwrap();
        numbers.push(said.split(' ').next().unwrap().parse().unwrap());
    }
    numbers.sort_unstable();
    (connections, numbers)
}

/// The server takes no letter before it has one on each of four connections: who sends one after the other never ends.
async fn letters_go_side_by_side_on_as_many_connections_as_are_allowed_and_each_once(store: Store) {
    let accounts = with_letters(store, 45).await;
    let together = Some(Arc::new(Barrier::new(4)));
    let (port, mut came) = server(Manners { together, ..Manners::default() }).await;
    let post = Post::new(&config(port)).unwrap();
    let mut all = BTreeSet::new();
    for round in 1..=2 {
        let sent = tokio::time::timeout(Duration::from_secs(60), post.round(&accounts));
        let (done, is_full) = sent.await.expect("side by side").unwrap();
        assert_eq!((done, is_full), (Delivered { sent: 20, ..Delivered::default() }, true));
        let (connections, letters) = numbers(&mut came);
        assert_eq!(connections, BTreeSet::from([0, 1, 2, 3]), "the same ones in round {round}");
        all.extend(letters);
        assert_eq!(all.len(), round * 20, "each once");
    }
}

async fn a_round_that_is_not_full_is_the_last_and_nothing_is_sent_again(store: Store) {
    let accounts = with_letters(store, 45).await;
    let (port, mut came) = server(Manners::default()).await;
    let post = Post::new(&config(port)).unwrap();
    let mut rounds = Vec::new();
    for _ in 0..4 {
        let (done, is_full) = post.round(&accounts).await.unwrap();
        rounds.push((done.sent, is_full));
    }
    assert_eq!(rounds, [(20, true), (20, true), (5, false), (0, false)]);
    let (_, letters) = numbers(&mut came);
    assert_eq!(letters, (0..45).collect::<Vec<u32>>());
}

laws! { post: [
    letters_go_side_by_side_on_as_many_connections_as_are_allowed_and_each_once,
    a_round_that_is_not_full_is_the_last_and_nothing_is_sent_again,
] }
