//! What a request brought back, and what can be seen and done on it.

use scraper::{ElementRef, Html, Selector};
use url::Url;

/// The answer to a request after its redirects.
#[derive(Debug, Clone)]
pub struct Page {
    pub url: Url,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub text: String,
    pub url: Url,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    pub id: Option<String>,
    pub action: Url,
    pub method: String,
    /// Controls that are sent, in order: check boxes and radio buttons that are off are not among them.
    pub fields: Vec<(String, String)>,
    pub buttons: Vec<Button>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    pub text: String,
    pub name: Option<String>,
    pub value: String,
    /// `formaction`: where the form goes when this one is pressed.
    pub action: Option<Url>,
}

impl Page {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{} is not JSON ({error}): {}", self.url, self.body))
    }

    pub fn title(&self) -> String {
        self.text("title").unwrap_or_default()
    }

    /// The text of the first element that the CSS selector finds, its white space collapsed.
    pub fn text(&self, selector: &str) -> Option<String> {
        self.texts(selector).into_iter().next()
    }

    pub fn texts(&self, css: &str) -> Vec<String> {
        self.html().select(&selector(css)).map(text_of).collect()
    }

    /// Everything that can be read on the page.
    pub fn visible_text(&self) -> String {
        self.text("body").unwrap_or_default()
    }

    pub fn links(&self) -> Vec<Link> {
        let link =
            |link: ElementRef<'_>| Some(Link { text: text_of(link), url: self.url.join(link.attr("href")?).ok()? });
        self.html().select(&selector("a[href]")).filter_map(link).collect()
    }

    /// Where the elements that the CSS selector finds have their content from.
    pub fn sources(&self, css: &str) -> Vec<Url> {
        let source = |element: ElementRef<'_>| self.url.join(element.attr("src")?).ok();
        self.html().select(&selector(css)).filter_map(source).collect()
    }

    /// The link whose text contains `text`.
    pub fn link(&self, text: &str) -> Link {
        let found = self.links().into_iter().find(|link| link.text.contains(text));
        found.unwrap_or_else(|| panic!("no link {text:?} on {}: {}", self.url, self.body))
    }

    pub fn forms(&self) -> Vec<Form> {
        self.html().select(&selector("form")).map(|form| self.read_form(form)).collect()
    }

    /// The only form of the page.
    pub fn form(&self) -> Form {
        let mut forms = self.forms();
        assert_eq!(forms.len(), 1, "{} has {} forms: {}", self.url, forms.len(), self.body);
        forms.remove(0)
    }

    fn html(&self) -> Html {
        Html::parse_document(&self.body)
    }

    fn read_form(&self, form: ElementRef<'_>) -> Form {
        let action = form.attr("action").filter(|action| !action.is_empty());
        Form {
            id: form.attr("id").map(str::to_owned),
            action: action.and_then(|action| self.url.join(action).ok()).unwrap_or_else(|| self.url.clone()),
            method: form.attr("method").unwrap_or("get").to_ascii_uppercase(),
            fields: form.select(&selector("input[name], textarea[name], select[name]")).filter_map(field).collect(),
            buttons: form
                .select(&selector("button, input[type=submit]"))
                .filter_map(|control| button(&self.url, control))
                .collect(),
        }
    }
}

impl Form {
    /// Types a value into a field.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        match self.fields.iter_mut().find(|(each, _)| each == name) {
            Some(field) => field.1 = value.to_owned(),
            None => {
                let names: Vec<_> = self.fields.iter().map(|(name, _)| name).collect();
                panic!("the form has no field {name:?} but {names:?}");
            }
        }
        self
    }

    /// Chooses the button to be pressed, whose name and value are then sent as well.
    pub fn press(mut self, text: &str) -> Self {
        let button = self.buttons.iter().find(|button| button.text.contains(text));
        let button = button.unwrap_or_else(|| panic!("the form has no button {text:?}: {:?}", self.buttons));
        if let Some(name) = &button.name {
            self.fields.push((name.clone(), button.value.clone()));
        }
        if let Some(action) = &button.action {
            self.action = action.clone();
        }
        self
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn encoded(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.fields).finish()
    }
}

fn field(control: ElementRef<'_>) -> Option<(String, String)> {
    let name = control.attr("name").filter(|name| !name.is_empty())?.to_owned();
    let is_off = control.attr("checked").is_none();
    let value = match (control.value().name(), control.attr("type").unwrap_or("text")) {
        ("input", "submit" | "button" | "image" | "reset" | "file") => return None,
        ("input", "checkbox" | "radio") if is_off => return None,
        ("input", "checkbox" | "radio") => control.attr("value").unwrap_or("on").to_owned(),
        ("input", _) => control.attr("value").unwrap_or_default().to_owned(),
        ("select", _) => chosen_option(control),
        _ => control.text().collect(),
    };
    Some((name, value))
}

fn chosen_option(select: ElementRef<'_>) -> String {
    let chosen =
        select.select(&selector("option[selected]")).next().or_else(|| select.select(&selector("option")).next());
    let value = |option: ElementRef<'_>| option.attr("value").map_or_else(|| text_of(option), str::to_owned);
    chosen.map(value).unwrap_or_default()
}

fn button(page: &Url, control: ElementRef<'_>) -> Option<Button> {
    if control.value().name() == "button" && matches!(control.attr("type"), Some("button" | "reset")) {
        return None;
    }
    let value = control.attr("value").unwrap_or_default().to_owned();
    let text = if control.value().name() == "input" { value.clone() } else { text_of(control) };
    let action = control.attr("formaction").and_then(|action| page.join(action).ok());
    Some(Button { text, name: control.attr("name").map(str::to_owned), value, action })
}

fn text_of(element: ElementRef<'_>) -> String {
    let text: String = element.text().collect::<Vec<_>>().join(" ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn selector(css: &str) -> Selector {
    Selector::parse(css).unwrap_or_else(|error| panic!("{css:?} is no CSS selector: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(body: &str) -> Page {
        Page {
            url: "http://localhost/dir/page?x=1".parse().unwrap(),
            status: 200,
            headers: Vec::new(),
            body: body.to_owned(),
        }
    }

    #[test]
    fn form_has_the_fields_that_a_browser_would_send() {
        let page = page(
            r#"<form action="../send" method="post"><input name="a" value="1"><input type="checkbox" name="off">
            <input type="checkbox" name="on" checked><input type="radio" name="r" value="x"><input type="radio" name="r" value="y" checked>
            <select name="s"><option>one</option><option value="2" selected>two</option></select><textarea name="t">text</textarea>
            <input name="" value="unnamed"><button name="b" value="pressed">Go</button></form>"#,
        );
        let form = page.form();
        assert_eq!((form.action.as_str(), form.method.as_str()), ("http://localhost/send", "POST"));
        assert_eq!(form.set("a", "&").encoded(), "a=%26&on=on&r=y&s=2&t=text");
        assert_eq!(page.form().press("Go").value("b"), Some("pressed"));
    }

    #[test]
    fn form_without_action_goes_to_its_own_page_by_get() {
        let form = page("<form><input name=q value=1></form>").form();
        assert_eq!((form.action.as_str(), form.method.as_str()), ("http://localhost/dir/page?x=1", "GET"));
    }

    #[test]
    fn links_are_resolved_and_found_by_text() {
        let page = page(r#"<p><a href="b">To  <b>B</b></a><a href="//other/c">C</a></p>"#);
        assert_eq!(page.link("To B").url.as_str(), "http://localhost/dir/b");
        assert_eq!(page.link("C").url.as_str(), "http://other/c");
    }
}
