//! Live events and the server itself, over a real socket.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use house::House;
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PATIENCE: Duration = Duration::from_secs(20);

/// Reads frames until one holds `text`.
async fn until(body: &mut Body, text: &str) {
    let reading = async {
        let mut seen = String::new();
        while !seen.contains(text) {
            let frame = body.frame().await.unwrap().unwrap();
            seen.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap();
}

#[tokio::test]
async fn a_beat_reaches_whoever_listens() {
    let house = House::new().await;
    let service = TowerToHyperService::new(house.app.clone());
    let request = Request::get("/events").body(Body::empty()).unwrap();
    let answer = service.call(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["x-frame-options"], "DENY");
    let mut body = answer.into_body();
    until(&mut body, "event: hello").await;
    assert_eq!(house.state.pulse().listeners(), 1);
    house.state.pulse().beat();
    until(&mut body, "event: change").await;
    drop(body);
    assert_eq!(house.state.pulse().listeners(), 0, "a listener that went gives its place back");
}

#[tokio::test]
async fn listeners_are_bounded_and_the_one_too_many_is_told_to_reload_by_hand() {
    let house = House::new().await;
    let service = TowerToHyperService::new(house.app.clone());
    let mut streams = Vec::new();
    let refused = loop {
        let request = Request::get("/events").body(Body::empty()).unwrap();
        let answer = service.call(request).await.unwrap();
        if answer.status() != StatusCode::OK {
            break answer;
        }
        streams.push(answer);
        assert!(streams.len() <= 2_000, "no bound in sight");
    };
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    streams.pop();
    let request = Request::get("/events").body(Body::empty()).unwrap();
    assert_eq!(service.call(request).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_served_page_refreshes_when_an_epoch_closes_and_the_server_ends_when_told() {
    let house = House::new().await;
    house.epochs(2).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(gruve_web::serve(listener, house.state.clone(), async {
        stopped.await.unwrap();
    }));
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: gruve.test\r\n\r\n").await.unwrap();
    let mut seen = String::new();
    let mut buffer = [0u8; 4096];
    let reading = async {
        let mut closed = false;
        while !seen.contains("event: change") {
            let n = stream.read(&mut buffer).await.unwrap();
            assert_ne!(n, 0, "the stream ended: {seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
            if seen.contains("event: hello") && !closed {
                // The watcher takes a first look when somebody listens; then something happens.
                closed = true;
                for _ in 0..50 {
                    house.epoch().await;
                    if let Ok(Ok(n)) =
                        tokio::time::timeout(Duration::from_millis(200), stream.read(&mut buffer))
                            .await
                    {
                        seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
                        break;
                    }
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap();
    stop.send(()).unwrap();
    tokio::time::timeout(PATIENCE, server).await.unwrap().unwrap().unwrap();
}
