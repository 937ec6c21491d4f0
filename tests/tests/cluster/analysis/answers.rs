//! A server that answers every query as a Prometheus with one series would, and remembers what it
//! was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The server. It ends when it is dropped.
pub(super) struct Answers {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Answers {
    /// One whose series has the value 1.
    pub(super) async fn start() -> Answers {
        Answers::serve(Some(
            r#"{"status":"success","data":{"resultType":"vector","result":[{"value":[0,"1"]}]}}"#,
        ))
        .await
    }

    /// One that never answers.
    pub(super) async fn silent() -> Answers {
        Answers::serve(None).await
    }

    async fn serve(body: Option<&'static str>) -> Answers {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("has an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let asked = requests.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, body, asked.clone()));
            }
        });
        Answers {
            address,
            requests,
            serving,
        }
    }

    pub(super) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> u32 {
        let requests = self.requests.lock().expect("no test panics with it");
        u32::try_from(requests.len()).expect("not so often")
    }

    /// The last request as it came.
    pub(super) fn last(&self) -> String {
        let requests = self.requests.lock().expect("no test panics with it");
        requests.last().cloned().unwrap_or_default()
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Answers one request, which fits into one read, and closes the connection.
async fn answer(
    mut stream: TcpStream,
    body: Option<&'static str>,
    requests: Arc<Mutex<Vec<String>>>,
) {
    let mut request = vec![0; 16 << 10];
    let length = stream.read(&mut request).await.unwrap_or(0);
    request.truncate(length);
    let text = String::from_utf8_lossy(&request).into_owned();
    if let Ok(mut requests) = requests.lock() {
        requests.push(text);
    }
    let Some(body) = body else {
        return std::future::pending().await;
    };
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    // A client that is gone was ended by its test.
    let _ = stream.write_all(answer.as_bytes()).await;
}
