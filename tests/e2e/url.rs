//! The webhook without a Service, registered as in the development overlay.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clusterprofile_webhook::{manifest, server::Config};
use libtest_mimic::Trial;
use serde_json::json;
use testkit::{control_plane::ControlPlane, profiles::Profiles, server::Server, webhook::collection};

use super::planes::{Crd, Planes};

/// To a loopback URL the API server offers HTTP/2 also, which it does not to a Service.
pub(crate) fn trial(planes: &Arc<Planes>) -> Trial {
    let planes = Arc::clone(planes);
    Trial::test("url::registered", move || {
        called(&planes.get(Crd::Own).control);
        Ok(())
    })
}

fn called(control: &ControlPlane) {
    let server = Server::start(Config::default());
    let labels = json!({"reviewed-by": "url"});
    let built = control.kubectl().args(["kustomize", "manifests/overlays/dev"]).output().expect("kubectl runs");
    let (documents, errors) = manifest::read(&built.stdout);
    assert!(errors.is_empty() && documents.len() == 2, "{}", String::from_utf8_lossy(&built.stderr));
    for mut configuration in documents.into_iter().map(|document| document.object) {
        configuration["metadata"]["name"] = json!("url");
        let hook = &mut configuration["webhooks"][0];
        hook["namespaceSelector"] = json!({"matchLabels": labels});
        let url = hook["clientConfig"]["url"].as_str().expect("the overlay has a URL");
        hook["clientConfig"] = json!({
            "url": url.replace("127.0.0.1:8443", &server.address.to_string()),
            "caBundle": STANDARD.encode(&server.ca),
        });
        let created = control.api.post(&collection(&configuration), &configuration);
        assert_eq!(created.status, 201, "{created:#?}");
    }
    let profiles = Profiles::new(control, &labels);
    profiles.assert_that_both_webhooks_are_called();
    assert_eq!(profiles.names(), ["good"].map(String::from).into());
}
