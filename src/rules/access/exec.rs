//! `access-exec`: the environment of a consumer's credential plugin.

use super::{clusters, extension::ADDITIONAL_ENVS, extension_path, shown};
use crate::review::{Change, Effect, Problem, Reporter, Rule, Value, Wording};

pub(super) mod environment;

/// `access-exec`
pub(crate) static EXEC: Rule = Rule {
    name: "access-exec",
    summary: "`…/exec/additional-envs` sets no variable by which the dynamic linker, a shell, an interpreter, git, ssh or a \
              cloud's client loads code, configuration, credentials, a proxy, an endpoint or trust from elsewhere",
    source: "KEP-4322 Security Concerns",
    effect: Effect::Warn,
    since: "0.1.0",
    docs: include_str!("../docs/access-exec.md"),
    check: exec,
    ..Rule::VALIDATING
};

fn exec<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    for (item, cluster) in clusters(change) {
        for (index, extension) in cluster.extensions().items() {
            let Some(body) = extension.extension().into_set().filter(|_| extension.name().is(ADDITIONAL_ENVS)) else {
                continue;
            };
            let path = extension_path(item.path(), index, extension).field("extension");
            body.each_member(|name, value| {
                if environment::takes_over(&name) {
                    let warning = "lets writers of this status take over the consumer; remove it; if it is needed, \
                                   the consumer itself must set it";
                    let variable = Value::Hidden(format!("{name}={}", value.text()).into());
                    let problem = Problem::Forbidden(variable, Wording::new("must not be set", warning));
                    reporter.report(path.clone().key(shown(&name)), problem);
                }
            });
        }
    }
}
