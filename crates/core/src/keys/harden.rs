//! Keeps key material from leaving the process through a core dump or a debugger.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Whether other processes of the same user may look into this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// They may not: no debugger, no `/proc/PID/fd`. Not usable with the OpenSSH client as transport by an ordinary
    /// user, because `ssh` takes the key from a file in this process's memory.
    Refused,
    /// As the system has it.
    Unchanged,
}

/// Turns core dumps off for this process and its children, and inspection as asked.
///
/// # Errors
/// The system refuses; nothing that was done before is undone.
pub fn harden_process(inspection: Inspection) -> std::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    if inspection == Inspection::Refused {
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardened_process_leaves_no_core() {
        harden_process(Inspection::Refused).expect("hardened");
        let limit = rustix::process::getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        let dumpable = rustix::process::dumpable_behavior().expect("readable");
        assert_eq!(dumpable, DumpableBehavior::NotDumpable);
    }
}
