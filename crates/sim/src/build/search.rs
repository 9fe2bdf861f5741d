//! Search data: index files of Elasticsearch on disk, and the audit-log indices behind its second endpoint.

use std::fs;

use serde_json::json;

use crate::{
    appliance::{Place, commands::elasticsearch::index_file},
    error::{OnFile, SimError},
    seed::Seed,
};

pub(super) fn write(place: &Place, seed: &Seed, audit_lines: u64) -> Result<(), SimError> {
    let mut files = seed.part("search");
    for index in 0..3 {
        let folder =
            place.disk("/data/user/elasticsearch/nodes/0/indices").join(files.hex(22)).join("0/index");
        fs::create_dir_all(&folder).on("create", &folder)?;
        for (name, len) in [("segments_2", 300), ("_0.cfs", 30_000), ("_0.cfe", 200), ("write.lock", 0)] {
            let path = folder.join(name);
            fs::write(&path, files.bytes(len * (index + 1))).on("write", path)?;
        }
    }
    let mut events = seed.part("audit");
    for (number, month) in ["2023-10", "2023-11", "2023-12"].iter().enumerate() {
        let mut text = String::new();
        for line in 0..audit_lines {
            text += &event(&mut events, &format!("{month}-{line}"));
        }
        let path = index_file(place, &format!("audit_log-1-{month}-{}", number + 1));
        fs::write(&path, text).on("write", path)?;
    }
    Ok(())
}

/// One audit-log document as a line.
pub fn event(seed: &mut Seed, id: &str) -> String {
    let action = ["repo.create", "git.push", "user.login", "org.add_member"][seed.index(4)];
    let document = json!({
        "_id": id, "_type": "audit_entry",
        "_source": {"action": action, "actor": format!("user{}", seed.below(50)), "data": seed.hex(24)},
    });
    format!("{document}\n")
}
