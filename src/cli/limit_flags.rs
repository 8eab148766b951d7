//! The flags of the limits, one for each limit in [`KEYS`].

use clap::{
    Arg, ArgMatches, Args, Command, Error, FromArgMatches,
    builder::{TypedValueParser as _, ValueParser},
    value_parser,
};
use clusterprofile_webhook::{
    config::{Amount, KEYS, Key, Limit, Setting, Settings},
    units,
};

/// The limits that flags or variables set.
pub(super) struct LimitFlags(Settings);

impl LimitFlags {
    pub(super) fn settings(&self) -> &Settings {
        &self.0
    }
}

impl Args for LimitFlags {
    fn augment_args(command: Command) -> Command {
        command.args(limits().map(|(key, limit)| arg(key, limit)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for LimitFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let set = |(key, _): (&'static Key, Limit)| {
            let amount = *matches.get_one(&name(key))?;
            Some(Setting::Limit { key, amount })
        };
        Ok(Self(limits().filter_map(set).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn limits() -> impl Iterator<Item = (&'static Key, Limit)> {
    KEYS.iter().filter_map(|key| Some((key, key.limit()?)))
}

fn arg(key: &Key, limit: Limit) -> Arg {
    let name = name(key);
    let variable = format!("CLUSTERPROFILE_WEBHOOK_{}", name.replace('-', "_").to_uppercase());
    let (value_name, parser) = match limit.amount {
        Amount::Size => ("SIZE", ValueParser::new(units::size)),
        Amount::Count { least } => {
            let count = value_parser!(u32).range(i64::from(least)..);
            ("COUNT", ValueParser::new(count.try_map(usize::try_from)))
        }
    };
    Arg::new(name.clone()).long(name).env(variable).value_name(value_name).value_parser(parser).help(format!(
        "{} By default {}",
        key.docs,
        key.default()
    ))
}

/// The name of a flag: `max-body` for `limits.maxBody`.
fn name(key: &Key) -> String {
    let mut name = String::new();
    for letter in key.path.strip_prefix("limits.").unwrap_or(key.path).chars() {
        if letter.is_ascii_uppercase() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}
