//! The files that pages refer to: style, script, logo. They are in the binary, each is served
//! under a name that holds a hash of its content, and so may be kept by browsers for ever.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// One embedded file.
pub(crate) struct Asset {
    /// The name it is served under, `app-1a2b3c4d5e6f.css`.
    pub(crate) name: String,
    kind: &'static str,
    body: &'static [u8],
}

impl Asset {
    pub(crate) fn new(stem: &str, ending: &str, kind: &'static str, body: &'static [u8]) -> Self {
        let hash = hex::encode(&Sha256::digest(body)[..6]);
        Asset { name: format!("{stem}-{hash}.{ending}"), kind, body }
    }

    /// The path in pages.
    pub(crate) fn path(&self) -> String {
        format!("/assets/{}", self.name)
    }

    /// The file with headers that let it be kept.
    pub(crate) fn serve(&self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(self.kind)),
            (
                header::CACHE_CONTROL,
                HeaderValue::from_static("public, max-age=31536000, immutable"),
            ),
        ];
        (StatusCode::OK, headers, self.body).into_response()
    }
}

/// The style sheet.
pub(crate) static CSS: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("app", "css", "text/css; charset=utf-8", include_bytes!("../assets/app.css"))
});
/// The script that keeps pages fresh.
pub(crate) static JS: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("live", "js", "text/javascript; charset=utf-8", include_bytes!("../assets/live.js"))
});
/// The script that checks receipts.
pub(crate) static RECEIPT_JS: LazyLock<Asset> = LazyLock::new(|| {
    let body = include_bytes!("../assets/receipt.js");
    Asset::new("receipt", "js", "text/javascript; charset=utf-8", body)
});
/// The script that asks browsers for passkeys.
pub(crate) static PASSKEYS_JS: LazyLock<Asset> = LazyLock::new(|| {
    let body = include_bytes!("../assets/passkeys.js");
    Asset::new("passkeys", "js", "text/javascript; charset=utf-8", body)
});
/// The script that moves estimates with their sliders.
pub(crate) static ESTIMATE_JS: LazyLock<Asset> = LazyLock::new(|| {
    let body = include_bytes!("../assets/estimate.js");
    Asset::new("estimate", "js", "text/javascript; charset=utf-8", body)
});
/// The script that shows what is typed as a password, and says how good it is.
pub(crate) static PASSWORD_JS: LazyLock<Asset> = LazyLock::new(|| {
    let body = include_bytes!("../assets/password.js");
    Asset::new("password", "js", "text/javascript; charset=utf-8", body)
});
/// The sign of the house.
pub(crate) static LOGO: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("logo", "svg", "image/svg+xml", include_bytes!("../assets/logo.svg"))
});

/// The file of that name.
pub(crate) fn find(name: &str) -> Option<&'static Asset> {
    [&*CSS, &*JS, &*RECEIPT_JS, &*PASSKEYS_JS, &*ESTIMATE_JS, &*PASSWORD_JS, &*LOGO]
        .into_iter()
        .chain(crate::manual::pictures())
        .find(|a| a.name == name)
}
