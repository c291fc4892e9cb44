// Streams: async generators that the host runs from one event to the next.
//
// The engine's own methods resume the generator, whatever the script has hung on it, and one at a time does: the host asks
// for the next event when the one before is taken.

import { textOfRows } from "ext:weir/collections.js";
import { define } from "ext:weir/functions.js";
import { resultText } from "ext:weir/values.js";

const { apply, getPrototypeOf } = Reflect;
const { next, return: giveUp } = getPrototypeOf(getPrototypeOf((async function* () {})()));

/** @type {{ generator: AsyncGenerator, unnoticed: string } | null} The stream that runs. */
let running = null;

export const stream = (body) => define("stream", body);

/** A stream begins; its generator waits before its first line. `unnoticed` is as for results, of each event. */
export function beginStream(generator, unnoticed) {
  running = { generator, unnoticed };
}

/** Runs to the next event. Resolves to its JSON text, to undefined where it has none, and to null at the end. */
export async function nextEvent() {
  const { value, done } = await apply(next, running.generator, []);
  return done ? null : (textOfRows(value) ?? resultText(value, running.unnoticed));
}

/** Nobody wants more: runs what the generator does at its end. Resolves to null, and to other text if it goes on. */
export async function giveUpStream() {
  const { done } = await apply(giveUp, running.generator, []);
  return done ? null : "";
}

/** The stream is over, however it went. */
export function endStream() {
  running = null;
}
