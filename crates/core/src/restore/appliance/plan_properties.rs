//! What holds for every plan, whatever the snapshot has and the user wants.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Importer, RestorePlan, Step, plan};
use crate::{
    appliance::facts::{self, Facts},
    restore::appliance::{
        content::{Amount, Dump, DumpKind, SnapshotContent},
        isolated,
        options::{ApplianceOptions, Dataset},
    },
};

const NAMES: [&str; 20] = [
    "version",
    "uuid",
    "settings.json",
    "enterprise.ghl",
    "saml-keys.tar",
    "ssl-ca-certificates.tar",
    "authorized-keys.json",
    "ssh-host-keys.tar",
    "redis.rdb",
    "repositories",
    "pages",
    "storage",
    "git-hooks",
    "elasticsearch",
    "audit-log",
    "mssql",
    "actions",
    "minio",
    "es-scan-complete",
    "manage-password",
];

fn content() -> impl Strategy<Value = SnapshotContent> {
    let kinds = prop_oneof![
        Just(None),
        Just(Some(DumpKind::Logical)),
        Just(Some(DumpKind::LogicalExternal)),
        Just(Some(DumpKind::Binary { wrapped: false })),
    ];
    (proptest::sample::subsequence(NAMES.to_vec(), 0..=NAMES.len()), kinds, any::<bool>()).prop_map(
        |(names, kind, external)| SnapshotContent {
            uuid: names.contains(&"uuid").then(|| "source".to_owned()),
            amounts: names.iter().map(|n| ((*n).to_owned(), Amount { files: 2, bytes: 7 })).collect(),
            root: names.into_iter().map(str::to_owned).collect(),
            dump: kind.map(|kind| Dump { file: "mysql.sql", bytes: 9, kind }),
            external_database: external,
            ..SnapshotContent::default()
        },
    )
}

fn target() -> impl Strategy<Value = Facts> {
    (
        any::<bool>(),
        proptest::sample::subsequence(
            vec!["app.actions.enabled", "app.minio.enabled", "mysql.backup.binary"],
            0..=3,
        ),
    )
        .prop_map(|(configured, flags)| {
            let state = if configured { "configured=1\nmaintenance=1\n" } else { "" };
            let flags = flags.into_iter().map(str::to_owned).collect();
            Facts { flags, ..facts::read_for_tests(&format!("uuid=t\n{state}")) }
        })
}

fn options() -> impl Strategy<Value = ApplianceOptions> {
    let only = proptest::sample::subsequence(Dataset::ALL.to_vec(), 0..=Dataset::ALL.len());
    (only, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(only, settings, isolated, script)| {
        ApplianceOptions {
            only: only.into_iter().collect::<BTreeSet<_>>(),
            settings,
            isolated,
            external_mysql_script: script.then(|| "/bin/restore".into()),
            ..ApplianceOptions::new("ghe")
        }
    })
}

fn at(plan: &RestorePlan, step: Step) -> Option<usize> {
    plan.steps.iter().position(|planned| planned.step == step)
}

proptest! {
    #[test]
    fn the_frame_stands_around_everything_and_host_keys_come_last(
        target in target(), content in content(), options in options()
    ) {
        let plan = plan(&target, &content, &options);
        prop_assert_eq!(at(&plan, Step::ClientStamp), Some(0));
        prop_assert_eq!(at(&plan, Step::StopSchedules), Some(1));
        let last = plan.steps.last().map(|planned| planned.step);
        let complete = at(&plan, Step::Complete).expect("every plan ends by saying so");
        if let Some(keys) = at(&plan, Step::SshHostKeys) {
            prop_assert!(keys == complete + 1 && keys + 1 == plan.steps.len());
        } else {
            prop_assert_eq!(last, Some(Step::Complete));
        }
    }

    #[test]
    fn no_step_is_planned_twice(target in target(), content in content(), options in options()) {
        let plan = plan(&target, &content, &options);
        for (number, planned) in plan.steps.iter().enumerate() {
            prop_assert_eq!(at(&plan, planned.step), Some(number));
        }
    }

    #[test]
    fn secrets_come_before_the_database_and_the_database_before_the_data(
        target in target(), content in content(), options in options()
    ) {
        let plan = plan(&target, &content, &options);
        let order = |before: Option<usize>, after: Option<usize>| match (before, after) {
            (Some(before), Some(after)) => before < after,
            _ => true,
        };
        let mysql = plan.steps.iter().position(|planned| matches!(planned.step, Step::Mysql(_)));
        prop_assert!(order(at(&plan, Step::Secrets), mysql));
        for data in [Step::Redis, Step::Repositories, Step::Storage, Step::Pages] {
            prop_assert!(order(mysql, at(&plan, data)), "{:?}", data);
        }
        prop_assert!(order(at(&plan, Step::Repositories), at(&plan, Step::ConfigApply)));
    }

    #[test]
    fn nothing_is_planned_that_the_snapshot_does_not_have_and_nothing_is_applied_to_a_fresh_appliance(
        target in target(), content in content(), options in options()
    ) {
        let plan = plan(&target, &content, &options);
        for (step, name) in [
            (Step::Repositories, "repositories"),
            (Step::Storage, "storage"),
            (Step::Redis, "redis.rdb"),
            (Step::Mssql, "mssql"),
            (Step::SshHostKeys, "ssh-host-keys.tar"),
            (Step::Settings, "settings.json"),
        ] {
            prop_assert!(at(&plan, step).is_none() || content.has(name), "{:?}", step);
        }
        if !target.configured {
            prop_assert!(at(&plan, Step::ConfigApply).is_none() && at(&plan, Step::NomadCleanup).is_none());
        }
        if plan.steps.iter().any(|planned| planned.step == Step::Mysql(Importer::Script)) {
            prop_assert!(content.external_database && options.external_mysql_script.is_some());
        }
    }

    #[test]
    fn what_was_not_chosen_or_is_kept_by_an_isolated_copy_is_not_touched(
        target in target(), content in content(), options in options()
    ) {
        let plan = plan(&target, &content, &options);
        for (dataset, step) in [
            (Dataset::Repositories, Step::Repositories),
            (Dataset::Gists, Step::Gists),
            (Dataset::Pages, Step::Pages),
            (Dataset::Uuid, Step::Uuid),
            (Dataset::Mssql, Step::Mssql),
            (Dataset::SshHostKeys, Step::SshHostKeys),
            (Dataset::AuthorizedKeys, Step::AuthorizedKeys),
        ] {
            let kept = options.isolated && isolated::LEFT_OUT.contains(&dataset);
            let chosen = options.only.is_empty() || options.only.contains(&dataset);
            prop_assert!(at(&plan, step).is_none() || (chosen && !kept), "{:?}", step);
        }
    }
}
