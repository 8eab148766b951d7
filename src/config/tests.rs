//! Valid and invalid configuration files, and that the schema agrees with the parser.

use proptest::prelude::*;
use regex::Regex;
use serde_json::{Map, Value, json};

use crate::{
    config::{KEYS, Key, Limits, Settings, schema},
    review::Effect,
    rules::RULES,
};

fn parse(text: &str) -> Settings {
    Settings::parse(text.as_bytes()).unwrap_or_else(|mistakes| panic!("{text}\n{mistakes:?}"))
}

fn mistakes(text: &str) -> Vec<String> {
    let mistakes = Settings::parse(text.as_bytes()).expect_err(text);
    mistakes.iter().map(ToString::to_string).collect()
}

const WHOLE: &str = "
effects:
  name-prefix: warn
  display-name: off
  cluster-manager-label: deny
audit: true
exemptNamespaces:
- scratch
- no
limits:
  maxBody: 1MiB
  maxInFlight: 1048576
  maxQueue: 0
  maxConnections: 100
";

#[test]
fn every_key_can_be_set() {
    let changes = [
        "audit: unset -> true",
        "effects.cluster-manager-label: unset -> deny",
        "effects.display-name: unset -> off",
        "effects.name-prefix: unset -> warn",
        "exemptNamespaces: unset -> no scratch",
        "limits.maxBody: unset -> 1048576",
        "limits.maxConnections: unset -> 100",
        "limits.maxInFlight: unset -> 1048576",
        "limits.maxQueue: unset -> 0",
    ];
    assert_eq!(Settings::default().changes(&parse(WHOLE)), changes);
    for Key { path, .. } in KEYS.iter().filter(|key| key.limit().is_none()) {
        assert!(changes.iter().any(|line| line.starts_with(path)), "{path}");
    }
}

#[test]
fn an_empty_or_commented_out_file_sets_nothing() {
    for text in ["", "\n", "# nothing\n", "---\n", "{}", "null", "effects:\nlimits:\n  # maxBody: 1\naudit:\n"] {
        assert_eq!(parse(text), Settings::default(), "{text:?}");
    }
}

#[test]
fn off_may_be_the_boolean_of_yaml_1_1() {
    for text in ["off", "'off'", "false"] {
        let settings = parse(&format!("effects: {{name-prefix: {text}}}"));
        assert_eq!(Settings::default().changes(&settings), ["effects.name-prefix: unset -> off"]);
    }
}

#[test]
fn all_mistakes_are_reported_with_position_and_suggestion() {
    let text = "
effect:
  name-prefix: warn
effects:
  name-prefx: warn
  name-prefix: dney
  display-name:
audit: perhaps
exemptNamespaces: [kube-*, 7, Scratch, a]
maxBody: 1
limits.maxBody: 1
limits:
  max-body: 1
  maxBody: 8MB
  maxInFlight: -1
  maxQueue: -1
  maxConnections: 0
";
    let namespace = "the full name of a namespace (1 to 63 of [a-z0-9-], alphanumeric at both ends), not a pattern";
    let size = "a number of bytes, or with a unit (KiB, MiB or GiB), such as 8MiB";
    assert_eq!(
        mistakes(text),
        [
            "line 2, column 1: there is no key \"effect\"; did you mean \"effects\"?",
            "line 5, column 3: there is no rule \"name-prefx\"; did you mean \"name-prefix\"?",
            "line 6, column 16: effects.name-prefix must be deny, warn or off, not \"dney\"",
            "line 7, column 15: effects.display-name must be deny, warn or off, not null",
            "line 8, column 8: audit must be true or false, not \"perhaps\"",
            &format!("line 9, column 20: exemptNamespaces[0] must be {namespace}, not \"kube-*\""),
            &format!("line 9, column 28: exemptNamespaces[1] must be {namespace}, not 7"),
            &format!("line 9, column 31: exemptNamespaces[2] must be {namespace}, not \"Scratch\""),
            "line 10, column 1: there is no key \"maxBody\"; did you mean \"limits.maxBody\"?",
            "line 11, column 1: there is no key \"limits.maxBody\"; write the key indented below its section",
            "line 13, column 3: there is no key \"limits.max-body\"; did you mean \"limits.maxBody\"?",
            &format!("line 14, column 12: limits.maxBody must be {size}, not \"8MB\""),
            &format!(
                "line 15, column 16: limits.maxInFlight must be {size}, not a number that is negative or not whole"
            ),
            "line 16, column 13: limits.maxQueue must be a number from 0 to 4294967295, not a number that is negative or not whole",
            "line 17, column 19: limits.maxConnections must be a number from 1 to 4294967295, not 0",
        ]
    );
}

#[test]
fn invalid_yaml_is_reported_with_its_position() {
    for (text, mistake) in [
        ("audit: true\naudit: false\n", "line 2, column 1: duplicate key \"audit\""),
        ("- a", "line 1, column 1: the file must be a map, not a list"),
        ("effects: [a]", "line 1, column 10: effects must be a map, not a list"),
        ("limits: 1", "line 1, column 9: limits must be a map, not 1"),
        ("~: 1", "line 1, column 1: a key is missing before ':', or is null; put it in quotes"),
        ("[a]: 1", "line 1, column 1: a key cannot be a list or a mapping"),
        ("audit: &a [*a]", "line 1, column 12: an alias cannot refer to a value that contains it"),
        ("exemptNamespaces: a", "line 1, column 19: exemptNamespaces must be a list, not \"a\""),
    ] {
        assert_eq!(mistakes(text), [mistake]);
    }
    for (bytes, mistake) in [
        (&b"audit: tr\xfce"[..], "not UTF-8 text; save the file as UTF-8"),
        (b"\x1f\x8b\x08", "the file is compressed with gzip; decompress it first"),
    ] {
        let mistakes = Settings::parse(bytes).unwrap_err();
        assert_eq!(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>(), [mistake]);
    }
    for text in ["audit: {{ .Values.audit }}\n", "{{- if .Values.audit }}\naudit: true\n{{- end }}\n"] {
        assert!(mistakes(text)[0].contains("render it first"), "{text:?}: {:?}", mistakes(text));
    }
    for text in ["a: [", "a: b: c", "\ta", "a: 1\n---\nb: 1\n", "a: *b", &"[".repeat(1000), "\u{0}"] {
        assert!(mistakes(text)[0].starts_with("line "), "{text:?}: {:?}", mistakes(text));
    }
    let laughs = (1..9).fold("a0: &a0 [x]\n".to_owned(), |text, level| {
        let below = format!("*a{}, ", level - 1).repeat(10);
        format!("{text}a{level}: &a{level} [{below}]\n")
    });
    assert_eq!(mistakes(&laughs).len(), 1);
}

#[test]
fn flags_take_precedence_over_the_file() {
    let flags = parse("effects: {name-prefix: warn}\nlimits: {maxBody: 1}");
    let file =
        parse("effects: {name-prefix: off, display-name: deny}\naudit: true\nlimits: {maxBody: 2, maxInFlight: 1}");
    let both = flags.clone().or(&file);
    let expected =
        "effects: {name-prefix: warn, display-name: deny}\naudit: true\nlimits: {maxBody: 1, maxInFlight: 1}";
    assert_eq!(both, parse(expected));
    assert_eq!(flags.conflicts(&file), ["effects.name-prefix", "limits.maxBody"]);
    assert_eq!(flags.clone().or(&parse(WHOLE)).changes(&parse(WHOLE)), ["limits.maxBody: 1 -> 1048576"]);
    let changes = ["audit: unset -> true", "effects.display-name: unset -> deny", "limits.maxInFlight: unset -> 1"];
    assert_eq!(flags.changes(&both), changes);
    assert!(both.changes(&both).is_empty());
}

#[test]
fn documented_defaults_are_the_defaults() {
    let limits: Vec<_> = KEYS.iter().filter(|key| key.limit().is_some()).collect();
    let line = |key: &&Key| format!("  {}: {}\n", key.path.strip_prefix("limits.").unwrap(), key.default());
    let settings = parse(&format!("limits:\n{}", limits.iter().map(line).collect::<String>()));
    assert_eq!(settings.limits(), Limits::default());
    assert_eq!(Settings::default().limits(), Limits::default());
    assert_eq!(Settings::default().changes(&settings).len(), limits.len(), "every limit is set: {settings:?}");
    let limits = parse(WHOLE).limits();
    assert_eq!((limits.body, limits.in_flight, limits.queue, limits.connections), (1 << 20, 1 << 20, 0, 100));
}

#[test]
fn the_policy_follows_the_settings() {
    let policy = parse(WHOLE).policy();
    let rule = |name: &str| RULES.iter().copied().find(|rule| rule.name == name).unwrap();
    assert_eq!(policy.effect(rule("display-name")), Effect::Off);
    assert_eq!(policy.effect(rule("property-name")), rule("property-name").effect);
    assert!(policy.audit() && policy.exempts("scratch") && !policy.exempts("scratch-2") && !policy.exempts(""));
}

/// Validates a value against a schema, with the keywords that this schema uses. Panics on any other keyword.
fn accepts(schema: &Value, value: &Value) -> bool {
    let is_of = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => panic!("{kind}"),
    };
    schema.as_object().unwrap().iter().all(|(keyword, expected)| match keyword.as_str() {
        "$schema" | "title" | "description" => true,
        "type" => match expected {
            Value::Array(kinds) => kinds.iter().any(|kind| is_of(kind.as_str().unwrap())),
            kind => is_of(kind.as_str().unwrap()),
        },
        "enum" => expected.as_array().unwrap().contains(value),
        "anyOf" => expected.as_array().unwrap().iter().any(|schema| accepts(schema, value)),
        "minimum" => {
            value.as_u64().is_none_or(|number| number >= expected.as_u64().unwrap()) && value.as_i64() != Some(-1)
        }
        "maximum" => value.as_u64().is_none_or(|number| number <= expected.as_u64().unwrap()),
        "pattern" => value.as_str().is_none_or(|text| Regex::new(expected.as_str().unwrap()).unwrap().is_match(text)),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| accepts(expected, item))),
        "properties" => value.as_object().is_none_or(|fields| {
            fields.iter().all(|(name, value)| expected.get(name).is_none_or(|schema| accepts(schema, value)))
        }),
        "additionalProperties" => value.as_object().is_none_or(|fields| {
            let known = schema["properties"].as_object().unwrap();
            expected == false && fields.keys().all(|name| known.contains_key(name))
        }),
        _ => panic!("{keyword}"),
    })
}

#[test]
fn the_schema_describes_every_key_and_rule() {
    let schema = schema();
    let described = |pointer: &str| schema.pointer(pointer).is_some_and(|key| key["description"].is_string());
    for Key { path, docs, .. } in KEYS {
        assert!(described(&format!("/properties/{}", path.replace('.', "/properties/"))), "{path}");
        assert!(docs.ends_with('.') && !docs.contains("should") && !docs.contains("  "), "{path}: {docs}");
    }
    for rule in RULES {
        assert!(described(&format!("/properties/effects/properties/{}", rule.name)), "{}", rule.name);
    }
    let whole = json!({
        "effects": {"name-prefix": "warn", "display-name": false}, "audit": true, "exemptNamespaces": ["scratch"],
        "limits": {"maxBody": "1MiB", "maxInFlight": 1_048_576, "maxQueue": 0, "maxConnections": 100},
    });
    assert!(accepts(&schema, &whole));
    for unknown in [json!({"effect": {}}), json!({"effects": {"name": "warn"}}), json!({"limits": {"body": 1}})] {
        assert!(!accepts(&schema, &unknown), "{unknown}");
    }
}

/// A scalar that the schema accepts in some place, or nearly accepts.
fn scalar() -> impl Strategy<Value = Value> {
    let text =
        ["deny", "warn", "off", "8MiB", "8MB", "0", "1GiB", "scratch", "Scratch", "-a", "a-", "*", "", "no", "null"];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-1_i64..3).prop_map(Value::from),
        Just(json!(u64::from(u32::MAX))),
        Just(json!(u64::from(u32::MAX) + 1)),
        proptest::sample::select(text.to_vec()).prop_map(Value::from),
        "[1-9][0-9]{0,9}(B|KiB|MiB|GiB)?".prop_map(Value::from),
        "[a-z0-9-]{1,65}".prop_map(Value::from),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let value = scalar().prop_recursive(2, 12, 4, |inner| {
        let limits = KEYS.iter().filter_map(|key| key.path.strip_prefix("limits."));
        let names: Vec<_> = limits.chain(["name-prefix", "display-name", "name", "audit"]).collect();
        let name = proptest::sample::select(names).prop_map(str::to_owned);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            proptest::collection::btree_map(name, inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    });
    let names = ["effects", "audit", "exemptNamespaces", "limits", "limit"];
    let name = proptest::sample::select(names.to_vec()).prop_map(str::to_owned);
    proptest::collection::btree_map(name, value, 0..3).prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

proptest! {
    #[test]
    fn any_bytes_are_settings_or_mistakes(bytes: Vec<u8>) {
        drop(Settings::parse(&bytes));
    }

    #[test]
    fn broken_files_are_settings_or_mistakes(at in 0..WHOLE.len(), with in "\\PC{0,3}") {
        let mut text = WHOLE.to_owned();
        text.replace_range(at..=at, &with);
        drop(Settings::parse(text.as_bytes()));
    }

    #[test]
    fn the_schema_accepts_what_the_parser_accepts(document in document()) {
        let parsed = Settings::parse(document.to_string().as_bytes());
        prop_assert_eq!(accepts(&schema(), &document), parsed.is_ok(), "{:?}", parsed);
    }
}
