//! Allocation and accrual without a database.

use crate::meter::{Meter, print};
use gruve_market::Beneficiary;
use gruve_market::allocate::{Entitlement, allocate};
use gruve_market::pplns::{EpochUnits, WINDOW_UNITS, unit_pplns};
use gruve_market::units::{ONE_BLOCK, share_house_units};
use gruve_units::{ContractId, EpochNumber, Hashes};

pub(crate) fn measure(contracts: u64) {
    println!("## Without a database, {contracts} contracts");
    let claims: Vec<Entitlement> = (0..contracts)
        .map(|n| Entitlement {
            contract: id(n),
            entitled: Hashes(600_000_000_000 + u128::from(n * 7_919)),
            catch_up: Hashes(if n % 3 == 0 { 1_000_000 } else { 0 }),
            short_since: (n % 3 == 0).then_some(EpochNumber(1_000 - n % 50)),
            is_operators: false,
        })
        .collect();
    let total: u128 = claims.iter().map(|c| c.entitled.0).sum();
    for (what, done) in
        [("too little work", total / 10 * 9 + 1), ("enough work", total + total / 10)]
    {
        let done = Hashes(done);
        let m = Meter::begin();
        let allocation = allocate(done, &claims).unwrap();
        let allocated: Vec<_> = allocation
            .shares
            .iter()
            .map(|s| (Beneficiary::Contract(s.contract), s.allocated))
            .collect();
        let units = share_house_units(5 * ONE_BLOCK, done, &allocated).unwrap();
        print(&format!("allocation and units, {what}"), m.taken());
        let pieces: Vec<_> = units.into_iter().collect();
        let epoch = |n| EpochUnits { epoch: EpochNumber(n), pieces: pieces.clone() };
        let window = [epoch(1), epoch(2)];
        let m = Meter::begin();
        let paid = unit_pplns(&window, 312_500_000, WINDOW_UNITS).unwrap();
        print(&format!("accrual of a block, {what}"), m.taken());
        assert!(paid.parts.len() as u64 > contracts / 2);
    }
}

pub(crate) fn id(n: u64) -> ContractId {
    // In the order of their making, as the house's ids are.
    let mut bytes = [0x5a; 16];
    bytes[..8].copy_from_slice(&(n + (1 << 60)).to_be_bytes());
    ContractId::from_bytes(bytes)
}
