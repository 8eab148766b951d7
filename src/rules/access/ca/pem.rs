//! PEM blocks as Go's `pem.Decode` finds them, which is where all consumers look for a CA.
//!
//! Other readers find others. Go takes text before and between blocks, headers, spaces and tabs in the base64 and after the
//! last dashes. It takes no block that does not begin and end on lines of its own, so two that are glued together are none;
//! and where one is broken it goes on behind that one's `-----END `, so that the block around it is lost, too.

use crate::syntax::base64::decode;

/// A block.
pub(super) struct Block<'a> {
    /// What stands between `BEGIN ` and the dashes.
    pub(super) label: &'a [u8],
    /// Whether there are lines with a colon before the base64: `AppendCertsFromPEM` passes such blocks over.
    pub(super) has_headers: bool,
    pub(super) bytes: Vec<u8>,
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"\n-----END ";
const DASHES: &[u8] = b"-----";

/// The blocks of a text.
pub(super) fn blocks(text: &[u8]) -> impl Iterator<Item = Block<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (block, after) = next(rest)?;
        rest = after;
        Some(block)
    })
}

/// The next block, and what follows it.
fn next(text: &[u8]) -> Option<(Block<'_>, &[u8])> {
    let mut rest = text;
    loop {
        // The first end, and the last beginning before it: beginnings without an end are passed over.
        let end = position(rest, END)?;
        let begin = rest.get(..end)?.windows(BEGIN.len()).rposition(|window| window == BEGIN);
        match begin.filter(|begin| *begin == 0 || rest.get(begin - 1) == Some(&b'\n')) {
            None => rest = rest.get(end + END.len()..)?,
            Some(begin) => match block(rest.get(begin + BEGIN.len()..)?, end - begin.min(end)) {
                Read::Block(block, after) => return Some((block, after)),
                Read::Broken(after) => rest = after,
                Read::Nothing => return None,
            },
        }
    }
}

/// What becomes of a block.
enum Read<'a> {
    Block(Block<'a>, &'a [u8]),
    /// It is broken; the search goes on here.
    Broken(&'a [u8]),
    /// Nothing is found any more.
    Nothing,
}

/// Reads a block from behind its `-----BEGIN `, which stood `distance` before the line break that its end begins with.
fn block(text: &[u8], distance: usize) -> Read<'_> {
    // Where the end begins; where the first line is the last one, before what is left.
    let end = distance.checked_sub(BEGIN.len());
    let behind = distance + END.len() - BEGIN.len();
    let broken = || text.get(behind..).map_or(Read::Nothing, Read::Broken);
    let (line, mut rest) = line(text);
    let Some(label) = line.strip_suffix(DASHES) else { return broken() };
    let mut has_headers = false;
    loop {
        if rest.is_empty() {
            return Read::Nothing;
        }
        let (header, after) = self::line(rest);
        if !header.contains(&b':') {
            break;
        }
        has_headers = true;
        rest = after;
    }
    let start = text.len() - rest.len();
    // The line break before the end may be that of the first line, but no header's.
    let Some(end) = end.filter(|end| *end + 1 >= start && !(has_headers && *end < start)) else {
        return if behind < start { Read::Nothing } else { broken() };
    };
    let trailer = text.get(behind..).unwrap_or_default();
    let after = trailer.strip_prefix(label).and_then(|after| after.strip_prefix(DASHES));
    let Some(after) = after.filter(|after| self::line(after).0.is_empty()) else { return broken() };
    let base64 = text.get(start..end).unwrap_or_default().iter().copied().filter(|byte| !b" \t\r\n".contains(byte));
    match decode(base64.collect::<Vec<_>>()) {
        Some(bytes) => Read::Block(Block { label, has_headers, bytes }, self::line(after).1),
        None => broken(),
    }
}

/// The first line without white space at its end, and what follows it.
fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b'\n');
    let (line, rest) = text.split_at(end.unwrap_or(text.len()));
    let rest = rest.get(1..).unwrap_or_default();
    let line = if end.is_some() { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
    let blank = line.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    (line.get(..line.len() - blank).unwrap_or_default(), rest)
}

/// Where a text begins in another.
pub(super) fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
