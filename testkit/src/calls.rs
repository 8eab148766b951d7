//! The API server's own count of its calls to webhooks.

use crate::api::Api;

/// Calls to all webhooks since the API server started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Calls {
    pub made: u64,
    /// Calls that failed, so that a write was refused or passed without the webhook.
    pub failed: u64,
}

impl Calls {
    /// Reads the counters from `/metrics`.
    pub fn count(api: &Api) -> Self {
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
