//! `access-ca` compared with Go: the rule accepts the CA data that Go accepts.

#![expect(clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on must end")]

mod constraints;

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE},
};
use clusterprofile_webhook::{
    admission,
    review::{Phase, Policy},
};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, DnType, GeneralSubtree, IsCa, KeyPair,
    KeyUsagePurpose, NameConstraints, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use serde::Deserialize;
use serde_json::{Value, json};
use testkit::programs;

use self::constraints::{CONSTRAINTS, MASKS};

/// The time of the review. Some certificates have expired by then.
const NOW: &str = "2026-01-01T00:00:00Z";

/// Number of bundles: enough to have every mistake several times, alone and with others.
const BUNDLES: usize = 3000;

#[test]
fn the_rule_agrees_with_go() {
    let Some(directory) = programs::find("ca-bundles", "the test of CA data against Go is") else { return };
    let bundles = bundles();
    let verdicts = verdicts(&directory, &bundles);
    assert_eq!(verdicts.len(), bundles.len(), "Go judges each of them");
    let mut asked = BTreeMap::new();
    for (data, go) in bundles.iter().zip(&verdicts) {
        let expected = expected(data, go);
        let said = said(data);
        let shown = STANDARD.decode(data).map_or_else(|_| data.clone(), |text| String::from_utf8_lossy(&text).into());
        assert_eq!(said, expected, "Go: {go:?}\n{data}\n{shown}");
        *asked.entry(expected.split(' ').next().unwrap_or_default().to_owned()).or_insert(0) += 1;
    }
    let often = asked.values().filter(|count| **count >= 10).count();
    assert_eq!(often, 5, "each kind of verdict is asked for: {asked:?}");
}

/// Go's result for CA data.
#[derive(Debug, Deserialize)]
struct Verdict {
    base64: bool,
    expiries: Vec<i64>,
}

fn verdicts(directory: &Path, bundles: &[String]) -> Vec<Verdict> {
    let mut judge = Command::new(directory.join("ca-bundles"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the judge starts");
    let mut input = judge.stdin.take().expect("it is piped");
    let lines = bundles.join("\n") + "\n";
    let writer = thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = judge.wait_with_output().expect("the judge ends");
    writer.join().expect("the writer does not panic").expect("the judge reads");
    assert!(output.status.success(), "{}", output.status);
    let lines = String::from_utf8(output.stdout).expect("it is text");
    lines.lines().map(|line| serde_json::from_str(line).expect("each line is a verdict")).collect()
}

/// The expected result of the rule.
fn expected(data: &str, go: &Verdict) -> String {
    let bundle = STANDARD.decode(data).unwrap_or_default();
    if !go.base64 || bundle.is_empty() {
        return "denied".to_owned();
    }
    let now = NOW.parse::<Timestamp>().expect("it is a time").as_second();
    let read = go.expiries.len();
    let meant = read.max(String::from_utf8_lossy(&bundle).matches("-BEGIN CERTIFICATE-").count());
    if read == 0 {
        "none".to_owned()
    } else if read < meant {
        format!("partly {read} of {meant}")
    } else if go.expiries.iter().all(|expiry| *expiry < now) {
        "expired".to_owned()
    } else {
        "nothing".to_owned()
    }
}

/// The result of the rule, in the same form.
fn said(data: &str) -> String {
    let cluster = json!({ "server": "https://a", "certificate-authority-data": data });
    let profile = json!({
        "metadata": { "name": "a", "namespace": "b" },
        "status": { "accessProviders": [{ "name": "a", "cluster": cluster }] },
    });
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u",
            "kind": { "group": "multicluster.x-k8s.io", "version": "v1alpha1", "kind": "ClusterProfile" },
            "operation": "UPDATE",
            "subResource": "status",
            "name": "a",
            "namespace": "b",
            "object": profile,
            "oldObject": { "metadata": { "name": "a", "namespace": "b" } },
        },
    });
    let now = NOW.parse().expect("it is a time");
    let body = serde_json::to_vec(&review).expect("a review is JSON");
    let answer = admission::respond(&body, Phase::Validate, &Policy::default(), now).expect("it is a review");
    let answer: Value = serde_json::from_slice(&answer.body).expect("an answer is JSON");
    let response = answer.get("response").expect("there is one");
    if response.get("allowed") == Some(&json!(false)) {
        return "denied".to_owned();
    }
    let warnings = response.get("warnings").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    match warnings {
        [] => "nothing".to_owned(),
        [warning] => {
            let text = warning.as_str().unwrap_or_default();
            let part = text.split_once("can read only ").and_then(|(_, part)| part.split_once(" certificates"));
            match part {
                Some((part, _)) => format!("partly {part}"),
                None if text.contains("expired") => "expired".to_owned(),
                None => "none".to_owned(),
            }
        }
        more => panic!("more than one warning: {more:?}"),
    }
}

/// CA data of every kind. Only keys and signatures differ between runs.
fn bundles() -> Vec<String> {
    let (usual, odd) = (certificates(), odd_certificates());
    let mut random = Random(0x5eed_cafe_f00d_1234);
    let mut bundles = Vec::new();
    while bundles.len() < BUNDLES {
        let count = 1 + random.below(4);
        let is_clean = random.below(4) == 0;
        let mut text = String::new();
        for _ in 0..count {
            let certificates = if is_clean || random.below(2) == 0 { &usual } else { &odd };
            let der = random.pick(certificates).clone();
            let der = if is_clean || random.below(3) > 0 { der } else { broken_der(der, &mut random) };
            let block = pem(&der);
            text += &if is_clean || random.below(2) == 0 { block } else { broken_pem(&block, &mut random) };
        }
        if !is_clean && random.below(3) == 0 {
            text = broken_text(&text, &mut random);
        }
        bundles.push(encoded(&text, &mut random));
    }
    let der = usual.first().expect("there are some");
    bundles.extend([STANDARD.encode(der), STANDARD.encode(STANDARD.encode(pem(der))), String::new()]);
    bundles
}

/// Certificates in DER: valid ones, expired ones, and ones with extensions or numbers that Go rejects.
fn certificates() -> Vec<Vec<u8>> {
    let good = sound(&|_| {});
    let mut negative = good.clone();
    let serial = position(&negative, &[2, 2, 0x5b, 0x17]).expect("the serial number is there");
    negative[serial + 2] = 0xfb;
    vec![
        good.clone(),
        good,
        negative,
        sound(&|params| params.not_after = date_time_ymd(2021, 1, 1)),
        sound(&|params| params.not_after = date_time_ymd(2021, 1, 1)),
        sound(&|params| params.not_after = date_time_ymd(2090, 1, 1)),
        sound(&|params| params.use_authority_key_identifier_extension = true),
        sound(&|params| params.distinguished_name.push(DnType::OrganizationName, "Köln & Söhne")),
        sound(&|params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign]),
        sound(&|params| {
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
                excluded_subtrees: vec![GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([10, 0, 0, 0], 8))],
            });
        }),
        make(&rcgen::PKCS_ECDSA_P384_SHA384, &|_| {}),
        make(&rcgen::PKCS_ED25519, &|_| {}),
        // An address of five bytes, an invalid key usage, empty constraints, a critical identifier.
        extension(17, false, &[0x30, 7, 0x87, 5, 1, 2, 3, 4, 5]),
        extension(17, false, &[0x30, 6, 0x87, 4, 1, 2, 3, 4]),
        extension(15, true, &[4, 1, 6]),
        extension(15, true, &[3, 2, 1, 6]),
        extension(15, true, &[3, 2, 1, 7]),
        extension(30, true, &[0x30, 0]),
        extension(35, true, &[0x30, 2, 0x80, 0]),
        extension(35, false, &[0x30, 2, 0x80, 0]),
        extension(37, false, &[0x30, 3, 6, 1, 0x80]),
        extension(32, false, &[0x30, 6, 0x30, 4, 6, 2, 0x2a, 3]),
        extension(32, false, &[0x30, 12, 0x30, 4, 6, 2, 0x2a, 3, 0x30, 4, 6, 2, 0x2a, 3]),
        extension(36, false, &[0x30, 3, 0x80, 1, 0]),
        extension(36, false, &[0x30, 4, 0x80, 2, 0, 1]),
        extension(54, false, &[2, 1, 0]),
        extension(54, false, &[2, 2, 0, 1]),
        extension(31, false, &[0x30, 2, 0x30, 0]),
        extension(31, false, &[0x31, 0]),
        extension(99, true, b"whatever"),
    ]
}

/// Certificates in DER: name constraints of every kind, and keys whose point is on its curve or not.
fn odd_certificates() -> Vec<Vec<u8>> {
    let mut all: Vec<_> =
        CONSTRAINTS.iter().flat_map(|name| [0x81, 0x82, 0x86].map(|tag| constrained(tag, name))).collect();
    all.extend(MASKS.iter().map(|mask| constrained(0x87, mask)));
    let curves = [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ECDSA_P521_SHA512];
    for curve in curves {
        let der = make(curve, &|_| {});
        let key = position(&der, &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]).expect("the key's algorithm is there");
        for bit in [0, 3, 7] {
            let mut off = der.clone();
            off[key + 60] ^= 1 << bit;
            all.push(off);
        }
        all.push(der);
    }
    all
}

fn make(algorithm: &'static SignatureAlgorithm, change: &dyn Fn(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::new(["spoke-1.example.com".to_owned(), "10.0.0.1".to_owned()]).expect("names");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2036, 1, 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.serial_number = Some(SerialNumber::from_slice(&[0x5b, 0x17]));
    change(&mut params);
    let key = KeyPair::generate_for(algorithm).expect("a key can be made");
    params.self_signed(&key).expect("it can be signed").der().to_vec()
}

fn sound(change: &dyn Fn(&mut CertificateParams)) -> Vec<u8> {
    make(&rcgen::PKCS_ECDSA_P256_SHA256, change)
}

fn extension(number: u64, is_critical: bool, content: &[u8]) -> Vec<u8> {
    sound(&|params: &mut CertificateParams| {
        params.is_ca = IsCa::NoCa;
        params.subject_alt_names.clear();
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, number], content.to_vec());
        extension.set_criticality(is_critical);
        params.custom_extensions.push(extension);
    })
}

fn constrained(tag: u8, name: &[u8]) -> Vec<u8> {
    let element =
        |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).expect("it is short")], content].concat();
    extension(30, true, &element(0x30, &element(0xa0, &element(0x30, &element(tag, name)))))
}

/// Damages DER: truncated, with a wrong length, or with a flipped bit.
fn broken_der(mut der: Vec<u8>, random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => der.truncate(random.below(der.len())),
        1 => der.push(0),
        _ => {
            let at = random.below(der.len());
            der[at] ^= 1 << random.below(8);
        }
    }
    der
}

fn pem(der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines = base64.as_bytes().chunks(64).map(|line| str::from_utf8(line).expect("it is ASCII"));
    let body = lines.collect::<Vec<_>>().join("\n");
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

/// A PEM block, valid or with the damage and decoration that tools and people add.
fn broken_pem(block: &str, random: &mut Random) -> String {
    let (header, rest) = block.split_once('\n').expect("a header");
    let (body, end) = rest.split_once("\n-----END").expect("an end");
    let end = format!("-----END{end}");
    let headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n";
    let attributes = "Bag Attributes\n    localKeyID: 01 02\nsubject=CN = a\n";
    match random.below(32) {
        0 => block.trim_end().to_owned(),
        1 => block.replace('\n', "\r\n"),
        2 => block.replace('\n', " \t\n"),
        3 => format!("  {}", block.replace('\n', "\n  ")),
        4 => format!("# CA of spoke 1\n{block}"),
        5 => format!("{attributes}{block}"),
        6 => format!("{header}\n{headers}\n{body}\n{end}"),
        7 => format!("{header}\n{headers}{body}\n{end}"),
        8 => format!("{header}\n{body}\n"),
        9 => format!("{body}\n{end}"),
        10 => format!("{block}{end}"),
        11 => format!("{header}\n{block}"),
        12 => block.replace("-----END", "----END"),
        13 => block.replace("-----BEGIN", "----BEGIN"),
        14 => block.replace("CERTIFICATE-----", "CERTIFICATE------"),
        15 => block.replace("END CERTIFICATE", "END TRUSTED CERTIFICATE"),
        16 => block.replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
        17 => format!("{header}\n{}\n{end}", body.trim_end_matches('=')),
        18 => format!("{header}\n!{body}\n{end}"),
        19 => format!("{header}\n{}\n{end}", body.replace('\n', "")),
        20 => format!("{header}\n\n{}\n\n{end}", body.replace('\n', "\n\n")),
        21 => format!("{header}\n{}\n{end}", body.replace('\n', " ")),
        22 => format!("{} # the last\n", block.trim_end()),
        23 => format!("{header} # the first\n{body}\n{end}"),
        24 => format!("{header}{body}{end}"),
        25 => format!("{header}\n{body}{end}"),
        26 => format!("{header}\n{end}"),
        27 => format!("text: {block}"),
        28 => block.to_lowercase(),
        29 => format!("{header}\na: b\n{end}"),
        30 => block.replace("\n-----END", "=\n-----END"),
        _ => format!("{block}\n\n{block}").replacen("-----END", "-----ENT", 1),
    }
}

/// A bundle, whole or truncated, joined or edited.
fn broken_text(text: &str, random: &mut Random) -> String {
    match random.below(7) {
        0 => text.get(..random.below(text.len())).unwrap_or_default().to_owned(),
        1 => text.get(random.below(text.len())..).unwrap_or_default().to_owned(),
        2 => format!("\u{feff}{text}"),
        3 => text.replace('\n', ""),
        4 => text.replace('\n', "\\n"),
        5 => text.replace('\n', "\r"),
        _ => format!("{text}\n-----BEGIN CERTIFICATE-----\n"),
    }
}

/// Encodes as base64, with a mistake in a few cases.
fn encoded(text: &str, random: &mut Random) -> String {
    match random.below(40) {
        0 => STANDARD_NO_PAD.encode(text),
        1 => URL_SAFE.encode(format!("???>>>{text}")),
        2 => STANDARD.encode(STANDARD.encode(text)),
        3 => text.replace('\n', " "),
        _ => STANDARD.encode(text),
    }
}

fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// Xorshift: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).expect("it is below a length")
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        of.get(self.below(of.len())).expect("it is below the length")
    }
}
