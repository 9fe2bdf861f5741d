//! A try on the other account's KMS key.

use super::{Attack, AttackOutcome, AttackTry};
use crate::aws::{AwsFailure, FailureKind};
use aws_sdk_kms::primitives::Blob;

impl Attack<'_> {
    pub(super) fn on_a_key(&mut self, ciphertext: &[u8]) {
        const WHAT: &str = "decrypt with the other account's key";
        let client = aws_sdk_kms::Client::new(self.bucket.aws.config());
        let request = client.decrypt().ciphertext_blob(Blob::new(ciphertext));
        let (outcome, answer) = match self.bucket.aws.wait(request.send()) {
            // what was decrypted is dropped at once, and never shown
            Ok(_) => (AttackOutcome::Succeeded, "it was decrypted".to_owned()),
            Err(error) => {
                let failure = AwsFailure::of("KMS", WHAT, &error);
                let refused = failure.kind == FailureKind::Denied;
                (if refused { AttackOutcome::Refused } else { AttackOutcome::Unproven }, failure.words)
            }
        };
        self.report.tries.push(AttackTry { what: WHAT, outcome, answer });
    }
}
