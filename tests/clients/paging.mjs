// Apollo Client with its relayStylePagination: reads all orders, page by page, from either end.
//
// node paging.mjs URL SIZE: prints a line of JSON for each end, the ids in the order of the cache.

import { ApolloClient, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { relayStylePagination } from "@apollo/client/utilities";

const [, , uri, size] = process.argv;

const ORDERS = gql`
  query Orders($first: Int, $after: String, $last: Int, $before: String) {
    ordersPage(first: $first, after: $after, last: $last, before: $before) {
      edges { cursor node { id } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
`;

async function read(count, more, next) {
  const cache = new InMemoryCache({ typePolicies: { Query: { fields: { ordersPage: relayStylePagination() } } } });
  const client = new ApolloClient({ cache, link: new HttpLink({ uri }) });
  const variables = { [count]: Number(size) };
  const watched = client.watchQuery({ query: ORDERS, variables });
  let ended;
  await new Promise((resolve, reject) => {
    ended = watched.subscribe(({ data, loading, error }) => (error ? reject(error) : !loading && data && resolve()));
  });
  const page = () => cache.readQuery({ query: ORDERS, variables }).ordersPage;
  for (let pages = 1; more(page().pageInfo); pages++) {
    if (pages > 100) throw new Error("the pages do not end");
    await watched.fetchMore({ variables: next(page().pageInfo) });
  }
  console.log(JSON.stringify(page().edges.map(({ node }) => node.id)));
  ended.unsubscribe();
}

await read("first", ({ hasNextPage }) => hasNextPage, ({ endCursor }) => ({ after: endCursor }));
await read("last", ({ hasPreviousPage }) => hasPreviousPage, ({ startCursor }) => ({ before: startCursor }));
