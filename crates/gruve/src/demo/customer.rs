//! The demo's customer: everything through the public HTTP API, and wallets of their own at the
//! development chains' nodes.

use super::api::{Api, ApiError};
use super::progress::Progress;
use super::purse::{Purse, PurseError};
use crate::house::files::write_secret;
use gruve_units::{Amount, Asset, Entropy, Hashrate};
use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How long the customer waits for any one thing before the demo is called failed.
const PATIENCE: Duration = Duration::from_secs(600);

/// What went wrong on the customer's way.
#[derive(Debug, thiserror::Error)]
pub enum JourneyError {
    /// The platform's answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The customer's own wallet.
    #[error("the customer's wallet: {0}")]
    Wallet(#[from] PurseError),
    /// The platform answered something that the API document does not allow.
    #[error("unexpected answer: no {0}")]
    Shape(&'static str),
    /// Something did not happen in time.
    #[error("waited ten minutes for {0}")]
    Waited(&'static str),
    /// A wrong outcome.
    #[error("{0}")]
    Wrong(String),
    /// The customer's notes could not be kept.
    #[error("{0}: {1}")]
    Notes(String, std::io::Error),
}

/// What the customer remembers between two runs of the demo.
#[derive(Serialize, Deserialize)]
pub struct Notes {
    /// Login.
    pub name: String,
    /// Password.
    pub password: String,
}

impl Notes {
    /// The notes in a file, or new ones, kept there.
    pub fn open(path: &Path, entropy: &dyn Entropy) -> Result<Notes, JourneyError> {
        let fail = |e| JourneyError::Notes(path.display().to_string(), e);
        if let Ok(text) = std::fs::read_to_string(path)
            && let Ok(notes) = serde_json::from_str(&text)
        {
            return Ok(notes);
        }
        let mut random = [0u8; 16];
        entropy.fill(&mut random);
        let notes = Notes { name: "kari".to_owned(), password: hex::encode(random) };
        let text = serde_json::to_string_pretty(&notes).map_err(|e| fail(e.into()))?;
        write_secret(path, &text).map_err(fail)?;
        Ok(notes)
    }
}

/// What came of one lane's journey.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The lane.
    pub lane: String,
    /// The asset.
    pub asset: String,
    /// The contract.
    pub contract: String,
    /// Hashes per second bought.
    pub hashrate: String,
    /// What was paid, in minor units.
    pub paid_minor: i64,
    /// One for each asset earned.
    pub payouts: Vec<Withdrawn>,
}

/// A payout.
#[derive(Clone, Debug, Serialize)]
pub struct Withdrawn {
    /// Of what.
    pub asset: String,
    /// What was withdrawn, in minor units, network fee included.
    pub withdrawn_minor: i64,
    /// What arrived at the customer's own address, in minor units.
    pub received_minor: i64,
    /// The payout's transaction.
    pub txid: String,
}

/// Signs the customer up, or in when they have been here before.
pub async fn enter(api: &Api, notes: &Notes, say: &Progress) -> Result<Api, JourneyError> {
    let account = json!({
        "name": notes.name, "email": format!("{}@example.org", notes.name), "password": notes.password,
    });
    match api.post("/api/v1/accounts", &account).await {
        Ok(_) => say.say("customer", format!("{} opens an account", notes.name)),
        Err(ApiError::Refused { status, .. }) if status.as_u16() == 409 => {
            say.say("customer", format!("{} comes back", notes.name));
        }
        Err(e) => return Err(e.into()),
    }
    let login = json!({ "login": notes.name, "password": notes.password });
    let session = api.post("/api/v1/sessions", &login).await?;
    Ok(api.signed_in(text(&session, "token")?))
}

/// Buys on one lane, pays, earns, withdraws all that it earns. `wallets` are the customer's own, one for each
/// asset of the lane, its own first.
pub async fn journey(
    api: &Api,
    notes: &Notes,
    wallets: &[Purse],
    lane: &str,
    say: &Progress,
) -> Result<Outcome, JourneyError> {
    let wallet = wallets.first().ok_or(JourneyError::Shape("wallet"))?;
    let contract = match running_contract(api, lane).await? {
        Some(id) => {
            say.say("customer", format!("{lane}: contract {} is still running", short(&id)));
            id
        }
        None => buy(api, wallet, lane, say).await?,
    };
    let view = until("the contract to be active", || async {
        let view = api.get(&format!("/api/v1/contracts/{contract}")).await?;
        Ok((view["state"] == "active" || view["state"] == "completed").then_some(view))
    })
    .await?;
    let hashrate = text(&view["hashrate"], "hashes_per_second")?.to_owned();
    let paid_minor = minor(&view["price"])?;
    say.say("contract", format!("{lane}: {} is active", short(&contract)));

    until("the first work to be delivered", || async {
        let view = api.get(&format!("/api/v1/contracts/{contract}")).await?;
        Ok(view["delivered"].as_str().is_some_and(|d| d != "0").then_some(()))
    })
    .await?;
    say.say("contract", format!("{lane}: first epoch delivered"));

    let mut payouts = Vec::new();
    for wallet in wallets {
        payouts.push(earn_and_withdraw(api, notes, wallet, lane, say).await?);
    }
    Ok(Outcome {
        lane: lane.to_owned(),
        asset: wallet.asset.to_string(),
        contract,
        hashrate,
        paid_minor,
        payouts,
    })
}

async fn earn_and_withdraw(
    api: &Api,
    notes: &Notes,
    wallet: &Purse,
    lane: &str,
    say: &Progress,
) -> Result<Withdrawn, JourneyError> {
    let asset = wallet.asset;
    let (available, fee) = until("earnings to mature", || async {
        let available = available(api, asset).await?;
        let fee = minor(&api.get(&format!("/api/v1/payouts/fee?asset={asset}")).await?["fee"])?;
        Ok((available > fee.saturating_mul(20)).then_some((available, fee)))
    })
    .await?;
    let amount = Amount::new(asset, available);
    say.say("customer", format!("{lane}: {amount} earned and matured, fee at most {fee} units"));
    let withdrawn = withdraw(api, notes, wallet, (lane, amount), say).await?;
    let (withdrawn_minor, received_minor, txid) = withdrawn;
    Ok(Withdrawn { asset: asset.to_string(), withdrawn_minor, received_minor, txid })
}

async fn running_contract(api: &Api, lane: &str) -> Result<Option<String>, JourneyError> {
    let contracts = api.get("/api/v1/contracts").await?;
    let list = contracts["items"].as_array().ok_or(JourneyError::Shape("list of contracts"))?;
    let running = list
        .iter()
        .find(|c| c["lane"] == lane && (c["state"] == "active" || c["state"] == "starting"));
    running.map(|c| text(c, "contract").map(str::to_owned)).transpose()
}

async fn buy(
    api: &Api,
    wallet: &Purse,
    lane: &str,
    say: &Progress,
) -> Result<String, JourneyError> {
    let asset = wallet.asset;
    let plans = api.get("/api/v1/plans").await?;
    let plan = plans["items"]
        .as_array()
        .and_then(|list| list.iter().find(|p| p["lane"] == lane))
        .ok_or(JourneyError::Shape("plan on the lane"))?
        .clone();
    let id = text(&plan, "plan")?;
    let (min, max, step) =
        (rate(&plan["hashrate_min"])?, rate(&plan["hashrate_max"])?, rate(&plan["hashrate_step"])?);
    // Half of what the farm has proven and not sold, in the plan's steps.
    let wanted = until("proven capacity to sell", || async {
        let lanes = api.get("/api/v1/lanes").await?;
        let free = lanes["items"]
            .as_array()
            .and_then(|list| list.iter().find(|l| l["lane"] == lane))
            .map_or(Ok(Hashrate::ZERO), |l| rate(&l["available"]))?;
        let half = Hashrate((free.0 / 2).min(max.0) / step.0 * step.0);
        Ok((half >= min).then_some(half))
    })
    .await?;
    let term = plan["term_epochs_min"].as_u64().ok_or(JourneyError::Shape("term_epochs_min"))?;
    let order = json!({ "plan": id, "hashrate": wanted.0.to_string(), "term_epochs": term });
    let (quote, bought) = place(api, &order).await?;
    say.say(
        "customer",
        format!(
            "{lane}: is quoted {wanted} for {term} epochs at {} {asset}",
            text(&quote["price"], "decimal")?,
        ),
    );
    let contract = text(&bought, "contract")?.to_owned();
    let invoice = &bought["invoice"];
    let (invoice_id, address) = (text(invoice, "id")?.to_owned(), text(invoice, "address")?);
    let due = Amount::new(asset, minor(&invoice["amount"])?);
    let txid = wallet.pay(address, due).await?;
    say.say("customer", format!("{lane}: pays {due} to {address} ({})", short(&txid)));
    until("the invoice to be paid", || async {
        let invoice = api.get(&format!("/api/v1/invoices/{invoice_id}")).await?;
        Ok((invoice["state"] == "confirmed").then_some(()))
    })
    .await?;
    say.say("invoice", format!("{lane}: paid and confirmed in a block"));
    Ok(contract)
}

/// A quote, and what came of buying it. A new customer may have few orders unpaid at once, and a quote is void
/// when the difficulty has moved since: he waits, or asks for another.
async fn place(api: &Api, order: &Value) -> Result<(Value, Value), JourneyError> {
    let placing = async {
        let mut quote = api.post("/api/v1/quotes", order).await?;
        loop {
            let wish = json!({ "quote": text(&quote, "quote")? });
            match api.post("/api/v1/contracts", &wish).await {
                Ok(bought) => return Ok((quote, bought)),
                Err(ApiError::Refused { status: StatusCode::TOO_MANY_REQUESTS, .. }) => {}
                Err(ApiError::Refused { status: StatusCode::CONFLICT, .. }) => {
                    quote = api.post("/api/v1/quotes", order).await?;
                }
                Err(e) => return Err(e.into()),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let waited = JourneyError::Waited("the order to be taken");
    tokio::time::timeout(PATIENCE, placing).await.map_err(|_| waited)?
}

async fn withdraw(
    api: &Api,
    notes: &Notes,
    wallet: &Purse,
    (lane, amount): (&str, Amount),
    say: &Progress,
) -> Result<(i64, i64, String), JourneyError> {
    let address = wallet.new_address().await?;
    let order = json!({
        "asset": amount.asset, "amount": amount.decimal(), "address": address,
        "password": notes.password,
    });
    let payout = api.post("/api/v1/payouts", &order).await?;
    let id = text(&payout, "payout")?.to_owned();
    say.say("customer", format!("{lane}: withdraws {amount} to {address}"));
    let paid = until("the payout to be confirmed", || async {
        let view = api.get(&format!("/api/v1/payouts/{id}")).await?;
        Ok((view["state"] == "confirmed").then_some(view))
    })
    .await?;
    let txid = text(&paid, "txid")?.to_owned();
    let received = wallet.received(&address).await?;
    let fee = minor(&paid["fee"])?;
    if received.minor.checked_add(fee) != Some(amount.minor) {
        return Err(JourneyError::Wrong(format!(
            "{amount} was withdrawn with a fee of {fee} units, but {received} arrived"
        )));
    }
    say.say("payout", format!("{lane}: {received} arrived, confirmed in {}", short(&txid)));
    Ok((amount.minor, received.minor, txid))
}

async fn available(api: &Api, asset: Asset) -> Result<i64, JourneyError> {
    let balances = api.get("/api/v1/balances").await?;
    let list = balances["items"].as_array().ok_or(JourneyError::Shape("list of balances"))?;
    let own = list.iter().find(|b| b["asset"] == asset.code());
    own.map_or(Ok(0), |b| minor(&b["available"]))
}

/// Asks every half second until there is an answer. What the customer waits for happens on a
/// chain, so there is no event to subscribe to that could not be missed.
async fn until<T, F: Future<Output = Result<Option<T>, JourneyError>>>(
    what: &'static str,
    mut ask: impl FnMut() -> F,
) -> Result<T, JourneyError> {
    let polling = async {
        loop {
            match ask().await {
                Ok(Some(found)) => return Ok(found),
                // Asked too often, as whoever waits on many lanes does: later.
                Ok(None)
                | Err(JourneyError::Api(ApiError::Refused {
                    status: StatusCode::TOO_MANY_REQUESTS,
                    ..
                })) => {}
                Err(e) => return Err(e),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(PATIENCE, polling).await.map_err(|_| JourneyError::Waited(what))?
}

fn text<'a>(value: &'a Value, key: &'static str) -> Result<&'a str, JourneyError> {
    value[key].as_str().ok_or(JourneyError::Shape(key))
}

fn minor(amount: &Value) -> Result<i64, JourneyError> {
    amount["minor"].as_i64().ok_or(JourneyError::Shape("minor"))
}

fn rate(value: &Value) -> Result<Hashrate, JourneyError> {
    text(value, "hashes_per_second")?.parse().map_err(|_| JourneyError::Shape("hashes_per_second"))
}

/// The beginning of an id, for people.
pub fn short(id: &str) -> &str {
    id.get(..id.len().min(13)).unwrap_or(id)
}
