//! Contracts by the meter.

use super::History;
use super::lane::{maintenance, scheme};
use crate::world::someone;
use gruve_market::metered::NoticeKind;
use gruve_market::{Result, Scheme};
use gruve_model::{Input, MeterTerms};
use gruve_store::transact;
use gruve_units::Hashrate;

/// The plans that are sold by the meter come after these leases.
const LEASES: usize = 6;

impl History {
    /// Contracts by the meter are started, filled and ended.
    pub(super) async fn by_meter(&mut self) {
        let account = someone(u8::try_from(self.below(4)).unwrap());
        let market = self.w.market.clone();
        if self.chance(25) {
            let minor = 1 + self.below(900);
            self.fund(account, 0, minor).await;
        }
        if self.chance(15) {
            let asked = if self.is_fat() { [0, 1, 1, 2] } else { [0, 1, 2, 2] };
            let at = LEASES + asked[usize::try_from(self.below(4)).unwrap()];
            let plan = self.w.market.config().plans[at].clone();
            let rate = 300 * (1 + u128::from(self.below(4)));
            let started = transact!(self.w.store, tx -> Result<_> => {
                market.start_metered(tx, account, &plan.id, Hashrate(rate), None).await
            });
            match started {
                Err(_) => self.figures.refused += 1,
                Ok(started) => {
                    let terms = MeterTerms {
                        hashrate: rate,
                        price_asset: 0,
                        price_minor: plan.price_minor,
                        price_hashrate: plan.price_hashrate.0,
                        fee_bps: plan.fee_bps.get(),
                        maintenance: maintenance(&plan),
                        scheme: scheme(&plan),
                    };
                    let (id, now) = (started.contract, self.w.now().0);
                    let (new, owner) = (id.to_bytes(), account.to_bytes());
                    self.inputs.push(Input::Started(new, owner, terms, now));
                    self.metered.push((account, id));
                    self.figures.metered += 1;
                    self.figures.fpps += u64::from(plan.scheme == Scheme::Fpps);
                }
            }
        }
        if self.chance(8) && !self.metered.is_empty() {
            let at = usize::try_from(self.below(self.metered.len() as u64)).unwrap();
            let (account, id) = self.metered[at];
            transact!(self.w.store, tx -> Result<_> => { market.end_metered(tx, account, id).await })
                .unwrap();
            self.inputs.push(Input::Ended(id.to_bytes(), self.w.now().0));
        }
    }

    /// Which contracts by the meter went on in the closes just made.
    pub(super) async fn see_resumed(&mut self) {
        for (account, id) in self.metered.clone() {
            let view = self.w.market.metered(account, id).await.unwrap();
            for notice in view.notices.iter().filter(|n| n.kind == NoticeKind::Resumed) {
                if self.resumed.insert((id, notice.epoch)) {
                    self.inputs.push(Input::Resumed(id.to_bytes(), notice.epoch.0));
                    self.figures.resumed += 1;
                }
            }
        }
    }
}
