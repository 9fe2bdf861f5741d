//! Metrics in Prometheus' text exposition format.

use std::fmt::Write as _;

use super::{Family, Kind, Number};

/// All of them.
pub(super) fn text(families: &[Family]) -> String {
    let mut out = String::new();
    for Family { name, kind, help, points } in families {
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        let _ = writeln!(out, "# HELP ghevault_{name} {help}\n# TYPE ghevault_{name} {kind}");
        for point in points {
            let labels: Vec<String> =
                point.labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = match point.value {
                Number::Whole(value) => writeln!(out, "ghevault_{name}{labels} {value}"),
                Number::Real(value) => writeln!(out, "ghevault_{name}{labels} {value}"),
            };
        }
    }
    out
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
