//! What /mutate says of a write that the API server will refuse by the CRD, so that /validate is never asked about it.

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

/// What /mutate finds in place of /validate, and whether the API server refuses the write for any of it.
#[derive(Debug)]
pub(super) struct Foresight {
    crd: Arc<CrdInForce>,
    /// Whether the API server throws away the status of this write.
    drops_status: bool,
    /// Whether the write changes the lists of the status, each compared once: a body may have very many findings.
    changed: [OnceCell<bool>; 4],
    /// The same of the extensions of the provider that was asked about last.
    extensions: Cell<Option<(&'static str, usize, bool)>>,
    /// Whether a stored list lacks keys, or has one twice.
    is_stored_loose: OnceCell<bool>,
    /// Whether the keys of those lists do not say which item was which.
    ambiguous: [OnceCell<bool>; 4],
    /// The last finding: a fix at the same place takes it back.
    last: Option<Noted>,
    /// Findings for which the API server refuses the write.
    refused: usize,
    /// Those that are taken back.
    mended: usize,
}

/// A finding, as far as a fix may take it back.
#[derive(Clone, Copy, Debug)]
struct Noted {
    place: u64,
    is_refused: bool,
    /// Whether it is past the limit of a report, so that it was only counted.
    is_omitted: bool,
}

impl Foresight {
    /// For a review of /mutate; nothing where it is not known which CRD is in force.
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
            mended: 0,
        })
    }

    /// Whether what is at `path` is written at all.
    pub(super) fn is_written(&self, path: &FieldPath<'_>) -> bool {
        !(self.drops_status && matches!(path.segments().first(), Some(Segment::Field("status"))))
    }

    /// Whether the API server refuses the write for this. One such is enough, so that it is not looked for once there is one.
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
                is_known && (self.is_ambiguous(change, list) || (is_stored && !self.is_lost(change, path, problem)))
            }
            _ => is_stored && !self.is_lost(change, path, problem),
        };
        self.refused == 0 && self.crd.refuses(change, path, problem) && !passes()
    }

    /// Whether the API server refuses what was stored, too: in a list that is changed and has no keys, of an item that is another
    /// one, of the length of a list that is changed, and of labels.
    fn is_lost(&self, change: &Change<'_>, path: &FieldPath<'_>, problem: &Problem<'_>) -> bool {
        match path.segments() {
            [Segment::Field("metadata"), ..] => true,
            // Whether a list that has keys is changed, it knows whatever the order is.
            [Segment::Field("status"), Segment::Field("accessProviders")] => {
                let count = |status: Option<&Status<'_>>| status?.access_providers.set().map(Items::len);
                matches!(problem, Problem::TooMany(..)) && count(change.status()) != count(change.old_status())
            }
            [Segment::Field("status"), Segment::Field(list), Segment::Item(index), rest @ ..] => {
                // That a field is absent is said of the item, which must be as it was.
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

    /// Whether the extensions of a provider are others than those that are stored for it at the same place.
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

    /// Whether the keys of a list do not say which item was which.
    fn is_ambiguous(&self, change: &Change<'_>, list: &'static str) -> bool {
        let (Some(new), Some(old)) = (change.status(), change.old_status()) else { return false };
        let position = LISTS.iter().position(|(name, _)| *name == list);
        let known = position.and_then(|position| self.ambiguous.get(position));
        let is_loose = || self.is_loose(change, list, new) || self.is_loose(change, list, old);
        known.is_some_and(|known| *known.get_or_init(is_loose))
    }

    /// Whether a list that has keys lacks one, or has one twice. Where a stored one does, the API server lets all lists do so.
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

    /// Takes note of a finding.
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
        self.last = Some(Noted { place: path.digest(), is_refused, is_omitted });
    }

    /// Takes the last finding back, if the place that is filled in is its own.
    fn mend(&mut self, place: u64) -> Option<Noted> {
        let noted = self.last.take().filter(|noted| noted.place == place)?;
        if noted.is_refused {
            self.refused -= 1;
            self.mended += 1;
        }
        Some(noted)
    }

    /// Whether the API server refuses the write, where nothing can be filled in also for what was to be.
    fn is_refused(&self, too_many_fixes: bool) -> bool {
        self.refused > 0 || (too_many_fixes && self.mended > 0)
    }
}

/// Whether the item at that place is another than the stored one, which has the same key.
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
    /// Takes the last finding back, if it is about the field that is filled in.
    pub(super) fn take_back(&mut self, path: &FieldPath<'_>) {
        let Review { foresight, report, .. } = &mut *self.review;
        match foresight.as_mut().and_then(|foresight| foresight.mend(path.digest())) {
            Some(Noted { is_omitted: true, .. }) => report.omitted.warnings -= 1,
            Some(_) => {
                self.warnings -= 1;
                report.findings.pop();
            }
            None => {}
        }
    }
}

impl<'a> Review<'a> {
    /// Whether /mutate may say what /validate would.
    pub(in crate::review) fn foresees(&self) -> bool {
        self.foresight.is_some()
    }

    /// Whether the API server will refuse the write before it calls /validate, so that /mutate must.
    pub(in crate::review) fn is_foreseen(&self) -> bool {
        self.foresight.as_ref().is_some_and(|foresight| foresight.is_refused(self.report.too_many_fixes))
    }

    /// Once all rules have run: the report, without what /validate will say itself.
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
            // Of its own, /mutate has no more than one finding.
            report.findings.retain(|finding| finding.rule.phase == phase);
            report.omitted = Omitted::default();
        }
        report
    }
}

/// The lists of the status, and the key that upstream gives their items.
const LISTS: [(&str, &str); 4] =
    [("conditions", "type"), ("properties", "name"), ("accessProviders", "name"), ("credentialProviders", "name")];

fn key_of(list: &str) -> &'static str {
    LISTS.iter().find(|(name, _)| *name == list).map_or("", |(_, key)| key)
}

/// Whether a condition is another one whatever is filled in, which may be what is stored.
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
