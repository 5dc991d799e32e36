//! `web/client/src/wire.ts` is generated from the frames: this test fails when the file is older than they are, and
//! writes it anew when `BESTCHAT_WRITE_TYPES` is set (`make types`).

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;

use ts_rs::{Config, TS, TypeVisitor};

use super::frame::{ClientFrame, PROTOCOL, ServerFrame};
use crate::edge::ModelView;
use crate::provider_catalog::Providers;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../web/client/src/wire.ts");

#[test]
fn wire_types_are_those_of_the_frames() {
    let file = Path::new(FILE);
    let generated = generate();
    if env::var_os("BESTCHAT_WRITE_TYPES").is_some() {
        fs::write(file, &generated).unwrap();
    }
    let committed = fs::read_to_string(file).unwrap();
    assert!(committed == generated, "web/client/src/wire.ts is not what the frames say: run `make types`");
}

fn generate() -> String {
    let mut types = Types { config: Config::new().with_large_int("number"), declared: BTreeMap::new() };
    types.visit::<ClientFrame>();
    types.visit::<ServerFrame<'static>>();
    types.visit::<domain::conversation::Event>();
    types.visit::<ModelView>();
    types.visit::<Providers>();
    types.visit::<projections::ProviderConfigView>();
    types.visit::<projections::DefaultView>();
    types.visit::<domain::account::Limits>();
    types.visit::<projections::usage::UsageView>();
    header() + &types.declared.into_values().collect::<String>()
}

fn header() -> String {
    format!(
        "// The types of the wire, version {PROTOCOL}; docs/protocol.md says what they mean.\n\
         // Generated from api/src/, domain/src/*/event.rs and projections/src/\n\
         // by `make types`: change those, not this.\n"
    )
}

/// Each type once, by its name: the order in which the derived code names them changes from build to build.
struct Types {
    config: Config,
    declared: BTreeMap<String, String>,
}

impl TypeVisitor for Types {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // What has no file of its own is built in, or made of others.
        if T::output_path().is_some() {
            let docs = tidy(&T::docs().unwrap_or_default(), "");
            let declared = tidy(&T::decl(&self.config), "    ").replace(" | {", "\n  | {").replace(", }", " }");
            let known = self.declared.insert(T::ident(&self.config), format!("\n{docs}export {declared}\n"));
            if known.is_some() {
                return;
            }
        }
        T::visit_dependencies(self);
        T::visit_generics(self);
    }
}

/// A line for a comment, a line for a field: so that a change reads as one.
fn tidy(text: &str, indent: &str) -> String {
    let text = text.replace("/**\n * ", &format!("{indent}/** ")).replace("\n */\n", &format!(" */\n{indent}"));
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect::<String>().trim_end_matches('\n').to_owned()
        + if text.ends_with('\n') { "\n" } else { "" }
}
