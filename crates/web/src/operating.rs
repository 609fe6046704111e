//! What staff does with sites, machines, hosting contracts and tickets: each deed once, for the console's forms
//! and for programs alike. Who may is the route's business; each deed is written into the security log first.

use crate::deciding::not_to_oneself;
use crate::extract::Staff;
use crate::failure::{Failure, sentence};
use crate::hosted::{farm_failure, hosting_failure};
use crate::state::AppState;
use gruve_farm::{MachineState, NewInventory, SitePower, Speaker, TicketId};
use gruve_hosting::{HostingKind, OfferTerms, PayFrom, Scheme};
use gruve_units::{
    Amount, Asset, Bps, ContractId, EpochNumber, Hashrate, LaneId, MachineId, SiteId,
};

/// A machine to be taken into the inventory.
pub(crate) struct AddMachine {
    pub(crate) site: String,
    pub(crate) lane: LaneId,
    pub(crate) name: String,
    pub(crate) serial: String,
    pub(crate) model: String,
    pub(crate) rack: String,
    pub(crate) hashrate: Hashrate,
    pub(crate) watts: u32,
}

/// A site's electricity as stated; the price is that of a kilowatt-hour in whole coins.
pub(crate) struct StatePower {
    pub(crate) site: String,
    pub(crate) co2_g_per_kwh: u32,
    pub(crate) asset: Asset,
    pub(crate) price: String,
    pub(crate) source: String,
}

/// A machine offered to an account; prices in whole coins.
pub(crate) struct OfferMachine {
    pub(crate) serial: String,
    pub(crate) to: String,
    pub(crate) kind: HostingKind,
    pub(crate) scheme: Scheme,
    pub(crate) pay_from: PayFrom,
    pub(crate) asset: Asset,
    pub(crate) energy: String,
    pub(crate) fee: String,
    pub(crate) level: u16,
    pub(crate) price: String,
    pub(crate) price_asset: Asset,
}

fn decimal(asset: Asset, text: &str) -> Result<Amount, Failure> {
    let read = Amount::parse_decimal(asset, text.trim());
    read.map_err(|e| Failure::refused(sentence(&e.to_string())))
}

impl AppState {
    /// The site of that name.
    pub(crate) async fn site_named(&self, name: &str) -> Result<SiteId, Failure> {
        let sites = self.farm().sites().await?;
        let found = sites.iter().find(|s| s.name == name).map(|s| s.id);
        found.ok_or_else(|| Failure::not_found("site"))
    }

    /// The machine of that serial number.
    pub(crate) async fn machine_of(&self, serial: &str) -> Result<MachineId, Failure> {
        let found = self.farm().inventory_by_serial(serial.trim()).await;
        Ok(found.map_err(|e| farm_failure(&e))?.machine)
    }

    /// States a site's electricity.
    pub(crate) async fn state_power(&self, staff: Staff, new: StatePower) -> Result<(), Failure> {
        let power = SitePower {
            site: self.site_named(&new.site).await?,
            name: new.site.clone(),
            co2_g_per_kwh: new.co2_g_per_kwh,
            price_asset: new.asset,
            price_minor_per_kwh: decimal(new.asset, &new.price)?.minor,
            source: new.source,
        };
        let stated = async { self.farm().state_power(&power).await.map_err(|e| farm_failure(&e)) };
        self.act(staff, None, "site.power", &new.site, stated).await
    }

    /// Makes the token of a site's agent, which is shown once.
    pub(crate) async fn site_token(&self, staff: Staff, name: &str) -> Result<String, Failure> {
        let site = self.site_named(name).await?;
        let made = async { self.farm().new_agent_token(site).await.map_err(|e| farm_failure(&e)) };
        self.act(staff, None, "site.token", name, made).await
    }

    /// Takes a machine into the inventory.
    pub(crate) async fn add_machine(
        &self,
        staff: Staff,
        new: AddMachine,
    ) -> Result<MachineId, Failure> {
        self.farm().rule(&new.lane).map_err(|e| farm_failure(&e))?;
        let site = self.site_named(&new.site).await?;
        let detail = format!("{} {}", new.site, new.serial);
        let AddMachine { lane, name, serial, model, rack, hashrate: nameplate, watts, .. } = new;
        let new = NewInventory { site, name, lane, serial, model, rack, nameplate, watts };
        let added = async { self.farm().add_inventory(new).await.map_err(|e| farm_failure(&e)) };
        self.act(staff, None, "machine.add", &detail, added).await
    }

    /// Brings a machine into another state.
    pub(crate) async fn set_machine(
        &self,
        staff: Staff,
        serial: &str,
        wanted: MachineState,
    ) -> Result<(), Failure> {
        let machine = self.machine_of(serial).await?;
        let set =
            async { self.farm().set_state(machine, wanted).await.map_err(|e| farm_failure(&e)) };
        let detail = format!("{machine} {}", wanted.name());
        self.act(staff, None, "machine.state", &detail, set).await
    }

    /// Offers a machine of the house to an account, which must accept.
    pub(crate) async fn offer_machine(
        &self,
        staff: Staff,
        new: OfferMachine,
    ) -> Result<ContractId, Failure> {
        let machine = self.farm().inventory_by_serial(new.serial.trim()).await;
        let machine = machine.map_err(|e| farm_failure(&e))?;
        let account = self.accounts().account_by_name(new.to.trim()).await?;
        let account =
            account.ok_or_else(|| Failure::refused("There is no account of that name."))?;
        not_to_oneself(staff, account)?;
        let (asset, pay_from) = (new.asset, new.pay_from);
        let lane = self.market().lane(&machine.lane)?;
        if pay_from == PayFrom::Earnings && !lane.assets().any(|a| a == asset) {
            let why = format!(
                "Lane {} does not earn {asset}: bills cannot be taken from that.",
                lane.lane
            );
            return Err(Failure::refused(why));
        }
        let level = Bps::new(new.level);
        let terms = OfferTerms {
            kind: new.kind,
            scheme: new.scheme,
            pay_from,
            asset,
            energy_minor_per_kwh: decimal(asset, &new.energy)?.minor,
            fee_minor_per_day: decimal(asset, &new.fee)?.minor,
            level: level.ok_or_else(|| Failure::refused("Write the level as 0 to 10000."))?,
            term_epochs: 0,
            minimum_payout_minor: 0,
            earnings_fee: Some(lane.outside_fee_bps),
        };
        let price = decimal(new.price_asset, &new.price)?;
        let offered = async {
            let made = self.hosting().offer(machine.machine, account, terms, price).await;
            made.map_err(|e| hosting_failure(&e))
        };
        let detail = machine.machine.to_string();
        self.act(staff, Some(account), "hosting.offer", &detail, offered).await
    }

    /// Takes an offer back.
    pub(crate) async fn take_offer_back(
        &self,
        staff: Staff,
        id: ContractId,
    ) -> Result<(), Failure> {
        let done = self.withdraw_hosting(None, id);
        self.act(staff, None, "hosting.withdraw", &id.to_string(), done).await
    }

    /// Ends a hosting contract at an epoch's border.
    pub(crate) async fn end_hosting(
        &self,
        staff: Staff,
        id: ContractId,
    ) -> Result<EpochNumber, Failure> {
        let done = self.end_hosting_for(id);
        self.act(staff, None, "hosting.end", &id.to_string(), done).await
    }

    /// Opens a ticket about a machine, which its owner sees.
    pub(crate) async fn staff_ticket(
        &self,
        staff: Staff,
        (serial, title, text): (&str, &str, &str),
    ) -> Result<TicketId, Failure> {
        let machine = self.machine_of(serial).await?;
        let opened = async {
            let opened = self.farm().open_ticket(machine, Speaker::Operator, title, text).await;
            opened.map_err(|e| farm_failure(&e))
        };
        self.act(staff, None, "ticket.open", &machine.to_string(), opened).await
    }

    /// Answers on a ticket.
    pub(crate) async fn answer_ticket(
        &self,
        staff: Staff,
        id: TicketId,
        text: &str,
    ) -> Result<(), Failure> {
        let said = async {
            let said = self.farm().say_on_ticket(id, Speaker::Operator, text).await;
            said.map_err(|e| farm_failure(&e))
        };
        self.act(staff, None, "ticket.answer", &id.to_string(), said).await
    }

    /// Closes a ticket.
    pub(crate) async fn shut_ticket(&self, staff: Staff, id: TicketId) -> Result<(), Failure> {
        let closed = async {
            let closed = self.farm().close_ticket(id, Speaker::Operator).await;
            closed.map_err(|e| farm_failure(&e))
        };
        self.act(staff, None, "ticket.close", &id.to_string(), closed).await
    }
}
