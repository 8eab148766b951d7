//! Links, names of tests and quoted messages in the pages.

use std::{
    fs,
    path::{Path, PathBuf},
};

#[test]
fn every_link_within_the_project_leads_somewhere() {
    for (path, page) in pages() {
        let text: String = page.split('`').step_by(2).collect(); // What is code has brackets of its own.
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { path.clone() } else { path.parent().expect("a page is a file").join(file) };
            assert!(target.exists(), "{}: {link} does not exist", path.display());
            if !anchor.is_empty() {
                let target = fs::read_to_string(target).expect("an anchor is in a page");
                let mut anchors = target.lines().filter(|line| line.starts_with('#')).map(anchor_of);
                assert!(anchors.any(|known| known == anchor), "{}: {link} has no such heading", path.display());
            }
        }
    }
}

/// A claim about a threat needs a test.
#[test]
fn every_row_of_the_threat_model_names_its_test() {
    let root = testkit::root();
    let page = fs::read_to_string(root.join("docs/threat-model.md")).expect("the page is readable");
    let makefile = fs::read_to_string(root.join("Makefile")).expect("the Makefile is readable");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| it |"));
    let proven_by: Vec<_> = rows.map(|row| row.split(" | ").nth(2).expect("it has four columns")).collect();
    assert!(proven_by.len() > 20, "{proven_by:?}");
    for cell in proven_by {
        let named: Vec<_> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{cell:?} names no test");
        for test in named {
            let exists = match test.strip_prefix("make ") {
                Some(target) => makefile.contains(&format!("\n{target}:")),
                None => root.join(test).exists(),
            };
            assert!(exists, "{test} does not exist");
        }
    }
}

/// The anchor of a heading, as GitHub makes it: lower case, dashes for spaces, no punctuation.
fn anchor_of(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

#[test]
fn every_message_in_the_faq_exists() {
    let questions = fs::read_to_string("docs/faq.md").expect("the page is readable");
    let sources: Vec<_> = ["src", "manifests", "tests/transcripts", "tests/e2e"].into_iter().flat_map(files).collect();
    let quoted: Vec<_> = questions.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    assert!(quoted.len() > 5, "{quoted:?}");
    for message in quoted {
        let quotes_escaped = message.replace('"', "\\\"");
        let is_said = |source: &String| source.contains(message) || source.contains(&quotes_escaped);
        assert!(sources.iter().any(is_said), "docs/faq.md: who says {message}?");
    }
}

#[test]
fn the_questions_have_every_message_of_a_503() {
    let questions = fs::read_to_string("docs/faq.md").expect("the page is readable");
    let source = fs::read_to_string("src/server/handler.rs").expect("the source is readable");
    let messages: Vec<_> = source.split('"').filter(|text| text.starts_with("clusterprofile-webhook ")).collect();
    assert!(messages.len() > 5, "{messages:?}");
    let missing: Vec<_> = messages.into_iter().filter(|message| !questions.contains(message)).collect();
    assert_eq!(missing, [""; 0], "docs/faq.md has no answer to these");
}

#[test]
fn the_message_whose_parts_are_explained_is_in_a_transcript() {
    let page = fs::read_to_string("docs/messages.md").expect("the page is readable");
    let (_, block) = page.split_once("```text\n").expect("the page begins with a message");
    let message = block.lines().next().expect("a block has lines");
    assert!(
        files("tests/transcripts").iter().any(|transcript| transcript.contains(message)),
        "no transcript: {message}"
    );
}

/// The pages at the root, and those in `docs`.
pub(crate) fn pages() -> Vec<(PathBuf, String)> {
    let root = testkit::root();
    let docs = fs::read_dir(root.join("docs")).expect("there are docs").map(|entry| entry.expect("readable").path());
    let pages = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let read = |path: PathBuf| {
        let page = fs::read_to_string(&path).expect("a page is readable");
        (path, page)
    };
    let root = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(|name| root.join(name));
    root.into_iter().chain(pages).map(read).collect()
}

/// The text of every file in a directory, at any depth.
pub(crate) fn files(directory: impl AsRef<Path>) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory is there").map(|entry| entry.expect("readable").path());
    entries
        .flat_map(|path| if path.is_dir() { files(path) } else { fs::read_to_string(path).into_iter().collect() })
        .collect()
}
