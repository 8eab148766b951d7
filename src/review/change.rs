//! A write, as rules see it.

use std::fmt;

use jiff::Timestamp;

use crate::profile::{
    ClusterProfile, Field, Metadata, Status, Version,
    condition::{PREDEFINED as HEALTH, STATUSES as CONDITION_STATUS},
};

/// A write of a ClusterProfile: all that a rule may read.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Whether the write creates or updates the object.
    pub operation: Operation,
    /// The part of the object that is written.
    pub part: Part,
    /// The API version of both objects.
    pub version: Version,
    /// The object that is written.
    pub new: &'a ClusterProfile<'a>,
    /// The stored object, on an update.
    pub old: Option<&'a ClusterProfile<'a>>,
    /// The time of the request.
    pub now: Timestamp,
    judges_status: bool,
    changes_health: bool,
}

/// What a write does; deletions are not reviewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The object is new.
    Create,
    /// The object exists.
    Update,
}

/// The part of an object that a write can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The main resource. Where the CRD has a status subresource, the API server drops the status between the phases.
    Main,
    /// The subresource `status`: the API server keeps everything else as it is stored.
    Status,
    /// A manifest, judged as if the API server stored all of it.
    Manifest,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "main",
            Self::Status => "status",
            Self::Manifest => "manifest",
        })
    }
}

impl<'a> Change<'a> {
    /// A write of `new` at `now` that replaces `old`, where there is one.
    #[must_use]
    pub fn new(
        part: Part,
        version: Version,
        new: &'a ClusterProfile<'a>,
        old: Option<&'a ClusterProfile<'a>>,
        now: Timestamp,
    ) -> Self {
        let operation = if old.is_some() { Operation::Update } else { Operation::Create };
        let judges_status = part != Part::Main || old.is_none_or(|old| old.status != new.status);
        let changes_health = judges_status
            && old.and_then(|old| Some((old.status.set()?, new.status.set()?))).is_some_and(|(old, new)| {
                HEALTH.iter().any(|kind| {
                    let status = |status: &'a Status<'a>| status.condition(kind)?.status().text();
                    status(new)
                        .is_some_and(|new| CONDITION_STATUS.contains(&new) && status(old).is_some_and(|old| old != new))
                })
            });
        Self { operation, part, version, new, old, now, judges_status, changes_health }
    }

    /// The object; none in a write of the status, where the API server keeps metadata and spec as stored.
    #[must_use]
    pub fn metadata_and_spec(&self) -> Option<&'a ClusterProfile<'a>> {
        (self.part != Part::Status).then_some(self.new)
    }

    /// The status; none where this write does not change it.
    #[must_use]
    pub fn status(&self) -> Option<&'a Status<'a>> {
        self.status_field().set()
    }

    /// The status as it was written; absent where it is empty or this write does not change it.
    #[must_use]
    pub fn status_field(&self) -> &'a Field<Status<'a>> {
        let empty = self.new.status.set().is_some_and(Status::is_empty);
        if self.judges_status && !empty { &self.new.status } else { &Field::Absent }
    }

    /// The stored status.
    #[must_use]
    pub fn old_status(&self) -> Option<&'a Status<'a>> {
        self.old?.status.set()
    }

    /// Whether the object is being deleted. A manifest is judged as if it were stored, so there its own deletionTimestamp counts.
    #[must_use]
    pub fn is_deletion(&self) -> bool {
        let stored = if self.part == Part::Manifest { self.old.or(Some(self.new)) } else { self.old };
        stored.is_some_and(ClusterProfile::is_being_deleted)
    }

    /// Whether the write changes anything that rules read, other than the name.
    #[must_use]
    pub fn touches_anything(&self) -> bool {
        self.old.is_some_and(|old| {
            let texts = |profile: &'a ClusterProfile<'a>| profile.metadata.set().map(Metadata::texts);
            texts(old) != texts(self.new) || old.spec != self.new.spec || old.status != self.new.status
        })
    }

    /// Whether the write changes the health of the cluster: the status of `ControlPlaneHealthy` or `Joined` from a stored value
    /// to another valid one. A first value is no change.
    #[must_use]
    pub fn changes_health(&self) -> bool {
        self.changes_health
    }

    /// The stored object as a new one, for the ratchet. Rules that compare with a stored object find nothing in it.
    #[must_use]
    pub fn stored(&self) -> Option<Self> {
        let part = if self.part == Part::Main { Part::Manifest } else { self.part };
        Some(Self { part, new: self.old?, old: None, changes_health: false, judges_status: true, ..*self })
    }
}
