//! Signing what the house sends to webhooks, by the Standard Webhooks rule (standardwebhooks.com, specification 1.0):
//! the headers `webhook-id`, `webhook-timestamp` (seconds since 1970) and `webhook-signature`
//! (`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`).
//!
//! Must not know what is sent, to whom, or how.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gruve_units::Timestamp;
use ring::hmac;

/// What a secret begins with in its text form.
const PREFIX: &str = "whsec_";

/// A receiver's secret: 24 to 64 bytes, as the rule has it.
#[derive(Clone)]
pub struct HookSecret(Vec<u8>);

impl std::fmt::Debug for HookSecret {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HookSecret")
    }
}

impl HookSecret {
    /// Of bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<HookSecret> {
        (24..=64).contains(&bytes.len()).then(|| HookSecret(bytes.to_vec()))
    }

    /// Of its text form, `whsec_` and base64.
    #[must_use]
    pub fn parse(text: &str) -> Option<HookSecret> {
        HookSecret::from_bytes(&STANDARD.decode(text.trim().strip_prefix(PREFIX)?).ok()?)
    }

    /// Its text form.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// The headers that a message is sent with.
    #[must_use]
    pub fn headers(&self, id: &str, at: Timestamp, body: &str) -> [(&'static str, String); 3] {
        self.headers_with(None, id, at, body)
    }

    /// The same, signed with the secret before as well, while it changes: either is enough for its receiver.
    #[must_use]
    pub fn headers_with(
        &self,
        old: Option<&HookSecret>,
        id: &str,
        at: Timestamp,
        body: &str,
    ) -> [(&'static str, String); 3] {
        let secs = at.secs();
        let said = format!("{id}.{secs}.{body}");
        let mut signatures = self.signature(&said);
        if let Some(old) = old {
            signatures = format!("{signatures} {}", old.signature(&said));
        }
        [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", secs.to_string()),
            ("webhook-signature", signatures),
        ]
    }

    fn signature(&self, said: &str) -> String {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), said.as_bytes());
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_signed_as_the_rule_says() {
        // By another program: HMAC-SHA256 keyed with 24 bytes 0x01 over the text below.
        let secret = HookSecret::from_bytes(&[1; 24]).unwrap();
        let headers = secret.headers("msg_1", Timestamp::from_secs(1_700_000_000), r#"{"a":1}"#);
        assert_eq!(headers[0].1, "msg_1");
        assert_eq!(headers[1].1, "1700000000");
        assert_eq!(headers[2].1, "v1,g9EIBBIwm31AQEkP7q60DV8jDWYbrjV7TTZJL+PIcMo=");
        assert_eq!(HookSecret::parse(&secret.text()).unwrap().0, secret.0);
    }

    /// The rule's own example: testdata/README.md says where it is from.
    #[test]
    fn the_rules_own_example_is_signed_as_it_says() {
        let text = include_str!("../../../testdata/standard-webhooks.json");
        let v: serde_json::Value = serde_json::from_str(text).unwrap();
        let of = |name: &str| v[name].as_str().unwrap();
        let secret = HookSecret::parse(of("secret")).unwrap();
        let at = Timestamp::from_secs(v["timestamp"].as_i64().unwrap());
        let headers = secret.headers(of("id"), at, of("body"));
        assert_eq!(headers[0].1, of("id"));
        assert_eq!(headers[1].1, "1614265330");
        assert_eq!(headers[2].1, of("signature"));
        // While the secret changes both signatures stand there, divided by a space.
        let new = HookSecret::from_bytes(&[1; 24]).unwrap();
        let both = new.headers_with(Some(&secret), of("id"), at, of("body"));
        let (first, second) = both[2].1.split_once(' ').unwrap();
        assert_eq!(first, new.headers(of("id"), at, of("body"))[2].1);
        assert_eq!(second, of("signature"));
    }

    #[test]
    fn secrets_of_another_form_or_length_are_none() {
        for bad in ["", "whsec_", "whsec_AAAA", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB", "whsec_%"] {
            assert!(HookSecret::parse(bad).is_none(), "{bad}");
        }
        assert!(HookSecret::from_bytes(&[0; 65]).is_none());
    }
}
