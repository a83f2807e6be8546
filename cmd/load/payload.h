/* SPDX-License-Identifier: MIT */
/*
 * What is in a message: which connection it is of, which message of it, and a pattern, so that an
 * answer that is another one's, of another time, shifted or changed in any byte is found out.
 *
 *     0000002A-000000000001F3 kX3p...     connection 42, message 499, in hexadecimal; then the
 *                                         pattern, from a place that both numbers choose
 *
 * A message of fewer than PAYLOAD_HEAD bytes has the pattern only. All of it is printable ASCII.
 * Nothing is kept per message: what was sent is worked out again when the answer comes.
 */
#ifndef POLLUX_CMD_LOAD_PAYLOAD_H
#define POLLUX_CMD_LOAD_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define PAYLOAD_HEAD 24

struct payload;

/* For messages of up to `most` bytes; the pattern depends on `seed`. NULL without memory. Constant
 * from then on: any number of threads may use it. */
struct payload *payload_open(size_t most, uint64_t seed);
void payload_close(struct payload *);

/*
 * Message `seq` of connection `number`, `size` bytes: iov[0] is what stands in `head` (which has
 * room for PAYLOAD_HEAD bytes), iov[1] what stands in the pattern. Returns how many are used, 1
 * or 2.
 */
int payload_parts(const struct payload *, uint64_t number, uint64_t seq, size_t size, char *head,
                  struct iovec iov[2]);

/*
 * Whether the `n` bytes at `got` are those from byte `at` on of the answer to that message: the
 * same bytes, or in upper case. Returns `n` if so, else how many are right; `*want` is what was
 * expected there.
 */
size_t payload_check(const struct payload *, uint64_t number, uint64_t seq, size_t size, int upper,
                     size_t at, const unsigned char *got, size_t n, unsigned char *want);

#endif
