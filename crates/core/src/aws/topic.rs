//! Messages to a topic of SNS, from where they go to whoever has subscribed.

use super::{Aws, AwsFailure};
use aws_config::Region;
use aws_sdk_sns::{
    Client,
    config::{Builder, timeout::TimeoutConfig},
};
use std::time::Duration;

/// Longest time for a message with all its attempts.
const ALTOGETHER: Duration = Duration::from_secs(15);

/// A topic.
#[derive(Clone, Debug)]
pub struct Topic {
    aws: Aws,
    client: Client,
    arn: String,
}

impl Topic {
    /// The topic of an ARN (`arn:aws:sns:REGION:ACCOUNT:NAME`), in the region that the ARN names. `None` when that is none.
    #[must_use]
    pub fn new(aws: &Aws, arn: &str) -> Option<Self> {
        let region = Self::region(arn)?.to_owned();
        let timeouts = TimeoutConfig::builder().operation_timeout(ALTOGETHER).build();
        let config = Builder::from(aws.config()).region(Region::new(region)).timeout_config(timeouts).build();
        Some(Self { aws: aws.clone(), client: Client::from_conf(config), arn: arn.to_owned() })
    }

    /// The region that the ARN of a topic names.
    #[must_use]
    pub fn region(arn: &str) -> Option<&str> {
        let mut parts = arn.split(':');
        let known = parts.next() == Some("arn")
            && parts.next().is_some_and(|part| part.starts_with("aws"))
            && parts.next() == Some("sns");
        let region = parts.next().filter(|region| known && !region.is_empty())?;
        let rest: Vec<&str> = parts.collect();
        (rest.len() == 2 && rest.iter().all(|part| !part.is_empty())).then_some(region)
    }

    /// Sends a message. Not to be called from a task of an asynchronous runtime.
    ///
    /// # Errors
    /// SNS does not take it.
    pub fn publish(&self, subject: &str, text: &str, id: &str) -> Result<(), AwsFailure> {
        let mut request = self.client.publish().topic_arn(&self.arn).subject(subject).message(text);
        // Such a topic keeps the order within a group, and drops what has come already.
        if self.arn.strip_suffix(".fifo").is_some() {
            request = request.message_group_id("ghevault").message_deduplication_id(id);
        }
        let answer = self.aws.wait(request.send());
        answer.map(|_| ()).map_err(|error| AwsFailure::of("SNS", "take a message", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::Topic;

    #[test]
    fn an_arn_names_its_region() {
        assert_eq!(Topic::region("arn:aws:sns:eu-west-1:111111111111:alarms"), Some("eu-west-1"));
        assert_eq!(Topic::region("arn:aws-us-gov:sns:us-gov-west-1:1:a.fifo"), Some("us-gov-west-1"));
        for wrong in
            ["", "arn:aws:sqs:eu-west-1:1:a", "arn:aws:sns::1:a", "arn:aws:sns:eu-west-1:1", "alarms"]
        {
            assert_eq!(Topic::region(wrong), None, "{wrong}");
        }
    }
}
