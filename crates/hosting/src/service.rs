//! Offers and acceptances: how a machine comes to an owner. On to another: [`crate::handing`]; back: [`crate::ends`].

use crate::Order;
use crate::certificate::{self, Certificate, CertificateError, Signed};
use crate::contract::{Contract, HostingState, OfferTerms, Rest, sha256};
use crate::sql;
use crate::{HostingError, MIGRATIONS, Result};
use ed25519_dalek::SigningKey;
use gruve_farm::{Farm, MachineOwner, MachineState};
use gruve_ledger::{Account, Entry};
use gruve_statement::hosting::EndedBy;
use gruve_store::{Store, Tx, params, transact};
use gruve_units::{
    AccountId, Amount, Clock, ContractId, Entropy, EpochNumber, MachineId, Timestamp,
};
use std::fmt;
use std::sync::Arc;

/// Hosting contracts of an account at most, open offers to it included: what a large hall holds.
pub const CONTRACTS_MAX: i64 = 5_000;

/// What a certificate says, or why it is not believed.
pub(crate) type Checked = std::result::Result<Certificate, CertificateError>;

/// An offer to be written.
#[derive(Clone, Copy)]
pub(crate) struct NewOffer<'a> {
    pub(crate) machine: MachineId,
    pub(crate) to: AccountId,
    pub(crate) terms: OfferTerms,
    pub(crate) price: Amount,
    pub(crate) replaces: Option<ContractId>,
    /// Of a term that is handed on.
    pub(crate) rest: Option<Rest>,
    pub(crate) order: Option<&'a Order>,
    /// [`HostingState::Ordered`] where an invoice is to be paid first.
    pub(crate) state: HostingState,
}

/// Hosted machines' contracts. Cloning is cheap.
#[derive(Clone)]
pub struct Hosting {
    pub(crate) store: Store,
    pub(crate) farm: Farm,
    pub(crate) clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    pub(crate) signer: Arc<SigningKey>,
    /// Keys that the house signed with before, the newest first.
    former: Arc<[[u8; 32]]>,
    origin: String,
}

impl fmt::Debug for Hosting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosting").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Hosting {
    /// The service. Call [`Hosting::migrate`] before anything else, after the farm's and the ledger's.
    #[must_use]
    pub fn new(
        store: Store,
        farm: Farm,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        signer: SigningKey,
        origin: &str,
    ) -> Hosting {
        let (signer, origin) = (Arc::new(signer), origin.to_owned());
        Hosting { store, farm, clock, entropy, signer, former: Arc::default(), origin }
    }

    /// The same of a house that signed with other keys before, the oldest first: what they signed is the operator's, too.
    #[must_use]
    pub fn with_former_keys(self, keys: impl IntoIterator<Item = [u8; 32]>) -> Hosting {
        let own = self.signer.verifying_key().to_bytes();
        let mut former: Vec<_> = keys.into_iter().filter(|key| *key != own).collect();
        former.reverse();
        Hosting { former: former.into(), ..self }
    }

    /// Whether the house signs with a key, or ever did.
    pub(crate) fn is_own(&self, key: &[u8; 32]) -> bool {
        self.signer.verifying_key().as_bytes() == key || self.former.contains(key)
    }

    /// Puts the room's tables in place.
    ///
    /// # Errors
    /// The database's.
    pub async fn migrate(store: &Store) -> Result<()> {
        Ok(store.migrate("hosting", MIGRATIONS).await?)
    }

    /// The operator offers a machine of the house to an account.
    ///
    /// # Errors
    /// [`HostingError::BadTerms`], [`HostingError::NotYours`] when it is somebody's,
    /// [`HostingError::OfferOpen`], [`HostingError::TooMany`], the farm's.
    pub async fn offer(
        &self,
        machine: MachineId,
        to: AccountId,
        terms: OfferTerms,
        price: Amount,
    ) -> Result<ContractId> {
        transact!(self.store, tx -> Result<_> => {
            let border = self.farm.next_border(&self.farm.inventory_of(tx, machine).await?.lane)?;
            if holder(tx, machine, border).await?.is_some() {
                return Err(HostingError::NotYours);
            }
            let state = HostingState::Offered;
            let new =
                NewOffer { machine, to, terms, price, replaces: None, rest: None, order: None, state };
            self.insert_offer(tx, &new).await
        })
    }

    pub(crate) async fn insert_offer(&self, tx: &mut Tx, new: &NewOffer<'_>) -> Result<ContractId> {
        let NewOffer { machine, to, terms, price, replaces, rest, order, state } = *new;
        let thing = self.farm.inventory_of(tx, machine).await?;
        if thing.state == MachineState::Returned {
            return Err(HostingError::NotYours);
        }
        let length_us = self.farm.rule(&thing.lane)?.length_us;
        let plan = order.map(|o| &o.plan);
        let bytes = terms.canonical(&thing, price, length_us, plan, rest.as_ref())?;
        let count: i64 = tx.fetch_one(sql::COUNT_OF_ACCOUNT, &params![to]).await?.get("n")?;
        if count >= CONTRACTS_MAX {
            return Err(HostingError::TooMany { max: CONTRACTS_MAX });
        }
        let now = self.clock.now();
        let id = ContractId::new(now, self.entropy.as_ref());
        let hash = sha256(&bytes);
        let given = params![
            id,
            machine,
            thing.lane,
            to,
            state,
            terms.kind,
            terms.scheme,
            terms.pay_from,
            terms.asset,
            terms.energy_minor_per_kwh,
            terms.fee_minor_per_day,
            terms.level,
            price.asset,
            price.minor,
            replaces,
            bytes,
            hash,
            now,
            terms.term_epochs,
            terms.minimum_payout_minor,
            order.map(|o| o.plan.id.clone()),
            order.map(|o| o.plan.version),
            order.and_then(|o| o.request_key.clone()),
            rest.map(|r| r.until),
            terms.earnings_fee
        ];
        match tx.execute(sql::INSERT_CONTRACT, &given).await? {
            0 => Err(HostingError::OfferOpen),
            _ => Ok(id),
        }
    }

    /// Takes an offer or an unpaid order back: the operator (`None`), the owner who made it, or the account it was
    /// made to.
    ///
    /// # Errors
    /// [`HostingError::NoContract`], [`HostingError::NotNow`].
    pub async fn withdraw(&self, contract: ContractId, by: Option<AccountId>) -> Result<()> {
        transact!(self.store, tx -> Result<_> => { self.withdraw_in(tx, contract, by).await })
    }

    /// [`Hosting::withdraw`] within the caller's transaction, which ends an order's invoice with it.
    ///
    /// # Errors
    /// As [`Hosting::withdraw`].
    pub async fn withdraw_in(
        &self,
        tx: &mut Tx,
        contract: ContractId,
        by: Option<AccountId>,
    ) -> Result<()> {
        let offer = find(tx, contract).await?;
        if let Some(by) = by
            && offer.account != by
        {
            let old = offer.replaces.ok_or(HostingError::NoContract)?;
            own(find(tx, old).await?, by)?;
        }
        match tx.execute(sql::WITHDRAW, &params![contract]).await? {
            0 => Err(HostingError::NotNow(offer.state.name())),
            _ => Ok(()),
        }
    }

    /// The account that a machine is offered to takes it: the price is paid from its balance, the machine is its
    /// own from an epoch's border ahead, and a certificate is issued.
    ///
    /// # Errors
    /// [`HostingError::NoContract`], [`HostingError::NotNow`], [`HostingError::NotYours`] when the machine has
    /// changed hands meanwhile, the ledger's when the balance does not suffice, the farm's.
    pub async fn accept(&self, account: AccountId, contract: ContractId) -> Result<EpochNumber> {
        transact!(self.store, tx -> Result<_> => { self.accept_in(tx, account, contract).await })
    }

    /// [`Hosting::accept`] within the caller's transaction. Whether what another owner offers has waited long enough since it
    /// was agreed ([`Hosting::agree_in`]), and whether the price may leave the account is for the
    /// caller to find out, in the same transaction: this room knows of balances, not of what guards them.
    ///
    /// # Errors
    /// As [`Hosting::accept`].
    pub async fn accept_in(
        &self,
        tx: &mut Tx,
        account: AccountId,
        contract: ContractId,
    ) -> Result<EpochNumber> {
        let offer = own(find(tx, contract).await?, account)?;
        if offer.state != HostingState::Offered {
            return Err(HostingError::NotNow(offer.state.name()));
        }
        self.take_over(tx, &offer).await
    }

    /// Makes an open offer or a paid order its account's.
    pub(crate) async fn take_over(&self, tx: &mut Tx, offer: &Contract) -> Result<EpochNumber> {
        // One that was handed out since the offer is nobody's to give.
        if self.farm.inventory_of(tx, offer.machine).await?.state == MachineState::Returned {
            return Err(HostingError::NotYours);
        }
        let from = self.farm.next_border(&offer.lane)?;
        let holder = holder(tx, offer.machine, from).await?;
        if holder.as_ref().map(|h| h.id) != offer.replaces {
            return Err(HostingError::NotYours);
        }
        let now = self.clock.now();
        self.pay_price(tx, offer, holder.as_ref(), now).await?;
        if let Some(old) = &holder {
            if let Some(end) = old.until {
                // The one that goes on ends there instead.
                self.farm.take_back(tx, old.machine, end).await?;
            }
            self.set_end(tx, old, from, (EndedBy::HandedOn, now, 0)).await?;
        }
        self.farm.give(tx, offer.machine, MachineOwner::Account(offer.account), from).await?;
        let until = self.give_back_after_term(tx, offer, from).await?;
        let address = None::<String>;
        let key = self.signer.verifying_key().to_bytes();
        let signature = gruve_statement::terms::sign(&self.signer, &offer.terms_hash);
        let given = params![offer.id, now, from, address, key, signature, until];
        tx.execute(sql::ACCEPT, &given).await?;
        self.certify(tx, offer, from, now).await?;
        Ok(from)
    }

    /// With a term the end is written with the beginning: nobody has to think of it.
    async fn give_back_after_term(
        &self,
        tx: &mut Tx,
        offer: &Contract,
        from: EpochNumber,
    ) -> Result<Option<EpochNumber>> {
        let until = match (offer.term_end, offer.terms.term_epochs) {
            (Some(until), _) => until,
            (None, 0) => return Ok(None),
            (None, term) => EpochNumber(from.0.saturating_add(term)),
        };
        self.farm.give(tx, offer.machine, MachineOwner::House, until).await?;
        Ok(Some(until))
    }

    async fn pay_price(
        &self,
        tx: &mut Tx,
        offer: &Contract,
        holder: Option<&Contract>,
        now: Timestamp,
    ) -> Result<()> {
        if offer.price.minor == 0 {
            return Ok(());
        }
        let to = match holder {
            Some(old) => Account::CustomerAvailable(old.account),
            None => Account::OperatorRevenue,
        };
        let from = Account::CustomerAvailable(offer.account);
        let reason = format!("hosting/sale/{}", offer.id);
        let entry = Entry::transfer(reason, "hosting-sale", now, from, to, offer.price);
        gruve_ledger::post(tx, &entry).await?;
        Ok(())
    }

    async fn certify(
        &self,
        tx: &mut Tx,
        c: &Contract,
        from: EpochNumber,
        now: Timestamp,
    ) -> Result<()> {
        let thing = self.farm.inventory_of(tx, c.machine).await?;
        let last = tx.fetch_optional(sql::LAST_CERTIFICATE, &params![c.machine]).await?;
        let (number, previous) = match last {
            Some(row) => (row.get::<u64>("n")? + 1, hex::encode(row.get::<[u8; 32]>("hash")?)),
            None => (1, String::new()),
        };
        let certificate = Certificate {
            format: certificate::FORMAT.to_owned(),
            origin: self.origin.clone(),
            number,
            previous,
            machine: c.machine,
            serial: thing.serial,
            model: thing.model,
            site: thing.site_name,
            lane: thing.lane,
            nameplate: thing.nameplate,
            watts: thing.watts,
            kind: c.terms.kind.name().to_owned(),
            owner: c.account,
            contract: c.id,
            terms: hex::encode(c.terms_hash),
            from_epoch: from,
            signed_at_us: now.0,
        };
        let signed = certificate.sign(&self.signer);
        let (text, signature) = signed.map_err(|_| HostingError::Broken("a certificate"))?;
        let hash = certificate::hash(&text);
        let given = params![c.machine, number, c.id, text, hash, signature];
        tx.execute(sql::INSERT_CERTIFICATE, &given).await?;
        Ok(())
    }

    /// A contract of the account; of anybody for the operator (`None`).
    ///
    /// # Errors
    /// [`HostingError::NoContract`].
    pub async fn contract(&self, by: Option<AccountId>, id: ContractId) -> Result<Contract> {
        let mut tx = self.store.read().await?;
        let found = find(&mut tx, id).await?;
        match by {
            Some(account) => own(found, account),
            None => Ok(found),
        }
    }

    /// A contract of anybody's, within the caller's transaction.
    ///
    /// # Errors
    /// [`HostingError::NoContract`].
    pub async fn contract_in(&self, tx: &mut Tx, id: ContractId) -> Result<Contract> {
        find(tx, id).await
    }

    /// An account's contracts and offers, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn contracts(&self, account: AccountId) -> Result<Vec<Contract>> {
        let mut tx = self.store.read().await?;
        let rows = tx.fetch_all(sql::OF_ACCOUNT, &params![account, CONTRACTS_MAX]).await?;
        rows.iter().map(Contract::read).collect()
    }

    /// A page of an account's contracts and offers, or of all: those made before one of them, the newest first by
    /// their ids.
    ///
    /// # Errors
    /// The database's.
    pub async fn contracts_before(
        &self,
        account: Option<AccountId>,
        before: Option<ContractId>,
        limit: u32,
    ) -> Result<Vec<Contract>> {
        let before = before.unwrap_or(ContractId::from_bytes([0xff; 16]));
        let mut tx = self.store.read().await?;
        let rows = match account {
            Some(of) => tx.fetch_all(sql::OF_ACCOUNT_BEFORE, &params![of, before, limit]).await?,
            None => tx.fetch_all(sql::ALL_BEFORE, &params![before, limit]).await?,
        };
        rows.iter().map(Contract::read).collect()
    }

    /// All contracts, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn all_contracts(&self) -> Result<Vec<Contract>> {
        let rows = self.store.read().await?.fetch_all(sql::ALL, &[]).await?;
        rows.iter().map(Contract::read).collect()
    }

    /// The contracts that a machine has had, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn contracts_of_machine(&self, machine: MachineId) -> Result<Vec<Contract>> {
        let rows = self.store.read().await?.fetch_all(sql::OF_MACHINE, &params![machine]).await?;
        rows.iter().map(Contract::read).collect()
    }

    /// A contract's certificate.
    ///
    /// # Errors
    /// [`HostingError::NoContract`] when it has none.
    pub async fn certificate(&self, contract: ContractId) -> Result<Signed> {
        let mut tx = self.store.read().await?;
        let row = tx.fetch_optional(sql::CERTIFICATE, &params![contract]).await?;
        Ok(self.checked(&row.ok_or(HostingError::NoContract)?)?.0)
    }

    /// A machine's certificates, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn certificates(&self, machine: MachineId) -> Result<Vec<Signed>> {
        let rows = self.store.read().await?.fetch_all(sql::CERTIFICATES, &params![machine]).await?;
        rows.iter().map(|row| Ok(self.checked(row)?.0)).collect()
    }

    /// A certificate under the key that signed it, which may be one of before, and what it certifies.
    pub(crate) fn checked(&self, row: &gruve_store::Row) -> Result<(Signed, Checked)> {
        let own = self.signer.verifying_key().to_bytes();
        let mut signed = Signed {
            certificate: row.get("text")?,
            signature: hex::encode(row.get::<[u8; 64]>("signature")?),
            operator_key: hex::encode(own),
        };
        for key in std::iter::once(&own).chain(self.former.iter()) {
            let checked = signed.check(key);
            if checked != Err(CertificateError::NotSigned) {
                signed.operator_key = hex::encode(key);
                return Ok((signed, checked));
            }
        }
        Ok((signed, Err(CertificateError::NotSigned)))
    }
}

/// Whether a machine is offered to nobody and nobody's now.
pub(crate) async fn is_nobodys(
    tx: &mut Tx,
    machine: MachineId,
    border: EpochNumber,
) -> Result<bool> {
    let offered = tx.fetch_optional(sql::OPEN_OFFER, &params![machine]).await?;
    Ok(offered.is_none() && holder(tx, machine, border).await?.is_none())
}

/// The contract by which a machine is somebody's beyond a border.
pub(crate) async fn holder(
    tx: &mut Tx,
    machine: MachineId,
    border: EpochNumber,
) -> Result<Option<Contract>> {
    let row = tx.fetch_optional(sql::HOLDER, &params![machine, border]).await?;
    row.as_ref().map(Contract::read).transpose()
}

pub(crate) async fn find(tx: &mut Tx, id: ContractId) -> Result<Contract> {
    let row = tx.fetch_optional(sql::CONTRACT, &params![id]).await?;
    Contract::read(&row.ok_or(HostingError::NoContract)?)
}

pub(crate) fn own(contract: Contract, account: AccountId) -> Result<Contract> {
    if contract.account == account { Ok(contract) } else { Err(HostingError::NoContract) }
}
