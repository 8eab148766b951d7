//! `check` on the command line: its exit code, what it tells people, what it tells programs.

use std::{
    fs,
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

#[test]
fn what_validate_refuses_is_denied_behind_any_flood() {
    let property =
        |number| json!({"name": format!("a{number}.k8s.io"), "value": "b", "lastObservedTime": "2999-01-01T00:00:00Z"});
    let properties: Vec<_> = (0..5100).map(property).collect();
    let provider = json!({"name": "a", "cluster": {"server": "https://user:password@a"}});
    let output =
        check(&["-"], &profile("a", &json!({"properties": properties, "accessProviders": [provider]})).to_string());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("[access-secret]"));
}

#[test]
fn what_is_left_out_is_counted() {
    let property = |value: &str| json!({"name": "a.k8s.io", "value": value});
    let flood = |value| profile("a", &json!({"properties": vec![property(value); 5100]}));
    // All but the first have a name that occurs before.
    let output = check(&["-"], &flood("b").to_string());
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    assert!(told.contains("  denied … and 4999 more\n  warning … and 5000 more\n"), "{told}");

    let outcome = json_of(&check(&["-", "-o", "json"], &flood("").to_string()));
    assert_eq!(outcome["objects"][0]["omitted"], json!({"denials": 5000 + 4999, "warnings": 5000}));
    let outcome = json_of(&check(&["-", "-o", "json"], &profile("a", &json!({})).to_string()));
    assert_eq!(outcome["objects"][0]["omitted"], json!({"denials": 0, "warnings": 0}));
}

/// `spec.clusterManager.name` is another than the stored one: denied as an update, sound as a new object.
#[test]
fn a_manifest_without_a_namespace_is_an_update_of_the_only_object_of_its_name() {
    let in_namespace = |object: &Value, namespace: Option<&str>| {
        let mut object = object.clone();
        object["metadata"]["namespace"] = json!(namespace);
        object
    };
    let new = profile("a", &json!({}));
    let mut stored = new.clone();
    stored["spec"]["clusterManager"]["name"] = json!("kueue");
    stored["metadata"]["labels"]["x-k8s.io/cluster-manager"] = json!("kueue");

    for (namespace, old, is_stored) in [
        (None, vec![Some("one")], true),
        (None, vec![Some("one"), None], true),
        (None, vec![Some("one"), Some("two")], false),
        (Some("one"), vec![Some("two"), Some("one")], true),
        (Some("one"), vec![Some("two")], false),
        (Some("one"), vec![], false),
    ] {
        let old: Vec<_> = old.into_iter().map(|namespace| in_namespace(&stored, namespace)).collect();
        let mut file = tempfile::NamedTempFile::new().expect("a file can be made");
        let list = json!({"apiVersion": "v1", "kind": "List", "items": old});
        file.write_all(list.to_string().as_bytes()).expect("it can be written");
        let old = file.path().to_str().expect("it is UTF-8");

        let input = in_namespace(&new, namespace).to_string();
        let outcome = json_of(&check(&["-", "-o", "json", "--old", old], &input));
        assert_eq!(outcome["objects"][0]["stored"], json!(is_stored), "{namespace:?} {list}");
        let output = check(&["-", "--old", old], &input);
        assert_eq!(output.status.code(), Some(i32::from(is_stored)));
        let says_new = text(&output.stdout).contains("\n  judged as new: --old holds no object");
        assert_eq!(says_new, !is_stored, "{}", text(&output.stdout));
    }
    assert_eq!(json_of(&check(&["-", "-o", "json"], &new.to_string()))["objects"][0].get("stored"), None);
}

#[test]
fn names_cannot_steer_the_terminal() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let file = directory.path().join("f\u{1b}[31m\nfake: ok.yaml");
    let path = file.to_str().expect("it is UTF-8");
    let name = "a\u{1b}[31mX\nfake: ok\u{202e}";
    fs::write(&file, profile(name, &json!({})).to_string()).expect("it can be written");
    let steers = |text: &str| text.chars().any(|letter| letter.is_control() && letter != '\n' || letter == '\u{202e}');

    let output = check(&[path], "");
    let told = text(&output.stdout);
    assert!(!steers(&told) && told.lines().count() == 2, "{told}");
    assert!(told.contains(r"f\u{1b}[31m\nfake: ok.yaml: document 1"), "{told}");
    assert!(told.contains(r": ClusterProfile fleet/a\u{1b}[31mX\nfake: ok\u{202e}: allowed"), "{told}");

    fs::write(&file, "apiVersion: v1\nkind: \"a\\e[31m\" x").expect("it can be written");
    for arguments in [&[path][..], &["/nowhere/\u{1b}[31m\n"]] {
        let output = check(arguments, "");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2));
        assert!(!steers(&told) && told.lines().count() == 1, "{told}");
    }
}

/// A sound profile of that name.
fn profile(name: &str, status: &Value) -> Value {
    json!({
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "kind": "ClusterProfile",
        "metadata": {"name": name, "namespace": "fleet", "labels": {"x-k8s.io/cluster-manager": "ocm"}},
        "spec": {"displayName": "A", "clusterManager": {"name": "ocm"}},
        "status": status,
    })
}

/// Runs `check` with `input` as standard input.
fn check(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clusterprofile-webhook"));
    command.arg("check").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().expect("the binary runs");
    process.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("the binary reads");
    process.wait_with_output().expect("the binary ends")
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it prints UTF-8")
}
