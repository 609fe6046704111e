//! How long the overview of a customer with two hundred contracts and a year of settlements takes at the server, and what
//! it weighs.
//! `cargo bench -p gruve-web --bench overview`; docs/bench.md has the last figures.
#![allow(clippy::unwrap_used, missing_docs, clippy::print_stdout, dead_code, unreachable_pub)]

#[path = "../tests/house/mod.rs"]
mod house;

use house::House;
use house::browser::{Browser, Program};
use house::contracts::with_contracts;
use std::time::Instant;

const CONTRACTS: usize = 200;
const ROUNDS: usize = 101;

#[tokio::main]
async fn main() {
    let house = House::new().await;
    house.epochs(9).await;
    let me = Program::signed_up(&house.app, "kari").await;
    with_contracts(&house, &me, CONTRACTS, 60).await;
    let mut browser = Browser::new(&house.app);
    browser.cookies.insert("gruve".to_owned(), me.token.clone().unwrap());
    let (mut took, mut bytes) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        bytes = browser.get("/account").await.body.len();
        took.push(began.elapsed());
    }
    took.sort();
    println!(
        "overview of {CONTRACTS} contracts: {bytes} bytes, median {:?}, worst {:?}",
        took[ROUNDS / 2],
        took[ROUNDS - 1]
    );
}
