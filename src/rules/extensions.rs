//! `cluster.extensions`: what a consumer's credential plugin is run with.

use super::{
    Change, Effect, Phase, Problem, Report, Rule, Value,
    access_providers::{clusters, denied_by_v1alpha2},
    problem, strings, syntax,
};
use crate::{
    field::FieldPath,
    profile::{Body, Extension, Field, Text},
};

/// Environment variables for the plugin (KEP-5339).
const ADDITIONAL_ENVS: &str = "clusterprofiles.multicluster.x-k8s.io/exec/additional-envs";

/// Arguments for the plugin (KEP-5339).
const ADDITIONAL_ARGS: &str = "clusterprofiles.multicluster.x-k8s.io/exec/additional-args";

/// `access-exec`
pub(super) static EXEC: Rule = Rule {
    name: "access-exec",
    summary: "`…/exec/additional-envs` sets none of `LD_*`, `DYLD_*`, `PATH`, `KUBECONFIG`, `HTTP_PROXY`, `HTTPS_PROXY`, \
              `NO_PROXY`, `HOME`, `SSL_CERT_*`, in any case",
    source: "KEP-4322 Security Concerns",
    effect: Effect::Warn,
    exceptions: "",
    fix: "",
    phase: Phase::Validate,
    since: "0.1.0",
    docs: include_str!("docs/access-exec.md"),
    check: exec,
};

fn exec<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    for (item, cluster) in clusters(change) {
        for (index, extension) in cluster.extensions.items() {
            let Some(body) = extension.extension.filter(|_| extension.name.is(ADDITIONAL_ENVS)) else { continue };
            let path = path(item.path(), index, extension).field("extension");
            body.each_member(|name, value| {
                if takes_over(&name) {
                    let detail = "must not be set";
                    let variable = Value::Hidden(format!("{name}={}", value.text()).into());
                    report.warn(path.clone().key(strings::shown(&name)), Problem::Forbidden(variable, detail.into()));
                }
            });
        }
    }
}

/// Whether a variable of that name steers a program, whatever the program is.
fn takes_over(name: &str) -> bool {
    const NAMES: [&str; 6] = ["PATH", "KUBECONFIG", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "HOME"];
    const PREFIXES: [&str; 3] = ["LD_", "DYLD_", "SSL_CERT_"];
    let name = name.to_ascii_uppercase();
    NAMES.contains(&name.as_str()) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// `access-extension`
pub(super) static EXTENSION: Rule = Rule {
    name: "access-extension",
    summary: "every extension has a name of 1 to 253 characters, which occurs once, and an object; \
              `…/exec/additional-envs` is a map of strings; `…/exec/additional-args` is read by upstream's client as an \
              array of strings, which today's CRD does not store",
    source: "KEP-5339; CRD; v1alpha2 schema",
    effect: Effect::Deny,
    exceptions: "Warn for `…/exec/additional-args` and for a value in `…/exec/additional-envs` that is no string; v1alpha1: \
                 Warn for a name twice or not of 1 to 253 characters",
    fix: "",
    phase: Phase::Validate,
    since: "0.1.0",
    docs: include_str!("docs/access-extension.md"),
    check: extension,
};

fn extension<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    for (item, cluster) in clusters(change) {
        let repeated = cluster.extensions.set().map(|list| list.repeated(|extension| extension.name.text()));
        let mut repeated = repeated.unwrap_or_default().into_iter().peekable();
        for (index, extension) in cluster.extensions.items() {
            let path = || path(item.path(), index, extension);
            check_name(&extension.name, || path().field("name"), change, report);
            if let Some((_, name)) = repeated.next_if(|(repeated, _)| *repeated == index) {
                report.add(denied_by_v1alpha2(change), path().field("name"), Problem::Duplicate(Value::of(name)));
            }
            check_body(extension, || path().field("extension"), report);
        }
    }
}

fn check_name<'a>(
    name: &'a Text<'a>,
    path: impl Fn() -> FieldPath<'a>,
    change: &Change<'a>,
    report: &mut Report<'a>,
) {
    let level = denied_by_v1alpha2(change);
    let detail = "must say who reads the extension";
    let Field::Set(name) = name else {
        if *name == Field::Absent {
            report.deny(path(), Problem::Required(detail.into()));
        }
        return;
    };
    if name.is_empty() {
        report.add(level, path(), Problem::Empty(detail.into()));
    } else if name.len() > syntax::SUBDOMAIN_LIMIT && name.chars().count() > syntax::SUBDOMAIN_LIMIT {
        report.add(level, path(), Problem::TooLong(name.as_ref().into(), syntax::SUBDOMAIN_LIMIT));
    }
}

fn check_body<'a>(extension: &'a Extension<'a>, path: impl Fn() -> FieldPath<'a>, report: &mut Report<'a>) {
    let Some(body) = extension.extension else {
        return report.deny(path(), Problem::Required("must be an object".into()));
    };
    if extension.name.is(ADDITIONAL_ARGS) && (body.is_object() || body.is_array()) {
        // An array cannot be stored, and an object is not what clients read.
        report.warn(path(), Problem::Invalid(unread(body), "must be left out".into()));
    } else if !body.is_object() {
        report.deny(path(), Problem::TypeInvalid(unread(body), "must be an object".into()));
    } else if extension.name.is(ADDITIONAL_ENVS) {
        let path = path();
        body.each_member(|name, value| {
            if !value.is_string() {
                let detail =
                    if matches!(value.kind(), "number" | "boolean") { problem::IN_QUOTES } else { "must be a string" };
                let problem = Problem::TypeInvalid(unread(value), detail.into());
                report.warn(path.clone().key(strings::shown(&name)), problem);
            }
        });
    }
}

/// What an extension holds may be a secret, a number too.
fn unread(body: Body<'_>) -> Value<'_> {
    Value::Typed(body.kind(), body.text().into())
}

/// The path of an extension of the provider at `provider`.
pub(super) fn path<'a>(provider: FieldPath<'a>, index: usize, extension: &'a Extension<'a>) -> FieldPath<'a> {
    provider.field("cluster").field("extensions").item(index, extension.name.text())
}
