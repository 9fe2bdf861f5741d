//! Where data comes from: the admin shell of an appliance and what it offers.

pub mod channel;
pub mod facts;
pub mod fleet;
pub mod gate;
pub mod git_config;
pub mod hostkeys;
pub mod leaked_keys;
pub mod lease;
pub mod listing;
pub mod openssh;
pub mod quote;
pub mod russh;
pub mod secret_table;
pub mod target;
pub mod transport;
