//! `chown` and `chgrp` of the embedded door: the appliance's users do not exist there, so only the files are checked.

use super::Call;

pub(super) fn run(call: &Call) -> u8 {
    let words = call.args.iter().filter(|arg| !arg.starts_with('-'));
    let reference = call.args.iter().any(|arg| arg.starts_with("--reference"));
    let mut code = 0;
    for path in words.skip(usize::from(!reference)) {
        if std::fs::symlink_metadata(path).is_err() {
            eprintln!("{}: cannot access '{path}': No such file or directory", call.name);
            code = 1;
        }
    }
    code
}
