//! How the API server counts its calls of webhooks.

use super::api::Api;

/// Calls since the API server started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Calls {
    /// All of them.
    pub made: u64,
    /// Those that failed: a write was refused for it, or went on without the webhook.
    pub failed: u64,
}

impl Calls {
    pub(crate) fn count(api: &Api) -> Self {
        let metrics = api.get("/metrics").body;
        let metrics = metrics.as_str().expect("metrics are text");
        let sum = |is_one: fn(&str) -> bool| {
            let lines = metrics.lines().filter_map(|line| line.strip_prefix("apiserver_admission_webhook_"));
            let counts =
                lines.filter(|line| is_one(line)).filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
            counts.sum()
        };
        let failed = |line: &str| {
            line.starts_with("fail_open_count{")
                || (line.starts_with("rejection_count{") && line.contains("error_type=\"calling_webhook_error\""))
        };
        Self { made: sum(|line| line.starts_with("request_total{")), failed: sum(failed) }
    }
}
