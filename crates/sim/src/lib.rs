//! A simulated GitHub Enterprise Server appliance: a real disk, the appliance's commands, two SSH front doors.
//!
//! Only the appliance is simulated: clients speak to it with the real SSH, tar, rsync and git. It exists for tests, for
//! the demonstration and for the bench, and is never part of the product. The modules in the order of a test's life:
//! [`build`] makes an appliance on disk, [`doors`] let clients in, [`appliance`] answers their commands, [`live`]
//! changes the appliance meanwhile, [`compare`] tells two appliances apart, [`harness`] does all this for tests.

pub mod appliance;
pub mod build;
pub mod cli;
pub mod compare;
pub mod doors;
pub mod error;
pub mod harness;
pub mod live;
pub mod seed;

pub use error::SimError;
