//! The multi-call program: under its own name the simulator's command line, under any other name an appliance command.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let called = args.next().unwrap_or_default();
    let name = std::path::Path::new(&called).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let args: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
    if name.starts_with("ghevault-sim") {
        return ghevault_sim::cli::run();
    }
    if name == "git" {
        return ghevault_sim::cli::maintain(&args);
    }
    ghevault_sim::appliance::commands::run(&name, args)
}
