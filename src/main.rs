//! The `sipwhy` program: everything it does is in the library.
use std::process::ExitCode;

fn main() -> ExitCode {
    sipwhy::cli::run(std::env::args_os())
}
