//! The command `check`: its exit code, its text and its JSON.

use std::{
    fs,
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

#[test]
fn a_denial_is_reported_behind_any_number_of_other_findings() {
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
fn omitted_findings_are_counted() {
    let property = |value: &str| json!({"name": "a.k8s.io", "value": value});
    let flood = |value| profile("a", &json!({"properties": vec![property(value); 5100]}));
    // All names except the first are duplicates.
    let output = check(&["-"], &flood("b").to_string());
    assert_eq!(output.status.code(), Some(1));
    let printed = text(&output.stdout);
    assert!(printed.contains("  denied … and 4999 more\n  warning … and 5000 more\n"), "{printed}");

    let outcome = json_of(&check(&["-", "-o", "json"], &flood("").to_string()));
    assert_eq!(outcome["objects"][0]["omitted"], json!({"denials": 5000 + 4999, "warnings": 5000}));
    let outcome = json_of(&check(&["-", "-o", "json"], &profile("a", &json!({})).to_string()));
    assert_eq!(outcome["objects"][0]["omitted"], json!({"denials": 0, "warnings": 0}));
}

/// `spec.clusterManager.name` differs from the stored one: denied as an update, valid as a new object.
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
        let says_new = text(&output.stdout).contains("\n  not found in --old: checked as a new object");
        assert_eq!(says_new, !is_stored, "{}", text(&output.stdout));
    }
    assert_eq!(json_of(&check(&["-", "-o", "json"], &new.to_string()))["objects"][0].get("stored"), None);
}

#[test]
fn names_cannot_control_the_terminal() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let file = directory.path().join("f\u{1b}[31m\nfake: ok.yaml");
    let path = file.to_str().expect("it is UTF-8");
    let name = "a\u{1b}[31mX\nfake: ok\u{202e}";
    fs::write(&file, profile(name, &json!({})).to_string()).expect("it can be written");
    let steers = |text: &str| text.chars().any(|letter| letter.is_control() && letter != '\n' || letter == '\u{202e}');

    let output = check(&[path], "");
    let printed = text(&output.stdout);
    assert!(!steers(&printed) && printed.lines().count() == 2, "{printed}");
    assert!(printed.contains(r"f\u{1b}[31m\nfake: ok.yaml: document 1"), "{printed}");
    assert!(printed.contains(r": ClusterProfile fleet/a\u{1b}[31mX\nfake: ok\u{202e}: allowed"), "{printed}");

    fs::write(&file, "apiVersion: v1\nkind: \"a\\e[31m\" x").expect("it can be written");
    for arguments in [&[path][..], &["/nowhere/\u{1b}[31m\n"]] {
        let output = check(arguments, "");
        let printed = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2));
        assert!(!steers(&printed) && printed.lines().count() == 1, "{printed}");
    }
}

/// A name that reverses the line, and one that looks like a token, in every output format.
#[test]
fn text_of_an_author_is_always_escaped() {
    let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ.bm90LWEtc2lnbmF0dXJl";
    let turned = "a\u{202e}\u{7f}\u{9b}31mb";
    for name in [turned, token] {
        let mut object = profile(name, &json!({"properties": [{"name": name, "value": 5}], name: 1}));
        object["metadata"]["namespace"] = json!(name);
        object["spec"].as_object_mut().unwrap().remove("displayName");
        let text_of = object.to_string();
        let twice = text_of.replacen("\"spec\":", &format!("{}:1,{}:2,\"spec\":", json!(name), json!(name)), 1);
        for input in [&text_of, &twice] {
            for arguments in [&["-"][..], &["-", "-o", "json"]] {
                let output = check(arguments, input);
                let printed = text(&output.stdout) + &text(&output.stderr);
                assert!(!printed.contains(name), "{printed}");
                let steers = |letter: char| (letter.is_control() && letter != '\n') || letter == '\u{202e}';
                assert!(!printed.contains(steers), "{printed:?}");
            }
        }
        assert!(text(&check(&["-"], &twice).stderr).contains("duplicate key"));
    }
    let outcome = json_of(&check(&["-", "-o", "json"], &profile(turned, &json!({})).to_string()));
    assert_eq!(outcome["objects"][0]["name"], json!(turned), "programs read it as it is");
}

/// As `jq '.items[]'` prints a list.
#[test]
fn a_stream_of_json_objects_is_checked_to_its_end() {
    let good = profile("a", &json!({}));
    let mut bad = profile("b", &json!({}));
    bad["metadata"]["labels"]["x-k8s.io/cluster-manager"] = json!("kueue");
    let output = check(&["-"], &format!("{good}\n{}\n{good}", serde_json::to_string_pretty(&bad).unwrap()));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stdout).ends_with("3 cluster profiles: 1 denied, 0 with warnings; 0 other objects skipped\n"));
}

/// `check` rejects what the API server rejects: a number is not a string, in any notation.
#[test]
fn a_number_is_denied_as_a_value_as_by_kubectl() {
    let output = |value: &str| {
        let status = format!("status: {{properties: [{{name: a, value: {value}}}]}}");
        let head = "apiVersion: multicluster.x-k8s.io/v1alpha1\nkind: ClusterProfile\n";
        let rest = "metadata: {name: a, labels: {x-k8s.io/cluster-manager: ocm}}\nspec: {displayName: a, clusterManager: {name: ocm}}\n";
        check(&["-"], &format!("{head}{rest}{status}\n"))
    };
    for number in ["0O17", "0X1f", "0B1", "1_0.0", "1_", "0.1e1_0", "017", "0x1f", "1e3", "yes", "y"] {
        let output = output(number);
        let printed = text(&output.stdout);
        assert!(output.status.code() == Some(1) && printed.contains("[property-value]"), "{number}: {printed}");
    }
    for string in ["\"0O17\"", "0o8", "1:30", "v1", "1e", "2026-01-01", "!!str 017"] {
        assert_eq!(output(string).status.code(), Some(0), "{string}");
    }
}

#[test]
fn a_directory_is_read_completely_despite_unreadable_entries() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let links = [("a.yaml", "nowhere"), ("..data", "..1"), ("b.yaml", "..data/b.yaml"), ("round", "."), ("again", ".")];
    fs::create_dir(path("..1")).unwrap();
    fs::write(path("..1").join("b.yaml"), profile("b", &json!({})).to_string()).unwrap();
    for (link, target) in links {
        std::os::unix::fs::symlink(target, path(link)).unwrap();
    }
    let fifo = Command::new("mkfifo").arg(path("c.yaml")).status().expect("coreutils are installed");
    assert!(fifo.success());
    fs::write(path("d.json"), profile("d", &json!({})).to_string()).unwrap();

    let names = |arguments: &[&str]| {
        let output = check(&[arguments, &["-o", "json", &directory.path().display().to_string()]].concat(), "");
        assert_eq!(output.status.code(), Some(2), "one cannot be read");
        let outcome = json_of(&output);
        assert_eq!(outcome["errors"].as_array().map(Vec::len), Some(1), "{outcome:#}");
        let objects = outcome["objects"].as_array().unwrap().clone();
        objects.iter().map(|object| object["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["b", "d"]);
    assert_eq!(names(&["-R"]), ["b", "d"]);
}

#[test]
fn lists_are_split_and_items_that_are_no_objects_are_reported() {
    let mut bare = profile("a", &json!({}));
    bare.as_object_mut().unwrap().retain(|field, _| field == "metadata" || field == "spec");
    let list = |items: Value| json!({"apiVersion": "v1", "kind": "List", "items": items});
    let typed = json!({
        "apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ClusterProfileList", "items": [bare, null],
    });
    let outcome = json_of(&check(&["-", "-o", "json"], &list(json!([typed, list(json!([5]))])).to_string()));
    assert_eq!(outcome["objects"].as_array().map(Vec::len), Some(1));
    let place = "standard input: document 1, line 1: item";
    let no_object = "not a Kubernetes object: expected a mapping with apiVersion and kind";
    assert_eq!(outcome["errors"], json!([format!("{place} 1 {no_object}"), format!("{place} 0 {no_object}")]));
}

#[test]
fn invalid_manifests_are_reported_with_their_line_and_other_kinds_are_counted() {
    for (input, printed) in [
        ("", "no manifests found"),
        ("a: 1\na: 2\n", "standard input: document 1, line 2: duplicate key \"a\""),
        ("a: [1\n", "standard input: document 1, line 1: unclosed bracket '['"),
    ] {
        let output = check(&["-"], input);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(2), format!("error: {printed}\n")));
    }
    let output = check(&["-"], "apiVersion: v1\nkind: Pod\n");
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).ends_with("1 other object skipped\n"));
    let output = check(&["-", "--old", "-"], &profile("a", &json!({})).to_string());
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("standard input: give - only once"));
}

#[test]
fn the_configuration_file_applies_unless_flags_override_it() {
    let mut bad = profile("a", &json!({}));
    bad["metadata"]["labels"]["x-k8s.io/cluster-manager"] = json!("kueue");
    let bad = bad.to_string();
    let config = |content: &str| {
        let mut file = tempfile::NamedTempFile::new().expect("a file can be made");
        file.write_all(content.as_bytes()).expect("it can be written");
        file
    };
    for (content, flags, code) in [
        ("", &[][..], 1),
        ("effects:\n  cluster-manager-label: off\n", &[], 0),
        ("effects:\n  cluster-manager-label: off\n", &["--effect=cluster-manager-label=deny"], 1),
        ("effects:\n  name-prefix: off\n", &["--effect=cluster-manager-label=off"], 0),
        ("audit: true\n", &[], 0),
        ("audit: true\n", &["--audit=false"], 1),
        ("audit: false\n", &["--audit"], 0),
        ("exemptNamespaces: [fleet]\n", &[], 0),
        ("exemptNamespaces: [flee]\n", &[], 1),
        ("limits:\n  maxBody: 1\n", &[], 1),
    ] {
        let file = config(content);
        let path = file.path().to_str().expect("it is UTF-8");
        let output = check(&[&["-", "--config", path], flags].concat(), &bad);
        assert_eq!(output.status.code(), Some(code), "{content}{flags:?}: {}", text(&output.stderr));
    }

    let exempt = config("exemptNamespaces: [fleet]\n");
    let path = exempt.path().to_str().expect("it is UTF-8");
    let printed = text(&check(&["-", "--config", path], &bad).stdout);
    assert!(printed.contains("ClusterProfile fleet/a: not checked, exempt namespace\n"), "{printed}");
    let outcome = json_of(&check(&["-", "-o", "json", "--config", path], &bad));
    assert_eq!(outcome["objects"][0]["exempt"], json!(true));

    let broken = config("effects:\n  cluster-manager-labl: off\nlimits:\n  maxBdy: 1\n");
    let path = broken.path().to_str().expect("it is UTF-8");
    let output = check(&["-", "--config", path], &bad);
    let expected = format!(
        "error: {path}: line 2, column 3: there is no rule \"cluster-manager-labl\"; did you mean \"cluster-manager-label\"?\n\
         error: {path}: line 4, column 3: there is no key \"limits.maxBdy\"; did you mean \"limits.maxBody\"?\n"
    );
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(2), expected));
    let outcome = json_of(&check(&["-", "-o", "json", "--config", path], &bad));
    assert_eq!(outcome["errors"].as_array().map(Vec::len), Some(2));
}

/// A valid profile.
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
    let mut command = Command::new(testkit::program());
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
