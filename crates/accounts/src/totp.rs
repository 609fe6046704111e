//! Time-based one-time codes (RFC 6238 over RFC 4226): SHA-1, 30 seconds, six digits, which is what
//! authenticator programs understand without being told. Pure.

use ring::hmac;

/// Bytes of a secret: those of the hash (RFC 4226, section 4).
pub(crate) const SECRET_BYTES: usize = 20;

/// Seconds of a step (RFC 6238, section 4.1).
const STEP_SECS: i64 = 30;

/// Steps before and after the present one whose codes are taken: clocks differ, and people are slow
/// (RFC 6238, section 5.2).
const DRIFT_STEPS: i64 = 1;

/// The step at a second since 1970.
pub(crate) const fn step_at(secs: i64) -> i64 {
    secs.div_euclid(STEP_SECS)
}

/// The code of a step: 0 to 999999.
pub(crate) fn code(secret: &[u8], step: i64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    // Dynamic truncation (RFC 4226, section 5.3): four bytes from where the last half-byte points.
    let at = usize::from(tag.last().copied().unwrap_or(0) & 0x0f);
    let part = tag.get(at..at + 4).and_then(|p| p.try_into().ok()).unwrap_or([0; 4]);
    (u32::from_be_bytes(part) & 0x7fff_ffff) % 1_000_000
}

/// The step whose code this is, if it is one of those near `now` and later than `last_step`. Looks at
/// all of them, whichever fits.
pub(crate) fn step_of(secret: &[u8], given: &str, now_secs: i64, last_step: i64) -> Option<i64> {
    let given: String = given.chars().filter(|c| !c.is_whitespace()).collect();
    if given.len() != 6 || !given.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let given: u32 = given.parse().ok()?;
    let (now, mut found) = (step_at(now_secs), None);
    for step in now - DRIFT_STEPS..=now + DRIFT_STEPS {
        if step > last_step && code(secret, step) == given {
            found = Some(step);
        }
    }
    found
}

/// Base 32 without padding (RFC 4648, section 6).
pub(crate) fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::new();
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(ALPHABET[usize::from(((held >> bits) & 31) as u8)]));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(char::from(ALPHABET[usize::from(((held << (5 - bits)) & 31) as u8)]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_rfc_4226_appendix_d() {
        let wanted = [
            755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583, 399_871,
            520_489,
        ];
        for (step, wanted) in wanted.into_iter().enumerate() {
            assert_eq!(code(SECRET, i64::try_from(step).unwrap()), wanted, "{step}");
        }
    }

    #[test]
    fn codes_are_the_last_six_digits_of_rfc_6238_appendix_b() {
        for (secs, wanted) in [
            (59, 287_082),
            (1_111_111_109, 81_804),
            (1_111_111_111, 50_471),
            (1_234_567_890, 5_924),
            (2_000_000_000, 279_037),
            (20_000_000_000, 353_130),
        ] {
            assert_eq!(code(SECRET, step_at(secs)), wanted, "{secs}");
        }
    }

    #[test]
    fn a_code_is_taken_near_its_time_and_once() {
        let at = |step: i64| format!("{:06}", code(SECRET, step));
        let now = 1_700_000_000;
        let step = step_at(now);
        for near in step - 1..=step + 1 {
            assert_eq!(step_of(SECRET, &at(near), now, 0), Some(near));
            assert_eq!(step_of(SECRET, &at(near), now, near), None, "used up");
        }
        for far in [step - 2, step + 2] {
            assert_eq!(step_of(SECRET, &at(far), now, 0), None);
        }
        let spaced = format!(" {} {} ", &at(step)[..3], &at(step)[3..]);
        assert_eq!(step_of(SECRET, &spaced, now, 0), Some(step));
        for bad in ["", "12345", "1234567", "abcdef", "-12345", "٣٣٣"] {
            assert_eq!(step_of(SECRET, bad, now, 0), None, "{bad}");
        }
    }

    #[test]
    fn base_32_is_that_of_rfc_4648() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "MY"),
            (b"fo", "MZXQ"),
            (b"foo", "MZXW6"),
            (b"foob", "MZXW6YQ"),
            (b"fooba", "MZXW6YTB"),
            (b"foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes), text);
        }
    }
}
