//! What confirmations, resets and messages promise, on both engines.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod post;
mod totp;

use gruve_accounts::{
    AccountRules, Accounts, AccountsError, CHANGE_DELAY, Confirmed, Delivered, Handed, KEYS_MAX,
    LETTERS_PER_NETWORK, Mail, MailError, MailRules, Mailer, NewAccount, PER_ADDRESS, Role,
    SIGN_INS_TOLD, SIGN_UPS_PER_NETWORK, Scope, TRIES_MAX, Ticket,
};
use gruve_store::{Store, laws, transact};
use gruve_units::{AccountId, Asset, Clock as _, Duration, ManualClock, SeededEntropy, Timestamp};
use post::{House, PASSWORD, PROOF, Sink, named, ticket};
use std::net::IpAddr;
use std::sync::Arc;
use totp::code_of;

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

async fn where_mail_does_not_arrive_an_address_is_confirmed_at_the_machine(store: Store) {
    let house = House::new(store, true).await;
    house.accounts.sign_up(named("anna")).await.unwrap();
    let link = ticket(&house.mail().await[0], "confirm");
    assert!(matches!(house.sign_in("anna", PASSWORD).await, Err(AccountsError::NotConfirmed)));
    house.accounts.confirm_by_hand("anna").await.unwrap();
    house.accounts.confirm_by_hand("anna").await.unwrap();
    house.sign_in("anna", PASSWORD).await.unwrap();
    let late = house.accounts.confirm(&link).await.unwrap_err();
    assert!(matches!(late, AccountsError::TicketVoid), "{late}");
    // Who gave another's address has none, and gets none by hand.
    let taken = NewAccount { email: "anna@example.org".into(), ..named("berit") };
    house.accounts.sign_up(taken).await.unwrap();
    let refused = house.accounts.confirm_by_hand("berit").await.unwrap_err();
    assert!(matches!(refused, AccountsError::Taken), "{refused}");
    let nobody = house.accounts.confirm_by_hand("nobody").await.unwrap_err();
    assert!(matches!(nobody, AccountsError::NoAccount), "{nobody}");
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

/// What somebody with the old password may leave behind: a key, a new e-mail address that has answered, a new address
/// in the book, and the book left. Gives the key and the link by which another address is confirmed.
async fn left_behind(house: &House, anna: AccountId) -> (String, Ticket) {
    let day = Duration::from_secs(86_400);
    let accounts = &house.accounts;
    let (_, key) = accounts.make_key(anna, "x", &[Scope::Withdraw], day).await.unwrap();
    accounts.pay_to_book_only(anna, true, PROOF, None).await.unwrap();
    accounts.pay_to_book_only(anna, false, PROOF, None).await.unwrap();
    accounts.add_address(anna, PROOF, (Asset::Btc, "bc1thief", ""), None).await.unwrap();
    accounts.ask_for_email(anna, PROOF, "thief@example.org", None).await.unwrap();
    let sent = house.mail().await;
    let to_thief = sent.iter().find(|m| m.to.starts_with("thief")).unwrap();
    (key, ticket(to_thief, "confirm"))
}

async fn nothing_is_left(house: &House, anna: AccountId, key: &str, link: &Ticket) {
    assert!(house.accounts.key(key).await.unwrap().is_none(), "the key has ended");
    assert!(house.accounts.email_change(anna).await.unwrap().is_none());
    assert!(house.accounts.confirm(link).await.is_err());
    house.clock.advance(CHANGE_DELAY);
    assert_eq!(house.accounts.apply_changes().await.unwrap(), 0);
    let refused = house.accounts.may_pay_to(anna, Asset::Btc, "bc1thief").await.unwrap_err();
    assert!(matches!(refused, AccountsError::NotInBook), "{refused}");
}

async fn a_new_password_by_mail_leaves_nothing_of_whoever_had_the_old_one(store: Store) {
    let (house, anna) = House::with_anna(store).await;
    let (key, link) = left_behind(&house, anna).await;
    house.accounts.ask_for_reset("anna@example.org").await.unwrap();
    let reset = ticket(&house.mail().await[0], "reset");
    house.accounts.reset_password(&reset, "battery staple").await.unwrap();
    nothing_is_left(&house, anna, &key, &link).await;
}

async fn a_changed_password_leaves_nothing_of_whoever_had_the_old_one(store: Store) {
    let (house, anna) = House::with_anna(store).await;
    let (key, link) = left_behind(&house, anna).await;
    house.accounts.confirm(&link).await.unwrap();
    let token = house.sign_in("anna", PASSWORD).await.unwrap();
    let changed = house.accounts.change_password(anna, PROOF, "battery staple", &token, None).await;
    changed.unwrap();
    nothing_is_left(&house, anna, &key, &link).await;
}

async fn a_full_outbox_keeps_nobody_from_a_new_password(store: Store) {
    let (house, anna) = House::with_anna(store).await;
    let token = house.sign_in("anna", PASSWORD).await.unwrap();
    // More notices than there is room for, none of them sent.
    for _ in 0..3 {
        for _ in 0..KEYS_MAX {
            let day = Duration::from_secs(86_400);
            house.accounts.make_key(anna, "x", &[Scope::Read], day).await.unwrap();
        }
        for key in house.accounts.keys(anna).await.unwrap() {
            house.accounts.end_key(anna, key.id).await.unwrap();
        }
    }
    let changed = house.accounts.change_password(anna, PROOF, "battery staple", &token, None).await;
    changed.unwrap();
    house.accounts.ask_for_reset("anna@example.org").await.unwrap();
    house.accounts.set_role(None, "anna", Some(Role::Support)).await.unwrap();
    assert!(house.mail().await.len() >= 20);
}

async fn sign_ins_from_many_networks_leave_room_for_the_owners_other_mail(store: Store) {
    let (house, anna) = House::with_anna(store).await;
    let from = async |n: u8| {
        let network = IpAddr::from([198, 51, n, 7]);
        house.accounts.sign_in("anna", PASSWORD, Some(network)).await.unwrap();
    };
    // The first is the owner's own; the mail server takes nothing meanwhile.
    for n in 0..22 {
        from(n).await;
    }
    house.accounts.ask_for_email(anna, PROOF, "new@example.org", None).await.unwrap();
    let told = |sent: &[Mail]| {
        sent.iter().filter(|m| m.body.contains("from a network that it was not used from")).count()
    };
    let sent = house.mail().await;
    let at_once = usize::try_from(SIGN_INS_TOLD.at_once).unwrap();
    assert_eq!(told(&sent), at_once, "{} messages", sent.len());
    assert!(sent.iter().any(|m| m.to == "new@example.org"), "{} messages", sent.len());
    house.clock.advance(SIGN_INS_TOLD.interval);
    from(30).await;
    from(31).await;
    assert_eq!(told(&house.mail().await), 1, "later again");
}

async fn what_a_thief_would_do_is_told_to_the_owner(store: Store) {
    let (house, anna) = House::with_anna(store).await;
    let told = async |part: &str| {
        let sent = house.mail().await;
        assert!(sent.iter().any(|m| m.body.contains(part)), "{part}: {} messages", sent.len());
    };
    let day = Duration::from_secs(86_400);
    house.accounts.make_key(anna, "robot", &[Scope::Withdraw], day).await.unwrap();
    told("A key for programs was made, \"robot\": withdraw.").await;
    house.accounts.set_role(None, "anna", Some(Role::Finance)).await.unwrap();
    told("works for the house now, as finance").await;
    house.accounts.set_role(None, "anna", None).await.unwrap();
    told("works for the house no more").await;
    let setup = house.accounts.begin_totp(anna, "gruve.test").await.unwrap();
    let code = code_of(&setup.secret, house.clock.now());
    house.accounts.confirm_totp(anna, PROOF, &code, None).await.unwrap();
    told("asks for codes from now on").await;
    house.clock.advance(Duration::from_secs(60));
    let code = code_of(&setup.secret, house.clock.now());
    house.accounts.new_recovery_codes(anna, PASSWORD, &code, None).await.unwrap();
    told("new codes for a lost device").await;
}

async fn where_addresses_are_confirmed_signing_up_tells_nobody_whether_there_is_an_account(
    store: Store,
) {
    let house = House::new(store, true).await;
    house.accounts.sign_up(named("anna")).await.unwrap();
    house.accounts.confirm(&ticket(&house.mail().await[0], "confirm")).await.unwrap();
    let with = |name: &str, email: &str| NewAccount { email: email.into(), ..named(name) };
    // The same answers in the same order, whether the address has an account or not.
    for (name, email) in [("carl", "anna@example.org"), ("dora", "nobody@example.org")] {
        house.accounts.sign_up(with(name, email)).await.unwrap();
        let again = house.accounts.sign_up(with(name, "other@example.org")).await.unwrap_err();
        assert!(matches!(again, AccountsError::Taken), "{name}: the name is taken now");
        let by_name = house.sign_in(name, PASSWORD).await.unwrap_err();
        assert!(matches!(by_name, AccountsError::NotConfirmed), "{name}: {by_name}");
        let wrong = house.sign_in(email, "carl's own").await.unwrap_err();
        assert!(matches!(wrong, AccountsError::WrongCredentials), "{name}: {wrong}");
    }
    let unconfirmed = house.sign_in("nobody@example.org", PASSWORD).await.unwrap_err();
    assert!(matches!(unconfirmed, AccountsError::WrongCredentials), "{unconfirmed}");
    let sent = house.mail().await;
    let to_anna: Vec<_> = sent.iter().filter(|m| m.to == "anna@example.org").collect();
    assert_eq!(to_anna.len(), 1, "her owner is written to");
    assert!(to_anna[0].body.contains("There is one already: anna."), "{}", to_anna[0].body);
    assert!(sent.iter().all(|m| m.to.contains('@')));
    // Not without end, and without a word about it to whoever asks.
    for n in 0..5 {
        house.accounts.sign_up(with(&format!("erik{n}"), "anna@example.org")).await.unwrap();
    }
    assert_eq!(house.mail().await.len(), usize::try_from(PER_ADDRESS.at_once - 1).unwrap());
    house.sign_in("anna@example.org", PASSWORD).await.unwrap();
}

async fn one_network_opens_accounts_within_its_limit_and_others_still_can(store: Store) {
    let house = House::new(store, false).await;
    let from = |n: u8| Some(std::net::IpAddr::from([192, 0, n, 7]));
    let open = async |name: String, n: u8| {
        let short = NewAccount { password: "short".into(), ..named(&name) };
        assert!(house.accounts.sign_up_from(short, from(n)).await.is_err(), "costs nothing");
        house.accounts.sign_up_from(named(&name), from(n)).await
    };
    for n in 0..SIGN_UPS_PER_NETWORK.at_once {
        open(format!("anna{n}"), 2).await.unwrap();
    }
    let held = open("berit".into(), 2).await.unwrap_err();
    assert!(matches!(held, AccountsError::TooManyAttempts { .. }), "{held}");
    open("cato".into(), 3).await.unwrap();
    house.clock.advance(SIGN_UPS_PER_NETWORK.interval);
    open("berit".into(), 2).await.unwrap();
}

async fn a_link_that_comes_too_late_does_not_say_that_something_was_stopped(store: Store) {
    let (house, anna) = House::with_anna(store).await;
    house.accounts.ask_for_email(anna, PROOF, "new@example.org", None).await.unwrap();
    let sent = house.mail().await;
    let to = |start: &str| sent.iter().find(|m| m.to.starts_with(start)).unwrap();
    house.accounts.confirm(&ticket(to("new"), "confirm")).await.unwrap();
    house.clock.advance(CHANGE_DELAY);
    house.accounts.apply_changes().await.unwrap();
    let late = house.accounts.undo(&ticket(to("anna"), "undo")).await.unwrap_err();
    assert!(matches!(late, AccountsError::NothingToStop), "{late}");
    house.accounts.add_address(anna, PROOF, (Asset::Btc, "bc1own", ""), None).await.unwrap();
    let sent = house.mail().await;
    house.accounts.remove_address(anna, Asset::Btc, "bc1own").await.unwrap();
    let gone = house.accounts.undo(&ticket(&sent[0], "undo")).await.unwrap_err();
    assert!(matches!(gone, AccountsError::NothingToStop), "{gone}");
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

/// Takes a message and is gone before it can say so.
struct Gone<'a>(&'a Sink);

#[async_trait::async_trait]
impl Mailer for Gone<'_> {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        self.0.send(mail).await?;
        std::future::pending().await
    }
}

/// A sender that is killed leaves nothing but its rows.
async fn a_sender_that_is_killed_loses_nothing_and_repeats_what_was_on_its_way_alone(store: Store) {
    let (house, anna) = House::with_anna(store.clone()).await;
    for n in 0..5 {
        transact!(store, tx -> Result<(), AccountsError> => {
            house.accounts.tell_owner(tx, anna, &format!("Thing {n} was done.")).await
        })
        .unwrap();
    }
    let mut taken = house.accounts.take_mail(20).await.unwrap();
    assert_eq!(taken.len(), 5);
    let first = taken.remove(0);
    assert_eq!(house.accounts.hand_over(&house.sink, first).await.unwrap(), Handed::Over);
    // The server has the second, and the sender is killed before its row ends.
    let (gone, second) = (Gone(&house.sink), taken.remove(0));
    let killed =
        tokio::time::timeout(std::time::Duration::ZERO, house.accounts.hand_over(&gone, second));
    assert!(killed.await.is_err());
    drop(taken);
    let before = std::mem::take(&mut *house.sink.taken.lock().unwrap());
    assert_eq!(before.len(), 2);
    // What was taken is nobody else's until its next try.
    assert_eq!(house.accounts.deliver(&house.sink).await.unwrap(), Delivered::default());
    house.clock.advance(Duration::from_secs(60));
    let after = house.mail().await;
    let things = |of: &[Mail]| -> Vec<String> {
        of.iter().map(|m| m.body.split(" was").next().unwrap().to_owned()).collect()
    };
    let mut all = [things(&before), things(&after)].concat();
    all.sort();
    let mut expected: Vec<String> = (0..5).map(|n| format!("Thing {n}")).collect();
    let twice = things(&before[1..]).remove(0);
    expected.push(twice);
    expected.sort();
    assert_eq!(all, expected, "each once, but the one that was on its way");
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

async fn whether_another_account_has_an_address_is_not_told_to_who_wants_it(store: Store) {
    let (house, anna) = House::with_anna(store).await;
    house.accounts.sign_up(named("bert")).await.unwrap();
    house.mail().await;
    let mut told = Vec::new();
    for email in ["bert@example.org", "nobody@example.org"] {
        let due = house.accounts.ask_for_email(anna, PROOF, email, None).await.unwrap();
        let waits = house.accounts.email_change(anna).await.unwrap().unwrap();
        assert_eq!(waits, (email.to_owned(), due, false));
        told.push(house.mail().await);
    }
    // The owner of the address is written to, and gets nothing to press.
    let to_bert = told[0].iter().find(|m| m.to == "bert@example.org").unwrap();
    assert!(to_bert.subject.contains("you have an account"), "{}", to_bert.subject);
    assert!(!to_bert.body.contains("ticket="), "{}", to_bert.body);
    assert!(told[1].iter().any(|m| m.to == "nobody@example.org" && m.body.contains("ticket=")));
    // And however long it waits, the address stays bert's.
    house.accounts.ask_for_email(anna, PROOF, "bert@example.org", None).await.unwrap();
    house.clock.advance(CHANGE_DELAY);
    assert_eq!(house.accounts.apply_changes().await.unwrap(), 0);
    house.sign_in("bert@example.org", PASSWORD).await.unwrap();
}

async fn a_stranger_gets_no_more_messages_than_anybody_may_have_sent_there(store: Store) {
    let (house, anna) = House::with_anna(store).await;
    let ask = || house.accounts.ask_for_email(anna, PROOF, "stranger@example.org", None);
    for _ in 0..PER_ADDRESS.at_once {
        ask().await.unwrap();
    }
    let held = ask().await.unwrap_err();
    assert!(matches!(held, AccountsError::TooManyAttempts { .. }), "{held}");
    let sent = house.mail().await;
    let to_the_stranger = sent.iter().filter(|m| m.to == "stranger@example.org").count();
    assert_eq!(to_the_stranger, usize::try_from(PER_ADDRESS.at_once).unwrap());
}

async fn one_network_has_a_bounded_number_of_messages_sent_whoever_they_go_to(store: Store) {
    let count = "SELECT COUNT(*) AS n FROM accounts_attempts";
    let kept = async |store: &Store| -> i64 {
        store.read().await.unwrap().fetch_one(count, &[]).await.unwrap().get("n").unwrap()
    };
    let house = House::new(store.clone(), false).await;
    let from = |n: u8| Some(std::net::IpAddr::from([192, 0, n, 7]));
    let ask = async |n: u32, network: u8| {
        let email = format!("nobody{n}@example.org");
        house.accounts.ask_for_reset_from(&email, from(network)).await
    };
    for n in 0..LETTERS_PER_NETWORK.at_once {
        ask(n, 2).await.unwrap();
    }
    let held = ask(100, 2).await.unwrap_err();
    assert!(matches!(held, AccountsError::TooManyAttempts { .. }), "{held}");
    ask(101, 3).await.unwrap();
    // What has been worked off goes again, although nobody ever signs in.
    let most = i64::from(LETTERS_PER_NETWORK.at_once) + 3;
    assert_eq!(kept(&store).await, most);
    house.clock.advance(Duration::from_secs(86_400));
    for n in 200..210 {
        ask(n, 2).await.unwrap();
    }
    assert!(kept(&store).await <= 11, "{}", kept(&store).await);
}

async fn letters_are_in_the_language_that_the_account_has_chosen(store: Store) {
    Accounts::migrate(&store).await.unwrap();
    let mail = MailRules {
        origin: "https://gruve.test".into(),
        house: "Gruve".into(),
        confirm_sign_up: false,
        say: |sentence, language| format!("{}: {sentence}", language.unwrap_or("visitor's")),
    };
    let rules = AccountRules { mail: Some(mail), ..AccountRules::default() };
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let accounts =
        Accounts::with_rules(store, clock.clone(), Arc::new(SeededEntropy::new(7)), rules);
    let house = House { accounts, clock, sink: Sink::default() };
    let anna = house.accounts.sign_up(named("anna")).await.unwrap();
    house.accounts.ask_for_reset("anna@example.org").await.unwrap();
    assert!(house.mail().await[0].subject.starts_with("Gruve: visitor's: "));
    house.accounts.set_language(anna, Some("nb")).await.unwrap();
    assert_eq!(house.accounts.language_of(anna).await.unwrap().as_deref(), Some("nb"));
    house.accounts.ask_for_reset("anna@example.org").await.unwrap();
    house.accounts.ask_for_email(anna, PROOF, "new@example.org", None).await.unwrap();
    house.accounts.add_address(anna, PROOF, (Asset::Btc, "bc1own", ""), None).await.unwrap();
    let sent = house.mail().await;
    assert_eq!(sent.len(), 4);
    for m in sent {
        assert!(m.subject.starts_with("Gruve: nb: "), "{}", m.subject);
        assert!(m.body.lines().next().unwrap().starts_with("nb: "), "{}", m.body);
    }
    let session = house.sign_in("anna", PASSWORD).await.unwrap();
    let info = house.accounts.session(&session).await.unwrap().unwrap();
    assert_eq!(info.language.as_deref(), Some("nb"));
}

async fn news_of_contracts_is_one_letter_in_the_owners_language_and_holds_nothing_up(store: Store) {
    Accounts::migrate(&store).await.unwrap();
    let mail = MailRules {
        origin: "https://gruve.test/".into(),
        house: "Gruve".into(),
        confirm_sign_up: false,
        say: |sentence, language| match language {
            Some(code) if !sentence.starts_with("http") => format!("{code}: {sentence}"),
            _ => sentence.to_owned(),
        },
    };
    let rules = AccountRules { mail: Some(mail), ..AccountRules::default() };
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let accounts =
        Accounts::with_rules(store.clone(), clock.clone(), Arc::new(SeededEntropy::new(7)), rules);
    let house = House { accounts, clock, sink: Sink::default() };
    let anna = house.accounts.sign_up(named("anna")).await.unwrap();
    house.accounts.set_language(anna, Some("nb")).await.unwrap();
    let lines = [("It stops.\nIt stood at 5.", "/contracts/1"), ("It goes on.", "/metered/2")]
        .map(|(said, path)| (said.to_owned(), path.to_owned()));
    let tell = async |who: AccountId| {
        transact!(store, tx -> Result<(), AccountsError> => {
            house.accounts.tell_of_contracts(tx, who, &lines).await
        })
        .unwrap();
    };
    tell(anna).await;
    tell(AccountId::from_bytes([9; 16])).await;
    let sent = house.mail().await;
    assert_eq!(sent.len(), 1, "nobody else is written to");
    assert_eq!(sent[0].to, "anna@example.org");
    assert_eq!(sent[0].subject, "Gruve: nb: about your contracts");
    let body = "nb: It stops.\n\nnb: It stood at 5.\n\nhttps://gruve.test/contracts/1\n\nnb: It goes on.\n\n\
                https://gruve.test/metered/2\n\n-- \nGruve\n";
    assert_eq!(sent[0].body, body);
    // What a full outbox has no room for is left out, and what it tells of stands.
    for _ in 0..50 {
        tell(anna).await;
    }
    assert_eq!(house.mail().await.len(), 40);
}

/// Whoever looks over a shoulder, or stands between, has a code that was used.
async fn a_code_that_is_used_again_is_refused_and_told_to_its_owner(store: Store) {
    let (house, anna) = House::with_anna(store).await;
    let setup = house.accounts.begin_totp(anna, "gruve.test").await.unwrap();
    let shown = || code_of(&setup.secret, house.clock.now());
    house.accounts.confirm_totp(anna, PROOF, &shown(), None).await.unwrap();
    house.clock.advance(Duration::from_secs(60));
    house.accounts.prove_by_code(anna, &shown()).await.unwrap();
    house.mail().await;
    let last = async || house.accounts.audit_log(anna, 1).await.unwrap().remove(0).action;
    let refused = async |code: &str| {
        let refused = house.accounts.prove_by_code(anna, code).await.unwrap_err();
        assert!(matches!(refused, AccountsError::WrongCode), "{refused}");
        (last().await, house.mail().await)
    };
    let (noted, told) = refused("000000").await;
    assert_eq!((noted.as_str(), told.len()), ("factor.refused", 0));
    let (noted, told) = refused(&shown()).await;
    assert_eq!((noted.as_str(), told.len()), ("factor.used_again", 1));
    assert!(told[0].body.contains("a second time"), "{}", told[0].body);
}

laws! { mail: [
    news_of_contracts_is_one_letter_in_the_owners_language_and_holds_nothing_up,
    whether_another_account_has_an_address_is_not_told_to_who_wants_it,
    a_stranger_gets_no_more_messages_than_anybody_may_have_sent_there,
    one_network_has_a_bounded_number_of_messages_sent_whoever_they_go_to,
    letters_are_in_the_language_that_the_account_has_chosen,
    where_addresses_are_confirmed_nobody_is_let_in_before,
    where_mail_does_not_arrive_an_address_is_confirmed_at_the_machine,
    a_new_password_by_mail_ends_sessions_and_is_set_once,
    asking_for_a_new_password_tells_nobody_whether_there_is_an_account,
    a_new_password_by_mail_leaves_nothing_of_whoever_had_the_old_one,
    a_changed_password_leaves_nothing_of_whoever_had_the_old_one,
    a_full_outbox_keeps_nobody_from_a_new_password,
    sign_ins_from_many_networks_leave_room_for_the_owners_other_mail,
    what_a_thief_would_do_is_told_to_the_owner,
    where_addresses_are_confirmed_signing_up_tells_nobody_whether_there_is_an_account,
    one_network_opens_accounts_within_its_limit_and_others_still_can,
    a_ticket_for_one_thing_is_none_for_another,
    a_sender_that_is_killed_loses_nothing_and_repeats_what_was_on_its_way_alone,
        messages_are_tried_again_later_and_given_up_in_the_end,
    a_house_without_mail_says_so,
    a_link_that_comes_too_late_does_not_say_that_something_was_stopped,
    a_code_that_is_used_again_is_refused_and_told_to_its_owner,
] }
