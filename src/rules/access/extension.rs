//! `access-extension`: `cluster.extensions`, which configure a consumer's credential plugin.

use super::{clusters, denied_by_v1alpha2, exec::environment, extension_path, shown};
use crate::{
    field_path::FieldPath,
    profile::{Body, Extension, Field, ListedText},
    review::{Change, Effect, IN_QUOTES, Problem, Reporter, Rule, Value, Wording},
    syntax,
};

/// Environment variables for the plugin (KEP-5339).
pub(super) const ADDITIONAL_ENVS: &str = "clusterprofiles.multicluster.x-k8s.io/exec/additional-envs";

/// Arguments for the plugin (KEP-5339).
const ADDITIONAL_ARGS: &str = "clusterprofiles.multicluster.x-k8s.io/exec/additional-args";

/// `access-extension`
pub(crate) static EXTENSION: Rule = Rule {
    name: "access-extension",
    summary: "every extension has a name of 1 to 253 characters that occurs once, and an object; \
              `…/exec/additional-envs` is a map of strings; `…/exec/additional-args` is read by upstream's client as an \
              array of strings, which today's CRD does not store",
    source: "KEP-5339; CRD; v1alpha2 schema",
    effect: Effect::Deny,
    exceptions: "Warn for an array or object in `…/exec/additional-args`, for a value in `…/exec/additional-envs` that is no \
                 string, and for a name that no consumer reads but that is close to one of these; v1alpha1: Warn for a name that \
                 occurs twice or is not of 1 to 253 characters",
    since: "0.1.0",
    docs: include_str!("../docs/access-extension.md"),
    check: extension,
    ..Rule::VALIDATING
};

fn extension<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    for (item, cluster) in clusters(change) {
        let Some(list) = cluster.extensions().into_set() else { continue };
        let mut repeated = list.repeated(|extension| extension.name().text()).peekable();
        for (index, extension) in cluster.extensions().items() {
            let path = || extension_path(item.path(), index, extension);
            check_name(extension.name(), || path().field("name"), change, reporter);
            if let Some((_, name)) = repeated.next_if(|(repeated, _)| *repeated == index) {
                reporter.report_as(
                    denied_by_v1alpha2(change),
                    path().field("name"),
                    Problem::Duplicate(Value::of(name)),
                );
            }
            check_body(extension, || path().field("extension"), reporter);
        }
    }
}

fn check_name<'a>(
    name: ListedText<'a>,
    path: impl Fn() -> FieldPath<'a>,
    change: &Change<'a>,
    reporter: &mut Reporter<'_, 'a>,
) {
    let effect = denied_by_v1alpha2(change);
    let detail = "an extension needs a name";
    let Field::Set(name) = name else {
        if name == Field::Absent {
            reporter.report(&path, Problem::Required(detail.into()));
        }
        return;
    };
    if name.is_empty() {
        let wording = Wording::new(detail, "empty, so no consumer reads this extension; name it");
        reporter.report_as(effect, &path, Problem::Empty(wording));
    } else if syntax::is_longer(name, syntax::SUBDOMAIN_LIMIT) {
        reporter.report_as(effect, &path, Problem::TooLong(name.into(), syntax::SUBDOMAIN_LIMIT));
    }
    if let Some(known) = meant(name) {
        let wording =
            Wording::new(format!("no consumer reads it; use {known}"), format!("is read by no consumer; use {known}"));
        reporter.report_as(Effect::Warn, &path, Problem::Invalid(Value::of(name), wording));
    }
}

/// The name that clients read, where this one is close to it: up to two letters differ at one place, or it has the domain of
/// KEP-5339's drafts.
fn meant(name: &str) -> Option<&'static str> {
    const LETTERS: usize = 2;
    const DRAFT: &str = "multicluster.x-k8s.io/clusterprofiles/auth";
    const EXEC: &str = "client.authentication.k8s.io/exec";
    let is_like = |known: &str| {
        let is_same = |(one, other): &(u8, u8)| one.eq_ignore_ascii_case(other);
        let start = name.bytes().zip(known.bytes()).take_while(is_same).count();
        let end = name.bytes().rev().zip(known.bytes().rev()).take_while(is_same).count();
        name.len().max(known.len()) - name.len().min(known.len()).min(start + end) <= LETTERS
    };
    let is_draft =
        |known: &str| name.strip_prefix(DRAFT).is_some_and(|rest| rest.starts_with('/') && known.ends_with(rest));
    let known = [ADDITIONAL_ENVS, ADDITIONAL_ARGS, EXEC];
    if known.contains(&name) {
        return None;
    }
    known.into_iter().find(|known| is_like(known) || is_draft(known))
}

fn check_body<'a>(extension: Extension<'a>, path: impl Fn() -> FieldPath<'a>, reporter: &mut Reporter<'_, 'a>) {
    let Some(body) = extension.extension().into_set() else {
        return reporter.report(path, Problem::Required("must be an object".into()));
    };
    if extension.name().is(ADDITIONAL_ARGS) && (body.is_object() || body.is_array()) {
        let detail = if body.is_array() {
            "the CRD does not store an array here; remove this extension"
        } else {
            "consumers expect an array of strings here, which the CRD does not store; remove this extension"
        };
        reporter.report_as(Effect::Warn, path, Problem::Invalid(unread(body), detail.into()));
    } else if !body.is_object() {
        reporter.report(path, Problem::TypeInvalid(unread(body), "must be an object".into()));
    } else if extension.name().is(ADDITIONAL_ENVS) {
        let path = path();
        body.each_member(|name, value| {
            if !value.is_string() {
                // `access-exec` says to remove such a variable.
                let is_scalar = matches!(value.kind(), "number" | "boolean");
                let wording = if is_scalar && !environment::takes_over(&name) {
                    Wording::new(IN_QUOTES, "where consumers read only strings; put it in quotes")
                } else {
                    Wording::new("must be a string", "where consumers read only strings")
                };
                let problem = Problem::TypeInvalid(unread(value), wording);
                reporter.report_as(Effect::Warn, path.clone().key(shown(&name)), problem);
            }
        });
    }
}

/// A value that the message leaves out: anything in an extension may be a secret, numbers included.
fn unread(body: Body<'_>) -> Value<'_> {
    Value::Typed(body.kind(), body.text().into())
}
