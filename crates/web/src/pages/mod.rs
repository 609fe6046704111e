//! The pages: each file one place of the site, server-rendered, complete without scripts.

pub(crate) mod account;
pub(crate) mod book;
pub(crate) mod books;
pub(crate) mod buy;
pub(crate) mod console;
pub(crate) mod contract;
pub(crate) mod home;
pub(crate) mod invoice;
pub(crate) mod lane;
pub(crate) mod letters;
pub(crate) mod life;
pub(crate) mod machines;
pub(crate) mod metered;
pub(crate) mod papers;
pub(crate) mod payouts;
pub(crate) mod plans;
pub(crate) mod proof;
pub(crate) mod renewal;
pub(crate) mod security;
pub(crate) mod session;
pub(crate) mod statement;
pub(crate) mod tickets;
pub(crate) mod top_up;
pub(crate) mod withdraw;
