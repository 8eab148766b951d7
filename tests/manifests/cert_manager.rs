//! The resources for cert-manager have the references that its controllers follow. `e2e/renewal.rs` runs the
//! controllers.

use serde_json::{Value, json};
use testkit::rendered::{at, only, text, volume};

use super::Manifests;

pub(crate) fn issues_what_the_api_server_trusts(manifests: &Manifests) {
    let objects = &manifests.cert_manager;
    let volume = volume(only(objects, "Deployment"), "secret");
    let serving = find(objects, "Certificate", "/spec/secretName", text(volume, "/secret/secretName"));
    let authority =
        find(objects, "Certificate", "/spec/secretName", text(issuer(objects, serving), "/spec/ca/secretName"));
    assert_eq!(at(issuer(objects, authority), "/spec"), &json!({"selfSigned": {}}));

    let service = at(only(objects, "Service"), "/metadata");
    let name = format!("{}.{}.svc", text(service, "/name"), text(service, "/namespace"));
    assert_eq!(at(serving, "/spec/dnsNames"), &json!([name, format!("{name}.cluster.local")]));
    assert_eq!((serving["spec"].get("isCA"), at(authority, "/spec/isCA")), (None, &json!(true)));
    // With a new key of the CA, clients would distrust leaf certificates of the old one until all have the new CA
    // certificate.
    for (certificate, rotation) in [(serving, "Always"), (authority, "Never")] {
        let key = json!({"algorithm": "ECDSA", "size": 256, "rotationPolicy": rotation});
        assert_eq!(at(certificate, "/spec/privateKey"), &key);
    }
    // If the serving Secret were injected, a new CA would be published only after its certificate is served.
    let injected = format!("{}/{}", text(authority, "/metadata/namespace"), text(authority, "/metadata/name"));
    for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
        let annotations = at(only(objects, kind), "/metadata/annotations");
        assert_eq!(annotations, &json!({"cert-manager.io/inject-ca-from": injected}));
    }
}

fn issuer<'o>(objects: &'o [Value], certificate: &Value) -> &'o Value {
    assert_eq!(text(certificate, "/spec/issuerRef/kind"), "Issuer");
    find(objects, "Issuer", "/metadata/name", text(certificate, "/spec/issuerRef/name"))
}

/// The object of this kind that has `value` at `pointer`.
fn find<'o>(objects: &'o [Value], kind: &str, pointer: &str, value: &str) -> &'o Value {
    let of_kind = objects.iter().filter(|object| object["kind"] == kind);
    let mut found = of_kind.filter(|object| object.pointer(pointer).is_some_and(|found| found == value));
    let object = found.next().unwrap_or_else(|| panic!("no {kind} whose {pointer} is {value}"));
    assert!(found.next().is_none(), "more than one {kind} whose {pointer} is {value}");
    object
}
