//! Coming back after the second factor is lost.

use crate::chromium::{DESK, Driver, PHONE, Page, Screen};
use crate::house::House;
use crate::people::{
    PASSWORD, email, gives_password, link, sets_up_codes, signs_in, signs_out, signs_up,
};
use crate::screens::walks;

const NEW_PASSWORD: &str = "four other words instead";

/// A house in which a lost factor waits no longer than a test may, and payouts of its account longer than one takes.
const SHORT_WAIT: &str = "recovery_delay = \"3s\"\nchange_delay = \"1d\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_second_factor_is_replaced_with_the_codes_on_paper() {
    let house = House::open().await;
    let driver = Driver::start().await;
    for walk in walks(Screen { name: "recovery", ..PHONE }) {
        driver
            .browse(walk.screen, &house.home, async move |page| {
                comes_back(&page, house, &walk.name("siri")).await;
            })
            .await;
    }
}

async fn comes_back(page: &Page, house: &House, name: &str) {
    signs_up(page, house, name).await;
    signs_in(page, name).await;
    let (_lost, paper) = sets_up_codes(page).await;
    page.look("security-with-codes").await;
    signs_out(page).await;
    comes_in_by_paper(page, name, &paper).await;
    let (mut new, _) = replaces_the_device(page, &paper).await;
    signs_out(page).await;
    forgets_the_password(page, house, name).await;
    gives_password(page, name, NEW_PASSWORD).await;
    page.heading("Your code").await;
    page.fill("code", &paper[2]).await;
    page.press("Sign in").await;
    is_refused(page).await;
    page.fill("code", &new.next().await).await;
    page.press("Sign in").await;
    page.arrive("account-back", "Overview").await;
    page.open("/account/security", "Security").await;
}

/// Each code on the paper signs in once.
async fn comes_in_by_paper(page: &Page, name: &str, paper: &[String]) {
    gives_password(page, name, PASSWORD).await;
    page.arrive("code", "Your code").await;
    page.fill("code", &paper[0]).await;
    page.press("Sign in").await;
    page.arrive("account", "Overview").await;
    signs_out(page).await;
    gives_password(page, name, PASSWORD).await;
    page.heading("Your code").await;
    page.fill("code", &paper[0]).await;
    page.press("Sign in").await;
    is_refused(page).await;
    page.look("code-refused").await;
    page.fill("code", &paper[1]).await;
    page.press("Sign in").await;
    page.heading("Overview").await;
}

async fn is_refused(page: &Page) {
    page.wait("the code is refused", async || page.text("main [role=alert]").await).await;
    page.heading("Your code").await;
}

/// Turns the lost one off and sets up another, whose codes on paper are others.
async fn replaces_the_device(page: &Page, paper: &[String]) -> (crate::people::Codes, Vec<String>) {
    page.open("/account/security", "Security").await;
    let factor = page.text("section[aria-labelledby=factor-h]").await.unwrap();
    assert!(factor.contains('8'), "two of ten are used: {factor}");
    page.press_at("details:has(form[action='/account/totp/off']) summary").await;
    page.fill("off-password", PASSWORD).await;
    page.fill("off-code", &paper[3]).await;
    page.send("off-code").await;
    page.wait("codes are asked for no more", async || {
        let tag = page.text("section[aria-labelledby=factor-h] .tag").await?;
        (tag == page.say("Off")).then_some(())
    })
    .await;
    sets_up_codes(page).await
}

/// A password that is forgotten besides: the second factor is asked for as ever.
async fn forgets_the_password(page: &Page, house: &House, name: &str) {
    page.open("/forgot", "A new password").await;
    page.fill("email", &email(name)).await;
    page.press("Send the link").await;
    page.heading("Look into your mail").await;
    let link = link(page, house, name, "/reset").await;
    page.go(&link).await;
    page.arrive("reset", "Set a new password").await;
    page.fill("new", NEW_PASSWORD).await;
    page.press("Set it").await;
    page.arrive("reset-done", "The password is set").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_factor_said_to_be_lost_with_its_codes_is_kept_by_who_is_signed_in_and_by_a_message() {
    let house = House::open().await;
    let driver = Driver::start().await;
    for walk in walks(Screen { name: "lost", ..DESK }) {
        driver
            .walk(&house.home, async move |windows| {
                let own = windows.open(walk.screen).await;
                let other = windows.open(walk.across("other")).await;
                keeps_the_factor(&own, &other, house, &walk.name("liv")).await;
            })
            .await;
    }
}

/// Somebody else has the password and reads the mail; the owner is signed in.
async fn keeps_the_factor(own: &Page, other: &Page, house: &House, name: &str) {
    const LOST: &str = "Somebody who has your password and reads your mail said that the second factor of this account \
                        is lost. It is taken off";
    signs_up(own, house, name).await;
    signs_in(own, name).await;
    sets_up_codes(own).await;
    let first = says_it_is_lost(other, house, name, None).await;
    own.open("/account", "Overview").await;
    is_told(own, LOST).await;
    own.look("lost-told").await;
    let first_stop = newer_link(own, house, name, "/undo", None).await;
    own.press_at("aside.warning button").await;
    own.heading("Security").await;
    assert_eq!(own.text("aside.warning").await, None, "it stays");
    // Said again, and stopped by the message that tells of it, where nobody is signed in.
    says_it_is_lost(other, house, name, Some(&first)).await;
    let stop = newer_link(own, house, name, "/undo", Some(&first_stop)).await;
    other.go(&stop).await;
    other.arrive("undo", "Stop this change").await;
    other.press("Stop this change").await;
    other.arrive("undone", "Stopped").await;
    own.open("/account", "Overview").await;
    assert_eq!(own.text("aside.warning").await, None, "it stays");
    gives_password(other, name, PASSWORD).await;
    other.heading("Your code").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_factor_lost_with_its_codes_is_taken_off_after_the_wait_and_another_is_set_up() {
    let house = House::with_accounts(SHORT_WAIT).await;
    let driver = Driver::start().await;
    for walk in walks(Screen { name: "lost-over", ..PHONE }) {
        driver
            .walk(&house.home, async move |windows| {
                let old = windows.open(walk.screen).await;
                let new = windows.open(walk.also("new")).await;
                goes_on_without(&old, &new, house, &walk.name("eli")).await;
            })
            .await;
    }
}

/// Neither the device nor the codes are there, in a new browser; the old one is still signed in.
async fn goes_on_without(old: &Page, new: &Page, house: &House, name: &str) {
    const OVER: &str = "The second factor of this account was taken off because it was said to be lost. Nothing is paid \
                        out before";
    const TOLD: &str = "The second factor of your account was taken off: codes and passkeys sign in no more, and you are \
                        signed out everywhere. Set a new one up after signing in.";
    signs_up(old, house, name).await;
    signs_in(old, name).await;
    sets_up_codes(old).await;
    says_it_is_lost(new, house, name, None).await;
    let told = old.say(TOLD);
    let is_told_by_mail = async || house.letters.says(&email(name), &told).then_some(());
    new.wait("it is told by mail that the factor is off", is_told_by_mail).await;
    old.go("/account").await;
    old.heading("Sign in").await;
    signs_in(new, name).await;
    is_told(new, OVER).await;
    sets_up_codes(new).await;
}

/// Gives the password, says that device and codes are lost, and opens the link that comes; gives that link.
async fn says_it_is_lost(page: &Page, house: &House, name: &str, before: Option<&str>) -> String {
    gives_password(page, name, PASSWORD).await;
    page.heading("Your code").await;
    page.press("I have neither my device nor a code").await;
    page.look("code-lost").await;
    page.press("Send the link").await;
    page.arrive("lost-mail", "Look into your mail").await;
    let link = newer_link(page, house, name, "/lost-factor", before).await;
    page.go(&link).await;
    page.arrive("lost-factor", "Take the second factor off").await;
    page.press("Take the second factor off").await;
    page.arrive("lost-begun", "The wait has begun").await;
    link
}

/// The link in a letter after the one that had that link.
async fn newer_link(
    page: &Page,
    house: &House,
    name: &str,
    to: &str,
    before: Option<&str>,
) -> String {
    let newer = async || house.letters.link(&email(name), to).filter(|l| Some(&**l) != before);
    page.wait(&format!("{name} has another letter with a link to {to}"), newer).await
}

/// Above the page stands this, up to its first figure.
async fn is_told(page: &Page, english: &str) {
    let said = page.say(english);
    page.wait("the page tells of the lost factor", async || {
        page.text("aside.warning").await.filter(|t| t.contains(said.trim_end()))
    })
    .await;
}
