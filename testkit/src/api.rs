//! Requests to the API server, as its clients send them.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddrV4, TcpStream},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Request, header::CONTENT_TYPE};
use http_body_util::BodyExt as _;
use kube::{
    Client, Config,
    client::Body,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// A client of the API server for one user. Every method blocks until the response is complete.
///
/// Methods panic if the API server cannot be reached; an HTTP error is returned as a [`Response`].
pub struct Api {
    client: Client,
    /// The user that it impersonates.
    user: Option<String>,
    runtime: Runtime,
}

/// A response of the API server.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    /// Texts of the `Warning` headers, in order.
    pub warnings: Vec<String>,
    /// JSON, or a string if the body is not JSON.
    pub body: Value,
}

impl Api {
    /// Reads cluster and credentials from a kubeconfig.
    pub fn new(kubeconfig: &Path) -> Self {
        let runtime = Runtime::new().expect("a runtime can be made");
        let client = runtime.block_on(async {
            let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("it was just written");
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("it is whole");
            Client::try_from(config).expect("TLS can be configured")
        });
        Self { client, user: None, runtime }
    }

    /// Impersonates a user without groups. The user of the kubeconfig needs the right to impersonate.
    pub fn impersonating(kubeconfig: &Path, user: &str) -> Self {
        Self { user: Some(user.to_owned()), ..Self::new(kubeconfig) }
    }

    /// The underlying client. It works as long as this `Api` exists, which owns its runtime.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    pub fn get(&self, path: &str) -> Response {
        self.call("GET", path, None)
    }

    pub fn post(&self, path: &str, object: &Value) -> Response {
        self.call("POST", path, Some(("application/json", object)))
    }

    pub fn put(&self, path: &str, object: &Value) -> Response {
        self.call("PUT", path, Some(("application/json", object)))
    }

    pub fn delete(&self, path: &str) -> Response {
        self.call("DELETE", path, None)
    }

    /// Sends a patch. `kind` is `json`, `merge`, `strategic-merge`, or `apply` for server-side apply.
    pub fn patch(&self, resource: &str, kind: &str, patch: &Value) -> Response {
        let format = if kind == "apply" { "yaml" } else { "json" };
        self.call("PATCH", resource, Some((&format!("application/{kind}-patch+{format}"), patch)))
    }

    pub fn is_ready(&self) -> bool {
        self.try_call("GET", "/readyz", None).is_ok_and(|response| response.status() == 200)
    }

    /// Sends a request. `body` has the media type and the object.
    pub fn call(&self, method: &str, path: &str, body: Option<(&str, &Value)>) -> Response {
        let response = self.try_call(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let status = response.status().as_u16();
        let warnings = response.headers().get_all("warning").iter();
        let warnings = warnings.map(|value| warning_text(&String::from_utf8_lossy(value.as_bytes()))).collect();
        let body = self.runtime.block_on(response.into_body().collect()).expect("the API server sends whole bodies");
        let body = body.to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body)));
        Response { status, warnings, body }
    }

    fn try_call(&self, method: &str, path: &str, body: Option<(&str, &Value)>) -> kube::Result<http::Response<Body>> {
        let (kind, body) =
            body.map_or(("application/json", Vec::new()), |(kind, body)| (kind, body.to_string().into()));
        let mut request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, kind);
        if let Some(user) = &self.user {
            request = request.header("Impersonate-User", user);
        }
        let request = request.body(Body::from(body)).expect("the path is a URI");
        self.runtime.block_on(self.client.send(request))
    }
}

/// Writes an object directly to etcd, without the API server and its checks.
pub fn put_in_etcd(address: SocketAddrV4, key: &str, object: &Value) {
    let body = json!({"key": STANDARD.encode(key), "value": STANDARD.encode(object.to_string())}).to_string();
    let mut stream = TcpStream::connect(address).expect("etcd accepts connections");
    let length = body.len();
    write!(stream, "POST /v3/kv/put HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}").expect("etcd reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("etcd answers");
    assert!(answer.contains(" 200 OK"), "{answer}");
}

/// Returns the text of a `Warning` header, `299 - "text"` (RFC 7234, 5.5).
fn warning_text(header: &str) -> String {
    let quoted = header.strip_prefix("299 - \"").and_then(|rest| rest.strip_suffix('"')).unwrap_or(header);
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        text.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    text
}
