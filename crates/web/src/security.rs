//! What stands between a page and a hostile one: cookies, form tokens, origin checks, headers.
//!
//! A session lives in one cookie that scripts cannot read. Every form carries a token that must
//! equal the session's (or, before there is a session, one derived from a cookie of its own), and
//! a request that says it comes from elsewhere is refused before its body is looked at. The JSON
//! API takes no cookies at all, so no other site's page can act through a visitor's browser.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use gruve_units::Entropy;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Longest cookie value read, in bytes; a session token is far shorter.
const COOKIE_BYTES_MAX: usize = 256;
/// Life of the cookie that guards sign-in forms: a page left open for a day still works.
const FORM_COOKIE_SECS: u32 = 86_400;

/// Which of the house's cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The session's token.
    Session,
    /// What the tokens of forms shown before sign-in are derived from.
    Form,
    /// The language that was chosen.
    Language,
}

impl Cookie {
    /// `__Host-` binds the cookie to this host, path `/` and https; browsers take it only then.
    const fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Cookie::Session, true) => "__Host-gruve",
            (Cookie::Session, false) => "gruve",
            (Cookie::Form, true) => "__Host-gruve-form",
            (Cookie::Form, false) => "gruve-form",
            (Cookie::Language, true) => "__Host-gruve-language",
            (Cookie::Language, false) => "gruve-language",
        }
    }

    /// The cookie's value in a request; nothing when it is missing or malformed.
    pub(crate) fn read(self, headers: &HeaderMap, secure: bool) -> Option<&str> {
        let name = self.name(secure);
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(n, _)| *n == name)
            .map(|(_, v)| v)
            .filter(|v| !v.is_empty() && v.len() <= COOKIE_BYTES_MAX)
    }

    /// A header that sets it. `None` when the value could not stand in a header.
    pub(crate) fn set(self, value: &str, secure: bool, max_age_secs: u64) -> Option<HeaderValue> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'=');
        if !value.bytes().all(plain) {
            return None;
        }
        let tail = if secure { "; Secure" } else { "" };
        let same_site = match self {
            Cookie::Session | Cookie::Language => "Lax",
            Cookie::Form => "Strict",
        };
        let name = self.name(secure);
        HeaderValue::from_str(&format!(
            "{name}={value}; Path=/; HttpOnly; SameSite={same_site}; Max-Age={max_age_secs}{tail}"
        ))
        .ok()
    }

    /// A header that takes it away.
    pub(crate) fn clear(self, secure: bool) -> Option<HeaderValue> {
        self.set("", secure, 0)
    }
}

/// A new value for [`Cookie::Form`] and the header that sets it.
pub(crate) fn new_form_cookie(
    entropy: &dyn Entropy,
    secure: bool,
) -> (String, Option<HeaderValue>) {
    let mut bytes = [0u8; 32];
    entropy.fill(&mut bytes);
    let value = hex::encode(bytes);
    let header = Cookie::Form.set(&value, secure, FORM_COOKIE_SECS.into());
    (value, header)
}

/// The token of forms shown under a form cookie. One way: a form that leaks does not give away
/// the cookie.
pub(crate) fn form_token(cookie: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"gruve form token\0");
    hash.update(cookie.as_bytes());
    hex::encode(hash.finalize())
}

/// Whether two tokens are equal, without telling by time where they differ.
pub(crate) fn same_token(given: &str, wanted: &str) -> bool {
    !wanted.is_empty() && bool::from(given.as_bytes().ct_eq(wanted.as_bytes()))
}

/// Whether a request that changes something comes from the house's own pages.
///
/// Browsers state `Origin` with every form post. `null` (a sandboxed frame, some redirects) and
/// anything whose host is not the one asked are foreign; so is `Sec-Fetch-Site: cross-site`. A
/// request with neither header comes from no browser of the last years and has the form token
/// against it still.
pub(crate) fn comes_from_own_pages(headers: &HeaderMap, public_origin: Option<&str>) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|v| v.to_str().unwrap_or("null"));
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site"))
        && !matches!(site, "same-origin" | "none")
    {
        return false;
    }
    let Some(origin) = text(header::ORIGIN) else { return true };
    if let Some(own) = public_origin {
        return origin.eq_ignore_ascii_case(own);
    }
    let host = text(header::HOST).unwrap_or_default();
    let named = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    !host.is_empty() && named.is_some_and(|n| n.eq_ignore_ascii_case(host))
}

/// Puts the headers on a response that every answer of the house carries.
pub(crate) fn put_headers(headers: &mut HeaderMap, secure: bool) {
    const ALWAYS: [(HeaderName, &str); 7] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
             connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        ),
    ];
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Figures are of the moment and often of one person: nothing is kept unless it says so.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if secure {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000; includeSubDomains"),
        );
    }
}

/// Where to go after signing in: a path of this host, or the overview when `next` is anything
/// else (`//host`, a backslash, a scheme, control characters, over 512 bytes).
pub(crate) fn local_path(next: Option<&str>) -> &str {
    let fine = |p: &&str| {
        p.len() <= 512
            && p.starts_with('/')
            && !p.starts_with("//")
            && p.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
    };
    next.filter(fine).unwrap_or("/account")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_units::SeededEntropy;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut h = HeaderMap::new();
        for (n, v) in pairs {
            h.append(HeaderName::from_static(n), HeaderValue::from_str(v).unwrap());
        }
        h
    }

    #[test]
    fn cookies_are_found_among_others_and_only_by_their_full_name() {
        let h = headers(&[("cookie", "xgruve=no; gruve=yes; gruve-form=f"), ("cookie", "a=b")]);
        assert_eq!(Cookie::Session.read(&h, false), Some("yes"));
        assert_eq!(Cookie::Form.read(&h, false), Some("f"));
        assert_eq!(Cookie::Session.read(&h, true), None);
    }

    #[test]
    fn no_value_breaks_out_of_its_header() {
        assert!(Cookie::Session.set("a;b", true, 1).is_none());
        assert!(Cookie::Session.set("a\r\nb", true, 1).is_none());
        let v = Cookie::Session.set("abc", true, 9).unwrap();
        assert_eq!(
            v.to_str().unwrap(),
            "__Host-gruve=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=9; Secure"
        );
    }

    #[test]
    fn only_own_origins_may_post() {
        let from =
            |o: &str| comes_from_own_pages(&headers(&[("host", "h:1"), ("origin", o)]), None);
        assert!(from("http://h:1"));
        assert!(from("https://h:1"));
        assert!(!from("http://h:2"));
        assert!(!from("null"));
        assert!(!from("http://h:1.evil.example"));
        assert!(comes_from_own_pages(&headers(&[("host", "h")]), None));
        assert!(!comes_from_own_pages(&headers(&[("sec-fetch-site", "cross-site")]), None));
        let h = headers(&[("host", "inner"), ("origin", "https://gruve.example")]);
        assert!(comes_from_own_pages(&h, Some("https://gruve.example")));
        assert!(!comes_from_own_pages(&h, Some("https://other.example")));
    }

    #[test]
    fn redirects_stay_on_this_host() {
        assert_eq!(local_path(Some("/payouts?x=1")), "/payouts?x=1");
        for bad in ["//evil", "/\\evil", "https://evil", "/a\nb", "javascript:1", ""] {
            assert_eq!(local_path(Some(bad)), "/account", "{bad:?}");
        }
        assert_eq!(local_path(None), "/account");
    }

    #[test]
    fn form_tokens_belong_to_their_cookie() {
        let (cookie, header) = new_form_cookie(&SeededEntropy::new(1), true);
        assert!(header.is_some());
        assert!(same_token(&form_token(&cookie), &form_token(&cookie)));
        assert!(!same_token(&form_token(&cookie), &form_token("other")));
        assert!(!same_token("", ""));
    }
}
