// GraphiQL for a Weir server: queries and mutations over HTTP, subscriptions over graphql-transport-ws.

const httpUrl = new URL("/graphql", location.href);
const socketUrl = new URL(httpUrl);
socketUrl.protocol = httpUrl.protocol === "https:" ? "wss:" : "ws:";

const isSubscription = (document, operationName) =>
  (document?.definitions ?? []).some(
    (definition) =>
      definition.kind === "OperationDefinition" &&
      definition.operation === "subscription" &&
      (!operationName || definition.name?.value === operationName),
  );

async function overHttp(request, headers) {
  const response = await fetch(httpUrl, {
    method: "POST",
    headers: {
      accept: "application/graphql-response+json, application/json;q=0.9",
      "content-type": "application/json",
      ...headers,
    },
    body: JSON.stringify(request),
  });
  return response.json();
}

// One socket for one subscription: it is closed when the subscription is stopped.
const overSocket = (request) => ({
  subscribe(observer) {
    const socket = new WebSocket(socketUrl, "graphql-transport-ws");
    const id = "1";
    let ended = false;
    const end = (finish) => {
      if (ended) return;
      ended = true;
      finish?.();
      socket.close(1000);
    };
    const send = (message) => socket.send(JSON.stringify(message));
    socket.onopen = () => send({ type: "connection_init" });
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      switch (message.type) {
        case "connection_ack":
          return send({ id, type: "subscribe", payload: request });
        case "ping":
          return send({ type: "pong" });
        case "next":
          return observer.next(message.payload);
        case "error":
          observer.next({ errors: message.payload });
          return end(() => observer.complete?.());
        case "complete":
          return end(() => observer.complete?.());
      }
    };
    socket.onclose = ({ code, reason }) =>
      end(() => observer.error?.(new Error(`The connection was closed: ${code} ${reason}`)));
    return {
      unsubscribe() {
        if (!ended && socket.readyState === WebSocket.OPEN) send({ id, type: "complete" });
        end();
      },
    };
  },
});

const fetcher = (request, options) =>
  isSubscription(options?.documentAST, request.operationName)
    ? overSocket(request)
    : overHttp(request, options?.headers);

const { createElement } = React;
const logo = createElement(GraphiQL.Logo, null, createElement("span", { className: "weir-logo" }, "Weir"));
const parameters = new URLSearchParams(location.search);
const graphiql = createElement(
  GraphiQL,
  {
    fetcher,
    defaultQuery: "# The schema is behind the book at the left. Ctrl+Enter runs, Ctrl+Space completes.\n\n{\n  __typename\n}\n",
    query: parameters.get("query") ?? undefined,
    variables: parameters.get("variables") ?? undefined,
    defaultEditorToolsVisibility: true,
    shouldPersistHeaders: false,
  },
  logo,
);
ReactDOM.createRoot(document.getElementById("graphiql")).render(graphiql);
