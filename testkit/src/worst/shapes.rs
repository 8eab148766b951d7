//! The shapes of the worst bodies.

use std::iter;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Make, Shape,
    parts::{
        CERTIFICATE, ENVS, TOKEN, certificate_data, condition, conditions, deprecated, extension, extensions, ids,
        layered, list, long_answers, longest, properties, provider, providers, same, stored_id, strings, with_health,
    },
};

macro_rules! shapes {
    ($($name:literal: $make:expr),+ $(,)?) => { &[$(Shape { name: $name, make: $make }),+] };
}

/// All shapes. The first is a harmless body, for comparison.
pub const SHAPES: &[Shape] = shapes![
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
    "properties: a name of another type": Make::New(|size| properties(&same(size, r#"{"name":1}"#))),
    "properties: a name of another type, stored": Make::Both(|size| properties(&same(size, r#"{"name":1}"#))),
    "properties: an escaped name": Make::Both(|size| properties(&same(size, r#"{"name":"\n"}"#))),
    "properties: the name is null": Make::Both(|size| properties(&same(size, r#"{"name":null}"#))),
    "properties: names of their own, others stored": Make::Changed(
        |size| properties(&list(size, |number| format!(r#"{{"name":"{number:x}"}}"#))),
        |size| properties(&list(size, |number| format!(r#"{{"name":"x{number:x}"}}"#))),
    ),
    "properties while the health changes": Make::Changed(
        |size| with_health("False", &same(size, r#"{"name":"/"}"#)),
        |size| with_health("True", &same(size, r#"{"name":"_"}"#)),
    ),
    "properties of the main resource, but for a space": Make::Main(
        |size| properties(&same(size, r#"{"name":1}"#)),
        |size| properties(&same(size, r#"{"name": 1}"#)),
    ),
    "conditions: {}": Make::New(|size| conditions(&same(size, "{}"))),
    "conditions: {}, stored": Make::Both(|size| conditions(&same(size, "{}"))),
    "conditions: numbers, stored": Make::Both(|size| conditions(&same(size, "0"))),
    "conditions: short types": Make::New(|size| conditions(&same(size, r#"{"type":""}"#))),
    "conditions: a type of another type": Make::New(|size| conditions(&same(size, r#"{"type":1}"#))),
    "conditions: a type of another type, stored": Make::Both(|size| conditions(&same(size, r#"{"type":1}"#))),
    "conditions: an escaped type": Make::Both(|size| conditions(&same(size, r#"{"type":"\n"}"#))),
    "conditions: the type is null": Make::Both(|size| conditions(&same(size, r#"{"type":null}"#))),
    "conditions: the name of the type is escaped": Make::Both(|size| conditions(&same(size, r#"{"t\u0079pe":""}"#))),
    "conditions: no more than a boolean": Make::Both(|size| conditions(&same(size, r#"{"status":true}"#))),
    "conditions: no more than a boolean, on the main resource": Make::Main(
        |size| conditions(&same(size, r#"{"status":true}"#)),
        |size| conditions(&same(size, r#"{"status":false}"#)),
    ),
    "conditions: no more than a generation": Make::Both(|size| conditions(&same(size, r#"{"observedGeneration":-1.0}"#))),
    "conditions: one type, stored with other statuses": Make::Changed(
        |size| conditions(&list(size, |number| condition("T", &format!("\"s{number:x}\"")))),
        |size| conditions(&list(size, |number| condition("T", &format!("\"s{:x}\"", number + 7)))),
    ),
    "conditions: without reasons, stored in another order": Make::Changed(
        |size| conditions(&list(size, |number| condition(&format!("T{number:06}"), "\"True\""))),
        |size| conditions(&list(size, |number| {
            condition(&format!("T{:06}", 999_999_usize.saturating_sub(number)), "\"True\"")
        })),
    ),
    "conditions: 500 defaults, 1 KB each": Make::Changed(
        |size| conditions(&list(size, |number| {
            let more = r#""message":"","lastTransitionTime":"2026-01-01T00:00:00Z""#;
            let reason = if number < 500 { "" } else { r#""reason":"R","# };
            format!(r#"{{"type":"T{number}","status":"True",{reason}{more}}}"#)
        })),
        |size| conditions(&list(size, |number| {
            format!(r#"{{"type":"T{number}","status":"True","reason":"{}"}}"#, "R".repeat(1000))
        })),
    ),
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
    "providers: a name of another type": Make::Both(|size| providers(&same(size, r#"{"name":1}"#))),
    "providers: an escaped name": Make::Both(|size| providers(&same(size, r#"{"name":"\n"}"#))),
    "providers: a cluster of another type": Make::Both(|size| providers(&same(size, r#"{"cluster":1}"#))),
    "providers: servers of another type": Make::Both(|size| providers(&same(size, r#"{"cluster":{"server":1}}"#))),
    "providers: one extension without a body": Make::Both(|size| {
        providers(&same(size, r#"{"cluster":{"extensions":[{"name":""}]}}"#))
    }),
    "providers: one extension without a name": Make::New(|size| {
        providers(&same(size, r#"{"cluster":{"extensions":[{"extension":1}]}}"#))
    }),
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
    "deprecated providers: {}": Make::Both(|size| deprecated(&same(size, "{}"))),
    "deprecated providers: {}, none stored": Make::New(|size| deprecated(&same(size, "{}"))),
    "deprecated providers: one extension without a body": Make::New(|size| {
        deprecated(&same(size, r#"{"cluster":{"extensions":[{"name":""}]}}"#))
    }),
    "every list: a name of another type": Make::New(|size| {
        let names = same(size / 4, r#"{"name":1}"#);
        let types = same(size / 4, r#"{"type":1}"#);
        format!(
            r#"{{"properties":{names},"conditions":{types},"accessProviders":{names},"credentialProviders":{names}}}"#
        )
    }),
    "every list: long answers": Make::New(long_answers),
    "extensions: a name of another type": Make::Both(|size| extensions(&same(size, r#"{"name":1}"#))),
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
    "annotations: keys, and a claim of break-glass": Make::Object(|size| {
        let key = r#""-----BEGIN PRIVATE KEY-----MA==-----END PRIVATE KEY-----""#;
        let members = list(size, |number| format!(r#""{number:x}{}":{key}"#, "\\\"".repeat(50)));
        let claim = r#""clusterprofile-webhook.internal/break-glass":"7""#;
        format!(r#","annotations":{{{claim},{}}}"#, members.trim_matches(['[', ']']))
    }),
    "annotations: escapes": Make::Object(|size| {
        format!(r#","annotations":{{{}}}"#, same(size, r#""\n":"\n""#).trim_matches(['[', ']']))
    }),
    "annotations: the last applied, tokens of their own": Make::Object(|size| {
        let applied = list(size, |number| format!("\\\"eyJ.eyJ.{number:x}\\\""));
        format!(r#","annotations":{{"kubectl.kubernetes.io/last-applied-configuration":"{{\"a\":{applied}}}"}}"#)
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
