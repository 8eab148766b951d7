//! Reading manifests: what a hub really lists, and what must not fill the memory.

use std::{iter, thread};

use clusterprofile_webhook::manifest::{self, Document, ReadError};
use serde_json::{Value, json};

fn read(text: &str) -> (Vec<Document>, Vec<ReadError>) {
    manifest::read(text.as_bytes())
}

fn profile(number: usize) -> Value {
    let labels = json!({"x-k8s.io/cluster-manager": "ocm"});
    json!({
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "kind": "ClusterProfile",
        "metadata": {"name": format!("spoke-{number}"), "labels": labels},
        "spec": {"displayName": "Spoke", "clusterManager": {"name": "ocm"}},
    })
}

#[test]
fn a_list_of_every_cluster_of_a_large_hub_is_read() {
    let items: Vec<_> = (0..15_000).map(profile).collect();
    let (documents, errors) = read(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(documents.len(), 15_000);
    assert_eq!(documents.last().map(|document| &document.object), Some(&profile(14_999)));
}

#[test]
fn what_many_items_share_may_be_an_alias() {
    let items = (0..1000).map(|number| format!("- {{apiVersion: v1, kind: A{number}, metadata: *shared}}\n"));
    let text = format!(
        "apiVersion: v1\nkind: List\nshared: &shared {{labels: {{a: b}}}}\nitems:\n{}",
        items.collect::<String>()
    );
    let (documents, errors) = read(&text);
    assert!(errors.is_empty() && documents.len() == 1000, "{errors:?}");
    assert!(documents.iter().all(|document| document.object["metadata"] == json!({"labels": {"a": "b"}})));
}

#[test]
fn nesting_deeper_than_anybody_writes_ends_no_stack() {
    /// Of a program without optimisation, whose frames are many times larger.
    const STACK: usize = 8 << 20;
    let read = |text: String| {
        let thread = thread::Builder::new().stack_size(STACK).spawn(move || manifest::read(text.as_bytes()));
        thread.expect("a thread can be started").join().expect("it does not panic")
    };
    let nested = |depth: usize| {
        let flow = "[".repeat(depth) + &"]".repeat(depth);
        let block = "- ".repeat(depth);
        [format!("deep: {flow}\n"), format!("deep:\n  {block}a\n")]
            .map(|deep| format!("apiVersion: v1\nkind: A\n{deep}"))
    };
    for text in nested(240) {
        let (documents, errors) = read(text);
        assert!(errors.is_empty() && documents.len() == 1, "{errors:?}");
    }
    for text in nested(100_000) {
        let (documents, errors) = read(text);
        assert!(documents.is_empty() && errors.len() == 1, "{errors:?}");
        assert!(["nested deeper", "recursion limit"].iter().any(|why| errors[0].cause.contains(why)), "{errors:?}");
    }
}

/// A document of a few hundred bytes that stands for nine to the power of `levels` values.
fn bomb(levels: usize, leaf: &str) -> String {
    let first = format!("apiVersion: v1\nkind: A\na0: &a0 [{}]\n", [leaf; 9].join(", "));
    let next = |level: usize| {
        let aliases = iter::repeat_n(format!("*a{}", level - 1), 9).collect::<Vec<_>>().join(", ");
        format!("a{level}: &a{level} [{aliases}]\n")
    };
    first + &(1..levels).map(next).collect::<String>()
}

#[test]
fn aliases_cannot_fill_the_memory() {
    let long = format!("\"{}\"", "x".repeat(10_000));
    let good = "---\napiVersion: v1\nkind: A\n";
    let many = iter::repeat_n(bomb(4, "x"), 1000).collect::<Vec<_>>().join("---\n");
    for text in [bomb(12, "x"), bomb(5, &long), many] {
        let (documents, errors) = read(&format!("{good}---\n{text}{good}"));
        assert_eq!(documents[0].object["kind"], "A");
        assert!(errors.len() == 1 && errors[0].cause.contains("aliases"), "{errors:?}");
    }
}
