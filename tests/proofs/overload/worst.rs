//! The largest bodies of the worst shapes, as many at once as the body budget allows.

use serde_json::json;
use testkit::profiles::good;
use tokio::{runtime, task::JoinSet};

use super::{caller::request_within, close_within, target::Target};
use crate::account::Account;

/// The most memory that the process may take, in MB: 400 MiB, of the 512 that the Deployment has.
const MOST: u64 = (400 << 20) / 1_000_000;

/// Bytes of a body, the most that one may have; eight are all that may be in flight.
const BODY: usize = (8 << 20) - (4 << 10);

/// What a status holds beside nothing else, in about so many bytes.
type Shape = (&'static str, fn(usize) -> String);

/// Where little of the text is much in memory.
const SHAPES: [Shape; 8] = [
    ("numbers for extensions", |bytes| {
        // The maximum number of items that are read of one list.
        let numbers = listed("0", 2 * 16_384);
        let provider = format!(r#"{{"name":"a","cluster":{{"server":"https://a","extensions":{numbers}}}}}"#);
        format!(r#""accessProviders":{}"#, listed(&provider, bytes))
    }),
    ("empty conditions", |bytes| format!(r#""conditions":{}"#, listed("{}", bytes))),
    ("empty properties", |bytes| format!(r#""properties":{}"#, listed("{}", bytes))),
    ("empty providers", |bytes| format!(r#""accessProviders":{}"#, listed("{}", bytes))),
    ("empty extensions", |bytes| {
        let extensions = listed("{}", bytes);
        format!(r#""accessProviders":[{{"name":"a","cluster":{{"server":"https://a","extensions":{extensions}}}}}]"#)
    }),
    ("one name again and again", |bytes| format!(r#""properties":{}"#, listed(r#"{"name":"a"}"#, bytes))),
    ("lists in an extension", |bytes| {
        let extension = format!(r#"{{"name":"e","extension":{}}}"#, listed("[[]]", bytes));
        format!(r#""accessProviders":[{{"name":"a","cluster":{{"server":"https://a","extensions":[{extension}]}}}}]"#)
    }),
    ("conditions of no type", |bytes| format!(r#""conditions":{}"#, listed(r#"{"type":0,"status":true}"#, bytes))),
];

fn listed(item: &str, bytes: usize) -> String {
    let items = vec![item; (bytes / (item.len() + 1)).max(1)];
    format!("[{}]", items.join(","))
}

/// Sends all of them at once, twice. Returns the cost, and a line for each broken promise.
pub(crate) fn sent(target: &Target<'_>, account: &mut Account<'_>) -> (String, Vec<String>) {
    /// Of those that come while others are on their way, some are given up; of each turn more than one is not.
    const LEAST: usize = 4;
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let writers = target.writers(good);
    let requests: Vec<_> = SHAPES.iter().map(|(_, shape)| request_within("30s", &review(*shape))).collect();
    // The memory for first writes and connections is never released.
    writers.write(|| writers.go_on());
    account.skip(&writers);
    let idle = target.replica.memory();
    let mut answers = Vec::new();
    let measured = target.measured(|| {
        writers.write(|| {
            answers = runtime.block_on(async {
                let mut calls = JoinSet::new();
                for request in requests.iter().chain(&requests) {
                    let (caller, request) = (target.caller(), request.clone());
                    calls.spawn(async move { caller.call(&request).await });
                }
                target.sample();
                calls.join_all().await
            });
            target.sample();
        });
    });
    let (told_back, kept) = target.gives_back(idle);
    let reviewed = answers.iter().flatten().filter(|answer| answer.is_reviewed()).count();
    let what = format!("{} send 8 MiB each of the worst shapes at once", answers.len());
    let mut broken = close_within(MOST, &what, measured, account, &writers);
    if reviewed < LEAST {
        broken.push(format!("{what}: only {reviewed} were reviewed"));
    }
    broken.extend(kept.map(|kept| format!("{what}: {kept}")));
    (format!("Of the bodies of the worst shapes {reviewed} were reviewed; {told_back}."), broken)
}

fn review(shape: fn(usize) -> String) -> Vec<u8> {
    let mut profile = good("worst");
    profile["status"] = json!({"@": 0});
    let resource = json!({"group": "multicluster.x-k8s.io", "version": "v1alpha1", "kind": "ClusterProfile"});
    let request = json!({
        "uid": "00000000-0000-4000-8000-000000000000",
        "kind": resource,
        "namespace": "fleet",
        "name": "worst",
        "operation": "CREATE",
        "object": profile,
    });
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
    review.to_string().replace(r#""@":0"#, &shape(BODY)).into_bytes()
}
