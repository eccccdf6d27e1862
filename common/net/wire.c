/* wire.c - converts between struct wire_msg and the header's bytes; the only file that uses
 * protobuf-c.
 *
 * The generated structs never leave this file. Encoding builds them on the stack, with strings and
 * arrays borrowed from the message, and packs once. Decoding lets protobuf-c build its tree and
 * copies it field by field into the fixed-size structs, checking every length and every enum.
 *
 * protobuf-c sets no limit on memory and leaves that to its allocator: a header of 4 KiB with only
 * unknown fields asks for sixty times its size. So decoding runs in an arena of ARENA_BYTES on the
 * stack, from which nothing is ever freed; when it is used up, the header is refused. A decode
 * touches no heap, takes no lock and leaves nothing behind. Recursion is bounded by the schema: no
 * message contains itself (proto/wire.proto).
 *
 * Numbers on the wire are not the numbers of our enums, even where they agree today: the tables
 * below convert, and an unknown number is a protocol violation.
 */
#include "wire.h"

#include "common/base/hash.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "wire.pb-c.h"

#define ARENA_BYTES ((size_t)64 << 10)

/* --- the messages ----------------------------------------------------------------------------- */

/* Every message: its name, its body in our structs and in the generated code. (The bodies of ACK
 * and STATS are empty.) */
/* clang-format off */
#define BODIES(X)                                                                                  \
    X(HELLO, hello, hello)             X(WELCOME, welcome, welcome)                                \
    X(REFUSE, error, refuse)           X(HEARTBEAT, heartbeat, heartbeat)                          \
    X(COMMAND, command, command)       X(LEASE_ASK, lease_ask, lease_ask)                          \
    X(LEASE, lease, lease)             X(CLOCK_ASK, clock, clock_ask)                              \
    X(CLOCK, clock, clock)             X(SCORES, scores, scores)                                   \
    X(PART_DONE, part_done, part_done) X(PULL, pull, pull)                                         \
    X(PULLED, pulled, pulled)          X(PUSH, push, push)                                         \
    X(PUSHED, pushed, pushed)          X(ERROR, error, error)                                      \
    X(STATS_REPLY, heartbeat, stats_reply)
#define EMPTY_BODIES(X) X(ACK, , ack) X(STATS, , stats)
/* clang-format on */

struct wire_kind {
    Wire__Header__BodyCase body;
    const char *name;
};
static const struct wire_kind kinds[] = {
#define KIND(type, ours, theirs) [WIRE_##type] = {WIRE__HEADER__BODY_##type, #type},
    BODIES(KIND) EMPTY_BODIES(KIND)};
#define KINDS (sizeof kinds / sizeof kinds[0])

/* The ids of cuts are odd. */
uint64_t wire_base(uint64_t cut, const char *resume_dir) {
    if (cut != 0) {
        return cut;
    }
    return resume_dir[0] == '\0' ? 2 : (hash_bytes(resume_dir, strlen(resume_dir)) & ~1ull) | 4;
}

const char *wire_type_name(enum wire_type type) {
    return (size_t)type < KINDS && kinds[type].name != NULL ? kinds[type].name : "unknown";
}

/* --- numbers on the wire ---------------------------------------------------------------------- */

struct number {
    int ours;
    int wire;
};
static const struct number roles[] = {
    {ROLE_COORD, WIRE__ROLE__ROLE_COORDINATOR},
    {ROLE_SERVER, WIRE__ROLE__ROLE_SERVER},
    {ROLE_WORKER, WIRE__ROLE__ROLE_WORKER},
};
static const struct number value_types[] = {
    {VALUE_F32, WIRE__VALUES__VALUES_F32},
    {VALUE_BF16, WIRE__VALUES__VALUES_BF16},
};
static const struct number orders[] = {
    {ORDER_NONE, WIRE__ORDER__ORDER_NONE},   {ORDER_STOP, WIRE__ORDER__ORDER_STOP},
    {ORDER_CUT, WIRE__ORDER__ORDER_CUT},     {ORDER_REJOIN, WIRE__ORDER__ORDER_REJOIN},
    {ORDER_LEAVE, WIRE__ORDER__ORDER_LEAVE},
};
static const struct number lease_kinds[] = {
    {LEASE_WAIT, WIRE__LEASE_KIND__LEASE_WAIT},
    {LEASE_TRAIN, WIRE__LEASE_KIND__LEASE_TRAIN},
    {LEASE_EVAL, WIRE__LEASE_KIND__LEASE_EVAL},
    {LEASE_FINISHED, WIRE__LEASE_KIND__LEASE_FINISHED},
};
static const struct number causes[] = {
    {OK, WIRE__CAUSE__CAUSE_NONE},
    {ERR_MEMORY, WIRE__CAUSE__CAUSE_MEMORY},
    {ERR_IO, WIRE__CAUSE__CAUSE_IO},
    {ERR_CORRUPT, WIRE__CAUSE__CAUSE_CORRUPT},
    {ERR_FORMAT, WIRE__CAUSE__CAUSE_FORMAT},
    {ERR_CONFIG, WIRE__CAUSE__CAUSE_CONFIG},
    {ERR_USAGE, WIRE__CAUSE__CAUSE_USAGE},
    {ERR_LIMIT, WIRE__CAUSE__CAUSE_LIMIT},
    {ERR_TIMEOUT, WIRE__CAUSE__CAUSE_TIMEOUT},
    {ERR_CLOSED, WIRE__CAUSE__CAUSE_CLOSED},
    {ERR_NOT_FOUND, WIRE__CAUSE__CAUSE_NOT_FOUND},
    {ERR_EXISTS, WIRE__CAUSE__CAUSE_EXISTS},
    {ERR_PROTOCOL, WIRE__CAUSE__CAUSE_PROTOCOL},
    {ERR_FENCED, WIRE__CAUSE__CAUSE_FENCED},
    {ERR_TICKET, WIRE__CAUSE__CAUSE_TICKET},
    {ERR_AGAIN, WIRE__CAUSE__CAUSE_AGAIN},
    {ERR_PEER, WIRE__CAUSE__CAUSE_PEER},
};
#define TABLE(t) t, sizeof(t) / sizeof(t)[0]

static int to_wire(const struct number *table, size_t n, int ours) {
    for (size_t i = 0; i < n; i++) {
        if (table[i].ours == ours) {
            return table[i].wire;
        }
    }
    assert(!"an enum value without a number on the wire");
    return 0;
}

static enum status from_wire(const struct number *table, size_t n, int wire, const char *what,
                             int *ours) {
    for (size_t i = 0; i < n; i++) {
        if (table[i].wire == wire) {
            *ours = table[i].ours;
            return OK;
        }
    }
    return fail(ERR_PROTOCOL, "header: %s has no meaning for number %d", what, wire);
}

/* --- fields ----------------------------------------------------------------------------------- */

/* The fields of each message, listed once for both directions: S(field) is the same on both sides,
 * R(ours, theirs) differs only in name, T(field) is a text, E(ours, theirs, table) is a number from
 * a table above, C() stands for the counts of keys. */
/* clang-format off */
#define HELLO(S, R, T, E, C)                                                                       \
    E(role, role, roles) S(index) T(build) T(host) S(pid) S(threads) S(incarnation) S(log_job)
#define WELCOME(S, R, T, E, C)                                                                     \
    S(job) S(ready) S(partitions) S(servers) S(workers) S(resume) T(resume_dir) S(index)
#define PROGRESS(S, R, T, E, C)                                                                    \
    S(impressions) S(batches) S(loss_sum) S(loss_ctr_sum) S(loss_ctcvr_sum) S(resent)              \
    S(duplicates) S(dropped_values) S(tickets_unknown) S(staleness_sum) S(staleness_max)           \
    S(dense_staleness_sum) S(dense_staleness_max) S(finished) S(fenced)
#define USAGE(S, R, T, E, C)                                                                       \
    S(cpu_s) S(peak_bytes) S(sent_bytes) S(received_bytes) R(latency.max_us, latency_max_us)       \
    R(latency_cut.max_us, latency_cut_max_us)
#define HEARTBEAT(S, R, T, E, C)                                                                   \
    E(role, role, roles) S(index) S(incarnation) S(rows) S(bytes) S(version) S(evicted)            \
    S(refused) S(created) S(duplicates) S(failing) T(text) S(reading) S(log_bytes) S(leaving)
#define COMMAND(S, R, T, E, C)                                                                     \
    E(order, order, orders) S(cut) T(dir) S(failed) T(text) S(cut_id) S(committed) S(delta)        \
    S(term)
#define LEASE_ASK(S, R, T, E, C) S(index) S(incarnation) S(returns) S(epoch) S(shard) S(fence)
#define LEASE(S, R, T, E, C)                                                                       \
    E(kind, kind, lease_kinds) S(epoch) S(shard) S(fence) S(batch_limit) S(ahead)
#define CLOCK(S, R, T, E, C) S(index) S(trainer) S(incarnation) S(clock)
#define SCORES(S, R, T, E, C) S(epoch) S(shard) S(fence) S(first) S(count) S(total)
#define PART_DONE(S, R, T, E, C)                                                                   \
    S(partition) S(cut) S(ok) T(text) T(name) S(bucket_begin) S(bucket_end) S(bytes) S(checksum)   \
    S(rows) S(version) S(whole)
#define PULL(S, R, T, E, C)                                                                        \
    C() S(want_dense) S(want_ticket) S(want_missing) E(values, values, value_types)
#define PULLED(S, R, T, E, C) S(ticket) S(version) E(values, values, value_types)
#define PUSH(S, R, T, E, C)                                                                        \
    R(name.epoch, epoch) R(name.shard, shard) R(name.batch, batch) S(fence) S(ticket)              \
    S(shard_batches) C() E(values, values, value_types)
#define PUSHED(S, R, T, E, C) S(duplicate) S(version) S(dropped_values)
#define ERROR(S, R, T, E, C) E(status, cause, causes) T(text)
/* clang-format on */

#define SAME(field) out->field = in->field;

/* Texts and arrays are borrowed: protobuf-c only reads them. */
#define PUT_RENAMED(ours, theirs) out->theirs = in->ours;
#define PUT_TEXT(field)                                                                            \
    assert(memchr(in->field, 0, sizeof in->field) != NULL);                                        \
    out->field = (char *)(uintptr_t)in->field;
#define PUT_ENUM(ours, theirs, table)                                                              \
    out->theirs = (__typeof__(out->theirs))to_wire(TABLE(table), (int)in->ours);
#define PUT_COUNTS()                                                                               \
    out->n_count = in->fields;                                                                     \
    out->count = (uint32_t *)(uintptr_t)in->count;

#define TAKE_RENAMED(ours, theirs) out->ours = in->theirs;
#define TAKE_TEXT(field)           TRY(take_text(out->field, sizeof out->field, in->field, #field));
#define TAKE_ENUM(ours_, theirs, table)                                                            \
    {                                                                                              \
        int ours = 0;                                                                              \
        TRY(from_wire(TABLE(table), (int)in->theirs, #ours_, &ours));                              \
        out->ours_ = (__typeof__(out->ours_))ours;                                                 \
    }
#define TAKE_COUNTS() TRY(take_counts(out->count, &out->fields, in->count, in->n_count));

static enum status take_text(char *out, size_t cap, const char *in, const char *what) {
    size_t n = strnlen(in, cap);
    if (n == cap) {
        return fail(ERR_PROTOCOL, "header: %s is longer than %zu bytes", what, cap - 1);
    }
    memcpy(out, in, n + 1);
    return OK;
}
static enum status take_counts(uint32_t *out, uint32_t *fields, const uint32_t *in, size_t n) {
    if (n > FIELDS_MAX) {
        return fail(ERR_PROTOCOL, "header: counts of %zu fields, the limit is %u", n, FIELDS_MAX);
    }
    if (n > 0) {
        memcpy(out, in, n * sizeof *out);
    }
    *fields = (uint32_t)n;
    return OK;
}

/* put_NAME and take_NAME copy all of FIELDS, to the generated struct and from it. */
#define MESSAGE(name, our_struct, their_struct, FIELDS)                                            \
    static void put_##name(const struct our_struct *in, their_struct *out) {                       \
        wire__##name##__init(out);                                                                 \
        FIELDS(SAME, PUT_RENAMED, PUT_TEXT, PUT_ENUM, PUT_COUNTS)                                  \
    }                                                                                              \
    static enum status take_##name(const their_struct *in, struct our_struct *out) {               \
        FIELDS(SAME, TAKE_RENAMED, TAKE_TEXT, TAKE_ENUM, TAKE_COUNTS)                              \
        return OK;                                                                                 \
    }
MESSAGE(hello, wire_hello, Wire__Hello, HELLO)
MESSAGE(welcome, wire_welcome, Wire__Welcome, WELCOME)
MESSAGE(progress, wire_progress, Wire__Progress, PROGRESS)
MESSAGE(usage, usage, Wire__Usage, USAGE)
MESSAGE(heartbeat, wire_heartbeat, Wire__Heartbeat, HEARTBEAT)
MESSAGE(command, wire_command, Wire__Command, COMMAND)
MESSAGE(lease_ask, wire_lease_ask, Wire__LeaseAsk, LEASE_ASK)
MESSAGE(lease, wire_lease, Wire__Lease, LEASE)
MESSAGE(clock, wire_clock, Wire__Clock, CLOCK)
MESSAGE(scores, wire_scores, Wire__Scores, SCORES)
MESSAGE(part_done, wire_part_done, Wire__PartDone, PART_DONE)
MESSAGE(pull, wire_pull, Wire__Pull, PULL)
MESSAGE(pulled, wire_pulled, Wire__Pulled, PULLED)
MESSAGE(push, wire_push, Wire__Push, PUSH)
MESSAGE(pushed, wire_pushed, Wire__Pushed, PUSHED)
MESSAGE(error, wire_error, Wire__Error, ERROR)

/* --- encoding --------------------------------------------------------------------------------- */

struct body {
    union {
        Wire__Hello hello;
        Wire__Welcome welcome;
        Wire__Heartbeat heartbeat;
        Wire__Command command;
        Wire__LeaseAsk lease_ask;
        Wire__Lease lease;
        Wire__Clock clock;
        Wire__Scores scores;
        Wire__PartDone part_done;
        Wire__Pull pull;
        Wire__Pulled pulled;
        Wire__Push push;
        Wire__Pushed pushed;
        Wire__Error error;
        Wire__Nothing nothing;
    } u;
    Wire__Progress progress; /* within a heartbeat */
    Wire__Usage usage;
};

/* Buckets up to the last that is not 0. */
static size_t buckets_used(const struct latency *l) {
    size_t n = LATENCY_BUCKETS;
    while (n > 0 && l->count[n - 1] == 0) {
        n--;
    }
    return n;
}

static void put_heartbeat_parts(const struct wire_heartbeat *in, struct body *out) {
    put_progress(&in->progress, &out->progress);
    out->u.heartbeat.progress = &out->progress;
    put_usage(&in->usage, &out->usage);
    out->usage.n_stage_s = STAGES;
    out->usage.stage_s = (double *)(uintptr_t)in->usage.stage_s;
    out->usage.n_latency = buckets_used(&in->usage.latency);
    out->usage.latency = (uint64_t *)(uintptr_t)in->usage.latency.count;
    out->usage.n_latency_cut = buckets_used(&in->usage.latency_cut);
    out->usage.latency_cut = (uint64_t *)(uintptr_t)in->usage.latency_cut.count;
    out->u.heartbeat.usage = &out->usage;
}

static void put_body(const struct wire_msg *m, struct body *b) {
    switch (m->type) {
#define PUT_BODY(type, ours, theirs)                                                               \
    case WIRE_##type: put_##ours(&m->u.ours, &b->u.ours); break;
        BODIES(PUT_BODY)
    case WIRE_ACK:
    case WIRE_STATS: wire__nothing__init(&b->u.nothing); break;
    }
    if (m->type == WIRE_HEARTBEAT || m->type == WIRE_STATS_REPLY) {
        put_heartbeat_parts(&m->u.heartbeat, b);
    }
    if (m->type == WIRE_HELLO) {
        b->u.hello.n_log_base = m->u.hello.log_bases;
        b->u.hello.log_base = (uint64_t *)(uintptr_t)m->u.hello.log_base;
    }
}

enum status wire_encode(const struct wire_msg *m, struct buf *out) {
    assert((size_t)m->type < KINDS && kinds[m->type].name != NULL);
    Wire__Header header;
    struct body body;
    wire__header__init(&header);
    header.version = WIRE_VERSION;
    header.job = m->job;
    header.id = m->id;
    header.body_case = kinds[m->type].body;
    put_body(m, &body);
    header.ack = &body.u.nothing; /* every member of the union is a pointer to this body */
    size_t bytes = wire__header__get_packed_size(&header);
    if (bytes > WIRE_HEADER_MAX) {
        return fail(ERR_LIMIT, "header of %s would take %zu bytes, the limit is %u",
                    wire_type_name(m->type), bytes, WIRE_HEADER_MAX);
    }
    TRY(buf_reserve(out, bytes));
    wire__header__pack(&header, out->data + out->len);
    out->len += bytes;
    return OK;
}

/* --- decoding --------------------------------------------------------------------------------- */

struct arena {
    size_t used;
    _Alignas(max_align_t) uint8_t bytes[ARENA_BYTES];
};

static void *arena_alloc(void *data, size_t bytes) {
    struct arena *a = data;
    size_t left = ARENA_BYTES - a->used;
    if (bytes > left) {
        return NULL;
    }
    void *p = a->bytes + a->used;
    size_t step = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    a->used += step < left ? step : left;
    return p;
}

static void arena_free(void *data, void *p) {
    (void)data;
    (void)p;
}

static void take_buckets(const uint64_t *in, size_t n, struct latency *out) {
    for (size_t b = 0; b < n && b < LATENCY_BUCKETS; b++) {
        out->count[b] = in[b];
    }
}

/* Stages and buckets that this program does not know are left out. */
static enum status take_heartbeat_parts(const Wire__Heartbeat *in, struct wire_heartbeat *out) {
    if (in->progress != NULL) {
        TRY(take_progress(in->progress, &out->progress));
    }
    if (in->usage != NULL) {
        TRY(take_usage(in->usage, &out->usage));
        for (size_t s = 0; s < in->usage->n_stage_s && s < STAGES; s++) {
            out->usage.stage_s[s] = in->usage->stage_s[s];
        }
        take_buckets(in->usage->latency, in->usage->n_latency, &out->usage.latency);
        take_buckets(in->usage->latency_cut, in->usage->n_latency_cut, &out->usage.latency_cut);
    }
    return OK;
}

static enum status take_bases(const Wire__Hello *in, struct wire_hello *out) {
    if (in->n_log_base > WIRE_BASES_MAX) {
        return fail(ERR_PROTOCOL, "header: a log with %zu bases, the limit is %u", in->n_log_base,
                    WIRE_BASES_MAX);
    }
    for (size_t i = 0; i < in->n_log_base; i++) {
        out->log_base[i] = in->log_base[i];
    }
    out->log_bases = (uint32_t)in->n_log_base;
    return OK;
}

static enum status take_body(const Wire__Header *h, struct wire_msg *m) {
    switch (m->type) {
#define TAKE_BODY(type, ours, theirs)                                                              \
    case WIRE_##type: TRY(take_##ours(h->theirs, &m->u.ours)); break;
        BODIES(TAKE_BODY)
    case WIRE_ACK:
    case WIRE_STATS: break;
    }
    return m->type == WIRE_HEARTBEAT     ? take_heartbeat_parts(h->heartbeat, &m->u.heartbeat)
           : m->type == WIRE_STATS_REPLY ? take_heartbeat_parts(h->stats_reply, &m->u.heartbeat)
           : m->type == WIRE_HELLO       ? take_bases(h->hello, &m->u.hello)
                                         : OK;
}

static enum status type_of(const Wire__Header *h, enum wire_type *type) {
    for (size_t i = 0; i < KINDS; i++) {
        if (kinds[i].name != NULL && kinds[i].body == h->body_case) {
            *type = (enum wire_type)i;
            return OK;
        }
    }
    return fail(ERR_PROTOCOL, "header: no body of a kind known to version %u", WIRE_VERSION);
}

enum status wire_decode(struct wire_msg *m, const void *data, size_t bytes) {
    memset(m, 0, sizeof *m);
    if (bytes > WIRE_HEADER_MAX) {
        return fail(ERR_PROTOCOL, "header has %zu bytes, the limit is %u", bytes, WIRE_HEADER_MAX);
    }
    struct arena arena;
    arena.used = 0;
    ProtobufCAllocator allocator = {
        .alloc = arena_alloc, .free = arena_free, .allocator_data = &arena};
    static const uint8_t none;
    const Wire__Header *h =
        wire__header__unpack(&allocator, bytes, bytes > 0 ? (const uint8_t *)data : &none);
    if (h == NULL) {
        return fail(ERR_PROTOCOL, "header of %zu bytes does not decode", bytes);
    }
    if (h->version != WIRE_VERSION) {
        return fail(ERR_PROTOCOL, "header is of wire version %u, this program speaks %u",
                    h->version, WIRE_VERSION);
    }
    TRY(type_of(h, &m->type));
    m->job = h->job;
    m->id = h->id;
    return take_body(h, m);
}
