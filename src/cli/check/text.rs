//! The text output of `check`.

use std::fmt::Write as _;

use clusterprofile_webhook::redact::quote;

use super::{super::printable, Object, Outcome};

/// One paragraph for each object, and a summary line.
pub(super) fn render(outcome: &Outcome, colors: bool) -> String {
    let mut text = String::new();
    for object in &outcome.objects {
        paragraph(object, colors, &mut text).expect("writing to a string cannot fail");
    }
    let profiles = count(outcome.objects.len(), "cluster profile");
    let others = count(outcome.skipped, "other object");
    let (denied, warned) = (outcome.denied(), outcome.warned());
    text + &format!("{profiles}: {denied} denied, {warned} with warnings; {others} skipped\n")
}

fn paragraph(object: &Object, colors: bool, text: &mut String) -> std::fmt::Result {
    let Object { file, document, item, line, stored, checked } = object;
    let paint = |color: u8, word: &str| if colors { format!("\x1b[{color}m{word}\x1b[0m") } else { word.to_owned() };
    write!(text, "{}: document {document}", printable(file))?;
    if let Some(line) = line {
        write!(text, ", line {line}")?;
    }
    if let Some(item) = item {
        write!(text, ", item {item}")?;
    }
    let (denied, warning) = (paint(31, "denied"), paint(33, "warning"));
    let verdict = match (checked.is_denied(), checked.is_warned()) {
        _ if checked.exempt => paint(36, "not checked, exempt namespace"),
        (true, _) => denied.clone(),
        (false, true) => paint(33, "allowed with warnings"),
        (false, false) => paint(32, "allowed"),
    };
    let namespace = if checked.namespace.is_empty() { "" } else { &format!("{}/", checked.namespace) };
    writeln!(text, ": ClusterProfile {}: {verdict}", printable(&format!("{namespace}{}", checked.name)))?;
    if *stored == Some(false) {
        writeln!(text, "  {}: checked as a new object", paint(36, "not found in --old"))?;
    }
    for fix in &checked.fixes {
        let (field, value) = (printable(&fix.field), quote(&fix.value));
        writeln!(text, "  {} {field} = {value} [{}]", paint(36, "set"), fix.rule)?;
    }
    for fix in &checked.fixes {
        if let Some(advice) = &fix.warning {
            writeln!(text, "  {warning} {}: {advice} [{}]", printable(&fix.field), fix.rule)?;
        }
    }
    for finding in &checked.findings {
        let effect = if finding.effect == "deny" { &denied } else { &warning };
        writeln!(text, "  {effect} {}: {}", printable(&finding.field), printable(&finding.message))?;
    }
    for (effect, omitted) in [(denied, checked.omitted.denials), (warning, checked.omitted.warnings)] {
        if omitted > 0 {
            writeln!(text, "  {effect} … and {omitted} more")?;
        }
    }
    Ok(())
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
