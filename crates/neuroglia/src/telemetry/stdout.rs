//! Standard output without a buffer and without the standard library's lock.

use std::io::{self, Write};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

/// The process's standard output.
pub(super) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stdout = rustix::stdio::stdout();
        loop {
            match rustix::io::write(stdout, bytes) {
                // Whoever shares the pipe or terminal may have made it non-blocking; this thread is free to wait.
                Err(Errno::AGAIN) => {
                    poll(&mut [PollFd::new(&stdout, PollFlags::OUT)], None)?;
                }
                written => return Ok(written?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
