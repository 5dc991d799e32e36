//! The login without a login: for a developer's own machine, and nowhere else.

use crate::support::App;
use crate::up::{dev_token, ready};

#[tokio::test]
async fn it_exists_under_up_on_a_loopback_address_alone() {
    let app = App::new().await;
    let api = app.api().await;
    let (_, port) = api.address.rsplit_once(':').unwrap();
    for host in [&api.address, &format!("localhost:{port}")] {
        assert_eq!(dev_token(&api.address, host, "ann").await, None, "an edge of an installation");
    }

    for (listen, issuers, how) in [
        ("0.0.0.0:0", None, "log in with a token of a configured issuer"),
        ("0.0.0.0:0", Some("[]"), "nobody can log in"),
        ("127.0.0.1:0", None, "log in with any name"),
    ] {
        let mut settings = vec![("BESTCHAT_LISTEN", listen)];
        settings.extend(issuers.map(|issuers| ("BESTCHAT_AUTH__ISSUERS", issuers)));
        let mut up = app.start_with(&["up"], app.folder(), &settings);
        let (address, line) = ready(&mut up).await;
        assert!(line.contains(how), "{line}");
        let (_, port) = address.rsplit_once(':').unwrap();
        let local = format!("127.0.0.1:{port}");
        let offered = dev_token(&local, &local, "ann").await.is_some();
        assert_eq!(offered, listen.starts_with("127."), "{listen}");
        assert!(up.stop().await.success());
    }
}
