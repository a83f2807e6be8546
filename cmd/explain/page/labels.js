/* SPDX-License-Identifier: MIT */
/* The short texts beside what is drawn, and how wide they are. */
'use strict';

/* As wide as the boldest of them: stage.css. */
const LABEL_FONT = '600 11.5px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", ' +
  '"DejaVu Sans", sans-serif';

const ruler = document.createElement('canvas').getContext('2d');
ruler.font = LABEL_FONT;
const widthOf = (text) => ruler.measureText(text).width;

/* As much of a text as fits, with an ellipsis. */
function fitted(text, width) {
  if (widthOf(text) <= width)
    return text;
  let n = text.length;
  while (n > 1 && widthOf(text.slice(0, n) + '…') > width)
    n--;
  return text.slice(0, n) + '…';
}

/* A text in at most `most` lines of that width. */
function wrapped(text, width, most) {
  const lines = [''];
  for (const word of String(text).split(' ')) {
    const last = lines[lines.length - 1];
    const longer = last ? `${last} ${word}` : word;
    if (!last || lines.length === most || widthOf(longer) <= width)
      lines[lines.length - 1] = longer;
    else
      lines.push(word);
  }
  return lines.map((l) => fitted(l, width));
}

const exact = (n) => whole(n) + NBSP + 'B';
const onConn = (e) => e.conn > 0 ? `${NBSP}#${e.conn}` : '';
const times = (e) => e.count > 1 ? ` ×${NBSP}${whole(e.count)}` : '';
const sentShort = (e) => e.short === true && e.result >= 0;

/* What a call gave, in a few letters. */
function resultText(e) {
  if (e.result < 0)
    return (e.error || String(e.result)) + times(e);
  if (isReceive(e.name))
    return (e.result === 0 ? 'end' : exact(e.result)) + times(e);
  if (isSend(e.name))
    return (sentShort(e) ? `${whole(e.result)} of ${exact(e.asked)}` : exact(e.result)) + times(e);
  if (isAccept(e.name))
    return `fd${NBSP}${e.result}${times(e)}`;
  if (e.phase === 'waits' && /^(select|pselect|poll|ppoll|epoll|kevent)/.test(e.name))
    return `${whole(e.result)}${NBSP}ready${times(e)}`;
  return whole(e.result) + times(e);
}

function eventText(e) {
  switch (e.kind) {
  case 'submitted':
    return `submit ${e.name}${onConn(e)}`;
  case 'completed':
    return `done ${e.name}${onConn(e)}: ${resultText(e)}`;
  case 'callback':
    return `${e.name}${onConn(e)}${e.name === 'on_data' ? ` (${exact(e.asked)})` : ''}`;
  case 'queued':
    return `queue${onConn(e)}: ${exact(e.result)}`;
  case 'state':
    return `${e.name}${onConn(e)}${e.error ? `: ${e.error}` : ''}`;
  default:
    return `${e.name}${onConn(e)} → ${resultText(e)}`;
  }
}

/*
 * The labels of an item: [{at, lines, tone, part}]. A long call has one where it begins, or where
 * the scene does if it began before (part: begin, still), and one where it returns (end).
 */
function labelsOf(part, item) {
  const lines = item.events.map(eventText);
  const tone = item.events.some(sentShort) ? 'short' : item.tone;
  const all = {at: part.clip(item.begin), lines, tone, item};
  if (!item.long || isPolled(item))
    return [all];
  const [e] = item.events;
  const begins = item.begin >= part.span.from;
  const ends = item.end < part.span.to;
  return [
    begins ? {at: item.begin, lines: [`${e.name}${onConn(e)} …`], tone, item, part: 'begin'}
           : {at: part.span.from, lines: [`… ${e.name}${onConn(e)} …`], tone, item, part: 'still'},
    ends && {at: item.end, lines: [e.kind === 'call' ? `↩ ${e.name}: ${resultText(e)}`
                                                     : `↩ ${e.name}`], tone, item, part: 'end'},
  ].filter(Boolean);
}

/* ---- phases ---- */

const WAITS = {
  process: (p) => `blocked in ${p.call}`,
  nobody: () => 'busy polling',
  kernel: () => 'a request waits',
  library: () => 'a helper waits',
};

/*
 * Copying that has no call of its own is measured from the data's arrival on, so that waking who
 * waited is in it: it took that long at most.
 */
const wakesToo = (m) => Boolean(m && m.copying && m.copying.begin_ns <= m.arrived_ns);

function phaseText(kind, m) {
  const phase = m[kind];
  const lasted = time(phase.end_ns - phase.begin_ns);
  if (kind === 'waiting')
    return [`waiting ${lasted}`, (WAITS[phase.who] || WAITS.kernel)(phase)];
  const by = phase.who === 'process' ? `by ${phase.call}` :
    phase.who === 'library' ? 'by a helper' : 'by the kernel';
  return [`copying ${wakesToo(m) ? '≤' + NBSP : ''}${lasted}`,
          wakesToo(m) ? `${by}, and waking` : by];
}
