//! `check` reads a manifest as kubectl does: scalars, keys, streams.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use clusterprofile_webhook::manifest;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use testkit::{programs::Assets, random::Random};

pub(crate) fn trials(assets: &Assets) -> Vec<Trial> {
    let kubectl = assets.program("kubectl");
    let trial = |name: &str, test: fn(&Path)| {
        let kubectl = kubectl.clone();
        Trial::test(format!("scalars::{name}"), move || {
            test(&kubectl);
            Ok(())
        })
    };
    vec![
        trial("scalars_are_what_kubectl_takes_them_for", scalars_are_what_kubectl_takes_them_for),
        trial("what_kubectl_refuses_is_refused", what_kubectl_refuses_is_refused),
        trial("streams_are_what_kubectl_takes_them_for", streams_are_what_kubectl_takes_them_for),
    ]
}

/// One scalar of each kind, and those that were once read wrong.
const SCALARS: &str = r#"
0O17 0X1f 0B1 1_0.0 1_ 0.1e1_0
0 00 07 08 0o7 0o8 0x 0b 0b2 0b-1 0b+1 0b-0b1 -0b11 -0b-1 -0o7 +0x1f -0X1F 0x1_f 0_x1 0__7 0_ 0x_1
9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 18446744073709551615
18446744073709551616 +18446744073709551615 0xFFFFFFFFFFFFFFFF 0xFFFFFFFFFFFFFFFFFF -0xFFFFFFFFFFFFFFFF
0b1111111111111111111111111111111111111111111111111111111111111111 99999999999999999999999999999
1.0 1. .5 -.5 +.5 -1.5e3 1e5 1E-5 1.e3 .5e3 .1_0 ._1 .1_ .e1 . .. -. + ++1 -+1 1e400 -1e400 1e-400 0x1p4 1e 1e+ 1e_1 1_e1 -0 -0.0
1e30 1e300 -1e300 1.5e300 123456789.5 1234567 12345678.0 0.0001 0.00001 1e20 1e21 1e6
y Y n N yes Yes YES yEs no No on On oN off OFF true True tRue false ~ null Null NULL nULL nil none
1:30 1:30:00 12e03 2026-01-01 2026-01-01T00:00:00Z 2026-1-1 20260101 1.2.3 v1.33.0 1.33 1.33.0 192.168.0.1 = << a
"5" '5' "true" '~' !!str,5 !!str,~ !!str,yes !!int,"5" !!int,5 !!float,5 !!float,"1e3" !!bool,"yes" !!null,"" !!binary,aGk= !,5 !own,5
!!timestamp,2026-01-01 !<tag:yaml.org,2002:int>,5
"#;

fn scalars_are_what_kubectl_takes_them_for(kubectl: &Path) {
    let mut scalars: BTreeSet<String> =
        SCALARS.split_whitespace().map(|scalar| scalar.replacen("!,", "! ", 1).replacen(',', " ", 1)).collect();
    scalars.remove("!<tag:yaml.org 2002:int>,5");
    scalars.insert("!<tag:yaml.org,2002:int> 5".into());
    let known = scalars.len();
    let mut random = Random(0x5CA1_A125);
    scalars.extend((0..900).map(|_| generated(&mut random)));
    assert!(scalars.len() > known + 500, "too many are alike");
    // kubectl rejects the whole document for such a key.
    let (keys, _): (Vec<_>, Vec<_>) = scalars.iter().partition(|scalar| {
        !manifest::read(manifest_of(&format!("{scalar}: x")).as_bytes()).0.is_empty() && *scalar != "<<"
    });
    assert!(keys.len() > known + 400);
    let list =
        |items: &[&String], end: &str| items.iter().map(|item| ["- ", item, end, "\n"].concat()).collect::<String>();
    let scalars: Vec<_> = scalars.iter().collect();
    let text = manifest_of(&format!("values:\n{}keys:\n{}", list(&scalars, ""), list(&keys, ": x")));
    let [expected] = &read_by_kubectl(kubectl, text.as_bytes()).expect("kubectl reads it")[..] else {
        panic!("one object")
    };
    let read = read_by_check(text.as_bytes()).expect("check reads it");
    for (field, written) in [("values", &scalars), ("keys", &keys)] {
        let [expected, read] = [expected, &read[0]].map(|object| object[field].as_array().expect("it is a list"));
        assert_eq!((expected.len(), read.len()), (written.len(), written.len()));
        for (scalar, (expected, read)) in written.iter().zip(expected.iter().zip(read)) {
            assert!(is_same(read, expected), "{field}: {scalar} is {read}, and for kubectl {expected}");
        }
    }
}

/// Whether both have the same type and value, except for the digits of floats.
fn is_same(read: &Value, expected: &Value) -> bool {
    match (read.as_f64(), expected.as_f64()) {
        (Some(one), Some(other)) if !read.is_i64() => (one - other).abs() <= one.abs() * 1e-12,
        _ => read == expected,
    }
}

fn what_kubectl_refuses_is_refused(kubectl: &Path) {
    for line in [
        "a: .nan",
        "a: -.inf",
        "a: .INF",
        "a: !!int b",
        "a: !!int 1.5",
        "a: !!bool 1",
        "a: !!null x",
        "a: !!float y",
        "a: !!float 0xFFFFFFFFFFFFFFFF",
        "a: !!binary '?'",
        "~: a",
        "18446744073709551615: a",
        "[a]: b",
        "a: {{ .Values.a }}",
        "<<: 5",
        "a: &a [*a]",
        "a: *b",
        "a: [",
        "a: K\u{1}",
        "a: \"\\ud800\"",
    ] {
        let text = manifest_of(line);
        assert!(read_by_kubectl(kubectl, text.as_bytes()).is_none(), "kubectl reads {line}");
        assert!(read_by_check(text.as_bytes()).is_none(), "check reads {line}");
    }
}

fn streams_are_what_kubectl_takes_them_for(kubectl: &Path) {
    let [a, b, c] = ["a", "b", "c"].map(|name| json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": name}}));
    let pretty = serde_json::to_string_pretty(&b).expect("it is JSON");
    let yaml = |name: &str| format!("apiVersion: v1\nkind: A\nmetadata:\n  name: {name}\n");
    let (ya, yb, yc) = (yaml("a"), yaml("b"), yaml("c"));
    let mark = "\u{feff}";
    for text in [
        format!("{a}\n{b}\n{c}\n"),
        format!("{a}{b}{c}"),
        format!(" \n{a} \n\t{pretty}\r\n{c}"),
        format!("{a}\n---\n{yb}---\n{yc}"),
        format!("{mark}{ya}---\n{mark}{yb}---\n{yc}"),
        format!("---\n{ya}--- # second\n{yb}\n---\n\n---\n# none\n---\n{yc}"),
        format!("{ya}---\r\n{b}\n---\r\n{yc}---"),
        format!("{ya}---\n{{apiVersion: v1, kind: A, metadata: {{name: b}}}}\n---\n{yc}"),
        json!({"apiVersion": "v1", "kind": "List", "items": [a, b]}).to_string() + "\n" + &c.to_string(),
    ] {
        let expected = read_by_kubectl(kubectl, text.as_bytes()).unwrap_or_else(|| panic!("kubectl reads {text}"));
        assert_eq!(expected.len(), 3, "{text}");
        assert_eq!(read_by_check(text.as_bytes()), Some(expected), "{text}");
    }
}

fn manifest_of(rest: &str) -> String {
    format!("apiVersion: v1\nkind: A\nmetadata:\n  name: a\n{rest}\n")
}

/// The object that `check` reads, with the label that [`read_by_kubectl`] adds. `None` if it reports a mistake.
fn read_by_check(text: &[u8]) -> Option<Vec<Value>> {
    let (documents, errors) = manifest::read(text);
    let labeled = documents.into_iter().map(|mut document| {
        document.object["metadata"]["labels"] = json!({"a": "b"});
        document.object
    });
    errors.is_empty().then(|| labeled.collect())
}

/// The object that kubectl reads, with a label, by a command that needs no cluster. `None` if it fails.
fn read_by_kubectl(kubectl: &Path, text: &[u8]) -> Option<Vec<Value>> {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let file = directory.path().join("manifest.yaml");
    fs::write(&file, text).expect("a file can be written");
    let mut command = Command::new(kubectl);
    command.env_clear().env("HOME", directory.path()).args(["label", "--local", "-o", "json", "a=b", "-f"]).arg(&file);
    let output = command.output().expect("kubectl runs");
    let objects = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let objects: Vec<_> = objects.map(|object| object.expect("kubectl prints JSON")).collect();
    assert_eq!(output.status.success(), output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    output.status.success().then_some(objects)
}

/// Random text that looks like a number.
fn generated(random: &mut Random) -> String {
    const PARTS: [&str; 28] = [
        "0",
        "1",
        "7",
        "8",
        "9",
        "12",
        "0",
        "00",
        "_",
        "__",
        ".",
        "e",
        "E",
        "e+",
        "e-",
        "x",
        "X",
        "o",
        "b",
        "0x",
        "0X",
        "0b",
        "0o",
        "f",
        "+",
        "-",
        "999999999999",
        ":",
    ];
    loop {
        let sign = ["", "", "-", "+", "."][random.below(5)];
        let parts: String = (0..=random.below(6)).map(|_| PARTS[random.below(PARTS.len())]).collect();
        let scalar = format!("{sign}{parts}");
        // Text that YAML reads as an item, a key, or the end of a directive.
        let is_scalar =
            !scalar.ends_with(':') && !scalar.trim_start_matches('-').is_empty() && !scalar.starts_with(':');
        if is_scalar {
            return scalar;
        }
    }
}
