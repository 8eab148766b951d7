//! What is wrong with a field, in the words of apimachinery's `field.Error`.

use std::{borrow::Cow, fmt};

use crate::{
    digest,
    profile::{Json, MAX_ITEMS, Past},
    redact::quote,
    syntax::url,
};

/// What is wrong with a field.
///
/// Displayed as the API server would (`Invalid value: "x": must …`), so that kubectl's output reads as one voice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem<'a> {
    /// It is absent; the text says what must be there.
    Required(Cow<'a, str>),
    /// It is empty; the text says what must be there.
    Empty(Cow<'a, str>),
    /// Its value; the text says what it must be.
    Invalid(Value<'a>, Cow<'a, str>),
    /// Its value, and the only ones that it may have.
    NotSupported(Value<'a>, &'static [&'static str]),
    /// Its value, which an earlier item of the list has.
    Duplicate(Value<'a>),
    /// Its value, never shown; the text says what must not be there.
    Forbidden(Value<'a>, Cow<'a, str>),
    /// It is thrown away by the API server; the text says where it must be written.
    Dropped(&'static str),
    /// Its value, never shown, and the most code points that it may have.
    TooLong(Cow<'a, str>, usize),
    /// How many items it has, and the most that it may have.
    TooMany(usize, usize),
    /// So many of its items are past the most that an object may have in all its lists; a digest tells them apart.
    Past(Past),
    /// Its value of a wrong JSON type; the text says which it must be.
    TypeInvalid(Value<'a>, Cow<'a, str>),
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
    /// A value that must be a string and is of another type.
    #[must_use]
    pub fn no_string(json: &Json) -> Self {
        let is_scalar = matches!(json, Json::Boolean(_) | Json::Integer(_) | Json::Unsigned(_) | Json::Float(_));
        Self::TypeInvalid(json.into(), if is_scalar { IN_QUOTES } else { "must be a string" }.into())
    }

    /// A digest of what is wrong, by which a problem is known again: of its kind and the value.
    ///
    /// The text is left out where a value is there: it says how to mend the value, may quote another one, and would be read
    /// anew for each of many findings.
    pub(super) fn digest(&self) -> u64 {
        digest::of(match self {
            Self::Required(detail) => (0, Some(detail.as_ref()), None, 0),
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
            Self::Required(detail) | Self::Empty(detail) => write!(f, "Required value: {detail}"),
            Self::Invalid(value, detail) | Self::TypeInvalid(value, detail) => {
                write!(f, "Invalid value: {value}{detail}")
            }
            Self::NotSupported(value, supported) => {
                write!(f, "Unsupported value: {value}supported values: ")?;
                for (position, value) in supported.iter().enumerate() {
                    write!(f, "{}{value:?}", if position == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::Duplicate(value) => write!(f, "Duplicate value: {value}must be unique in the list"),
            Self::Forbidden(_, detail) => write!(f, "Forbidden: {detail}"),
            Self::Dropped(detail) => write!(f, "is dropped here: {detail}"),
            Self::TooLong(_, limit) => write!(f, "Too long: must have at most {limit} characters"),
            Self::TooMany(count, limit) => write!(f, "Too many: {count}: must have at most {limit} items"),
            Self::Past(Past { count, .. }) => write!(
                f,
                "Invalid value: array: the lists of a ClusterProfile must have at most {MAX_ITEMS} items in all; the last \
                 {count} of this one are not checked"
            ),
        }
    }
}

/// What must be done with a scalar for it to be a string.
pub(crate) const IN_QUOTES: &str = "must be a string: put it in quotes";

/// What is shown, followed by what separates it from the rest, or nothing.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shown(text) => write!(f, "{}: ", quote(text)),
            Self::Url(text) => write!(f, "{}: ", quote(&url::shown(text))),
            Self::Bare(number) => write!(f, "{number}: "),
            Self::Json(json) => write!(f, "{json}: "),
            Self::Typed(kind, _) => write!(f, "{kind}: "),
            Self::Digest(_) | Self::Hidden(_) => Ok(()),
        }
    }
}
