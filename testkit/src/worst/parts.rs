//! Parts of the worst bodies.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A JSON list of at most about `size` bytes. `item` makes an item from its index.
pub(super) fn list(size: usize, item: impl Fn(usize) -> String) -> String {
    let mut list = String::with_capacity(size + 64);
    list.push('[');
    for number in 0.. {
        let item = item(number);
        if list.len() + item.len() > size && number > 0 {
            break;
        }
        if number > 0 {
            list.push(',');
        }
        list.push_str(&item);
    }
    list.push(']');
    list
}

pub(super) fn same(size: usize, item: &str) -> String {
    list(size, |_| item.to_owned())
}

pub(super) fn properties(list: &str) -> String {
    format!(r#"{{"properties":{list}}}"#)
}

/// Properties of about `size` bytes: a clusterset, and many ids of the cluster in it.
pub(super) fn ids(size: usize) -> String {
    let ids = same(size, r#"{"name":"id.k8s.io","value":"x"}"#);
    properties(&format!(r#"[{{"name":"clusterset.k8s.io","value":"s"}},{}]"#, ids.trim_matches(['[', ']'])))
}

/// One id of a cluster in the same clusterset.
pub(super) fn stored_id(id: &str) -> String {
    let member = r#"{"name":"clusterset.k8s.io","value":"s"}"#;
    properties(&format!(r#"[{member},{{"name":"id.k8s.io","value":"{id}"}}]"#))
}

pub(super) fn conditions(list: &str) -> String {
    format!(r#"{{"conditions":{list}}}"#)
}

pub(super) fn providers(list: &str) -> String {
    format!(r#"{{"accessProviders":{list}}}"#)
}

pub(super) fn deprecated(list: &str) -> String {
    format!(r#"{{"credentialProviders":{list}}}"#)
}

pub(super) fn provider(name: &str, cluster: &str) -> String {
    format!(r#"{{"name":"{name}","cluster":{cluster}}}"#)
}

pub(super) fn extensions(list: &str) -> String {
    providers(&format!("[{}]", provider("a", &format!(r#"{{"server":"https://a","extensions":{list}}}"#))))
}

pub(super) fn extension(name: &str, body: &str) -> String {
    extensions(&format!(r#"[{{"name":"{name}","extension":{body}}}]"#))
}

pub(super) fn strings(size: usize, text: &str) -> String {
    extension("e", &format!(r#"{{"a":{}}}"#, same(size, &format!("\"{text}\""))))
}

pub(super) fn certificate_data(size: usize, pem: impl Fn(usize) -> String) -> String {
    let data = STANDARD.encode(pem(size / 4 * 3));
    providers(&format!(
        "[{}]",
        provider("a", &format!(r#"{{"server":"https://a","certificate-authority-data":"{data}"}}"#))
    ))
}

/// The shortest text that is recognized as a token.
pub(super) const TOKEN: &str = "eyJ.eyJ.a";

pub(super) const ENVS: &str = "clusterprofiles.multicluster.x-k8s.io/exec/additional-envs";

/// Text in layers of base64, each of which is decoded in both alphabets.
pub(super) fn layered(text: &str, layers: usize) -> String {
    (0..layers).fold(text.to_owned(), |text, _| format!("{}-", STANDARD.encode(text).trim_end_matches('=')))
}

/// The longest such text of at most `limit` bytes in which a token seems to begin at every letter.
pub(super) fn longest(limit: usize, layers: usize) -> String {
    let texts = (1..limit).map(|dots| layered(&format!("eyJ{}", ".".repeat(dots)), layers));
    texts.take_while(|text| text.len() <= limit).last().unwrap_or_default()
}

/// Properties and one condition with the health of the cluster.
pub(super) fn with_health(status: &str, properties: &str) -> String {
    format!(r#"{{"conditions":[{{"type":"ControlPlaneHealthy","status":"{status}"}}],"properties":{properties}}}"#)
}

/// A status in which every rule finds mistakes with the longest messages.
pub(super) fn long_answers(size: usize) -> String {
    let text = "\\u202e".repeat(63);
    let properties =
        list(size / 3, |number| format!(r#"{{"name":"{text}{number}.k8s.io","value":1,"lastObservedTime":"{text}"}}"#));
    let conditions = list(size / 3, |number| {
        format!(
            r#"{{"type":"{text}{number}","status":"{text}","reason":"{text}","message":1,"lastTransitionTime":"{text}","observedGeneration":-9000000000}}"#
        )
    });
    let names = "A".repeat(50);
    let extensions = format!(
        r#"[{{"name":"{ENVS}","extension":{{"{names}":0}}}},{{"name":"{ENVS}s","extension":{{"LD_{names}":0}}}}]"#
    );
    let cluster = format!(
        r#"{{"server":"{text}","proxy-url":"{text}","tls-server-name":"{text}:","certificate-authority-data":"*","extensions":{extensions}}}"#
    );
    let providers = list(size / 3, |_| provider("", &cluster));
    format!(r#"{{"properties":{properties},"conditions":{conditions},"accessProviders":{providers}}}"#)
}

pub(super) fn condition(kind: &str, status: &str) -> String {
    format!(r#"{{"type":"{kind}","status":{status}}}"#)
}

/// The certificate of a development CA.
pub(super) const CERTIFICATE: &str = include_str!("../ca.crt");
