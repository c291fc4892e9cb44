// GraphiQL for a Weir server: queries and mutations over HTTP, subscriptions over graphql-transport-ws.

const httpUrl = new URL("/graphql", location.href);
const socketUrl = new URL(httpUrl);
socketUrl.protocol = httpUrl.protocol === "https:" ? "wss:" : "ws:";

// The operation that is asked for. The editor's own analysis comes a moment after the last key, perhaps after the request,
// with the name of an operation that was there before.
const operationOf = ({ query, operationName }) => {
  let definitions = [];
  try {
    definitions = GraphiQL.GraphQL.parse(query).definitions;
  } catch {
    // The server says what is wrong.
  }
  const operations = definitions.filter(({ kind }) => kind === "OperationDefinition");
  if (operations.length === 1) return operations[0];
  return operations.find(({ name }) => name?.value === operationName);
};

// What the editor shows where there is no response. As an exception it would come with a stack trace of this file.
const failure = (message) => ({ errors: [{ message }] });

async function overHttp(request, headers) {
  let response, text;
  try {
    response = await fetch(httpUrl, {
      method: "POST",
      headers: {
        accept: "application/graphql-response+json, application/json;q=0.9",
        "content-type": "application/json",
        ...headers,
      },
      body: JSON.stringify(request),
    });
    text = await response.text();
  } catch (error) {
    return failure(`The server does not answer. Is it running? (${error.message})`);
  }
  try {
    return JSON.parse(text);
  } catch {
    return failure(`The server answered ${response.status}: ${text}`);
  }
}

// One socket for one subscription: it is closed when the subscription is stopped.
const overSocket = (request) => ({
  subscribe(observer) {
    const socket = new WebSocket(socketUrl, "graphql-transport-ws");
    const id = "1";
    let ended = false;
    const end = (last) => {
      if (ended) return;
      ended = true;
      if (last) observer.next(last);
      observer.complete();
      socket.close(1000);
    };
    const send = (message) => socket.send(JSON.stringify(message));
    socket.onopen = () => send({ type: "connection_init" });
    socket.onmessage = ({ data }) => {
      if (ended) return;
      const message = JSON.parse(data);
      switch (message.type) {
        case "connection_ack":
          return send({ id, type: "subscribe", payload: request });
        case "ping":
          return send({ type: "pong" });
        case "next":
          return observer.next(message.payload);
        case "error":
          return end({ errors: message.payload });
        case "complete":
          return end();
      }
    };
    socket.onclose = ({ code, reason }) =>
      end(failure(`The server has closed the connection: ${reason || "is it running?"} (${code})`));
    return {
      unsubscribe() {
        if (!ended && socket.readyState === WebSocket.OPEN) send({ id, type: "complete" });
        ended = true;
        socket.close(1000);
      },
    };
  },
});

const fetcher = (request, options) => {
  const operation = operationOf(request);
  const asked = operation ? { ...request, operationName: operation.name?.value } : request;
  return operation?.operation === "subscription" ? overSocket(asked) : overHttp(asked, options?.headers);
};

const example = `# The book at the left has what the app offers.
#
#   Ctrl-Enter     runs what is here, and stops it
#   Ctrl-Space     completes names
#   Shift-Ctrl-P   makes it pretty
#
# Write "mutation" before what changes something,
# and "subscription" before a query to watch it.

{
  __typename
}
`;

const { createElement } = React;
const app = document.querySelector("meta[name=application-name]").content;
const logo = createElement(GraphiQL.Logo, null, createElement("span", { className: "weir-logo" }, app));
const parameters = new URLSearchParams(location.search);
const graphiql = createElement(
  GraphiQL,
  {
    fetcher,
    defaultQuery: example,
    query: parameters.get("query") ?? undefined,
    variables: parameters.get("variables") ?? undefined,
    defaultEditorToolsVisibility: true,
    shouldPersistHeaders: false,
  },
  logo,
);
// The editors come one by one, without names for screen readers.
const names = ["Query", "Variables", "Headers", "Response"];
const place = document.getElementById("graphiql");
new MutationObserver((_, observer) => {
  const editors = place.querySelectorAll(".CodeMirror");
  if (editors.length < names.length) return;
  observer.disconnect();
  editors.forEach(({ CodeMirror }, at) => CodeMirror.setOption("screenReaderLabel", names[at]));
}).observe(place, { childList: true, subtree: true });

ReactDOM.createRoot(place).render(graphiql);
