import { query, type JSON } from "weir";

const quotes = ["it's", 'say "hi"', `both ' and "`, 'a\'b', "a\"b", "\`", '\\', "\\'\""];
const escapes = "\b\f\n\r\t\v\0\x41\u0042\u{43}\u{1F600}\
continued\
";

export const quoted = query((): JSON => quotes);
export const escaped = query((): JSON => [...escapes].map((one) => one.codePointAt(0)!));
export const surrogates = query((): JSON => ["\ud83d\ude00", "\uD83D", "\uDE00x", "\u{d800}", "😀".length, "\uD83D" + "\uDE00" === "😀"].map((one) => typeof one === "string" ? [...Array(one.length).keys()].map((i) => one.charCodeAt(i)) : one));
export const separators = query((): JSON => ["\u2028\u2029", "  ", "\u0000\u001f\u007f\u0080\u00a0\ufeff﻿", "\v"].map((one) => [...one].map((each) => each.charCodeAt(0))));
export const markup = query((): JSON => ["</script>", "<!-- no comment -->", "-->", "//# sourceMappingURL=none.map", "/* */", "${x}", "#!"].join("|"));
export const keys = query((): JSON => ({ "a b": 1, 'it\'s': 2, "\u0061c": 3, "": 4, "constructor": 5, "😀": 6, "a-b": 7, "1e3": 8, "\n": 9 }));
export const nulls = query((): JSON => ["\0", "\x001", "\0" + "1", `\0`, "a\0b".length].map((one) => (typeof one === "string" ? one.length : one)));
export const long = query((): JSON => ("0123456789".repeat(3) satisfies string as string)!.length);
export const directives = query((): JSON => { "use strict"; 'it\'s "odd"'; "\x61"; return typeof (function (this: unknown) { "use strict"; return this; })(); });
