// The real binary, serving a copy of `tests/app`, and a wire to it that can be cut.

import { spawn, type ChildProcess } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, connect, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import WebSocket from "ws";

import { createClient, type Client, type ClientOptions, type Live, type Request } from "../src/index.js";

/** The longest that anything may take. Far more than it does: machines may be busy. */
export const PATIENCE_MS = 60_000;

/** A running `weir dev`. */
export class Server {
  #folder = mkdtempSync(join(tmpdir(), "weir-client-"));
  #process: ChildProcess | undefined;
  #port = 0;

  static async start(): Promise<Server> {
    const server = new Server();
    cpSync(new URL("./app", import.meta.url), join(server.#folder, "app"), { recursive: true });
    if (!(await server.#launch())) throw new Error("weir dev does not start");
    return server;
  }

  get port(): number {
    return this.#port;
  }

  /** Starts it; false if it ended before it listened. */
  async #launch(): Promise<boolean> {
    const binary = process.env["WEIR_BINARY"];
    if (!binary) throw new Error("WEIR_BINARY must name the binary, as target/debug/weir");
    const launched = spawn(
      binary,
      ["dev", "--listen", `127.0.0.1:${this.#port}`, "--data", join(this.#folder, "data"), join(this.#folder, "app")],
      { stdio: ["ignore", "pipe", "ignore"] },
    );
    this.#process = launched;
    for await (const line of createInterface({ input: launched.stdout })) {
      const listening = /^listening on http:\/\/127\.0\.0\.1:(\d+)$/.exec(line);
      if (listening === null) continue;
      this.#port = Number(listening[1]);
      launched.stdout.resume();
      return true;
    }
    return false;
  }

  /** Ends it at once, as a power cut would. */
  async kill(): Promise<void> {
    const killed = this.#process;
    if (killed === undefined || killed.exitCode !== null || killed.signalCode !== null) return;
    const gone = new Promise((resolve) => killed.once("exit", resolve));
    killed.kill("SIGKILL");
    await gone;
  }

  /** Starts it again where it was. While something else has the port it tries again. */
  async startAgain(): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!(await this.#launch())) {
      if (Date.now() > deadline) throw new Error(`port ${this.#port} stays taken`);
    }
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** What a query gives over plain HTTP. */
  async data(query: string, variables: Record<string, unknown> = {}): Promise<any> {
    const response = await fetch(`http://127.0.0.1:${this.#port}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await response.json()) as { data: unknown; errors?: unknown };
    if (errors !== undefined) throw new Error(JSON.stringify(errors));
    return data;
  }
}

/** A wire between clients and the server, at a port of its own. */
export class Wire {
  readonly #sockets = new Set<Socket>();
  #deaf = false;
  #server = createServer();
  /** How many connections there were. */
  connections = 0;

  static async to(server: Server): Promise<Wire> {
    const wire = new Wire();
    wire.#server.on("connection", (near) => {
      wire.connections++;
      const far = connect(server.port, "127.0.0.1");
      for (const [from, to] of [[near, far], [far, near]] as const) {
        wire.#sockets.add(from);
        from.on("data", (piece) => {
          if (!wire.#deaf || from === near) to.write(piece);
          else wire.#heard();
        });
        from.on("error", () => {});
        from.on("close", () => {
          wire.#sockets.delete(from);
          to.destroy();
        });
      }
    });
    await new Promise<void>((resolve) => wire.#server.listen(0, "127.0.0.1", resolve));
    return wire;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Cuts all connections. New ones are served. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #heard = () => {};

  /** Loses all that the server says from now on, and cuts the connections when it has said something. */
  async loseAnswer(): Promise<void> {
    this.#deaf = true;
    await new Promise<void>((resolve) => (this.#heard = resolve));
    this.cut();
    this.#deaf = false;
  }

  close(): void {
    this.cut();
    this.#server.close();
  }
}

/** A client that comes back at once. */
export function client(port: number, options: Partial<ClientOptions> = {}): Client {
  const url = `ws://127.0.0.1:${port}/graphql`;
  return createClient({ url, webSocketImpl: WebSocket, retryWait: () => sleep(20), ...options });
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Looks until something is there. */
export async function eventually<T>(what: string, look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`waited ${PATIENCE_MS} ms for ${what}`);
    await sleep(5);
  }
}

/** All that a subscription was sent, frozen as it was handed out. */
export class Watcher<Data = Record<string, any>> {
  readonly all: Live<Data>[] = [];
  #taken = 0;
  end: { error?: unknown } | undefined;
  readonly unsubscribe: () => void;

  constructor(client: Client, request: Request<Data, Record<string, unknown>>) {
    this.unsubscribe = client.subscribe<Data, Record<string, unknown>>(request, {
      next: (live) => void this.all.push(frozen(live)),
      error: (error) => void (this.end = { error }),
      complete: () => void (this.end ??= {}),
    });
  }

  /** The next one, whatever it is. */
  async next(): Promise<Live<Data>> {
    const live = await eventually("a value", () => {
      if (this.end?.error !== undefined) throw new Error(JSON.stringify(this.end.error));
      return this.all[this.#taken];
    });
    this.#taken++;
    return live;
  }
}

/** Frozen to its ends: a later change would throw. */
export function frozen<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const member of Object.values(value)) frozen(member);
  return value;
}
