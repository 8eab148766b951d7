//! Asking the API server whether a user may break glass.
//!
//! An answer is never waited for beyond the review that wants it: what is not known by then is as good as unknown, and the
//! write stays denied.

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

/// Most questions at a time; who comes then waits for a turn. The API server has other things to do.
const ASKED: usize = 16;

/// Most who wait for a turn; who comes then is told to try again. With those who ask nearly half of what an API server writes
/// at a time, the rest of which is elsewhere on its way: so nobody who floods it with claims keeps others from theirs. Each
/// holds its three answers, of 100 KB at the most.
const WAITING: usize = 64;

/// How long an answer may take. The API server knows it within milliseconds; a denial that says what is wrong is of more use
/// than a write that waits.
const ANSWER: Duration = Duration::from_secs(2);

/// How long an answer is good: for who tries again at once, not for who was granted or has lost a right meanwhile.
const REMEMBERED: Duration = Duration::from_secs(5);

/// Most answers that are remembered: with questions of the largest size, two megabytes.
const ANSWERS: usize = 64;

/// What the API server says of users, asked with the rights of this process.
pub struct Permissions {
    reviews: Api<SubjectAccessReview>,
    /// For who asks, and who waits for a turn.
    places: Semaphore,
    turns: Semaphore,
    /// The oldest first.
    answers: Mutex<VecDeque<Answer>>,
    /// What has been told since something went well.
    failures: Mutex<Vec<String>>,
}

/// What was said, and until when it holds.
struct Answer {
    /// The whole question, of which no part may differ.
    question: String,
    permission: Permission,
    until: Instant,
}

/// Why nothing is known.
#[derive(Debug, Error)]
enum BreakGlassError {
    /// Its text may name the user, so that it is not told.
    #[error("the API server refuses to say who may break glass: {code} {reason}")]
    Refused { code: u16, reason: String },
    #[error("the API server cannot be asked who may break glass")]
    Request(#[source] kube::Error),
    #[error("no answer to who may break glass in time")]
    Timeout,
    #[error("too many ask who may break glass")]
    Busy,
}

impl Permissions {
    /// Finds the way to the API server, without asking it anything.
    ///
    /// # Errors
    ///
    /// [`AccessError`].
    pub async fn connect() -> Result<Self, AccessError> {
        client::client().await.map(Self::of)
    }

    /// With the rights of `client`.
    #[must_use]
    pub fn of(client: Client) -> Self {
        Self {
            reviews: Api::all(client),
            places: Semaphore::new(ASKED + WAITING),
            turns: Semaphore::new(ASKED),
            answers: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    /// Whether the user may, as far as that is known by `deadline`.
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
        let _place = self.places.try_acquire().map_err(|_| BreakGlassError::Busy)?;
        let answer = timeout_at(deadline, async {
            let _turn = self.turns.acquire().await;
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

    /// Told once until something goes well; each is counted where its claim is.
    fn failed(&self, error: String) {
        /// More are not told apart: causes of the network may have a number in them.
        const TOLD: usize = 8;
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() == TOLD || failures.contains(&error) {
            debug!(error, "break-glass: a claim is not checked");
        } else {
            warn!(error, "break-glass: a claim is not checked");
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
    async fn answers_are_remembered_by_the_whole_question_and_no_more_than_so_many() {
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
