//! The effects that an administrator chooses.

use clap::{Args, builder::BoolishValueParser};
use clusterprofile_webhook::rules::{self, Effect, Policy, Rule};

/// Flags that `serve` and `check` share.
#[derive(Args)]
pub(super) struct Effects {
    /// Override the effect of a rule: deny, warn or off; may be given again for another
    #[arg(
        long = "effect",
        value_name = "RULE=EFFECT",
        env = "CLUSTERPROFILE_WEBHOOK_EFFECT",
        value_delimiter = ',',
        value_parser = parse
    )]
    effects: Vec<(&'static Rule, Effect)>,
    /// Turn every refusal into a warning, for a first rollout
    #[arg(long, env = "CLUSTERPROFILE_WEBHOOK_AUDIT", value_parser = BoolishValueParser::new())]
    audit: bool,
}

impl Effects {
    pub(super) fn policy(&self) -> Policy {
        let mut policy = Policy::default();
        for (rule, effect) in &self.effects {
            policy.set(rule, *effect);
        }
        policy.set_audit(self.audit);
        policy
    }
}

fn parse(text: &str) -> Result<(&'static Rule, Effect), String> {
    let (name, effect) = text.split_once('=').ok_or("must be RULE=deny, RULE=warn or RULE=off")?;
    let rule = rules::named(name)?;
    let effect = effect.parse().map_err(|()| format!("{effect:?} must be deny, warn or off"))?;
    Ok((rule, effect))
}
