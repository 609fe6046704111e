//! Coming back after the second factor is lost.

use crate::chromium::{Driver, PHONE, Page, Screen};
use crate::house::House;
use crate::people::{
    PASSWORD, email, gives_password, link, sets_up_codes, signs_in, signs_out, signs_up,
};
use crate::screens::walks;

const NEW_PASSWORD: &str = "four other words instead";

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
