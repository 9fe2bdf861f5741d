//! The daemon shows a folder board of its settings to whoever asks: lists as lines, notes as they are.

use crate::cli::witness::is_plain;
use ghevault_core::witness::{Board, open_folder_board};

/// The answer to a path below `/board`; `None` when there is nothing.
///
/// # Errors
/// The board cannot be read.
pub fn answer(boards: &[String], path: &str) -> Result<Option<String>, String> {
    let folder = boards.iter().find_map(|place| open_folder_board(place));
    let (Some(board), Some(path)) = (folder, path.strip_prefix("/board/")) else { return Ok(None) };
    let read = |board: &dyn Board| match path.split_once('/') {
        None if path.is_empty() => board.origins().map(|names| Some(lines(&names))),
        Some((origin, "")) if is_plain(origin) => board.names(origin).map(|names| Some(lines(&names))),
        Some((origin, name)) if is_plain(origin) && is_plain(name) => board.read(origin, name),
        _ => Ok(None),
    };
    read(&*board).map_err(|error| error.to_string())
}

fn lines(names: &[String]) -> String {
    names.iter().filter(|name| is_plain(name)).flat_map(|name| [name.as_str(), "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::answer;
    use std::fs;

    #[test]
    fn a_board_is_shown_and_nothing_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let board = folder.path().join("board");
        fs::create_dir_all(board.join("ghevault.a")).expect("a folder");
        fs::write(board.join("ghevault.a/1.note"), "text").expect("written");
        fs::write(folder.path().join("secret"), "secret").expect("written");
        let boards = ["s3://bucket/x".to_owned(), format!("dir:{}", board.display())];
        let shown = |path: &str| answer(&boards, path).expect("readable");
        assert_eq!(shown("/board/").as_deref(), Some("ghevault.a\n"));
        assert_eq!(shown("/board/ghevault.a/").as_deref(), Some("1.note\n"));
        assert_eq!(shown("/board/ghevault.a/1.note").as_deref(), Some("text"));
        for nothing in
            ["/board", "/board/../secret", "/board/ghevault.a/../../secret", "/board/b/x", "/secret"]
        {
            assert_eq!(shown(nothing), None, "{nothing}");
        }
        assert_eq!(answer(&[], "/board/"), Ok(None));
    }
}
