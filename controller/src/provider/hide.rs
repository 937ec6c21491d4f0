//! What Secrets hold is cut out of all that is told of a measurement.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use serin_core::analysis::ticking;
use serin_core::analysis::{Judged, Outcome, Provider, Secrets};

/// What of `secrets` is never told: all but what the provider says may be.
pub(super) fn hidden(provider: &Provider, secrets: &Secrets) -> Secrets {
    let mut hidden = secrets.clone();
    for wanted in provider.secrets().iter().filter(|wanted| wanted.open) {
        hidden.remove(&wanted.key);
    }
    hidden
}

/// A text without what Secrets hold, however it is written there.
pub(crate) fn cut_out(text: &str, secrets: &Secrets) -> String {
    const CUT: &str = "*****";
    // Credentials are sent without the end of line that files end with.
    let values = secrets.values().flat_map(|value| [value, value.trim()]);
    let mut forms: Vec<String> = values.flat_map(forms).collect();
    // A form may hold another: the longest go first, so that nothing of them is left.
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms
        .iter()
        .filter(|form| !form.trim().is_empty())
        .fold(text.to_string(), |text, form| text.replace(form, CUT))
}

/// An outcome without what Secrets hold; it is judged as it is.
pub(crate) fn cut_out_of(outcome: Outcome, secrets: &Secrets) -> Outcome {
    // A judge's state is numbers that were counted, and is read again.
    let cut = |(key, value): (String, String)| match key.as_str() {
        ticking::STATE => (key, value),
        _ => {
            let cut = cut_out(&value, secrets);
            (key, cut)
        }
    };
    let judged = outcome.judged.map(|judged| Judged {
        message: cut_out(&judged.message, secrets),
        ..judged
    });
    Outcome {
        shown: cut_out(&outcome.shown, secrets),
        metadata: outcome.metadata.into_iter().map(cut).collect(),
        value: outcome.value,
        judged,
    }
}

/// A value as it is, and as errors write what it stands in: quoted, and in a URL.
fn forms(value: &str) -> [String; 4] {
    let inside = |quoted: String| {
        let inside = quoted.get(1..quoted.len().saturating_sub(1));
        inside.unwrap_or_default().to_string()
    };
    [
        value.to_string(),
        inside(format!("{value:?}")),
        inside(json!(value).to_string()),
        utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_core::analysis::SecretKey;

    #[test]
    fn nothing_of_a_secret_is_told_however_it_is_written() {
        let key = |name: &str| SecretKey {
            name: name.into(),
            key: "k".into(),
        };
        let secrets: Secrets = [
            (key("a"), "hunter".to_string()),
            (key("b"), "hunter\"2\n".to_string()),
            (key("c"), String::new()),
        ]
        .into();
        let query = "up{token=\"hunter\"2\n\"}";
        let told = format!("query {query:?} at http://h/?t=hunter%222%0A: {query} hunter");
        let cut = cut_out(&told, &secrets);
        assert!(!cut.contains("hunter") && !cut.contains("2\\n"), "{cut}");
        assert!(cut.starts_with("query \"up{token="), "{cut}");
    }
}
