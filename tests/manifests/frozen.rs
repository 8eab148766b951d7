//! The alert on a frozen status, with the retries of real cluster managers after a refused write.

use std::{fmt::Write as _, fs, process::Command};

use serde_json::{Value, json};
use testkit::{
    prometheus::{program, rules},
    rendered::only,
};

use super::Manifests;

const ALERT: &str = "ClusterProfileWebhookStatusFrozen";

/// Seconds between two scrapes, from the `PodMonitor`.
const SCRAPE: usize = 30;

/// Seconds of the simulation.
const END: usize = 6 * 3600;

/// Series, and the minutes at which the alert fires.
struct Story {
    name: String,
    series: Vec<Value>,
    fires: fn(usize) -> Option<bool>,
}

pub(crate) fn one_frozen_profile_is_enough(manifests: &Manifests) {
    let after_two_hours = |minute| match minute {
        ..115 => Some(false),
        115..130 => None,
        _ => Some(true),
    };
    let never = |_| Some(false);
    let mut stories: Vec<_> = [1, 4, 10, 20, 200]
        .map(|profiles| Story {
            name: format!("{profiles} frozen profiles"),
            series: both_pods(&refusals(profiles, END), |_| true),
            fires: after_two_hours,
        })
        .into();
    stories.push(Story {
        name: "Prometheus is away for 20 minutes of each three hours".into(),
        series: both_pods(&refusals(1, END), |second| second % 10_800 < 9600),
        fires: after_two_hours,
    });
    stories.push(Story {
        name: "both Pods are replaced every two hours".into(),
        series: (0..END / 7200)
            .flat_map(|pod| {
                let lives = move |second: usize| second / 7200 == pod;
                let refusals: Vec<_> = refusals(1, END).into_iter().filter(|(second, _)| lives(*second)).collect();
                both_pods(&refusals, lives).into_iter().map(move |mut series| {
                    let named =
                        series["series"].as_str().expect("it is text").replace("pod=\"", &format!("pod=\"{pod}-"));
                    series["series"] = json!(named);
                    series
                })
            })
            .collect(),
        fires: after_two_hours,
    });
    stories.push(Story {
        name: "twenty profiles are mended after 20 minutes".into(),
        series: both_pods(&refusals(20, 1200), |_| true),
        fires: never,
    });
    let steady = |every: usize| (0..END / every).map(|number| (number * every, number)).collect::<Vec<_>>();
    stories.push(Story {
        name: "people make mistakes, on the status twice an hour".into(),
        series: [
            series("a", "main", "false", &steady(60), |_| true),
            series("a", "none", "false", &steady(60), |_| true),
            series("a", "status", "false", &steady(1800), |_| true),
            series("a", "status", "true", &steady(30), |_| true),
        ]
        .into(),
        fires: never,
    });
    run(manifests, &stories);
}

/// The times of refused writes in seconds, and the Pod of each: for each profile after 5 ms, then doubling up to 1000
/// s, as the limiter of client-go does. The profiles are not frozen at the same time.
fn refusals(profiles: usize, end: usize) -> Vec<(usize, usize)> {
    let of_one = |profile: usize| {
        let mut milliseconds = profile * 7000;
        (0..60).map(move |retry: u32| {
            let refused = (milliseconds / 1000, profile + retry as usize);
            milliseconds += 5usize.saturating_mul(2usize.saturating_pow(retry)).min(1_000_000);
            refused
        })
    };
    (0..profiles).flat_map(of_one).filter(|(second, _)| *second < end).collect()
}

fn both_pods(refusals: &[(usize, usize)], is_scraped: impl Fn(usize) -> bool) -> Vec<Value> {
    let of_pod = |pod: usize| refusals.iter().copied().filter(|(_, turn)| turn % 2 == pod).collect::<Vec<_>>();
    [("a", 0), ("b", 1)].map(|(name, pod)| series(name, "status", "false", &of_pod(pod), &is_scraped)).into()
}

/// The counter of a Pod, which starts at zero.
fn series(
    pod: &str,
    part: &str,
    allowed: &str,
    reviews: &[(usize, usize)],
    is_scraped: impl Fn(usize) -> bool,
) -> Value {
    let mut per_scrape = vec![0; END / SCRAPE + 1];
    for (second, _) in reviews {
        // Counted at its end, so visible in the next scrape.
        per_scrape[(second / SCRAPE + 1).min(END / SCRAPE)] += 1;
    }
    let (mut values, mut count) = (String::new(), 0);
    for (scrape, more) in per_scrape.iter().enumerate() {
        count += more;
        let seen = if is_scraped(scrape * SCRAPE) { count.to_string() } else { "_".into() };
        write!(values, "{seen} ").expect("a string takes all that is written to it");
    }
    let labels = format!("phase=\"validate\", part=\"{part}\", allowed=\"{allowed}\"");
    let name = format!("clusterprofile_webhook_reviews_total{{namespace=\"n\", pod=\"{pod}\", {labels}}}");
    json!({"series": name, "values": values.trim_end()})
}

fn run(manifests: &Manifests, stories: &[Story]) {
    let tests: Vec<_> = stories.iter().map(|Story { name, series, fires }| {
        let looks = (0..END / 60).step_by(10).filter_map(|minute| Some((minute, fires(minute)?)));
        let looks = looks.map(|(minute, fires)| {
            let alert = json!({"exp_labels": {"severity": "warning", "namespace": "n"}});
            let alerts = if fires { vec![alert] } else { vec![] };
            json!({"eval_time": format!("{minute}m"), "alertname": ALERT, "exp_alerts": alerts})
        });
        let interval = format!("{SCRAPE}s");
        json!({"name": name, "interval": interval, "input_series": series, "alert_rule_test": looks.collect::<Vec<_>>()})
    }).collect();
    let directory = tempfile::tempdir().expect("a directory can be made");
    let write =
        |name: &str, content: String| fs::write(directory.path().join(name), content).expect("a file can be written");
    let rule = only(&manifests.observability, "PrometheusRule");
    write("rules.yaml", rules(rule, |alert| drop(alert.as_object_mut().and_then(|alert| alert.remove("annotations")))));
    let file = json!({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests});
    write("frozen.yaml", file.to_string());
    let mut promtool = Command::new(program("promtool").expect("it was looked for"));
    let output =
        promtool.args(["test", "rules", "frozen.yaml"]).current_dir(&directory).output().expect("it can be run");
    let printed = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{printed}");
}
