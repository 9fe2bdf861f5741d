//! The MySQL database (contract §5.5).

use std::io::{BufWriter, Write};

use flate2::{Compression, write::GzEncoder};

use super::super::{
    cluster::{Cluster, Machine},
    error::StepError,
    plan::Importer,
    report::Done,
    run::Scene,
};
use crate::appliance::quote::quote;

/// Uploads the dump compressed, checks its size, and imports it with the importer of the plan.
pub fn restore(scene: &Scene<'_>, importer: Importer) -> Result<Done, StepError> {
    let dump = scene.content.dump.as_ref().ok_or_else(|| StepError::Missing("mysql.sql".into()))?;
    // The logical importers find the master by themselves, the binary one runs on it (contract §5.5).
    let master = scene.cluster.filter(|_| matches!(importer, Importer::Binary { .. }));
    let master = master.and_then(Cluster::mysql_master).map(Machine::remote);
    let remote = master.as_ref().unwrap_or(scene.remote);
    let (folder, file) = (scene.data("tmp"), scene.data("tmp/mysql.sql.gz"));
    remote.ask("make the upload folder", &format!("sudo mkdir -p {}", quote(&folder)))?;
    let plain = dump.file == "mysql.sql";
    let outcome = remote
        .upload(scene.view, dump.file, &file, |dump, feed| {
            if !plain {
                return dump(feed);
            }
            let mut packed = GzEncoder::new(BufWriter::new(feed), Compression::fast());
            dump(&mut packed)?;
            let stream = |source| StepError::Stream { label: "upload mysql.sql".into(), source };
            packed.finish().and_then(|mut out| out.flush()).map_err(stream)
        })
        .and_then(|_| {
            remote.work("import MySQL", &script(importer, &file), &[])?;
            Ok(Done::one(dump.bytes))
        });
    let removed = remote.ask("remove the upload", &format!("sudo rm -f {}", quote(&file)));
    let done = outcome?;
    removed?;
    Ok(done)
}

fn script(importer: Importer, file: &str) -> String {
    let file = quote(file);
    let import = match importer {
        Importer::Logical => "unpigz | ghe-import-mysql-mysqldump",
        Importer::Legacy => "unpigz | ghe-import-mysql",
        Importer::Binary { wrapped: true } => "unpigz | ghe-import-mysql-xtrabackup",
        Importer::Binary { wrapped: false } => "ghe-import-mysql-xtrabackup",
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
