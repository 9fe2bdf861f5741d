//! Where data comes from: the admin shell of an appliance and what it offers.

pub mod channel;
pub mod quote;
