//! One connection to the upstream: read a request, answer it, and again.

use std::io;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{Connection, Received, Shared, page};
use crate::http1::{Body, Head, Unframed};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    KeepAlive,
    Close,
}

pub(super) async fn serve(stream: impl Connection, connection: usize, shared: &Shared) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(head) = Head::read(&mut stream).await? {
        if head.has_token("Expect", "100-continue") {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let body = Body::read(&head, Unframed::Empty, &mut stream).await?;
        let request = received(connection, &head, body);
        shared.record(request.clone());
        if request.path().ends_with("/ws") && head.has_token("Upgrade", "websocket") {
            return echo_websocket(stream, &head).await;
        }
        let next = answer(&request, shared, &mut stream).await?;
        if next == Next::Close || head.has_token("Connection", "close") || request.version == "HTTP/1.0" {
            break;
        }
    }
    stream.shutdown().await
}

fn received(connection: usize, head: &Head, body: Body) -> Received {
    let mut start = head.start_line.splitn(3, ' ').map(str::to_owned);
    Received {
        connection,
        method: start.next().unwrap_or_default(),
        target: start.next().unwrap_or_default(),
        version: start.next().unwrap_or_default(),
        header_lines: head.header_lines.clone(),
        headers: head.headers(),
        body_length: body.bytes.len(),
        body: String::from_utf8_lossy(&body.bytes).into_owned(),
        trailers: body.trailers,
    }
}

async fn answer(request: &Received, shared: &Shared, stream: &mut BufReader<impl Connection>) -> io::Result<Next> {
    match request.path().rsplit('/').next() {
        Some("events") => return send_events(request, stream).await,
        Some("download") => return send_bytes(request, stream).await,
        Some("slow") => tokio::time::sleep(millis(request, "ms", 500)).await,
        Some("hold") => shared.released.acquire().await.map_err(io::Error::other)?.forget(),
        _ => {}
    }
    let (content_type, body) = match &shared.application {
        Some(application) if request.wants_html() => {
            ("text/html; charset=utf-8", page::show(application, request).await)
        }
        _ => ("application/json", serde_json::to_string_pretty(request).map_err(io::Error::other)?),
    };
    let mut out = response_head(request, content_type);
    out.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    if request.method != "HEAD" {
        out.push_str(&body);
    }
    stream.write_all(out.as_bytes()).await?;
    Ok(Next::KeepAlive)
}

fn response_head(request: &Received, content_type: &str) -> String {
    let status = request.asked("status").unwrap_or_else(|| "200".to_owned());
    let mut head = format!("HTTP/1.1 {status} Echo\r\nContent-Type: {content_type}\r\n");
    for (name, value) in request.query() {
        match name.as_str() {
            "set_cookie" => head.push_str(&format!("Set-Cookie: {value}\r\n")),
            "header" => head.push_str(&format!("{value}\r\n")),
            _ => {}
        }
    }
    head
}

async fn send_events(request: &Received, stream: &mut BufReader<impl Connection>) -> io::Result<Next> {
    let count: usize = request.asked("count").and_then(|count| count.parse().ok()).unwrap_or(3);
    let head = response_head(request, "text/event-stream");
    stream.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await?;
    for number in 1..=count {
        let event = format!("id: {number}\ndata: event {number}\n\n");
        stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await?;
        stream.flush().await?;
        tokio::time::sleep(millis(request, "every_ms", 50)).await;
    }
    stream.write_all(b"0\r\n\r\n").await?;
    Ok(Next::KeepAlive)
}

async fn send_bytes(request: &Received, stream: &mut BufReader<impl Connection>) -> io::Result<Next> {
    static PIECE: [u8; 64 * 1024] = [b'.'; 64 * 1024];
    let mut rest: u64 = request.asked("length").and_then(|length| length.parse().ok()).unwrap_or(1024 * 1024);
    let head = response_head(request, "application/octet-stream");
    stream.write_all(format!("{head}Content-Length: {rest}\r\n\r\n").as_bytes()).await?;
    while rest > 0 {
        let length = usize::try_from(rest).map_or(PIECE.len(), |rest| rest.min(PIECE.len()));
        stream.write_all(&PIECE[..length]).await?;
        rest -= length as u64;
    }
    Ok(Next::KeepAlive)
}

fn millis(request: &Received, name: &str, otherwise: u64) -> Duration {
    Duration::from_millis(request.asked(name).and_then(|value| value.parse().ok()).unwrap_or(otherwise))
}

async fn echo_websocket(mut stream: BufReader<impl Connection>, head: &Head) -> io::Result<()> {
    let accept = derive_accept_key(head.header("Sec-WebSocket-Key").unwrap_or_default().as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    // To Pingora 0.9.1 a 101 that is there before it has passed on the end of the request's empty body ends the exchange
    // (cloudflare/pingora#946), as happens on a busy machine.
    tokio::time::sleep(Duration::from_millis(20)).await;
    stream.write_all(answer.as_bytes()).await?;
    let early = stream.buffer().to_vec();
    let mut socket = WebSocketStream::from_partially_read(stream.into_inner(), early, Role::Server, None).await;
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            break;
        }
    }
    Ok(())
}
