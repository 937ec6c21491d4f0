//! Being asked to stop, by whatever signal.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask a program in a terminal to end.
#[derive(Debug)]
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Stop {
    /// Listens; from here on no signal ends the program before it has cleaned up.
    ///
    /// # Errors
    /// If the signals cannot be listened to.
    pub(super) fn listen() -> std::io::Result<Stop> {
        Ok(Stop {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Returns once one has come.
    pub(super) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn each_signal_asks() {
        let mut stop = Stop::listen().unwrap();
        for sent in [Signal::INT, Signal::TERM, Signal::HUP] {
            kill_process(getpid(), sent).unwrap();
            let asked = tokio::time::timeout(std::time::Duration::from_secs(30), stop.asked());
            assert!(asked.await.is_ok(), "{sent:?}");
        }
    }
}
