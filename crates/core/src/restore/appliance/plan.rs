//! The ordered steps of a restore to an appliance or a cluster (contract §5.4). Pure; `--dry-run` prints it.

use std::fmt;

use serde::Serialize;

pub use super::step::{Importer, Step};
use super::{
    content::{DumpKind, SnapshotContent},
    options::{ApplianceOptions, Dataset},
};
use crate::appliance::facts::{Facts, Role};

/// A step with what it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedStep {
    /// The step.
    pub step: Step,
    /// Bytes of content at most; less is sent when a part is on the appliance already.
    pub bytes: u64,
    /// Files or items at most.
    pub items: u64,
}

/// What will be done to the appliance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestorePlan {
    /// The target as the user named it.
    pub host: String,
    /// Whether the target has been configured.
    pub configured: bool,
    /// Whether settings are restored.
    pub settings: bool,
    /// Whether the target becomes a copy that does not act for the source.
    pub isolated: bool,
    /// Machines of the target, where it is a cluster; otherwise 0.
    pub machines: usize,
    /// The steps, in order.
    pub steps: Vec<PlannedStep>,
    /// Datasets that were asked for and are not in the snapshot.
    pub absent: Vec<&'static str>,
}

impl fmt::Display for RestorePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.configured { "configured" } else { "unconfigured" };
        match self.machines {
            0 => writeln!(f, "restore to {} ({state} standalone appliance)", self.host)?,
            machines => writeln!(f, "restore to {} ({state} cluster of {machines} machines)", self.host)?,
        }
        if self.isolated {
            let kept = super::isolated::LEFT_OUT.map(super::options::Dataset::name).join(", ");
            writeln!(f, "isolated copy: it keeps its own {kept} and its access to other services")?;
        }
        for (number, planned) in self.steps.iter().enumerate() {
            write!(f, "{:3}. {}", number + 1, planned.step.words())?;
            if planned.bytes > 0 {
                write!(f, " ({} items, {} bytes)", planned.items, planned.bytes)?;
            }
            writeln!(f)?;
        }
        if !self.absent.is_empty() {
            writeln!(f, "not in the snapshot: {}", self.absent.join(", "))?;
        }
        if !self.configured {
            writeln!(f, "then review and save https://{}/setup/settings", self.host)?;
        }
        Ok(())
    }
}

/// Plans a restore that the guard has accepted.
#[must_use]
pub fn plan(target: &Facts, content: &SnapshotContent, options: &ApplianceOptions) -> RestorePlan {
    let settings = options.settings || !target.configured;
    let mut planning = Planning { content, options, steps: Vec::new(), absent: Vec::new() };
    planning.frame(Step::ClientStamp);
    planning.frame(Step::StopSchedules);
    if options.wants(Dataset::Secrets) && !content.secrets.is_empty() {
        let bytes = content.secrets.iter().map(|s| content.amount(s.file).bytes).sum();
        planning.push(Step::Secrets, bytes, content.secrets.len() as u64);
    }
    if settings && options.wants(Dataset::Settings) {
        planning.file(Step::License, "enterprise.ghl");
        planning.file(Step::Settings, "settings.json");
        planning.file(Step::Saml, "saml-keys.tar");
        planning.file(Step::CaCertificates, "ssl-ca-certificates.tar");
    }
    // A cluster's services run, and its machines keep their identities.
    let alone = target.role != Role::Cluster;
    if alone {
        planning.frame(Step::EnsureServices);
    }
    if alone && options.wants(Dataset::Uuid) && content.uuid.is_some() {
        planning.file(Step::Uuid, "uuid");
    }
    planning.mysql(target);
    planning.actions(target);
    if content.has("minio") && target.flag("app.minio.enabled") && options.wants(Dataset::Minio) {
        planning.directory(Step::Minio, "minio");
    }
    if content.has("es-scan-complete") && options.wants(Dataset::AuditLog) {
        planning.frame(Step::MigrationSentinel);
    }
    planning.datasets(alone);
    if !settings {
        planning.frame(Step::HoldConnect);
    }
    if target.configured {
        planning.frame(Step::NomadCleanup);
        planning.frame(Step::ConfigApply);
    }
    if !settings {
        planning.frame(Step::ClearConnect);
    }
    if alone && target.configured && content.uuid.is_some() && options.wants(Dataset::Uuid) {
        planning.frame(Step::StaleNodes);
    }
    planning.frame(Step::Complete);
    if options.wants(Dataset::SshHostKeys) {
        planning.file(Step::SshHostKeys, "ssh-host-keys.tar");
    }
    let Planning { steps, absent, .. } = planning;
    let machines = target.fleet.as_ref().filter(|_| !alone).map_or(0, |fleet| fleet.nodes.len());
    let (host, configured) = (options.host.clone(), target.configured);
    RestorePlan { host, configured, settings, isolated: options.isolated, machines, steps, absent }
}

struct Planning<'a> {
    content: &'a SnapshotContent,
    options: &'a ApplianceOptions,
    steps: Vec<PlannedStep>,
    absent: Vec<&'static str>,
}

impl Planning<'_> {
    fn push(&mut self, step: Step, bytes: u64, items: u64) {
        self.steps.push(PlannedStep { step, bytes, items });
    }

    fn frame(&mut self, step: Step) {
        self.push(step, 0, 0);
    }

    /// A step for a file of the root, if the snapshot has it; what every appliance has is missed when it has not.
    fn file(&mut self, step: Step, name: &'static str) {
        if self.content.has(name) {
            self.push(step, self.content.amount(name).bytes, 1);
        } else if !matches!(step, Step::Saml | Step::CaCertificates) {
            self.absent.push(name);
        }
    }

    fn directory(&mut self, step: Step, name: &str) {
        let amount = self.content.amount(name);
        self.push(step, amount.bytes, amount.files);
    }

    fn mysql(&mut self, target: &Facts) {
        if !self.options.wants(Dataset::Mysql) {
            return;
        }
        if self.content.external_database && self.options.external_mysql_script.is_some() {
            self.push(Step::Mysql(Importer::Script), 0, 1);
            return;
        }
        let Some(dump) = &self.content.dump else {
            self.absent.push("mysql.sql");
            return;
        };
        let importer = match dump.kind {
            DumpKind::Binary { wrapped } => Importer::Binary { wrapped },
            DumpKind::LogicalExternal => Importer::Logical,
            DumpKind::Logical if target.flag("mysql.backup.binary") => Importer::Logical,
            DumpKind::Logical => Importer::Legacy,
        };
        self.push(Step::Mysql(importer), dump.bytes, 1);
    }

    /// Actions is stopped before its databases and files are replaced; the applied configuration starts it again.
    fn actions(&mut self, target: &Facts) {
        let wants = |dataset, name| self.options.wants(dataset) && self.content.has(name);
        let (databases, files) = (wants(Dataset::Mssql, "mssql"), wants(Dataset::Actions, "actions"));
        if !target.flag("app.actions.enabled") || !(databases || files) {
            return;
        }
        self.frame(Step::ActionsStop);
        if databases {
            self.directory(Step::Mssql, "mssql");
        }
        if files {
            self.directory(Step::ActionsFiles, "actions");
        }
    }

    /// Search indices are sent to an appliance that stands alone; a cluster builds them anew (contract §5.4).
    fn datasets(&mut self, alone: bool) {
        let options = self.options;
        if options.wants(Dataset::Redis) {
            self.file(Step::Redis, "redis.rdb");
        }
        for (dataset, step, name) in [
            (Dataset::Repositories, Step::Repositories, "repositories"),
            (Dataset::Gists, Step::Gists, "repositories"),
            (Dataset::Pages, Step::Pages, "pages"),
        ] {
            self.dataset(dataset, step, name);
        }
        if options.wants(Dataset::AuthorizedKeys) {
            self.file(Step::AuthorizedKeys, "authorized-keys.json");
        }
        for (dataset, step, name) in [
            (Dataset::Storage, Step::Storage, "storage"),
            (Dataset::GitHooks, Step::GitHooks, "git-hooks"),
            (Dataset::Elasticsearch, Step::Elasticsearch, "elasticsearch"),
        ] {
            if step == Step::Elasticsearch && !alone {
                continue;
            }
            self.dataset(dataset, step, name);
        }
        if options.wants(Dataset::AuditLog) && !self.content.audit.is_empty() {
            self.directory(Step::AuditLog, "audit-log");
        }
    }

    fn dataset(&mut self, dataset: Dataset, step: Step, name: &'static str) {
        if !self.options.wants(dataset) {
            return;
        }
        if self.content.has(name) {
            // Networks and gists share a directory; its amount stands at the networks.
            let amount = if step == Step::Gists {
                super::content::Amount::default()
            } else {
                self.content.amount(name)
            };
            self.push(step, amount.bytes, amount.files);
        } else if matches!(step, Step::Repositories | Step::Storage) {
            self.absent.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Importer, Step, plan};
    use crate::{
        appliance::facts::{self, Facts},
        restore::appliance::{
            content::{Dump, DumpKind, SnapshotContent},
            options::{ApplianceOptions, Dataset},
        },
    };

    fn target(configured: bool) -> Facts {
        let state = if configured { "configured=1\nmaintenance=1\n" } else { "" };
        facts::read_for_tests(&format!("uuid=t\n{state}"))
    }

    fn content() -> SnapshotContent {
        let names = "version uuid settings.json enterprise.ghl authorized-keys.json ssh-host-keys.tar redis.rdb \
                     repositories pages storage git-hooks elasticsearch mysql.sql";
        SnapshotContent {
            uuid: Some("s".into()),
            root: names.split_whitespace().map(str::to_owned).collect(),
            dump: Some(Dump { file: "mysql.sql", bytes: 9, kind: DumpKind::Logical }),
            ..SnapshotContent::default()
        }
    }

    fn steps(configured: bool, options: &ApplianceOptions) -> Vec<Step> {
        plan(&target(configured), &content(), options).steps.iter().map(|p| p.step).collect()
    }

    #[test]
    fn a_configured_target_keeps_its_settings_and_ends_with_the_host_keys() {
        let steps = steps(true, &ApplianceOptions::new("ghe"));
        assert!(!steps.contains(&Step::Settings) && !steps.contains(&Step::License));
        assert!(steps.contains(&Step::Mysql(Importer::Legacy)));
        let tail = [
            Step::HoldConnect,
            Step::NomadCleanup,
            Step::ConfigApply,
            Step::ClearConnect,
            Step::StaleNodes,
            Step::Complete,
            Step::SshHostKeys,
        ];
        assert_eq!(steps[steps.len() - tail.len()..], tail);
        assert_eq!(steps[..2], [Step::ClientStamp, Step::StopSchedules]);
    }

    #[test]
    fn an_unconfigured_target_gets_settings_and_is_not_configured() {
        let steps = steps(false, &ApplianceOptions::new("ghe"));
        assert!(steps.contains(&Step::Settings) && steps.contains(&Step::License));
        for absent in
            [Step::HoldConnect, Step::NomadCleanup, Step::ConfigApply, Step::ClearConnect, Step::StaleNodes]
        {
            assert!(!steps.contains(&absent), "{absent:?}");
        }
        let printed = plan(&target(false), &content(), &ApplianceOptions::new("ghe")).to_string();
        assert!(printed.contains("https://ghe/setup/settings"), "{printed}");
    }

    #[test]
    fn a_cluster_keeps_its_identities_and_builds_its_search_indices_itself() {
        let told = "uuid=t\nconfigured=1\nmaintenance=1\ncluster=1\nown=a\nconf=[cluster \"a\"]\nconf=\thostname = a\n\
                    conf=[cluster \"b\"]\nconf=\thostname = b\n";
        let plan = plan(&facts::read_for_tests(told), &content(), &ApplianceOptions::new("ghe"));
        let steps: Vec<Step> = plan.steps.iter().map(|planned| planned.step).collect();
        for absent in [Step::EnsureServices, Step::Uuid, Step::Elasticsearch, Step::StaleNodes] {
            assert!(!steps.contains(&absent), "{absent:?}");
        }
        let tail = [
            Step::HoldConnect,
            Step::NomadCleanup,
            Step::ConfigApply,
            Step::ClearConnect,
            Step::Complete,
            Step::SshHostKeys,
        ];
        assert_eq!(steps[steps.len() - tail.len()..], tail);
        assert!(
            plan.to_string().starts_with("restore to ghe (configured cluster of 2 machines)\n"),
            "{plan}"
        );
    }

    #[test]
    fn chosen_datasets_only() {
        let only = BTreeSet::from([Dataset::Redis]);
        let steps = steps(true, &ApplianceOptions { only, ..ApplianceOptions::new("ghe") });
        assert!(steps.contains(&Step::Redis));
        assert!(!steps.contains(&Step::Repositories) && !steps.contains(&Step::SshHostKeys));
    }

    #[test]
    fn an_isolated_copy_keeps_its_identity_and_host_keys() {
        let options = ApplianceOptions { isolated: true, ..ApplianceOptions::new("ghe") };
        let steps = steps(true, &options);
        for absent in [Step::Uuid, Step::StaleNodes, Step::SshHostKeys, Step::Settings] {
            assert!(!steps.contains(&absent), "{absent:?}");
        }
        assert!(steps.contains(&Step::ClearConnect) && steps.contains(&Step::Repositories));
    }

    #[test]
    fn actions_is_stopped_before_its_databases_and_files_are_replaced() {
        let on = Facts { flags: vec!["app.actions.enabled".into()], ..target(true) };
        let mut content = content();
        content.root.extend(["mssql".into(), "actions".into()]);
        let of = |target: &Facts, only: &[Dataset]| -> Vec<Step> {
            let only = only.iter().copied().collect();
            let options = ApplianceOptions { only, ..ApplianceOptions::new("ghe") };
            let all = plan(target, &content, &options).steps.into_iter().map(|p| p.step);
            all.filter(|s| matches!(s, Step::ActionsStop | Step::Mssql | Step::ActionsFiles)).collect()
        };
        assert_eq!(of(&on, &[]), [Step::ActionsStop, Step::Mssql, Step::ActionsFiles]);
        assert_eq!(of(&on, &[Dataset::Mssql]), [Step::ActionsStop, Step::Mssql]);
        assert_eq!(of(&on, &[Dataset::Redis]), []);
        assert_eq!(of(&target(true), &[]), []);
    }

    #[test]
    fn what_every_appliance_has_is_missed_when_the_snapshot_has_not() {
        let mut content = content();
        content.root.retain(|name| name != "redis.rdb" && name != "pages");
        let plan = plan(&target(true), &content, &ApplianceOptions::new("ghe"));
        assert_eq!(plan.absent, ["redis.rdb"]);
    }

    #[test]
    fn a_script_takes_the_place_of_the_dump_of_an_external_database_only() {
        let script = Some("/usr/local/bin/restore-mysql".into());
        let options = ApplianceOptions { external_mysql_script: script, ..ApplianceOptions::new("ghe") };
        let mysql = |external: bool| {
            let content = SnapshotContent { external_database: external, ..content() };
            let plan = plan(&target(true), &content, &options);
            plan.steps.iter().any(|planned| planned.step == Step::Mysql(Importer::Script))
        };
        assert!(mysql(true) && !mysql(false));
    }

    #[test]
    fn a_logical_dump_takes_the_importer_of_the_target() {
        let binary = Facts { flags: vec!["mysql.backup.binary".into()], ..target(true) };
        let steps = plan(&binary, &content(), &ApplianceOptions::new("ghe")).steps;
        assert!(steps.iter().any(|p| p.step == Step::Mysql(Importer::Logical)));
    }
}

#[cfg(test)]
#[path = "plan_properties.rs"]
mod properties;
