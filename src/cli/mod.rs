//! The program: arguments, commands, exit status.
//!
//! The door of the `clap` crate is in this room and nowhere else. Standard output is data, standard error is for
//! messages.

mod analyse;
mod args;
mod decide;
mod display_filter;
mod follower;
mod keylog;
mod limits;
mod live;
mod nearest;
mod output;
mod packets;
mod pages;
mod plan;
mod printer;
mod privacy;
mod readings;
mod select;
mod service;
mod settings;
mod site;
mod stats;
mod terminal;

use std::error::Error as _;
use std::ffi::OsString;
use std::io::Write;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{CommandFactory, Parser};

use crate::cli::args::{Cli, Command};
use crate::error::Error;
use crate::report::Provenance;
use crate::untrusted::Untrusted;

/// The exit status of a fault of the program itself.
const INTERNAL_ERROR: u8 = 5;

/// Runs the program; gives its exit status.
pub fn run(args: impl Iterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = args.collect();
    let provenance = Provenance::of(arguments.iter().map(|argument| argument.to_string_lossy().into_owned()));
    let cli = match Cli::try_parse_from(command_first(arguments)) {
        Ok(mut cli) => {
            cli.look.provenance = provenance;
            cli
        }
        Err(error) => {
            // A closed pipe of help is no failure.
            let _ = error.print();
            return if error.use_stderr() { Error::USAGE } else { 0 };
        }
    };
    // What nobody foresaw is told in one line, with a status of its own; a fault at every packet is not told each time.
    let told = AtomicBool::new(false);
    panic::set_hook(Box::new(move |fault| {
        if told.swap(true, Ordering::Relaxed) {
            return;
        }
        say(&format!(
            "sipwhy: internal error: {fault}; please report it with the version, {}",
            env!("CARGO_PKG_VERSION")
        ));
    }));
    let Ok(ended) = panic::catch_unwind(panic::AssertUnwindSafe(|| command(cli))) else {
        return INTERNAL_ERROR;
    };
    match ended {
        Ok(status) => status,
        Err(error) if error.is_closed_pipe() => 0,
        Err(error) => {
            complain(&error);
            error.exit_status()
        }
    }
}

/// What says how output looks may stand before the command too, as in `sipwhy --lang ja explain 503`: it is handed on
/// behind it, for what follows an option would be taken for a file.
fn command_first(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let program = Cli::command();
    let mut at = 1;
    while let Some(option) = arguments.get(at).and_then(|argument| argument.to_str()?.strip_prefix("--")) {
        let (name, has_value) = option.split_once('=').map_or((option, false), |(name, _)| (name, true));
        let mut looks = program.get_arguments().filter(|known| known.is_global_set());
        let Some(known) = looks.find(|known| known.get_long() == Some(name)) else { return arguments };
        at += if known.get_action().takes_values() && !has_value { 2 } else { 1 };
    }
    let is_command =
        |argument: &OsString| argument.to_str().is_some_and(|name| program.find_subcommand(name).is_some());
    if at > 1 && arguments.get(at).is_some_and(is_command) {
        arguments[1..=at].rotate_right(1);
    }
    arguments
}

fn command(cli: Cli) -> Result<u8, Error> {
    let Cli { command, look, options } = cli;
    match command {
        Some(Command::Report(options)) => analyse::report(&options, &look),
        Some(Command::Stats(options)) => stats::stats(&options, &look),
        Some(Command::Live(live)) => live::live(&live, &look),
        Some(Command::Decide(options)) => decide::decide(&options, &look),
        Some(Command::Explain { subject, format }) => pages::explain(&subject, format, &look),
        Some(Command::Compare { codes, format }) => pages::compare(&codes, format, &look),
        Some(Command::Codes { site: Some(folder), .. }) => site::write(&folder, &look),
        Some(Command::Codes { class, format, .. }) => pages::codes(class.as_deref(), format, &look),
        Some(Command::Devices) => pages::devices(&look),
        Some(Command::Schema) => pages::schema(),
        Some(Command::Completions { shell }) => pages::completions(shell),
        Some(Command::Man) => pages::man(),
        None if options.devices => pages::devices(&look),
        None => match pages::bare_codes(&options)? {
            Some((codes, format)) => pages::of_codes(&codes, format, &look),
            None => analyse::report(&options, &look),
        },
    }
}

/// One line on standard error: names come from outside, so control characters are shown.
pub(crate) fn complain(error: &Error) {
    let mut line = format!("sipwhy: {error}");
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let words = deeper.to_string();
        if !line.ends_with(&words) {
            line.push_str(": ");
            line.push_str(&words);
        }
        cause = deeper.source();
    }
    say(&line);
}

/// A line on standard error. That it cannot be written is nothing that could be told.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", Untrusted::from(line).for_terminal());
}
