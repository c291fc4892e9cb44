using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(
    name = "function",
    worker = (modules = [(name = "function.mjs", esModule = embed "function.mjs")], compatibilityDate = "2026-11-01"),
  )],
  sockets = [(name = "http", http = (), service = "function")],
);
