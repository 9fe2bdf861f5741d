//! What the configuration says about AWS and about a vault's bucket.

use super::{amount, layer::Layer, settings::parsed};
use crate::error::CommandResult;
use ghevault_core::{aws::AwsSettings, vault::S3Settings};

fn text(merged: &Layer, key: &str) -> Option<String> {
    merged.get(key).map(|value| value.text.clone()).filter(|text| !text.is_empty())
}

/// Settings of AWS as a whole.
pub fn aws(merged: &Layer) -> AwsSettings {
    AwsSettings {
        region: text(merged, "aws.region"),
        endpoint: text(merged, "aws.endpoint"),
        profile: text(merged, "aws.profile"),
    }
}

/// Settings of a vault's bucket.
///
/// # Errors
/// A value is unusable.
pub fn s3(merged: &Layer) -> CommandResult<S3Settings> {
    let aws = aws(merged);
    let days = parsed(merged, "s3.retention_days", "a number of days", |text| {
        text.parse().ok().filter(|days| *days > 0)
    })?;
    Ok(S3Settings {
        aws: AwsSettings {
            region: text(merged, "s3.region").or(aws.region),
            endpoint: text(merged, "s3.endpoint").or(aws.endpoint),
            profile: aws.profile,
        },
        path_style: parsed(merged, "s3.path_style", "true or false", amount::truth)?,
        kms_key: text(merged, "s3.kms_key"),
        retention_days: days,
    })
}
