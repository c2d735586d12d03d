//! Chooses the page to embed: `web/dist` where it has been built, otherwise a sentence that says how. It never runs npm:
//! `make` builds the page first.

use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let built = root.join("web/dist");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", built.display());
    let page = if built.join("index.html").is_file() {
        built.canonicalize()?
    } else {
        let stub = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("page");
        std::fs::create_dir_all(&stub)?;
        std::fs::write(
            stub.join("index.html"),
            "<!doctype html><meta charset=utf-8><title>PigWeight</title><p>This binary was built without its page. \
             Build both with <code>make build</code>; the API works.",
        )?;
        println!("cargo::warning=web/dist is not built: the binary gets no page; use make build");
        stub
    };
    println!("cargo::rustc-env=EMBEDDED_PAGE={}", page.display());
    Ok(())
}
