//! What an administrator chooses, by a file and by flags.

use std::path::PathBuf;

use clap::{Args, builder::BoolishValueParser};
use clusterprofile_webhook::{
    config::Settings,
    config_file::{ConfigError, ConfigFile},
    review::{Effect, Rule},
    rules,
};

/// Flags that `serve` and `check` share.
#[derive(Args)]
pub(super) struct Choice {
    /// YAML with effects, exempt namespaces, audit and limits; `serve` reads it again when it changes; `config-schema`
    /// describes it. Flags and variables win over it
    #[arg(long, value_name = "FILE", env = "CLUSTERPROFILE_WEBHOOK_CONFIG")]
    config: Option<PathBuf>,
    /// Override the effect of a rule: deny, warn or off; may be given again for another
    #[arg(
        long = "effect",
        value_name = "RULE=EFFECT",
        env = "CLUSTERPROFILE_WEBHOOK_EFFECT",
        value_delimiter = ',',
        value_parser = parse
    )]
    effects: Vec<(&'static Rule, Effect)>,
    /// Turn every refusal into a warning, for a first rollout; --audit=false where the configuration file says otherwise
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        env = "CLUSTERPROFILE_WEBHOOK_AUDIT",
        value_parser = BoolishValueParser::new()
    )]
    audit: Option<bool>,
}

impl Choice {
    /// What the flags choose; of two effects of a rule the last.
    pub(super) fn settings(&self) -> Settings {
        let effects = self.effects.iter().map(|(rule, effect)| (rule.name, *effect)).collect();
        Settings { effects, audit: self.audit, ..Settings::default() }
    }

    /// The configuration file, where there is one.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where it cannot be used.
    pub(super) fn file(&self) -> Result<Option<ConfigFile>, ConfigError> {
        self.config.clone().map(ConfigFile::load).transpose()
    }
}

fn parse(text: &str) -> Result<(&'static Rule, Effect), String> {
    let (name, effect) = text.split_once('=').ok_or("must be RULE=deny, RULE=warn or RULE=off")?;
    let rule = rules::named(name)?;
    let effect = effect.parse().map_err(|()| format!("{effect:?} must be deny, warn or off"))?;
    Ok((rule, effect))
}
