//! GitHub Actions: its files, its databases, and the buckets of the object store beside it (contract §2.6, §2.7).

use std::{fs, path::Path};

use crate::{
    appliance::{Place, State, mssql},
    error::{OnFile, SimError},
    seed::Seed,
};

/// Names in Actions' folder that no backup has.
pub const TRANSIENT: [&str; 3] = ["mutexes", "dumps", "tmp"];
/// The object store's own folder, that no backup has.
pub const MINIO_SYSTEM: &str = ".minio.sys";

pub(super) fn write(place: &Place, seed: &Seed, state: &mut State, empty: bool) -> Result<(), SimError> {
    let mut draw = seed.part("actions files");
    let (actions, minio) = (place.disk("/data/user/actions"), place.disk("/data/user/minio"));
    let put = |folder: &Path, name: &str, bytes: Vec<u8>| {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).on("create", parent)?;
        }
        fs::write(&path, bytes).on("write", &path)
    };
    for name in
        ["certificates/s2s.pem", "certificates/encryption.pem", "states/mps.json", "states/token.json"]
    {
        put(&actions, name, draw.text(1500))?;
    }
    for name in TRANSIENT {
        put(&actions, &format!("{name}/{}", draw.hex(8)), draw.text(200))?;
    }
    put(&minio, &format!("{MINIO_SYSTEM}/format.json"), draw.text(300))?;
    if empty {
        // What a restore has to take away.
        put(&actions, &format!("states/own-{}.json", draw.hex(8)), draw.text(100))?;
        put(&minio, "packages/own", draw.bytes(100))?;
    } else {
        put(&actions, "states/services/tmp/unfinished", draw.text(100))?;
        for _ in 0..5 {
            let name = format!("packages/{}/{}", draw.hex(2), draw.hex(20));
            put(&minio, &name, draw.bytes(4000))?;
        }
    }
    mssql::empty_backups(place)?;
    state.mssql = mssql::fresh(seed, empty);
    Ok(())
}
