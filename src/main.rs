//! The command line: parses arguments, runs a command, maps the result to an exit code.

use std::process::ExitCode;

mod cli;
mod logging;

fn main() -> ExitCode {
    match cli::Cli::read().run() {
        Ok(code) => code,
        Err(error) => {
            cli::print_error(error);
            ExitCode::FAILURE
        }
    }
}
