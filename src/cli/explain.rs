//! `explain`: what a rule requires, and why.

use std::{ffi::OsStr, fmt::Write as _, process::ExitCode};

use clap::{
    Arg, Command,
    builder::{PossibleValue, StringValueParser, TypedValueParser},
};
use clusterprofile_webhook::{
    review::Rule,
    rules::{self, RULES},
};
use serde_json::json;

use super::check::Format;

/// Arguments of `explain`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  clusterprofile-webhook explain
  clusterprofile-webhook explain cluster-manager-label")]
pub(super) struct Args {
    /// The rule, as named in brackets at the end of a message. If omitted, all rules are listed
    #[arg(value_parser = RuleParser, hide_possible_values = true)]
    rule: Option<&'static Rule>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// Parses the name of a rule. Shell completion offers all names; an error suggests only the most similar one.
#[derive(Clone)]
struct RuleParser;

impl TypedValueParser for RuleParser {
    type Value = &'static Rule;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, name: &OsStr) -> Result<Self::Value, clap::Error> {
        StringValueParser::new().try_map(|name| rules::named(&name)).parse_ref(command, arg, name)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(RULES.iter().map(|rule| PossibleValue::new(rule.name))))
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let rules = args.rule.map_or_else(|| RULES.to_vec(), |rule| vec![rule]);
    let text = match (args.output, &rules[..]) {
        (Format::Json, rules) => {
            let rules: Vec<_> = rules.iter().map(|rule| record(rule)).collect();
            serde_json::to_string_pretty(&rules)? + "\n"
        }
        (Format::Text, [rule]) => page(rule),
        (Format::Text, rules) => list(rules),
    };
    super::print(&text)
}

fn record(rule: &Rule) -> serde_json::Value {
    json!({
        "name": rule.name,
        "summary": rule.summary,
        "effect": rule.effect.to_string(),
        "exceptions": rule.exceptions,
        "fix": rule.fix,
        "phase": rule.phase.to_string(),
        "source": rule.source,
        "since": rule.since,
        "docs": rule.docs,
    })
}

fn page(rule: &Rule) -> String {
    let mut page = format!("{} ({})\n\nRequires: {}\n", rule.name, rule.effect, rule.summary);
    for (title, text) in
        [("Exceptions", rule.exceptions), ("Filled in", rule.fix), ("Source", rule.source), ("Since", rule.since)]
    {
        if !text.is_empty() {
            let _ = writeln!(page, "{title}: {text}");
        }
    }
    let _ = write!(page, "\n{}", rule.docs);
    page
}

fn list(rules: &[&Rule]) -> String {
    let width = rules.iter().map(|rule| rule.name.len()).max().unwrap_or_default();
    rules.iter().fold(String::new(), |mut list, rule| {
        let _ = writeln!(list, "{:width$}  {:4}  {}", rule.name, rule.effect.to_string(), rule.summary);
        list
    })
}
