//! What is said of the log.

use std::fs;

use super::pages::files;

#[test]
fn every_message_that_is_told_of_is_in_the_source() {
    let page = fs::read_to_string("docs/operations.md").expect("the page is there");
    let (_, table) = page.split_once("\n| message | means |\n").expect("it has the table");
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let told: Vec<_> =
        rows.filter_map(|row| row.split('|').nth(1)).flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(told.len() > 5, "{told:?}");
    let sources = files("src");
    for message in told {
        let quoted = format!("\"{message}\"");
        assert!(sources.iter().any(|source| source.contains(&quoted)), "nobody logs {message}");
    }
}
