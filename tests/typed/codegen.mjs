// What an app's frontend would write for graphql-codegen's client preset. WEIR_SCHEMA: where the schema is.
export default {
  schema: process.env.WEIR_SCHEMA,
  documents: ["codegen/*.ts"],
  generates: {
    "./codegen/gql/": {
      preset: "client",
      config: {
        scalars: { DateTime: "string", JSON: "unknown", Bytes: "string" },
        strictScalars: true,
        useTypeImports: true,
        enumsAsTypes: true,
      },
    },
  },
  ignoreNoDocuments: false,
};
