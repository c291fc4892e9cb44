// Uses GraphiQL in Chromium as a person does: keys and clicks in, what is to be seen out.
//
// `graphiql.mjs CHROMIUM URL PROFILE PICTURES` works on a shop with its first orders, keeps its profile and pictures of the page
// in these folders, and writes what it has seen as one line of JSON. Every wait is for something that is to be seen, and
// has an end.

import { join } from "node:path";
import puppeteer from "puppeteer-core";

const PATIENCE_MS = 60_000;

const [executablePath, url, userDataDir, pictures] = process.argv.slice(2);

const browser = await puppeteer.launch({
  executablePath,
  userDataDir,
  // It ends when this process does, however that ends.
  pipe: true,
  timeout: 2 * PATIENCE_MS,
  protocolTimeout: 2 * PATIENCE_MS,
  defaultViewport: { width: 1280, height: 800 },
  args: [
    // Nothing is found beyond this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    // Containers have little of it.
    "--disable-dev-shm-usage",
    // Chromium has none for root.
    ...(process.getuid() === 0 ? ["--no-sandbox"] : []),
  ],
});
const page = await browser.newPage();
page.setDefaultTimeout(PATIENCE_MS);
await page.emulateMediaFeatures([
  { name: "prefers-color-scheme", value: "light" },
  { name: "prefers-reduced-motion", value: "reduce" },
]);

const complaints = [];
page.on("console", (message) => {
  if (["error", "warn"].includes(message.type())) complaints.push(message.text());
});
page.on("pageerror", (error) => complaints.push(String(error)));

const elsewhere = [];
let serverIsGone = false;
const isElsewhere = (address) => {
  const asked = new URL(address);
  return asked.protocol !== "data:" && asked.host !== new URL(url).host;
};
await page.setRequestInterception(true);
page.on("request", (request) => {
  if (isElsewhere(request.url())) elsewhere.push(request.url());
  else if (!serverIsGone) return request.continue();
  return request.abort();
});

// What goes over sockets is not intercepted, but seen.
const sockets = { opened: 0, closed: 0, sent: [] };
const network = await page.createCDPSession();
await network.send("Network.enable");
network.on("Network.webSocketCreated", ({ url: address }) => {
  sockets.opened++;
  if (isElsewhere(address)) elsewhere.push(address);
});
network.on("Network.webSocketFrameSent", ({ response }) => {
  if (response.opcode === 1) sockets.sent.push(JSON.parse(response.payloadData).type);
});
const closed = new Promise((resolve) => network.on("Network.webSocketClosed", resolve));

const QUERY = ".graphiql-query-editor .CodeMirror";
const VARIABLES = ".graphiql-editor-tool .graphiql-editor:not(.hidden) .CodeMirror";
const RESULT = ".result-window .CodeMirror";
const EXECUTE = ".graphiql-execute-button";

const picture = (name) => page.screenshot({ path: join(pictures, `graphiql-${name}.png`) });
const text = (selector) => page.$eval(selector, (element) => element.innerText.trim());
const label = (editor) => page.$eval(`${editor} textarea`, (element) => element.ariaLabel);
const content = (editor) => page.$eval(editor, (element) => element.CodeMirror.getValue());

/** Types over what an editor has. What it closes by itself comes to the same, where the closing end is typed too. */
const type = async (editor, typed, comes = typed) => {
  await page.click(`${editor} .CodeMirror-lines`);
  await page.keyboard.down("Control");
  await page.keyboard.press("KeyA");
  await page.keyboard.up("Control");
  await page.keyboard.press("Backspace");
  await page.keyboard.type(typed);
  const has = await content(editor);
  if (has !== comes) throw new Error(`typed ${typed}, and the editor has ${has}`);
};

const makePretty = async () => {
  await page.click('[aria-label^="Prettify"]');
  await page.waitForFunction((editor) => document.querySelector(editor).CodeMirror.lineCount() > 3, {}, QUERY);
};

/** Waits until the result is one of which this holds; the result. */
const result = async (holds, ...inputs) => {
  const look = `(selector, ...inputs) => {
    try {
      const came = JSON.parse(document.querySelector(selector).CodeMirror.getValue());
      return (${holds})(came, ...inputs) ? came : null;
    } catch {
      return null;
    }
  }`;
  const found = await page.waitForFunction(`(${look})(...${JSON.stringify([RESULT, ...inputs])})`).catch(async (error) => {
    throw new Error(`${holds}: ${error.message}: ${await content(RESULT)}`);
  });
  return found.jsonValue();
};
const run = () => page.click(EXECUTE);

const seen = {};

const use = async () => {
  const answered = await page.goto(`${url}/graphiql`, { timeout: PATIENCE_MS });
  seen.policy = answered.headers()["content-security-policy"];
  await page.waitForSelector(QUERY);
  seen.title = await page.title();
  seen.language = await page.$eval("html", (element) => element.lang);
  seen.logo = await text(".weir-logo");
  await page.waitForSelector(".result-window textarea[aria-label]");
  seen.editors = await Promise.all([QUERY, VARIABLES, RESULT].map(label));
  await run();
  seen.example = await result((came) => came.data);
  await picture("start");

  // A query: completed, written to its end, made pretty, run.
  await page.waitForFunction((editor) => document.querySelector(editor).CodeMirror.getOption("hintOptions").schema, {}, QUERY);
  await type(QUERY, "{ cust", "{ cust}");
  await page.waitForSelector(".CodeMirror-hint");
  seen.completion = await text(".CodeMirror-hint");
  await page.keyboard.press("Escape");
  await type(QUERY, '{ customerByEmail(email: "ada@example.com") { id name tier } }');
  await makePretty();
  seen.pretty = await content(QUERY);
  await run();
  const ada = (await result((came) => came.data.customerByEmail)).data.customerByEmail;
  seen.query = { name: ada.name, tier: ada.tier };
  await picture("query");

  // A mutation with variables.
  const place = "mutation($customer: ID!, $total: Float!) { placeOrder(customer: $customer, total: $total) { total status } }";
  await type(QUERY, place);
  await type(VARIABLES, JSON.stringify({ customer: ada.id, total: 41.5 }));
  await makePretty();
  await run();
  seen.mutation = (await result((came) => came.data.placeOrder)).data;
  await picture("mutation");

  // The same, which fails.
  await type(VARIABLES, JSON.stringify({ customer: "nobody", total: 1 }));
  await run();
  seen.error = (await result((came) => came.errors)).errors[0].message;
  seen.errorIsShown = (await text(RESULT)).includes(seen.error);
  await picture("error");

  // A field that is not there.
  await type(QUERY, '{ customerByEmail(email: "ada@example.com") { nam } }');
  await makePretty();
  const mark = `${QUERY} .CodeMirror-lint-mark-error`;
  await page.locator(mark).hover();
  seen.marked = await text(mark);
  await page.waitForFunction(() => {
    const tooltip = document.querySelector(".CodeMirror-lint-tooltip");
    return tooltip && getComputedStyle(tooltip).opacity === "1";
  });
  seen.mistake = await text(".CodeMirror-lint-tooltip");
  await picture("mistake");

  // A subscription, run at once after the last key: its first value, a change that comes over HTTP, and its end.
  await type(VARIABLES, JSON.stringify({ customer: ada.id }));
  await type(QUERY, "subscription($customer: ID!) { ordersOf(customer: $customer, limit: 2) { total } }");
  await run();
  seen.first = (await result((came) => came.data.ordersOf)).data;
  await page.waitForSelector(`${EXECUTE}[aria-label^="Stop"]`);
  const body = JSON.stringify({ query: place, variables: { customer: ada.id, total: 77 } });
  await fetch(`${url}/graphql`, { method: "POST", headers: { "content-type": "application/json" }, body });
  seen.changed = (await result((came) => came.data.ordersOf[0].total === 77)).data;
  await makePretty();
  await picture("subscription");
  await run();
  await page.waitForSelector(`${EXECUTE}[aria-label^="Execute"]`);
  await closed;
  seen.sent = sockets.sent;
  seen.sockets = sockets.opened;

  // The schema with its descriptions.
  await page.click('[aria-label="Show Documentation Explorer"]');
  await page.waitForSelector(".graphiql-doc-explorer-root-type");
  seen.roots = await page.$$eval(".graphiql-doc-explorer-root-type", (found) => found.map((root) => root.nextElementSibling.innerText));
  await page.click(".graphiql-doc-explorer-root-type + .graphiql-doc-explorer-type-name");
  await page.waitForFunction(() => document.querySelector(".graphiql-doc-explorer").innerText.includes("customerByEmail"));
  await picture("schema");
  await page.evaluate(() => {
    const types = [...document.querySelectorAll(".graphiql-doc-explorer-item .graphiql-doc-explorer-type-name")];
    types.find((link) => link.textContent === "Customer").click();
  });
  await page.waitForFunction(() => document.querySelector(".graphiql-doc-explorer-title").innerText === "Customer");
  seen.description = await text(".graphiql-doc-explorer-content .graphiql-markdown-description");
  await picture("type");

  // A link to a query, and a server that is gone, of which the browser complains too.
  const query = "query($email: String!) { customerByEmail(email: $email) { id } }";
  const variables = '{"email":"ada@example.com"}';
  await page.goto(`${url}/graphiql?${new URLSearchParams({ query, variables })}`, { timeout: PATIENCE_MS });
  await page.waitForSelector(VARIABLES);
  seen.linked = (await content(QUERY)) === query && (await content(VARIABLES)) === variables;
  seen.complaints = [...complaints];
  serverIsGone = true;
  await run();
  seen.gone = await result((came) => came.errors);
  await picture("gone");
};

try {
  await use();
  console.log(JSON.stringify({ ...seen, elsewhere }));
} catch (error) {
  await picture("failed");
  throw error;
} finally {
  await browser.close();
}
