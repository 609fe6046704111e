//! A site with one machine, its agent, the share log's counts, settlements and a clock, all in the test's hands.
#![allow(dead_code)] // each test file uses its part

use ed25519_dalek::SigningKey;
use gruve_farm::{
    Farm, HouseSecret, MachineOwner, MachineState, NewInventory, Proof, ProvenPlace, Report, Said,
    Sample,
};
use gruve_hosting::{
    Bill, Hosting, HostingError, HostingKind, OfferTerms, PayFrom, Scheme, Settled,
};
use gruve_ledger::{Account, Entry};
use gruve_store::{Store, transact};
use gruve_units::{
    AccountId, Amount, Asset, Bps, Class, Clock as _, ContractId, EpochNumber, EpochRule, Hashrate,
    LaneId, MachineId, ManualClock, SeededEntropy, SiteId, Timestamp,
};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const LENGTH_US: u64 = 600_000_000;
/// Two classes below what the machine finds every five seconds.
pub(crate) const CLASS: u8 = 47;
pub(crate) const RATE: u64 = 110_000_000_000_000;

/// What the machines of [`stocked`] are.
pub(crate) const MODEL: &str = "S21";

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) farm: Farm,
    pub(crate) hosting: Hosting,
    pub(crate) site: SiteId,
    pub(crate) machine: MachineId,
    pub(crate) key: [u8; 32],
}

pub(crate) fn lane() -> LaneId {
    "btc".parse().unwrap()
}

pub(crate) fn account(n: u8) -> AccountId {
    AccountId::from_bytes([n; 16])
}

pub(crate) fn btc(minor: i64) -> Amount {
    Amount::new(Asset::Btc, minor)
}

pub(crate) fn terms(pay_from: PayFrom) -> OfferTerms {
    OfferTerms {
        kind: HostingKind::Sold,
        scheme: Scheme::Pplns,
        pay_from,
        asset: Asset::Btc,
        energy_minor_per_kwh: 1_000,
        fee_minor_per_day: 14_400,
        level: Bps::new(9_500).unwrap(),
        term_epochs: 0,
        minimum_payout_minor: 0,
        earnings_fee: None,
    }
}

pub(crate) async fn world(store: Store) -> World {
    store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
    Farm::migrate(&store).await.unwrap();
    Hosting::migrate(&store).await.unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_400)));
    let entropy = Arc::new(SeededEntropy::new(9));
    let rule = EpochRule { length_us: LENGTH_US, grace_us: 30_000_000 };
    let farm = Farm::new(store.clone(), clock.clone(), entropy.clone())
        .with_house_secret(HouseSecret::new("sixteen bytes ok").unwrap())
        .with_rules(BTreeMap::from([(lane(), rule)]));
    let site = farm.add_site("oslo").await.unwrap();
    let new = NewInventory {
        site,
        name: "rig-1".to_owned(),
        lane: lane(),
        serial: "SN0001".to_owned(),
        model: "S19 Pro".to_owned(),
        rack: "A-3".to_owned(),
        nameplate: Hashrate(u128::from(RATE)),
        watts: 3_000,
    };
    let machine = farm.add_inventory(new).await.unwrap();
    farm.set_state(machine, MachineState::Running).await.unwrap();
    farm.new_agent_token(site).await.unwrap();
    let signer = SigningKey::from_bytes(&[5; 32]);
    let key = signer.verifying_key().to_bytes();
    let hosting = Hosting::new(
        store.clone(),
        farm.clone(),
        clock.clone(),
        entropy,
        signer,
        "example.org/gruve",
    );
    World { store, clock, farm, hosting, site, machine, key }
}

/// One more machine in the house, nobody's yet.
pub(crate) async fn stocked(w: &World, n: u8) -> MachineId {
    let new = NewInventory {
        site: w.site,
        name: format!("own-{n}"),
        lane: lane(),
        serial: format!("SN1{n:03}"),
        model: MODEL.to_owned(),
        rack: "B-1".to_owned(),
        nameplate: Hashrate(u128::from(RATE)),
        watts: 3_500,
    };
    w.farm.add_inventory(new).await.unwrap()
}

impl World {
    pub(crate) async fn fund(&self, who: AccountId, minor: i64) {
        let reason = format!("test/{who}/{minor}/{}", self.clock.now().0);
        let (from, to) = (Account::ChainHot, Account::CustomerAvailable(who));
        let entry = Entry::transfer(reason, "test", self.clock.now(), from, to, btc(minor));
        transact!(self.store, tx -> Result<(), HostingError> => {
            gruve_ledger::post(tx, &entry).await?;
            Ok(())
        })
        .unwrap();
    }

    pub(crate) async fn balance(&self, account: Account) -> i64 {
        let mut tx = self.store.read().await.unwrap();
        gruve_ledger::balance(&mut tx, &account, Asset::Btc).await.unwrap().minor
    }

    pub(crate) async fn available(&self, who: AccountId) -> i64 {
        self.balance(Account::CustomerAvailable(who)).await
    }

    /// Offered, accepted, begun.
    pub(crate) async fn hosted(
        &self,
        who: AccountId,
        pay_from: PayFrom,
    ) -> (ContractId, EpochNumber) {
        let id = self.hosting.offer(self.machine, who, terms(pay_from), btc(0)).await.unwrap();
        let from = self.hosting.accept(who, id).await.unwrap();
        self.clock.set(self.farm.rule(&lane()).unwrap().start(from));
        (id, from)
    }

    /// Lets an epoch pass: readings each minute, shares, the log's seal.
    pub(crate) async fn epoch(&self, epoch: EpochNumber, watts: u32, claimed: u64, shares: u64) {
        self.clock.set(self.farm.rule(&lane()).unwrap().end(epoch));
        assert_eq!(self.report(epoch, watts, claimed).await, 0);
        self.seal(epoch, shares).await;
    }

    /// Reports an epoch's readings now; gives how many were refused.
    pub(crate) async fn report(&self, epoch: EpochNumber, watts: u32, claimed: u64) -> u64 {
        let begin = self.farm.rule(&lane()).unwrap().start(epoch);
        let next = self.farm.agent_of(self.site).await.unwrap().unwrap().next;
        let sample = |n: u64| Sample {
            seq: next + n,
            at_us: begin.0 + (n * 60_000_000).cast_signed(),
            serial: "SN0001".to_owned(),
            said: Some(Said {
                hashes_per_second: Some(claimed),
                watts: Some(watts),
                ..Said::default()
            }),
            fault: None,
        };
        // The first of an epoch is the last of the one before.
        let last = self.farm.reading(self.machine).await.unwrap().map(|r| r.at);
        let first = u64::from(last == Some(begin));
        let report = Report { samples: (first..=10).map(sample).collect() };
        self.farm.take_report(self.site, &report).await.unwrap().refused
    }

    /// Counts an epoch's shares up to the log's seal.
    pub(crate) async fn seal(&self, epoch: EpochNumber, shares: u64) {
        let owner = self.farm.owners().await.unwrap().owner_in(self.machine, epoch);
        let mut proof = Proof::none(owner.unwrap_or(MachineOwner::House));
        (0..shares).for_each(|_| proof.add(Class::new(CLASS).unwrap()));
        let proofs: BTreeMap<_, _> =
            (shares > 0).then_some(((self.machine, epoch), proof)).into_iter().collect();
        let from = self.farm.proven_place(&lane()).await.unwrap();
        let offset = from.place.map_or(0, |p| p.1) + 1;
        let to = ProvenPlace { place: Some((1, offset)), sealed: Some(epoch) };
        assert!(self.farm.add_proven(&lane(), &proofs, from, to).await.unwrap());
    }

    pub(crate) async fn settle(&self, to: EpochNumber, credited: &[(AccountId, Amount)]) {
        for (who, amount) in credited {
            self.fund(*who, amount.minor).await;
        }
        let (hosting, lane, now) = (&self.hosting, lane(), self.clock.now());
        let settled = Settled { lane: &lane, to, now, credited };
        transact!(self.store, tx -> Result<(), HostingError> => { hosting.bill(tx, &settled).await })
            .unwrap();
    }

    /// What the audit finds: nothing.
    pub(crate) async fn assert_sound(&self) {
        let mut tx = self.store.read().await.unwrap();
        let audit = self.hosting.audit(&mut tx).await.unwrap();
        assert!(audit.findings.is_empty(), "{:?}", audit.findings);
    }

    pub(crate) async fn bills(&self, id: ContractId) -> Vec<Bill> {
        let mut all = self.hosting.bills(id, 100).await.unwrap();
        all.reverse();
        all
    }
}

/// Shares of a whole epoch at the nameplate.
pub(crate) const FULL: u64 = (RATE * 600) >> CLASS;
