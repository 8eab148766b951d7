//! Checks with the API server whether a user may break glass.
//!
//! A check never takes longer than the deadline of its review. Without an answer by then, the write stays denied.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::authorization::v1::{SubjectAccessReview, SubjectAccessReviewSpec};
use kube::{Api, Client, api::PostParams};
use thiserror::Error;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tracing::{debug, warn};

use crate::{
    admission::Permission,
    error::error_chain,
    kube::client::{self, AccessError},
};

/// Maximum concurrent checks. Further ones wait, so as not to load the API server.
const CONCURRENT: usize = 16;

/// Maximum waiting checks. Beyond this a claim is rejected as retryable.
///
/// Together with [`CONCURRENT`] this is just under half of an API server's limit of writes in flight, so a flood of claims cannot
/// starve other writes. Each waiting check holds its three possible responses, of at most 100 KB.
const WAITING: usize = 64;

/// Timeout of a check. The API server answers within milliseconds, and a denial with a reason is better than a slow write.
const ANSWER: Duration = Duration::from_secs(2);

/// How long an answer is cached. It covers immediate retries; a change of permissions takes effect after it.
const REMEMBERED: Duration = Duration::from_secs(5);

/// Maximum cached answers. With the largest questions they take two megabytes.
const ANSWERS: usize = 64;

/// Checks permissions of users with `SubjectAccessReviews`, using the service account of this process.
pub struct Permissions {
    reviews: Api<SubjectAccessReview>,
    /// One permit for each check, running or waiting.
    queue: Semaphore,
    /// One permit for each running check.
    running: Semaphore,
    /// The cache, oldest first.
    answers: Mutex<VecDeque<Answer>>,
    /// Failures logged since the last success.
    failures: Mutex<Vec<String>>,
}

/// A cached answer.
struct Answer {
    /// The whole question, as JSON.
    question: String,
    permission: Permission,
    until: Instant,
}

/// Why a check failed.
#[derive(Debug, Error)]
enum BreakGlassError {
    /// Without the message, which may name the user.
    #[error("the API server refused the permission check: {code} {reason}")]
    Refused { code: u16, reason: String },
    #[error("the permission check failed")]
    Request(#[source] kube::Error),
    #[error("the API server did not respond to the permission check in time")]
    Timeout,
    #[error("too many permission checks are waiting")]
    Busy,
}

impl Permissions {
    /// Configures a client for the API server. Sends no request.
    ///
    /// # Errors
    ///
    /// [`AccessError`].
    pub async fn connect() -> Result<Self, AccessError> {
        client::client().await.map(Self::of)
    }

    /// Uses this client.
    #[must_use]
    pub fn of(client: Client) -> Self {
        Self {
            reviews: Api::all(client),
            queue: Semaphore::new(CONCURRENT + WAITING),
            running: Semaphore::new(CONCURRENT),
            answers: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    /// Whether the user has the permission. Unknown without an answer by `deadline`.
    pub(crate) async fn ask(&self, question: &SubjectAccessReviewSpec, deadline: Instant) -> Permission {
        let key = serde_json::to_string(question).expect("a question is always valid JSON");
        if let Some(permission) = self.remembered(&key) {
            return permission;
        }
        let deadline = deadline.min(Instant::now() + ANSWER);
        match self.send(question, deadline).await {
            Ok(permission) => {
                self.failures.lock().unwrap_or_else(PoisonError::into_inner).clear();
                self.remember(key, permission);
                permission
            }
            Err(error) => {
                self.failed(error_chain(&error));
                Permission::Unknown
            }
        }
    }

    async fn send(&self, question: &SubjectAccessReviewSpec, deadline: Instant) -> Result<Permission, BreakGlassError> {
        let _queued = self.queue.try_acquire().map_err(|_| BreakGlassError::Busy)?;
        let answer = timeout_at(deadline, async {
            let _running = self.running.acquire().await;
            let review = SubjectAccessReview { spec: question.clone(), ..SubjectAccessReview::default() };
            self.reviews.create(&PostParams::default(), &review).await
        });
        match answer.await.map_err(|_| BreakGlassError::Timeout)? {
            Ok(review) => {
                let status = review.status.unwrap_or_default();
                let allowed = status.allowed && status.denied != Some(true);
                Ok(if allowed { Permission::Allowed } else { Permission::Forbidden })
            }
            Err(kube::Error::Api(status)) => {
                Err(BreakGlassError::Refused { code: status.code, reason: status.reason.clone() })
            }
            Err(error) => Err(BreakGlassError::Request(error)),
        }
    }

    fn remembered(&self, question: &str) -> Option<Permission> {
        let now = Instant::now();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|answer| answer.until > now);
        answers.iter().find(|answer| answer.question == question).map(|answer| answer.permission)
    }

    fn remember(&self, question: String, permission: Permission) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() == ANSWERS {
            answers.pop_front();
        }
        answers.push_back(Answer { question, permission, until: Instant::now() + REMEMBERED });
    }

    /// Logs each failure once until the next success. The caller counts every claim.
    fn failed(&self, error: String) {
        /// More different failures are logged at debug level only: network errors may contain numbers.
        const LOGGED: usize = 8;
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() == LOGGED || failures.contains(&error) {
            debug!(error, "break-glass claim not checked");
        } else {
            warn!(error, "break-glass claim not checked");
            failures.push(error);
        }
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permissions")
    }
}

#[cfg(test)]
mod tests {
    use kube::{Client, Config};

    use super::{ANSWERS, Permissions};
    use crate::admission::Permission;

    #[tokio::test]
    async fn answers_are_cached_by_the_whole_question_up_to_a_limit() {
        let client = Client::try_from(Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
        let permissions = Permissions::of(client);
        let question = |number: usize| format!("a question about {number}");
        permissions.remember(question(0), Permission::Allowed);
        assert_eq!(permissions.remembered("a question about"), None);
        assert_eq!(permissions.remembered(&question(0)), Some(Permission::Allowed));
        for number in 1..=ANSWERS {
            permissions.remember(question(number), Permission::Forbidden);
        }
        assert_eq!(permissions.remembered(&question(0)), None);
        assert_eq!(permissions.remembered(&question(ANSWERS)), Some(Permission::Forbidden));
        assert_eq!(permissions.answers.lock().unwrap().len(), ANSWERS);
    }
}
