//! What owners of hosted machines may do. Each call checks whose machine it is.

use crate::failure::{Failure, sentence};
use crate::state::AppState;
use crate::trade::market_failure;
use gruve_accounts::AccountsError;
use gruve_farm::{FarmError, Note, SitePower, Speaker, Ticket, TicketId};
use gruve_hosting::footprint::Footprint;
use gruve_hosting::{Contract, HostedMachine, HostingError};
use gruve_ledger::LedgerError;
use gruve_market::metered::Period;
use gruve_market::{ContractView, DELIVERED_MAX, EPOCH_LINES_MAX, MarketError, Scheme};
use gruve_store::transact;
use gruve_units::{AccountId, Amount, ContractId, Duration, EpochNumber, Hashes};

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

    /// Takes what is offered.
    pub(crate) async fn accept_hosting(
        &self,
        account: AccountId,
        id: ContractId,
    ) -> Result<EpochNumber, Failure> {
        let from = self.hosting().accept(account, id).await.map_err(|e| hosting_failure(&e))?;
        let contract = self.own_hosting(account, id).await?;
        let scheme = match contract.terms.scheme {
            gruve_hosting::Scheme::Pplns => Scheme::Pplns,
            gruve_hosting::Scheme::Solo => Scheme::Solo,
        };
        let (now, _) = self.market().own_scheme(account, &contract.lane).await?;
        if now != scheme {
            transact!(self.store(), tx -> Result<(), MarketError> => {
                self.market().set_own_scheme(tx, account, &contract.lane, scheme).await?;
                Ok(())
            })?;
        }
        self.pulse().beat();
        Ok(from)
    }

    /// Refuses what is offered, or takes an own offer back.
    pub(crate) async fn withdraw_hosting(
        &self,
        account: AccountId,
        id: ContractId,
    ) -> Result<(), Failure> {
        self.hosting().withdraw(id, Some(account)).await.map_err(|e| hosting_failure(&e))
    }

    /// Offers an own machine to another account by its name.
    pub(crate) async fn transfer_hosting(
        &self,
        account: AccountId,
        id: ContractId,
        to: &str,
        price: Amount,
    ) -> Result<ContractId, Failure> {
        let found = self.accounts().account_by_name(to).await;
        let found = found.map_err(|e: AccountsError| Failure::of(&e))?;
        let to = found.ok_or_else(|| Failure::refused(format!("There is no account {to:?}.")))?;
        let offered = self.hosting().offer_transfer(account, id, to, price).await;
        offered.map_err(|e| hosting_failure(&e))
    }

    /// Sets where the coins of a machine go, once the address is known to be one of its chain.
    pub(crate) async fn address_hosting(
        &self,
        account: AccountId,
        id: ContractId,
        address: &str,
    ) -> Result<(), Failure> {
        let contract = self.own_hosting(account, id).await?;
        let asset = self.market().lane(&contract.lane).map_err(|e| Failure::of(&e))?.asset;
        let one = Amount::new(asset, asset.unit());
        let quote = self.treasury().quote_payout(one, address).await;
        quote.map_err(|e| crate::trade::treasury_failure(&e))?;
        let set = self.hosting().set_address(account, id, address).await;
        set.map_err(|e| hosting_failure(&e))
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
        opened.map_err(|e| farm_failure(&e))
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
        HostingError::NotNow(_) => Failure::conflict("not-now", text()),
        HostingError::NotYours => Failure::conflict("not-yours", text()),
        HostingError::OfferOpen => Failure::conflict("offer-open", text()),
        HostingError::TooMany { .. } => Failure::too_many(text()),
        HostingError::Ledger(LedgerError::InsufficientFunds { available, .. }) => {
            Failure::insufficient(*available)
        }
        HostingError::Farm(e) => farm_failure(e),
        other => Failure::of(other),
    }
}
