//! Counting what is asked of the API server: requests and answers pass through, and are counted by
//! kind, verb and status.

use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Method, Request, Response, Uri};
use kube::Client;
use kube::client::{Body, ClientBuilder, DynBody};
use tower::{BoxError, Layer, Service};

use super::metrics::Metrics;
use crate::kubernetes::config::Sender;

/// A client whose requests are counted.
pub fn counted(builder: ClientBuilder<Sender>, metrics: Metrics) -> Client {
    builder.with_layer(&Counting(metrics)).build()
}

struct Counting(Metrics);

impl Layer<Sender> for Counting {
    type Service = Counted;

    fn layer(&self, inner: Sender) -> Counted {
        Counted {
            inner,
            metrics: self.0.clone(),
        }
    }
}

struct Counted {
    inner: Sender,
    metrics: Metrics,
}

impl Service<Request<Body>> for Counted {
    type Response = Response<Box<DynBody>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let asked = asked(request.method(), request.uri());
        let metrics = self.metrics.clone();
        let answered = self.inner.call(request);
        async move {
            let answer = answered.await;
            if let Some((kind, verb)) = asked {
                let status = answer.as_ref().map(|answer| answer.status().as_u16());
                // Zero stands for no answer.
                metrics.request(kind, verb, status.unwrap_or(0));
            }
            answer
        }
        .boxed()
    }
}

/// The kind that a request is about, in its plural, and the verb; none if it is about no object.
fn asked(method: &Method, uri: &Uri) -> Option<(String, &'static str)> {
    let mut parts = uri.path().trim_matches('/').split('/');
    match parts.next()? {
        "api" => parts.next()?,
        "apis" => parts.nth(1)?,
        _ => return None,
    };
    let mut rest: Vec<&str> = parts.collect();
    if rest.first() == Some(&"namespaces") && rest.len() > 2 {
        rest.drain(..2);
    }
    let kind = (*rest.first()?).to_string();
    let is_named = rest.len() > 1;
    let query = uri.query().unwrap_or_default();
    let watches = query
        .split('&')
        .any(|part| ["watch=true", "watch=1"].contains(&part));
    let verb = match *method {
        Method::GET if is_named => "Get",
        Method::GET if watches => "Watch",
        Method::GET => "List",
        Method::POST => "Create",
        Method::PUT => "Update",
        Method::PATCH => "Patch",
        Method::DELETE => "Delete",
        _ => return None,
    };
    Some((kind, verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_about_a_kind_and_has_a_verb() {
        const ARGO: &str = "/apis/argoproj.io/v1alpha1";
        let cases = [
            (
                Method::GET,
                format!("{ARGO}/rollouts?&watch=true"),
                "rollouts",
                "Watch",
            ),
            (
                Method::GET,
                format!("{ARGO}/namespaces/web/rollouts?limit=500"),
                "rollouts",
                "List",
            ),
            (
                Method::PATCH,
                format!("{ARGO}/namespaces/web/rollouts/shop/status?"),
                "rollouts",
                "Patch",
            ),
            (
                Method::POST,
                "/api/v1/namespaces/web/pods/a/eviction".to_string(),
                "pods",
                "Create",
            ),
            (
                Method::GET,
                "/api/v1/namespaces/web".to_string(),
                "namespaces",
                "Get",
            ),
            (
                Method::PUT,
                "/apis/coordination.k8s.io/v1/namespaces/a/leases/b".to_string(),
                "leases",
                "Update",
            ),
            (
                Method::DELETE,
                "/apis/batch/v1/namespaces/a/jobs/b".to_string(),
                "jobs",
                "Delete",
            ),
        ];
        for (method, uri, kind, verb) in cases {
            let uri = uri.parse().expect("a URI");
            assert_eq!(
                asked(&method, &uri),
                Some((kind.to_string(), verb)),
                "{uri}"
            );
        }
    }

    #[test]
    fn what_is_about_no_object_is_not_counted() {
        for path in ["/version", "/api", "/apis/apps/v1", "/"] {
            let uri = path.parse().expect("a URI");
            assert_eq!(asked(&Method::GET, &uri), None, "{path}");
        }
    }
}
