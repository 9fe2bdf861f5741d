//! Where data comes from: the admin shell of an appliance and what it offers.

pub mod channel;
pub mod hostkeys;
pub mod openssh;
pub mod quote;
pub mod russh;
pub mod target;
pub mod transport;
