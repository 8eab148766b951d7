//! A fix never makes the API server reject a write, and /mutate reports the findings of /validate only if the API
//! server rejects the write.
//!
//! The test sends random writes of profiles, many with stored mistakes, as dry runs to two namespaces. The mutating
//! webhook sees the writes of one of them. No validating webhook is registered for either.

mod random;

use std::{
    env, fs,
    sync::{Arc, Mutex},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use clusterprofile_webhook::{
    manifest,
    review::{CrdInForce, Policy},
    server::{Config, Limits, LiveConfig},
};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use testkit::{
    api::Response,
    control_plane::ControlPlane,
    profiles::{Profiles, good, is_filled_in},
    programs::Assets,
    random::Random,
    wait::wait_until,
    webhook::{Webhook, configurations},
};

use self::random::{Attempt, Generator, Method, Write};
use super::planes::{Crd, Planes};

/// Number of writes for each CRD.
const WRITES: usize = 500;

pub(crate) fn trials(planes: &Arc<Planes>, assets: &Assets) -> Vec<Trial> {
    let trial = |name: &str, run: Box<dyn FnOnce() + Send>| {
        Trial::test(format!("fixes::{name}"), move || {
            run();
            Ok(())
        })
    };
    let shared = |name: &'static str, crd: Crd, versions: &'static [&'static str]| {
        let planes = Arc::clone(planes);
        trial(name, Box::new(move || refuse_nothing(name, &planes.get(crd).control, versions)))
    };
    let assets = assets.clone();
    let own_plane = move || {
        let plane = ControlPlane::start(&assets, "fixes", &[definition("v1alpha1")]);
        refuse_nothing("upstream", &plane, &["v1alpha1"]);
        plane.forget();
    };
    vec![
        shared("own", Crd::Own, &["v1alpha1", "v1alpha2"]),
        shared("bundled", Crd::Unkeyed, &["v1alpha1"]),
        trial("upstream", Box::new(own_plane)),
        trial(
            "bundles-are-alike",
            Box::new(|| {
                assert_eq!(definition("bundled-with-ocm"), definition("bundled-with-kubefleet"), "one stands for both");
            }),
        ),
    ]
}

/// A CRD of the test data.
pub(crate) fn definition(name: &str) -> Value {
    let path = format!("tests/data/crd-{name}.yaml");
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    manifest::read(&text).0.remove(0).object
}

fn refuse_nothing(name: &str, control: &ControlPlane, versions: &[&'static str]) {
    let seed = seed();
    let mut random = Generator(Random(seed));
    let attempts: Vec<_> = (0..WRITES).map(|number| random.attempt(&format!("random-{number}"), versions)).collect();
    let webhook = mutating(control, &format!("fixes-{name}"));
    let with = Hub::new(control, &webhook.labels(), &attempts);
    let without = Hub::new(control, &json!({}), &attempts);
    let (mut accepted, mut filled_in, mut newly_refused) = (0, 0, Vec::new());
    let (mut foreseen, mut refused) = (0, 0);
    for (attempt, (with, without)) in attempts.iter().zip(with.send(&attempts).into_iter().zip(without.send(&attempts)))
    {
        let is_unasked = with.status >= 500 && without.status < 500;
        assert!(!is_unasked, "the API server must reach the webhook: {with:#?}");
        accepted += usize::from(is_accepted(&without));
        filled_in += usize::from(written(&with) != written(&without));
        let speaks = with.warnings.iter().any(|text| is_foresight(text));
        assert!(
            !speaks || !is_accepted(&with),
            "SEED={seed}: /validate would say the same: {:?}\nstored: {}\nwritten: {:?}",
            with.warnings,
            attempt.stored,
            attempt.write
        );
        refused += usize::from(with.status == 422);
        foreseen += usize::from(speaks);
        if with.status == 422 && !speaks && env::var_os("UNFORESEEN").is_some() {
            println!("stored: {}\nwritten: {:?}\nrefused: {}\n", attempt.stored, attempt.write, with.body["message"]);
        }
        if is_accepted(&without) && !is_accepted(&with) {
            newly_refused.push((attempt, with));
        }
    }
    println!(
        "e2e: fixes::{name}: SEED={seed}: {accepted} of {WRITES} accepted, {filled_in} filled in, {foreseen} of {refused} \
         refusals foreseen"
    );
    assert!(foreseen > 0, "SEED={seed}: {foreseen} of {refused} refusals foreseen");
    assert!((WRITES / 4..WRITES * 9 / 10).contains(&accepted), "SEED={seed}: {accepted} accepted without the webhook");
    assert!(filled_in > WRITES / 50, "SEED={seed}: {filled_in} filled in");
    let examples = newly_refused.iter().take(3).map(|(Attempt { stored, write }, answer)| {
        format!("stored: {stored}\nwritten: {write:?}\nrefused: {}", answer.body["message"])
    });
    let examples = examples.collect::<Vec<_>>().join("\n\n");
    assert!(
        newly_refused.is_empty(),
        "SEED={seed}: {} refused for what was filled in:\n{examples}",
        newly_refused.len()
    );
}

/// Whether a warning is a finding of /validate, not one about a fix or a removed status.
fn is_foresight(warning: &str) -> bool {
    const FIXES: [&str; 3] = [" was changed to ", ": missing, set to ", "; restored to "];
    let is_own = FIXES.iter().any(|text| warning.contains(text)) || warning.ends_with("[status-ignored]");
    warning.ends_with(']') && !is_own
}

/// The seed: random, or the variable SEED.
fn seed() -> u64 {
    env::var("SEED").ok().map_or_else(
        || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
            u64::from(now.subsec_nanos()) ^ now.as_secs()
        },
        |seed| seed.parse().expect("SEED is a number"),
    )
}

/// Registers only the mutating webhook. It fails closed, so that it sees every write.
fn mutating(control: &ControlPlane, name: &str) -> Webhook {
    let mut webhook = Webhook::unserved(control, name);
    let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/clusterprofiles.multicluster.x-k8s.io";
    let mut policy = Policy::default();
    policy.set_crd(Some(Arc::new(CrdInForce::read(control.api.get(definition).body).expect("it is one"))));
    webhook.serve(Config { live: Arc::new(LiveConfig::new(policy, Limits::default())), ..Config::default() });
    for mut configuration in
        configurations().into_iter().filter(|found| found["kind"] == "MutatingWebhookConfiguration")
    {
        configuration["webhooks"][0]["failurePolicy"] = json!("Fail");
        configuration["webhooks"][0]["timeoutSeconds"] = json!(30);
        webhook.register(control, configuration);
    }
    let profiles = Profiles::new(control, &webhook.labels());
    wait_until("it is called", || is_filled_in(&profiles.try_to_create(&good("a"))));
    webhook
}

fn is_accepted(answer: &Response) -> bool {
    matches!(answer.status, 200 | 201)
}

/// The result of the write, without the fields that differ between any two profiles.
fn written(answer: &Response) -> [&Value; 3] {
    ["/metadata/labels", "/spec", "/status"].map(|pointer| answer.body.pointer(pointer).unwrap_or(&Value::Null))
}

/// The profiles of a namespace, as stored.
struct Hub<'c> {
    control: &'c ControlPlane,
    namespace: String,
    listed: Vec<Value>,
}

impl<'c> Hub<'c> {
    /// Stores the profiles of `attempts`.
    fn new(control: &'c ControlPlane, labels: &Value, attempts: &[Attempt]) -> Self {
        let namespace = control.namespace(labels);
        at_once(attempts, |attempt| control.store(&namespace, attempt.stored.clone()));
        let collection = format!("/apis/multicluster.x-k8s.io/v1alpha1/namespaces/{namespace}/clusterprofiles");
        let mut listed = Vec::new();
        wait_until("all that is stored is seen", || {
            listed = control.api.get(&collection).body["items"].as_array().cloned().unwrap_or_default();
            listed.len() == attempts.len()
        });
        Self { control, namespace, listed }
    }

    fn send(&self, attempts: &[Attempt]) -> Vec<Response> {
        at_once(attempts, |attempt| self.write(attempt))
    }

    fn write(&self, Attempt { stored, write }: &Attempt) -> Response {
        let Write { version, is_status, method, body } = write;
        let name = stored["metadata"]["name"].as_str().expect("it has a name");
        let part = if *is_status { "/status" } else { "" };
        let group = format!("multicluster.x-k8s.io/{version}");
        let path = format!("/apis/{group}/namespaces/{}/clusterprofiles/{name}{part}", self.namespace);
        let query = "?dryRun=All&fieldValidation=Ignore";
        let mut body = body.clone();
        match method {
            Method::Put => {
                let mut named = self.listed.iter().filter(|listed| listed["metadata"]["name"] == name);
                let listed = named.next().expect("it is stored");
                body["apiVersion"] = json!(group);
                body["metadata"]["namespace"] = json!(self.namespace);
                body["metadata"]["resourceVersion"] = listed["metadata"]["resourceVersion"].clone();
                self.control.api.put(&format!("{path}{query}"), &body)
            }
            Method::Merge => self.control.api.patch(&format!("{path}{query}"), "merge", &body),
            Method::Apply => {
                body["apiVersion"] = json!(group);
                body["kind"] = json!("ClusterProfile");
                body["metadata"]["name"] = json!(name);
                self.control.api.patch(&format!("{path}{query}&fieldManager=random&force=true"), "apply", &body)
            }
        }
    }
}

/// Runs `run` for all items on several threads, and returns the results in the order of the items.
fn at_once<T: Sync, R: Send>(items: &[T], run: impl Fn(&T) -> R + Sync) -> Vec<R> {
    /// Enough to keep an API server with two CPUs busy.
    const THREADS: usize = 8;
    let next = Mutex::new(items.iter().enumerate());
    let done = Mutex::new(Vec::new());
    let take = || next.lock().expect("no test panics while it holds it").next();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((index, item)) = take() {
                    let result = run(item);
                    done.lock().expect("no test panics while it holds it").push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no test has panicked");
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
