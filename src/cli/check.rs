//! `check`: applies the defaults and the validation of the two webhooks to manifests.

use std::{
    fs,
    io::{IsTerminal as _, Read as _, stdin, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::ValueEnum;
use clusterprofile_webhook::{
    config::Settings,
    config_file::ConfigFile,
    error::error_chain,
    manifest::{self, Checked, Document},
    redact::printable_json,
    review::Policy,
};
use jiff::Timestamp;
use serde::Serialize;

use self::stored::Stored;
use super::choice::Choice;

mod stored;
mod text;

/// Arguments of `check`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  clusterprofile-webhook check profile.yaml
  clusterprofile-webhook check -R manifests/ --warnings-as-errors
  kubectl get clusterprofiles -A -o yaml | clusterprofile-webhook check -
  clusterprofile-webhook check new.yaml --old stored.yaml -o json
  clusterprofile-webhook check -R manifests/ --config config.yaml

Exit codes: 0 no denials, 1 denied, 2 invalid input (takes precedence over 1).")]
pub(super) struct Args {
    /// Manifest files (YAML or JSON) or directories of them; - reads standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Also read subdirectories
    #[arg(short = 'R', long)]
    recursive: bool,
    /// File of stored objects. A manifest with the namespace and name of one is checked as an update of it. A manifest
    /// without a namespace matches by name, if only one stored object has that name
    #[arg(long, value_name = "FILE")]
    old: Vec<PathBuf>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// Exit with 1 on warnings as well
    #[arg(long)]
    warnings_as_errors: bool,
    /// When to color the output; `auto` colors it on a terminal, unless `NO_COLOR` is set
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    color: Color,
    #[command(flatten)]
    choice: Choice,
}

/// An output format.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum Format {
    /// Plain text, for reading
    Text,
    /// JSON, for programs
    Json,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

/// The result of a run. Also the format of `-o json`.
#[derive(Default, Serialize)]
struct Outcome {
    objects: Vec<Object>,
    errors: Vec<String>,
    /// Number of objects that are not ClusterProfiles of a known version.
    skipped: usize,
}

#[derive(Serialize)]
struct Object {
    file: String,
    document: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// Whether `--old` has the stored object. None without `--old`.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<bool>,
    #[serde(flatten)]
    checked: Checked,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut outcome = Outcome::default();
    if args.files.iter().chain(&args.old).filter(|path| path.as_os_str() == "-").count() > 1 {
        outcome.errors.push("standard input: give - only once".into());
    }
    let stored = stored(args, &mut outcome.errors);
    let file = args.choice.file().unwrap_or_else(|error| {
        outcome.errors.extend(error.lines());
        None
    });
    let settings = args.choice.settings().or(file.as_ref().map_or(&Settings::default(), ConfigFile::settings));
    let (policy, now) = (settings.policy(), Timestamp::now());
    for (file, bytes) in inputs(&args.files, args.recursive, &mut outcome.errors) {
        let (documents, errors) = manifest::read(&bytes);
        outcome.errors.extend(errors.iter().map(|error| format!("{file}: {error}")));
        for document in documents {
            outcome.check(&file, document, stored.as_ref(), &policy, now);
        }
    }
    if outcome.objects.is_empty() && outcome.skipped == 0 && outcome.errors.is_empty() {
        outcome.errors.push("no manifests found".into());
    }
    let text = match args.output {
        Format::Json => printable_json(&serde_json::to_string_pretty(&outcome)?) + "\n",
        Format::Text => text::render(&outcome, args.color.is_on()),
    };
    super::print(&text)?;
    if args.output == Format::Text {
        for error in &outcome.errors {
            super::print_error(error);
        }
    }
    Ok(ExitCode::from(outcome.code(args.warnings_as_errors)))
}

impl Outcome {
    fn check(&mut self, file: &str, document: Document, stored: Option<&Stored>, policy: &Policy, now: Timestamp) {
        let Document { number, item, line, object } = document;
        let Some(version) = manifest::version(&object) else {
            self.skipped += 1;
            return;
        };
        let old = stored.map(|stored| stored.of(&object));
        let checked = manifest::check(&object, version, old.flatten(), policy, now);
        let stored = old.map(|old| old.is_some());
        self.objects.push(Object { file: file.to_owned(), document: number, item, line, stored, checked });
    }

    fn denied(&self) -> usize {
        self.objects.iter().filter(|object| object.checked.is_denied()).count()
    }

    fn warned(&self) -> usize {
        self.objects.iter().filter(|object| object.checked.is_warned()).count()
    }

    fn code(&self, warnings_as_errors: bool) -> u8 {
        let is_broken = self.denied() > 0 || (warnings_as_errors && self.warned() > 0);
        if self.errors.is_empty() { u8::from(is_broken) } else { 2 }
    }
}

impl Color {
    fn is_on(self) -> bool {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        self == Self::Always || (self == Self::Auto && wanted && stdout().is_terminal())
    }
}

/// The objects of `--old`. None without `--old`.
fn stored(args: &Args, errors: &mut Vec<String>) -> Option<Stored> {
    let mut stored = Stored::default();
    for (file, bytes) in inputs(&args.old, args.recursive, errors) {
        let (documents, unusable) = manifest::read(&bytes);
        errors.extend(unusable.iter().map(|error| format!("{file}: {error}")));
        let profiles = documents.into_iter().filter(|document| manifest::version(&document.object).is_some());
        profiles.for_each(|document| stored.add(document.object));
    }
    (!args.old.is_empty()).then_some(stored)
}

/// The content of each file, in the given order, with the files of a directory sorted by name.
fn inputs(paths: &[PathBuf], recursive: bool, errors: &mut Vec<String>) -> Vec<(String, Vec<u8>)> {
    let mut inputs = Vec::new();
    let mut read = |name: String, bytes: anyhow::Result<Vec<u8>>| match bytes {
        Ok(bytes) => inputs.push((name, bytes)),
        Err(error) => errors.push(error_chain(error.as_ref())),
    };
    for path in paths {
        if path.as_os_str() == "-" {
            read("standard input".into(), read_all(stdin().lock(), "standard input"));
        } else {
            read_path(path, recursive, &mut read);
        }
    }
    inputs
}

/// Reads a file, or the manifests of a directory.
///
/// In a directory, links to files are followed, because a mounted `ConfigMap` consists of them. Links to directories are not,
/// because they may form a cycle.
fn read_path(path: &Path, recursive: bool, read: &mut impl FnMut(String, anyhow::Result<Vec<u8>>)) {
    let name = path.display().to_string();
    if !path.is_dir() {
        let bytes = fs::File::open(path).with_context(|| name.clone()).and_then(|file| read_all(file, &name));
        return read(name, bytes);
    }
    match fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Err(error) => read(name.clone(), Err(error).context(name)),
        Ok(mut entries) => {
            entries.sort_by_key(fs::DirEntry::path);
            for entry in entries {
                let path = entry.path();
                let is_manifest = || path.extension().is_some_and(|end| EXTENSIONS.iter().any(|known| end == *known));
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    // A mounted ConfigMap keeps the targets of its links in directories whose names start with "..".
                    if recursive && !entry.file_name().as_encoded_bytes().starts_with(b"..") {
                        read_path(&path, recursive, read);
                    }
                } else if is_manifest() && fs::metadata(&path).map_or(true, |file| file.is_file()) {
                    read_path(&path, recursive, read);
                }
            }
        }
    }
}

/// File name extensions of manifests.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

fn read_all(source: impl std::io::Read, name: &str) -> anyhow::Result<Vec<u8>> {
    /// More than the list of all profiles of a very large hub.
    const LIMIT: u64 = 256 << 20;
    let mut bytes = Vec::new();
    let read = source.take(LIMIT + 1).read_to_end(&mut bytes).with_context(|| name.to_owned())?;
    anyhow::ensure!(u64::try_from(read)? <= LIMIT, "{name}: larger than 256 MiB; split the file");
    Ok(bytes)
}
