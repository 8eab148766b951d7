//! Generated blocks of the pages: rules, flags, metrics, transcripts, figures.
//!
//! A block between `<!-- generated: NAME -->` and `<!-- end -->` comes from the generator of that name in [`BLOCKS`].
//! `make generate` sets `UPDATE=1`, which writes the blocks instead of comparing them.

use std::{collections::BTreeMap, env, fs, path::Path, process::Command};

use clusterprofile_webhook::{
    config::{KEYS, Key},
    metrics::Metrics,
    review::Rule,
    rules::RULES,
};

use super::{compatibility, cost, pages::pages};

/// The name of a block, and its generator.
type Block = (&'static str, fn() -> String);

const BLOCKS: &[Block] = &[
    ("demo", demo),
    ("overview", || transcript("overview")),
    ("mismatched-label", || transcript("mismatched-label")),
    ("every-mistake", || transcript("every-mistake")),
    ("boolean-status", || transcript("boolean-status")),
    ("break-glass", || transcript("break-glass")),
    ("help", || help("")),
    ("check", || help("check")),
    ("explain", || help("explain")),
    ("crd", || help("crd")),
    ("config-schema", || help("config-schema")),
    ("completions", || help("completions")),
    ("rules", rules),
    ("configuration", configuration),
    ("keys", keys),
    ("proof", || fs::read_to_string("tests/proofs/certificates.md").expect("`make prove-certificates` has made it")),
    ("serve", || help("serve")),
    ("metrics", metrics),
    ("cost", cost::cost),
    ("producers", compatibility::producers),
    ("versions", compatibility::versions),
];

#[test]
fn every_block_is_fresh() {
    for (path, stored) in pages() {
        let own = BLOCKS.iter().filter(|(name, _)| marked(&stored).any(|marked| marked == *name));
        let fresh = own.fold(stored.clone(), |page, (name, generate)| with_block(&page, name, generate().trim_end()));
        if env::var_os("UPDATE").is_some() {
            let new = path.with_extension("md.new");
            fs::write(&new, &fresh).expect("the page's directory can be written");
            fs::rename(new, &path).expect("the page can be replaced");
            continue;
        }
        let path = path.display();
        for (line, (stored, fresh)) in stored.lines().zip(fresh.lines()).enumerate() {
            assert_eq!(stored, fresh, "{path}:{}: run `make generate`", line + 1);
        }
        assert!(stored == fresh, "{path} ends at another line than the generated page: run `make generate`");
    }
}

#[test]
fn every_block_has_a_generator_and_one_place() {
    let pages = pages();
    for (path, page) in &pages {
        let path = path.display();
        assert_eq!(
            marked(page).count(),
            page.matches(END).count(),
            "{path}: blocks begin and end on lines of their own"
        );
        for name in marked(page) {
            assert!(BLOCKS.iter().any(|(block, _)| *block == name), "{path}: block {name} has no generator");
        }
    }
    for (name, _) in BLOCKS {
        let places = pages.iter().flat_map(|(_, page)| marked(page)).filter(|marked| marked == name).count();
        assert_eq!(places, 1, "block {name}");
    }
}

/// The names of the blocks in a page.
fn marked(page: &str) -> impl Iterator<Item = &str> {
    page.lines().filter_map(|line| line.strip_prefix(OPEN)?.strip_suffix(" -->"))
}

/// Readers would not find a command whose help is on no page.
#[test]
fn every_command_has_a_block() {
    let help = help("");
    let (_, commands) = help.split_once("\nCommands:\n").expect("the program has commands");
    let lines = commands.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).filter(|name| !name.is_empty());
    for name in names.filter(|name| *name != "help") {
        assert!(BLOCKS.iter().any(|(block, _)| *block == name), "no block has the help of {name}");
    }
}

#[test]
fn a_block_is_replaced_and_nothing_else() {
    let page = "a\n<!-- generated: x -->\nold\n<!-- end -->\nb\n<!-- generated: y -->\n<!-- end -->\n";
    let page = with_block(page, "x", "new");
    let page = with_block(&page, "y", "more");
    let expected = "a\n<!-- generated: x -->\nnew\n<!-- end -->\nb\n<!-- generated: y -->\nmore\n<!-- end -->\n";
    assert_eq!(page, expected);
    assert_eq!(with_block(&page, "x", "new"), expected);
}

const OPEN: &str = "<!-- generated: ";
const END: &str = "<!-- end -->";

/// Replaces the content of the block `name`.
fn with_block(page: &str, name: &str, text: &str) -> String {
    let open = format!("{OPEN}{name} -->\n");
    let (before, rest) = page.split_once(&open).expect(name);
    let (_, after) = rest.split_once(END).expect(name);
    format!("{before}{open}{text}\n{END}{after}")
}

fn rules() -> String {
    let rows = RULES.iter().map(|rule| {
        let Rule { name, summary, fix, source, .. } = rule;
        let link = format!("[`{name}`](../src/rules/docs/{name}.md)");
        [link, effect(rule), (*summary).to_owned(), dash(fix), (*source).to_owned()]
    });
    table(["rule", "effect", "requirement", "filled in", "source"], rows)
}

fn keys() -> String {
    let rows = KEYS.iter().map(|key| {
        let default = key.default();
        let is_literal = default.starts_with(char::is_numeric) || default == "false";
        let default = if is_literal { format!("`{default}`") } else { default };
        [format!("`{}`", key.path), default, key.docs.to_owned()]
    });
    table(["key", "default", "meaning"], rows)
}

/// An example that sets every key.
fn configuration() -> String {
    let policy =
        "effects:\n  name-prefix: warn\n  kubernetes-version: off\naudit: false\nexemptNamespaces:\n- scratch\n";
    format!("```yaml\n{policy}limits:\n{}```", limits("  "))
}

/// Every limit with its default, a line each.
fn limits(indent: &str) -> String {
    let line = |key: &Key| Some(format!("{indent}{}: {}\n", key.path.strip_prefix("limits.")?, key.default()));
    KEYS.iter().filter_map(line).collect()
}

/// `UPDATE=1` writes it. `make generate` does this first, because the chart repeats the file.
#[test]
fn the_configuration_file_of_the_manifests_shows_every_limit() {
    const FILE: &str = "manifests/base/config.yaml";
    let stored = fs::read_to_string(FILE).expect("the file is readable");
    let (policy, _) = stored.split_once("\nlimits:\n").expect("its last section has the limits");
    let fresh = format!("{policy}\nlimits:\n{}", limits("  #"));
    if env::var_os("UPDATE").is_some() {
        fs::write(FILE, fresh).expect("the file can be written");
    } else {
        assert_eq!(stored, fresh, "{FILE}: run `make generate`");
    }
}

fn effect(rule: &Rule) -> String {
    let effect = rule.effect.to_string();
    if rule.exceptions.is_empty() { effect } else { format!("{effect}; {}", rule.exceptions) }
}

pub(crate) fn dash(text: &str) -> String {
    if text.is_empty() { "–".to_owned() } else { text.to_owned() }
}

/// What `make demo` prints.
fn demo() -> String {
    let tests = env::current_exe().expect("a test is a file");
    let demo = tests.parent().and_then(Path::parent).expect("tests are in target/PROFILE/deps").join("examples/demo");
    let output = Command::new(demo).env("NO_COLOR", "1").output().expect("cargo test builds examples");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    format!("```text\n{}```", String::from_utf8(output.stdout).expect("the demo prints text"))
}

/// A transcript; `tests/e2e/kubectl.rs` replays it on a real API server.
fn transcript(name: &str) -> String {
    let text = fs::read_to_string(format!("tests/transcripts/{name}.console")).expect("the transcript is readable");
    format!("```console\n{text}```")
}

/// The output of `--help` for a command, or for the program if `command` is empty. Variables of this environment have
/// no effect.
fn help(command: &str) -> String {
    let command = Some(command).filter(|command| !command.is_empty());
    let output = Command::new(testkit::program())
        .args(command.into_iter().chain(["--help"]))
        .env_clear()
        .output()
        .expect("the binary was built");
    assert!(output.status.success(), "{command:?} --help: {}", output.status);
    let text = String::from_utf8(output.stdout).expect("help is text");
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    format!("```text\n{}\n```", lines.join("\n"))
}

/// Reads the metrics of a new server, which has every series from the start.
fn metrics() -> String {
    let text = Metrics::default().server.render();
    let mut families: Vec<(&str, &str, &str)> = Vec::new();
    let mut labels: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in text.lines() {
        match line.strip_prefix("# ").map(|line| line.splitn(3, ' ').collect::<Vec<_>>()).as_deref() {
            Some(["HELP", name, help]) => families.push((name, "", help)),
            Some(["TYPE", name, kind]) => {
                let family = families.iter_mut().find(|(known, ..)| known == name).expect("HELP comes first");
                family.1 = kind;
            }
            Some(_) => {}
            None => {
                let (sample, pairs) = line.split_once('{').unwrap_or((line, ""));
                let family = families.iter().rfind(|(name, ..)| sample.starts_with(name)).expect("HELP comes first");
                let names = pairs.split(',').filter_map(|pair| pair.split_once("=\"")).map(|(name, _)| name);
                labels.insert(family.0, names.filter(|name| *name != "le").collect());
            }
        }
    }
    let rows = families.into_iter().map(|(name, kind, help)| {
        let suffix = if kind == "counter" { "_total" } else { "" };
        let labels: Vec<_> = labels.get(name).into_iter().flatten().map(|label| format!("`{label}`")).collect();
        let help = help.trim_end_matches('.');
        [format!("`{name}{suffix}`"), kind.to_owned(), dash(&labels.join(", ")), help.to_owned()]
    });
    table(["metric", "type", "labels", "meaning"], rows)
}

pub(crate) fn table<const COLUMNS: usize>(
    head: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> String {
    let rule = [const { "---" }; COLUMNS].map(str::to_owned);
    let lines = [head.map(str::to_owned), rule].into_iter().chain(rows);
    lines.map(|cells| format!("| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | ")) + "\n").collect()
}
