use std::net::TcpListener;

use super::*;

const PRIVATE: &[&str] = &[
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
];

const PUBLIC: &[&str] = &[
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2003::1",
    "2606:4700:4700::1111",
    "2a00:1450::1",
    "3fff:1000::1",
];

#[test]
fn public_addresses_are_told_from_the_others() {
    for address in PRIVATE {
        assert!(!is_public(address.parse().unwrap()), "{address}");
    }
    for address in PUBLIC {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
}

#[test]
fn an_address_in_a_base_url_is_checked_however_it_is_written() {
    for address in PRIVATE {
        let host = if address.contains(':') { format!("[{address}]") } else { (*address).to_owned() };
        assert_eq!(Reach::Public.check(&format!("https://{host}:8443/v1")), Err(AddressError::Private), "{address}");
        assert!(Reach::Anywhere.check(&format!("http://{host}:8080/v1")).is_ok(), "{address}");
    }
    for host in [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "127。0。0。1",
        "①②⑦.0.0.1",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:0:0:1]",
        "localhost",
        "LocalHost.",
        "a.localhost",
        "metadata.google.internal",
        "printer.local",
        "router.home.arpa",
    ] {
        assert_eq!(Reach::Public.check(&format!("https://{host}/v1")), Err(AddressError::Private), "{host}");
    }
}

#[test]
fn a_base_url_says_what_is_wrong_with_it() {
    for (url, public, anywhere) in [
        ("https://api.example.com/v1", Ok(()), Ok(())),
        ("https://1.1.1.1/v1", Ok(()), Ok(())),
        ("https://notlocalhost.example", Ok(()), Ok(())),
        ("http://api.example.com/v1", Err(AddressError::Insecure), Ok(())),
        ("ftp://api.example.com", Err(AddressError::Scheme), Err(AddressError::Scheme)),
        ("file:///etc/passwd", Err(AddressError::Scheme), Err(AddressError::Scheme)),
        ("https://ann:hunter2@example.com", Err(AddressError::Login), Err(AddressError::Login)),
        ("api.example.com/v1", Err(AddressError::Malformed), Err(AddressError::Malformed)),
        ("https://", Err(AddressError::Malformed), Err(AddressError::Malformed)),
        ("https://1.2.3.4.5/", Err(AddressError::Malformed), Err(AddressError::Malformed)),
        ("", Err(AddressError::Malformed), Err(AddressError::Malformed)),
    ] {
        assert_eq!(Reach::Public.check(url).map(drop), public, "{url}");
        assert_eq!(Reach::Anywhere.check(url).map(drop), anywhere, "{url}");
    }
}

#[test]
fn a_name_with_one_address_that_is_not_public_is_refused() {
    let all = |addresses: &[&str]| only_public(addresses.iter().map(|address| address.parse().unwrap()).collect());
    assert_eq!(all(&["1.1.1.1:443", "10.0.0.1:443"]), Err(AddressError::Private));
    assert_eq!(all(&["[2606:4700::1]:443", "[::1]:443"]), Err(AddressError::Private));
    assert_eq!(all(&["1.1.1.1:443", "[2606:4700::1]:443"]).map(|found| found.len()), Ok(2));
}

/// What was a public name when it was given may be another machine when it is called.
#[tokio::test]
async fn a_name_is_resolved_and_checked_when_a_connection_is_made() {
    _ = rustls::crypto::ring::default_provider().install_default();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let url = format!("https://localhost:{}/v1", server.local_addr().unwrap().port());

    let guarded = Reach::Public.guard(reqwest::Client::builder()).build().unwrap();
    let error = guarded.get(&url).send().await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    assert!(format!("{error:?}").contains("Private"), "{error:?}");
    assert!(server.accept().is_err(), "nobody came");

    let free = Reach::Anywhere.guard(reqwest::Client::builder()).build().unwrap();
    let call = tokio::spawn(free.get(&url).send());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while server.accept().is_err() {
        assert!(std::time::Instant::now() < deadline, "the free client came");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    call.abort();
}
