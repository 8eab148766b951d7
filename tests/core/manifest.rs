//! Reading manifests: the lists of a large hub, and inputs that must not exhaust memory.

use std::{iter, thread};

use clusterprofile_webhook::manifest::{self, Document, ReadError};
use serde_json::{Value, json};

fn read(text: &str) -> (Vec<Document>, Vec<ReadError>) {
    manifest::read(text.as_bytes())
}

fn profile(number: usize) -> Value {
    let labels = json!({"x-k8s.io/cluster-manager": "ocm"});
    json!({
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "kind": "ClusterProfile",
        "metadata": {"name": format!("spoke-{number}"), "labels": labels},
        "spec": {"displayName": "Spoke", "clusterManager": {"name": "ocm"}},
    })
}

#[test]
fn a_list_of_every_cluster_of_a_large_hub_is_read() {
    let items: Vec<_> = (0..15_000).map(profile).collect();
    let (documents, errors) = read(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(documents.len(), 15_000);
    assert_eq!(documents.last().map(|document| &document.object), Some(&profile(14_999)));
}

#[test]
fn many_items_can_share_an_alias() {
    let items = (0..1000).map(|number| format!("- {{apiVersion: v1, kind: A{number}, metadata: *shared}}\n"));
    let text = format!(
        "apiVersion: v1\nkind: List\nshared: &shared {{labels: {{a: b}}}}\nitems:\n{}",
        items.collect::<String>()
    );
    let (documents, errors) = read(&text);
    assert!(errors.is_empty() && documents.len() == 1000, "{errors:?}");
    assert!(documents.iter().all(|document| document.object["metadata"] == json!({"labels": {"a": "b"}})));
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    /// Stack of a program without optimization, whose frames are many times larger.
    const STACK: usize = 8 << 20;
    let read = |text: String| {
        let thread = thread::Builder::new().stack_size(STACK).spawn(move || manifest::read(text.as_bytes()));
        thread.expect("a thread can be started").join().expect("it does not panic")
    };
    let nested = |depth: usize| {
        let flow = "[".repeat(depth) + &"]".repeat(depth);
        let block = "- ".repeat(depth);
        [format!("deep: {flow}\n"), format!("deep:\n  {block}a\n")]
            .map(|deep| format!("apiVersion: v1\nkind: A\n{deep}"))
    };
    for text in nested(240) {
        let (documents, errors) = read(text);
        assert!(errors.is_empty() && documents.len() == 1, "{errors:?}");
    }
    for text in nested(100_000) {
        let (documents, errors) = read(text);
        assert!(documents.is_empty() && errors.len() == 1, "{errors:?}");
        assert!(["nested deeper", "recursion limit"].iter().any(|why| errors[0].cause.contains(why)), "{errors:?}");
    }
}

/// A document of a few hundred bytes that stands for nine to the power of `levels` values.
fn bomb(levels: usize, leaf: &str) -> String {
    let first = format!("apiVersion: v1\nkind: A\na0: &a0 [{}]\n", [leaf; 9].join(", "));
    let next = |level: usize| {
        let aliases = iter::repeat_n(format!("*a{}", level - 1), 9).collect::<Vec<_>>().join(", ");
        format!("a{level}: &a{level} [{aliases}]\n")
    };
    first + &(1..levels).map(next).collect::<String>()
}

#[test]
fn aliases_cannot_exhaust_memory() {
    let long = format!("\"{}\"", "x".repeat(10_000));
    let good = "---\napiVersion: v1\nkind: A\n";
    let many = iter::repeat_n(bomb(4, "x"), 1000).collect::<Vec<_>>().join("---\n");
    for text in [bomb(12, "x"), bomb(5, &long), many] {
        let (documents, errors) = read(&format!("{good}---\n{text}{good}"));
        assert_eq!(documents[0].object["kind"], "A");
        assert!(errors.len() == 1 && errors[0].cause.contains("aliases"), "{errors:?}");
    }
}

/// The objects that are read, and the line and cause of each mistake.
fn objects_and_errors(text: impl AsRef<[u8]>) -> (Vec<Value>, Vec<String>) {
    let (documents, errors) = manifest::read(text.as_ref());
    (documents.into_iter().map(|document| document.object).collect(), errors.iter().map(ToString::to_string).collect())
}

fn object(kind: &str) -> Value {
    json!({"apiVersion": "v1", "kind": kind})
}

#[test]
fn json_objects_need_nothing_between_them() {
    let [a, b] = ["A", "B"].map(object);
    let pretty = serde_json::to_string_pretty(&a).unwrap();
    for text in [
        format!("{a}{b}"),
        format!("{a}\n{b}\n"),
        format!("\n \t{pretty}\r\n\r\n{b}"),
        format!("\u{feff}{a} {b}"),
        format!("---\n{a}\n{b}\n---\n"),
        format!("{a}\n---\napiVersion: v1\nkind: B\n"),
        format!("{a}\napiVersion: v1\nkind: B\n"),
        json!({"apiVersion": "v1", "kind": "List", "items": [a]}).to_string() + &b.to_string(),
    ] {
        assert_eq!(objects_and_errors(&text), (vec![a.clone(), b.clone()], vec![]), "{text}");
    }
    let (documents, _) = read(&format!("{pretty}\n{b}\n\n{a}"));
    let places: Vec<_> = documents.iter().map(|document| (document.number, document.line)).collect();
    assert_eq!(places, [(1, Some(1)), (2, Some(5)), (3, Some(7))]);
}

#[test]
fn a_mistake_among_json_objects_has_its_line_and_hides_no_other_object() {
    let a = object("A");
    let twice = r#"{"apiVersion": "v1", "kind": "B", "x": {"y": 1, "y": 2}}"#;
    let expected = vec!["document 2, line 2: duplicate key \"y\"".to_owned()];
    assert_eq!(objects_and_errors(format!("{a}\n{twice}\n{a}")), (vec![a.clone(), a.clone()], expected));
    let (objects, errors) = objects_and_errors(format!("{a}\n{a}\n{{\"kind\":\n,}}\n---\n{a}"));
    assert_eq!(objects, [a.clone(), a.clone(), a.clone()]);
    assert_eq!(errors, ["document 3, line 4: expected value"]);
    let surrogates = r#"{"apiVersion": "v1", "kind": "\ud83d\ude00"}"#;
    assert_eq!(objects_and_errors(surrogates), (vec![object("😀")], vec![]));
}

#[test]
fn yaml_that_begins_like_json_is_yaml() {
    let text = "{apiVersion: v1, kind: A, # comment\n x: 0x10}\n---\n{apiVersion: v1, kind: \"A\", x: 16}\n";
    let a = json!({"apiVersion": "v1", "kind": "A", "x": 16});
    assert_eq!(objects_and_errors(text), (vec![a.clone(), a], vec![]));
}

#[test]
fn byte_order_marks_and_encodings_are_no_content() {
    let yaml = "apiVersion: v1\nkind: A\n";
    let a = || vec![object("A")];
    let units = |swap: bool| {
        let mark = "\u{feff}".to_owned() + yaml;
        mark.encode_utf16()
            .flat_map(|unit| if swap { unit.to_be_bytes() } else { unit.to_le_bytes() })
            .collect::<Vec<_>>()
    };
    for text in [
        format!("\u{feff}{yaml}").into_bytes(),
        format!("\u{feff}---\n{yaml}").into_bytes(),
        format!("---\n\u{feff}{yaml}").into_bytes(),
        format!("--- # first\r\n\n\u{feff}{}", object("A")).into_bytes(),
        format!("%YAML 1.1\n# old\n---\n{yaml}...\n").into_bytes(),
        units(false),
        units(true),
    ] {
        assert_eq!(objects_and_errors(&text), (a(), vec![]), "{}", String::from_utf8_lossy(&text));
    }
    let text = [b"---\n".as_slice(), yaml.as_bytes(), b"---\na: b\nc: K\xf6ln\n---\n", yaml.as_bytes()].concat();
    assert_eq!(
        objects_and_errors(text),
        ([a(), a()].concat(), vec!["document 2, line 6: not UTF-8 text; save the file as UTF-8".to_owned()])
    );
}

#[test]
fn a_mistake_ends_its_document_alone() {
    let (objects, errors) =
        objects_and_errors("a: [1\n---\napiVersion: v1\nkind: A\n---\na: 1\n\nb: {{ .Values.b }}\n");
    assert_eq!(objects, [object("A")]);
    let template = "{{ … }} is not YAML; if this is a Helm template, render it first (helm template)";
    assert_eq!(
        errors,
        ["document 1, line 1: unclosed bracket '['".to_owned(), format!("document 3, line 8: {template}")]
    );
}

/// As in go-yaml v2: a later key wins, also over a merge, and the first of several merged maps wins.
#[test]
fn merge_keys_are_resolved_as_by_kubectl() {
    let text = "apiVersion: v1\nkind: A\nx: &x {a: 1, b: 2}\nlater: {<<: *x, a: 9}\nbefore: {a: 9, <<: *x}\n\
                both: {<<: [{a: 3}, *x]}\nquoted: {'<<': 1}\n1.50: {yes: 1, 0x10: 2, ~x: 3}\n";
    let (objects, errors) = objects_and_errors(text);
    assert!(errors.is_empty(), "{errors:?}");
    let expected = json!({
        "apiVersion": "v1", "kind": "A", "x": {"a": 1, "b": 2}, "later": {"a": 9, "b": 2}, "before": {"a": 1, "b": 2},
        "both": {"a": 3, "b": 2}, "quoted": {"<<": 1}, "1.5": {"true": 1, "16": 2, "~x": 3},
    });
    assert_eq!(objects, [expected]);
    for (text, cause) in [
        ("<<: {a: 1}\na: 2\na: 3\n", "duplicate key \"a\""),
        ("yes: 1\n'true': 2\n", "duplicate key \"true\""),
        ("<<: 1\n", "the value of << must be a mapping or a list of mappings"),
        ("? [a]\n: 1\n", "a key cannot be a list"),
        ("~: 1\n", "is null"),
        ("a: &a [*a]\n", "an alias cannot refer to a value that contains it"),
        ("a: *b\n", "an alias (*name) must come after its anchor"),
        ("a: .inf\n", "infinity and NaN are not valid"),
        ("a: !!int b\n", "the value does not match its tag !!int"),
    ] {
        let (objects, errors) = objects_and_errors(text);
        assert!(objects.is_empty() && errors.len() == 1 && errors[0].contains(cause), "{text}: {errors:?}");
    }
}

/// Each alias nests one level deeper than the previous one, but the text does not.
#[test]
fn nesting_of_aliases_is_limited() {
    let deeper = |depth: usize| {
        let levels = (1..depth).map(|level| format!("a{level}: &a{level} [[[[[[[[[[*a{}]]]]]]]]]]\n", level - 1));
        format!("apiVersion: v1\nkind: A\na0: &a0 []\n{}", levels.collect::<String>())
    };
    let (objects, errors) = objects_and_errors(deeper(20));
    assert!(errors.is_empty() && objects.len() == 1, "{errors:?}");
    let (objects, errors) = objects_and_errors(deeper(2000));
    assert!(objects.is_empty() && errors.len() == 1 && errors[0].contains("nested deeper"), "{errors:?}");
}

#[test]
fn no_error_repeats_a_possible_secret_or_long_text() {
    let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ.bm90LWEtc2lnbmF0dXJl";
    let long = "k".repeat(1000);
    for key in [token, &long, "a\u{202e}b"] {
        let yaml = format!("{key}: 1\n{key}: 2\n");
        let json = json!({key: 1}).to_string().replace('}', &format!(", {}: 2}}", json!(key)));
        let tagged = format!("a: !!int {key}\n");
        for text in [yaml, json, tagged, format!("a: *{key}\n"), format!("[{key}: {{"), format!("a: 'b' {key}\n")] {
            let (_, errors) = objects_and_errors(&text);
            assert_eq!(errors.len(), 1, "{text}");
            assert!(!errors[0].contains(key) && errors[0].len() < 200, "{text}: {errors:?}");
        }
    }
}
