//! The web server: axum, behind a pipe per connection.
//!
//! | path | |
//! | --- | --- |
//! | `GET /` | a page |
//! | `GET /status` | JSON: every counter, the model, the faults |
//! | `GET /blob/N` | N bytes, a text of 64 bytes repeated |
//! | `POST /upload` | JSON: length and SHA-256 of the body |

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri, Version};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::DuplexStream;

use super::counters::Counters;
use super::faults::{Fault, Faults};

/// Bytes between device and server.
const PIPE: usize = 4096;
/// What blobs and chargen are made of.
pub const PATTERN: &[u8; 64] = b"uarttool reference device 0123456789 abcdefghijklmnopqrstuvwxyz\n";
/// The largest blob.
const MAX_BLOB: u64 = 100 * 1024 * 1024;

/// The server; connections share it.
#[derive(Clone, Debug)]
pub struct Web {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    counters: Mutex<Counters>,
    description: Value,
    faults: Faults,
}

impl Web {
    /// A server that describes the device by `description`.
    pub fn new(description: Value, faults: Faults) -> Self {
        let counters = Mutex::default();
        Web { shared: Arc::new(Shared { counters, description, faults }) }
    }

    /// Shows the device's counters; takes over how many requests were answered.
    pub fn update(&self, counters: &mut Counters) {
        let mut shown = self.shared.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.http_requests = shown.http_requests;
        *shown = *counters;
    }

    /// Serves one connection; our end of the pipe.
    pub fn serve(&self) -> DuplexStream {
        let (near, far) = tokio::io::duplex(PIPE);
        let service = TowerToHyperService::new(self.router());
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .half_close(true)
                .serve_connection(TokioIo::new(far), service);
            let _ = connection.await; // the peer sees the end of the connection
        });
        near
    }

    fn router(&self) -> Router {
        Router::new()
            .route("/", get(page))
            .route("/status", get(status))
            .route("/blob/{n}", get(blob))
            .route("/upload", post(upload))
            .fallback(missing)
            .with_state(self.shared.clone())
            .layer(axum::middleware::from_fn_with_state(self.shared.clone(), want_host))
            .layer(axum::middleware::map_response_with_state(self.shared.clone(), count))
    }
}

async fn count(State(shared): State<Arc<Shared>>, response: Response) -> Response {
    shared.counters.lock().unwrap_or_else(PoisonError::into_inner).http_requests += 1;
    response
}

/// HTTP/1.1 wants one Host field (RFC 9112 section 3.2), which hyper does not look at.
async fn want_host(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all("host").iter().count();
    let is_wanted =
        request.version() == Version::HTTP_11 && !shared.faults.has(Fault::HostNotWanted);
    match hosts == 1 || !is_wanted {
        true => next.run(request).await,
        false => (StatusCode::BAD_REQUEST, "one Host field is wanted\n").into_response(),
    }
}

async fn page() -> Html<&'static str> {
    Html("<!doctype html><title>uarttool</title><h1>The reference device</h1>\n")
}

async fn status(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let counters = *shared.counters.lock().unwrap_or_else(PoisonError::into_inner);
    let mut value = shared.description.clone();
    value["counters"] = json!(counters);
    Json(value)
}

async fn blob(Path(n): Path<u64>) -> Response {
    if n > MAX_BLOB {
        return (StatusCode::BAD_REQUEST, "at most 104857600 bytes\n").into_response();
    }
    let chunks = futures_util::stream::unfold(n, |left| async move {
        let text = PATTERN.repeat(16);
        let length = left.min(text.len() as u64);
        let chunk = Bytes::from(text).slice(..length as usize);
        (length > 0).then_some((Ok::<_, Infallible>(chunk), left - length))
    });
    let headers = [
        ("content-type", "application/octet-stream".to_owned()),
        ("content-length", n.to_string()),
    ];
    (headers, Body::from_stream(chunks)).into_response()
}

async fn upload(body: Body) -> Response {
    let mut body = body;
    let (mut received, mut digest) = (0u64, Sha256::new());
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return (StatusCode::BAD_REQUEST, "the body was cut short\n").into_response();
        };
        if let Ok(data) = frame.into_data() {
            received += data.len() as u64;
            digest.update(&data);
        }
    }
    let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Json(json!({ "received": received, "sha256": digest })).into_response()
}

async fn missing(State(shared): State<Arc<Shared>>, uri: Uri) -> (StatusCode, &'static str) {
    if shared.faults.has(Fault::LeavesRoot) && uri.path().contains("..") {
        return (StatusCode::OK, "root:x:0:0:root:/root:/bin/sh\n");
    }
    let status =
        if shared.faults.has(Fault::NotFoundIsOk) { StatusCode::OK } else { StatusCode::NOT_FOUND };
    (status, "there is no such page\n")
}
