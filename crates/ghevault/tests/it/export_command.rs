//! `export`: a directory that backup-utils takes for one of its own.

use crate::support;
use std::fs;
use support::{Desk, appliance};

#[test]
fn an_export_has_the_layout_of_backup_utils() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.run(&["backup", "--quiet"]).exits(0);
    let json = desk.run(&["export", "latest", "data", "--json"]).exits(0).json();
    let folder = std::path::PathBuf::from(json["path"].as_str().expect("a path"));
    let folder = desk.path("data").join(folder.file_name().expect("a name"));
    for name in ["version", "strategy", "mysql.sql.gz", "redis.rdb", "repositories", "settings.json", "uuid"]
    {
        assert!(folder.join(name).exists(), "{name}");
    }
    assert!(!folder.join("incomplete").exists() && !folder.join("ghevault").exists());
    let current = fs::read_link(desk.path("data/current")).expect("a link");
    assert_eq!(Some(current.as_os_str()), folder.file_name());
    desk.run(&["export", "latest", "data"]).exits(14).complains("exists already").complains("--name");
    desk.run(&["export", "latest", "data", "--name", "../out"]).exits(2);
}
