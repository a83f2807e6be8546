/* SPDX-License-Identifier: MIT */
/* Figures made easy to read, for this report and for the page of pollux explain. */
'use strict';

const list = (value) => Array.isArray(value) ? value : [];

/* ---- figures for people: three significant digits, a unit, no exponent ---- */

const NBSP = '\u00a0';
const MINUS = '\u2212';
const UNKNOWN = 'n/a';

const isNumber = (n) => typeof n === 'number' && Number.isFinite(n);

function digits(n, most = 3) {
  const rounded = Number(Math.abs(n).toPrecision(most));
  const sign = n < 0 && rounded > 0 ? MINUS : '';
  if (rounded === 0)
    return '0';
  if (rounded < 0.0001)
    return n < 0 ? `>${MINUS}0.0001` : '<0.0001';
  const decimals = Math.max(0, most - 1 - Math.floor(Math.log10(rounded)));
  return sign + grouped(rounded.toFixed(decimals));
}

/* 10 000 */
const grouped = (text) => text.includes('.') ? text : text.replace(/\B(?=(\d{3})+$)/g, NBSP);

/* Whole numbers that count something and are known exactly. */
const whole = (n) => isNumber(n) ? grouped(String(Math.round(n))) : UNKNOWN;

/* At the marks of an axis, which are round: 10 µs and not 10.0 µs. */
const atMark = (text) => text.replace(/\.0+(?=\D|$)/, '');

/* `units` from the largest down; the last one is for all that is smaller. */
function scaled(n, units) {
  if (!isNumber(n))
    return UNKNOWN;
  const size = Number(Math.abs(n).toPrecision(3));
  const [unit, name] = units.find(([least]) => size >= least) || units[units.length - 1];
  return name ? digits(n / unit) + NBSP + name : digits(n / unit);
}

const time = (ns) => scaled(ns, [[1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']]);
const rate = (n) => scaled(n, [[1e6, 'M/s'], [1e3, 'k/s'], [1, '/s']]);
const bytes = (n) => scaled(n, [[1e9, 'GB'], [1e6, 'MB'], [1e3, 'kB'], [1, 'B']]);
const count = (n) => scaled(n, [[1e9, 'G'], [1e6, 'M'], [1e3, 'k'], [1, '']]);
const percent = (share) => isNumber(share) ? digits(share * 100) + NBSP + '%' : UNKNOWN;
const seconds = (s) => !isNumber(s) ? UNKNOWN : s >= 100 ? whole(s) + NBSP + 's' : time(s * 1e9);

/* Sizes of messages and memory are chosen in powers of two. */
function binary(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  if (!isNumber(n))
    return UNKNOWN;
  for (; n >= 1024 && unit < units.length - 1; unit++)
    n /= 1024;
  return atMark(digits(n, n >= 1000 ? 4 : 3)) + NBSP + units[unit];
}
