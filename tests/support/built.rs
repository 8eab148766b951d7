//! Programs that tests want beside a control plane, built as it is.

use std::path::{Path, PathBuf};

use super::assets::must_be_there;

/// The directory that `make NAME` makes; none where the program of that name is not there and `what` may be left out.
pub(crate) fn built(name: &str, what: &str) -> Option<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(name);
    if directory.join(name).exists() {
        return Some(directory);
    }
    assert!(!must_be_there(), "{}: {name} is missing: run `make {name}`", directory.display());
    println!("{what} is left out: `make {name}` builds what it wants");
    None
}
