//! What is wrong with a field, as a denial and as a warning.

use std::{borrow::Cow, fmt};

use crate::{
    digest,
    profile::{Json, MAX_ITEMS, Past},
    redact::quote,
    syntax::url,
};

/// What is wrong with a field.
///
/// Displayed as a denial, in the form of apimachinery's `field.Error` (`Invalid value: "x": must …`), so that kubectl prints it
/// like a refusal of the API server. [`as_warning`](Self::as_warning) has the words for a write that passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem<'a> {
    /// It is absent.
    Required(Wording<'a>),
    /// It is empty.
    Empty(Wording<'a>),
    /// Its value.
    Invalid(Value<'a>, Wording<'a>),
    /// Its value, and the only ones that it may have.
    NotSupported(Value<'a>, &'static [&'static str]),
    /// Its value, which an earlier item of the list has.
    Duplicate(Value<'a>),
    /// Its value, never shown.
    Forbidden(Value<'a>, Wording<'a>),
    /// The API server drops it; the text says how to write it instead.
    Dropped(&'static str),
    /// Its value, never shown, and the maximum of code points.
    TooLong(Cow<'a, str>, usize),
    /// How many items it has, and the maximum.
    TooMany(usize, usize),
    /// So many of its items are past the maximum of all lists of an object together; a digest identifies them.
    Past(Past),
    /// Its value, which has a wrong JSON type.
    TypeInvalid(Value<'a>, Wording<'a>),
}

/// What a finding says of a problem: the requirement, and the words of a warning where these are others.
///
/// A requirement reads after `Invalid value: "x": ` or `Required value: ` ("must be https"). A denial shows it, and so does a
/// warning about what other writes are refused for: stored, audited or overridden. Findings that warn by the rule's own effect
/// have a warning as well, which says what happens and what to do. It reads after the value where the message shows one ("is not
/// encrypted: …; use https"), and otherwise after the field path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording<'a> {
    requirement: Cow<'a, str>,
    warning: Option<Cow<'a, str>>,
}

/// The value of a field, as the ratchet compares it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value<'a> {
    /// Quoted in the message, shortened where it is long.
    Shown(Cow<'a, str>),
    /// Quoted as far as a URL may be shown.
    Url(Cow<'a, str>),
    /// A number, shown as it is.
    Bare(i64),
    /// Of a wrong JSON type: numbers and booleans are shown, of others the type.
    Json(Json),
    /// The name of its JSON type, and what it is, of which only the type is shown.
    Typed(&'static str, Cow<'a, str>),
    /// A digest of what is never shown.
    Digest(u64),
    /// Never shown: it may be a secret, or says nothing to a reader.
    Hidden(Cow<'a, str>),
}

impl<'a> Wording<'a> {
    /// A requirement, and what a warning says instead.
    #[must_use]
    pub fn new(requirement: impl Into<Cow<'a, str>>, warning: impl Into<Cow<'a, str>>) -> Self {
        Self { requirement: requirement.into(), warning: Some(warning.into()) }
    }

    /// Writes the warning, or the requirement after what is said to be wrong.
    fn warn(&self, f: &mut fmt::Formatter<'_>, wrong: &str) -> fmt::Result {
        match &self.warning {
            Some(warning) => f.write_str(warning),
            None => write!(f, "{wrong}{}", self.requirement),
        }
    }
}

/// A requirement alone.
impl<'a, T: Into<Cow<'a, str>>> From<T> for Wording<'a> {
    fn from(requirement: T) -> Self {
        Self { requirement: requirement.into(), warning: None }
    }
}

impl<'a> Value<'a> {
    /// A value that the message quotes.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        Self::Shown(Cow::Borrowed(text))
    }

    /// A value that the message leaves out.
    #[must_use]
    pub fn hidden(text: &'a str) -> Self {
        Self::Hidden(Cow::Borrowed(text))
    }
}

impl From<&Json> for Value<'_> {
    fn from(json: &Json) -> Self {
        Self::Json(*json)
    }
}

impl Problem<'_> {
    /// A value of another type where a string belongs.
    #[must_use]
    pub fn no_string(json: &Json) -> Self {
        let is_scalar = matches!(json, Json::Boolean(_) | Json::Integer(_) | Json::Unsigned(_) | Json::Float(_));
        Self::TypeInvalid(json.into(), if is_scalar { IN_QUOTES } else { "must be a string" }.into())
    }

    /// A digest of the kind and the value, by which the ratchet knows a problem again.
    ///
    /// It leaves the text out where there is a value: the text may quote another value, and would be read for each of many
    /// findings.
    pub(super) fn digest(&self) -> u64 {
        digest::of(match self {
            Self::Required(wording) => (0, Some(wording.requirement.as_ref()), None, 0),
            Self::Empty(_) => (1, None, None, 0),
            Self::Invalid(value, _) => (2, None, Some(value), 0),
            Self::NotSupported(value, _) => (3, None, Some(value), 0),
            Self::Duplicate(value) => (4, None, Some(value), 0),
            Self::Forbidden(value, _) => (5, None, Some(value), 0),
            Self::Dropped(detail) => (6, Some(*detail), None, 0),
            Self::TooLong(text, _) => (7, Some(text.as_ref()), None, 0),
            Self::TooMany(_, limit) => (8, None, None, *limit as u64),
            Self::Past(Past { digest, .. }) => (9, None, None, *digest),
            Self::TypeInvalid(value, _) => (10, None, Some(value), 0),
        })
    }

    /// The cause type of apimachinery (`metav1.CauseType`).
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Required(_) | Self::Empty(_) => "FieldValueRequired",
            Self::Invalid(..) => "FieldValueInvalid",
            Self::NotSupported(..) => "FieldValueNotSupported",
            Self::Duplicate(_) => "FieldValueDuplicate",
            Self::Forbidden(..) | Self::Dropped(_) => "FieldValueForbidden",
            Self::TooLong(..) => "FieldValueTooLong",
            Self::TooMany(..) => "FieldValueTooMany",
            Self::Past(_) | Self::TypeInvalid(..) => "FieldValueTypeInvalid",
        }
    }
}

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required(wording) | Self::Empty(wording) => write!(f, "Required value: {}", wording.requirement),
            Self::Invalid(value, wording) | Self::TypeInvalid(value, wording) => {
                write!(f, "Invalid value: {}{}", value.before(": "), wording.requirement)
            }
            Self::NotSupported(value, supported) => {
                write!(f, "Unsupported value: {}supported values: {}", value.before(": "), Quoted(supported))
            }
            Self::Duplicate(value) => write!(f, "Duplicate value: {}must be unique in the list", value.before(": ")),
            Self::Forbidden(_, wording) => write!(f, "Forbidden: {}", wording.requirement),
            Self::Dropped(detail) => write!(f, "ignored: {detail}"),
            Self::TooLong(_, limit) => write!(f, "Too long: must have at most {limit} characters"),
            Self::TooMany(count, limit) => write!(f, "Too many: {count}: must have at most {limit} items"),
            Self::Past(past) => write!(f, "Invalid value: array: {}", Unchecked(past)),
        }
    }
}

impl Problem<'_> {
    /// The words of a warning: what is wrong and what to do, without the reasons of a denial.
    #[must_use]
    pub fn as_warning(&self) -> impl fmt::Display {
        AsWarning(self)
    }
}

struct AsWarning<'p, 'a>(&'p Problem<'a>);

impl fmt::Display for AsWarning<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Problem::Required(wording) => wording.warn(f, "missing: "),
            Problem::Empty(wording) => wording.warn(f, "empty: "),
            Problem::Forbidden(_, wording) => wording.warn(f, ""),
            Problem::Invalid(value, wording) | Problem::TypeInvalid(value, wording) => match &wording.warning {
                Some(warning) => write!(f, "{}{warning}", value.before(" ")),
                None => write!(f, "{}{}", value.before(": "), wording.requirement),
            },
            Problem::NotSupported(value, supported) => {
                write!(f, "{}must be one of {}", value.before(": "), Quoted(supported))
            }
            Problem::Duplicate(value) => write!(f, "{}is in the list more than once; keep one", value.before(" ")),
            Problem::Dropped(detail) => write!(f, "ignored: {detail}"),
            Problem::TooLong(_, limit) => write!(f, "longer than {limit} characters; shorten it"),
            Problem::TooMany(count, limit) => write!(f, "has {count} items; must have at most {limit}"),
            Problem::Past(past) => Unchecked(past).fmt(f),
        }
    }
}

/// That items are past the maximum.
struct Unchecked<'p>(&'p Past);

impl fmt::Display for Unchecked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Past { count, .. } = self.0;
        write!(
            f,
            "the lists of a ClusterProfile must have at most {MAX_ITEMS} items in all; the last {count} of this one are not \
             checked"
        )
    }
}

struct Quoted(&'static [&'static str]);

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, text) in self.0.iter().enumerate() {
            write!(f, "{}{text:?}", if position == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// The requirement on a number or boolean where a string belongs.
pub(crate) const IN_QUOTES: &str = "must be a string: put it in quotes";

impl Value<'_> {
    /// What is shown of it, followed by a separator; nothing where it is never shown.
    fn before(&self, separator: &'static str) -> impl fmt::Display {
        Before(self, separator)
    }
}

struct Before<'v, 'a>(&'v Value<'a>, &'static str);

impl fmt::Display for Before<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value, separator) = self;
        match value {
            Value::Shown(text) => write!(f, "{}{separator}", quote(text)),
            Value::Url(text) => write!(f, "{}{separator}", quote(&url::shown(text))),
            Value::Bare(number) => write!(f, "{number}{separator}"),
            Value::Json(json) => write!(f, "{json}{separator}"),
            Value::Typed(kind, _) => write!(f, "{kind}{separator}"),
            Value::Digest(_) | Value::Hidden(_) => Ok(()),
        }
    }
}
