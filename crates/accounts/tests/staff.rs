//! What roles and the security log promise, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_accounts::{
    AUDIT_KEPT, Accounts, AccountsError, NewAccount, PERMISSIONS, Role, Scope, TRAIL_GENESIS,
};
use gruve_store::{Store, laws, testing::run_raw};
use gruve_units::{AccountId, Clock as _, Duration, ManualClock, SeededEntropy, Timestamp};
use std::sync::Arc;

const PASSWORD: &str = "correct horse";

struct House {
    accounts: Accounts,
    clock: Arc<ManualClock>,
    store: Store,
}

impl House {
    async fn with(store: Store, names: &[&str]) -> (House, Vec<AccountId>) {
        Accounts::migrate(&store).await.unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
        let entropy = Arc::new(SeededEntropy::new(7));
        let accounts = Accounts::new(store.clone(), clock.clone(), entropy);
        let mut ids = Vec::new();
        for name in names {
            let email = format!("{name}@example.org");
            let new = NewAccount { name: (*name).into(), email, password: PASSWORD.into() };
            ids.push(accounts.sign_up(new).await.unwrap());
            clock.advance(Duration::from_secs(1));
        }
        (House { accounts, clock, store }, ids)
    }

    async fn role_now(&self, token: &str) -> Option<Option<Role>> {
        self.accounts.session(token).await.unwrap().map(|s| s.role)
    }

    async fn sign_in(&self, name: &str) -> String {
        self.accounts.sign_in(name, PASSWORD, None).await.unwrap().token
    }
}

async fn a_role_that_is_given_or_taken_counts_at_once_and_signs_its_holder_out(store: Store) {
    let (house, ids) = House::with(store, &["anna", "berit"]).await;
    house.accounts.set_role(None, "anna", Some(Role::Owner)).await.unwrap();
    let token = house.sign_in("berit").await;
    assert_eq!(house.role_now(&token).await, Some(None));
    house.accounts.set_role(Some(ids[0]), "berit", Some(Role::Finance)).await.unwrap();
    assert_eq!(house.role_now(&token).await, None, "signed out");
    let token = house.sign_in("berit").await;
    assert_eq!(house.role_now(&token).await, Some(Some(Role::Finance)));
    // The same again changes nothing.
    house.accounts.set_role(Some(ids[0]), "berit", Some(Role::Finance)).await.unwrap();
    assert_eq!(house.role_now(&token).await, Some(Some(Role::Finance)));
    let staff = house.accounts.staff().await.unwrap();
    let shown: Vec<_> = staff.iter().map(|s| (s.name.as_str(), s.role)).collect();
    assert_eq!(shown, [("anna", Role::Owner), ("berit", Role::Finance)]);
    house.accounts.set_role(Some(ids[0]), "berit", None).await.unwrap();
    assert_eq!(house.role_now(&token).await, None);
    let log = house.accounts.audit_log(ids[1], 10).await.unwrap();
    let given: Vec<_> = log.iter().filter(|r| r.action == "staff.role").collect();
    assert_eq!(given.len(), 2);
    assert!(given.iter().all(|r| r.actor == Some(ids[0])));
    let missing = house.accounts.set_role(None, "nobody", Some(Role::Owner)).await.unwrap_err();
    assert!(matches!(missing, AccountsError::NoAccount));
}

async fn the_last_owner_stays_one_even_in_a_race(store: Store) {
    let (house, ids) = House::with(store, &["anna", "berit"]).await;
    for name in ["anna", "berit"] {
        house.accounts.set_role(None, name, Some(Role::Owner)).await.unwrap();
    }
    let taking = [("anna", None), ("berit", Some(Role::Auditor))].map(|(name, role)| {
        let accounts = house.accounts.clone();
        let by = Some(ids[0]);
        tokio::spawn(async move { accounts.set_role(by, name, role).await })
    });
    let mut refused = 0;
    for task in taking {
        if let Err(e) = task.await.unwrap() {
            assert!(matches!(e, AccountsError::LastOwner), "{e}");
            refused += 1;
        }
    }
    assert_eq!(refused, 1);
    let owners = house.accounts.staff().await.unwrap();
    assert_eq!(owners.iter().filter(|s| s.role == Role::Owner).count(), 1);
}

async fn accounts_are_listed_page_by_page_in_the_order_of_opening(store: Store) {
    let (house, ids) = House::with(store, &["anna", "berit", "cato"]).await;
    house.accounts.set_role(None, "berit", Some(Role::Support)).await.unwrap();
    let first = house.accounts.customers(None, 2).await.unwrap();
    let rest = house.accounts.customers(Some(first[1].account), 2).await.unwrap();
    let all: Vec<_> = first.iter().chain(&rest).map(|c| c.account).collect();
    assert_eq!(all, ids);
    assert_eq!(first[1].role, Some(Role::Support));
    assert_eq!(house.accounts.customer(ids[2]).await.unwrap().unwrap().email, "cato@example.org");
    assert!(!format!("{first:?}").contains('@'));
}

async fn the_log_is_a_chain_that_tells_of_any_change(store: Store) {
    let (house, ids) = House::with(store, &["anna", "berit"]).await;
    house
        .accounts
        .note(ids[0], Some(ids[1]), "payout.approve", "some\n\u{1b}[2J id")
        .await
        .unwrap();
    let written = house.accounts.log_page(None, 1).await.unwrap().remove(0).row;
    assert_eq!(written.detail, "some[2J id", "nothing that a terminal or a reader of lines obeys");
    house.sign_in("anna").await;
    let report = house.accounts.verify_log().await.unwrap();
    assert_eq!((report.lines, report.bound, report.fault), (4, 4, None));
    assert_ne!(report.ends.hash, TRAIL_GENESIS);
    let page = house.accounts.log_page(None, 2).await.unwrap();
    assert_eq!(page.iter().map(|l| l.seq).collect::<Vec<_>>(), [4, 3]);
    assert_eq!(page[1].actor_name.as_deref(), Some("anna"));
    assert_eq!(house.accounts.log_page(Some(3), 9).await.unwrap().len(), 2);
    // Particulars may be erased, not changed.
    for (change, fault) in [
        ("DELETE FROM accounts_particulars WHERE seq = 1", None),
        ("UPDATE accounts_particulars SET detail = 'other' WHERE seq = 3", Some("line 3")),
        ("UPDATE accounts_trail SET at = at + 1 WHERE seq = 2", Some("line 2")),
        ("DELETE FROM accounts_trail WHERE seq = 1", Some("1 to 1 are missing")),
    ] {
        run_raw(&house.store, change).await.unwrap();
        let found = house.accounts.verify_log().await.unwrap().fault;
        match fault {
            None => assert_eq!(found, None),
            Some(part) => assert!(found.as_deref().unwrap_or("").contains(part), "{found:?}"),
        }
    }
}

async fn a_log_whose_end_is_missing_does_not_hold(store: Store) {
    let (house, _) = House::with(store, &["anna", "berit"]).await;
    run_raw(&house.store, "DELETE FROM accounts_trail WHERE seq = 2").await.unwrap();
    let fault = house.accounts.verify_log().await.unwrap().fault;
    assert!(fault.unwrap().contains("ends at line 1"));
}

async fn the_chain_names_nobody(store: Store) {
    let (house, ids) = House::with(store, &["anna"]).await;
    house.accounts.set_role(Some(ids[0]), "anna", Some(Role::Owner)).await.unwrap();
    house.sign_in("anna").await;
    let mut tx = house.store.read().await.unwrap();
    let rows = tx.fetch_all("SELECT action, digest, hash FROM accounts_trail", &[]).await.unwrap();
    assert_eq!(rows.len(), 3);
    for row in rows {
        let action: String = row.get("action").unwrap();
        assert!(["account.opened", "staff.role", "session.opened"].contains(&action.as_str()));
    }
}

async fn lines_that_are_old_are_cut_off_and_the_rest_still_holds(store: Store) {
    let (house, ids) = House::with(store, &["anna"]).await;
    house.clock.advance(AUDIT_KEPT);
    house.accounts.note(ids[0], None, "later", "").await.unwrap();
    house.clock.advance(Duration::from_secs(1));
    house.sign_in("anna").await;
    let report = house.accounts.verify_log().await.unwrap();
    assert_eq!((report.ends.cut_seq, report.lines, report.fault), (1, 2, None));
    assert_ne!(report.ends.cut_hash, TRAIL_GENESIS);
}

async fn one_line_with_a_wrong_clock_takes_no_others_along(store: Store) {
    let (house, ids) = House::with(store, &["anna", "berit"]).await;
    let now = house.clock.now();
    house.clock.set(Timestamp::from_secs(1_000));
    house.accounts.note(ids[0], None, "wrong.clock", "").await.unwrap();
    house.clock.set(now);
    house.sign_in("anna").await;
    let report = house.accounts.verify_log().await.unwrap();
    assert_eq!((report.ends.cut_seq, report.lines, report.fault), (0, 4, None));
    // Once those before it are old it goes with them.
    house.clock.advance(AUDIT_KEPT + Duration::from_secs(1));
    house.sign_in("anna").await;
    let report = house.accounts.verify_log().await.unwrap();
    assert_eq!((report.ends.cut_seq, report.lines, report.fault), (4, 1, None));
}

async fn signing_out_everywhere_ends_every_session_of_one_account(store: Store) {
    let (house, ids) = House::with(store, &["anna", "berit"]).await;
    let tokens = [house.sign_in("anna").await, house.sign_in("anna").await];
    let other = house.sign_in("berit").await;
    assert_eq!(house.accounts.end_sessions(Some(ids[1]), ids[0]).await.unwrap(), 2);
    for token in tokens {
        assert_eq!(house.role_now(&token).await, None);
    }
    assert_eq!(house.role_now(&other).await, Some(None));
    let made = house.accounts.make_key(ids[0], "x", &[Scope::Read], Duration::from_secs(60)).await;
    house.accounts.end_sessions(Some(ids[1]), ids[0]).await.unwrap();
    assert!(house.accounts.key(&made.unwrap().1).await.unwrap().is_none(), "its keys end, too");
}

#[test]
fn every_role_may_do_something_and_no_two_may_do_the_same() {
    let of = |role: Role| PERMISSIONS.map(|(p, _)| role.may(p));
    for (at, role) in Role::ALL.into_iter().enumerate() {
        assert!(of(role).contains(&true));
        assert!(Role::ALL.iter().skip(at + 1).all(|other| of(*other) != of(role)), "{role}");
    }
}

laws! { roles: [
    a_role_that_is_given_or_taken_counts_at_once_and_signs_its_holder_out,
    the_last_owner_stays_one_even_in_a_race,
    accounts_are_listed_page_by_page_in_the_order_of_opening,
    signing_out_everywhere_ends_every_session_of_one_account,
] }

laws! { log: [
    the_log_is_a_chain_that_tells_of_any_change,
    a_log_whose_end_is_missing_does_not_hold,
    the_chain_names_nobody,
    lines_that_are_old_are_cut_off_and_the_rest_still_holds,
    one_line_with_a_wrong_clock_takes_no_others_along,
] }
