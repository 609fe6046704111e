//! Bills for hosting a machine, naively: what all of the time cost from its beginning, less what was billed of it.

use crate::numbers::{ceil, floor, int, less};
use num_bigint::BigInt;

/// What is agreed.
#[derive(Clone, Copy, Debug)]
pub struct HostingTerms {
    /// A kilowatt-hour, in minor units.
    pub energy_minor_per_kwh: u64,
    /// A day, in minor units.
    pub fee_minor_per_day: u64,
    /// The promised part of the time, in ten-thousandths.
    pub level_bps: u16,
    /// Whether bills take no more than was earned with them; what is left is waived.
    pub from_earnings: bool,
    /// Hashes a second by the nameplate.
    pub nameplate: u64,
}

/// What an epoch's shares prove, and what the machine said.
#[derive(Clone, Copy, Debug)]
pub struct Proven {
    /// Microseconds of an epoch.
    pub length_us: u64,
    /// How many shares.
    pub shares: u64,
    /// The work of each.
    pub each: u64,
    /// For how long it claimed less than half its nameplate, microseconds.
    pub down_us: u64,
}

/// What was measured for a bill.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// Microjoules.
    pub energy_uj: u64,
    /// Microseconds.
    pub span_us: u64,
    /// Of them, those up.
    pub up_us: u64,
}

/// A bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostingBill {
    /// For energy.
    pub energy: BigInt,
    /// For hosting.
    pub fee: BigInt,
    /// Given back.
    pub credit: BigInt,
    /// To pay.
    pub due: BigInt,
    /// Taken.
    pub paid: BigInt,
    /// Given up.
    pub waived: BigInt,
    /// Owed after it.
    pub arrears: BigInt,
}

/// A rule made another on purpose: each must be found out by comparing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostingWrong {
    /// Each bill's energy is rounded by itself.
    EnergyFractionDropped,
    /// The fee is rounded up.
    FeeRoundedUp,
    /// What is given back is rounded down.
    CreditRoundedDown,
    /// A machine that is down counts as up.
    DowntimeForgotten,
    /// An epoch with any share is up.
    OneShareIsUp,
    /// Nothing is added for luck.
    LuckForgotten,
    /// What the machine itself claimed does not count.
    ClaimForgotten,
    /// What earnings do not cover is taken of the balance.
    BeyondEarnings,
    /// What the balance does not cover is forgotten.
    ArrearsForgotten,
}

impl HostingWrong {
    /// All of them.
    pub const ALL: [HostingWrong; 9] = [
        HostingWrong::EnergyFractionDropped,
        HostingWrong::FeeRoundedUp,
        HostingWrong::CreditRoundedDown,
        HostingWrong::DowntimeForgotten,
        HostingWrong::OneShareIsUp,
        HostingWrong::LuckForgotten,
        HostingWrong::ClaimForgotten,
        HostingWrong::BeyondEarnings,
        HostingWrong::ArrearsForgotten,
    ];
}

/// A contract's bills so far.
#[derive(Clone, Debug)]
pub struct HostingModel {
    terms: HostingTerms,
    wrong: Option<HostingWrong>,
    energy_uj: BigInt,
    span_us: BigInt,
    billed_energy: BigInt,
    billed_fee: BigInt,
    arrears: BigInt,
}

impl HostingModel {
    /// A contract without a bill.
    #[must_use]
    pub fn new(terms: HostingTerms, wrong: Option<HostingWrong>) -> HostingModel {
        let zero = || int(0);
        HostingModel {
            terms,
            wrong,
            energy_uj: zero(),
            span_us: zero(),
            billed_energy: zero(),
            billed_fee: zero(),
            arrears: zero(),
        }
    }

    /// For how many microseconds the machine was up in an epoch.
    #[must_use]
    pub fn up_us(&self, p: Proven) -> BigInt {
        let (length, work): (BigInt, BigInt) = (int(p.length_us), int(p.shares) * p.each);
        let half: BigInt = floor(&(&length * self.terms.nameplate), &int(1_000_000)) / 2;
        let squares: BigInt = int(p.shares) * p.each * p.each;
        if work == int(0) {
            return int(0);
        }
        let luck = match self.wrong {
            Some(HostingWrong::LuckForgotten) => int(0),
            _ => BigInt::sqrt(&(floor(&(&half * squares), &work) * 9)),
        };
        let done = match self.wrong {
            Some(HostingWrong::OneShareIsUp) => half.clone(),
            _ => (work + luck).min(half.clone()),
        };
        let most = match self.wrong {
            Some(HostingWrong::ClaimForgotten) => length.clone(),
            _ => less(&length, &int(p.down_us)),
        };
        floor(&(length * done), &half).min(most)
    }

    /// The next bill; `held` is what the balance has, `earned` what came to it with the settlement.
    pub fn bill(&mut self, used: Used, held: i64, earned: i64) -> HostingBill {
        let t = self.terms;
        self.energy_uj += used.energy_uj;
        self.span_us += used.span_us;
        let (kwh, day) = (int(3_600_000_000_000_u64), int(86_400_000_000_u64));
        let energy = match self.wrong {
            Some(HostingWrong::EnergyFractionDropped) => {
                floor(&(int(used.energy_uj) * t.energy_minor_per_kwh), &kwh)
            }
            _ => floor(&(&self.energy_uj * t.energy_minor_per_kwh), &kwh) - &self.billed_energy,
        };
        let all_fees = &self.span_us * t.fee_minor_per_day;
        let round = match self.wrong {
            Some(HostingWrong::FeeRoundedUp) => ceil,
            _ => floor,
        };
        let fee = round(&all_fees, &day) - &self.billed_fee;
        self.billed_energy += &energy;
        self.billed_fee += &fee;
        let credit = self.credit(&fee, used);
        let due = &energy + &fee - &credit;
        let owed = &self.arrears + &due;
        let is_bound = t.from_earnings && self.wrong != Some(HostingWrong::BeyondEarnings);
        let most = if is_bound { held.min(earned) } else { held };
        let paid = owed.clone().min(int(most.max(0)));
        let open = owed - &paid;
        let forgets = t.from_earnings || self.wrong == Some(HostingWrong::ArrearsForgotten);
        let (waived, arrears) = if forgets { (open, int(0)) } else { (int(0), open) };
        self.arrears = arrears.clone();
        HostingBill { energy, fee, credit, due, paid, waived, arrears }
    }

    fn credit(&self, fee: &BigInt, used: Used) -> BigInt {
        let promised = int(used.span_us) * self.terms.level_bps;
        let up = match self.wrong {
            Some(HostingWrong::DowntimeForgotten) => used.span_us,
            _ => used.up_us,
        };
        let missing = &promised - int(up) * 10_000;
        if missing <= int(0) {
            return int(0);
        }
        let round = match self.wrong {
            Some(HostingWrong::CreditRoundedDown) => floor,
            _ => ceil,
        };
        round(&(fee * missing), &promised)
    }
}
