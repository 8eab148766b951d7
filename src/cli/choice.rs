//! The flags that `serve` and `check` share: the configuration file, effects and audit.

use std::path::PathBuf;

use clap::{Args, builder::BoolishValueParser};
use clusterprofile_webhook::{
    config::{Setting, Settings},
    config_file::{ConfigError, ConfigFile},
    review::{Effect, Rule},
    rules,
};

/// Flags that `serve` and `check` share.
#[derive(Args)]
pub(super) struct Choice {
    /// Configuration file (YAML) with effects, exempt namespaces, audit and limits. `serve` reloads it on change. Flags and
    /// variables take precedence over it. `config-schema` prints its format
    #[arg(long, value_name = "FILE", env = "CLUSTERPROFILE_WEBHOOK_CONFIG")]
    config: Option<PathBuf>,
    /// Override the effect of a rule: deny, warn or off. Can be repeated
    #[arg(
        long = "effect",
        value_name = "RULE=EFFECT",
        env = "CLUSTERPROFILE_WEBHOOK_EFFECT",
        value_delimiter = ',',
        value_parser = parse
    )]
    effects: Vec<(&'static Rule, Effect)>,
    /// Only warn where rules would deny, for a first rollout. --audit=false overrides the configuration file
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
    /// The settings of the flags. If a rule is given twice, the last effect applies.
    pub(super) fn settings(&self) -> Settings {
        let effects = self.effects.iter().map(|(rule, effect)| Setting::Effect(rule, *effect));
        effects.chain(self.audit.map(Setting::Audit)).collect()
    }

    /// Loads the configuration file, if one is given.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it cannot be read or has mistakes.
    pub(super) fn file(&self) -> Result<Option<ConfigFile>, ConfigError> {
        self.config.clone().map(ConfigFile::load).transpose()
    }
}

fn parse(text: &str) -> Result<(&'static Rule, Effect), String> {
    let (name, effect) = text.split_once('=').ok_or("use RULE=deny, RULE=warn or RULE=off")?;
    let rule = rules::named(name)?;
    let effect = effect.parse().map_err(|()| format!("unknown effect {effect:?}; use deny, warn or off"))?;
    Ok((rule, effect))
}
