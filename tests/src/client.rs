//! A plain HTTP/1.1 client on one connection that it never opens again: a connection that the
//! other side closes or drains is an error, so a test sees it.

use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Response {
    /// The first header of this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether the other side closes the connection after it.
    pub fn is_last(&self) -> bool {
        let connection = self.header("connection");
        connection.is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The ReplicaSet that answered, `<rollout>-<hash>`.
    pub fn replica_set(&self) -> &str {
        self.header("x-serin-replica-set").unwrap_or("nobody")
    }
}

impl Client {
    /// Connects; a read that takes longer than 20 seconds is an error.
    ///
    /// # Errors
    /// If nobody listens.
    pub fn connect(address: SocketAddr) -> io::Result<Client> {
        Client::over(TcpStream::connect(address)?)
    }

    /// Takes a connection that somebody else has opened.
    ///
    /// # Errors
    /// If it is closed already.
    pub fn over(stream: TcpStream) -> io::Result<Client> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Client {
            stream: BufReader::new(stream),
        })
    }

    /// Sends a GET and reads the whole answer.
    ///
    /// # Errors
    /// If the connection is closed, or the answer says that it will be.
    pub fn get(
        &mut self,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<Response> {
        let response = self.exchange(host, path, headers)?;
        if response.is_last() {
            return Err(Error::other("the connection is drained"));
        }
        Ok(response)
    }

    /// Sends a GET and reads the whole answer, which may be the last of the connection.
    ///
    /// # Errors
    /// If the connection is closed before that.
    pub fn exchange(
        &mut self,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<Response> {
        let mut text = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        self.stream.get_mut().write_all(text.as_bytes())?;
        self.read()
    }

    fn read(&mut self) -> io::Result<Response> {
        let status = self.line()?;
        let code = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = code.ok_or_else(|| Error::new(ErrorKind::InvalidData, status.clone()))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_string()));
        }
        let mut response = Response {
            status,
            headers,
            body: String::new(),
        };
        if response.header("transfer-encoding").is_some() {
            return self.chunks(response);
        }
        let length = response
            .header("content-length")
            .and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body)?;
        response.body = String::from_utf8_lossy(&body).into_owned();
        Ok(response)
    }

    fn chunks(&mut self, mut response: Response) -> io::Result<Response> {
        loop {
            let size = usize::from_str_radix(self.line()?.trim(), 16).map_err(Error::other)?;
            let mut chunk = vec![0; size + 2];
            self.stream.read_exact(&mut chunk)?;
            if size == 0 {
                return Ok(response);
            }
            chunk.truncate(size);
            response.body.push_str(&String::from_utf8_lossy(&chunk));
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(Error::new(
                ErrorKind::UnexpectedEof,
                "the connection was closed",
            ));
        }
        Ok(line.trim_end().to_string())
    }
}
