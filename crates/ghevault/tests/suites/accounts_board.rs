//! Notice boards in buckets: each account writes to its own, reads the other's, and deletes nothing; an administrator of one tampers.

use crate::{
    accounts::{self, Guard, TestBucket},
    operation_daemon::{daemon, end, until},
    support,
};
use ghevault_core::{seal::SealKey, witness::Note};
use std::time::Duration;
use support::{
    Desk,
    accounts::variable,
    boards::Apart,
    two::{finds, is_clean, public},
};

/// A desk with a vault in its folder, and the board of its account.
fn host(account: &str) -> (Desk, TestBucket, String) {
    let mut desk = Desk::with_vault();
    desk.use_aws("eu-central-1", &variable("GHEVAULT_TEST_S3_CREDENTIALS"), &format!("{account}-runner"));
    let bucket = TestBucket::new(&format!("board-{account}"), Guard::Versioned);
    let place = format!("s3:{}/{}/of-{account}", accounts::endpoint(), bucket.name);
    (desk, bucket, place)
}

/// Two accounts, and the bucket of the first one's board.
fn apart(seed: u64) -> (Apart, TestBucket, String) {
    let ((a, bucket, a_board), (b, _, b_board)) = (host("a"), host("b"));
    let theirs = format!("read:{a_board}");
    (Apart::new(seed, (a, a_board), (b, b_board)), bucket, theirs)
}

/// The checkpoints in a bucket, in their order.
fn notes(bucket: &TestBucket) -> Vec<String> {
    let is_note = |key: &String| key.rsplit_once('.').is_some_and(|(_, ending)| ending == "note");
    let mut notes: Vec<String> = bucket.keys().into_iter().filter(is_note).collect();
    notes.sort();
    notes
}

/// The first one.
fn note_of(bucket: &TestBucket) -> String {
    notes(bucket).into_iter().next().expect("a note")
}

/// A file of a bucket, as its administrator reads it.
fn read(bucket: &TestBucket, key: &str) -> String {
    bucket.wait(async {
        let got = TestBucket::client("admin").get_object().bucket(&bucket.name).key(key).send().await;
        let bytes = got.expect("a file").body.collect().await.expect("its text").into_bytes();
        String::from_utf8(bytes.to_vec()).expect("text")
    })
}

/// What an administrator puts there in its place.
fn write(bucket: &TestBucket, key: &str, text: String) {
    let admin = TestBucket::client("admin");
    let put = admin.put_object().bucket(&bucket.name).key(key).body(text.into_bytes().into());
    bucket.wait(put.send()).expect("written");
}

#[test]
fn each_account_writes_to_its_own_board_and_judges_the_other_one() {
    let (mut apart, bucket, theirs) = apart(91);
    apart.a_round_is_clean_and_writes_to_its_own_board_alone(&theirs);
    let both = [&theirs[..], &format!("read:{}", apart.b_board)];
    is_clean(apart.verify(&apart.a, both));
    // Without `read:` the other's board is one to write to, and its bucket refuses that.
    apart.a.run(&["witness", "publish", "--board", &apart.b_board]).exits(14).complains("AccessDenied");
    // Who may write cannot delete, and an administrator who can is found out.
    let note = note_of(&bucket);
    let delete = |profile: &str| {
        let client = TestBucket::client(profile);
        bucket.wait(client.delete_object().bucket(&bucket.name).key(&note).send()).is_ok()
    };
    assert!(!delete("a-runner"), "a runner deletes");
    is_clean(apart.verify(&apart.a, both));
    assert!(delete("admin"), "deleted");
    apart.what_is_gone_is_found(&theirs);
    finds(apart.verify(&apart.a, both), "silent");
    apart.b.set("AWS_PROFILE", "b-reader");
    let key = format!("{}=a", public(&apart.a));
    let look = ["witness", "verify", "--board", &theirs, "--key", &key];
    apart.b.run(&look).exits(14).complains("AccessDenied");
}

#[test]
fn a_note_that_an_administrator_writes_over_or_edits_is_found() {
    let (apart, bucket, theirs) = apart(92);
    let key = format!("{}=a", public(&apart.a));
    let look = || apart.b.run(&["witness", "verify", "--json", "--board", &theirs, "--key", &key]);
    is_clean(look());
    let note = note_of(&bucket);
    let good = read(&bucket, &note);
    write(&bucket, &note, good.replacen("time 2", "time 1", 1));
    finds(look(), "forged");
    write(&bucket, &note, good);
    is_clean(look());
    // Sheets as well: of what references pointed to nothing can be said without the key.
    is_clean(apart.round(&theirs));
    apart.compare(&theirs).exits(0);
    let sheet = bucket.keys().into_iter().find(|key| key.contains(".refs/")).expect("a sheet");
    write(&bucket, &sheet, "nothing".to_owned());
    apart.compare(&theirs).exits(13);
}

#[test]
fn notes_that_an_administrator_puts_in_the_place_of_others_are_told_apart() {
    let (apart, bucket, theirs) = apart(95);
    apart.a.run(&["backup", "--quiet"]).exits(0);
    apart.a.run(&["witness", "publish", "--quiet", "--board", &apart.a_board]).exits(0);
    is_clean(apart.round(&theirs));
    let key = format!("{}=a", public(&apart.a));
    let look = || apart.b.run(&["witness", "verify", "--json", "--board", &theirs, "--key", &key]);
    is_clean(look());
    let both = notes(&bucket);
    let [older, newer] = &both[..] else { panic!("{both:?}") };
    let good = read(&bucket, newer);
    write(&bucket, newer, read(&bucket, older));
    finds(look(), "swapped");
    // What another key signed, under that key's own name.
    let note = Note::parse(&good).expect("a note");
    let origin = note.body.lines().next().expect("an origin").to_owned();
    let forged = Note::sign(note.body, &origin, &SealKey::generate()).expect("signed");
    write(&bucket, newer, forged.text());
    finds(look(), "forged");
    write(&bucket, newer, good);
    is_clean(look());
    // The newest one taken away: a stranger sees a shorter history, who looked before has a copy.
    let admin = TestBucket::client("admin");
    bucket.wait(admin.delete_object().bucket(&bucket.name).key(newer).send()).expect("deleted");
    is_clean(look());
    finds(apart.round(&theirs), "removed");
}

#[test]
fn a_board_that_cannot_be_reached_is_an_error_and_the_backup_is_kept() {
    let (mut apart, _bucket, _) = apart(93);
    let gone = format!("s3:{}/board-b-nowhere/x", accounts::endpoint());
    apart.b.run(&["witness", "publish", "--board", &gone]).exits(10).complains("NoSuchBucket");
    let down = "s3:http://127.0.0.1:1/board-b-x/y";
    apart.b.run(&["witness", "publish", "--board", down]).exits(1).complains("127.0.0.1:1");
    apart.b.configure(&format!("[witness]\nboard = [\"{gone}\"]\n"));
    let done = apart.b.run(&["backup", "--json"]).exits(0).json();
    assert_eq!(done["outcome"], "complete");
    assert!(done["warnings"].to_string().contains("the boards were not told"), "{done}");
}

#[test]
fn a_daemon_goes_its_rounds_over_boards_in_buckets() {
    let (mut apart, _bucket, theirs) = apart(94);
    let config = format!(
        "[schedule]\nwitness = \"*/5 * * * * *\"\npulse = \"*/5 * * * * *\"\ncompare = \"*/5 * * * * *\"\n[daemon]\nlisten = \"none\"\n\
         [witness]\nboard = [\"{}\", \"{theirs}\"]\nkeys = [\"{}=a\"]\n",
        apart.b_board,
        public(&apart.a)
    );
    apart.b.configure(&config);
    let child = daemon(&apart.b);
    until(&apart.b, "\"result\":\"complete\"", 8, Duration::from_mins(2));
    end(child);
    let counts = apart.b.run(&["status", "--json"]).exits(0).json()["counts"].clone();
    for task in ["witness", "pulse", "compare"] {
        assert!(counts[task]["complete"].as_u64() >= Some(1), "{task}: {counts}");
        assert!(counts[task]["failed"].is_null() && counts[task]["damage"].is_null(), "{task}: {counts}");
    }
}
