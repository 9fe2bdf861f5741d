//! `ssh` and `nc.openbsd` on an appliance: the ways to the other machines of its fleet (contract §7.3, §10.1).

use std::{
    io::{self, Write},
    net::{Shutdown, TcpStream},
    os::unix::process::CommandExt,
};

use super::{Call, Ended};
use crate::{
    appliance::membership::{self, Membership},
    error::{OnFile, SimError},
};

pub(super) fn ssh(call: &Call) -> Ended {
    let error = membership::ssh(&call.place)?.args(&call.args).exec();
    Err(SimError::Refused(format!("cannot run ssh: {error}")))
}

/// `nc.openbsd HOST PORT`: stdin goes to the other end, what comes from there to stdout.
pub(super) fn netcat(call: &Call) -> Ended {
    let words: Vec<&str> =
        call.args.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    let [.., host, port] = words[..] else {
        return Err(SimError::Refused("usage: nc.openbsd HOST PORT".to_owned()));
    };
    let port = port.parse().map_err(|_| SimError::Refused(format!("`{port}` is no port")))?;
    let (host, port) = match Membership::load(&call.place)? {
        Some(membership) => membership.lead(host, port),
        None => (host.to_owned(), port),
    };
    let mut there = TcpStream::connect((host.as_str(), port)).on("connect to", format!("{host}:{port}"))?;
    let mut to_there = there.try_clone().on("connect to", &host)?;
    std::thread::spawn(move || {
        // The other end may stop listening first; what it still says is passed on.
        let _ = io::copy(&mut io::stdin().lock(), &mut to_there);
        let _ = to_there.shutdown(Shutdown::Write);
    });
    let mut stdout = io::stdout().lock();
    let mut buffer = [0; 1 << 13];
    loop {
        let length = io::Read::read(&mut there, &mut buffer).on("read from", &host)?;
        if length == 0 {
            return Ok(0);
        }
        stdout.write_all(&buffer[..length]).and_then(|()| stdout.flush()).on("write", "stdout")?;
    }
}
