//! Where data comes from: the admin shell of an appliance and what it offers.

pub mod channel;
pub mod facts;
pub mod gate;
pub mod lease;
pub mod listing;
pub mod quote;
pub mod secret_table;
