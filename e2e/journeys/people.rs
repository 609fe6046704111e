//! What everybody does at the pages: opening an account, signing in, setting up a second factor.

use crate::chromium::Page;
use crate::house::House;
use gruve_units::{Clock as _, SystemClock};
use ring::hmac;
use std::time::Duration;

pub const PASSWORD: &str = "four unrelated words here";

/// A code is shown for so long.
const STEP_SECS: u64 = 30;

pub fn email(name: &str) -> String {
    format!("{name}@example.org")
}

/// Opens an account and confirms its address.
pub async fn signs_up(page: &Page, house: &House, name: &str) {
    page.open("/sign-up", "Open an account").await;
    page.fill("name", name).await;
    page.fill("email", &email(name)).await;
    page.fill("password", PASSWORD).await;
    page.press("Open the account").await;
    page.arrive("sign-up-mail", "Look into your mail").await;
    confirms(page, house, name).await;
}

/// Opens the link in somebody's letter and says that the address is right.
pub async fn confirms(page: &Page, house: &House, name: &str) {
    let link = link(page, house, name, "/confirm").await;
    page.go(&link).await;
    page.arrive("confirm", "Confirm your address").await;
    page.press("Confirm your address").await;
    page.arrive("confirmed", "Confirmed").await;
}

/// The link to a page of the house in somebody's newest letter.
pub async fn link(page: &Page, house: &House, name: &str, to: &str) -> String {
    let what = format!("{name} has a letter with a link to {to}");
    page.wait(&what, async || house.letters.link(&email(name), to)).await
}

/// Fills the form in and sends it.
pub async fn gives_password(page: &Page, name: &str, password: &str) {
    page.open("/sign-in", "Sign in").await;
    page.fill("login", name).await;
    page.fill("password", password).await;
    page.press("Sign in").await;
}

pub async fn signs_in(page: &Page, name: &str) {
    gives_password(page, name, PASSWORD).await;
    page.arrive("account", "Overview").await;
}

pub async fn signs_out(page: &Page) {
    page.press("Sign out").await;
    page.heading("Hashpower, counted in proof of work").await;
}

/// A program that shows codes by time (RFC 6238). The house counts each once.
pub struct Codes {
    secret: Vec<u8>,
    last: u64,
}

impl Codes {
    pub fn new(secret: &str) -> Codes {
        let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
        for c in secret.bytes().filter(u8::is_ascii_alphanumeric) {
            let five = if c.is_ascii_uppercase() { c - b'A' } else { c - b'2' + 26 };
            held = (held << 5) | u32::from(five);
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                bytes.push(u8::try_from(held >> bits).unwrap());
                held &= (1 << bits) - 1;
            }
        }
        Codes { secret: bytes, last: 0 }
    }

    /// The next that counts: the house takes one of the coming half minute, too.
    pub async fn next(&mut self) -> String {
        let now = || u64::try_from(SystemClock.now().0).unwrap() / 1_000_000 / STEP_SECS;
        let step = now().max(self.last + 1);
        let within = Duration::from_secs(2 * STEP_SECS);
        let may = async || (step <= now() + 1).then_some(());
        crate::support::until("another code is shown", within, may).await.unwrap();
        self.last = step;
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.secret);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let from = usize::from(tag[19] & 15);
        let four: [u8; 4] = tag[from..from + 4].try_into().unwrap();
        format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
    }
}

/// Sets up codes; gives the program that shows them, and the codes for a lost device.
pub async fn sets_up_codes(page: &Page) -> (Codes, Vec<String>) {
    page.open("/account/security", "Security").await;
    page.press("Set it up").await;
    page.arrive("set-up-codes", "Set up codes").await;
    let mut codes = Codes::new(&page.text("#secret").await.unwrap());
    page.fill("totp-password", PASSWORD).await;
    page.fill("shown", &codes.next().await).await;
    page.press("Turn it on").await;
    page.arrive("recovery-codes", "Codes for a lost device").await;
    let all = page.text("#codes").await.unwrap();
    let all: Vec<String> = all.split_whitespace().map(str::to_owned).collect();
    assert_eq!(all.len(), 10, "{all:?}");
    page.press("I have written them down").await;
    page.heading("Security").await;
    (codes, all)
}

/// Takes a machine into the house's inventory, at the console.
pub async fn takes_into_inventory(page: &Page, name: &str, serial: &str) {
    page.open("/console/machines", "Machines").await;
    for (id, text) in [
        ("add-name", name),
        ("add-serial", serial),
        ("add-model", "S19 Pro"),
        ("add-rack", "B-2"),
        ("add-hashrate", "100 kH/s"),
        ("add-watts", "3250"),
    ] {
        page.fill(id, text).await;
    }
    page.press("Add it").await;
    page.wait("the machine is in the inventory", async || {
        page.text("#inventory").await.filter(|t| t.contains(serial))
    })
    .await;
}
