//! What every transport promises, checked against a real OpenSSH server: one suite, each transport.

mod agent;
mod bench;
mod ends;
mod sharing;
mod streams;
mod trust;

mod russh_only;

mod openssh_only;

/// Makes a test of each case for each transport.
#[macro_export]
macro_rules! contract {
    ($($case:ident)*) => {
        mod over_russh {
            $(#[test] fn $case() { super::$case(super::TransportKind::Russh); })*
        }
        mod over_openssh {
            $(#[test] fn $case() { super::$case(super::TransportKind::OpenSsh); })*
        }
    };
}
