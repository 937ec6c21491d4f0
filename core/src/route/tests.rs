use super::*;

/// Computed with the `xxhash` package for Python, which wraps the reference C code.
#[test]
fn buckets_are_those_of_the_reference_implementation() {
    let check = |salt: &str, key: &[u8], want: u16| {
        assert_eq!(bucket(seed(salt.as_bytes()), key), want, "{salt} {key:?}");
    };
    check("shop/checkout/6f7c9d", b"alice", 1389);
    check("shop/checkout/6f7c9d", b"bob", 3027);
    check("shop/checkout/6f7c9d", b"", 9459);
    check("", b"alice", 9620);
    check("shop/checkout/5b8d4f", b"alice", 6067);
    check("s", b"\xff\xfe\x00", 8294);
    check("s", &[b'k'; 300], 9055);
}
