/* SPDX-License-Identifier: MIT */
/* What happened, in one plain sentence each: what the playback says, and the lists of the run. */
'use strict';

const amount = (n) => `${whole(n)} byte${n === 1 ? '' : 's'}`;
const took = (item) => time(item.end - item.begin);
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/* Who it was: of a server with one thread, the process. */
function subjectOf(item) {
  const threads = list(item.model.threads);
  const thread = threads.find((t) => t.id === item.thread);
  if (threads.length < 2 || !thread)
    return 'the process';
  if (thread.name === 'main')
    return threads.some((t) => t.name === 'process') ? 'the parent process' : 'the main thread';
  return thread.name === 'process' ? `process ${thread.process}` : `thread ${thread.id}`;
}

const on = (e) => e.conn > 0 ? ` on connection ${e.conn}` : '';

const ERRORS = {
  ECONNRESET: 'the client has reset the connection',
  EPIPE: 'the connection does not take anything any more',
  EINTR: 'a signal came in between',
  ETIME: 'the time was over',
  ETIMEDOUT: 'the time was over',
  ENOBUFS: 'there was no buffer to put it in',
  ECANCELED: 'the request was cancelled',
};
const errorText = (e) =>
  ERRORS[e.error] ? `${ERRORS[e.error]}, ${e.error}` : `an error, ${e.error || e.result}`;

/* ---- calls ---- */

/* Why a call returns EAGAIN. */
function notYet(e) {
  if (isReceive(e.name))
    return e.conn > 0 ? 'nothing has arrived, EAGAIN' : 'nobody has woken the loop, EAGAIN';
  if (isSend(e.name))
    return 'the socket is full, EAGAIN';
  if (isAccept(e.name))
    return 'no client is waiting, EAGAIN';
  if (/^(sigtimedwait|rt_sigtimedwait)$/.test(e.name))
    return 'no signal is queued, EAGAIN';
  return 'not yet, EAGAIN';
}

function outcome(e) {
  if (isAgain(e))
    return notYet(e);
  if (e.result < 0)
    return errorText(e);
  if (isReceive(e.name)) {
    return e.result === 0 ? 'the end, the client will send no more'
                          : `${amount(e.result)} are copied from the kernel to the process`;
  }
  if (isSend(e.name)) {
    return sentShort(e)
      ? `the socket has room for only ${whole(e.result)} of ${amount(e.asked)}, a short count`
      : `${amount(e.result)} are copied from the process to the kernel`;
  }
  if (isAccept(e.name))
    return `a new connection, with descriptor ${e.result}`;
  if (e.phase === 'waits')
    return waitResult(e);
  return 'done';
}

function waitResult(e) {
  if (/^io_uring/.test(e.name))
    return 'a completion may be there';
  if (/^aio_suspend/.test(e.name))
    return 'a request is done';
  if (/sigtimedwait|sigwaitinfo|signalfd/.test(e.name))
    return `signal ${e.result} was queued: it tells that a descriptor is ready`;
  if (e.result === 0)
    return 'nothing is ready, the time was over';
  return `${whole(e.result)} ${e.result === 1 ? 'descriptor is' : 'descriptors are'} ready`;
}

/* What a call that does not return at once waits for. */
function waitsFor(e) {
  if (isAccept(e.name))
    return 'no client is there, so it is blocked in the call';
  if (isReceive(e.name))
    return 'nothing has arrived, so it is blocked in the call';
  if (isSend(e.name))
    return 'the socket has no room for all of it, so it is blocked in the call';
  if (/^io_uring/.test(e.name))
    return 'it sleeps until the kernel has completed a request';
  if (/^aio_suspend/.test(e.name))
    return 'it sleeps until the library has completed a request';
  if (/sigtimedwait|sigwaitinfo/.test(e.name))
    return 'it sleeps until a signal says that a descriptor is ready';
  if (e.phase === 'waits')
    return 'it is blocked until a descriptor is ready';
  return 'this takes a while';
}

function polled(item) {
  const parts = item.events.map((e) =>
    `${e.name}${on(e)} ${plural(e.count, 'time')} (${outcome(e)})`);
  return `In ${took(item)} ${subjectOf(item)} calls ${series(parts).join('')}. ` +
    (item.tone === 'again' ? 'It never sleeps: it burns the CPU.' : '');
}

/* A call that waited tells both of its phases, where they are known. */
function returned(item) {
  const [e] = item.events;
  const m = item.message;
  if (m) {
    return `After ${took(item)} ${e.name}${on(e)} returns: the data arrived after ` +
      `${time(m.arrived_ns - item.begin)}, then the process was woken and ${amount(e.result)} ` +
      `were copied to it, in ${time(item.end - m.arrived_ns)}.`;
  }
  return `After ${took(item)} ${e.name}${on(e)} returns: ${outcome(e)}.`;
}

/* ---- the rest ---- */

const CALLBACKS = {
  on_open: () => 'there is a new connection',
  on_data: (e) => `${amount(e.asked)} are there` +
    (e.result >= 0 && e.result !== e.asked ? `, it takes ${whole(e.result)} of them` : ''),
  on_drain: () => 'the queue has drained',
  on_eof: () => 'the client has finished sending',
  on_close: () => 'the connection is over',
};

function requested(item) {
  const [e] = item.events;
  const to = item.model.name === 'posix-aio' ? 'the C library' : 'the kernel';
  return `${capital(subjectOf(item))} hands ${to} a request, ${e.name}${on(e)}, and does not ` +
    'wait for it.';
}

function completed(item) {
  const [e] = item.events;
  const name = e.name || 'a request';
  const more = e.asked === 1 ? ' The request stays, for what comes next.' : '';
  if (e.result < 0)
    return `The completion of ${name}${on(e)} is there: ${errorText(e)}.${more}`;
  if (isReceive(e.name)) {
    return e.result === 0
      ? `The completion of ${name}${on(e)} is there: the end, the client will send no more.`
      : `The completion of ${name}${on(e)} is there: ${amount(e.result)}, already in the ` +
        `process's memory.${more}`;
  }
  if (isSend(e.name))
    return `The completion of ${name}${on(e)} is there: ${amount(e.result)} are with the kernel.`;
  if (isAccept(e.name))
    return `The completion of ${name} is there: a new connection, descriptor ${e.result}.${more}`;
  return `The completion of ${name}${on(e)} is there.${more}`;
}

function callSentence(item, part) {
  const [e] = item.events;
  const who = capital(subjectOf(item));
  if (isPolled(item))
    return polled(item);
  if (part === 'begin')
    return `${who} calls ${e.name}${on(e)}: ${waitsFor(e)}.`;
  if (part === 'still')
    return `${who} is in ${e.name}${on(e)} from before: ${waitsFor(e)}.`;
  if (part === 'end')
    return returned(item);
  return `${who} calls ${e.name}${on(e)}: ${outcome(e)}.`;
}

/* `part` is begin, still or end, of a long call; otherwise all of it. */
function sentenceOf(item, part) {
  const [e] = item.events;
  switch (item.kind) {
  case 'call':
    return callSentence(item, part);
  case 'callback':
    return part === 'end' ? `The handler's ${e.name} returns.`
      : `The handler's ${e.name} is called${on(e)}: ` +
        `${(CALLBACKS[e.name] || (() => 'it runs'))(e)}.`;
  case 'submitted':
    return requested(item);
  case 'completed':
    return completed(item);
  case 'queued':
    return e.result > 0
      ? `What the socket did not take waits in the process: ${amount(e.result)} in the queue of ` +
        `connection ${e.conn}.`
      : `The queue of connection ${e.conn} is empty again.`;
  default:
    return `Connection ${e.conn} is ${e.name}${e.error ? `: ${errorText(e)}` : ''}.`;
  }
}

function stepSentence(step) {
  const conn = step.conn > 0 ? ` (connection ${step.conn})` : '';
  return `Client ${step.client}${conn} ${step.text}` + (step.error ? ` (${step.error}).` : '.');
}

/* What a model does at a moment, in a few words. */
function doingAt(items, at) {
  const now = items.filter((i) => i.begin <= at && i.end > at)
    .sort((a, b) => (b.kind === 'call') - (a.kind === 'call') || b.begin - a.begin)[0];
  if (!now)
    return items.some((i) => i.begin > at) ? 'runs, between two calls' : 'has nothing more to do';
  const [e] = now.events;
  if (isPolled(now))
    return now.tone === 'again' ? `spins: ${e.name} → EAGAIN` : `calls ${e.name} again and again`;
  if (now.kind === 'callback')
    return `in the handler's ${e.name}`;
  if (now.kind !== 'call')
    return eventText(e);
  const copies = now.message ? at >= now.message.arrived_ns : now.tone === 'copy';
  if (copies)
    return `copies in ${e.name}${on(e)}`;
  /* Who has handed over requests could do something else; here there is nothing to do. */
  const waits = now.model.engine === 'proactor' ? 'sleeps in' : 'blocked in';
  return `${now.tone === 'wait' || now.message ? waits : 'in'} ${e.name}${on(e)}`;
}
