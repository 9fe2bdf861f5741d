//! `ghe-import-license`; there is no export, clients read the file (contract §2.2).

use super::{Call, Ended};

pub(super) fn import(call: &Call) -> Ended {
    call.keep_stdin(&call.place.disk("/data/enterprise/enterprise.ghl"))?;
    call.say("License imported at /data/enterprise/enterprise.ghl.")?;
    Ok(0)
}
