//! A browser without scripts, and a program with a bearer token, both straight at the router.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use std::collections::BTreeMap;

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// The value of the first field of that name in a form.
    pub fn field(&self, name: &str) -> String {
        let at = format!("name=\"{name}\" value=\"");
        let from = self.body.find(&at).unwrap_or_else(|| panic!("no field {name}: {}", self.body));
        let rest = &self.body[from + at.len()..];
        rest[..rest.find('"').unwrap()].to_owned()
    }

    /// Where a redirect leads.
    pub fn location(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        self.header("location")
    }
}

/// Sends one request and reads the answer.
pub async fn ask(app: &Router, request: Request<Body>) -> Answer {
    let service = TowerToHyperService::new(app.clone());
    let (parts, body) = service.call(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8_lossy(&bytes).into_owned();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// A browser: keeps cookies, follows nothing by itself.
pub struct Browser {
    app: Router,
    pub cookies: BTreeMap<String, String>,
}

pub fn form(fields: &[(&str, &str)]) -> String {
    let escape = |s: &str| {
        s.bytes()
            .map(|b| match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(b).to_string(),
                _ => format!("%{b:02X}"),
            })
            .collect::<String>()
    };
    fields.iter().map(|(k, v)| format!("{k}={}", escape(v))).collect::<Vec<_>>().join("&")
}

impl Browser {
    pub fn new(app: &Router) -> Browser {
        Browser { app: app.clone(), cookies: BTreeMap::new() }
    }

    async fn send(&mut self, mut request: Request<Body>) -> Answer {
        let line: Vec<String> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        if !line.is_empty() {
            request.headers_mut().insert(header::COOKIE, line.join("; ").parse().unwrap());
        }
        request.headers_mut().insert(header::HOST, "gruve.test".parse().unwrap());
        let answer = ask(&self.app, request).await;
        for set in answer.headers.get_all(header::SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Posts a form as a page of the house would.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_from(path, fields, "http://gruve.test").await
    }

    /// Posts a form from a page of `origin`.
    pub async fn post_from(&mut self, path: &str, fields: &[(&str, &str)], origin: &str) -> Answer {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ORIGIN, origin)
            .body(Body::from(form(fields)))
            .unwrap();
        self.send(request).await
    }

    /// Opens an account through the pages; the browser is signed in afterwards.
    pub async fn sign_up(&mut self, name: &str) -> Answer {
        let csrf = self.get("/sign-up").await.field("csrf");
        let email = format!("{name}@example.org");
        let fields = [
            ("csrf", csrf.as_str()),
            ("name", name),
            ("email", email.as_str()),
            ("password", "four words make one"),
        ];
        let answer = self.post("/sign-up", &fields).await;
        assert_eq!(answer.location(), "/account");
        answer
    }
}

/// A program at the JSON API.
pub struct Program {
    app: Router,
    pub token: Option<String>,
}

impl Program {
    pub fn new(app: &Router) -> Program {
        Program { app: app.clone(), token: None }
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.send_with(method, path, body, &[]).await
    }

    pub async fn send_with(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = match body {
            Some(json) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(json.to_string())),
            None => request.body(Body::empty()),
        };
        let answer = ask(&self.app, request.unwrap()).await;
        super::document::holds(method, path, &answer);
        answer
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(body)).await
    }

    /// Signs in to an account that is there.
    pub async fn signed_in(app: &Router, name: &str) -> Program {
        let mut me = Program::new(app);
        let login = serde_json::json!({ "login": name, "password": "four words make one" });
        let session = me.post("/api/v1/sessions", login).await;
        assert_eq!(session.status, StatusCode::CREATED, "{}", session.body);
        me.token = Some(session.json()["token"].as_str().unwrap().to_owned());
        me
    }

    /// Opens an account and signs in.
    pub async fn signed_up(app: &Router, name: &str) -> Program {
        let me = Program::new(app);
        let account = serde_json::json!({
            "name": name, "email": format!("{name}@example.org"), "password": "four words make one",
        });
        let made = me.post("/api/v1/accounts", account).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        Program::signed_in(app, name).await
    }
}
