//! The page on logs has the messages that the program logs.

use std::{collections::BTreeSet, fs};

use super::pages::files;

/// Level and message, of each line at `info` or above.
type Messages = BTreeSet<(&'static str, String)>;

const LEVELS: [&str; 3] = ["info", "warn", "error"];

#[test]
fn the_page_has_the_messages_that_the_source_logs() {
    let sources = files("src");
    let logged: Messages = sources.iter().flat_map(|source| messages(source)).collect();
    assert!(logged.len() > 20, "{logged:?}");
    let described = described();
    let missing: Vec<_> = logged.difference(&described).collect();
    let stale: Vec<_> = described.difference(&logged).collect();
    assert!(missing.is_empty(), "docs/logs.md does not have {missing:?}");
    assert!(stale.is_empty(), "docs/logs.md has {stale:?}, which src does not log");
}

/// The messages in the tables of the page, some of which share a row.
fn described() -> Messages {
    let page = fs::read_to_string("docs/logs.md").expect("the page is there");
    let row = |row: &str| {
        let mut cells = row.split(" | ");
        let messages = cells.next()?.split('`').skip(1).step_by(2);
        let level = cells.next()?.trim_matches('`');
        let level = *LEVELS.iter().find(|known| **known == level)?;
        Some(messages.map(|message| (level, message.to_owned())).collect::<Vec<_>>())
    };
    page.lines().filter_map(row).flatten().collect()
}

/// The messages of the macros in a source, without its unit tests.
fn messages(source: &str) -> Messages {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut messages = Messages::new();
    for level in LEVELS {
        for call in source.split(&format!("{level}!(")).skip(1) {
            let message = message(call).expect(call);
            messages.insert((level, message.to_owned()));
        }
    }
    messages
}

/// The last argument of a macro, which is its message.
fn message(call: &str) -> Option<&str> {
    let mut depth = 1_u32;
    let mut last = None;
    // Even parts are code, odd parts are between quotes.
    for (at, part) in call.split('"').enumerate() {
        if at % 2 == 1 {
            last = (depth == 1).then_some(part);
            continue;
        }
        for letter in part.chars() {
            match letter {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' if depth == 1 => return last,
                ')' | ']' | '}' => depth -= 1,
                _ => {}
            }
        }
    }
    None
}
