//! Spans in OTLP JSON: an `ExportTraceServiceRequest` of opentelemetry-proto 1.
//!
//! Attributes have the names of OpenTelemetry's semantic conventions where those exist. All others start with `admission.` and
//! end with the name of the log field. Spans contain no user names, and of an object only its namespace and name.

use serde::Serialize;

use super::span::{Record, Review};

/// The body of the request with these spans. `instance` is the name of this replica.
pub(super) fn request(instance: &str, records: &[Record]) -> Vec<u8> {
    let service = [
        ("service.name", env!("CARGO_PKG_NAME")),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", instance),
    ];
    let resource = Resource { attributes: service.map(|(key, text)| Attribute { key, value: Value::Text(text) }) };
    let scope = Scope { name: env!("CARGO_PKG_NAME") };
    let scope_spans = [ScopeSpans { scope, spans: records.iter().map(Span::new).collect() }];
    let request = Request { resource_spans: [ResourceSpans { resource, scope_spans }] };
    serde_json::to_vec(&request).expect("spans are always valid JSON")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct Resource<'a> {
    attributes: [Attribute<'a>; 3],
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<Span<'a>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
}

/// Ids are hexadecimal, unlike other bytes in Protobuf's JSON, and 64-bit numbers are strings.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    #[serde(rename = "traceId")]
    trace: String,
    #[serde(rename = "spanId")]
    id: String,
    #[serde(rename = "parentSpanId", skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    name: String,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute<'a>>,
    events: Vec<Event>,
    status: Status,
}

#[derive(Serialize)]
struct Attribute<'a> {
    key: &'static str,
    value: Value<'a>,
}

#[derive(Serialize)]
enum Value<'a> {
    #[serde(rename = "stringValue")]
    Text(&'a str),
    #[serde(rename = "boolValue")]
    Truth(bool),
    #[serde(rename = "intValue")]
    Number(String),
    #[serde(rename = "arrayValue")]
    List { values: Vec<Value<'a>> },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    time_unix_nano: String,
    name: &'static str,
}

#[derive(Serialize)]
struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
}

/// `SPAN_KIND_SERVER`.
const SERVER: u8 = 2;

/// `STATUS_CODE_ERROR`. A successful span has no code.
const ERROR: u8 = 2;

impl<'a> Span<'a> {
    fn new(record: &'a Record) -> Self {
        let Record { span_context, phase, start, end, events, status, .. } = record;
        let has_failed = status.is_none_or(|status| status.is_server_error());
        Self {
            trace: format!("{:032x}", span_context.trace),
            id: format!("{:016x}", span_context.span),
            parent: span_context.parent.map(|parent| format!("{parent:016x}")),
            name: format!("POST /{phase}"),
            kind: SERVER,
            start_time_unix_nano: start.to_string(),
            end_time_unix_nano: end.to_string(),
            attributes: attributes(record, has_failed),
            events: events.iter().map(|(name, at)| Event { time_unix_nano: at.to_string(), name }).collect(),
            status: Status { code: has_failed.then_some(ERROR) },
        }
    }
}

fn attributes(record: &Record, has_failed: bool) -> Vec<Attribute<'_>> {
    use Value::{List, Number, Text, Truth};
    let route = if record.phase == "mutate" { "/mutate" } else { "/validate" };
    let mut attributes = vec![
        ("http.request.method", Text("POST")),
        ("http.route", Text(route)),
        ("url.path", Text(route)),
        ("url.scheme", Text("https")),
        ("admission.phase", Text(record.phase)),
    ];
    if let Some(status) = record.status {
        attributes.push(("http.response.status_code", Number(status.as_u16().to_string())));
    }
    if let Some(bytes) = record.body {
        attributes.push(("http.request.body.size", Number(bytes.to_string())));
    }
    if has_failed {
        let cause = if record.status.is_none() { "cancelled" } else { "_OTHER" };
        attributes.push(("error.type", Text(record.error.unwrap_or(cause))));
    }
    if let Some(Review { uid, operation, namespace, name, part, allowed, exempt, rules, break_glass }) = &record.review
    {
        attributes.extend([
            ("admission.uid", Text(uid)),
            ("admission.operation", Text(operation)),
            ("admission.namespace", Text(namespace)),
            ("admission.name", Text(name)),
            ("admission.part", Text(part)),
            ("admission.allowed", Truth(*allowed)),
            ("admission.rules", List { values: rules.iter().map(|rule| Text(rule)).collect() }),
        ]);
        attributes.extend(exempt.then_some(("admission.exempt", Truth(true))));
        attributes.extend(break_glass.map(|outcome| ("admission.break_glass", Text(outcome))));
    }
    attributes.into_iter().map(|(key, value)| Attribute { key, value }).collect()
}
