//! The witness without a vault: what any change to a board's files, and to what is signed, leads to.

use super::*;
use crate::seal::SealKey;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const ORIGIN_VAULT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn key(byte: u8) -> SealKey {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode([byte; 32]);
    SealKey::from_text(&text).expect("a key")
}

fn public(byte: u8) -> PublicKey {
    PublicKey::parse(&key(byte).public()).expect("a key")
}

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + hour * 3600).expect("a time")
}

fn hash(of: &str) -> String {
    hex::encode(Sha256::digest(of))
}

/// Seals of one backup each hour; `branch` makes others from a place on.
fn entries(count: usize, branch: &str, from: usize) -> Vec<Entry> {
    let name = |place: usize| if place >= from { format!("{branch}{place}") } else { place.to_string() };
    (0..count)
        .map(|place| Entry {
            hash: hash(&name(place)),
            previous: place.checked_sub(1).map(|before| hash(&name(before))),
            started: hour(i64::try_from(place).expect("a small number")),
            ended: Some(hour(i64::try_from(place).expect("a small number")) + SignedDuration::from_mins(10)),
            key: key(1).public(),
        })
        .collect()
}

fn checkpoint(all: &[Entry], after: usize, size: usize) -> Checkpoint {
    let log = Log::of(&all[..size]);
    Checkpoint {
        origin: origin(ORIGIN_VAULT, &public(1)),
        size,
        root: log.root(),
        time: hour(i64::try_from(size).expect("a small number") - 1) + SignedDuration::from_mins(20),
        after: (after, log.root_at(after).expect("smaller")),
        entries: all[after..size].to_vec(),
    }
}

fn file(checkpoint: &Checkpoint, by: u8) -> BoardFile {
    let name = FileName::note(checkpoint.size, &checkpoint.root);
    BoardFile { name, text: checkpoint.sign(&key(by)).expect("signed").text() }
}

fn cosigned(checkpoint: &Checkpoint, by: u8) -> BoardFile {
    let name = FileName::cosigned(checkpoint.size, &checkpoint.root, &public(by).short());
    let note = checkpoint.sign(&key(1)).and_then(|note| note.cosign(&key(by), &public(by), checkpoint.time));
    BoardFile { name, text: note.expect("signed").text() }
}

/// A board with a note for each of these sizes.
fn board(all: &[Entry], sizes: &[usize]) -> Vec<BoardFile> {
    let before = std::iter::once(0).chain(sizes.iter().copied());
    before.zip(sizes).map(|(after, size)| file(&checkpoint(all, after, *size), 1)).collect()
}

fn judged(files: &[BoardFile]) -> Judged {
    let origin = origin(ORIGIN_VAULT, &public(1));
    judge("dir:/b", &origin, files, &public(1), &[public(1), public(2)], hour(1000))
}

fn kinds(files: &[BoardFile]) -> Vec<FindingKind> {
    judged(files).findings.iter().map(|finding| finding.kind).collect()
}

#[test]
fn a_board_that_only_grew_has_no_finding() {
    let all = entries(9, "", 0);
    let mut files = board(&all, &[1, 4, 9]);
    files.push(cosigned(&checkpoint(&all, 1, 4), 2));
    let judged = judged(&files);
    assert_eq!(judged.findings, []);
    assert_eq!((judged.log.size(), judged.remarks.len()), (9, 0));
}

#[test]
fn two_hosts_that_publish_at_once_make_no_fork() {
    let all = entries(6, "", 0);
    let mut files = board(&all, &[2, 6]);
    files.push(file(&checkpoint(&all, 2, 5), 1));
    assert_eq!(kinds(&files), []);
}

#[test]
fn a_fork_is_found_even_if_both_sides_are_signed() {
    let mut files = board(&entries(5, "", 0), &[2, 5]);
    files.push(file(&checkpoint(&entries(4, "other", 3), 2, 4), 1));
    assert_eq!(kinds(&files), [FindingKind::Fork]);
}

#[test]
fn a_note_of_another_key_is_forged() {
    let mut files = board(&entries(3, "", 0), &[2]);
    files.push(file(&checkpoint(&entries(3, "", 0), 2, 3), 3));
    assert_eq!(kinds(&files), [FindingKind::Forged]);
}

#[test]
fn a_note_that_stands_only_as_a_cosigned_copy_was_removed() {
    let all = entries(4, "", 0);
    let mut files = board(&all, &[2]);
    files.push(cosigned(&checkpoint(&all, 2, 4), 2));
    let judged = judged(&files);
    assert_eq!(judged.findings.iter().map(|one| one.kind).collect::<Vec<_>>(), [FindingKind::Removed]);
    assert_eq!(judged.log.size(), 4, "the copy proves what was there");
}

#[test]
fn a_seal_that_appears_late_is_back_dated() {
    let mut all = entries(4, "", 0);
    let mut late = checkpoint(&all, 3, 4);
    late.entries[0].ended = Some(hour(0));
    late.entries[0].started = hour(0);
    all[3] = late.entries[0].clone();
    late.root = Log::of(&all).root();
    let mut files = board(&all, &[3]);
    files.push(file(&late, 1));
    assert!(kinds(&files).contains(&FindingKind::BackDated));
}

#[test]
fn a_checkpoint_before_the_one_that_it_follows_is_back_dated() {
    let all = entries(4, "", 0);
    let mut files = board(&all, &[3]);
    let mut late = checkpoint(&all, 3, 4);
    late.time = hour(0);
    files.push(file(&late, 1));
    assert!(kinds(&files).contains(&FindingKind::BackDated));
}

#[test]
fn a_chain_that_leaves_out_a_published_seal_is_a_fork() {
    let mut all = entries(4, "", 0);
    all[3].previous = Some(all[1].hash.clone());
    assert_eq!(kinds(&board(&all, &[3, 4])), [FindingKind::Fork]);
}

#[test]
fn a_seal_that_follows_one_that_was_never_shown_is_found() {
    let mut all = entries(4, "", 0);
    all[3].previous = Some(hash("hidden"));
    assert_eq!(kinds(&board(&all, &[3, 4])), [FindingKind::Removed]);
}

#[test]
fn a_board_that_shows_less_than_before_is_rolled_back() {
    let all = entries(6, "", 0);
    let now = judged(&board(&all, &[2, 6]));
    let mut memory = Memory::default();
    memory.see(&now.board, &now.origin, &now.log, hour(7));
    let kind = |files: &[BoardFile]| memory.compare(&judged(files)).map(|finding| finding.kind);
    assert_eq!(kind(&board(&all, &[2, 6])), None);
    assert_eq!(kind(&board(&entries(8, "", 0), &[2, 6, 8])), None);
    assert_eq!(kind(&board(&all, &[2])), Some(FindingKind::Rollback));
    assert_eq!(kind(&[]), Some(FindingKind::Rollback));
    assert_eq!(kind(&board(&entries(7, "x", 4), &[7])), Some(FindingKind::Fork));
}

#[test]
fn an_emptied_board_does_not_make_the_memory_shorter() {
    let all = entries(6, "", 0);
    let mut memory = Memory::default();
    memory.see("b", "o", &Log::of(&all), hour(7));
    memory.see("b", "o", &Log::of(&all[..2]), hour(8));
    assert_eq!(memory.logs("o").map(|log| log.size()).collect::<Vec<_>>(), [6]);
}

#[test]
fn a_vault_that_lost_a_snapshot_without_a_record_is_found() {
    let all = entries(5, "", 0);
    let by_hash = |entries: &[Entry]| entries.iter().map(|one| (one.hash.clone(), one.clone())).collect();
    let mut standing = own::Standing { sealed: by_hash(&all), ..own::Standing::default() };
    let compare = |standing: &own::Standing| {
        let findings = standing.compare("o", &key(1).public(), &Log::of(&all[..4]), Some(hour(4)));
        findings.iter().map(|finding| finding.kind).collect::<Vec<_>>()
    };
    assert_eq!(compare(&standing), []);
    assert_eq!(standing.news(&Log::of(&all[..3])), all[3..]);
    let gone = standing.sealed.remove(&all[1].hash).expect("there");
    assert_eq!(compare(&standing), [FindingKind::Removed]);
    standing.forgotten.insert(gone.hash.clone(), Entry { ended: None, ..gone.clone() });
    assert_eq!(compare(&standing), [], "a record explains it");
    standing.forgotten.insert(gone.hash.clone(), Entry { previous: Some(hash("x")), ..gone });
    assert_eq!(compare(&standing), [FindingKind::Swapped]);
}

#[test]
fn the_example_in_the_documentation_is_what_this_release_writes() {
    let first = checkpoint(&entries(2, "", 0), 0, 2);
    let page = include_str!("../../../../docs/design/witness.md");
    let text = first
        .sign(&key(1))
        .and_then(|note| note.cosign(&key(2), &public(2), hour(2)))
        .expect("signed")
        .text();
    assert!(page.contains(&text), "the page has another example than:\n{text}");
    assert!(page.contains(&key(1).public()) && page.contains(&key(2).public()));
}

/// Ascending sizes of 1 to 12.
fn sizes() -> impl Strategy<Value = Vec<usize>> {
    proptest::sample::subsequence((1..=12).collect::<Vec<usize>>(), 2..=6)
}

proptest! {
    #[test]
    fn no_growth_is_a_finding(sizes in sizes()) {
        prop_assert_eq!(kinds(&board(&entries(12, "", 0), &sizes)), []);
    }

    #[test]
    fn any_edited_byte_is_found(sizes in sizes(), which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(), byte in 0_u8..128) {
        let mut files = board(&entries(12, "", 0), &sizes);
        files.push(cosigned(&checkpoint(&entries(12, "", 0), 0, sizes[0]), 2));
        let which = which.index(files.len());
        let mut bytes = files[which].text.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        files[which].text = String::from_utf8_lossy(&bytes).into_owned();
        prop_assert!(!kinds(&files).is_empty());
    }

    #[test]
    fn any_note_removed_from_the_middle_is_found(sizes in sizes(), which in any::<prop::sample::Index>()) {
        let mut files = board(&entries(12, "", 0), &sizes);
        files.remove(which.index(sizes.len() - 1));
        prop_assert!(kinds(&files).contains(&FindingKind::Removed));
    }

    #[test]
    fn any_note_removed_is_found_by_one_who_saw_it(sizes in sizes(), which in any::<prop::sample::Index>()) {
        let mut files = board(&entries(12, "", 0), &sizes);
        let before = judged(&files);
        let mut memory = Memory::default();
        memory.see(&before.board, &before.origin, &before.log, hour(13));
        files.remove(which.index(sizes.len()));
        let after = judged(&files);
        prop_assert!(!after.findings.is_empty() || memory.compare(&after).is_some());
    }

    #[test]
    fn any_two_notes_that_changed_places_are_found(sizes in sizes(), a in any::<prop::sample::Index>(),
        b in any::<prop::sample::Index>()) {
        let mut files = board(&entries(12, "", 0), &sizes);
        let (a, b) = (a.index(files.len()), b.index(files.len()));
        prop_assume!(a != b);
        let text = files[a].text.clone();
        files[a].text = std::mem::replace(&mut files[b].text, text);
        prop_assert_eq!(kinds(&files).iter().filter(|kind| **kind == FindingKind::Swapped).count(), 2);
    }

    /// The owner of the key signs another history: leaves out an entry, changes places of two, or changes one.
    #[test]
    fn any_history_that_was_rewritten_and_signed_again_is_found(seen in 2_usize..12, at in any::<prop::sample::Index>(),
        how in 0..3) {
        let all = entries(12, "", 0);
        let at = at.index(seen);
        let mut other = all.clone();
        match how {
            0 => drop(other.remove(at)),
            1 => other.swap(at, (at + 1) % seen),
            _ => other[at].started += SignedDuration::from_mins(1),
        }
        let mut files = board(&all, &[seen]);
        files.push(file(&checkpoint(&other, 0, 11), 1));
        prop_assert!(kinds(&files).contains(&FindingKind::Fork));
    }

    #[test]
    fn no_text_makes_the_parsers_fall(text in "\\PC*", lines in prop::collection::vec("[ -~—]{0,80}", 0..12)) {
        for text in [text, lines.join("\n") + "\n\n— a AAAAAAAA\n"] {
            let _ = Note::parse(&text).map(|note| Checkpoint::parse(&note.body));
            let _ = (Entry::parse(&text), FileName::parse(&text), PublicKey::parse(&text));
        }
    }
}

#[test]
fn what_a_witness_saw_on_a_board_that_it_may_not_write_to_stands_on_its_own_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |place: String| open_board(&place, &crate::vault::S3Settings::default()).expect("a board");
    let path = |name: &str| folder.path().join(name).display().to_string();
    for name in ["theirs", "late", "ours"] {
        std::fs::create_dir(path(name)).expect("a board");
    }
    let boards: Vec<Box<dyn Board>> = vec![
        open(format!("read:{}", path("theirs"))),
        open(format!("read:{}", path("late"))),
        open(path("ours")),
    ];
    let (all, name) = (entries(4, "", 0), origin(ORIGIN_VAULT, &public(1)));
    for file in board(&all, &[2, 4]) {
        open(path("theirs")).create(&name, &file.name, &file.text).expect("hung up");
    }
    open(path("late"))
        .create(&name, &board(&all, &[2])[0].name, &board(&all, &[2])[0].text)
        .expect("hung up");
    let look = |at: usize| judged(&shown(&boards, &*boards[at], &name, &public(1)).expect("read"));
    let kinds = |at: usize| look(at).findings.iter().map(|one| one.kind).collect::<Vec<_>>();
    let sign = |judged: &Judged| {
        cosign(&*boards[0], &boards, judged, &key(2), &mut Memory::default(), hour(5)).expect("signed").files
    };
    assert!(look(0).newest().expect("one").cosigned.is_empty());

    let newest = checkpoint(&all, 2, 4);
    let copy = FileName::cosigned(4, &newest.root, &public(2).short());
    assert_eq!(sign(&look(0)), [(boards[2].place(), format!("{name}.seen"), copy)]);
    assert_eq!(sign(&look(0)), []);
    let cosigned = look(0).newest().expect("one").cosigned.clone();
    assert_eq!(cosigned.into_iter().collect::<Vec<_>>(), [(public(2).text, hour(5))]);
    assert_eq!(
        (kinds(0), kinds(1), kinds(2)),
        (vec![], vec![], vec![]),
        "a board that is behind lost nothing"
    );

    // Who does not have the origin's key adds nothing to what it is said to have shown.
    let forged = checkpoint(&entries(6, "", 0), 4, 6);
    let (lie, text) = (FileName::cosigned(6, &forged.root, &public(2).short()), file(&forged, 2).text);
    boards[2].create(&format!("{name}.seen"), &lie, &text).expect("hung up");
    assert_eq!(kinds(0), []);

    std::fs::remove_file(folder.path().join("theirs").join(&name).join(FileName::note(4, &newest.root)))
        .expect("taken off");
    assert_eq!(kinds(0), [FindingKind::Removed]);
    assert!(!is_origin(&format!("{name}.seen")) && !is_origin(&format!("{name}.refs")) && is_origin(&name));
}
