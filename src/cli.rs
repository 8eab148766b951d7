//! The command line: its commands, and how they print errors. Each command is a few lines over the library.

use std::{fmt::Display, process::ExitCode};

use clap::{Arg, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, builder::Resettable};
use clap_complete::Shell;
use clusterprofile_webhook::{config, config_file::ConfigError, error::error_chain};

mod check;
mod choice;
mod explain;
mod limit_flags;
mod managed;
mod serve;

/// Validating and defaulting admission webhook for the ClusterProfile API.
#[derive(Parser)]
#[command(name = "clusterprofile-webhook", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  clusterprofile-webhook check profile.yaml
  clusterprofile-webhook explain cluster-manager-label
  clusterprofile-webhook serve --dev --dev-ca ca.crt
  clusterprofile-webhook crd | kubectl diff -f -

Exit codes: 0 success, 1 denied or failed, 2 invalid input.";

#[derive(Subcommand)]
enum Command {
    /// Serve the two webhooks over HTTPS
    Serve(Box<serve::Args>),
    /// Check manifests offline: apply the same defaults and validation as the webhooks
    Check(check::Args),
    /// Explain what a rule requires and why, or list all rules
    Explain(explain::Args),
    /// Print the CustomResourceDefinition of ClusterProfile, with v1alpha1 (stored) and v1alpha2
    Crd,
    /// Print the JSON Schema of the configuration file for `serve` and `check`
    ConfigSchema,
    /// Print a shell completion script
    Completions {
        /// The shell to print the script for
        shell: Shell,
    },
}

impl Cli {
    /// Parses the arguments. Prints help or an error and exits if there is no command to run.
    pub(crate) fn read() -> Self {
        let command = Self::command().mut_subcommands(|command| command.mut_args(without_empty_variable));
        Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }

    /// Runs the command.
    ///
    /// # Errors
    ///
    /// Why the command failed, for `main` to print.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Serve(args) => serve::run(*args),
            Command::Check(args) => check::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Crd => print(&clusterprofile_webhook::crd::yaml()),
            Command::ConfigSchema => print(&(serde_json::to_string_pretty(&config::schema())? + "\n")),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "clusterprofile-webhook", &mut script);
                print(&String::from_utf8_lossy(&script))
            }
        }
    }
}

/// Ignores a variable that is set but empty, as a manifest template sets it for a value that was not given.
fn without_empty_variable(arg: Arg) -> Arg {
    let is_empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if is_empty { arg.env(Resettable::Reset) } else { arg }
}

/// Prints why the input is invalid.
fn unusable(error: &anyhow::Error) -> ExitCode {
    print_error(error_chain(error.as_ref()));
    ExitCode::from(2)
}

/// Prints every mistake of the configuration file.
fn unusable_config(error: &ConfigError) -> ExitCode {
    error.lines().iter().for_each(print_error);
    ExitCode::from(2)
}

/// Writes to standard output. If the reader stops early, as `head` does, that is no error.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    use std::io::{ErrorKind, Write as _};
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Prints one line to standard error. If that fails, the exit code still shows the error.
pub(crate) fn print_error(error: impl Display) {
    use std::io::Write as _;
    drop(writeln!(std::io::stderr(), "error: {}", printable(&error.to_string())));
}

/// Escapes line breaks and control characters in a text from outside, so that a terminal shows them and does not obey them.
fn printable(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars() {
        match character {
            '\'' | '"' | '\\' => line.push(character),
            _ => line.extend(character.escape_debug()),
        }
    }
    line
}
