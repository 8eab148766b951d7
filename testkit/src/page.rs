//! Commands and manifests of the README and of the pages in `docs`.

use std::fs;

/// A page, or a section of one.
pub(crate) struct Section(String);

impl Section {
    pub(crate) fn readme() -> Self {
        Self(fs::read_to_string("README.md").expect("the README is readable"))
    }

    /// A page of `docs`.
    pub(crate) fn page(name: &str) -> Self {
        Self(fs::read_to_string(format!("docs/{name}.md")).expect("the page is readable"))
    }

    /// One of its sections, from its heading to the next.
    pub(crate) fn section(&self, heading: &str) -> Self {
        let (_, section) =
            self.0.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
        Self(section.split("\n## ").next().unwrap_or_default().to_owned())
    }

    /// Its blocks of commands, each a script.
    pub(crate) fn scripts(&self) -> Vec<String> {
        let blocks = self.0.split("```console\n").skip(1);
        blocks.map(|block| script(block.split_once("```").expect("a block is closed").0)).collect()
    }

    /// Its blocks of YAML.
    pub(crate) fn manifests(&self) -> Vec<&str> {
        self.0.split("```yaml\n").skip(1).map(|block| block.split_once("```").expect("a block is closed").0).collect()
    }

    /// A command within a sentence.
    pub(crate) fn command<'c>(&self, command: &'c str) -> &'c str {
        let words: Vec<_> = self.0.split_whitespace().collect();
        assert!(words.join(" ").contains(&format!("`{command}`")), "the section has no command {command}");
        command
    }

    /// The text between two others.
    pub(crate) fn between(&self, before: &str, after: &str) -> &str {
        let (_, rest) = self.0.split_once(before).unwrap_or_else(|| panic!("{before} is not in the section"));
        rest.split_once(after).expect("the text has an end").0
    }
}

/// A block without its prompts.
fn script(block: &str) -> String {
    let lines = block.lines().map(str::trim_start).map(|line| line.strip_prefix("$ ").unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}
