import { query, type JSON } from "weir";

const million = 1_000_000;
const bits = 0b1010_0001, octal = 0o17_7, hex = 0xFF_FF, upper = 0XAB, exponent = 1_0e1_0, fraction = 1_0.2_5;

export const separators = query((): JSON => [million, bits, octal, hex, upper, exponent, fraction, .5, 5., 0.0, 1E3, 1e-7, 1e+21]);
export const large = query((): JSON => [9007199254740993, 1e21, 123456789012345680000, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 0xFFFFFFFFFFFFFFFF, 1e400 === Infinity]);
export const bigints = query((): JSON => [10n ** 20n, 0xFFn, 1_000n, -5n / 2n, 0b11n, BigInt.asUintN(8, 257n), typeof 1n].map(String));
export const members = query((): JSON => [1..toString(), 1.5.toFixed(0), (1).toFixed(1), 1 .toFixed(2), 0x1.toString(), 1e3.toString(), (1 as number).toFixed(1), 255!.toString(16), (-1).toFixed(), 1_0..toString()]);
export const signs = query((): JSON => [Object.is(-0, 0), Object.is(-(0 as number), -0), - -1, +-1, -+1, - (-1 as number), 1 - -1, 1 - - -1, +(+1), 1 + +1, ~~-1.5, -(2 ** 2), (1 as number)- -(1 as number)]);
export const keys = query((): JSON => Object.keys({ 1: 0, 0x10: 0, 1e3: 0, .5: 0, 1_1: 0, 9007199254740993: 0, "01": 0, 2n: 0 }));
