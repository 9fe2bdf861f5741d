//! The MySQL database (contract §5.5).

use std::{
    io::{BufWriter, Write},
    path::Path,
    process::{Command, Stdio},
};

use flate2::{Compression, write::GzEncoder};

use super::super::{
    cluster::{Cluster, Machine},
    content::ChainMember,
    error::StepError,
    plan::Importer,
    remote::Remote,
    report::Done,
    run::Scene,
};
use crate::appliance::quote::quote;

/// List of the incremental dumps that the appliance applies after the full one, oldest first (contract §5.5).
const INCREMENTALS: &str = "/tmp/incremental-backup-files.txt";

/// Uploads the dump compressed, checks its size, and imports it with the importer of the plan.
pub fn restore(scene: &Scene<'_>, importer: Importer) -> Result<Done, StepError> {
    if importer == Importer::Script {
        return external(scene);
    }
    let dump = scene.content.dump.as_ref().ok_or_else(|| StepError::Missing("mysql.sql".into()))?;
    // The logical importers find the master by themselves, the binary one runs on it (contract §5.5).
    let master = scene.cluster.filter(|_| matches!(importer, Importer::Binary { .. }));
    let master = master.and_then(Cluster::mysql_master).map(Machine::remote);
    let remote = master.as_ref().unwrap_or(scene.remote);
    let (folder, file) = (scene.data("tmp"), scene.data("tmp/mysql.sql.gz"));
    remote.ask("make the upload folder", &format!("sudo mkdir -p {}", quote(&folder)))?;
    let (full, later) = match (&scene.content.mysql_chain[..], importer) {
        ([full, later @ ..], Importer::Binary { .. }) => (full.mysql.as_str(), later),
        _ => (dump.file, &[][..]),
    };
    let outcome = incrementals(scene, remote, later).and_then(|bytes| {
        let sent = upload(scene, remote, full, &file)?;
        remote.work("import MySQL", &script(importer, &file), &[])?;
        Ok(Done::one(bytes + sent))
    });
    let mut left = vec![quote(&file)];
    if !later.is_empty() {
        left.push(quote(INCREMENTALS));
        left.extend(later.iter().map(|member| quote(&scene.data(&format!("tmp/{}", member.snapshot)))));
    }
    let removed = remote.ask("remove the upload", &format!("sudo rm -rf {}", left.join(" ")));
    let done = outcome?;
    removed?;
    Ok(done)
}

/// Puts a dump of the snapshot on the appliance; plain SQL is compressed on its way. Returns the bytes that were sent.
fn upload(scene: &Scene<'_>, remote: &Remote<'_>, from: &str, to: &str) -> Result<u64, StepError> {
    let plain = from == "mysql.sql";
    remote.upload(scene.view, from, to, |dump, feed| {
        if !plain {
            return dump(feed);
        }
        let mut packed = GzEncoder::new(BufWriter::new(feed), Compression::fast());
        dump(&mut packed)?;
        let stream = |source| StepError::Stream { label: "upload mysql.sql".into(), source };
        packed.finish().and_then(|mut out| out.flush()).map_err(stream)
    })
}

/// Uploads the incremental dumps and the list of them; the import of the full one then applies them.
fn incrementals(scene: &Scene<'_>, remote: &Remote<'_>, later: &[ChainMember]) -> Result<u64, StepError> {
    let mut bytes = 0;
    for member in later {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if member.snapshot.is_empty()
            || member.snapshot.starts_with('.')
            || !member.snapshot.chars().all(plain)
        {
            let what = format!("names the snapshot `{}`", member.snapshot);
            return Err(StepError::Answer { label: "ghevault/mysql-chain.json".into(), what });
        }
        let folder = scene.data(&format!("tmp/{}", member.snapshot));
        remote.ask("make the upload folder", &format!("sudo mkdir -p {}", quote(&folder)))?;
        bytes += upload(scene, remote, &member.mysql, &format!("{folder}/mysql.sql.gz"))?;
    }
    if !later.is_empty() {
        let mut list = later.iter().map(|member| member.snapshot.as_str()).collect::<Vec<_>>().join("\n");
        list.push('\n');
        let script = format!("sudo dd of={} 2>/dev/null", quote(INCREMENTALS));
        remote.told("list the incremental dumps", &script, list.as_bytes())?;
    }
    Ok(bytes)
}

/// Runs the user's own program for an external database, then waits until the appliance reaches the database.
fn external(scene: &Scene<'_>) -> Result<Done, StepError> {
    let program = scene.options.external_mysql_script.as_deref().unwrap_or(Path::new(""));
    let label = format!("restore the external database with `{}`", program.display());
    let output = Command::new(program)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| StepError::Stream { label: label.clone(), source })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        return Err(StepError::Answer { label, what: format!("{}: {last}", output.status) });
    }
    scene.remote.work("wait for MySQL", "/usr/local/share/enterprise/ghe-service-wait-mysql", &[])?;
    Ok(Done::default())
}

fn script(importer: Importer, file: &str) -> String {
    let file = quote(file);
    let import = match importer {
        Importer::Logical => "unpigz | ghe-import-mysql-mysqldump",
        Importer::Legacy => "unpigz | ghe-import-mysql",
        Importer::Binary { wrapped: true } => "unpigz | ghe-import-mysql-xtrabackup",
        Importer::Binary { wrapped: false } => "ghe-import-mysql-xtrabackup",
        Importer::Script => "true",
    };
    format!("set -o pipefail; sudo cat {file} | {import}")
}

#[cfg(test)]
mod tests {
    use super::{Importer, script};

    #[test]
    fn each_kind_of_dump_has_its_importer() {
        let file = "/data/user/tmp/mysql.sql.gz";
        let start = "set -o pipefail; sudo cat /data/user/tmp/mysql.sql.gz | ";
        let end =
            |importer| script(importer, file).strip_prefix(start).map(str::to_owned).unwrap_or_default();
        assert_eq!(end(Importer::Legacy), "unpigz | ghe-import-mysql");
        assert_eq!(end(Importer::Logical), "unpigz | ghe-import-mysql-mysqldump");
        assert_eq!(end(Importer::Binary { wrapped: true }), "unpigz | ghe-import-mysql-xtrabackup");
        assert_eq!(end(Importer::Binary { wrapped: false }), "ghe-import-mysql-xtrabackup");
    }
}
