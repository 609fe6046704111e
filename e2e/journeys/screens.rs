//! The table of screens that journeys are walked on: width, language, scripts. Each is walked on its own and on the
//! one that differs in all three, so that every journey is seen wide and narrow, in both languages, with scripts and
//! without; with `GRUVE_LONG=1` on all eight. Light colours on the one, dark on the other.

use crate::chromium::{DESK, PHONE, Screen};

const LIGHT: &[&str] = &["light"];
const DARK: &[&str] = &["dark"];

/// A journey's way over one screen.
#[derive(Clone, Copy)]
pub struct Walk {
    pub screen: Screen,
    /// Which of the journey's; the first is its own.
    pub n: usize,
}

impl Walk {
    /// Somebody's name on this walk: each walk has people of its own.
    pub fn name(&self, of: &str) -> String {
        if self.n == 0 { of.to_owned() } else { format!("{of}-{}", self.n) }
    }

    /// The same screen, for another person of the journey.
    pub fn also(&self, name: &str) -> Screen {
        Screen { name: format!("{}-{name}", self.screen.name).leak(), ..self.screen }
    }

    /// The screen of other width and language, for another person of the journey.
    pub fn across(&self, name: &str) -> Screen {
        let Screen { scripts, colours, pictured, .. } = self.screen;
        let name = format!("{}-{name}", self.screen.name).leak();
        let seat = if self.screen.phone { DESK } else { PHONE };
        let language = other_language(self.screen.language);
        Screen { name, language, scripts, colours, pictured, ..seat }
    }
}

fn other_language(language: &str) -> &'static str {
    if language == "en" { "nb" } else { "en" }
}

fn is_same(a: &Screen, b: &Screen) -> bool {
    (a.phone, a.language, a.scripts) == (b.phone, b.language, b.scripts)
}

/// The walks of a journey.
pub fn walks(own: Screen) -> Vec<Walk> {
    let own = Screen { colours: LIGHT, ..own };
    let named = |seat: Screen, language: &'static str, scripts: bool| {
        let still = if scripts { "" } else { "-still" };
        let name = format!("{}-{}-{language}{still}", own.name, seat.name).leak();
        Screen { name, language, scripts, colours: DARK, pictured: false, ..seat }
    };
    let across = if own.phone { DESK } else { PHONE };
    let mut all = vec![own, named(across, other_language(own.language), !own.scripts)];
    if std::env::var_os("GRUVE_LONG").is_some() {
        for seat in [DESK, PHONE] {
            for (language, scripts) in [("en", true), ("en", false), ("nb", true), ("nb", false)] {
                let screen = named(seat, language, scripts);
                if !all.iter().any(|s| is_same(s, &screen)) {
                    all.push(screen);
                }
            }
        }
        assert_eq!(all.len(), 8, "width, language, scripts");
    }
    all.into_iter().enumerate().map(|(n, screen)| Walk { screen, n }).collect()
}
