//! A payment link as a QR code in SVG.

use maud::{Markup, PreEscaped, html};
use qrcodegen::{QrCode, QrCodeEcc};
use std::fmt::Write as _;

/// Modules of quiet around the code that ISO/IEC 18004 asks for.
const QUIET: i32 = 4;

/// The code as an SVG that scales; nothing when the text is too long for one.
///
/// Always dark on light, whatever the page's colours: many readers refuse inverted codes.
pub(crate) fn svg(text: &str, title: &str) -> Option<Markup> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let side = code.size() + 2 * QUIET;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in 0..code.size() {
            if code.get_module(x, y) {
                // Writing to a string cannot fail.
                let _ = write!(path, "M{},{}h1v1h-1z", x + QUIET, y + QUIET);
            }
        }
    }
    let view = format!("0 0 {side} {side}");
    Some(html! {
        svg.qr viewBox=(view) role="img" shape-rendering="crispEdges"
            xmlns="http://www.w3.org/2000/svg" {
            title { (title) }
            rect width="100%" height="100%" fill="#ffffff" {}
            path d=(PreEscaped(path)) fill="#000000" {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_link_becomes_a_code_with_its_title() {
        let s = svg("bitcoin:bc1qexample?amount=0.1", "Pay <this>").unwrap().into_string();
        assert!(s.contains("Pay &lt;this&gt;"));
        assert!(s.contains("M4,4h1v1h-1z")); // the finder pattern's corner, inside the quiet zone
    }

    #[test]
    fn text_too_long_for_a_code_gives_none() {
        assert!(svg(&"x".repeat(4000), "t").is_none());
    }
}
