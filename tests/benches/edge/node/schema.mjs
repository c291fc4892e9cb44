// The schema of the benchmark, for servers that run on GraphQL.js: the same fields and the same function as Weir's.

export const typeDefs = `
  input ItemInput { price: Float!, quantity: Float! }
  type Total { net: Float!, tax: Float!, gross: Float! }
  type Query { total(items: [ItemInput!]!, rate: Float!, call: Int!): Total }
`;

export const resolvers = {
  Query: {
    total: (_, { items, rate }) => {
      const net = items.reduce((sum, item) => sum + item.price * item.quantity, 0);
      const tax = net * rate;
      return { net, tax, gross: net + tax };
    },
  },
};
