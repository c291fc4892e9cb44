// Apollo Client with the link of apollo-upload-client: files in the variables of mutations.
//
// node files.mjs URL: prints a line of JSON for each mutation.

import { ApolloClient, gql, InMemoryCache } from "@apollo/client";
import UploadHttpLink from "apollo-upload-client/UploadHttpLink.mjs";

const client = (headers) => new ApolloClient({ cache: new InMemoryCache(), link: new UploadHttpLink({ uri: process.argv[2], headers }) });
const guarded = client({ "Apollo-Require-Preflight": "true" });

const STORE = gql`mutation Store($file: Bytes!) { store(file: $file) }`;
const ALL = gql`mutation All($files: [Bytes!]!, $attached: AttachedInput) { storeAll(files: $files, attached: $attached) }`;

async function show(client, mutation, variables) {
  try {
    console.log(JSON.stringify((await client.mutate({ mutation, variables })).data));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
  }
}

const blob = (text) => new Blob([text], { type: "text/plain" });
const shared = blob("shared");
await show(guarded, STORE, { file: blob("one") });
await show(guarded, ALL, { files: [blob("a"), shared], attached: { name: "n", content: shared, more: [blob("c")] } });
await show(guarded, STORE, { file: new File([new Uint8Array([0, 255, 13, 10])], "f.bin") });
await show(guarded, STORE, { file: "dGV4dA==" });
await show(client({}), STORE, { file: blob("one") });
