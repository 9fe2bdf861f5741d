//! `ghe-redis-cli [--remote] [-h HOST] COMMAND…` and `ghe-import-redis` (contract §2.8).
//!
//! A background save takes `knobs.redis_save_ms`; the dump is rewritten and LASTSAVE moves when it is over. LASTSAVE has
//! a resolution of one second, and always grows.

use std::{fs, os::unix::fs::PermissionsExt};

use super::{Call, Ended};
use crate::{
    appliance::{Place, State, log::now_us},
    error::{OnFile, SimError},
};

/// The dump on the appliance.
pub const DUMP: &str = "/data/user/redis/dump.rdb";

pub(super) fn cli(call: &Call) -> Ended {
    let mut words = call.args.iter().map(String::as_str);
    let mut command = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "--remote" => {}
            "-h" | "-p" => _ = words.next(),
            _ => {
                command.push(word);
                command.extend(words.by_ref());
            }
        }
    }
    let Some(verb) = command.first() else { return Err(SimError::Refused("no redis command".to_owned())) };
    let answer = State::update(&call.place, |state| match verb.to_ascii_uppercase().as_str() {
        "LASTSAVE" => last_save(&call.place, state),
        "BGSAVE" => Ok(begin_save(state)),
        "MSET" => {
            for pair in command[1..].chunks_exact(2) {
                state.redis.keys.insert(pair[0].to_owned(), pair[1].to_owned());
            }
            Ok("OK".to_owned())
        }
        "DEL" => {
            let gone = command[1..].iter().filter(|key| state.redis.keys.remove(**key).is_some()).count();
            Ok(format!("(integer) {gone}"))
        }
        "SREM" => Ok("(integer) 0".to_owned()),
        "PING" => Ok("PONG".to_owned()),
        other => Ok(format!("ERR unknown command '{other}'")),
    })?;
    call.say(answer)?;
    Ok(0)
}

fn begin_save(state: &mut State) -> String {
    let now = now_us() / 1000;
    if state.knobs.redis_errors > 0 {
        state.knobs.redis_errors -= 1;
        return "(error) ERR Can't BGSAVE while AOF log rewriting is in progress.".to_owned();
    }
    if state.redis.saving_until_ms.is_some_and(|until| until > now) {
        return "(error) ERR Background save already in progress".to_owned();
    }
    state.redis.saving_until_ms = Some(now + state.knobs.redis_save_ms);
    "Background saving started".to_owned()
}

fn last_save(place: &Place, state: &mut State) -> Result<String, SimError> {
    let now = now_us() / 1000;
    if !state.knobs.redis_stuck && state.redis.saving_until_ms.is_some_and(|until| until <= now) {
        let dump = place.disk(DUMP);
        let bytes = fs::read(&dump).on("read", &dump)?;
        // Written beside and renamed, as the server does.
        let fresh = dump.with_file_name("temp-save.rdb");
        fs::write(&fresh, bytes).on("write", &fresh)?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o640)).on("set the mode of", &fresh)?;
        fs::rename(&fresh, &dump).on("replace", &dump)?;
        state.redis.saving_until_ms = None;
        state.redis.last_save = (now / 1000).max(state.redis.last_save + 1);
    }
    Ok(state.redis.last_save.to_string())
}

pub(super) fn import(call: &Call) -> Ended {
    let bytes = call.stdin()?;
    if !bytes.starts_with(b"REDIS") {
        return Err(SimError::Refused("this is not a redis dump".to_owned()));
    }
    let dump = call.place.disk(DUMP);
    super::call::keep(&dump, &mut std::io::Cursor::new(bytes))?;
    call.say("Import complete")?;
    Ok(0)
}
