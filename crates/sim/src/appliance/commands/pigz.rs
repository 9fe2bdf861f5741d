//! `pigz` and `unpigz` from stdin to stdout, for machines without them.

use std::io;

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};

use super::{Call, Ended};
use crate::error::OnFile;

pub(super) fn run(call: &Call) -> Ended {
    let (mut from, mut to) = (io::stdin().lock(), io::stdout().lock());
    if call.name == "unpigz" || call.has("-d") || call.has("-dc") {
        io::copy(&mut MultiGzDecoder::new(from), &mut to).on("decompress", "stdin")?;
    } else {
        let mut packed = GzEncoder::new(to, Compression::fast());
        io::copy(&mut from, &mut packed).and_then(|_| packed.try_finish()).on("compress", "stdin")?;
    }
    Ok(0)
}
