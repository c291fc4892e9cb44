// Resizable array buffers, within the limit on array buffers.
//
// V8 reserves address space for the largest size of a resizable buffer without asking the isolate's allocator. So every
// way to make one goes through `op_reserve` here, which takes that size off the call's allowance.

import { op_reserve } from "ext:core/ops";

const NativeArrayBuffer = ArrayBuffer;
const { construct, apply, defineProperty, getOwnPropertyDescriptor } = Reflect;
const toNumber = Number;
const prototype = NativeArrayBuffer.prototype;
const getter = (name) => getOwnPropertyDescriptor(prototype, name).get;
const [isResizable, maxByteLength, isDetached] = ["resizable", "maxByteLength", "detached"].map(getter);
const nativeTransfer = prototype.transfer;

function LimitedArrayBuffer(length, options) {
  if (new.target === undefined) throw new TypeError("Constructor ArrayBuffer requires 'new'");
  const isObject = (typeof options === "object" && options !== null) || typeof options === "function";
  const wanted = isObject ? options.maxByteLength : undefined;
  if (wanted === undefined) return construct(NativeArrayBuffer, [length], new.target);
  // Read once: a getter must not give one size here and another to the engine.
  const most = toNumber(wanted);
  op_reserve(most);
  return construct(NativeArrayBuffer, [length, { __proto__: null, maxByteLength: most }], new.target);
}
defineProperty(LimitedArrayBuffer, "name", { value: "ArrayBuffer", configurable: true });
defineProperty(LimitedArrayBuffer, "length", { value: 1, configurable: true });
defineProperty(LimitedArrayBuffer, "prototype", { value: prototype, writable: false });
defineProperty(LimitedArrayBuffer, "isView", { value: NativeArrayBuffer.isView, writable: true, configurable: true });
defineProperty(LimitedArrayBuffer, Symbol.species, getOwnPropertyDescriptor(NativeArrayBuffer, Symbol.species));
defineProperty(prototype, "constructor", { value: LimitedArrayBuffer, writable: true, configurable: true });
globalThis.ArrayBuffer = LimitedArrayBuffer;

defineProperty(prototype, "transfer", {
  // A method has no prototype and cannot be constructed, like the one that it stands for.
  value: {
    transfer(length) {
      // What is resizable stays so, in new address space.
      if (apply(isResizable, this, []) && !apply(isDetached, this, [])) op_reserve(apply(maxByteLength, this, []));
      return apply(nativeTransfer, this, length === undefined ? [] : [length]);
    },
  }.transfer,
  writable: true,
  configurable: true,
});
