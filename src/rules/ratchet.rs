//! Only what a write brings in counts.

use std::collections::HashMap;

use super::{Problem, Report};

/// Lowers by one level what the stored object has already: the same rule, at the same place, with the same value.
///
/// Each finding of the stored object excuses one of the new one, so a third duplicate is new where two were stored.
pub(super) fn weigh(report: &mut Report<'_>, stored: &Report<'_>) {
    let mut excuses: HashMap<(&str, String, &Problem<'_>), usize> = HashMap::new();
    for finding in &stored.findings {
        *excuses.entry((finding.rule.name, finding.path.place(), &finding.problem)).or_default() += 1;
    }
    for finding in &mut report.findings {
        if let Some(count @ 1..) = excuses.get_mut(&(finding.rule.name, finding.path.place(), &finding.problem)) {
            *count -= 1;
            finding.level = finding.level.lowered();
        }
    }
    if let (Some((count, level)), Some((stored, _))) = (&mut report.omitted, stored.omitted)
        && *count <= stored
    {
        *level = level.lowered();
    }
}
