//! What is said of the log.

use std::{fs, path::Path};

#[test]
fn every_message_that_is_told_of_is_in_the_source() {
    let page = fs::read_to_string("docs/operations.md").expect("the page is there");
    let (_, table) = page.split_once("\n| message | means |\n").expect("it has the table");
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let told: Vec<_> =
        rows.filter_map(|row| row.split('|').nth(1)).flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(told.len() > 5, "{told:?}");
    let source = source(Path::new("src"));
    for message in told {
        assert!(source.contains(&format!("\"{message}\"")), "nobody logs {message}");
    }
}

fn source(path: &Path) -> String {
    if path.is_file() {
        return fs::read_to_string(path).expect("sources are text");
    }
    let entries = fs::read_dir(path).expect("a directory is readable");
    entries.map(|entry| source(&entry.expect("it is readable").path())).collect()
}
