//! Certificate extensions. Go refuses a certificate if it cannot parse one of them.

use std::{collections::HashSet, net::IpAddr};

use crate::{
    digest,
    rules::access::ca::der::{
        self, BOOLEAN, Der, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, constructed, context,
    },
};

/// Reads all extensions. Refuses a duplicate.
pub(super) fn read(mut all: Der<'_>) -> Option<()> {
    let mut all = all.inside(SEQUENCE)?;
    // Digests take half the memory of the identifiers.
    let mut seen = HashSet::new();
    while !all.is_empty() {
        let mut extension = all.inside(SEQUENCE)?;
        let object = extension.object().filter(|object| seen.insert(digest::of(object)))?;
        let is_critical = extension.is(BOOLEAN) && extension.boolean()?;
        is_sound(object, is_critical, Der(extension.read(OCTET_STRING)?))?;
    }
    Some(())
}

fn is_sound(object: &[u8], is_critical: bool, mut value: Der<'_>) -> Option<()> {
    const AUTHORITY_INFORMATION: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];
    match object {
        [0x55, 0x1d, 14] => value.read(OCTET_STRING).filter(|_| !is_critical).map(drop),
        [0x55, 0x1d, 15] => value.bits().map(drop),
        [0x55, 0x1d, 17] => alternative_names(value.inside(SEQUENCE)?),
        [0x55, 0x1d, 19] => basic_constraints(value.inside(SEQUENCE)?),
        [0x55, 0x1d, 30] => name_constraints(value),
        [0x55, 0x1d, 31] => each(value.inside(SEQUENCE)?, |points| distribution_point(points.inside(SEQUENCE)?)),
        [0x55, 0x1d, 32] => policies(value.inside(SEQUENCE)?),
        [0x55, 0x1d, 33] => each(value.inside(SEQUENCE)?, |mappings| {
            let mut mapping = mappings.inside(SEQUENCE)?;
            mapping.read(OBJECT_IDENTIFIER)?;
            mapping.read(OBJECT_IDENTIFIER).map(drop)
        }),
        [0x55, 0x1d, 35] => {
            let mut identifier = value.inside(SEQUENCE).filter(|_| !is_critical)?;
            identifier.optional(context(0)).map(drop)
        }
        [0x55, 0x1d, 36] => {
            let mut constraints = value.inside(SEQUENCE)?;
            [context(0), context(1)].into_iter().try_for_each(|tag| {
                let number = constraints.is(tag).then(|| constraints.read(tag));
                number
                    .is_none_or(|number| number.and_then(der::shortest).and_then(der::register).is_some())
                    .then_some(())
            })
        }
        [0x55, 0x1d, 37] => each(value.inside(SEQUENCE)?, |usages| usages.object().map(drop)),
        [0x55, 0x1d, 54] => value.small().map(drop),
        AUTHORITY_INFORMATION if is_critical => None,
        AUTHORITY_INFORMATION => each(value.inside(SEQUENCE)?, |accesses| {
            let mut access = accesses.inside(SEQUENCE)?;
            access.object()?;
            access.optional(context(6)).map(drop)
        }),
        _ => Some(()),
    }
}

fn each<'a>(mut items: Der<'a>, mut read: impl FnMut(&mut Der<'a>) -> Option<()>) -> Option<()> {
    while !items.is_empty() {
        read(&mut items)?;
    }
    Some(())
}

const EMAIL: u8 = context(1);
const DNS: u8 = context(2);
const URI: u8 = context(6);
const ADDRESS: u8 = context(7);

fn alternative_names(names: Der<'_>) -> Option<()> {
    each(names, |names| {
        let (tag, name) = names.any()?;
        let is_sound = match tag {
            EMAIL | DNS => name.is_ascii(),
            URI => name.is_ascii() && !name.iter().any(u8::is_ascii_control),
            ADDRESS => matches!(name.len(), 4 | 16),
            _ => true,
        };
        is_sound.then_some(())
    })
}

fn basic_constraints(mut constraints: Der<'_>) -> Option<()> {
    if constraints.is(BOOLEAN) {
        constraints.boolean()?;
    }
    if constraints.is(INTEGER) {
        constraints.small().filter(|length| *length >= 0)?;
    }
    Some(())
}

fn distribution_point(mut point: Der<'_>) -> Option<()> {
    if !point.is(constructed(0)) {
        return Some(());
    }
    let mut names = point.inside(constructed(0))?.inside(constructed(0))?;
    while names.is(context(6)) {
        names.any()?;
    }
    Some(())
}

fn policies(policies: Der<'_>) -> Option<()> {
    let mut seen = HashSet::new();
    each(policies, |policies| {
        let policy = policies.inside(SEQUENCE)?.read(OBJECT_IDENTIFIER)?;
        let is_end = |byte: &u8| byte & 0x80 == 0;
        let is_sound = policy.last().is_some_and(is_end)
            && policy.split_inclusive(is_end).all(|number| number.first() != Some(&0x80));
        (is_sound && seen.insert(digest::of(policy))).then_some(())
    })
}

fn name_constraints(mut value: Der<'_>) -> Option<()> {
    let mut both = value.inside(SEQUENCE).filter(|_| value.is_empty())?;
    let permitted = both.optional(constructed(0))?;
    let excluded = both.optional(constructed(1))?;
    if !both.is_empty() || (permitted.is_empty() && excluded.is_empty()) {
        return None;
    }
    [permitted, excluded].into_iter().try_for_each(|subtrees| {
        each(Der(subtrees), |subtrees| {
            let (tag, name) = subtrees.inside(SEQUENCE)?.any()?;
            let is_sound = match tag {
                EMAIL if name.contains(&b'@') => name.is_ascii() && is_mailbox(name),
                EMAIL | DNS => is_constraint(name),
                URI => !str::from_utf8(name).is_ok_and(|name| name.parse::<IpAddr>().is_ok()) && is_constraint(name),
                ADDRESS => matches!(name.len(), 8 | 32) && is_mask(name.get(name.len() / 2..)?),
                _ => true,
            };
            is_sound.then_some(())
        })
    })
}

/// Whether the name is a domain, or a dot and a domain, which matches all domains below it.
fn is_constraint(name: &[u8]) -> bool {
    name != b"." && is_domain(name.strip_prefix(b".").unwrap_or(name))
}

/// Whether the name is empty, or each label is nonempty and has only printable ASCII.
fn is_domain(name: &[u8]) -> bool {
    let is_label = |label: &[u8]| !label.is_empty() && label.iter().all(u8::is_ascii_graphic);
    name.is_empty() || name.split(|byte| *byte == b'.').all(is_label)
}

/// Whether the name is a mailbox (RFC 2821, section 4.1.2) to Go: its local part may be quoted, and a backslash escapes
/// any character.
fn is_mailbox(name: &[u8]) -> bool {
    let rest = name.strip_prefix(b"\"").map_or_else(|| after_atoms(name), after_quoted);
    rest.and_then(|rest| rest.strip_prefix(b"@")).is_some_and(is_domain)
}

/// Returns the text after the closing quote.
fn after_quoted(name: &[u8]) -> Option<&[u8]> {
    let mut rest = name;
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'"' => return Some(rest),
            b'\\' => rest = rest.split_first().filter(|(byte, _)| !matches!(byte, 0 | b'\n' | b'\r' | 0x80..))?.1,
            0 | b'\t' | b'\n' | b'\r' | 0x80.. => return None,
            _ => {}
        }
    }
}

/// Returns the text after words joined by dots.
fn after_atoms(name: &[u8]) -> Option<&[u8]> {
    let (mut rest, mut local) = (name, Vec::new());
    while let Some((&byte, after)) = rest.split_first() {
        let (letter, after) = match byte {
            b'\\' => after.split_first().map(|(letter, after)| (*letter, after))?,
            _ if byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte) => (byte, after),
            _ => break,
        };
        local.push(letter);
        rest = after;
    }
    local.split(|byte| *byte == b'.').all(|atom| !atom.is_empty()).then_some(rest)
}

/// Whether all set bits precede all unset bits.
fn is_mask(mask: &[u8]) -> bool {
    mask.is_sorted_by(|one, next| *one == 0xff || *next == 0)
        && mask.iter().all(|byte| byte.leading_ones() + byte.trailing_zeros() >= 8)
}
