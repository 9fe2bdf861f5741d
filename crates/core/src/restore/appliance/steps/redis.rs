//! The Redis database.

use super::super::{error::StepError, report::Done, run::Scene};
use crate::appliance::quote::quote;

/// Uploads the dump, checks its size, and imports it; the import never sees half a dump.
pub fn restore(scene: &Scene<'_>) -> Result<Done, StepError> {
    let (folder, file) = (scene.data("tmp"), scene.data("tmp/ghevault-redis.rdb"));
    scene.remote.ask("make the upload folder", &format!("sudo mkdir -p {}", quote(&folder)))?;
    let imported =
        scene.remote.upload(scene.view, "redis.rdb", &file, |dump, feed| dump(feed)).and_then(|bytes| {
            let script = format!("set -o pipefail; sudo cat {} | ghe-import-redis", quote(&file));
            scene.remote.work("import Redis", &script, &[])?;
            Ok(Done::one(bytes))
        });
    let removed = scene.remote.ask("remove the upload", &format!("sudo rm -f {}", quote(&file)));
    let done = imported?;
    removed?;
    Ok(done)
}
