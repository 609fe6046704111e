//! A hosting contract and its terms.

use crate::charge::{Carry, Rates};
use crate::{HostingError, Result};
use gruve_farm::Inventory;
use gruve_statement::hosting::{
    Back, EARNINGS_RULE, END_RULE, ENERGY_RULE, EndedBy, FEE_RULE, HOSTING_TERMS, HostingTerms,
    LEVEL_RULE,
};
use gruve_store::{FromValue, Kind, Row, Storable, Unfit, Value};
use gruve_units::{
    AccountId, Amount, Asset, Bps, ContractId, EpochNumber, LaneId, MachineId, Timestamp,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $wanted:literal: $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// The stable word.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(s: &str) -> std::result::Result<Self, String> {
                match s {
                    $($word => Ok($name::$variant),)*
                    _ => Err(concat!("write ", $wanted).to_owned()),
                }
            }
        }

        impl Storable for $name {
            const KIND: Kind = Kind::Text;
            fn into_value(self) -> Value {
                self.name().into()
            }
        }

        impl FromValue for $name {
            fn from_value(value: Value) -> std::result::Result<Self, Unfit> {
                String::from_value(value)?.parse().map_err(|_| Unfit { wanted: $wanted })
            }
        }
    };
}

words! {
    /// What the owner has.
    HostingKind, "sold or leased":
    /// The machine itself; at the end it is handed out.
    Sold = "sold",
    /// The use of it; at the end it is the house's again.
    Leased = "leased",
}

words! {
    /// How its work earns.
    Scheme, "pplns or solo":
    /// By the lane's window.
    Pplns = "pplns",
    /// By its own blocks only.
    Solo = "solo",
}

words! {
    /// What bills are taken from.
    PayFrom, "earnings or balance":
    /// Only from what is settled with them; what that does not cover is waived.
    Earnings = "earnings",
    /// From the owner's balance; what that does not cover is owed.
    Balance = "balance",
}

words! {
    /// Where a contract is.
    HostingState, "a hosting state":
    /// The other side has not answered.
    Offered = "offered",
    /// Ordered by a plan; the machine waits for the invoice to be paid.
    Ordered = "ordered",
    /// Accepted: it begins, runs, or waits for its last bill.
    Active = "active",
    /// Over. Energy that its site's agent reports late is still billed.
    Closing = "closing",
    /// Its last bill is written.
    Ended = "ended",
    /// The offer was taken back or refused.
    Withdrawn = "withdrawn",
}

/// What is agreed beside the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferTerms {
    /// Sold or leased.
    pub kind: HostingKind,
    /// How its work earns.
    pub scheme: Scheme,
    /// What bills are taken from.
    pub pay_from: PayFrom,
    /// What bills are in. From earnings: an asset that the lane earns.
    pub asset: Asset,
    /// A kilowatt-hour, in minor units.
    pub energy_minor_per_kwh: i64,
    /// A day of hosting, in minor units.
    pub fee_minor_per_day: i64,
    /// The promised part of the time; zero promises nothing.
    pub level: Bps,
    /// After so many epochs it ends by itself; zero: when the operator ends it.
    pub term_epochs: u64,
    /// Earnings go to the payout address once so many minor units of the lane's own coin wait for it.
    pub minimum_payout_minor: i64,
    /// What the operator keeps of what it earns, at most; none in contracts from before it was agreed: the lane's fee then.
    pub earnings_fee: Option<Bps>,
}

/// What is left of a term that is handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rest {
    /// It ends before this epoch.
    pub(crate) until: EpochNumber,
    /// What the operator was paid for the whole of it.
    pub(crate) back: Option<Back>,
}

/// The plan that a machine was ordered by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfPlan {
    /// Its name.
    pub id: String,
    /// Its version.
    pub version: u32,
}

impl OfferTerms {
    /// What comes back of a price for the whole term when the operator ends it: of a lease's only.
    fn back(&self, price: Amount) -> Option<Back> {
        let is_sold_for_a_term = self.kind == HostingKind::Leased && self.term_epochs > 0;
        let back = Back { asset: price.asset, minor: price.minor, epochs: self.term_epochs };
        (is_sold_for_a_term && price.minor > 0).then_some(back)
    }

    /// The canonical bytes for a machine at a price; `epoch_us` is the length of its lane's epochs.
    ///
    /// # Errors
    /// [`HostingError::BadTerms`].
    pub(crate) fn canonical(
        &self,
        machine: &Inventory,
        price: Amount,
        epoch_us: u64,
        plan: Option<&OfPlan>,
        rest: Option<&Rest>,
    ) -> Result<Vec<u8>> {
        let amounts = [
            self.energy_minor_per_kwh,
            self.fee_minor_per_day,
            price.minor,
            self.minimum_payout_minor,
        ];
        if amounts.iter().any(|a| *a < 0) {
            return Err(HostingError::BadTerms("a price is negative"));
        }
        let terms = HostingTerms {
            format: HOSTING_TERMS.to_owned(),
            serial: machine.serial.clone(),
            model: machine.model.clone(),
            lane: machine.lane.clone(),
            nameplate: machine.nameplate,
            nameplate_watts: machine.watts,
            kind: self.kind.name().to_owned(),
            scheme: self.scheme.name().to_owned(),
            pay_from: self.pay_from.name().to_owned(),
            asset: self.asset,
            energy_minor_per_kwh: self.energy_minor_per_kwh,
            energy_rule: ENERGY_RULE.to_owned(),
            fee_minor_per_day: self.fee_minor_per_day,
            fee_rule: FEE_RULE.to_owned(),
            service_level_bps: self.level.get(),
            service_level_rule: LEVEL_RULE.to_owned(),
            price_asset: price.asset,
            price_minor: price.minor,
            epoch_us: Some(epoch_us),
            term_epochs: (self.term_epochs > 0 && rest.is_none()).then_some(self.term_epochs),
            minimum_payout_minor: (self.minimum_payout_minor > 0)
                .then_some(self.minimum_payout_minor),
            plan: plan.map(|p| p.id.clone()),
            plan_version: plan.map(|p| p.version),
            until_epoch: rest.map(|r| r.until.0),
            end_rule: Some(END_RULE.to_owned()),
            back: rest.map_or_else(|| self.back(price), |r| r.back),
            earnings_fee_bps: self.earnings_fee.map(Bps::get),
            earnings_rule: self.earnings_fee.map(|_| EARNINGS_RULE.to_owned()),
        };
        terms.canonical().map_err(|_| HostingError::BadTerms("they cannot be written"))
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Where the owner's coins go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// The one in force.
    pub now: Option<String>,
    /// One that will be in force, and from when.
    pub next: Option<(String, Timestamp)>,
}

impl Address {
    /// The one in force at an instant.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Option<&str> {
        match &self.next {
            Some((next, from)) if *from <= now => Some(next),
            _ => self.now.as_deref(),
        }
    }
}

/// A hosting contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Its id.
    pub id: ContractId,
    /// The machine.
    pub machine: MachineId,
    /// The machine's lane.
    pub lane: LaneId,
    /// Whose it is, or to whom it is offered.
    pub account: AccountId,
    /// Where it is.
    pub state: HostingState,
    /// What is agreed.
    pub terms: OfferTerms,
    /// What is paid for it at once.
    pub price: Amount,
    /// The contract before it, for a machine handed on.
    pub replaces: Option<ContractId>,
    /// The canonical bytes of the terms.
    pub terms_bytes: Vec<u8>,
    /// Their SHA-256.
    pub terms_hash: [u8; 32],
    /// Where the owner's coins go.
    pub address: Address,
    /// When it was offered.
    pub offered_at: Timestamp,
    /// When the account agreed to take what another owner offers it.
    pub agreed_at: Option<Timestamp>,
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
    /// Its first epoch.
    pub from: Option<EpochNumber>,
    /// The epoch that is no longer its own.
    pub until: Option<EpochNumber>,
    /// Before which epoch its term ends by itself.
    pub term_end: Option<EpochNumber>,
    /// Who ended it, when, and what came back of its price.
    pub ended: Option<(EndedBy, Timestamp, i64)>,
    /// The last epoch that is billed.
    pub billed_to: Option<EpochNumber>,
    /// Fractions carried from bill to bill.
    pub carry: Carry,
    /// Whether a payment that it was bought with is disputed.
    pub is_frozen: bool,
    /// What is owed.
    pub arrears: i64,
    /// Bills written.
    pub bills: i64,
    /// The plan that it was ordered by.
    pub plan: Option<OfPlan>,
    /// Key and signature under its terms, since it was accepted.
    pub signed: Option<([u8; 32], [u8; 64])>,
}

impl Contract {
    /// Its prices.
    #[must_use]
    pub fn rates(&self) -> Rates {
        Rates {
            energy_minor_per_kwh: self.terms.energy_minor_per_kwh,
            fee_minor_per_day: self.terms.fee_minor_per_day,
            level: self.terms.level,
        }
    }

    /// Whether it goes on beyond a border: nobody has ended it or handed it on, and its term is not over by then.
    #[must_use]
    pub fn runs_beyond(&self, border: EpochNumber) -> bool {
        // What was ended or handed on ends at a border that was the next one then.
        self.state == HostingState::Active && self.until.is_none_or(|until| until > border)
    }

    /// What comes back of its price is in this asset.
    #[must_use]
    pub fn back_asset(&self) -> Asset {
        self.agreed().ok().and_then(|t| t.back).map_or(self.price.asset, |back| back.asset)
    }

    /// The machine's model and serial number, as agreed.
    #[must_use]
    pub fn machine_name(&self) -> String {
        self.agreed()
            .map_or_else(|_| self.machine.to_string(), |t| format!("{} {}", t.model, t.serial))
    }

    /// What the signed terms say.
    pub(crate) fn agreed(&self) -> Result<HostingTerms> {
        HostingTerms::parse(&self.terms_bytes)
            .map_err(|_| HostingError::Broken("terms that cannot be read"))
    }

    pub(crate) fn read(row: &Row) -> Result<Contract> {
        let ended_by: Option<String> = row.get("ended_by")?;
        let ended_by = match ended_by {
            None => None,
            Some(by) => Some(EndedBy::named(&by).ok_or(HostingError::Broken("who ended it"))?),
        };
        let ended = match (ended_by, row.get("ended_at")?) {
            (Some(by), Some(at)) => Some((by, at, row.get("back_minor")?)),
            _ => None,
        };
        let next: Option<String> = row.get("next_address")?;
        let plan: Option<String> = row.get("plan")?;
        let key: Option<[u8; 32]> = row.get("terms_key")?;
        Ok(Contract {
            id: row.get("id")?,
            machine: row.get("machine")?,
            lane: row.get("lane")?,
            account: row.get("account")?,
            state: row.get("state")?,
            terms: OfferTerms {
                kind: row.get("kind")?,
                scheme: row.get("scheme")?,
                pay_from: row.get("pay_from")?,
                asset: row.get("asset")?,
                energy_minor_per_kwh: row.get("energy_minor_per_kwh")?,
                fee_minor_per_day: row.get("fee_minor_per_day")?,
                level: row.get("level_bps")?,
                term_epochs: row.get("term_epochs")?,
                minimum_payout_minor: row.get("minimum_minor")?,
                earnings_fee: row.get("earnings_fee_bps")?,
            },
            price: Amount::new(row.get("price_asset")?, row.get("price_minor")?),
            replaces: row.get("replaces")?,
            terms_bytes: row.get("terms")?,
            terms_hash: row.get("terms_hash")?,
            address: Address {
                now: row.get("address")?,
                next: next.zip(row.get("next_address_from")?),
            },
            offered_at: row.get("offered_at")?,
            agreed_at: row.get("agreed_at")?,
            accepted_at: row.get("accepted_at")?,
            from: row.get("from_epoch")?,
            until: row.get("to_epoch")?,
            term_end: row.get("term_end")?,
            ended,
            billed_to: row.get("billed_to")?,
            carry: Carry { energy: row.get("energy_carry")?, fee: row.get("fee_carry")? },
            is_frozen: row.get::<i64>("disputes")? > 0,
            arrears: row.get("arrears")?,
            bills: row.get("bills")?,
            plan: plan.zip(row.get("plan_version")?).map(|(id, version)| OfPlan { id, version }),
            signed: key.zip(row.get("terms_signature")?),
        })
    }
}
