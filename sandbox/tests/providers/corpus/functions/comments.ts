#!/usr/bin/env weir
/// <reference types="nothing" />
// @ts-nocheck
/* A comment with odd things in it: `, ", ', ${, */ import { query, type JSON } from "weir"; // and after it
/**
 * @param {string} x — not code: const x = 1; */
//# sourceMappingURL=other.js.map
//# sourceURL=elsewhere.js
/* /* // */ const /* a */ one /* b */ : /* c */ number /* d */ = /* e */ 1 /* f */; // g
const two = /* before */ (/* in */ one /* as */ as /* any */ any /* after */) + /*+*/+/*+*/1 //
;
/*
	multi
*/ export const kept = query(/* nothing */ (/* here */): /* either */ JSON /* nor */ => /* there */ [one, two] /* end */ /* of */);
export const returned = query((): JSON => { return /*
  a line break in a comment ends the statement
  */ 1; });
export const operators = query((): JSON => [1 /**/ - /**/ -1, 4 /2/ 1, 4 /* / */ / 2 // /
]);
type /* a */ T /* b */ = /* c */ | /* d */ string /* e */ | /* f */ number; // g
interface /* h */ I /* i */ { /* j */ a /* k */ ? /* l */ : /* m */ T; /* n */ } // o
export const typed = query((): JSON => ({ a: 1 } as /* no value */ I satisfies /* none */ object as JSON));
/* @__PURE__ */ ((): void => {})();
// The end, without a line break after it. <!-- -->