use clusterprofile_webhook::{
    admission, crd,
    rules::{CrdInForce, Phase, Policy},
};
use std::{hint::black_box, sync::Arc, time::Instant};
fn main() {
    let now = jiff::Timestamp::now();
    let crd = Arc::new(CrdInForce::read(serde_json::to_value(crd::crd()).unwrap()).unwrap());
    for file in std::env::args().skip(1) {
        let body = std::fs::read(&file).unwrap();
        let mut line = format!("{} {} B:", file.rsplit('/').next().unwrap(), body.len());
        let mut without = Policy::default();
        let mut with = Policy::default();
        without.set_crd(None);
        with.set_crd(Some(Arc::clone(&crd)));
        let n = 20000;
        for (name, phase, policy) in [
            ("mutate", Phase::Mutate, &without),
            ("mutate+crd", Phase::Mutate, &with),
            ("validate", Phase::Validate, &without),
        ] {
            let mut best = f64::MAX;
            for _ in 0..5 {
                let start = Instant::now();
                for _ in 0..n / 5 {
                    black_box(admission::respond(black_box(&body), phase, policy, now).unwrap());
                }
                best = best.min(start.elapsed().as_secs_f64() / f64::from(n / 5) * 1e6);
            }
            line += &format!(" {name} {best:.2} us");
        }
        println!("{line}");
    }
}
