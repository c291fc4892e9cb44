//! Files as Apollo Client sends them, with the link of apollo-upload-client.

use serde_json::{Value, json};

use crate::apps::App;
use crate::node;
use crate::weir::Dev;

const FILES: &str = r#"
import { procedure, type Bytes } from "weir";
export interface Attached { name: string; content: Bytes; more?: Bytes[] }
export const store = procedure((args: { file: Bytes }): Bytes => args.file);
export const storeAll = procedure((args: { files: Bytes[]; attached?: Attached }): Bytes[] =>
  [...args.files, ...(args.attached ? [args.attached.content, ...(args.attached.more ?? [])] : [])]);
"#;

#[test]
fn apollo_client_uploads_files() {
    let Some(packages) = node::packages("apollo_client_uploads_files") else { return };
    let dev = Dev::start(&App::of(FILES));
    let ended = node::run(packages, "files.mjs", &[&format!("{}/graphql", dev.url)]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let refused = lines.pop().unwrap();
    assert_eq!(
        lines,
        [
            json!({ "store": "b25l" }),
            json!({ "storeAll": ["YQ==", "c2hhcmVk", "c2hhcmVk", "Yw=="] }),
            json!({ "store": "AP8NCg==" }),
            json!({ "store": "dGV4dA==" }),
        ]
    );
    // Without the header that has browsers ask first.
    assert!(refused["error"].is_string(), "{refused}");
}
