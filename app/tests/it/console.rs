//! The console comes out of the binary: no file beside it is needed.

use memchr::memmem;

use crate::support::{App, address};

#[tokio::test]
async fn the_binary_alone_serves_the_page_and_all_that_it_names() {
    let app = App::new().await;
    let empty = tempfile::tempdir().unwrap();
    let mut process = app.start_with(&["api"], empty.path(), &[]);
    let origin = format!("http://{}/", address(&mut process).await);

    let page = reqwest::get(&origin).await.unwrap();
    assert_eq!(page.status(), 200, "`make web` builds the console, then cargo embeds it");
    assert_eq!(page.headers()["content-type"], "text/html");
    let page = page.text().await.unwrap();
    let named: Vec<&str> = ["src=\"./", "href=\"./"]
        .iter()
        .flat_map(|attribute| page.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()))
        .collect();
    for kind in ["js", "css"] {
        assert!(named.iter().any(|name| name.ends_with(&format!(".{kind}"))), "{kind}: {page}");
    }
    let binary = std::fs::read(env!("CARGO_BIN_EXE_bestchat")).unwrap();
    for name in named {
        let file = reqwest::get(format!("{origin}{name}")).await.unwrap();
        assert_eq!(file.status(), 200, "{name}");
        let body = file.bytes().await.unwrap();
        assert!(memmem::find(&binary, &body).is_some(), "{name} is in the binary, and not read from the disk");
    }
}
