//! A notice board that a daemon of another host serves; servers in its place that are no board.

use crate::support;
use std::{fs, io::Write, net::TcpStream};
use support::{
    Desk, Done,
    boards::in_folders,
    daemon::{Daemon, get},
    two::{Two, finds, is_clean, origin_folder, public},
    wire::{Answer, Wire, liar},
};

/// A daemon of a desk with this configuration.
fn started(desk: &mut Desk, text: &str) -> Daemon {
    desk.configure(text);
    Daemon::start(desk)
}

fn verify(place: &str, key: &str) -> Done {
    Desk::new().run(&["witness", "verify", "--json", "--board", place, "--key", key])
}

#[test]
fn a_daemon_serves_its_board_and_the_daemon_of_another_host_witnesses_and_compares_over_it() {
    let mut two = Two::new(41);
    let key_a = format!("{}=a", public(&two.a));
    let yearly = "[schedule]\nbackup = \"0 0 1 1 *\"\n[daemon]\nlisten = \"127.0.0.1:0\"\n";
    let text = format!("{yearly}[witness]\nboard = [\"{}\"]\n", two.place());
    let mut serving = started(&mut two.a, &text);
    let line = serving.until(&["serving the status page"]);
    let board = format!("http://{}/board", line["fields"]["address"].as_str().expect("an address"));
    is_clean(verify(&board, &key_a));
    // B has a board of its own beside the served one
    let own = format!("dir:{}", two.b.path("own").display());
    fs::create_dir(two.b.path("own")).expect("a folder");
    is_clean(two.b.run(&["witness", "run", "--json", "--board", &own, "--board", &board, "--key", &key_a]));
    two.b.run(&["compare", "--board", &board, "--key", &key_a]).exits(0);
    two.b.run(&["witness", "publish", "--board", &board]).exits(2).complains("read only");
    let text = format!(
        "[schedule]\nbackup = \"0 0 1 1 *\"\nwitness = \"* * * * * *\"\ncompare = \"* * * * * *\"\n[witness]\nboard = [\"{own}\", \
         \"{board}\"]\nkeys = [\"{key_a}\"]\n"
    );
    let mut looking = started(&mut two.b, &text);
    for task in ["\"task\":\"witness\"", "\"task\":\"compare\""] {
        let ended = looking.until(&["\"ended\"", task]);
        assert_eq!(ended["fields"]["result"], "complete", "{ended}");
    }
    drop(looking);
    // what was taken off a served board is told of by whoever has a copy of it
    let note = two.files(&two.a, "note").pop().expect("a note");
    fs::remove_file(&note).expect("removed");
    for copy in two.files(&two.a, "cosigned") {
        fs::remove_file(copy).expect("removed");
    }
    two.b.unset("GHEVAULT_CONFIG");
    let round = ["witness", "run", "--json", "--board", &own, "--board", &board, "--key", &key_a];
    finds(two.b.run(&round), "removed");
    drop(serving);
    two.b.run(&round).exits(1).complains("refused");
}

/// A server that answers every request with these bytes, and goes on as `then` says.
fn server(answer: &'static str, then: fn(TcpStream)) -> String {
    format!("{}/board", liar(answer, then))
}

/// Zeros until nobody reads them.
fn zeros(mut stream: TcpStream) {
    let some = vec![b'0'; 1 << 20];
    while stream.write_all(&some).is_ok() {}
}

#[test]
fn a_server_that_is_no_board_is_an_error_and_one_that_lies_a_finding() {
    let key = public(&Desk::with_vault());
    let short = ghevault_core::witness::PublicKey::parse(&key).expect("a key").short();
    let fails = |place: &str, word: &str| {
        Desk::new().run(&["witness", "verify", "--board", place, "--key", &key]).exits(1).complains(word);
    };
    fails("http://127.0.0.1:1/board", "refused");
    fails(&server("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", drop), "404");
    fails(&server("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", drop), "500");
    // somebody else's address is not asked: who is trusted there was never said
    let elsewhere = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/board/\r\ncontent-length: 0\r\n\r\n";
    fails(&server(elsewhere, drop), "302");
    fails(
        &server("HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\nghevault", drop),
        "board",
    );
    fails(&server("no protocol at all\r\n\r\n", drop), "board");
    fails(&server("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", zeros), "length limit");
    // every path is the same text: a folder that leads out, and a name of this key with a note that is none
    let lie: &'static str = Box::leak(
        format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n../../etc\nghevault.x.{short}\n00000001-{}.note\n",
            "0".repeat(64)
        )
        .into_boxed_str(),
    );
    finds(verify(&server(lie, drop), &key), "edited");
    finds(verify(&server("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", drop), &key), "silent");
}

#[test]
fn the_board_of_a_daemon_is_read_and_what_it_answers_is_not_believed() {
    let (mut apart, folder) = in_folders(42);
    let config = format!(
        "[schedule]\nbackup = \"0 0 1 1 *\"\n[daemon]\nlisten = \"127.0.0.1:0\"\n[witness]\nboard = [\"{}\"]\n",
        apart.a_board
    );
    let mut daemon = started(&mut apart.a, &config);
    let serving = daemon.until(&["serving the status page"]);
    let address = serving["fields"]["address"].as_str().expect("an address").to_owned();
    let theirs = format!("http://{address}/board");
    apart.a_round_is_clean_and_writes_to_its_own_board_alone(&theirs);
    // Somebody between shows an older board, another's words, nothing, or far too much.
    let key = format!("{}=a", public(&apart.a));
    let look = |place: &str| apart.b.run(&["witness", "verify", "--json", "--board", place, "--key", &key]);
    is_clean(look(&theirs));
    let edited = Wire::start(move |request| {
        let path = request.path.trim_start_matches("/board");
        let text = fetched(&address, &format!("/board{path}"));
        let text = if path.contains(".note") { text.replacen("time 2", "time 1", 1) } else { text };
        Answer::Say(200, "text/plain", text)
    });
    finds(look(&format!("{}/board", edited.url)), "forged");
    let elsewhere =
        Wire::start(|_| Answer::SayWith(302, ("location", "http://127.0.0.1:9/".into()), String::new()));
    look(&format!("{}/board", elsewhere.url)).exits(1).complains("it answers 302");
    let page = Wire::start(|_| Answer::Say(200, "text/html", "<html>sign in</html>".into()));
    finds(look(&format!("{}/board", page.url)), "silent");
    look(&format!("{}/board", liar("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nghe", |_| ()))).exits(1);
    look("http://127.0.0.1:1/board").exits(1).complains("127.0.0.1:1");
    fs::remove_dir_all(origin_folder(&folder.path().join("of-a"), &apart.a)).expect("removed");
    apart.what_is_gone_is_found(&theirs);
    drop(daemon);
    // That the other's board is away keeps nobody from the own one.
    apart.b.run(&["backup", "--quiet"]).exits(0);
    let notes = || origin_folder(&folder.path().join("of-b"), &apart.b).read_dir().expect("notes").count();
    let before = notes();
    apart.round(&theirs).exits(1).complains(&theirs);
    assert_eq!(notes(), before + 1);
}

/// What a daemon answers.
fn fetched(address: &str, path: &str) -> String {
    let answer = get(address, path);
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}
