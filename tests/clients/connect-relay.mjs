import { createClient } from "graphql-ws";
import relay from "relay-runtime";

export const connect = (url) => {
  const socket = createClient({ url: url.replace("http", "ws") });
  const fetchQuery = async ({ text }, variables) => {
    const headers = { "content-type": "application/json", accept: "application/graphql-response+json" };
    const body = JSON.stringify({ query: text, variables });
    return (await fetch(url, { method: "POST", headers, body })).json();
  };
  const subscribe = ({ text }, variables) =>
    relay.Observable.create((sink) => socket.subscribe({ query: text, variables }, sink));
  const store = new relay.Store(new relay.RecordSource());
  return new relay.Environment({ network: relay.Network.create(fetchQuery, subscribe), store });
};
