//! The messages on the page about logs exist.

use std::fs;

use super::pages::files;

#[test]
fn every_message_on_the_page_is_in_the_source() {
    let page = fs::read_to_string("docs/logs.md").expect("the page is there");
    let (_, table) = page.split_once("\n| message | meaning |\n").expect("it has the table");
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let messages: Vec<_> =
        rows.filter_map(|row| row.split('|').nth(1)).flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(messages.len() > 5, "{messages:?}");
    let sources = files("src");
    for message in messages {
        let quoted = format!("\"{message}\"");
        assert!(sources.iter().any(|source| source.contains(&quoted)), "no source logs {message}");
    }
}
