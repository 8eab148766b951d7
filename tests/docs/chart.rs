//! The chart accepts what the configuration file accepts.

use std::{env, fs, mem, process::Command};

use serde_json::Value;

/// Helm rejects values that the webhook could not read. `UPDATE=1` writes the schema.
#[test]
fn the_chart_has_the_schema_of_the_configuration() {
    let file = testkit::root().join("manifests/chart/values.schema.json");
    let printed = Command::new(testkit::program()).arg("config-schema").env_clear().output();
    let mut fresh: Value = serde_json::from_slice(&printed.expect("the binary was built").stdout).expect("it is JSON");
    // The chart as a whole has one.
    fresh.as_object_mut().expect("a schema is an object").remove("$schema");
    let mut schema: Value = serde_json::from_slice(&fs::read(&file).expect("it is readable")).expect("it is JSON");
    let stored = mem::replace(&mut schema["properties"]["config"], fresh);
    if env::var_os("UPDATE").is_some() {
        fs::write(&file, format!("{schema:#}\n")).expect("the chart can be written");
    } else {
        assert_eq!(stored, schema["properties"]["config"], "{}: run `make generate`", file.display());
    }
}
