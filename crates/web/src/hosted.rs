//! What owners of hosted machines may do. Each call checks whose machine it is.

pub(crate) mod in_block;

use crate::extract::Customer;
use crate::failure::{Failure, sentence};
use crate::lookout::Topic;
use crate::state::{AppState, accounts_failure};
use crate::trade::{market_failure, treasury_failure};
use gruve_accounts::{AccountsError, Device};
use gruve_farm::{FarmError, Inventory, Note, SitePower, Speaker, Ticket, TicketId};
use gruve_hosting::footprint::Footprint;
use gruve_hosting::{
    Contract, HostedMachine, HostingError, HostingKind, HostingState, HostingStatement, OfPlan,
    OfferTerms, Order, PARTS_MAX, Part, PayFrom,
};
use gruve_ledger::LedgerError;
use gruve_market::metered::Period;
use gruve_market::statement::{Line, Statement};
use gruve_market::{
    ContractView, DELIVERED_MAX, EPOCH_LINES_MAX, MarketError, Ownership, PaysFrom, Plan, Scheme,
};
use gruve_store::{StoreError, Tx, transact};
use gruve_treasury::TreasuryError;
use gruve_units::{
    AccountId, Amount, Blame, Blamed, ContractId, Duration, EpochNumber, Hashes, LaneId, MachineId,
    Timestamp,
};
use serde::Deserialize;

/// What went to other customers for machines is counted over this time, as payouts are.
const DAY: Duration = Duration::from_secs(86_400);

/// Password and code, given again: for what a stolen session must not do. A key for programs gives none.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Again {
    pub(crate) password: String,
    pub(crate) code: String,
}

/// Who asks, with what it was proven again, and from where.
pub(crate) struct Asker<'a> {
    pub(crate) customer: &'a Customer,
    pub(crate) again: &'a Again,
    pub(crate) from: Device,
}

/// Why a machine did not change hands, or its address was not set.
#[derive(Debug, thiserror::Error)]
pub enum HandError {
    /// Hosting's.
    #[error(transparent)]
    Hosting(#[from] HostingError),
    /// The treasury's.
    #[error(transparent)]
    Treasury(#[from] TreasuryError),
    /// The accounts'.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// The farm's.
    #[error(transparent)]
    Farm(#[from] FarmError),
    /// The market's.
    #[error(transparent)]
    Market(#[from] MarketError),
    /// The database's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl HandError {
    pub(crate) fn failure(&self) -> Failure {
        match self {
            HandError::Hosting(e) => hosting_failure(e),
            HandError::Treasury(e) => treasury_failure(e),
            HandError::Accounts(e) => accounts_failure(e),
            HandError::Farm(e) => farm_failure(e),
            HandError::Market(e) => market_failure(e),
            HandError::Store(e) => Failure::of(e),
        }
    }
}

impl Blamed for HandError {
    fn blame(&self) -> Blame {
        match self {
            HandError::Hosting(e) => e.blame(),
            HandError::Treasury(e) => e.blame(),
            HandError::Accounts(e) => e.blame(),
            HandError::Farm(e) => e.blame(),
            HandError::Market(e) => e.blame(),
            HandError::Store(e) => e.blame(),
        }
    }
}

/// What became of an offer that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The machine is the account's from that epoch on.
    From(EpochNumber),
    /// It is agreed, and can be taken from then on.
    After(Timestamp),
}

/// A plan of machines with what stands in the store room of it.
pub(crate) struct HostedOffer {
    pub(crate) plan: Plan,
    /// Machines that could be ordered now, [`gruve_hosting::STOCK_COUNTED_MAX`] at most.
    pub(crate) in_stock: u32,
    /// The first of them.
    pub(crate) machine: Option<Inventory>,
}

/// What a plan of machines says, as an order.
pub(crate) fn order_of(plan: &Plan, request_key: Option<String>) -> Result<Order, Failure> {
    let h = plan.hosted.as_ref().ok_or_else(|| Failure::not_found("plan"))?;
    let minor = |n: u64| i64::try_from(n).map_err(|e| Failure::fault(&e));
    let terms = OfferTerms {
        kind: match h.ownership {
            Ownership::Sold => HostingKind::Sold,
            Ownership::Leased => HostingKind::Leased,
        },
        scheme: match plan.scheme {
            Scheme::Solo => gruve_hosting::Scheme::Solo,
            Scheme::Pplns | Scheme::Fpps => gruve_hosting::Scheme::Pplns,
        },
        pay_from: match h.pays_from {
            PaysFrom::Earnings => PayFrom::Earnings,
            PaysFrom::Balance => PayFrom::Balance,
        },
        asset: h.bill_asset.unwrap_or(plan.asset),
        energy_minor_per_kwh: minor(h.energy_minor_per_kwh)?,
        fee_minor_per_day: minor(h.fee_minor_per_day)?,
        level: h.level_bps,
        term_epochs: h.term_epochs,
        minimum_payout_minor: minor(plan.life.minimum_payout_minor)?,
        earnings_fee: Some(plan.fee_bps),
    };
    Ok(Order {
        plan: OfPlan { id: plan.id.clone(), version: plan.version },
        lane: plan.lane.clone(),
        model: h.model.clone(),
        terms,
        price: plan.price,
        request_key,
    })
}

/// How far back the electricity of a metered contract is looked up.
const MONTH: Duration = Duration::from_secs(30 * 86_400);

impl AppState {
    /// A hosting contract of the account, and its machine now.
    pub(crate) async fn hosted(
        &self,
        account: AccountId,
        id: ContractId,
    ) -> Result<(Contract, HostedMachine), Failure> {
        let contract = self.own_hosting(account, id).await?;
        let machine = self.hosting().machine(contract.machine, Some(&contract)).await;
        Ok((contract, machine.map_err(|e| hosting_failure(&e))?))
    }

    /// A hosting contract of the account.
    pub(crate) async fn own_hosting(
        &self,
        account: AccountId,
        id: ContractId,
    ) -> Result<Contract, Failure> {
        self.hosting().contract(Some(account), id).await.map_err(|e| hosting_failure(&e))
    }

    /// Asks again who sits there, unless a key for programs asks.
    pub(crate) async fn prove_again(&self, asker: &Asker<'_>) -> Result<(), Failure> {
        if asker.customer.is_key() {
            return Ok(());
        }
        let (account, again) = (asker.customer.account, asker.again);
        let code = Some(again.code.as_str());
        let proven = self.accounts().prove(account, &again.password, code, asker.from.clone());
        proven.await.map_err(|e| accounts_failure(&e))
    }

    /// Takes what is offered. A price goes out of the balance for good, so that it takes what a payout takes, and password
    /// and code besides. What another customer offers is agreed first, and taken once the delay of payouts to new
    /// destinations has passed: both have been told by then, and either can stop it.
    pub(crate) async fn accept_hosting(
        &self,
        asker: &Asker<'_>,
        id: ContractId,
    ) -> Result<Taken, Failure> {
        let account = asker.customer.account;
        let contract = self.own_hosting(account, id).await?;
        if contract.price.minor > 0 {
            self.prove_again(asker).await?;
        }
        let taken = transact!(self.store(), tx -> Result<Taken, HandError> => {
            let (offer, seller) = self.hosting().offered(tx, account, id).await?;
            self.may_pay_for(tx, &offer, seller).await?;
            if let Some(seller) = seller
                && let Some(after) = self.agree_to_take(tx, &offer, seller).await?
            {
                return Ok(Taken::After(after));
            }
            let from = self.hosting().accept_in(tx, account, id).await?;
            self.sale_rooms().earn_as_agreed(tx, &offer).await?;
            self.sale_rooms().tell_taken(tx, &offer, seller).await?;
            Ok(Taken::From(from))
        });
        let taken = taken.map_err(|e| e.failure())?;
        self.pulse().beat();
        Ok(taken)
    }

    /// Agrees to take what an owner offers; from when on it can be taken, where that is not yet.
    async fn agree_to_take(
        &self,
        tx: &mut Tx,
        offer: &Contract,
        seller: AccountId,
    ) -> Result<Option<Timestamp>, HandError> {
        let delay = self.accounts().payout_delay();
        if delay.is_zero() {
            return Ok(None);
        }
        let (since, is_new) = self.hosting().agree_in(tx, offer).await?;
        let after = since.plus(delay);
        if is_new {
            self.sale_rooms().tell_agreed(tx, offer, seller, after).await?;
        }
        Ok(Some(after).filter(|after| *after > self.now()))
    }

    /// From when on what another owner offers can be taken, once that was agreed.
    pub(crate) fn taken_after(&self, c: &Contract) -> Option<Timestamp> {
        let open = c.state == HostingState::Offered;
        c.agreed_at.filter(|_| open).map(|at| at.plus(self.accounts().payout_delay()))
    }

    /// Machines on sale.
    pub(crate) async fn hosted_offers(&self) -> Result<Vec<HostedOffer>, Failure> {
        let mut all = Vec::new();
        for plan in self.market().hosted_plans() {
            all.push(self.offer_of(plan).await?);
        }
        Ok(all)
    }

    /// One plan of them.
    pub(crate) async fn hosted_offer(&self, id: &str) -> Result<HostedOffer, Failure> {
        let found = self.market().hosted_plans().into_iter().find(|p| p.id == id);
        self.offer_of(found.ok_or_else(|| Failure::not_found("plan"))?).await
    }

    async fn offer_of(&self, plan: Plan) -> Result<HostedOffer, Failure> {
        let model = plan.hosted.as_ref().map(|h| h.model.as_str()).unwrap_or_default();
        let counted = self.hosting().in_stock(&plan.lane, model).await;
        let (in_stock, machine) = counted.map_err(|e| hosting_failure(&e))?;
        Ok(HostedOffer { plan, in_stock, machine })
    }

    /// A page of the statement of an own contract's bills, from a number on.
    pub(crate) async fn hosting_statement(
        &self,
        account: AccountId,
        id: ContractId,
        from: Option<u32>,
    ) -> Result<HostingStatement, Failure> {
        let c = self.own_hosting(account, id).await?;
        let (_, paid) = self.in_block(&c).await?;
        let blocks = paid.iter().map(|paid| &paid.block);
        let page = self.hosting().statement_with(&c, from.unwrap_or(1).into(), blocks).await;
        page.map_err(|e| hosting_failure(&e))
    }

    /// Whether an offer's price may leave the account. To another customer it is a payout by another door.
    async fn may_pay_for(
        &self,
        tx: &mut Tx,
        offer: &Contract,
        seller: Option<AccountId>,
    ) -> Result<(), HandError> {
        if offer.price.minor == 0 {
            return Ok(());
        }
        if seller.is_none() {
            return Ok(self.treasury().refuse_if_disputed(tx, offer.account).await?);
        }
        self.accounts().may_pay_customers(tx, offer.account).await?;
        let (asset, since) = (offer.price.asset, self.now().minus(DAY));
        let before = self.hosting().handed_over_since(tx, offer.account, asset, since).await?;
        Ok(self.treasury().may_hand_over(tx, offer.account, offer.price, before).await?)
    }

    pub(crate) async fn serial_of(
        &self,
        tx: &mut Tx,
        machine: MachineId,
    ) -> Result<String, FarmError> {
        Ok(self.farm().inventory_of(tx, machine).await?.serial)
    }

    /// Offers an own machine to another account by its name.
    pub(crate) async fn transfer_hosting(
        &self,
        asker: &Asker<'_>,
        id: ContractId,
        to: &str,
        price: Amount,
    ) -> Result<ContractId, Failure> {
        let account = asker.customer.account;
        let contract = self.own_hosting(account, id).await?;
        self.prove_again(asker).await?;
        let found = self.accounts().account_by_name(to).await;
        let found = found.map_err(|e: AccountsError| Failure::of(&e))?;
        let none = || Failure::refused(format!("There is no account {to:?}."));
        let other = found.ok_or_else(none)?;
        let offered = transact!(self.store(), tx -> Result<ContractId, HandError> => {
            let offer = self.hosting().offer_transfer_in(tx, account, id, other, price).await?;
            let serial = self.serial_of(tx, contract.machine).await?;
            let told = format!(
                "Your machine {serial} is offered to the account {to} for {price}. Until it is taken you can \
                 take the offer back."
            );
            self.accounts().tell_owner(tx, account, &told).await?;
            let told = format!(
                "The machine {serial} is offered to you by another customer for {price}. Nothing happens unless your \
                 account agrees."
            );
            self.accounts().tell_owner(tx, other, &told).await?;
            Ok(offer)
        });
        offered.map_err(|e| e.failure())
    }

    /// Sets where the coins of a machine go, once the address is known to be one of its chain, and one that the
    /// account's payouts may go to; the same holds for each partner who shares what blocks pay.
    pub(crate) async fn address_hosting(
        &self,
        asker: &Asker<'_>,
        id: ContractId,
        address: &str,
        partners: &[Part],
    ) -> Result<(), Failure> {
        let account = asker.customer.account;
        let contract = self.own_hosting(account, id).await?;
        let asset = self.market().lane(&contract.lane).map_err(|e| Failure::of(&e))?.asset;
        if partners.len() >= PARTS_MAX {
            return Err(Failure::refused("A block pays at most eight addresses of an owner."));
        }
        let all = || std::iter::once(address).chain(partners.iter().map(|p| p.address.as_str()));
        for to in all() {
            let payable = self.treasury().may_go_to(asset, to).await;
            payable.map_err(|e| treasury_failure(&e))?;
        }
        self.prove_again(asker).await?;
        let mut wait = Duration::ZERO;
        for to in all() {
            let allowed = self.accounts().may_pay_to(account, asset, to).await;
            allowed.map_err(|e| accounts_failure(&e))?;
            if !self.is_known_destination(account, asset, to).await? {
                wait = self.accounts().payout_delay();
            }
        }
        let set = transact!(self.store(), tx -> Result<Timestamp, HandError> => {
            let to = (address, partners);
            let from = self.hosting().set_address_in(tx, account, id, to, wait).await?;
            let serial = self.serial_of(tx, contract.machine).await?;
            let when = gruve_accounts::date_text(from);
            let mut told =
                vec![format!("What your machine {serial} earns goes to {address} from {when} on.")];
            told.extend(partners.iter().map(|Part { address, bps }| {
                let part = crate::view::basis_points(*bps);
                format!("Of blocks that pay you themselves {part} go to {address}.")
            }));
            let told = told.join("\n");
            self.accounts().tell_owner(tx, account, &told).await?;
            Ok(from)
        });
        set.map(drop).map_err(|e| e.failure())
    }

    /// Opens a ticket for the machine of an own contract.
    pub(crate) async fn open_ticket(
        &self,
        account: AccountId,
        id: ContractId,
        title: &str,
        text: &str,
    ) -> Result<TicketId, Failure> {
        let contract = self.own_hosting(account, id).await?;
        let by = Speaker::Owner(account);
        let opened = self.farm().open_ticket(contract.machine, by, title, text).await;
        let opened = opened.map_err(|e| farm_failure(&e))?;
        self.pulse().tell(&[Topic::Farm]);
        Ok(opened)
    }

    /// The tickets that an owner sees of a contract's machine.
    pub(crate) async fn tickets_of(
        &self,
        account: AccountId,
        contract: &Contract,
    ) -> Result<Vec<Ticket>, Failure> {
        let all = self.farm().tickets(contract.machine, Speaker::Owner(account)).await;
        all.map_err(|e| farm_failure(&e))
    }

    /// One ticket and what was said.
    pub(crate) async fn ticket_of(
        &self,
        account: AccountId,
        id: TicketId,
    ) -> Result<(Ticket, Vec<Note>), Failure> {
        self.farm().ticket(id, Speaker::Owner(account)).await.map_err(|e| farm_failure(&e))
    }

    /// What a contract's work cost in electricity: of its newest [`DELIVERED_MAX`] epochs before `before`, of
    /// which it also says which is the first, where there are earlier ones.
    pub(crate) async fn footprint_of(
        &self,
        c: &ContractView,
        before: Option<EpochNumber>,
    ) -> Result<(Footprint, Option<EpochNumber>), Failure> {
        let listed = c.epochs.iter().map(|e| (e.epoch, e.delivered));
        let is_all = before.is_none() && c.epochs.len() < EPOCH_LINES_MAX as usize;
        let taken: Vec<(EpochNumber, Hashes)> = if is_all {
            listed.collect()
        } else {
            let read = self.market().delivered(c.account, c.id, before, DELIVERED_MAX).await;
            read.map_err(|e| market_failure(&e))?
        };
        let is_cut = taken.len() >= DELIVERED_MAX as usize;
        let first = taken.last().map(|(epoch, _)| *epoch).filter(|_| is_cut);
        let sum = self.hosting().footprint(&c.lane, &taken).await;
        Ok((sum.map_err(|e| hosting_failure(&e))?, first))
    }

    /// The same of what a metered contract got in the last month, as far as one answer of its usage goes.
    pub(crate) async fn metered_footprint(
        &self,
        account: AccountId,
        id: ContractId,
    ) -> Result<Footprint, Failure> {
        let c = self.metered(account, id).await?;
        let span = (self.now().minus(MONTH), self.now().plus(Duration::from_secs(86_400)));
        let lines = self.market().metered_usage(account, id, span, Period::Epoch).await;
        let lines = lines.map_err(|e| market_failure(&e))?;
        let taken: Vec<_> = lines.iter().map(|l| (l.epochs.0, l.delivered)).collect();
        self.hosting().footprint(&c.lane, &taken).await.map_err(|e| hosting_failure(&e))
    }

    /// The same of the epochs on a page of a contract's statement.
    pub(crate) async fn footprint_of_page(
        &self,
        lane: &LaneId,
        page: &Statement,
    ) -> Result<Footprint, Failure> {
        let work = |line: &Line| match line {
            Line::Epoch(l) => Some((EpochNumber(l.epoch), l.delivered)),
            Line::Usage(l) => Some((EpochNumber(l.epoch), l.delivered)),
            _ => None,
        };
        let taken: Vec<_> = page.lines.iter().filter_map(|l| work(&l.line)).collect();
        self.hosting().footprint(lane, &taken).await.map_err(|e| hosting_failure(&e))
    }

    /// What is stated of the sites' electricity.
    pub(crate) async fn powers(&self) -> Result<Vec<SitePower>, Failure> {
        self.farm().site_powers().await.map_err(|e| farm_failure(&e))
    }
}

/// What a refusal of the farm is over HTTP.
pub(crate) fn farm_failure(e: &FarmError) -> Failure {
    let text = || sentence(&e.to_string());
    match e {
        FarmError::NoMachine => Failure::not_found("machine"),
        FarmError::NoTicket => Failure::not_found("ticket"),
        FarmError::TicketClosed => Failure::conflict("ticket-closed", text()),
        FarmError::TooMany { .. } => Failure::too_many(text()),
        FarmError::WrongToken => Failure::unauthorised(),
        other => Failure::of(other),
    }
}

/// What a refusal of hosting is over HTTP.
pub(crate) fn hosting_failure(e: &HostingError) -> Failure {
    let text = || sentence(&e.to_string());
    match e {
        HostingError::NoContract => Failure::not_found("machine"),
        HostingError::Disputed => Failure::conflict("disputed", text()),
        HostingError::NotNow(_) => Failure::conflict("not-now", text()),
        HostingError::NotYours => Failure::conflict("not-yours", text()),
        HostingError::OfferOpen => Failure::conflict("offer-open", text()),
        HostingError::HeldUnpaid => Failure::conflict("held-unpaid", text()),
        HostingError::Bound => Failure::conflict("not-now", text()),
        HostingError::SoldOut => Failure::conflict("sold-out", text()),
        HostingError::KeyReused => Failure::key_reused(),
        HostingError::TooMany { .. } | HostingError::BlockFull { .. } => Failure::too_many(text()),
        HostingError::Ledger(LedgerError::InsufficientFunds { available, .. }) => {
            Failure::insufficient(*available)
        }
        HostingError::Farm(e) => farm_failure(e),
        other => Failure::of(other),
    }
}
