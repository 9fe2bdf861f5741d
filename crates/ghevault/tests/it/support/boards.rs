//! Two vaults whose boards each host alone writes to, while the other one reads.

use super::{
    Desk, Done, appliance,
    two::{finds, is_clean, public},
};
use ghevault_sim::harness::Appliance;

/// Two vaults of an appliance, each with a board of its own.
pub struct Apart {
    /// The first vault.
    pub a: Desk,
    /// The second one.
    pub b: Desk,
    /// The board of the first one, as it names it.
    pub a_board: String,
    /// The board of the second one, as it names it.
    pub b_board: String,
    /// What both back up.
    pub appliance: Appliance,
    _folder: tempfile::TempDir,
}

impl Apart {
    /// One snapshot each, published by the backup itself.
    pub fn new(seed: u64, (mut a, a_board): (Desk, String), (mut b, b_board): (Desk, String)) -> Self {
        let (mut appliance, folder) = appliance(seed);
        a.trust(&mut appliance);
        b.set("GHEVAULT_HOST", &a.host());
        b.set("GHEVAULT_SSH_KEY", &format!("file:{}", appliance.client_key().display()));
        b.run(&["trust", "--accept", &appliance.host_key().expect("a host key")]).exits(0);
        let apart = Self { a, b, a_board, b_board, appliance, _folder: folder };
        for (desk, board) in [(&apart.a, &apart.a_board), (&apart.b, &apart.b_board)] {
            desk.run(&["backup", "--quiet"]).exits(0);
            desk.run(&["witness", "publish", "--quiet", "--board", board]).exits(0);
        }
        apart
    }

    /// A round of B: its own board, and A's as B reads it.
    pub fn round(&self, theirs: &str) -> Done {
        let key = format!("{}=other", public(&self.a));
        let arguments =
            ["witness", "run", "--json", "--board", &self.b_board, "--board", theirs, "--key", &key];
        self.b.run(&arguments)
    }

    /// B's comparison with what A published.
    pub fn compare(&self, theirs: &str) -> Done {
        let key = format!("{}=other", public(&self.a));
        self.b.run(&["compare", "--json", "--clock-slack", "0", "--board", theirs, "--key", &key])
    }

    /// Whoever has both public keys and may read, as `reader`, judges both boards.
    pub fn verify(&self, reader: &Desk, boards: [&str; 2]) -> Done {
        let keys = [format!("{}=a", public(&self.a)), format!("{}=b", public(&self.b))];
        reader.run(&[
            "witness", "verify", "--json", "--board", boards[0], "--board", boards[1], "--key", &keys[0],
            "--key", &keys[1],
        ])
    }

    /// What holds on boards of any kind: rounds of both without a finding, nothing written to the other's board, and what somebody who
    /// rewrites a branch and puts it back shows to a pulse. `theirs` is how B reads A's board.
    pub fn a_round_is_clean_and_writes_to_its_own_board_alone(&self, theirs: &str) {
        for _ in 0..2 {
            self.b.run(&["backup", "--quiet"]).exits(0);
            let done = self.round(theirs).exits(0).json();
            let created = done["created"].as_array().expect("files");
            assert!(!created.is_empty(), "{done}");
            let ours = self.b_board.rsplit('/').next().expect("a name");
            let all_ours = created.iter().all(|one| one.as_str().is_some_and(|one| one.contains(ours)));
            assert!(all_ours, "{done}");
            is_clean(self.round(theirs));
        }
        self.b.run(&["witness", "pulse", "--quiet", "--board", &self.b_board, "--board", theirs]).exits(0);
        self.compare(theirs).exits(0);
        self.b.run(&["witness", "publish", "--board", theirs]).exits(2).complains("read only");
    }

    /// After something was taken off A's board, B has a copy of it.
    pub fn what_is_gone_is_found(&self, theirs: &str) {
        finds(self.round(theirs), "removed");
    }
}

/// Two desks with a folder each as their board: `of-a` and `of-b` in the folder that is returned.
pub fn in_folders(seed: u64) -> (Apart, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let board = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).expect("a board");
        format!("dir:{}", path.display())
    };
    (Apart::new(seed, (Desk::with_vault(), board("of-a")), (Desk::with_vault(), board("of-b"))), folder)
}
