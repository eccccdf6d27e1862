/* wire.h - every message of the system as a plain C struct, and its frames (docs/wire.md).
 *
 * A message is up to three frames: [header: protobuf, at most 4 KiB][keys, raw][values, raw]. The
 * second and third may be absent. The header carries everything small; bulk data never enters
 * protobuf. Decoding copies into fixed-size structs; it leaves no allocation behind and casts no
 * received bytes. Raw frames are little-endian. What each message says and which frames it has:
 *
 *   link_messages.h   between servers or workers and the coordinator
 *   eval_messages.h   scores from a worker
 *   row_messages.h    between a trainer and a partition
 *
 * Every request has an id chosen by the sender, echoed in the answer; a request that gets no answer
 * by its deadline is sent again with the same id. All requests are idempotent.
 */
#pragma once

#include "common/base/bytes.h"
#include "eval_messages.h"
#include "link_messages.h"
#include "row_messages.h"

#define WIRE_VERSION    1u
#define WIRE_HEADER_MAX 4096u
/* The largest frame between the coordinator and the others, both ways. Frames that may grow with
 * the data are checked against it when the job begins (the plan, a cut's names) or are sent in
 * pieces (SCORES).
 */
#define WIRE_LINK_BYTES_MAX (64u << 20)

enum wire_type {
    WIRE_HELLO = 1,
    WIRE_WELCOME,
    WIRE_REFUSE,
    WIRE_HEARTBEAT,
    WIRE_COMMAND,
    WIRE_LEASE_ASK,
    WIRE_LEASE,
    WIRE_CLOCK_ASK,
    WIRE_CLOCK,
    WIRE_SCORES,
    WIRE_ACK,
    WIRE_PART_DONE,
    WIRE_PULL,
    WIRE_PULLED,
    WIRE_PUSH,
    WIRE_PUSHED,
    WIRE_ERROR,
    WIRE_STATS,
    WIRE_STATS_REPLY
};

/* REFUSE (to a HELLO), and ERROR, which may answer any request. */
struct wire_error {
    enum status status; /* a stable number on the wire; wire.c converts it */
    char text[WIRE_TEXT_MAX];
};

struct wire_msg {
    enum wire_type type;
    uint64_t job;
    uint64_t id;
    union { /* by type; ACK and STATS have none */
        struct wire_hello hello;
        struct wire_welcome welcome;
        struct wire_heartbeat heartbeat; /* STATS_REPLY too */
        struct wire_command command;
        struct wire_lease_ask lease_ask;
        struct wire_lease lease;
        struct wire_clock clock; /* CLOCK_ASK and CLOCK */
        struct wire_scores scores;
        struct wire_part_done part_done;
        struct wire_pull pull;
        struct wire_pulled pulled;
        struct wire_push push;
        struct wire_pushed pushed;
        struct wire_error error; /* REFUSE too */
    } u;
};

/* Appends the header's bytes to out; texts must end within their arrays. ERR_LIMIT: more than
 * WIRE_HEADER_MAX; ERR_MEMORY. */
enum status wire_encode(const struct wire_msg *m, struct buf *out);
/* Fills all of *m from hostile bytes, without the heap. ERR_PROTOCOL: malformed bytes, or another
 * version, which the text names. */
enum status wire_decode(struct wire_msg *m, const void *data, size_t bytes);
/* A number for a state that rows can be restored to: a checkpoint's, by the id of its cut, or by
 * its path if it is of a version that gave none (cut 0); resume_dir "": the initial values. Never
 * 0. */
uint64_t wire_base(uint64_t cut, const char *resume_dir);
const char *wire_type_name(enum wire_type type); /* "HELLO"; "unknown" for any other number */
