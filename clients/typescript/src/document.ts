// Documents, and the types of results and variables that they carry.
//
// The types of `@graphql-typed-document-node/core`, graphql-codegen (nodes and strings) and gql.tada all have the member
// `__apiType`, which exists for the compiler alone.

import { print, type DocumentNode } from "graphql";

/** What a typed document carries. */
export interface TypedDocument<Data, Variables> {
  __apiType?: (variables: Variables) => Data;
}

/** A document: its text, or what a code generator made of it. */
export type Document<Data, Variables> =
  | string
  | ((DocumentNode | { toString(): string; readonly length: number }) & TypedDocument<Data, Variables>);

/** What is asked. `variables` may be left out where all of them may. */
export type Request<Data, Variables> = {
  query: Document<Data, Variables>;
  operationName?: string | null | undefined;
  /** Sent as they are, but for `weir`, whose members are added to those of this client. */
  extensions?: Record<string, unknown> | null | undefined;
} & ({} extends Variables ? { variables?: Variables | null | undefined } : { variables: Variables });

/** What is sent. Plain and changeable: graphql-ws writes it anew when it subscribes again. */
export interface Payload {
  query: string;
  operationName?: string;
  variables?: Record<string, unknown>;
  extensions: Record<string, unknown> & { weir: Record<string, unknown> };
}

const texts = new WeakMap<object, string>();

/** The text of a document. That of a node is printed once. */
function textOf(document: Document<any, any>): string {
  if (typeof document === "string" || !("kind" in document)) return document.toString();
  let text = texts.get(document);
  if (text === undefined) {
    text = print(document);
    texts.set(document, text);
  }
  return text;
}

/** The payload of a request, with what this client adds. */
export function payloadOf(request: Request<any, any>, weir: Record<string, unknown>): Payload {
  const { query, operationName, variables, extensions } = request;
  const given = extensions?.["weir"];
  return {
    query: textOf(query),
    ...(operationName ? { operationName } : {}),
    ...(variables ? { variables: variables as Record<string, unknown> } : {}),
    extensions: { ...extensions, weir: { ...(typeof given === "object" ? given : {}), ...weir } },
  };
}
