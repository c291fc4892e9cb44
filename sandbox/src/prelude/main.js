// The entry of the snapshot: joins the parts and hands the host its handles.

import "ext:weir/buffers.js";
import { keep } from "ext:weir/constants.js";
import { fixTemporal } from "ext:weir/determinism.js";
import { fetch } from "ext:weir/fetch.js";
import { api, host, shared } from "ext:weir/weir.js";
import { harden, seal } from "ext:weir/seal.js";

globalThis.console = host.console;
globalThis.fetch = fetch;

harden(shared);

/** Read by the host and by the modules that open it to the app, at the start of an isolate, then removed. */
globalThis.__weir = {
  api,
  host,
  keep,
  seal() {
    fixTemporal();
    seal(shared);
  },
};
