//! Metrics for receivers of OpenTelemetry: an export request of OTLP 1, protobuf. Names are those of Prometheus, so that rules and
//! dashboards fit whichever way the numbers came; empty families are left out, because OTLP has no heads.

use opentelemetry_proto::tonic::{
    collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
        metric::Data, number_data_point::Value,
    },
    resource::v1::Resource,
};
use prost::Message as _;

use super::{Family, Kind, Number, families};
use crate::status::StatusReport;

/// What the numbers are of.
const NAME: &str = "ghevault";

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender<'a> {
    /// Version of the program.
    pub version: &'a str,
    /// Id of the host, the same as long as its state folder is.
    pub instance: &'a str,
}

/// The body of a request to `/v1/metrics`.
#[must_use]
pub fn request(report: &StatusReport, sender: Sender<'_>) -> Vec<u8> {
    let at = u64::try_from(report.at.as_nanosecond()).unwrap_or_default();
    let metrics = families(report, sender.version)
        .into_iter()
        .filter(|family| !family.points.is_empty())
        .map(|family| metric(family, at))
        .collect();
    let scope = InstrumentationScope {
        name: NAME.to_owned(),
        version: sender.version.to_owned(),
        ..InstrumentationScope::default()
    };
    let resource = Resource {
        attributes: vec![
            attribute("service.name", NAME),
            attribute("service.version", sender.version),
            attribute("service.instance.id", sender.instance),
        ],
        ..Resource::default()
    };
    let metrics = ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() };
    let all = ResourceMetrics {
        resource: Some(resource),
        scope_metrics: vec![metrics],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: vec![all] }.encode_to_vec()
}

fn metric(family: Family, at: u64) -> Metric {
    let unit = match family.name {
        name if name.ends_with("_seconds") => "s",
        name if name.ends_with("_bytes") => "By",
        _ => "1",
    };
    let data_points = family
        .points
        .into_iter()
        .map(|point| NumberDataPoint {
            attributes: point.labels.iter().map(|(label, value)| attribute(label, value)).collect(),
            time_unix_nano: at,
            value: Some(match point.value {
                Number::Whole(value) => Value::AsInt(value),
                Number::Real(value) => Value::AsDouble(value),
            }),
            // Counters live as long as the state folder; when it began is not known, and zero says so.
            ..NumberDataPoint::default()
        })
        .collect();
    let data = match family.kind {
        Kind::Gauge => Data::Gauge(Gauge { data_points }),
        Kind::Counter => Data::Sum(Sum {
            data_points,
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        }),
    };
    Metric {
        name: format!("ghevault_{}", family.name),
        description: family.help.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// What a receiver did not take of a request that it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Numbers that it does not have.
    pub points: i64,
    /// Why, in its words.
    pub why: String,
}

/// Reads the answer of a receiver; what is no answer of OTLP says nothing.
#[must_use]
pub fn rejected(answer: &[u8]) -> Option<Rejected> {
    let partial = ExportMetricsServiceResponse::decode(answer).ok()?.partial_success?;
    let told = partial.rejected_data_points != 0 || !partial.error_message.is_empty();
    told.then_some(Rejected { points: partial.rejected_data_points, why: partial.error_message })
}
