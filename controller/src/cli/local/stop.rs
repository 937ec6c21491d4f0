//! Ending with the program that started this one: a pipe comes in, its end goes out.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

/// The pipe whose other end the program holds that started this one.
#[derive(Debug)]
pub(super) struct Starter(Receiver);

impl Starter {
    /// Takes the pipe.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn at(pipe: OwnedFd) -> io::Result<Starter> {
        Receiver::from_owned_fd(pipe).map(Starter)
    }

    /// Returns once nobody holds the other end any more, however they went.
    pub(super) async fn gone(mut self) {
        let mut ignored = [0_u8; 64];
        // An error means that nobody can be heard there any more.
        while matches!(self.0.read(&mut ignored).await, Ok(1..)) {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_starter_is_gone_when_its_end_is_closed_and_not_before() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut gone = tokio::spawn(Starter::at(reader.into()).unwrap().gone());
        writer.write_all(b"nobody asked").unwrap();
        let early = tokio::time::timeout(Duration::from_millis(50), &mut gone).await;
        assert!(early.is_err());
        drop(writer);
        gone.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_pipe_is_an_error() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(Starter::at(file.into()).is_err());
    }
}
