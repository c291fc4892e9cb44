// Runs the audits of `graphql-http` against a server: do its answers keep to GraphQL over HTTP?
//
// `audit.mjs URL` writes `{"id", "name", "status", "reason"}` for each audit.

import { auditServer } from "graphql-http";

for (const { id, name, status, reason } of await auditServer({ url: process.argv[2] })) {
  console.log(JSON.stringify({ id, name, status, reason }));
}
