//! The forms of a page, as a browser would send them.

/// A form that posts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Form {
    pub action: String,
    /// Names and what stands in them.
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// The same with what stands in no field yet written by its name.
    pub fn filled(&self, write: impl Fn(&str) -> String) -> Form {
        let fields = self.fields.iter().map(|(name, value)| {
            (name.clone(), if value.is_empty() { write(name) } else { value.clone() })
        });
        Form { action: self.action.clone(), fields: fields.collect() }
    }
}

fn plain(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&amp;", "&")
}

/// The value of an attribute of a tag.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| plain(value))
}

/// The forms of a page that post, with what stands in them as the page came.
pub fn forms(body: &str) -> Vec<Form> {
    let part = |text: &str| {
        let (open, rest) = text.split_once('>')?;
        let open = format!(" {open}");
        if attribute(&open, "method").as_deref() != Some("post") {
            return None;
        }
        let inner = rest.split_once("</form>")?.0;
        Some(Form { action: attribute(&open, "action")?, fields: fields(inner) })
    };
    body.split("<form ").skip(1).filter_map(part).collect()
}

/// The fields of a form: of a choice what is chosen, else the first; of what is ticked or not, what is.
fn fields(inner: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut choice: Option<(String, Option<String>)> = None;
    for text in inner.split('<').skip(1) {
        let tag = text.split('>').next().unwrap_or_default();
        let kind = attribute(tag, "type");
        let value = attribute(tag, "value").unwrap_or_default();
        if let Some((_, chosen)) = choice.as_mut().filter(|_| tag.starts_with("option")) {
            if chosen.is_none() || tag.contains(" selected") {
                *chosen = Some(value);
            }
        } else if tag == "/select" {
            all.extend(choice.take().map(|(name, chosen)| (name, chosen.unwrap_or_default())));
        } else if let Some(name) = attribute(tag, "name") {
            let is_ticked = ["checkbox", "radio"].contains(&kind.as_deref().unwrap_or_default());
            if tag.starts_with("select") {
                choice = Some((name, None));
            } else if tag.starts_with("textarea") {
                all.push((name, String::new()));
            } else if !is_ticked || tag.contains(" checked") {
                // Of several buttons a browser sends the one that is pressed.
                let is_button = tag.starts_with("button");
                if !is_button || !all.iter().any(|(n, _)| *n == name) {
                    all.push((name, value));
                }
            }
        }
    }
    all
}
