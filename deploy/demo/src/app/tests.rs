use super::*;

#[test]
fn errors_have_exactly_the_share_asked_for() {
    let count = |rate| (0..1_000).filter(|number| errs(*number, rate)).count();
    assert_eq!(
        [count(0.0), count(0.2), count(0.005), count(1.0)],
        [0, 200, 5, 1_000]
    );
}

#[test]
fn a_request_is_counted_under_the_smallest_bound_it_keeps_to() {
    let of = |micros| bound(Duration::from_micros(micros));
    assert_eq!([of(0), of(1_000), of(1_001), of(300_000)], [1, 1, 2, 300]);
    assert_eq!([of(60_000_000), of(60_000_001)], [60_000, u64::MAX]);
}

#[test]
fn a_share_outside_its_bounds_is_refused() {
    assert!(share("1.5").is_err() && share("-0.1").is_err() && share("NaN").is_err());
    assert_eq!(share("0.2"), Ok(0.2));
}

#[tokio::test]
async fn it_names_its_version_and_counts_what_it_answers_and_what_it_asks() {
    let ledger = serve(options("v1", &["--error-rate=0.5"])).await;
    let url = format!("--dependency=http://{ledger}/");
    let shop = serve(options("v7", &[&url])).await;
    let client = serin::http::plain().build().unwrap();
    let get = |path: &str| client.get(format!("http://{shop}{path}")).send();

    let first = get("/buy").await.unwrap();
    assert_eq!(
        (
            first.status().as_u16(),
            first.text().await.unwrap().as_str()
        ),
        (200, "v7\n")
    );
    assert_eq!(get("/buy").await.unwrap().status().as_u16(), 502);
    assert_eq!(get("/healthz").await.unwrap().status().as_u16(), 200);

    let counts: Counts = get("/counts").await.unwrap().json().await.unwrap();
    assert_eq!(counts.version, "v7");
    assert_eq!(counts.served, BTreeMap::from([(200, 1), (502, 1)]));
    assert_eq!(counts.dependency, BTreeMap::from([(200, 1), (500, 1)]));
    assert_eq!(counts.took.values().sum::<u64>(), 2);
}

#[tokio::test]
async fn a_dependency_that_is_not_there_is_a_bad_gateway() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("--dependency=http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    let shop = serve(options("v1", &[&url])).await;
    let client = serin::http::plain().build().unwrap();
    let answer = client.get(format!("http://{shop}/")).send();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status().as_u16(), 502);
}

fn options(version: &str, further: &[&str]) -> Options {
    let version = format!("--version={version}");
    let args = ["demo-app", "--listen=127.0.0.1:0", &version];
    Options::parse_from(args.iter().chain(further))
}

async fn serve(options: Options) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(options.listen).await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = router(options).unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}
