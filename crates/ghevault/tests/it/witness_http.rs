//! A notice board that a daemon of another host serves; servers in its place that are no board.

use crate::support;
use std::{
    io::{Read, Write},
    net::TcpListener,
};
use support::{
    Desk, Done,
    daemon::Daemon,
    two::{Two, finds, is_clean, public},
};

/// A daemon of a desk with this configuration.
fn started(desk: &mut Desk, text: &str) -> Daemon {
    let config = desk.write("g.toml", text);
    desk.set("GHEVAULT_CONFIG", &config.display().to_string());
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
    std::fs::create_dir(two.b.path("own")).expect("a folder");
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
    // a served board that shows less than before is told of by whoever saw more
    let note = two.files(&two.a, "note").pop().expect("a note");
    std::fs::remove_file(&note).expect("removed");
    for copy in two.files(&two.a, "cosigned") {
        std::fs::remove_file(copy).expect("removed");
    }
    two.b.unset("GHEVAULT_CONFIG");
    let round = ["witness", "run", "--json", "--board", &own, "--board", &board, "--key", &key_a];
    finds(two.b.run(&round), "rollback");
    drop(serving);
    two.b.run(&round).exits(1).complains("refused");
}

/// A server that answers every request with these bytes, and perhaps goes on with zeros until nobody reads them.
fn server(answer: &'static str, is_endless: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = format!("http://{}/board", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(answer.as_bytes());
            let zeros = vec![b'0'; 1 << 20];
            while is_endless && stream.write_all(&zeros).is_ok() {}
        }
    });
    place
}

#[test]
fn a_server_that_is_no_board_is_an_error_and_one_that_lies_a_finding() {
    let key = public(&Desk::with_vault());
    let short = ghevault_core::witness::PublicKey::parse(&key).expect("a key").short();
    let fails = |place: &str, word: &str| {
        Desk::new().run(&["witness", "verify", "--board", place, "--key", &key]).exits(1).complains(word);
    };
    fails("http://127.0.0.1:1/board", "refused");
    fails(&server("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", false), "404");
    fails(&server("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", false), "500");
    // somebody else's address is not asked: who is trusted there was never said
    let elsewhere = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/board/\r\ncontent-length: 0\r\n\r\n";
    fails(&server(elsewhere, false), "302");
    fails(
        &server("HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\nghevault", false),
        "board",
    );
    fails(&server("no protocol at all\r\n\r\n", false), "board");
    fails(&server("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", true), "length limit");
    // every path is the same text: a folder that leads out, and a name of this key with a note that is none
    let lie: &'static str = Box::leak(
        format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n../../etc\nghevault.x.{short}\n00000001-{}.note\n",
            "0".repeat(64)
        )
        .into_boxed_str(),
    );
    finds(verify(&server(lie, false), &key), "edited");
    finds(verify(&server("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", false), &key), "silent");
}
