//! scrypt with N = 1024, r = 1, p = 1: the proof of work of Litecoin and Dogecoin.

/// scrypt(N = 1024, r = 1, p = 1) of a header, the header being password and salt.
#[must_use]
pub fn scrypt_1024_1_1(header: &[u8; 80]) -> [u8; 32] {
    let mut out = [0xffu8; 32];
    // Neither call can fail with these constants; all ones meets no target should they ever.
    if let Ok(params) = ::scrypt::Params::new(10, 1, 1)
        && ::scrypt::scrypt(header, header, &params, &mut out).is_err()
    {
        return [0xff; 32];
    }
    out
}
