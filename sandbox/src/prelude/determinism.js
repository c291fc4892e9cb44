// The given clock and the seeded randomness, in place of the real ones.
//
// Every way by which standard JavaScript tells the time or rolls dice goes through `fixedNow` and `random` here.

import { observe } from "ext:weir/call.js";

const NativeDate = Date;
const { construct, apply, getOwnPropertyDescriptor, defineProperty } = Reflect;

/** Null outside of calls: what modules computed from it would last. */
let clock = null;
const state = new Uint32Array(4);

/** Starts a call at a time (milliseconds since 1970) with a seed of four 32-bit numbers. */
export function beginClock(nowMs, seed0, seed1, seed2, seed3) {
  clock = nowMs;
  state[0] = seed0;
  state[1] = seed1;
  state[2] = seed2;
  state[3] = seed3;
}

/** Ends the call. */
export function endClock() {
  clock = null;
}

function mustBeInside() {
  if (clock === null) throw new Error("the time and randomness exist only inside a function, not while a module loads");
}

/** The time of the call. */
export function fixedNow() {
  mustBeInside();
  observe("time");
  return clock;
}

/** sfc32 (Chris Doty-Humphrey, PractRand): small, quick, passes PractRand to terabytes. */
function random() {
  mustBeInside();
  observe("randomness");
  const t = (((state[0] + state[1]) | 0) + state[3]) | 0;
  state[3] = (state[3] + 1) | 0;
  state[0] = state[1] ^ (state[1] >>> 9);
  state[1] = (state[2] + (state[2] << 3)) | 0;
  state[2] = ((state[2] << 21) | (state[2] >>> 11)) + t;
  return (t >>> 0) / 4294967296;
}

function FixedDate(...parts) {
  if (new.target === undefined) return new NativeDate(fixedNow()).toString();
  return construct(NativeDate, parts.length === 0 ? [fixedNow()] : parts, new.target);
}
defineProperty(FixedDate, "name", { value: "Date", configurable: true });
defineProperty(FixedDate, "length", { value: 7, configurable: true });
defineProperty(FixedDate, "prototype", { value: NativeDate.prototype, writable: false });
for (const [name, value] of [["now", () => fixedNow()], ["parse", NativeDate.parse], ["UTC", NativeDate.UTC]]) {
  defineProperty(FixedDate, name, { value, writable: true, configurable: true });
}
defineProperty(NativeDate.prototype, "constructor", { value: FixedDate, writable: true, configurable: true });
globalThis.Date = FixedDate;

defineProperty(Math, "random", { value: random, writable: true, configurable: true });

// Formatting "no date" means formatting now.
const formats = Intl.DateTimeFormat.prototype;
const nativeFormat = getOwnPropertyDescriptor(formats, "format").get;
const nativeFormatToParts = formats.formatToParts;
defineProperty(formats, "format", {
  get() {
    const format = apply(nativeFormat, this, []);
    return (date) => format(date === undefined ? fixedNow() : date);
  },
  configurable: true,
});
defineProperty(formats, "formatToParts", {
  value(date) {
    return apply(nativeFormatToParts, this, [date === undefined ? fixedNow() : date]);
  },
  writable: true,
  configurable: true,
});

/** Temporal is not there yet when the snapshot is made, so an isolate calls this when it starts. */
export function fixTemporal() {
  if (typeof Temporal !== "object") return;
  const { Instant } = Temporal;
  const zoned = (zone = "UTC") => Instant.fromEpochMilliseconds(fixedNow()).toZonedDateTimeISO(zone);
  const clocks = {
    timeZoneId: () => "UTC",
    instant: () => Instant.fromEpochMilliseconds(fixedNow()),
    zonedDateTimeISO: (zone) => zoned(zone),
    plainDateTimeISO: (zone) => zoned(zone).toPlainDateTime(),
    plainDateISO: (zone) => zoned(zone).toPlainDate(),
    plainTimeISO: (zone) => zoned(zone).toPlainTime(),
  };
  for (const name of Object.keys(clocks)) {
    defineProperty(Temporal.Now, name, { value: clocks[name], writable: true, configurable: true });
  }
}
