//! What /mutate says of a write that the API server will refuse by the CRD, so that /validate is never asked about it.

use std::{cell::OnceCell, sync::Arc};

use super::{Change, CrdInForce, Part, Policy, Problem, Rule, Effect, secrets};
use crate::field::{FieldPath, Segment};

/// What /mutate finds in place of /validate, and whether the API server refuses the write for any of it.
#[derive(Debug)]
pub(super) struct Foresight {
    crd: Arc<CrdInForce>,
    /// Whether the API server throws away the status of this write.
    drops_status: bool,
    /// Whether the write changes the lists of the status, each compared once: a body may have very many findings.
    changed: [OnceCell<bool>; 4],
    /// The finding that was told last: a fix at the same place takes it back.
    last: Option<Told>,
    /// Findings for which the API server refuses the write.
    refused: usize,
    /// Those that are taken back.
    mended: usize,
}

/// A finding that was told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) place: u64,
    pub(super) is_refused: bool,
    /// Whether it is one of those past the most that are told.
    pub(super) is_omitted: bool,
}

impl Foresight {
    /// For a review of /mutate; nothing where it is not known which CRD is in force.
    pub(super) fn of(change: &Change<'_>, policy: &Policy) -> Option<Self> {
        let crd = Arc::clone(policy.crd()?);
        let drops_status = change.part == Part::Main && crd.has_status(change.version);
        Some(Self { crd, drops_status, changed: Default::default(), last: None, refused: 0, mended: 0 })
    }

    /// Whether what is at `path` is written at all.
    pub(super) fn is_written(&self, path: &FieldPath<'_>) -> bool {
        !(self.drops_status && matches!(path.segments().first(), Some(Segment::Field("status"))))
    }

    /// Whether the API server refuses the write for this. One such is enough, so that it is not looked for once there is one.
    ///
    /// What is stored already passes there, too, but in a list that has no keys and is changed: of that the API server does
    /// not know which items were there before.
    pub(super) fn finds_refused(
        &self,
        change: &Change<'_>,
        path: &FieldPath<'_>,
        problem: &Problem<'_>,
        is_stored: bool,
    ) -> bool {
        self.refused == 0 && (!is_stored || self.is_lost(change, path)) && self.crd.refuses(change, path, problem)
    }

    /// Whether the path leads into a list that has no keys and is changed.
    fn is_lost(&self, change: &Change<'_>, path: &FieldPath<'_>) -> bool {
        let [Segment::Field("status"), Segment::Field(name), Segment::Item(_), ..] = path.segments() else { return false };
        let (Some(new), Some(old)) = (change.status(), change.old_status()) else { return false };
        let [conditions, properties, access_providers, credential_providers] = &self.changed;
        !self.crd.has_keys(change.version, name)
            && match *name {
                "conditions" => *conditions.get_or_init(|| new.conditions != old.conditions),
                "properties" => *properties.get_or_init(|| new.properties != old.properties),
                "accessProviders" => *access_providers.get_or_init(|| new.access_providers != old.access_providers),
                "credentialProviders" => {
                    *credential_providers.get_or_init(|| new.credential_providers != old.credential_providers)
                }
                _ => false,
            }
    }

    /// Takes note of a finding.
    pub(super) fn tell(&mut self, told: Told) {
        self.refused += usize::from(told.is_refused);
        self.last = Some(told);
    }

    /// Takes the last finding back, if the place that is filled in is its own.
    pub(super) fn mend(&mut self, place: u64) -> Option<Told> {
        let told = self.last.take().filter(|told| told.place == place)?;
        if told.is_refused {
            self.refused -= 1;
            self.mended += 1;
        }
        Some(told)
    }

    /// Whether the API server refuses the write, where nothing can be filled in also for what was to be.
    pub(super) fn is_refused(&self, too_many_fixes: bool) -> bool {
        self.refused > 0 || (too_many_fixes && self.mended > 0)
    }
}

impl Rule {
    /// Whether a schema could say the same as some of its findings: of what is only ever warned about, or may stand in any
    /// text, none does.
    pub(super) fn may_be_in_schema(&self) -> bool {
        let only_warns = self.effect == Effect::Warn && self.exceptions.is_empty();
        !only_warns && self.name != secrets::SECRET.name
    }
}
