//! The pages for contributors name files and targets that exist.

use std::{fs, path::Path};

use super::pages::files;

/// Pages for contributors, which name files of the repository.
const PAGES: [&str; 3] = ["CONTRIBUTING.md", "docs/architecture.md", "docs/compatibility.md"];

/// Directories whose files the pages name.
const DIRECTORIES: [&str; 10] =
    ["src/", "tests/", "testkit/", "tools/", "examples/", "docs/", "manifests/", "benches/", "fuzz/", "certs-dev/"];

#[test]
fn every_file_and_target_that_a_page_names_exists() {
    let makefile = fs::read_to_string("Makefile").expect("the Makefile is readable");
    let mut missing = Vec::new();
    for page in PAGES {
        let text = fs::read_to_string(page).expect("the page is readable");
        let outside_blocks: String = text.split("```").step_by(2).collect();
        for code in outside_blocks.split('`').skip(1).step_by(2) {
            if let Some(target) = code.strip_prefix("make ") {
                let target = target.split_whitespace().next().unwrap_or_default();
                if !makefile.contains(&format!("\n{target}:")) {
                    missing.push(format!("{page}: {code}"));
                }
            }
            // An uppercase letter or an asterisk stands for a variable part.
            let is_pattern = |letter: char| letter == '*' || letter == ' ' || letter.is_ascii_uppercase();
            let is_file = DIRECTORIES.iter().any(|directory| code.starts_with(directory));
            let name = code.trim_end_matches("README.md");
            if is_file && !name.contains(is_pattern) && !Path::new(code).exists() {
                missing.push(format!("{page}: {code}"));
            }
        }
    }
    assert_eq!(missing, [""; 0], "these do not exist");
}

#[test]
fn every_function_and_constant_that_the_page_names_exists() {
    let page = fs::read_to_string("CONTRIBUTING.md").expect("the page is readable");
    let outside_blocks: String = page.split("```").step_by(2).collect();
    let sources: Vec<_> = ["src", "testkit", "tests"].into_iter().flat_map(files).collect();
    let exists = |text: &str| sources.iter().any(|source| source.contains(text));
    let mut named = 0;
    let mut missing = Vec::new();
    for code in outside_blocks.split('`').skip(1).step_by(2) {
        let is_constant = code.len() > 3 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        let function = code.split_once("::").map(|(_, function)| format!("fn {function}("));
        if is_constant || function.is_some() {
            named += 1;
            if !exists(function.as_deref().unwrap_or(code)) {
                missing.push(code);
            }
        }
    }
    assert!(named > 5, "the page names functions and constants");
    assert_eq!(missing, [""; 0], "these do not exist");
}
