//! The API server presents a client certificate to the webhook, configured as `docs/callers.md` describes.

use std::{
    fs,
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use testkit::{
    ca::Ca,
    control_plane::ControlPlane,
    page::Section,
    profiles::{Profiles, good},
    programs::Assets,
    replica::Replica,
    wait::wait_until,
    webhook::{collection, configurations},
};

use super::planes::Crd;

pub(crate) fn trial(assets: &Assets) -> Trial {
    let assets = assets.clone();
    Trial::test("callers::presented", move || {
        presented(&assets);
        Ok(())
    })
}

/// The name in the current and in the next client certificate of the API server.
const NAME: &str = "kube-apiserver";
const RENEWED: &str = "kube-apiserver-renewed";

/// Name and namespace of the Service in the manifests.
const SERVICE: &str = "clusterprofile-webhook";

fn presented(assets: &Assets) {
    let files = tempfile::tempdir().expect("a directory can be made");
    let port = port();
    let clients = Ca::new("clients");
    let flag = format!("--admission-control-config-file={}", as_the_page_says(files.path(), port, &clients).display());
    let plane = ControlPlane::start_with(assets, "callers", &[Crd::Own.object()], &[flag]);
    let address = plane.network().at(plane.host(), port).into();
    let authority = Ca::new("servers");
    register(&plane, address, &authority);
    let profiles = Profiles::new(&plane, &json!({}));

    let replica = serve(&authority, address, files.path(), NAME);
    profiles.assert_that_both_webhooks_are_called();

    drop(replica);
    let _replica = serve(&authority, address, files.path(), RENEWED);
    // The first call may still use the old connection.
    wait_until("the reason of the refusal is logged", || {
        let refused = profiles.create(&good("refused"));
        assert_eq!(refused.status, 500, "{refused:#?}");
        refused.body["message"].as_str().is_some_and(|message| message.ends_with(": remote error: tls: access denied"))
    });
    put_certificate(files.path(), RENEWED, &clients);
    wait_until("the certificate is read again", || profiles.create(&good("renewed")).status == 201);
    assert_eq!(profiles.names(), ["good", "renewed"].map(String::from).into());
    plane.forget();
}

/// The port of the manifests, or another if it is reserved for root.
fn port() -> u16 {
    match TcpListener::bind("127.0.0.1:443") {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => 8443,
        _ => 443,
    }
}

/// Writes the files of the page and those that they name to this directory. Returns the path of the first.
fn as_the_page_says(directory: &Path, port: u16, clients: &Ca) -> PathBuf {
    const THERE: &str = "/etc/kubernetes/admission";
    let page = Section::page("callers").section("Give the API server a certificate");
    let [configuration, users] = page.manifests()[..] else { panic!("which are these?") };
    let here = |text: &str| text.replace(THERE, &directory.display().to_string());
    let mut users = here(users);
    if port != 443 {
        let user = format!("{SERVICE}.{SERVICE}.svc");
        users = users.replace(&user, &format!("{user}:{port}"));
    }
    put(directory, "webhooks.yaml", &users);
    put(directory, CLIENT_CA, &clients.certificate);
    put_certificate(directory, NAME, clients);
    put(directory, "admission.yaml", &here(configuration))
}

/// Replaces the client certificate of the API server.
fn put_certificate(directory: &Path, name: &str, clients: &Ca) {
    let pair = clients.client(name, "any");
    put(directory, "client.crt", &pair.certificate);
    put(directory, "client.key", &pair.key);
}

fn put(directory: &Path, name: &str, content: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, content).expect("a file can be written");
    path
}

const CLIENT_CA: &str = "client-ca.crt";

/// Creates the Service of the manifests at this address, and their webhook configurations.
fn register(plane: &ControlPlane, address: SocketAddr, authority: &Ca) {
    let create = |path: &str, object: &Value| {
        let created = plane.api.post(path, object);
        assert_eq!(created.status, 201, "{created:#?}");
    };
    create("/api/v1/namespaces", &json!({"metadata": {"name": SERVICE}}));
    let service = json!({
        "metadata": {"name": SERVICE},
        "spec": {"clusterIP": address.ip().to_string(), "ports": [{"port": address.port()}]},
    });
    create(&format!("/api/v1/namespaces/{SERVICE}/services"), &service);
    for mut configuration in configurations() {
        let hook = &mut configuration["webhooks"][0];
        hook["clientConfig"]["service"]["port"] = json!(address.port());
        hook["clientConfig"]["caBundle"] = json!(STANDARD.encode(&authority.certificate));
        create(&collection(&configuration), &configuration);
    }
}

/// Starts the binary, which accepts clients with this name.
fn serve(authority: &Ca, address: SocketAddr, directory: &Path, name: &str) -> Replica {
    let pair = authority.server(&[&format!("{SERVICE}.{SERVICE}.svc")]);
    put(directory, "tls.crt", &pair.certificate);
    put(directory, "tls.key", &pair.key);
    let arguments =
        ["serve", "--admin-listen=127.0.0.1:0", "--log-format=json", "--tls-cert=tls.crt", "--tls-key=tls.key"];
    let own = [format!("--listen={address}"), format!("--client-ca={CLIENT_CA}"), format!("--client-name={name}")];
    Replica::start(&arguments.map(String::from).into_iter().chain(own).collect::<Vec<_>>(), directory, None)
}
