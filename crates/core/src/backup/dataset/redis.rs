//! The Redis dump (contract §2.8): a background save is asked for and waited for, then its file is read.

use crate::backup::context::{CaptureError, Captured, Context, Ends};

/// Longest time that a background save may take, in seconds.
const SAVE_S_MAX: u32 = 3600;

/// `LASTSAVE` has a resolution of one second: a save that ends within the second of the one before would never be noticed, so that second is
/// waited out first. A save that is already running makes `BGSAVE` answer with `ERR`; then it is asked for again.
fn script(data_root: &str) -> String {
    let dump = crate::appliance::quote::quote(&format!("{data_root}/redis/dump.rdb"));
    format!(
        r#"cli=redis-cli; remote=
command -v ghe-redis-cli >/dev/null 2>&1 && {{ cli=ghe-redis-cli; remote=--remote; }}
host=$(ghe-config cluster.redis-master 2>/dev/null) || host=
[ -n "$host" ] || host=localhost
ask() {{ "$cli" $remote -h "$host" "$1" </dev/null; }}
last=$(ask LASTSAVE) || {{ echo "LASTSAVE failed" >&2; exit 3; }}
for i in 1 2 3 4 5 6; do [ "$(date +%s)" -gt "$last" ] 2>/dev/null && break; sleep 0.3; done
n=0
while :; do
  answer=$(ask BGSAVE 2>&1) || {{ echo "BGSAVE failed: $answer" >&2; exit 3; }}
  case $answer in *ERR*) n=$((n+1)); [ $n -ge 10 ] && {{ echo "$answer" >&2; exit 4; }}; sleep 5;; *) break;; esac
done
n=0
while [ "$(ask LASTSAVE)" = "$last" ]; do
  n=$((n+1)); [ $n -gt {polls} ] && {{ echo "the background save did not end" >&2; exit 5; }}; sleep 0.5
done
if [ "$host" = localhost ]; then exec sudo cat {dump}; else exec ssh "$host" -- sudo cat {dump}; fi"#,
        polls = SAVE_S_MAX * 2,
    )
}

/// A Redis dump ends with the byte 0xFF and a checksum of eight bytes (since version 5 of its format).
fn whole(ends: &Ends) -> Result<(), &'static str> {
    let dump = ends.head.starts_with(b"REDIS");
    let ended = ends.tail.len() >= 9 && ends.tail[ends.tail.len() - 9] == 0xff;
    if dump && !ended { Err("its end mark is missing") } else { Ok(()) }
}

/// Captures the dump.
///
/// # Errors
/// The save, the connection or the vault fails.
pub fn capture(ctx: &Context<'_>) -> Result<Captured, CaptureError> {
    let command = ctx.stream("save Redis", &script(&ctx.settings.data_root));
    let (node, bytes_read) = ctx.store_output("redis", b"redis.rdb", &command, false, whole)?;
    if node.meta.size == 0 {
        return Err(CaptureError::Unexpected("the Redis dump is empty".into()));
    }
    let mut captured = Captured { items: 1, bytes: node.meta.size, bytes_read, ..Captured::default() };
    captured.files_changed = u64::from(node.meta.mtime == Some(ctx.started));
    captured.replace.insert(b"redis.rdb".to_vec(), node);
    Ok(captured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_without_its_end_mark_is_not_whole() {
        let cut = Ends { head: b"REDIS0010".to_vec(), tail: b"REDIS0010 something".to_vec() };
        assert!(whole(&cut).is_err());
        let good = Ends { head: b"REDIS0010".to_vec(), tail: b"x\xff12345678".to_vec() };
        assert!(whole(&good).is_ok());
    }
}
