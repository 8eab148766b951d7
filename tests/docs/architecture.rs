//! The layout: modules use only modules below them, the core does no I/O, files are short.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;

/// The modules of the library, lowest first. Each may use only those before it. `LAST_OF_CORE` is the end of the core.
const MODULES: [&str; 29] = [
    "digest",
    "units",
    "json",
    "profile",
    "syntax",
    "redact",
    "field_path",
    "suggest",
    "yaml",
    "review",
    "rules",
    "admission",
    "manifest",
    "crd",
    "fuzzing",
    "config",
    "error",
    "files",
    "random",
    "kube",
    "tls",
    "traces",
    "config_file",
    "certificates",
    "server",
    "metrics",
    "lib",
    "logging",
    "cli",
];

/// The last module of the core, which is a pure library.
const LAST_OF_CORE: &str = "config";

/// What the core must not use: threads, files, sockets, the clock, the environment.
const IMPURE: &str = r"\b(tokio|axum|hyper|hyper_util|rustls|tokio_rustls|kube|socket2|tracing)::|\bstd::(fs|env|process|thread)\b|\b(TcpStream|TcpListener|UdpSocket|Instant|SystemTime)\b|Timestamp::now|\basync (fn|move|\{)";

/// Maximum lines of a file.
const LINES: usize = 400;

/// The Rust files below `src`, without their tests.
fn sources() -> BTreeMap<PathBuf, String> {
    files(&["src"])
}

/// The Rust files below these directories, without the tests of `src`.
fn files(directories: &[&str]) -> BTreeMap<PathBuf, String> {
    let mut directories: Vec<_> = directories.iter().map(PathBuf::from).collect();
    let mut sources = BTreeMap::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("a directory can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).expect("a file can be read");
                sources.insert(path, text);
            }
        }
    }
    sources
}

fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}

/// The module directly below `src` that a file belongs to.
fn module(path: &Path) -> String {
    let name = path.iter().nth(1).expect("it is below src").to_string_lossy();
    name.trim_end_matches(".rs").replace("main", "cli")
}

fn rank(module: &str) -> Option<usize> {
    MODULES.iter().position(|other| *other == module)
}

/// The modules that a file imports from `crate::`, also in a list.
fn used(text: &str) -> Vec<String> {
    let path = Regex::new(r"\bcrate::(\{)?").expect("it is an expression");
    let name = Regex::new(r"^\s*([a-z_0-9]+)").expect("it is an expression");
    let first = |text: &str| name.captures(text).map(|found| found[1].to_owned());
    let mut used = Vec::new();
    for found in path.captures_iter(text) {
        let rest = &text[found.get(0).expect("it is the whole").end()..];
        if found.get(1).is_none() {
            used.extend(first(rest));
            continue;
        }
        let (mut depth, mut start) = (1, 0);
        for (position, letter) in rest.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && letter == ',') {
                used.extend(first(&rest[start..position]));
                start = position + 1;
            }
            if depth == 0 {
                break;
            }
        }
    }
    used
}

#[test]
fn modules_use_only_what_is_below_them() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let module = module(&path);
        let Some(own) = rank(&module) else {
            wrong.push(format!("{}: {module} has no place in MODULES", path.display()));
            continue;
        };
        for used in used(without_tests(&text)).into_iter().filter(|used| *used != module) {
            if rank(&used).is_none_or(|used| used >= own) {
                wrong.push(format!("{}: {module} uses {used}, which is not below it", path.display()));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn the_core_does_no_io() {
    let impure = Regex::new(IMPURE).expect("it is an expression");
    let last = rank(LAST_OF_CORE).expect("it is in the list");
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if rank(&module(&path)).is_none_or(|rank| rank > last) {
            continue;
        }
        // The derives of the CRD come from kube. They only describe types.
        let code = without_tests(&text).lines().filter(|line| {
            let is_derive = path.to_string_lossy().starts_with("src/crd") && line.contains("kube");
            !is_derive && !line.trim_start().starts_with("//")
        });
        wrong.extend(
            code.filter(|line| impure.is_match(line)).map(|line| format!("{}: {}", path.display(), line.trim())),
        );
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn a_rule_is_in_the_file_that_its_prefix_names() {
    let record = Regex::new(r#"Rule = Rule \{\s+name: "([a-z-]+)""#).expect("it is an expression");
    for (path, text) in sources() {
        for found in record.captures_iter(&text) {
            let place = path.with_extension("");
            let place: Vec<_> = place.iter().skip(2).map(|part| part.to_string_lossy().replace('_', "-")).collect();
            assert!(found[1].starts_with(&place.join("-")), "{} is in {}", &found[1], path.display());
        }
    }
}

#[test]
fn files_are_short() {
    let files = files(&["src", "tests", "testkit", "benches", "examples", "fuzz/fuzz_targets"]);
    let long = files.into_iter().map(|(path, text)| (text.lines().count(), path)).filter(|(lines, _)| *lines > LINES);
    assert_eq!(long.collect::<Vec<_>>(), []);
}

/// The name of a module is the name of its file. What several programs need is in `testkit`.
#[test]
fn no_module_names_the_path_of_its_file() {
    let attribute = concat!("#[", "path");
    for (path, text) in files(&["src", "tests", "testkit", "benches", "examples", "fuzz/fuzz_targets"]) {
        assert!(!text.contains(attribute), "{}: move what it shares to testkit", path.display());
    }
}
