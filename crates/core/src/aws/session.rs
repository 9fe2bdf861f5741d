//! A connection to AWS: region, credentials, HTTP client and the threads that drive them.

use super::failure::{AwsFailure, FailureKind};
use aws_config::{
    BehaviorVersion, Region, SdkConfig, environment::region::EnvironmentVariableRegionProvider,
    imds::region::ImdsRegionProvider, meta::region::ProvideRegion, profile::ProfileFileCredentialsProvider,
    provider_config::ProviderConfig, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_http_client::{
    Builder as HttpBuilder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::runtime::Runtime;

/// Threads that drive requests; the work is waiting.
const THREADS: usize = 2;
/// Attempts of one request, the first included.
const ATTEMPTS: u32 = 5;
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest silence of a service while an answer is due.
const READ: Duration = Duration::from_mins(1);
/// Longest time for one attempt of a request, its content included.
const ATTEMPT: Duration = Duration::from_mins(5);

/// What the settings say about AWS; everything may be left to the environment and the instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsSettings {
    /// Region; `None`: environment, then IMDSv2.
    pub region: Option<String>,
    /// Address of another server than Amazon's, for all services; `None`: the SDK's own variables, then Amazon's.
    pub endpoint: Option<String>,
    /// Profile of the SDK's own files whose credentials are used; `None`: the SDK's chain.
    pub profile: Option<String>,
}

/// Whose credentials are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Number of the account.
    pub account: String,
    /// Name of the user or the role's session.
    pub arn: String,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Aws {
    runtime: Arc<Runtime>,
    config: SdkConfig,
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aws").field("region", &self.config.region()).finish_non_exhaustive()
    }
}

impl Aws {
    /// Finds the region and prepares the client; credentials are fetched with the first request.
    ///
    /// # Errors
    /// [`FailureKind::NoRegion`]; threads that the system refuses.
    pub fn connect(settings: &AwsSettings) -> Result<Self, AwsFailure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("aws")
            .enable_all()
            .build()
            .map_err(|e| AwsFailure::local("start threads", FailureKind::Other, &e))?;
        let http = HttpBuilder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let config = runtime.block_on(async {
            let region = region(settings, &http).await?;
            let mut loader = aws_config::defaults(BehaviorVersion::latest())
                .http_client(http.clone())
                .region(region.clone())
                .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
                .timeout_config(
                    TimeoutConfig::builder()
                        .connect_timeout(CONNECT)
                        .read_timeout(READ)
                        .operation_attempt_timeout(ATTEMPT)
                        .build(),
                );
            if let Some(endpoint) = &settings.endpoint {
                loader = loader.endpoint_url(endpoint);
            }
            if let Some(profile) = &settings.profile {
                let config =
                    ProviderConfig::default().with_http_client(http).with_region(Some(region.clone()));
                loader = loader.credentials_provider(
                    ProfileFileCredentialsProvider::builder()
                        .configure(&config)
                        .profile_name(profile)
                        .build(),
                );
            }
            Ok::<_, AwsFailure>(loader.load().await)
        })?;
        Ok(Self { runtime: Arc::new(runtime), config })
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        self.config.region().map_or("", Region::as_ref)
    }

    /// Whose credentials these are, as STS says.
    ///
    /// # Errors
    /// No credentials, or STS does not answer.
    pub fn identity(&self) -> Result<Identity, AwsFailure> {
        let client = aws_sdk_sts::Client::new(self.config());
        let answer = self.wait(client.get_caller_identity().send());
        let answer = answer.map_err(|e| AwsFailure::of("STS", "say whose credentials these are", &e))?;
        Ok(Identity { account: answer.account.unwrap_or_default(), arn: answer.arn.unwrap_or_default() })
    }

    /// What the clients of services are made from.
    pub(crate) fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// Waits for a request; not to be called from a task of these threads.
    pub(crate) fn wait<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }
}

/// Settings, environment, IMDSv2.
async fn region(
    settings: &AwsSettings,
    http: &aws_smithy_runtime_api::client::http::SharedHttpClient,
) -> Result<Region, AwsFailure> {
    if let Some(region) = &settings.region {
        return Ok(Region::new(region.clone()));
    }
    if let Some(region) = EnvironmentVariableRegionProvider::new().region().await {
        return Ok(region);
    }
    let config = ProviderConfig::default().with_http_client(http.clone());
    let instance = ImdsRegionProvider::builder().configure(&config).build();
    instance.region().await.ok_or_else(AwsFailure::no_region)
}
