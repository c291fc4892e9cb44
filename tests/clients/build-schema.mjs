// Reads a file of SDL, builds the schema as any JavaScript client would, and prints its root fields.

import { readFileSync } from "node:fs";
import { buildSchema, validateSchema } from "graphql";

const schema = buildSchema(readFileSync(process.argv[2], "utf8"));
const errors = validateSchema(schema);
if (errors.length > 0) throw new Error(errors.join("\n"));
for (const root of [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]) {
  console.log(`${root.name}: ${Object.keys(root.getFields()).join(", ")}`);
}
