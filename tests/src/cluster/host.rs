//! The thread that everything of the cluster starts from. The kernel ends a process with the thread
//! that started it, so no test's thread may start one that others use.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use tempfile::TempDir;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// The thread with its runtime and the directory of its processes. Dropped, it ends them all.
#[derive(Debug)]
pub(crate) struct Host {
    handle: Handle,
    dir: PathBuf,
    keeps_logs: Arc<AtomicBool>,
    running: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl Host {
    pub(crate) fn start() -> Host {
        let dir = tempfile::Builder::new().prefix("serin-cluster-").tempdir();
        let dir = dir.expect("a directory for the cluster");
        let path = dir.path().to_path_buf();
        let keeps_logs = Arc::new(AtomicBool::new(false));
        let (end, ended) = oneshot::channel();
        let (sender, started) = mpsc::channel();
        let thread = thread::spawn({
            let keeps_logs = keeps_logs.clone();
            move || {
                let built = Builder::new_current_thread().enable_all().build();
                let runtime = built.expect("a runtime");
                let _ = sender.send(runtime.handle().clone());
                be_host(runtime, dir, &keeps_logs, ended);
            }
        });
        Host {
            handle: started.recv().expect("the host starts"),
            dir: path,
            keeps_logs,
            running: Mutex::new(Some((end, thread))),
        }
    }

    /// Where the processes keep their files.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn keep_logs(&self) {
        self.keeps_logs.store(true, Ordering::Relaxed);
    }

    /// Runs this on the host's thread and waits for it; the panic's message if it panics. Not for
    /// async callers.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, String> {
        self.handle
            .block_on(self.handle.spawn(work))
            .map_err(|error| {
                let message = error.try_into_panic().ok();
                let message = message.and_then(|it| it.downcast::<String>().ok());
                message.map_or_else(|| "the host ended".to_string(), |text| *text)
            })
    }

    /// The same for async callers.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let done = self.handle.spawn(async { work() }).await;
        done.unwrap_or_else(|error| panic!("on the host's thread: {error}"))
    }

    /// Ends all processes and waits until they are ended.
    pub(crate) fn end(&self) {
        let running = self.running.lock();
        if let Some((end, thread)) = running.unwrap_or_else(PoisonError::into_inner).take() {
            let _ = end.send(());
            let _ = thread.join();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs what is spawned until told to end, by the owner or by who pressed Ctrl-C.
fn be_host(runtime: Runtime, dir: TempDir, keeps_logs: &AtomicBool, ended: oneshot::Receiver<()>) {
    let interrupted = runtime.block_on(async {
        tokio::select! {
            _ = ended => false,
            () = interruption() => true,
        }
    });
    // With the tasks go the processes that they hold.
    drop(runtime);
    if keeps_logs.load(Ordering::Relaxed) {
        let _ = dir.keep();
    } else {
        drop(dir);
    }
    if interrupted {
        std::process::exit(130);
    }
}

async fn interruption() {
    let on = |kind| signal(kind).expect("signals can be handled");
    let (mut interrupt, mut terminate) = (on(SignalKind::interrupt()), on(SignalKind::terminate()));
    tokio::select! {
        _ = interrupt.recv() => (),
        _ = terminate.recv() => (),
    }
}
