use base64::{Engine as _, engine::general_purpose};
use proptest::{prelude::*, sample};

use super::{Search, Secret, is_secret, of, shows_key};

const KEY: &str =
    "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5LCBidXQgb2YgdGhlIHNoYXBlIG9mIG9uZQ==\n-----END PRIVATE KEY-----\n";
const TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ.bm90LWEtc2lnbmF0dXJl";

fn encoded(text: &str) -> String {
    general_purpose::STANDARD.encode(text)
}

fn kubeconfig(key: &str) -> String {
    format!("users:\n- name: a\n  user:\n    client-certificate-data: MIIB\n    client-key-data: {key}\nkind: Config\n")
}

#[test]
fn keys_are_found_however_deep_they_are() {
    let once = encoded(KEY);
    let broken = |width: usize| {
        let lines = once.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap());
        lines.collect::<Vec<_>>().join("\n  ")
    };
    let texts = [
        KEY.to_owned(),
        once.clone(),
        once.trim_end_matches('=').to_owned(),
        general_purpose::URL_SAFE.encode(format!("???>>>{KEY}")),
        encoded(&encoded(&once)),
        kubeconfig(&once),
        encoded(&kubeconfig(&encoded(&kubeconfig(&once)))),
        format!("data:text/plain;base64,{once}"),
        format!("https://example.com/keys/{once}"),
        format!("--key={once}"),
        format!("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n{once}"),
        broken(76),
        broken(20) + "\n",
        kubeconfig(&format!("|\n      {}", broken(64))),
    ];
    for text in texts {
        assert_eq!(of(&text), Some(Secret::PrivateKey), "{text}");
    }
    assert_eq!(of(&encoded(&encoded(&encoded(&once)))), None, "the fourth layer is not looked at");
}

fn folded(text: &str, width: usize, by: &str) -> String {
    let lines = text.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap());
    lines.collect::<Vec<_>>().join(by)
}

/// YAML's `>` folds lines into spaces, and each tool has its own width.
#[test]
fn keys_are_found_however_they_are_folded() {
    for pad in 0..4 {
        let text = kubeconfig(&encoded(KEY)).replace("Config", &format!("Config{}", "x".repeat(pad)));
        let once = encoded(&text);
        for width in 1..200 {
            let texts = [
                folded(&once, width, " "),
                folded(&once, width, "   "),
                folded(&once, width, "\t"),
                folded(&once, width, "\r\n"),
                folded(&once, width, "\\n"),
                format!("kubeconfig of a: {}\nthe end", folded(&once, width, " ")),
                format!("kubeconfig {} the end", folded(&once, width, " ")),
                folded(KEY, width, "\n"),
            ];
            for text in texts {
                assert_eq!(of(&text), Some(Secret::PrivateKey), "{width}: {text}");
            }
        }
        let in_layers = encoded(&folded(&encoded(&folded(&once, 76, "\n")), 64, "\r\n"));
        assert_eq!(of(&in_layers), None, "the fourth layer, of which the first is the kubeconfig's own");
    }
    let in_layers = encoded(&folded(&encoded(&folded(&encoded(KEY), 76, "\n")), 64, "\r\n"));
    assert_eq!(of(&in_layers), Some(Secret::PrivateKey));
}

/// A text copied from a page or a document has other kinds of white space and invisible characters.
#[test]
fn keys_are_found_whatever_unicode_folds_them() {
    let folds = ["\u{a0}", "\u{85}", "\u{ad}", "\u{2003}", "\u{2028}", "\u{202f}", "\u{3000}", "\u{feff}"];
    let unseen = ["\u{200b}", "\u{200c}", "\u{200d}", "\u{2060}", "\u{180e}", " \u{200b}\n"];
    for fold in folds.into_iter().chain(unseen) {
        for width in [1, 5, 64, 76] {
            for text in [KEY.to_owned(), encoded(KEY), encoded(&kubeconfig(&encoded(KEY)))] {
                let text = folded(&text, width, fold);
                assert_eq!(of(&text), Some(Secret::PrivateKey), "{width}: {text:?}");
            }
        }
        assert_eq!(of(&encoded(&folded(&encoded(KEY), 76, fold))), Some(Secret::PrivateKey), "{fold:?}");
    }
}

/// A value that holds JSON, YAML, form data or HTML has escapes.
#[test]
fn keys_are_found_however_they_are_escaped() {
    let escapes = [
        ("\n", "\\u000a"),
        ("\n", "\\\\u000A"),
        ("\n", "\\\\\\n"),
        ("\n", "\\x0a"),
        ("\n", "\\u00a0"),
        ("\n", "\\u2003"),
        ("-", "\\u002d"),
        (" ", "\\u0020"),
        ("/", "\\/"),
        (" ", "%20"),
        (" ", "+"),
        ("-", "%2D"),
        ("-", "%252d"),
        ("\n", "%0D%0A"),
        ("\n", "%25250A"),
        ("-", "&#45;"),
        ("-", "&#x2D;"),
        ("-", "&#0045;"),
        ("-", "&amp;#45;"),
        (" ", "&nbsp;"),
        ("\n", "&NewLine;"),
        ("\n", "&#10;"),
    ];
    let mut search = Search::default();
    let once = search.each(KEY);
    for (from, to) in escapes {
        for text in [KEY.to_owned(), folded(&encoded(KEY), 64, "\n"), folded(&encoded(&encoded(KEY)), 20, "\n")] {
            let text = text.replace(from, to);
            assert_eq!(of(&text), Some(Secret::PrivateKey), "{text}");
        }
        let key = KEY.replace(from, to);
        if to != "+" {
            assert_eq!(search.each(&key), once, "{key}");
        }
        assert_eq!(of(&encoded(&key)), Some(Secret::PrivateKey), "{key}");
    }
    let all = KEY.replace(' ', "+").replace('-', "%2D").replace('\n', "%0A").replace('=', "%3D");
    assert_eq!(of(&all), Some(Secret::PrivateKey));
    assert_eq!(of("-----BEGIN+PGP+PRIVATE+KEY+BLOCK-----"), Some(Secret::PrivateKey));
    for text in
        ["100%", "%", "%2", "%zz", "&", "&#", "&#45", "&#x;", "&#99999999999;", "\\u00", "\\x", "\\", "50%-60%ab"]
    {
        assert_eq!(of(&format!("{text}{KEY}")), Some(Secret::PrivateKey), "{text}");
        assert_eq!(of(&format!("{}{text}", encoded(KEY))), Some(Secret::PrivateKey), "{text}");
        assert_eq!(of(&text.repeat(20)), None, "{text}");
    }
}

#[test]
fn keys_of_other_programs_are_found() {
    let utf16: Vec<u8> = KEY.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let texts = [
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQVYBGI=\n",
        "PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\n",
        "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nP2/56wAA\n",
        "{\\\"key\\\": \\\"-----BEGIN RSA PRIVATE KEY-----\\\\nMIIE\\\"}",
        &general_purpose::STANDARD.encode(utf16),
    ];
    for text in texts {
        assert_eq!(of(text), Some(Secret::PrivateKey), "{text}");
        assert_eq!(of(&encoded(&format!("at first: {text}"))), Some(Secret::PrivateKey), "{text}");
    }
    for text in [
        "-----BEGIN PUBLIC KEY-----",
        "BEGIN PRIVATE KEY",
        "-----BEGIN CERTIFICATE REQUEST-----",
        "---- BEGIN SSH2 PUBLIC KEY ----",
    ] {
        assert_eq!(of(text), None, "{text}");
    }
}

/// The ratchet compares secrets with those of the stored object, so the text around a secret must not matter.
#[test]
fn a_secret_is_the_same_wherever_it_stands() {
    let mut search = Search::default();
    let once = search.each(KEY);
    assert_eq!(once.len(), 1);
    let texts = [
        encoded(KEY),
        format!("a: {KEY}b: c\n{KEY}"),
        KEY.replace('\n', "\r\n  "),
        KEY.replace('\n', "\\n"),
        folded(&encoded(&kubeconfig(&encoded(KEY))), 64, " "),
    ];
    for text in texts {
        assert_eq!(search.each(&text), once, "{text}");
    }
    let other = KEY.replace("bm90", "bm91");
    assert_eq!(search.each(&format!("{KEY}{other}{TOKEN}")).len(), 3);
    assert_ne!(search.each(&other), once);
    let many = (0..1000).map(|number| format!("{TOKEN}{number}")).collect::<Vec<_>>().join(" ") + " ";
    assert_ne!(search.each(&many), search.each(&format!("{many}{TOKEN}")), "what is past the most counts");
}

#[test]
fn a_key_shows_wherever_it_begins() {
    for before in ["", "\n", "\n\n", "\n\n\n"] {
        let text = format!("{before}{KEY}");
        assert!(shows_key(&text) && shows_key(&encoded(&text)), "{text}");
        assert!(!shows_key(&encoded(&text.replace("PRIVATE", "PUBLIC"))), "{text}");
    }
}

#[test]
fn tokens_are_found_whatever_is_glued_to_them() {
    for (before, after) in
        [("", ""), ("Bearer ", ""), ("", "."), ("", ". It"), ("token_", "-x"), ("v1.", ".x.y"), ("eyJ.", "")]
    {
        assert_eq!(of(&format!("{before}{TOKEN}{after}")), Some(Secret::Token), "{before}|{after}");
    }
    assert_eq!(of(&encoded(&format!("token: {TOKEN}"))), Some(Secret::Token));
    assert_eq!(of(&format!("{TOKEN} {KEY}")), Some(Secret::PrivateKey));
}

#[test]
fn names_words_and_certificates_are_none() {
    let certificate = encoded("0\u{82}\u{1}\u{f}0\u{7f}").repeat(9);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n");
    let texts = [
        "",
        "token",
        "a.b.c",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ",
        "eyJhbGciOiJub25lIn0.x.y",
        "PRIVATE KEY",
        "https://user@example.com:6443",
        &pem,
        &encoded(&pem),
        &"a".repeat(1000),
    ];
    for text in texts {
        assert!(!is_secret(text), "{text}");
    }
    let passwords = [
        "see https://admin:example@spoke-1 for it",
        "https://admin:/example@spoke-1",
        "https://admin://example@spoke-1",
        "https://admin:example\u{ff20}spoke-1",
        "https://admin\u{ff1a}example@spoke-1",
        "admin:example%EF%BC%A0spoke-1",
    ];
    for text in passwords {
        assert!(is_secret(text), "{text}");
    }
}

/// Generates texts from parts of secrets and from similar texts: joined, folded and encoded.
fn texts() -> impl Strategy<Value = String> {
    const WHOLE: &[&str] =
        &[KEY, TOKEN, "PuTTY-User-Key-File-2: ssh-rsa", "-----BEGIN PGP PRIVATE KEY BLOCK-----", "kind: Config\n"];
    const PARTS: &[&str] = &[
        "-----BEGIN ",
        "EC ",
        "PRIVATE",
        " KEY",
        "BLOCK",
        "--",
        "-----",
        "PuTTY-User-",
        "Key-File-",
        "eyJ",
        ".",
        ".eyJ",
    ];
    const FOLDS: &[&str] = &[
        "", "", "\n", " ", "   ", "\u{c}", "\\n", "\0", "\u{a0}", "\u{200b}", "\\u000a", "%0A", "%2520", "&#10;",
        "&nbsp;",
    ];
    let der = (0..4_usize, sample::select(DER_HEADS), 0..120_usize).prop_map(|(before, head, after)| {
        general_purpose::STANDARD_NO_PAD.encode([&[0xa5; 4][..before], head, &vec![0x55; after]].concat())
    });
    let piece = prop_oneof![
        sample::select(WHOLE).prop_map(str::to_owned),
        sample::select(PARTS).prop_map(str::to_owned),
        der,
        "[A-Za-z0-9+/_-]{0,80}",
        "[A-Za-f]{0,60}",
        "[ -~]{0,40}",
        "\\PC{0,10}",
    ];
    let text = (prop::collection::vec(piece, 1..6), 1..90_usize, sample::select(FOLDS), 0..4_usize);
    text.prop_map(|(pieces, width, fold, layers)| {
        let text = (0..layers).fold(pieces.concat(), |text, _| encoded(&text));
        let letters: Vec<_> = text.chars().collect();
        letters.chunks(width).map(|line| line.iter().collect::<String>()).collect::<Vec<_>>().join(fold)
    })
}

/// First bytes of keys in DER: PKCS#1, PKCS#8, SEC1, and two encrypted keys.
const DER_HEADS: &[&[u8]] = &[
    &[0x30, 0x82, 1, 0x0a, 2, 1, 0, 2, 0x81, 0x81],
    &[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20],
    &[0x30, 0x77, 2, 1, 1, 4, 32],
    &[0x30, 0x81, 0x99, 0x30, 0x57, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 5, 13],
    &[0x30, 0x82, 1, 9, 0x30, 0x57, 6, 10, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 12, 1, 3],
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn the_sieve_holds_nothing_back(text in texts()) {
        prop_assert_eq!(Search::default().each(&text), Search::unsieved().each(&text));
    }

    /// An extension encodes a text as JSON once, and the last-applied annotation encodes it twice.
    #[test]
    fn the_sieve_holds_nothing_back_that_is_in_json(texts in prop::collection::vec(texts(), 1..3), is_twice: bool) {
        let mut json = serde_json::to_string(&texts).unwrap();
        if is_twice {
            json = serde_json::to_string(&json).unwrap();
        }
        let mut search = Search::default();
        let found = texts.iter().any(|text| !search.each(text).is_empty());
        prop_assert!(!found || search.may_be_in(&json), "{}", json);
    }
}
