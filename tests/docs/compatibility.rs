//! Generators for docs/compatibility.md: the recorded profiles, and the versions of the programs in the tests.

use std::{collections::BTreeMap, fs};

use super::blocks::{dash, table};

/// The recorded profiles, by their producer.
pub(crate) fn producers() -> String {
    let mut producers: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for entry in fs::read_dir("tests/data/profiles").expect("the directory is readable") {
        let path = entry.expect("an entry is readable").path();
        let text = fs::read_to_string(&path).expect("a profile is readable");
        let header = |key: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(&format!("# {key}: ")));
            value.expect("a profile has each header").to_owned()
        };
        let name = path.file_stem().expect("a file has a name").to_string_lossy();
        let (files, warnings) = producers.entry(header("producer")).or_default();
        files.push(format!("[`{name}`](../tests/data/profiles/{name}.yaml)"));
        let rules = header("may-warn");
        warnings.extend(rules.split(", ").filter(|rule| *rule != "none").map(|rule| format!("`{rule}`")));
    }
    let rows = producers.into_iter().map(|(producer, (mut files, mut warnings))| {
        files.sort();
        warnings.sort();
        warnings.dedup();
        [producer, files.join(", "), dash(&warnings.join(", "))]
    });
    table(["producer", "profiles", "rules that may warn"], rows)
}

/// The versions of the programs that the tests build from Go modules.
pub(crate) fn versions() -> String {
    const PROGRAMS: [(&str, &str, &str); 4] = [
        ("kube-apiserver and kubectl", "control-plane", "k8s.io/kubernetes"),
        ("etcd", "control-plane", "go.etcd.io/etcd/server/v3"),
        ("cert-manager", "cert-manager", "github.com/cert-manager/cert-manager"),
        ("Helm", "helm", "helm.sh/helm/v4"),
    ];
    let rows = PROGRAMS.map(|(program, directory, module)| {
        let path = format!("tools/{directory}/go.mod");
        let text = fs::read_to_string(&path).expect("the module is readable");
        let mut words = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let version = words.find_map(|words| match words[..] {
            [name, version, ..] if name == module => Some(version.to_owned()),
            _ => None,
        });
        [program.to_owned(), version.expect("the module requires it"), format!("`{path}`")]
    });
    table(["program", "version", "named in"], rows.into_iter())
}
