//! Commands and manifests in the README and in the pages of `docs`, so that tests can run them.

use std::fs;

/// A page, or a section of one.
pub struct Section(String);

impl Section {
    /// The whole README.
    pub fn readme() -> Self {
        Self(fs::read_to_string("README.md").expect("the README is readable"))
    }

    /// A whole page: `docs/NAME.md`.
    pub fn page(name: &str) -> Self {
        Self(fs::read_to_string(format!("docs/{name}.md")).expect("the page is readable"))
    }

    /// The section from a heading of level two to the next one.
    pub fn section(&self, heading: &str) -> Self {
        let (_, section) =
            self.0.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
        Self(section.split("\n## ").next().unwrap_or_default().to_owned())
    }

    /// The `console` blocks, each as a script without prompts.
    pub fn scripts(&self) -> Vec<String> {
        let blocks = self.0.split("```console\n").skip(1);
        blocks.map(|block| script(block.split_once("```").expect("a block is closed").0)).collect()
    }

    /// The `yaml` blocks.
    pub fn manifests(&self) -> Vec<&str> {
        self.0.split("```yaml\n").skip(1).map(|block| block.split_once("```").expect("a block is closed").0).collect()
    }

    /// Returns `command`, after a check that the text has it as inline code.
    pub fn command<'c>(&self, command: &'c str) -> &'c str {
        let words: Vec<_> = self.0.split_whitespace().collect();
        assert!(words.join(" ").contains(&format!("`{command}`")), "the section has no command {command}");
        command
    }

    /// The text between `before` and `after`.
    pub fn between(&self, before: &str, after: &str) -> &str {
        let (_, rest) = self.0.split_once(before).unwrap_or_else(|| panic!("{before} is not in the section"));
        rest.split_once(after).expect("the text has an end").0
    }
}

/// Removes the prompts of a block.
fn script(block: &str) -> String {
    let lines = block.lines().map(str::trim_start).map(|line| line.strip_prefix("$ ").unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}
