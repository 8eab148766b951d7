//! The plot in the README.

use std::{fmt::Write as _, fs};

use testkit::bodies::{BODIES, Body};

use super::{figures::Row, report};

/// Multiples of the same floor for other webhooks with the same bodies, measured once on another machine.
///
/// Kubewarden had 37 to 47 and 60 to 70, and rejects 2.4 MB.
const PEERS: [(&str, [Option<f64>; 3]); 6] = [
    ("kube, typed envelope, DynamicObject", [Some(3.8), Some(8.3), Some(7.0)]),
    ("controller-runtime", [Some(14.0), Some(41.0), Some(44.0)]),
    ("Open Cluster Management's webhook", [Some(14.0), Some(36.0), Some(39.0)]),
    ("Kubewarden", [Some(37.0), Some(60.0), None]),
    ("OPA", [Some(42.0), Some(87.0), Some(38.0)]),
    ("Gatekeeper", [Some(80.0), Some(166.0), Some(98.0)]),
];

/// The number of connections in the plot.
const CONNECTIONS: usize = 8;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 270.0;
const TOP: f64 = 64.0;
const ROW: f64 = 26.0;
const COLORS: [&str; 3] = ["#1b7837", "#2166ac", "#b2182b"];

/// Draws the rows with eight connections, one dot for each size of body.
pub(crate) fn write(rows: &[Row]) -> anyhow::Result<()> {
    let ours = ["/mutate", "/validate"].map(|path| {
        let multiple = |(body, _): Body| {
            let is_shown = |row: &&Row| {
                row.body == body && row.path == path && row.connections == CONNECTIONS && row.rate.is_none()
            };
            rows.iter().find(is_shown).map(|row| row.multiple)
        };
        (format!("clusterprofile-webhook {path}"), BODIES.map(multiple))
    });
    let floor = ("TLS, HTTP and reading the body".to_owned(), [Some(1.0); 3]);
    let peers = PEERS.map(|(name, multiples)| (name.to_owned(), multiples));
    let lines: Vec<_> = [floor].into_iter().chain(ours).chain(peers).collect();
    let file = report::file("latency.svg")?;
    fs::write(&file, svg(&lines)?)?;
    println!("drawn in {}", file.display());
    Ok(())
}

fn svg(lines: &[(String, [Option<f64>; 3])]) -> Result<String, std::fmt::Error> {
    let bottom = lines.iter().fold(TOP, |height, _| height + ROW);
    let height = bottom + 44.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"16\" y=\"24\" font-size=\"15\" font-weight=\"bold\">CPU per review over HTTPS, as a multiple of what \
         TLS, HTTP and reading the body cost</text>\n"
    );
    for ((at, (body, _)), color) in [LEFT, LEFT + 80.0, LEFT + 170.0].into_iter().zip(BODIES).zip(COLORS) {
        writeln!(svg, "<circle cx=\"{at}\" cy=\"44\" r=\"5\" fill=\"{color}\"/>")?;
        writeln!(svg, "<text x=\"{}\" y=\"48\">{body}</text>", at + 10.0)?;
    }
    for tick in [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0] {
        let at = x(tick);
        writeln!(svg, "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{bottom}\" stroke=\"#ddd\"/>")?;
        writeln!(svg, "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>", bottom + 18.0)?;
    }
    let mut middle = TOP + ROW / 2.0;
    for (name, multiples) in lines {
        let weight = if name.starts_with("clusterprofile") { "bold" } else { "normal" };
        writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-weight=\"{weight}\">{name}</text>",
            LEFT - 14.0,
            middle + 4.0
        )?;
        for (multiple, color) in multiples.iter().zip(COLORS) {
            let Some(multiple) = multiple else { continue };
            let at = x(*multiple);
            writeln!(
                svg,
                "<circle cx=\"{at:.1}\" cy=\"{middle}\" r=\"5\" fill=\"{color}\" fill-opacity=\"0.8\">\
                 <title>{multiple:.2}</title></circle>"
            )?;
        }
        middle += ROW;
    }
    writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{}\" fill=\"#666\" font-size=\"11\">8 connections, one core; the others' figures are from \
         another machine</text>\n</svg>",
        bottom + 36.0
    )?;
    Ok(svg)
}

/// The position of a multiple on a logarithmic scale from 1 to 200.
fn x(multiple: f64) -> f64 {
    const MOST: f64 = 200.0;
    LEFT + (WIDTH - LEFT - 24.0) * multiple.max(1.0).ln() / MOST.ln()
}
