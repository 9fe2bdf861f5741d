//! The Redis database.

use super::super::{error::StepError, report::Done, run::Context};
use crate::appliance::quote::quote;

/// Uploads the dump, checks its size, and imports it; the import never sees half a dump.
pub fn restore(context: &Context<'_>) -> Result<Done, StepError> {
    let (folder, file) = (context.data("tmp"), context.data("tmp/ghevault-redis.rdb"));
    context.remote.ask("make the upload folder", &format!("sudo mkdir -p {}", quote(&folder)))?;
    let imported =
        context.remote.upload(context.view, "redis.rdb", &file, |dump, feed| dump(feed)).and_then(|bytes| {
            let script = format!("set -o pipefail; sudo cat {} | ghe-import-redis", quote(&file));
            context.remote.work("import Redis", &script, &[])?;
            Ok(Done::one(bytes))
        });
    let removed = context.remote.ask("remove the upload", &format!("sudo rm -f {}", quote(&file)));
    let done = imported?;
    removed?;
    Ok(done)
}
