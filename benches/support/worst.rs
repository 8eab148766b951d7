//! Admission reviews that cost the most for their size: the bodies that an attacker sends.
//!
//! Each shape is filled up to any size. What a rule does with one of them must be linear in it.

use std::iter;

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The name of a shape, and what makes a body of about so many bytes of it.
pub(crate) struct Shape {
    pub name: &'static str,
    make: Make,
}

enum Make {
    /// The lists of the new status, nothing being stored but an empty profile.
    New(fn(usize) -> String),
    /// The same status stored and new, half of the size each.
    Both(fn(usize) -> String),
    /// Stored, and a new status that shares nothing with it but is as wrong.
    Changed(fn(usize) -> String, fn(usize) -> String),
    /// The whole object, on the main resource.
    Object(fn(usize) -> String),
}

impl Shape {
    /// A review of `version` with about `size` bytes.
    pub(crate) fn body(&self, version: &str, size: usize) -> Vec<u8> {
        let status = |status: String| profile(version, "", &status);
        let (part, new, old) = match self.make {
            Make::New(make) => ("status", status(make(size)), status("{}".into())),
            Make::Both(make) => ("status", status(make(size / 2)), status(make(size / 2))),
            Make::Changed(make, other) => ("status", status(make(size / 2)), status(other(size / 2))),
            Make::Object(make) => ("", profile(version, &make(size), "{}"), profile(version, "", "{}")),
        };
        let kind = format!(r#"{{"group":"multicluster.x-k8s.io","version":"{version}","kind":"ClusterProfile"}}"#);
        let request = format!(
            r#"{{"uid":"u","kind":{kind},"subResource":"{part}","name":"p","namespace":"fleet","operation":"UPDATE","object":{new},"oldObject":{old}}}"#
        );
        format!(r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{request}}}"#).into_bytes()
    }
}

fn profile(version: &str, more: &str, status: &str) -> String {
    let labels = r#"{"x-k8s.io/cluster-manager":"ocm"}"#;
    let metadata = format!(r#"{{"name":"p","namespace":"fleet","labels":{labels}{more}}}"#);
    let spec = r#"{"displayName":"p","clusterManager":{"name":"ocm"}}"#;
    format!(
        r#"{{"apiVersion":"multicluster.x-k8s.io/{version}","kind":"ClusterProfile","metadata":{metadata},"spec":{spec},"status":{status}}}"#
    )
}

/// A list of items, as many as there is room for; each gets its number.
fn list(size: usize, item: impl Fn(usize) -> String) -> String {
    let mut list = String::with_capacity(size + 64);
    list.push('[');
    for number in 0.. {
        let item = item(number);
        if list.len() + item.len() > size && number > 0 {
            break;
        }
        if number > 0 {
            list.push(',');
        }
        list.push_str(&item);
    }
    list.push(']');
    list
}

fn same(size: usize, item: &str) -> String {
    list(size, |_| item.to_owned())
}

fn properties(list: &str) -> String {
    format!(r#"{{"properties":{list}}}"#)
}

/// Ids of a cluster in a clusterset, as many as there is room for.
fn ids(size: usize) -> String {
    let ids = same(size, r#"{"name":"id.k8s.io","value":"x"}"#);
    properties(&format!(r#"[{{"name":"clusterset.k8s.io","value":"s"}},{}]"#, ids.trim_matches(['[', ']'])))
}

/// One id of a cluster in the same clusterset.
fn stored_id(id: &str) -> String {
    let member = r#"{"name":"clusterset.k8s.io","value":"s"}"#;
    properties(&format!(r#"[{member},{{"name":"id.k8s.io","value":"{id}"}}]"#))
}

fn conditions(list: &str) -> String {
    format!(r#"{{"conditions":{list}}}"#)
}

fn providers(list: &str) -> String {
    format!(r#"{{"accessProviders":{list}}}"#)
}

fn provider(name: &str, cluster: &str) -> String {
    format!(r#"{{"name":"{name}","cluster":{cluster}}}"#)
}

fn extensions(list: &str) -> String {
    providers(&format!("[{}]", provider("a", &format!(r#"{{"server":"https://a","extensions":{list}}}"#))))
}

fn extension(name: &str, body: &str) -> String {
    extensions(&format!(r#"[{{"name":"{name}","extension":{body}}}]"#))
}

fn strings(size: usize, text: &str) -> String {
    extension("e", &format!(r#"{{"a":{}}}"#, same(size, &format!("\"{text}\""))))
}

fn certificate_data(size: usize, pem: impl Fn(usize) -> String) -> String {
    let data = STANDARD.encode(pem(size / 4 * 3));
    providers(&format!(
        "[{}]",
        provider("a", &format!(r#"{{"server":"https://a","certificate-authority-data":"{data}"}}"#))
    ))
}

/// The shortest text that is taken for a token.
const TOKEN: &str = "eyJ.eyJ.a";

const ENVS: &str = "clusterprofiles.multicluster.x-k8s.io/exec/additional-envs";

/// Text behind layers of base64, decoded in both alphabets at each.
fn layered(text: &str, layers: usize) -> String {
    (0..layers).fold(text.to_owned(), |text, _| format!("{}-", STANDARD.encode(text).trim_end_matches('=')))
}

/// The longest such text of at most `limit` bytes that looks as if a token began at every letter of it.
fn longest(limit: usize, layers: usize) -> String {
    let texts = (1..limit).map(|dots| layered(&format!("eyJ{}", ".".repeat(dots)), layers));
    texts.take_while(|text| text.len() <= limit).last().unwrap_or_default()
}

fn condition(kind: &str, status: &str) -> String {
    format!(r#"{{"type":"{kind}","status":{status}}}"#)
}

macro_rules! shapes {
    ($($name:literal: $make:expr),+ $(,)?) => { &[$(Shape { name: $name, make: $make }),+] };
}

/// All of them; the first is as bodies are that mean no harm.
pub(crate) const SHAPES: &[Shape] = shapes![
    "properties of 1 KB": Make::New(|size| properties(&list(size, |number| {
        format!(r#"{{"name":"p{number}.example.com","value":"{}"}}"#, "x".repeat(1000))
    }))),
    "properties: numbers": Make::New(|size| properties(&same(size, "0"))),
    "properties: numbers, stored": Make::Both(|size| properties(&same(size, "0"))),
    "properties: nulls": Make::New(|size| properties(&same(size, "null"))),
    "properties: strings": Make::New(|size| properties(&same(size, "\"\""))),
    "properties: lists": Make::New(|size| properties(&same(size, "[]"))),
    "properties: {}": Make::New(|size| properties(&same(size, "{}"))),
    "properties: {}, stored": Make::Both(|size| properties(&same(size, "{}"))),
    "properties: {} and 0 by turns": Make::Both(|size| properties(&same(size, "{},0"))),
    "properties: a short name": Make::New(|size| properties(&same(size, r#"{"name":""}"#))),
    "properties: values that are numbers": Make::Both(|size| properties(&same(size, r#"{"name":0,"value":0}"#))),
    "properties: a name, many times": Make::New(|size| properties(&same(size, r#"{"name":"a","value":"b"}"#))),
    "properties: a long name, many times": Make::Both(|size| {
        properties(&same(size, &format!(r#"{{"name":"{}","value":""}}"#, "n".repeat(1000))))
    }),
    "properties: one name of half the size": Make::New(|size| {
        properties(&same(size, &format!(r#"{{"name":"{}"}}"#, "n/".repeat(size / 5))))
    }),
    "properties: names with one beginning": Make::Both(|size| properties(&list(size, |number| {
        format!(r#"{{"name":"{}{number}"}}"#, "a/".repeat(200))
    }))),
    "properties: names that hide tokens": Make::New(|size| properties(&list(size, |number| {
        format!(r#"{{"name":"{}{number}","value":""}}"#, longest(1000, 3))
    }))),
    "properties: reserved names, stored others": Make::Changed(
        |size| properties(&list(size, |number| format!(r#"{{"name":"a{number}.k8s.io","value":""}}"#))),
        |size| properties(&list(size, |number| format!(r#"{{"name":"b{number}.k8s.io","value":""}}"#))),
    ),
    "properties: ids beside a stored one": Make::Changed(
        ids,
        |size| stored_id(&longest(size.min(4096), 3)),
    ),
    "properties: ids beside a huge stored one": Make::Changed(
        ids,
        |size| stored_id(&"x".repeat(size)),
    ),
    "properties: times with long fractions": Make::New(|size| properties(&list(size, |number| {
        format!(r#"{{"name":"p{number}","value":"v","lastObservedTime":"2999-01-01T00:00:00.{}Z"}}"#, "1".repeat(500))
    }))),
    "properties: escaped values": Make::New(|size| properties(&list(size, |number| {
        format!(r#"{{"name":"p{number}","value":"{}"}}"#, "\\u0041".repeat(20))
    }))),
    "conditions: {}": Make::New(|size| conditions(&same(size, "{}"))),
    "conditions: {}, stored": Make::Both(|size| conditions(&same(size, "{}"))),
    "conditions: numbers, stored": Make::Both(|size| conditions(&same(size, "0"))),
    "conditions: short types": Make::New(|size| conditions(&same(size, r#"{"type":""}"#))),
    "conditions: types, stored": Make::Both(|size| conditions(&list(size, |number| format!(r#"{{"type":"t{number:x}"}}"#)))),
    "conditions: a type, many times": Make::Both(|size| conditions(&same(size, &condition("Joined", "\"True\"")))),
    "conditions: booleans": Make::New(|size| conditions(&list(size, |number| condition(&format!("T{number}"), "true")))),
    "conditions: spelt otherwise": Make::New(|size| conditions(&same(size, &condition("joined", "\"true\"")))),
    "conditions: reasons of 1 KB are stored": Make::Changed(
        |size| conditions(&list(size, |number| condition(&format!("T{number}"), "\"True\""))),
        |size| conditions(&list(size, |number| {
            format!(r#"{{"type":"T{number}","status":"True","reason":"{}"}}"#, "R".repeat(1000))
        })),
    ),
    "conditions: times long ahead": Make::Both(|size| conditions(&list(size, |number| {
        format!(r#"{{"type":"T{number}","lastTransitionTime":"2999-01-01T00:00:00Z"}}"#)
    }))),
    "conditions: control characters": Make::New(|size| conditions(&list(size, |number| {
        format!(r#"{{"type":"{}{number}","status":"\u202e","reason":"\u0007\u202e"}}"#, "\\u0007".repeat(20))
    }))),
    "providers: {}": Make::Both(|size| providers(&same(size, "{}"))),
    "providers: numbers": Make::New(|size| providers(&same(size, "0"))),
    "providers: empty clusters": Make::New(|size| providers(&same(size, r#"{"cluster":{}}"#))),
    "providers: empty servers": Make::New(|size| providers(&same(size, r#"{"cluster":{"server":""}}"#))),
    "providers: one extension that is a number": Make::New(|size| {
        providers(&same(size, r#"{"cluster":{"extensions":[0]}}"#))
    }),
    "providers: extensions that are numbers": Make::New(|size| providers(&same(
        size,
        &provider("a", &format!(r#"{{"server":"https://a","extensions":{}}}"#, same(32_768, "0"))),
    ))),
    "providers: a name, many times": Make::Both(|size| providers(&same(size, r#"{"name":"a","cluster":{"server":""}}"#))),
    "providers: odd URLs": Make::New(|size| providers(&list(size, |number| {
        let url = format!("https://{}@a{number}:%zz?{}", "%40:".repeat(60), "token=a&".repeat(30));
        provider(&format!("p{number}"), &format!(r#"{{"server":"{url}","proxy-url":"{url}"}}"#))
    }))),
    "providers: every mistake of a cluster": Make::Both(|size| providers(&same(
        size,
        r#"{"name":0,"cluster":{"server":0,"proxy-url":0,"tls-server-name":0,"certificate-authority":0,"certificate-authority-data":0,"insecure-skip-tls-verify":0,"disable-compression":0}}"#,
    ))),
    "deprecated providers: {}": Make::Both(|size| format!(r#"{{"credentialProviders":{}}}"#, same(size, "{}"))),
    "extensions: {}": Make::Both(|size| extensions(&same(size, "{}"))),
    "extensions: a name, many times": Make::New(|size| extensions(&same(size, r#"{"name":"a","extension":{}}"#))),
    "extensions below a long name of a provider": Make::New(|size| {
        let cluster = format!(r#"{{"server":"https://a","extensions":{}}}"#, same(size / 2, "{}"));
        providers(&format!("[{}]", provider(&"n".repeat(size / 2), &cluster)))
    }),
    "tokens below a long name": Make::New(|size| {
        let tokens = same(size / 2, &format!("\"{TOKEN}\""));
        extension(&"n".repeat(size / 2), &format!(r#"{{"a":{tokens}}}"#))
    }),
    "tokens below a long name, stored": Make::Both(|size| {
        let tokens = same(size / 2, &format!("\"{TOKEN}\""));
        extension(&"n".repeat(size / 2), &format!(r#"{{"a":{tokens}}}"#))
    }),
    "tokens below eight names": Make::New(|size| {
        let name = longest(63, 2);
        let tokens = same(size, &format!("\"{TOKEN}\""));
        extension("e", &(0..8).fold(tokens, |inner, _| format!(r#"{{"{name}":{inner}}}"#)))
    }),
    "tokens below a name of their own": Make::New(|size| {
        let members = list(size, |number| format!(r#""{}{number}":"{TOKEN}""#, longest(40, 1)));
        extension("e", &format!("{{{}}}", members.trim_matches(['[', ']'])))
    }),
    "arrays of numbers": Make::New(|size| extension("e", &format!(r#"{{"a":{}}}"#, same(size, "0")))),
    "arrays in arrays": Make::New(|size| {
        extension("e", &format!(r#"{{"a":{}{}}}"#, "[".repeat(size / 2), "]".repeat(size / 2)))
    }),
    "objects in objects": Make::New(|size| {
        extension("e", &format!("{}0{}", r#"{"a":"#.repeat(size / 6), "}".repeat(size / 6)))
    }),
    "members": Make::New(|size| {
        let members = list(size, |number| format!("\"{number:x}\":0"));
        extension("e", &format!("{{{}}}", members.trim_matches(['[', ']'])))
    }),
    "variables that are numbers": Make::Both(|size| {
        let members = list(size, |number| format!("\"{number:x}\":0"));
        extension(ENVS, &format!("{{{}}}", members.trim_matches(['[', ']'])))
    }),
    "variables of the linker": Make::Both(|size| {
        let members = list(size, |number| format!("\"LD_{number:x}\":\"\""));
        extension(ENVS, &format!("{{{}}}", members.trim_matches(['[', ']'])))
    }),
    "base64 in three layers": Make::New(|size| {
        let inner = ". eyJ".repeat(size / 16);
        strings(size, &layered(&inner, 3))
    }),
    "base64 in short pieces": Make::New(|size| strings(size, &"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0 ".repeat(50))),
    "base64 in both alphabets": Make::New(|size| strings(size, &"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVox+-_/".repeat(50))),
    "base64 in lines": Make::New(|size| {
        let line = format!("{}\\n", "QUJD".repeat(16));
        strings(size, &line.repeat(size / line.len() - 1))
    }),
    "beginnings of tokens": Make::New(|size| strings(size, &"eyJ.".repeat(size / 5))),
    "beginnings of keys": Make::New(|size| strings(size, &"-----BEGIN ".repeat(size / 12))),
    "one string of spaces": Make::New(|size| strings(size, &" ".repeat(size / 2))),
    "CA data: no PEM": Make::New(|size| certificate_data(size, |size| "a".repeat(size))),
    "CA data: beginnings of certificates": Make::New(|size| {
        certificate_data(size, |size| "-----BEGIN CERTIFICATE-----\n".repeat(size / 28))
    }),
    "CA data: empty certificates": Make::New(|size| {
        let block = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        certificate_data(size, |size| block.repeat(size / block.len()))
    }),
    "CA data: certificates": Make::New(|size| {
        certificate_data(size, |size| iter::repeat_n(CERTIFICATE, size / CERTIFICATE.len() + 1).collect())
    }),
    "CA data: certificates, by turns with others": Make::New(|size| {
        let data = STANDARD.encode(CERTIFICATE);
        providers(&list(size, |number| {
            let data = if number % 2 == 0 { &data } else { "MAA=" };
            provider(&format!("p{number}"), &format!(r#"{{"server":"https://a","certificate-authority-data":"{data}"}}"#))
        }))
    }),
    "annotations": Make::Object(|size| {
        let members = list(size, |number| format!(r#""a{number}":"{TOKEN}""#));
        format!(r#","annotations":{{{}}}"#, members.trim_matches(['[', ']']))
    }),
    "annotations: base64": Make::Object(|size| {
        format!(r#","annotations":{{"a":"{}"}}"#, layered(&". eyJ".repeat(size / 16), 3))
    }),
    "annotations: the last applied": Make::Object(|size| {
        let applied = same(size / 2, &format!("\\\"{TOKEN}\\\""));
        format!(r#","annotations":{{"kubectl.kubernetes.io/last-applied-configuration":"{{\"a\":{applied}}}"}}"#)
    }),
    "labels": Make::Object(|size| {
        let members = list(size, |number| format!(r#""a{number}":0"#));
        format!(r#","annotations":{{}},"unknown":{{{}}}"#, members.trim_matches(['[', ']']))
    }),
    "fields that are not known": Make::Object(|size| {
        let members = list(size, |number| format!(r#""f{number}":{{}}"#));
        format!(r#","managedFields":[{{{}}}]"#, members.trim_matches(['[', ']']))
    }),
];

/// A development CA's certificate.
const CERTIFICATE: &str = include_str!("ca.crt");
