//! The way of a client's input and signals to the process.
//!
//! Input waits in memory up to a limit, so that a slow process does not stall the other channels of its connection.

use std::sync::Arc;

use russh::{ChannelMsg, ChannelReadHalf, Sig};
use tokio::{
    io::AsyncWriteExt,
    process::ChildStdin,
    sync::{Semaphore, mpsc},
};

use super::super::rewrite::Rewrite;

/// Bytes of input of one channel that may wait for its process.
const INPUT_BYTES_MAX: usize = 64 << 20;

/// Passes the client's input and signals on to the process, until the client ends its input or goes away.
pub(super) async fn feed(mut input: ChannelReadHalf, stdin: ChildStdin, rewrite: Option<Rewrite>, pid: i32) {
    let room = Arc::new(Semaphore::new(INPUT_BYTES_MAX));
    let (queue, waiting) = mpsc::unbounded_channel::<Vec<u8>>();
    tokio::spawn(write_input(waiting, stdin, rewrite, Arc::clone(&room)));
    let mut queue = Some(queue);
    while let Some(message) = input.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                let bytes = u32::try_from(data.len()).unwrap_or(u32::MAX);
                if let Ok(taken) = room.acquire_many(bytes).await {
                    taken.forget();
                }
                if let Some(queue) = &queue {
                    let _ = queue.send(data.to_vec());
                }
            }
            ChannelMsg::Eof => queue = None,
            ChannelMsg::Close => break,
            ChannelMsg::Signal { signal } => {
                if let (Some(pid), Some(signal)) = (rustix::process::Pid::from_raw(pid), signal_of(&signal)) {
                    let _ = rustix::process::kill_process_group(pid, signal);
                }
            }
            _ => {}
        }
    }
}

async fn write_input(
    mut waiting: mpsc::UnboundedReceiver<Vec<u8>>,
    mut stdin: ChildStdin,
    rewrite: Option<Rewrite>,
    room: Arc<Semaphore>,
) {
    let mut line = Vec::new();
    let mut open = true;
    while let Some(data) = waiting.recv().await {
        let bytes = data.len();
        if open {
            let result = match &rewrite {
                None => stdin.write_all(&data).await,
                Some(rewrite) => {
                    line.extend_from_slice(&data);
                    let end = line.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                    let whole: Vec<u8> = line.drain(..end).collect();
                    stdin.write_all(&rewrite.apply(&whole)).await
                }
            };
            // A process that stopped reading is not an error; the rest of its input is dropped.
            open = result.is_ok() && stdin.flush().await.is_ok();
        }
        room.add_permits(bytes);
    }
    if let (true, Some(rewrite)) = (open, &rewrite) {
        let _ = stdin.write_all(&rewrite.apply(&line)).await;
        let _ = stdin.flush().await;
    }
}

fn signal_of(signal: &Sig) -> Option<rustix::process::Signal> {
    use rustix::process::Signal;
    Some(match signal {
        Sig::HUP => Signal::HUP,
        Sig::INT => Signal::INT,
        Sig::KILL => Signal::KILL,
        Sig::TERM => Signal::TERM,
        Sig::QUIT => Signal::QUIT,
        Sig::USR1 => Signal::USR1,
        _ => return None,
    })
}
