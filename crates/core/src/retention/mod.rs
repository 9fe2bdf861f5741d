//! Letting go: which snapshots stay, which go, and what must never go.
//!
//! [`plan()`] is pure: it sees seals, the records of what was forgotten, and holds, and says for every snapshot why it stays or
//! that it goes. [`forget`] carries a plan out. Freeing the space is the vault's own business ([`crate::vault::Vault::prune`]).
//!
//! Storyline: [`Policy`] → [`gather()`] → [`plan()`] → [`forget`].

mod carry;
mod forget;
mod gather;
mod holds;
mod lanes;
mod parts;
mod plan;
mod policy;
mod rules;

pub use carry::carry;
pub use forget::{ForgetError, ForgetReport, carry_out};
pub use gather::{Gathered, chain, gather};
pub use holds::{Hold, HoldError, active as active_holds, hold, release};
pub use plan::{Candidate, Decision, Ghost, NamedRefusal, Remark, RetentionPlan, Worth, named, plan};
pub use policy::Policy;
