/* SPDX-License-Identifier: MIT */
/* What pollux serve takes, and what its manual says. Limits on connections, idle time and stalled
 * writes are on by default: a server without them is one patient client away from standing still.
 */
#include "cmd/cmd.h"
#include "cmd/serve.h"
#include "cmd/services/service.h"

#include <pollux/pollux.h>
#include <stddef.h>

#define MILLION 1000000
#define DAY     (24 * 3600 * PLX_SECOND)

static const char *accept_name(size_t i)
{
    static const char *const names[] = {
        [PLX_ACCEPT_SHARED] = "shared",
        [PLX_ACCEPT_EXCLUSIVE] = "exclusive",
        [PLX_ACCEPT_REUSEPORT] = "reuseport",
    };

    return i < sizeof names / sizeof *names ? names[i] : NULL;
}

#define AT(field) .offset = offsetof(struct serve_values, field)

static const struct opt options[] = {
    {.name = "model",
     .brief = 'm',
     .kind = OPT_CHOICE,
     AT(model),
     .arg = "MODEL",
     .value = "auto",
     .choice = cmd_choice_model,
     .help = "How to wait for and move bytes. auto takes the best that runs here, and says why it "
             "passed over the better ones."},
    {.name = "service",
     .brief = 's',
     .kind = OPT_CHOICE,
     AT(service),
     .arg = "SERVICE",
     .value = "echo",
     .choice = service_name,
     .help = "What to answer."},
    {.name = "suffix",
     .kind = OPT_TEXT,
     AT(suffix),
     .arg = "TEXT",
     .help = "With `--service upper`: send TEXT after each chunk."},
    {.name = "offload",
     .kind = OPT_FLAG,
     AT(offload),
     .help = "With `--service slow`: compute on a pool of threads of its own, so that the thread "
             "that serves goes on with the others."},
    {.name = "offload-threads",
     .kind = OPT_COUNT,
     AT(offload_threads),
     .arg = "N",
     .min = 1,
     .max = 1024,
     .help = "Threads of that pool, which all workers share. By default as many as there are "
             "processors to use."},
    {.name = "listen",
     .brief = 'l',
     .kind = OPT_LIST,
     .flags = OPT_ADDR,
     AT(listen),
     .arg = "ADDR",
     .help =
         "Listen on ADDR; may be repeated. Without any, listen on 127.0.0.1:0, any free port of "
         "the loopback address."},
    {.name = "workers",
     .brief = 'w',
     .kind = OPT_COUNT,
     AT(workers),
     .arg = "N",
     .value = "1",
     .min = 1,
     .max = 1024,
     .help = "Worker threads, each with a loop of its own."},
    {.name = "own-descriptors",
     .kind = OPT_FLAG,
     AT(own_descriptors),
     .help = "Each worker has a table of descriptors of its own, so that the limit on them (ulimit "
             "-n) is one of a worker. For the models that wait in one thread (select, poll, epoll, "
             "io_uring and so on), and not with --log-file."},
    {.name = "accept",
     .kind = OPT_CHOICE,
     AT(accept),
     .arg = "HOW",
     .value = "shared",
     .choice = accept_name,
     .help = "How workers share a listening address: one socket that all wait for, one socket of "
             "which the kernel wakes one worker, or a socket for each worker."},
    {.name = "backlog",
     .kind = OPT_COUNT,
     AT(backlog),
     .arg = "N",
     .value = "511",
     .min = 1,
     .max = 65535,
     .help = "Connections the kernel queues before they are accepted; it caps this at "
             "net.core.somaxconn."},
    {.name = "max-connections",
     .kind = OPT_COUNT,
     .flags = OPT_NONE,
     AT(max_connections),
     .arg = "N",
     .value = "10k",
     .min = 1,
     .max = 10 * MILLION,
     .help = "Connections at once; one more is closed as soon as it is accepted."},
    {.name = "max-per-ip",
     .kind = OPT_COUNT,
     .flags = OPT_NONE,
     AT(max_per_ip),
     .arg = "N",
     .value = "none",
     .min = 1,
     .max = 10 * MILLION,
     .help = "Connections at once from one address."},
    {.name = "idle-timeout",
     .kind = OPT_TIME,
     .flags = OPT_NONE,
     AT(idle_timeout),
     .arg = "TIME",
     .value = "5m",
     .min = PLX_MSEC,
     .max = DAY,
     .help = "Drop a peer after so long without a byte in either direction."},
    {.name = "write-timeout",
     .kind = OPT_TIME,
     .flags = OPT_NONE,
     AT(write_timeout),
     .arg = "TIME",
     .value = "30s",
     .min = PLX_MSEC,
     .max = DAY,
     .help = "Drop a peer that has taken nothing of its queued answers for so long."},
    {.name = "high-water",
     .kind = OPT_SIZE,
     AT(high_water),
     .arg = "SIZE",
     .value = "256k",
     .min = 1024,
     .max = 1 << 30,
     .help = "Queued output of a connection above which its input stops."},
    {.name = "low-water",
     .kind = OPT_SIZE,
     AT(low_water),
     .arg = "SIZE",
     .min = 1,
     .max = 1 << 30,
     .help = "Queued output at which it goes on, less than the high-water mark. By default a "
             "quarter of "
             "that."},
    {.name = "pool-size",
     .kind = OPT_COUNT,
     AT(pool_size),
     .arg = "N",
     .value = "16",
     .min = 1,
     .max = 4096,
     .help = "Model threadpool: threads of each worker."},
    {.name = "pool-queue",
     .kind = OPT_COUNT,
     AT(pool_queue),
     .arg = "N",
     .value = "1024",
     .min = 1,
     .max = MILLION,
     .help = "Model threadpool: accepted connections that wait for a thread; one more is closed."},
    {.name = "poll-pause",
     .kind = OPT_TIME,
     .flags = OPT_NONE,
     AT(poll_pause),
     .arg = "TIME",
     .value = "none",
     .min = 1000,
     .max = PLX_SECOND,
     .help = "Model nonblocking: sleep for so long after a pass in which nothing was ready. "
             "Without it the model keeps a processor busy."},
    {.name = "drain",
     .kind = OPT_TIME,
     .flags = OPT_NONE,
     AT(drain),
     .arg = "TIME",
     .value = "10s",
     .min = PLX_MSEC,
     .max = DAY,
     .help = "How long a polite end may take before what is left is cut."},
    {.name = "tick",
     .kind = OPT_TIME,
     .flags = OPT_NONE,
     AT(tick),
     .arg = "TIME",
     .value = "none",
     .min = PLX_MSEC,
     .max = DAY,
     .help = "Log a line whenever nothing was ready for so long."},
    {.name = "warn-blocked",
     .kind = OPT_TIME,
     .flags = OPT_NONE,
     AT(warn_blocked),
     .arg = "TIME",
     .value = "none",
     .min = 1000,
     .max = DAY,
     .help = "Log a warning, to standard error whatever `--log-level` says, when a callback of a "
             "connection held the thread that serves for longer than that; at most one a second. "
             "All are counted (blocked, see `--stats`)."},
    {.name = "stats",
     .kind = OPT_TIME,
     .flags = OPT_NONE,
     AT(stats),
     .arg = "INTERVAL",
     .value = "none",
     .min = 10 * PLX_MSEC,
     .max = DAY,
     .help = "Print the counters as a line of JSON so often, and once more at the end."},
    {.name = "port-file",
     .kind = OPT_TEXT,
     .flags = OPT_FILE,
     AT(port_file),
     .arg = "FILE",
     .help = "Write the ready lines to FILE as well, whole or not at all; it is removed at the "
             "end."},
    {.name = "trace",
     .kind = OPT_TEXT,
     .flags = OPT_FILE,
     AT(trace),
     .arg = "FILE",
     .help = "Write down each system call, callback and completion, and at the end and at SIGUSR2 "
             "write the last of them to FILE: for `pollux explain --from`, or for the Perfetto "
             "viewer where its name ends in .perfetto.json."},
    {.name = "trace-events",
     .kind = OPT_COUNT,
     AT(trace_events),
     .arg = "N",
     .value = "65536",
     .min = 1,
     .max = 16 * MILLION,
     .help = "How many; a larger number is rounded up to a power of two. Each takes 80 bytes of "
             "memory."},
    {.name = "log-level",
     .kind = OPT_CHOICE,
     AT(log_level),
     .arg = "LEVEL",
     .value = "error",
     .choice = cmd_choice_level,
     .help = "What is logged to standard error."},
    {.name = "log-file",
     .kind = OPT_TEXT,
     .flags = OPT_FILE,
     AT(log_file),
     .arg = "FILE",
     .help = "Log to the end of FILE as well; SIGHUP opens it anew."},
    {.name = "log-file-level",
     .kind = OPT_CHOICE,
     AT(log_file_level),
     .arg = "LEVEL",
     .value = "debug",
     .choice = cmd_choice_level,
     .help = "What is logged to that file."},
    {0}};

static const char *model_name(size_t i)
{
    const struct plx_model *model = plx_model_at(i);

    return model != NULL ? model->name : NULL;
}

static const char *model_summary(size_t i)
{
    const struct plx_model *model = plx_model_at(i);

    return model != NULL ? model->summary : NULL;
}

static const struct cmd_list lists[] = {{"Services", service_name, service_summary},
                                        {"Models", model_name, model_summary},
                                        {NULL, NULL, NULL}};

static const char *const description[] = {
    "Serves one of a few small services to any number of clients, under the I/O model of your "
    "choice. ADDR is one more address to listen on.",
    "When it is ready it prints one line for each address to standard output:",
    "`pollux: listening on 127.0.0.1:40001 model=epoll workers=1 pid=4711`",
    "Nothing else appears there but the output of `--service discard` and `--stats`; at `SIGUSR1` "
    "the counters are printed once, with or without that option.",
    "`SIGTERM` and `SIGINT` end the server politely: it stops listening, every connection gets the "
    "answers to what has arrived, and the server exits when the last one is gone. After the time "
    "of `--drain`, or at a second signal, what is left is cut. `SIGHUP` opens the log file anew, "
    "for log rotation.",
    "A peer that sends but does not read is slowed down: above `--high-water` its input stops "
    "until its queue has fallen to `--low-water`, and if it takes nothing for the time of "
    "`--write-timeout` it is dropped.",
    "The number of open descriptors is raised to its hard limit at the start.",
    NULL};

static const struct cmd_exit exits[] = {
    {STATUS_DONE, "Ended by a signal, and every connection ended politely."},
    {STATUS_FAILED, "Failed while running, or had to cut connections at the end."},
    {STATUS_USAGE, "Wrong usage, or it cannot start: an address in use, a model that does not run "
                   "here. Nothing is left behind."},
    {0, NULL}};

static const struct cmd_example examples[] = {
    {"pollux serve", "An echo server on a free port of the loopback address."},
    {"pollux serve --model io_uring --service upper --suffix _SB :7000",
     "Upper case under io_uring: `printf hello | pollux connect :7000` prints HELLO_SB."},
    {"pollux serve -l 0.0.0.0:7000 -l [::]:7000 -l unix:/run/pollux.sock",
     "Three addresses, reachable from elsewhere."},
    {"pollux serve --workers 4 --accept reuseport --stats 1s --log-file serve.log",
     "Four loops, counters every second, and a log."},
    {NULL, NULL}};

const struct cmd cmd_serve = {
    .name = "serve",
    .summary = "run a server under an I/O model",
    .args = "[ADDR]",
    .max_args = 1,
    .arg_flags = OPT_ADDR,
    .options = options,
    .description = description,
    .exits = exits,
    .examples = examples,
    .see_also = "pollux(1), pollux-connect(1), pollux-models(1), epoll(7), io_uring(7)",
    .lists = lists,
    .values_size = sizeof(struct serve_values),
    .run = serve_run,
};
