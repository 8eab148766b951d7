//! Lets /mutate report the findings of /validate if the API server will refuse the write by the CRD.
//!
//! The API server validates a write against the CRD after /mutate and before /validate. If the CRD refuses the write,
//! the API server never calls /validate, and the user sees only the message of the CRD.

use std::{
    cell::{Cell, OnceCell},
    sync::Arc,
};

use super::{Reporter, Review};
use crate::{
    field_path::{FieldPath, Segment},
    profile::{AccessProvider, Condition, Field, Items, List, Listed, ListedText, Status},
    review::{Change, CrdInForce, Finding, Omitted, Part, Policy, Problem, Report},
};

/// Predicts, finding by finding, whether the API server refuses the write by the CRD.
#[derive(Debug)]
pub(super) struct Foresight {
    crd: Arc<CrdInForce>,
    /// Whether the API server drops the status of this write.
    drops_status: bool,
    /// Whether the write changes each list of [`LISTS`]. Compared only once, because a body may have very many
    /// findings.
    changed: [OnceCell<bool>; 4],
    /// List and index of the last compared provider, and whether the write changes its extensions.
    extensions: Cell<Option<(&'static str, usize, bool)>>,
    /// Whether a stored list has an item without a key, or a duplicate key.
    is_stored_loose: OnceCell<bool>,
    /// Whether each list of [`LISTS`] has missing or duplicate keys, so that new items cannot be matched to stored
    /// ones.
    ambiguous: [OnceCell<bool>; 4],
    /// The last finding. A fix at the same place retracts it.
    last: Option<LastFinding>,
    /// Number of findings for which the API server refuses the write.
    refused: usize,
    /// Number of such findings that a fix has retracted.
    retracted: usize,
}

/// The last finding, with the data that a fix needs to retract it.
#[derive(Clone, Copy, Debug)]
struct LastFinding {
    place: u64,
    is_refused: bool,
    /// Whether the finding exceeds the limit of a report, so that the report only counts it.
    is_omitted: bool,
}

impl Foresight {
    /// Starts a prediction for a review of /mutate. Returns `None` if the CRD in force is unknown.
    pub(super) fn of(change: &Change<'_>, policy: &Policy) -> Option<Self> {
        let crd = Arc::clone(policy.crd()?);
        let drops_status = change.part == Part::Main && crd.has_status(change.version);
        Some(Self {
            crd,
            drops_status,
            changed: Default::default(),
            extensions: Cell::new(None),
            is_stored_loose: OnceCell::new(),
            ambiguous: Default::default(),
            last: None,
            refused: 0,
            retracted: 0,
        })
    }

    /// Whether the API server keeps the value at `path`.
    pub(super) fn is_written(&self, path: &FieldPath<'_>) -> bool {
        !(self.drops_status && matches!(path.segments().first(), Some(Segment::Field("status"))))
    }

    /// Whether the API server refuses the write for this problem.
    ///
    /// Returns `false` once a finding is refused, because one is enough to refuse the write.
    fn finds_refused(&self, change: &Change<'_>, path: &FieldPath<'_>, problem: &Problem<'_>, is_stored: bool) -> bool {
        let passes = || match (path.segments(), problem) {
            (_, Problem::Duplicate(_)) => {
                let is_loose = |old| LISTS.iter().any(|(list, _)| self.is_loose(change, list, old));
                *self.is_stored_loose.get_or_init(|| change.old_status().is_some_and(is_loose))
            }
            ([Segment::Field("status"), Segment::Field(list), Segment::Item(_), rest @ ..], _) => {
                let key = key_of(list);
                let is_keyless =
                    matches!((rest, problem), ([Segment::Field(field)], Problem::Required(_)) if *field == key);
                let is_known = !is_keyless || !self.is_keyed(change, list, key);
                is_known
                    && (self.is_ambiguous(change, list) || (is_stored && !self.ignores_stored(change, path, problem)))
            }
            _ => is_stored && !self.ignores_stored(change, path, problem),
        };
        self.refused == 0 && self.crd.refuses(change, path, problem) && !passes()
    }

    /// Whether the API server refuses the problem although the stored object already has it.
    ///
    /// This applies to a changed list without keys, a changed item, a changed length of a list, and labels.
    fn ignores_stored(&self, change: &Change<'_>, path: &FieldPath<'_>, problem: &Problem<'_>) -> bool {
        match path.segments() {
            [Segment::Field("metadata"), ..] => true,
            // The API server ignores the order of a list that has keys.
            [Segment::Field("status"), Segment::Field("accessProviders")] => {
                let count = |status: Option<&Status<'_>>| status?.access_providers.set().map(Items::len);
                matches!(problem, Problem::TooMany(..)) && count(change.status()) != count(change.old_status())
            }
            [Segment::Field("status"), Segment::Field(list), Segment::Item(index), rest @ ..] => {
                // The CRD reports an absent field at the item, so the whole item must be unchanged.
                let is_other =
                    || matches!((rest, problem), ([_], Problem::Required(_))) && changes_item(change, list, *index);
                let is_keyed = |below: &[Segment<'_>], key| self.crd.is_keyed(change.version, below, key);
                match (self.is_keyed(change, list, key_of(list)), rest) {
                    (false, _) => self.is_changed(change, list),
                    (true, [Segment::Field("cluster"), Segment::Field("extensions"), Segment::Item(_), ..]) => {
                        !path.segments().get(..5).is_some_and(|list| is_keyed(list, "name"))
                            && self.changes_extensions(change, list, *index)
                    }
                    (true, _) => is_other(),
                }
            }
            _ => false,
        }
    }

    /// Whether the extensions of a provider differ from those of the stored provider with the same name and index.
    fn changes_extensions(&self, change: &Change<'_>, list: &'static str, index: usize) -> bool {
        if let Some((.., changed)) = self.extensions.get().filter(|known| (known.0, known.1) == (list, index)) {
            return changed;
        }
        let changed = change.status().zip(change.old_status()).is_some_and(|(new, old)| {
            let (new, old) = (provider(new, list, index), provider(old, list, index));
            new.zip(old).filter(|(new, old)| new.name() == old.name()).is_some_and(|(new, old)| {
                let clusters = new.cluster().into_set().zip(old.cluster().into_set());
                clusters.is_some_and(|(new, old)| new.extensions() != old.extensions())
            })
        });
        self.extensions.set(Some((list, index, changed)));
        changed
    }

    fn is_changed(&self, change: &Change<'_>, list: &str) -> bool {
        let (Some(new), Some(old)) = (change.status(), change.old_status()) else { return false };
        let [conditions, properties, access_providers, credential_providers] = &self.changed;
        match list {
            "conditions" => *conditions.get_or_init(|| {
                let items = || new.conditions.items().zip(old.conditions.items());
                let count = |status: &Status<'_>| status.conditions.items().count();
                count(new) != count(old) || items().any(|((_, new), (_, old))| is_changed(new, old))
            }),
            "properties" => *properties.get_or_init(|| new.properties != old.properties),
            "accessProviders" => *access_providers.get_or_init(|| new.access_providers != old.access_providers),
            "credentialProviders" => {
                *credential_providers.get_or_init(|| new.credential_providers != old.credential_providers)
            }
            _ => false,
        }
    }

    /// Whether missing or duplicate keys make it unclear which stored item an item of the list corresponds to.
    fn is_ambiguous(&self, change: &Change<'_>, list: &'static str) -> bool {
        let (Some(new), Some(old)) = (change.status(), change.old_status()) else { return false };
        let position = LISTS.iter().position(|(name, _)| *name == list);
        let known = position.and_then(|position| self.ambiguous.get(position));
        let is_loose = || self.is_loose(change, list, new) || self.is_loose(change, list, old);
        known.is_some_and(|known| *known.get_or_init(is_loose))
    }

    /// Whether a list with keys has an item without a key, or a duplicate key.
    ///
    /// If a stored list is like this, the API server accepts the same in all lists.
    fn is_loose(&self, change: &Change<'_>, list: &'static str, status: &Status<'_>) -> bool {
        self.is_keyed(change, list, key_of(list))
            && match list {
                "conditions" => is_loose(&status.conditions, |condition| condition.kind().text()),
                "properties" => is_loose(&status.properties, |property| property.name().text()),
                "accessProviders" => is_loose(&status.access_providers, |provider| provider.name().text()),
                _ => is_loose(&status.credential_providers, |provider| provider.name().text()),
            }
    }

    fn is_keyed(&self, change: &Change<'_>, list: &'static str, key: &str) -> bool {
        self.crd.is_keyed(change.version, &[Segment::Field("status"), Segment::Field(list)], key)
    }

    /// Records a finding.
    pub(super) fn note(
        &mut self,
        change: &Change<'_>,
        path: &FieldPath<'_>,
        problem: &Problem<'_>,
        is_stored: bool,
        is_omitted: bool,
    ) {
        let is_refused = self.finds_refused(change, path, problem, is_stored);
        self.refused += usize::from(is_refused);
        self.last = Some(LastFinding { place: path.digest(), is_refused, is_omitted });
    }

    /// Retracts the last finding if the fix at `place` resolves it.
    fn retract(&mut self, place: u64) -> Option<LastFinding> {
        let finding = self.last.take().filter(|finding| finding.place == place)?;
        if finding.is_refused {
            self.refused -= 1;
            self.retracted += 1;
        }
        Some(finding)
    }

    /// Whether the API server refuses the write. If there are too many fixes to apply, retracted findings count, too.
    fn is_refused(&self, too_many_fixes: bool) -> bool {
        self.refused > 0 || (too_many_fixes && self.retracted > 0)
    }
}

/// Whether the item at `index` differs from the stored item at the same index with the same key.
fn changes_item(change: &Change<'_>, list: &str, index: usize) -> bool {
    let (Some(new), Some(old)) = (change.status(), change.old_status()) else { return false };
    match list {
        "conditions" => {
            let items = new.conditions.get(index).zip(old.conditions.get(index));
            items.is_some_and(|(new, old)| new.kind() == old.kind() && is_changed(new, old))
        }
        "properties" => {
            let items = new.properties.get(index).zip(old.properties.get(index));
            items.is_some_and(|(new, old)| new.name() == old.name() && new != old)
        }
        _ => {
            let items = provider(new, list, index).zip(provider(old, list, index));
            items.is_some_and(|(new, old)| new.name() == old.name() && new != old)
        }
    }
}

fn provider<'a>(status: &'a Status<'a>, list: &str, index: usize) -> Option<AccessProvider<'a>> {
    let list = if list == "accessProviders" { &status.access_providers } else { &status.credential_providers };
    list.get(index)
}

impl Reporter<'_, '_> {
    /// Retracts the last finding if it is about the field that a fix sets.
    pub(super) fn take_back(&mut self, path: &FieldPath<'_>) {
        let Review { foresight, report, .. } = &mut *self.review;
        match foresight.as_mut().and_then(|foresight| foresight.retract(path.digest())) {
            Some(LastFinding { is_omitted: true, .. }) => report.omitted.warnings -= 1,
            Some(_) => {
                self.warnings -= 1;
                report.findings.pop();
            }
            None => {}
        }
    }
}

impl<'a> Review<'a> {
    /// Whether /mutate may report the findings of /validate.
    pub(in crate::review) fn foresees(&self) -> bool {
        self.foresight.is_some()
    }

    /// Whether the API server will refuse the write before it calls /validate, so that /mutate must report the findings.
    pub(in crate::review) fn is_foreseen(&self) -> bool {
        self.foresight.as_ref().is_some_and(|foresight| foresight.is_refused(self.report.too_many_fixes))
    }

    /// Returns the report after all rules have run, without the findings that /validate will report itself.
    pub(in crate::review) fn finish(self) -> Report<'a> {
        let is_foreseen = self.is_foreseen();
        let Self { rules, phase, foresight, mut report, .. } = self;
        if foresight.is_none() {
            return report;
        }
        report.passed_for_health.clear();
        if is_foreseen {
            let position = |finding: &Finding<'_>| rules.iter().position(|rule| std::ptr::eq(*rule, finding.rule));
            report.findings.sort_by_cached_key(position);
        } else {
            // The rules of /mutate report at most one finding, so they omit none.
            report.findings.retain(|finding| finding.rule.phase == phase);
            report.omitted = Omitted::default();
        }
        report
    }
}

/// The lists of the status, and the key of their items in upstream's CRD.
const LISTS: [(&str, &str); 4] =
    [("conditions", "type"), ("properties", "name"), ("accessProviders", "name"), ("credentialProviders", "name")];

fn key_of(list: &str) -> &'static str {
    LISTS.iter().find(|(name, _)| *name == list).map_or("", |(_, key)| key)
}

/// Whether a condition differs from the stored one, ignoring absent fields, because a fix may set them to the stored
/// value.
fn is_changed(new: Condition<'_>, old: Condition<'_>) -> bool {
    let is_other = |new: ListedText<'_>, old: ListedText<'_>| new != Field::Absent && new != old;
    new.kind() != old.kind()
        || new.status_value() != old.status_value()
        || new.observed_generation() != old.observed_generation()
        || is_other(new.reason(), old.reason())
        || is_other(new.message(), old.message())
        || is_other(new.last_transition_time(), old.last_transition_time())
}

fn is_loose<'a, T: Listed<'a>>(list: &'a List<'a, T>, key: impl Fn(T) -> Option<&'a str>) -> bool {
    list.items().any(|(_, item)| key(item).is_none())
        || list.set().is_some_and(|list| list.repeated(key).next().is_some())
}
