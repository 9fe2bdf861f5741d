//! `ghe-export-authorized-keys` and its import: the admin's keys as JSON, opaque to clients (contract §2.4).

use std::{fs, io::Cursor};

use serde_json::{Value, json};

use super::{Call, Ended, call::keep};
use crate::error::{OnFile, SimError};

const FILE: &str = "/data/user/common/authorized_keys";

pub(super) fn export(call: &Call) -> Ended {
    let path = call.place.disk(FILE);
    let text = fs::read_to_string(&path).on("read", path)?;
    let keys: Vec<Value> = text.lines().map(|line| json!({ "key": line })).collect();
    call.say(Value::from(keys).to_string())?;
    Ok(0)
}

pub(super) fn import(call: &Call) -> Ended {
    let corrupt = |reason: String| SimError::Corrupt { path: "stdin".into(), reason };
    let keys: Vec<Value> =
        serde_json::from_slice(&call.stdin()?).map_err(|error| corrupt(error.to_string()))?;
    let mut text = String::new();
    for key in keys {
        let line = key["key"].as_str().ok_or_else(|| corrupt("an entry without a key".to_owned()))?;
        text.push_str(line);
        text.push('\n');
    }
    keep(&call.place.disk(FILE), &mut Cursor::new(text))?;
    call.say(" --> Importing authorized keys...")?;
    Ok(0)
}
