//! Ways to pay an invoice, what was paid, and what waits for a person.

use crate::api::contracts::{InvoiceBody, invoice_body};
use crate::api::page::Page;
use crate::api::{Money, Time, amount, time};
use crate::console::typed;
use crate::conversion::{NO_PRICE, Rates};
use crate::deciding::not_to_oneself;
use crate::extract::{Customer, Id, Json, Params, Staff, Unread};
use crate::failure::{Failure, sentence};
use crate::openapi::{Answer, Fine, List, Made, Shape, Shapes, answers, requests};
use crate::state::AppState;
use crate::trade::treasury_failure;
use axum::extract::{Request, State};
use bytes::Bytes;
use gruve_treasury::bank::written_reference;
use gruve_treasury::remote::WEBHOOK_BYTES_MAX;
use gruve_treasury::{
    BankComparison, BankEntryView, BankWord, Heard, Invoice, Method, PayInFor, Payment, Purpose,
    ServiceComparison, TreasuryError,
};
use gruve_units::{Amount, Asset, BankEntryId, Bps, InvoiceId, PaymentId, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

answers! {
    /// Pay to the invoice's own address.
    struct ByChain {
        /// `chain`.
        method: &'static str,
        /// Where to.
        address: String,
        /// The same for a wallet.
        uri: String,
    }

    /// Pay by a bank's transfer.
    struct ByBank {
        /// `bank`.
        method: &'static str,
        /// The house's account.
        iban: String,
        /// Its bank.
        bic: Option<String>,
        /// Its holder.
        holder: String,
        /// What must stand in the transfer.
        reference: String,
        /// The same as people write it.
        written: String,
        /// How much.
        amount: Money,
    }

    /// Pay by a call here: at another service, or from the balance.
    struct ByCall {
        /// `card`, `btcpay`, … or `balance`.
        method: &'static str,
        /// Where to post.
        post: String,
    }

    /// A coin in which an invoice in another currency can be paid.
    struct OfferBody {
        /// The coin.
        asset: Asset,
        /// What the rest would come to, were the rate fixed now; null while there is no price.
        amount: Option<Money>,
        /// What a whole coin would count for, spread taken off.
        a_coin_counts: Option<Money>,
        /// What is added to the amount, in hundredths of a percent.
        spread_bps: Bps,
        /// For how many seconds the rate counts once it is fixed, while the invoice is open.
        lock_secs: u64,
        /// Where to post the wish.
        post: String,
        /// Why it is not offered now; null where it is.
        why_not: Option<&'static str>,
    }

    /// What an invoice in a coin pays, and at what rate.
    struct ConversionBody {
        /// The invoice that it pays.
        pays: InvoiceId,
        /// What of that.
        price: Money,
        /// What a whole coin counts for, spread taken off, rounded down; the amount is rounded up.
        a_coin_counts: Money,
        /// The coin's price in millionths of a dollar.
        coin_usd_micro: i64,
        /// The other currency's.
        price_usd_micro: i64,
        /// What is added to the amount, in hundredths of a percent.
        spread_bps: Bps,
        /// When the oldest word was told that the prices are made of.
        priced_at: Time,
        /// Until when a payment must be in a block to count at this rate.
        until: Time,
    }

    /// Where to pay.
    struct CheckoutBody {
        /// By which method.
        method: String,
        /// The place at the other service.
        url: String,
    }

    /// An event was heard.
    struct HeardBody {
        /// Always.
        heard: bool,
    }

    /// A payment by another way than an invoice's own address.
    struct PaymentBody {
        /// Its id.
        payment: PaymentId,
        /// `card`, `btcpay`, `bank`, `balance`, or `conversion` (by a coin, at a rate fixed before).
        method: &'static str,
        /// How much.
        amount: Money,
        /// What was taken back of it.
        taken_back: Money,
        /// The invoice that it pays.
        invoice: Option<InvoiceId>,
        /// When it came.
        at: Time,
    }

    /// A transfer that waits for a person.
    struct BankEntryBody {
        /// Its id.
        id: BankEntryId,
        /// In which bank's statement it stands.
        bank: String,
        /// In which.
        statement: String,
        /// The bank's own reference.
        bank_reference: Option<String>,
        /// How much, below zero where it left the account; null where it cannot be read.
        amount: Option<Money>,
        /// The day.
        booked_on: String,
        /// Who paid, or was paid.
        payer: String,
        /// From which account.
        payer_account: String,
        /// What was written.
        text: String,
        /// Why it waits.
        reason: String,
        /// When it was read.
        arrived_at: Time,
    }

    /// What a bank or a service says that it has of the house's, held against the books.
    struct ComparedBody {
        /// `bank`, or the service's method.
        method: &'static str,
        /// The bank account; null for a service.
        bank: Option<String>,
        /// The day of the bank's last statement; null for a service.
        on: Option<String>,
        /// When the service was asked; null for a bank.
        asked_at: Option<Time>,
        /// What it says.
        there: Money,
        /// What a bank account had before its first statement and the books have not.
        beside: Money,
        /// What the books have.
        books: Money,
        /// What stands in a service's account and is not booked yet, or waits for a person's word about a bank's.
        open: Money,
        /// How many entries or lines that is.
        open_entries: u64,
        /// What is there and neither in the books nor beside them. Of a service what is open is not in it.
        difference: Money,
        /// Whether the difference is nothing, or what waits for a person's word.
        explained: bool,
        /// Where a bank's statement seems to be missing.
        gaps: Vec<String>,
    }

    /// What was decided.
    struct WordBody {
        /// About which transfer.
        id: BankEntryId,
        /// The word.
        word: String,
    }
}

/// A way to pay an invoice.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Way {
    Chain(ByChain),
    Bank(ByBank),
    Call(ByCall),
}

impl Shape for Way {
    fn shape(shapes: &mut Shapes) -> Value {
        let all = [ByChain::shape(shapes), ByBank::shape(shapes), ByCall::shape(shapes)];
        json!({ "anyOf": all })
    }
}

requests! {
    /// By which method.
    struct By {
        /// One of the invoice's `methods`.
        method: String,
    }

    /// In which coin an invoice is to be paid.
    struct InCoin {
        /// One of the invoice's `offers`.
        asset: String,
    }

    /// How much of a payment is given back, and why.
    struct Refund {
        /// In whole units, as decimal text.
        amount: String,
        /// What was taken back of it before, as whoever asks has seen it.
        taken_back: String,
        /// Why, for whoever reads the books.
        why: String,
    }

    /// A person's word.
    struct Word {
        /// `invoice`, `account`, `sent-back`, `taken-back`, `charges`, `own`, `under-way`, `paid-out` or `dismissed`.
        word: String,
        /// The invoice's, the account's or the payment's id.
        id: String = default,
        /// Why, for whoever reads the books.
        why: String = default,
    }
}

/// How an invoice can be paid, one entry a method.
pub(crate) fn methods(state: &AppState, inv: &Invoice) -> Vec<Way> {
    let mut all = Vec::new();
    if !inv.state.is_open() {
        return all;
    }
    if !inv.asset().is_fiat() {
        let (address, uri) = (inv.address.clone(), inv.uri());
        all.push(Way::Chain(ByChain { method: "chain", address, uri }));
    }
    if let Some(bank) = state.treasury().bank(inv.asset()) {
        all.push(Way::Bank(ByBank {
            method: "bank",
            iban: bank.iban.clone(),
            bic: bank.bic.clone(),
            holder: bank.holder.clone(),
            reference: inv.address.clone(),
            written: written_reference(&inv.address),
            amount: amount(inv.to_pay()),
        }));
    }
    for method in state.treasury().checkouts_for(inv) {
        let post = format!("/api/v1/invoices/{}/checkouts", inv.id);
        all.push(Way::Call(ByCall { method: method.word(), post }));
    }
    if inv.purpose != Purpose::TopUp {
        let post = format!("/api/v1/invoices/{}/balance", inv.id);
        all.push(Way::Call(ByCall { method: "balance", post }));
    }
    all
}

/// What an invoice in a coin pays, if that is what it is for.
pub(crate) fn conversion_of(inv: &Invoice) -> Result<Option<ConversionBody>, Failure> {
    let Purpose::Conversion(c) = inv.purpose else { return Ok(None) };
    let counts = c.rate.a_coin_counts(c.price.asset).map_err(|e| treasury_failure(&e))?;
    Ok(Some(ConversionBody {
        pays: c.pays,
        price: amount(c.price),
        a_coin_counts: amount(counts),
        coin_usd_micro: c.rate.coin_usd_micro,
        price_usd_micro: c.rate.price_usd_micro,
        spread_bps: c.rate.spread,
        priced_at: time(c.rate.priced_at),
        until: time(c.until),
    }))
}

/// The coins in which an invoice in another currency can be paid.
pub(crate) async fn offers_of(
    state: &AppState,
    inv: &Invoice,
    rates: &mut Rates,
) -> Result<Vec<OfferBody>, Failure> {
    let Some(rules) = state.config().conversion else { return Ok(Vec::new()) };
    let mut bodies = Vec::new();
    for offer in state.offers_at(inv, rates).await? {
        let counts = offer.now.map(|(_, rate)| rate.a_coin_counts(inv.asset())).transpose();
        bodies.push(OfferBody {
            asset: offer.coin,
            amount: offer.now.map(|(coins, _)| amount(coins)),
            a_coin_counts: counts.map_err(|e| treasury_failure(&e))?.map(amount),
            spread_bps: rules.spread,
            lock_secs: rules.lock.as_secs(),
            post: format!("/api/v1/invoices/{}/conversions", inv.id),
            why_not: offer.now.is_none().then_some(NO_PRICE),
        });
    }
    Ok(bodies)
}

/// `POST /api/v1/invoices/{id}/conversions`: an invoice in a coin that pays this one, at the rate of this moment.
pub(crate) async fn convert(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<InvoiceId>,
    Json(wish): Json<InCoin>,
) -> Result<Made<InvoiceBody>, Failure> {
    let coin = wish.asset.parse::<Asset>();
    let coin = coin.map_err(|e| Failure::refused(sentence(&e.to_string())))?;
    let inv = state.convert(customer.account, id, coin).await?;
    Ok(Answer(invoice_body(&state, &inv).await?))
}

/// `POST /api/v1/invoices/{id}/balance`: pays the rest of it from the balance.
pub(crate) async fn pay_from_balance(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<InvoiceId>,
) -> Result<Fine<InvoiceBody>, Failure> {
    let inv = state.pay_from_balance(customer.account, id).await?;
    Ok(Answer(invoice_body(&state, &inv).await?))
}

/// `POST /api/v1/invoices/{id}/checkouts`: a place at another service where the invoice is paid.
pub(crate) async fn checkout(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<InvoiceId>,
    Json(by): Json<By>,
) -> Result<Made<CheckoutBody>, Failure> {
    let url = state.open_checkout(customer.account, id, &by.method).await?;
    Ok(Answer(CheckoutBody { method: by.method, url }))
}

/// `POST /api/v1/webhooks/stripe`
pub(crate) async fn hear_card(
    State(state): State<AppState>,
    Unread(request): Unread,
) -> Result<Fine<HeardBody>, Failure> {
    let (signature, body) = signed(request, "stripe-signature").await?;
    let heard = state.treasury().hear_card(&signature, &body).await;
    told(&state, heard)
}

/// `POST /api/v1/webhooks/btcpay`
pub(crate) async fn hear_btcpay(
    State(state): State<AppState>,
    Unread(request): Unread,
) -> Result<Fine<HeardBody>, Failure> {
    let (signature, body) = signed(request, "btcpay-sig").await?;
    let heard = state.treasury().hear_btcpay(&signature, &body).await;
    told(&state, heard)
}

/// The signature's header, and the body as it came.
async fn signed(request: Request, header: &str) -> Result<(String, Bytes), Failure> {
    let signature = request.headers().get(header).and_then(|v| v.to_str().ok());
    let signature = signature.unwrap_or_default().to_owned();
    let body = axum::body::to_bytes(request.into_body(), WEBHOOK_BYTES_MAX).await;
    Ok((signature, body.map_err(|_| Failure::too_large())?))
}

/// What the service is told: it says again what it was not told was heard.
fn told(state: &AppState, heard: Result<Heard, TreasuryError>) -> Result<Fine<HeardBody>, Failure> {
    match heard.map_err(|e| treasury_failure(&e))? {
        Heard::Yes => {
            state.pulse().beat();
            Ok(Answer(HeardBody { heard: true }))
        }
        Heard::NotSigned => Err(Failure::bad_request("The signature is not right, or too old.")),
        Heard::Unreadable => Err(Failure::bad_request("The event cannot be read.")),
        Heard::Later => Err(Failure::busy("It cannot be looked at now.")),
    }
}

impl Refund {
    /// Carries it out, and writes it into the security log.
    pub(crate) async fn carry_out(
        &self,
        state: &AppState,
        staff: Staff,
        id: PaymentId,
    ) -> Result<(), Failure> {
        if self.why.trim().is_empty() {
            return Err(Failure::refused("Write why."));
        }
        let found = state.treasury().payment(id).await.map_err(|e| treasury_failure(&e))?;
        let payment = found.ok_or_else(|| Failure::not_found("payment"))?;
        payment.account.map_or(Ok(()), |account| not_to_oneself(staff, account))?;
        let amount = Amount::parse_decimal(payment.amount.asset, self.amount.trim());
        let amount = amount.map_err(|e| Failure::refused(sentence(&e.to_string())))?;
        let taken = Amount::parse_decimal(payment.amount.asset, self.taken_back.trim());
        let taken = taken.map_err(|e| Failure::refused(sentence(&e.to_string())))?;
        let done = async {
            let asked = state.treasury().refund(id, amount, taken, self.why.trim()).await;
            asked.map_err(|e| treasury_failure(&e))
        };
        state.act(staff, payment.account, "payment.refund", &format!("{id} {amount}"), done).await
    }
}

/// `POST /api/v1/console/payments/{id}/refund`
pub(crate) async fn refund(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<PaymentId>,
    Json(refund): Json<Refund>,
) -> Result<Fine<PaymentBody>, Failure> {
    refund.carry_out(&state, staff, id).await?;
    let payment_now = state.treasury().payment(id).await.map_err(|e| treasury_failure(&e))?;
    let found = payment_now.ok_or_else(|| Failure::not_found("payment"))?;
    Ok(Answer(payment(&found)))
}

/// `GET /api/v1/payments`: what came by other methods than the invoices' own addresses.
pub(crate) async fn payments(
    State(state): State<AppState>,
    customer: Customer,
    Params(page): Params<Page>,
) -> Result<Fine<List<PaymentBody>>, Failure> {
    let (before, wanted) = (page.behind()?, page.wanted()?);
    let all = state.treasury().payments_before(customer.account, before, wanted).await?;
    page.give(all, |p| p.id, payment)
}

/// A payment.
pub(crate) fn payment(p: &Payment) -> PaymentBody {
    PaymentBody {
        payment: p.id,
        method: p.method.word(),
        amount: amount(p.amount),
        taken_back: amount(p.taken),
        invoice: p.invoice,
        at: time(p.arrived),
    }
}

/// `GET /api/v1/console/pay-ins`: transfers that wait for a person, oldest first.
pub(crate) async fn waiting(
    State(state): State<AppState>,
    _: Staff,
    Params(page): Params<Page>,
) -> Result<Fine<List<BankEntryBody>>, Failure> {
    let all = state.treasury().bank_entries_after(page.behind()?, page.wanted()?).await?;
    page.give(all, |e| e.id, entry)
}

/// `GET /api/v1/console/clearing`: what banks and services say that they have, held against the books.
pub(crate) async fn compared(
    State(state): State<AppState>,
    _: Staff,
) -> Result<Fine<List<ComparedBody>>, Failure> {
    let banks = {
        let mut tx = state.store().read().await?;
        state.treasury().compare_banks(&mut tx).await.map_err(|e| treasury_failure(&e))?
    };
    let asked = state.treasury().services_compared();
    let services = asked.iter().flat_map(|a| a.all.iter().map(|c| service_compared(a.at, c)));
    Ok(List::whole(banks.into_iter().map(bank_compared).chain(services)))
}

fn bank_compared(c: BankComparison) -> ComparedBody {
    ComparedBody {
        method: Method::Bank.word(),
        explained: c.is_explained(),
        bank: Some(c.bank),
        on: Some(c.on),
        asked_at: None,
        there: amount(c.there),
        beside: amount(c.beside),
        books: amount(c.books),
        open: amount(c.undecided),
        open_entries: c.undecided_count,
        difference: amount(c.difference),
        gaps: c.gaps,
    }
}

fn service_compared(asked: Timestamp, c: &ServiceComparison) -> ComparedBody {
    ComparedBody {
        method: c.method.word(),
        bank: None,
        on: None,
        asked_at: Some(time(asked)),
        there: amount(c.there),
        beside: amount(Amount::zero(c.there.asset)),
        books: amount(c.books),
        open: amount(c.unread),
        open_entries: c.lines_unread,
        difference: amount(c.difference),
        explained: c.difference.minor == 0,
        gaps: Vec::new(),
    }
}

fn entry(e: &BankEntryView) -> BankEntryBody {
    BankEntryBody {
        id: e.id,
        bank: e.bank.clone(),
        statement: e.statement.clone(),
        bank_reference: e.own_ref.clone(),
        amount: e.amount.map(amount),
        booked_on: e.booked_on.clone(),
        payer: e.payer.clone(),
        payer_account: e.payer_account.clone(),
        text: e.text.clone(),
        reason: e.reason.clone(),
        arrived_at: time(e.arrived),
    }
}

impl Word {
    fn read(&self) -> Result<BankWord, Failure> {
        Ok(match self.word.as_str() {
            "invoice" => {
                let id = typed(&self.id, "write the invoice's id")?;
                BankWord::Belongs(PayInFor::Invoice(id))
            }
            "account" => {
                let id = typed(&self.id, "write the account's id")?;
                BankWord::Belongs(PayInFor::Account(id))
            }
            "taken-back" => BankWord::TakesBack(typed(&self.id, "write the payment's id")?),
            "sent-back" => BankWord::SentBack,
            "charges" => BankWord::Charges,
            "own" => BankWord::Own,
            "under-way" => BankWord::UnderWay,
            "paid-out" => BankWord::PaidOut(typed(&self.id, "write the account's id")?),
            "dismissed" => BankWord::Dismissed,
            _ => {
                let words = "`word` is invoice, account, sent-back, taken-back, charges, own, under-way, paid-out or dismissed.";
                return Err(Failure::refused(words));
            }
        })
    }

    /// Carries it out, and writes it into the security log.
    pub(crate) async fn carry_out(
        &self,
        state: &AppState,
        staff: Staff,
        id: BankEntryId,
    ) -> Result<(), Failure> {
        let word = self.read()?;
        if let BankWord::Belongs(PayInFor::Account(account)) | BankWord::PaidOut(account) = word {
            let found = state.accounts().customer(account).await?;
            found.ok_or_else(|| Failure::not_found("customer"))?;
        }
        if let BankWord::Belongs(to) = word {
            let account = match to {
                PayInFor::Account(account) => Some(account),
                PayInFor::Nobody => None,
                PayInFor::Invoice(id) => state.treasury().invoice(id).await?.map(|i| i.account),
            };
            account.map_or(Ok(()), |account| not_to_oneself(staff, account))?;
        }
        let done = async {
            let decided = state.treasury().decide_bank_entry(id, &word, self.why.trim()).await;
            decided.map_err(|e| treasury_failure(&e))
        };
        let detail = format!("{id} {} {}", self.word, self.id.trim());
        state.act(staff, None, "pay-in.decide", &detail, done).await
    }
}

/// `POST /api/v1/console/pay-ins/{id}`
pub(crate) async fn decide(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<BankEntryId>,
    Json(word): Json<Word>,
) -> Result<Fine<WordBody>, Failure> {
    word.carry_out(&state, staff, id).await?;
    Ok(Answer(WordBody { id, word: word.word }))
}
