//! `provider.graphite`.

use serde::{Deserialize, Serialize};

use super::{Args, request};
use crate::field::Field;

/// A query to a Graphite server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GraphiteQuery {
    /// The server, such as `http://graphite.monitoring:8080`.
    pub address: String,
    /// What stands behind the `?` of Graphite's render API, such as `target=a.b&from=-5min`, without
    /// white space.
    pub query: String,
}

pub(super) fn read(field: &Field<'_>, args: Args) -> Option<GraphiteQuery> {
    field.only(&["address", "query"]);
    let address = field
        .required("address", "a URL")
        .and_then(|address| request::url(&address, args, "http://graphite.monitoring:8080"));
    let query = field
        .required("query", "a query")
        .and_then(|written| query(&written, args));
    Some(GraphiteQuery {
        address: address?,
        query: query?,
    })
}

/// Argo Rollouts drops white space, so that a long target may stand on many lines.
fn query(field: &Field<'_>, args: Args) -> Option<String> {
    let text = field.string()?;
    if args.unknown(text) {
        return Some(text.to_string());
    }
    let query: String = text.split_whitespace().collect();
    let named = |part: &str| {
        part.strip_prefix("target=")
            .is_some_and(|it| !it.is_empty())
    };
    if !query.split('&').any(named) {
        field.expected("parameters of Graphite's render API such as \"target=a.b&from=-5min\"");
        return None;
    }
    Some(query)
}

#[cfg(test)]
mod tests {
    use super::super::tests::errors_of;
    use super::*;
    use serde_json::json;

    #[test]
    fn white_space_is_dropped() {
        let (found, errors) = super::super::tests::read_by(
            json!({"address": "http://g:80", "query": "target=sum(\n  a.*,\n b\n)&from=-5min\n"}),
            read,
        );
        assert_eq!(errors, [""; 0]);
        assert_eq!(found.unwrap().query, "target=sum(a.*,b)&from=-5min");
    }

    #[test]
    fn what_graphite_cannot_answer_is_refused_by_path() {
        let errors = |value| errors_of(value, read);
        assert_eq!(
            errors(json!({"query": "a.b", "address": "graphite", "from": "-5min"})),
            [
                "p.from: is \"-5min\", expected one of address, query",
                "p.address: is \"graphite\", expected a URL such as \
                 \"http://graphite.monitoring:8080\"",
                "p.query: is \"a.b\", expected parameters of Graphite's render API such as \
                 \"target=a.b&from=-5min\"",
            ]
        );
        assert_eq!(
            errors(json!({})),
            [
                "p.address: is missing, expected a URL",
                "p.query: is missing, expected a query"
            ]
        );
    }
}
