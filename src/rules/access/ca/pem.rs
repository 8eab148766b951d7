//! Finds PEM blocks as Go's `pem.Decode` does, because all consumers use it to read a CA bundle.
//!
//! Other parsers find other blocks. Go accepts text before and between blocks, headers, and spaces and tabs in the
//! base64 and after the last dashes. Go skips a block that does not begin and end on lines of its own, so it skips two
//! blocks that share a line. After a malformed block it continues behind that block's `-----END `, so it also loses an
//! enclosing block.

use crate::syntax::base64::decode;

pub(super) struct Block<'a> {
    /// The text between `BEGIN ` and the dashes.
    pub(super) label: &'a [u8],
    /// Whether lines with a colon precede the base64. `AppendCertsFromPEM` skips such blocks.
    pub(super) has_headers: bool,
    pub(super) bytes: Vec<u8>,
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"\n-----END ";
const DASHES: &[u8] = b"-----";

pub(super) fn blocks(text: &[u8]) -> impl Iterator<Item = Block<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (block, after) = next(rest)?;
        rest = after;
        Some(block)
    })
}

/// Returns the next block and the text after it.
fn next(text: &[u8]) -> Option<(Block<'_>, &[u8])> {
    let mut rest = text;
    loop {
        // Takes the first end and the last beginning before it. Earlier beginnings have no end.
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

/// Result of reading a block.
enum Read<'a> {
    Block(Block<'a>, &'a [u8]),
    /// The block is malformed; the search continues in this text.
    Broken(&'a [u8]),
    /// The search ends.
    Nothing,
}

/// Reads a block after its `-----BEGIN `, whose start is `distance` bytes before the line break of its end line.
fn block(text: &[u8], distance: usize) -> Read<'_> {
    // The start of the end line. Its line break may be the one of the first line.
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
    // The line break before the end line may be the one of the first line, but not the one of a header.
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

/// Returns the first line without trailing white space, and the text after it.
fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b'\n');
    let (line, rest) = text.split_at(end.unwrap_or(text.len()));
    let rest = rest.get(1..).unwrap_or_default();
    let line = if end.is_some() { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
    let blank = line.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    (line.get(..line.len() - blank).unwrap_or_default(), rest)
}

pub(super) fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
