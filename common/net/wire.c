/* wire.c - between struct wire_msg and the header's bytes; the one file that sees protobuf-c.
 *
 * The generated structs never leave this file. Encoding builds them on the stack, their strings and
 * arrays borrowed from the message, and packs once. Decoding lets protobuf-c build its tree and
 * copies it field by field into the fixed-size structs, checking every length and every enum.
 *
 * protobuf-c trusts its allocator to say no: a header of 4 KiB made of nothing but unknown fields
 * asks for sixty times its size. So decoding runs in an arena of ARENA_BYTES on the stack, from
 * which nothing is ever freed; when it is used up, the header is refused. A decode touches no heap,
 * takes no lock and leaves nothing behind. Recursion is bounded by the schema: no message contains
 * itself (proto/wire.proto).
 *
 * Numbers on the wire are not the numbers of our enums, even where they agree today: the tables
 * below convert, and an unknown number is a protocol violation.
 */
#include "wire.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "wire.pb-c.h"

#define ARENA_BYTES ((size_t)64 << 10)

/* --- numbers on the wire ---------------------------------------------------------------------- */

struct wire_kind {
    Wire__Header__BodyCase body;
    const char *name;
};
static const struct wire_kind kinds[] = {
    [WIRE_HELLO] = {WIRE__HEADER__BODY_HELLO, "HELLO"},
    [WIRE_WELCOME] = {WIRE__HEADER__BODY_WELCOME, "WELCOME"},
    [WIRE_REFUSE] = {WIRE__HEADER__BODY_REFUSE, "REFUSE"},
    [WIRE_HEARTBEAT] = {WIRE__HEADER__BODY_HEARTBEAT, "HEARTBEAT"},
    [WIRE_COMMAND] = {WIRE__HEADER__BODY_COMMAND, "COMMAND"},
    [WIRE_LEASE_ASK] = {WIRE__HEADER__BODY_LEASE_ASK, "LEASE_ASK"},
    [WIRE_LEASE] = {WIRE__HEADER__BODY_LEASE, "LEASE"},
    [WIRE_CLOCK_ASK] = {WIRE__HEADER__BODY_CLOCK_ASK, "CLOCK_ASK"},
    [WIRE_CLOCK] = {WIRE__HEADER__BODY_CLOCK, "CLOCK"},
    [WIRE_SCORES] = {WIRE__HEADER__BODY_SCORES, "SCORES"},
    [WIRE_ACK] = {WIRE__HEADER__BODY_ACK, "ACK"},
    [WIRE_PART_DONE] = {WIRE__HEADER__BODY_PART_DONE, "PART_DONE"},
    [WIRE_PULL] = {WIRE__HEADER__BODY_PULL, "PULL"},
    [WIRE_PULLED] = {WIRE__HEADER__BODY_PULLED, "PULLED"},
    [WIRE_PUSH] = {WIRE__HEADER__BODY_PUSH, "PUSH"},
    [WIRE_PUSHED] = {WIRE__HEADER__BODY_PUSHED, "PUSHED"},
    [WIRE_ERROR] = {WIRE__HEADER__BODY_ERROR, "ERROR"},
    [WIRE_STATS] = {WIRE__HEADER__BODY_STATS, "STATS"},
    [WIRE_STATS_REPLY] = {WIRE__HEADER__BODY_STATS_REPLY, "STATS_REPLY"},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

const char *wire_type_name(enum wire_type type) {
    return (size_t)type < KINDS && kinds[type].name != NULL ? kinds[type].name : "unknown";
}

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
    {ORDER_NONE, WIRE__ORDER__ORDER_NONE},
    {ORDER_STOP, WIRE__ORDER__ORDER_STOP},
    {ORDER_CUT, WIRE__ORDER__ORDER_CUT},
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

/* --- encoding --------------------------------------------------------------------------------- */

/* The fields that are the same on both sides, listed once for both directions. */
/* clang-format off */
#define HELLO_FIELDS(X) X(index) X(pid) X(threads) X(incarnation)
#define WELCOME_FIELDS(X) X(job) X(ready) X(partitions) X(servers) X(workers) X(resume)
#define PROGRESS_FIELDS(X)                                                                        \
    X(impressions) X(batches) X(loss_sum) X(loss_ctr_sum) X(loss_ctcvr_sum) X(resent)             \
    X(duplicates) X(dropped_values) X(tickets_unknown) X(staleness_sum) X(staleness_max) \
    X(dense_staleness_sum) X(dense_staleness_max) X(finished) X(fenced)
#define USAGE_FIELDS(X) X(cpu_s) X(peak_bytes) X(sent_bytes) X(received_bytes)
#define HEARTBEAT_FIELDS(X)                                                                       \
    X(index) X(incarnation) X(rows) X(bytes) X(version) X(evicted) X(refused) X(created)          \
    X(duplicates) X(failing) X(reading)
#define COMMAND_FIELDS(X) X(cut) X(failed) X(cut_id)
#define LEASE_ASK_FIELDS(X) X(index) X(incarnation) X(returns) X(epoch) X(shard) X(fence)
#define LEASE_FIELDS(X) X(epoch) X(shard) X(fence) X(batch_limit)
#define CLOCK_FIELDS(X) X(index) X(trainer) X(incarnation) X(clock)
#define SCORES_FIELDS(X) X(epoch) X(shard) X(fence) X(first) X(count) X(total)
#define PART_DONE_FIELDS(X)                                                                       \
    X(partition) X(cut) X(ok) X(bucket_begin) X(bucket_end) X(bytes) X(checksum) X(rows) X(version)
#define PULL_FIELDS(X) X(want_dense) X(want_ticket) X(want_missing)
#define PULLED_FIELDS(X) X(ticket) X(version)
#define PUSH_FIELDS(X) X(fence) X(ticket) X(shard_batches)
#define PUSHED_FIELDS(X) X(duplicate) X(version) X(dropped_values)
/* clang-format on */
#define COPY(field) out->field = in->field;

/* Messages within messages. */
struct parts {
    Wire__Progress progress;
    Wire__Usage usage;
};

/* Strings and arrays are borrowed: protobuf-c only reads them. */
#define BORROW(text) (assert(memchr(text, 0, sizeof(text)) != NULL), (char *)(uintptr_t)(text))

static void put_hello(const struct wire_hello *in, Wire__Hello *out) {
    wire__hello__init(out);
    HELLO_FIELDS(COPY)
    out->role = (Wire__Role)to_wire(TABLE(roles), (int)in->role);
    out->build = BORROW(in->build);
    out->host = BORROW(in->host);
}

static void put_welcome(const struct wire_welcome *in, Wire__Welcome *out) {
    wire__welcome__init(out);
    WELCOME_FIELDS(COPY)
    out->resume_dir = BORROW(in->resume_dir);
}

static void put_progress(const struct wire_progress *in, Wire__Progress *out) {
    wire__progress__init(out);
    PROGRESS_FIELDS(COPY)
}

static void put_usage(const struct usage *in, Wire__Usage *out) {
    wire__usage__init(out);
    USAGE_FIELDS(COPY)
    out->n_stage_s = STAGES;
    out->stage_s = (double *)(uintptr_t)in->stage_s;
}

static void put_heartbeat(const struct wire_heartbeat *in, Wire__Heartbeat *out,
                          struct parts *parts) {
    wire__heartbeat__init(out);
    HEARTBEAT_FIELDS(COPY)
    out->role = (Wire__Role)to_wire(TABLE(roles), (int)in->role);
    out->text = BORROW(in->text);
    put_progress(&in->progress, &parts->progress);
    out->progress = &parts->progress;
    put_usage(&in->usage, &parts->usage);
    out->usage = &parts->usage;
}

static void put_command(const struct wire_command *in, Wire__Command *out) {
    wire__command__init(out);
    COMMAND_FIELDS(COPY)
    out->order = (Wire__Order)to_wire(TABLE(orders), (int)in->order);
    out->dir = BORROW(in->dir);
    out->text = BORROW(in->text);
}

static void put_lease_ask(const struct wire_lease_ask *in, Wire__LeaseAsk *out) {
    wire__lease_ask__init(out);
    LEASE_ASK_FIELDS(COPY)
}

static void put_lease(const struct wire_lease *in, Wire__Lease *out) {
    wire__lease__init(out);
    LEASE_FIELDS(COPY)
    out->kind = (Wire__LeaseKind)to_wire(TABLE(lease_kinds), (int)in->kind);
}

static void put_clock(const struct wire_clock *in, Wire__Clock *out) {
    wire__clock__init(out);
    CLOCK_FIELDS(COPY)
}

static void put_scores(const struct wire_scores *in, Wire__Scores *out) {
    wire__scores__init(out);
    SCORES_FIELDS(COPY)
}

static void put_part_done(const struct wire_part_done *in, Wire__PartDone *out) {
    wire__part_done__init(out);
    PART_DONE_FIELDS(COPY)
    out->text = BORROW(in->text);
    out->name = BORROW(in->name);
}

static void put_pull(const struct wire_pull *in, Wire__Pull *out) {
    wire__pull__init(out);
    PULL_FIELDS(COPY)
    out->n_count = in->fields;
    out->count = (uint32_t *)(uintptr_t)in->count;
    out->values = (Wire__Values)to_wire(TABLE(value_types), (int)in->values);
}

static void put_pulled(const struct wire_pulled *in, Wire__Pulled *out) {
    wire__pulled__init(out);
    PULLED_FIELDS(COPY)
    out->values = (Wire__Values)to_wire(TABLE(value_types), (int)in->values);
}

static void put_push(const struct wire_push *in, Wire__Push *out) {
    wire__push__init(out);
    PUSH_FIELDS(COPY)
    out->epoch = in->name.epoch;
    out->shard = in->name.shard;
    out->batch = in->name.batch;
    out->n_count = in->fields;
    out->count = (uint32_t *)(uintptr_t)in->count;
    out->values = (Wire__Values)to_wire(TABLE(value_types), (int)in->values);
}

static void put_pushed(const struct wire_pushed *in, Wire__Pushed *out) {
    wire__pushed__init(out);
    PUSHED_FIELDS(COPY)
}

static void put_error(const struct wire_error *in, Wire__Error *out) {
    wire__error__init(out);
    out->cause = (Wire__Cause)to_wire(TABLE(causes), (int)in->status);
    out->text = BORROW(in->text);
}

union body {
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
};

static void put_body(const struct wire_msg *m, union body *b, struct parts *parts) {
    switch (m->type) {
    case WIRE_HELLO: put_hello(&m->u.hello, &b->hello); break;
    case WIRE_WELCOME: put_welcome(&m->u.welcome, &b->welcome); break;
    case WIRE_HEARTBEAT:
    case WIRE_STATS_REPLY: put_heartbeat(&m->u.heartbeat, &b->heartbeat, parts); break;
    case WIRE_COMMAND: put_command(&m->u.command, &b->command); break;
    case WIRE_LEASE_ASK: put_lease_ask(&m->u.lease_ask, &b->lease_ask); break;
    case WIRE_LEASE: put_lease(&m->u.lease, &b->lease); break;
    case WIRE_CLOCK_ASK:
    case WIRE_CLOCK: put_clock(&m->u.clock, &b->clock); break;
    case WIRE_SCORES: put_scores(&m->u.scores, &b->scores); break;
    case WIRE_PART_DONE: put_part_done(&m->u.part_done, &b->part_done); break;
    case WIRE_PULL: put_pull(&m->u.pull, &b->pull); break;
    case WIRE_PULLED: put_pulled(&m->u.pulled, &b->pulled); break;
    case WIRE_PUSH: put_push(&m->u.push, &b->push); break;
    case WIRE_PUSHED: put_pushed(&m->u.pushed, &b->pushed); break;
    case WIRE_REFUSE:
    case WIRE_ERROR: put_error(&m->u.error, &b->error); break;
    case WIRE_ACK:
    case WIRE_STATS: wire__nothing__init(&b->nothing); break;
    }
}

enum status wire_encode(const struct wire_msg *m, struct buf *out) {
    assert((size_t)m->type < KINDS && kinds[m->type].name != NULL);
    Wire__Header header;
    struct parts parts;
    union body body;
    wire__header__init(&header);
    header.version = WIRE_VERSION;
    header.job = m->job;
    header.id = m->id;
    header.body_case = kinds[m->type].body;
    put_body(m, &body, &parts);
    header.ack = &body.nothing; /* every member of the union is a pointer to this body */
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

static enum status take_text(char *out, size_t cap, const char *in, const char *what) {
    size_t n = strnlen(in, cap);
    if (n == cap) {
        return fail(ERR_PROTOCOL, "header: %s is longer than %zu bytes", what, cap - 1);
    }
    memcpy(out, in, n + 1);
    return OK;
}
#define TAKE_TEXT(field) TRY(take_text(out->field, sizeof out->field, in->field, #field))

#define TAKE_ENUM(field, table, wire, type)                                                        \
    do {                                                                                           \
        int ours_ = 0;                                                                             \
        TRY(from_wire(TABLE(table), (int)(wire), #field, &ours_));                                 \
        out->field = (type)ours_;                                                                  \
    } while (0)

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

static enum status take_hello(const Wire__Hello *in, struct wire_hello *out) {
    HELLO_FIELDS(COPY)
    TAKE_ENUM(role, roles, in->role, enum wire_role);
    TAKE_TEXT(build);
    TAKE_TEXT(host);
    return OK;
}

static enum status take_welcome(const Wire__Welcome *in, struct wire_welcome *out) {
    WELCOME_FIELDS(COPY)
    TAKE_TEXT(resume_dir);
    return OK;
}

static void take_progress(const Wire__Progress *in, struct wire_progress *out) {
    PROGRESS_FIELDS(COPY)
}

/* Stages that this program does not know are left out. */
static void take_usage(const Wire__Usage *in, struct usage *out) {
    USAGE_FIELDS(COPY)
    for (size_t s = 0; s < in->n_stage_s && s < STAGES; s++) {
        out->stage_s[s] = in->stage_s[s];
    }
}

static enum status take_heartbeat(const Wire__Heartbeat *in, struct wire_heartbeat *out) {
    HEARTBEAT_FIELDS(COPY)
    TAKE_ENUM(role, roles, in->role, enum wire_role);
    TAKE_TEXT(text);
    if (in->progress != NULL) {
        take_progress(in->progress, &out->progress);
    }
    if (in->usage != NULL) {
        take_usage(in->usage, &out->usage);
    }
    return OK;
}

static enum status take_command(const Wire__Command *in, struct wire_command *out) {
    COMMAND_FIELDS(COPY)
    TAKE_ENUM(order, orders, in->order, enum wire_order);
    TAKE_TEXT(dir);
    TAKE_TEXT(text);
    return OK;
}

static enum status take_lease_ask(const Wire__LeaseAsk *in, struct wire_lease_ask *out) {
    LEASE_ASK_FIELDS(COPY)
    return OK;
}

static enum status take_lease(const Wire__Lease *in, struct wire_lease *out) {
    LEASE_FIELDS(COPY)
    TAKE_ENUM(kind, lease_kinds, in->kind, enum lease_kind);
    return OK;
}

static enum status take_clock(const Wire__Clock *in, struct wire_clock *out) {
    CLOCK_FIELDS(COPY)
    return OK;
}

static enum status take_scores(const Wire__Scores *in, struct wire_scores *out) {
    SCORES_FIELDS(COPY)
    return OK;
}

static enum status take_part_done(const Wire__PartDone *in, struct wire_part_done *out) {
    PART_DONE_FIELDS(COPY)
    TAKE_TEXT(text);
    TAKE_TEXT(name);
    return OK;
}

static enum status take_pull(const Wire__Pull *in, struct wire_pull *out) {
    PULL_FIELDS(COPY)
    TAKE_ENUM(values, value_types, in->values, enum value_type);
    return take_counts(out->count, &out->fields, in->count, in->n_count);
}

static enum status take_pulled(const Wire__Pulled *in, struct wire_pulled *out) {
    PULLED_FIELDS(COPY)
    TAKE_ENUM(values, value_types, in->values, enum value_type);
    return OK;
}

static enum status take_push(const Wire__Push *in, struct wire_push *out) {
    PUSH_FIELDS(COPY)
    out->name = (struct batch_name){in->epoch, in->shard, in->batch};
    TAKE_ENUM(values, value_types, in->values, enum value_type);
    return take_counts(out->count, &out->fields, in->count, in->n_count);
}

static enum status take_pushed(const Wire__Pushed *in, struct wire_pushed *out) {
    PUSHED_FIELDS(COPY)
    return OK;
}

static enum status take_error(const Wire__Error *in, struct wire_error *out) {
    TAKE_ENUM(status, causes, in->cause, enum status);
    TAKE_TEXT(text);
    return OK;
}

static enum status take_body(const Wire__Header *h, struct wire_msg *m) {
    switch (m->type) {
    case WIRE_HELLO: return take_hello(h->hello, &m->u.hello);
    case WIRE_WELCOME: return take_welcome(h->welcome, &m->u.welcome);
    case WIRE_HEARTBEAT: return take_heartbeat(h->heartbeat, &m->u.heartbeat);
    case WIRE_STATS_REPLY: return take_heartbeat(h->stats_reply, &m->u.heartbeat);
    case WIRE_COMMAND: return take_command(h->command, &m->u.command);
    case WIRE_LEASE_ASK: return take_lease_ask(h->lease_ask, &m->u.lease_ask);
    case WIRE_LEASE: return take_lease(h->lease, &m->u.lease);
    case WIRE_CLOCK_ASK: return take_clock(h->clock_ask, &m->u.clock);
    case WIRE_CLOCK: return take_clock(h->clock, &m->u.clock);
    case WIRE_SCORES: return take_scores(h->scores, &m->u.scores);
    case WIRE_PART_DONE: return take_part_done(h->part_done, &m->u.part_done);
    case WIRE_PULL: return take_pull(h->pull, &m->u.pull);
    case WIRE_PULLED: return take_pulled(h->pulled, &m->u.pulled);
    case WIRE_PUSH: return take_push(h->push, &m->u.push);
    case WIRE_PUSHED: return take_pushed(h->pushed, &m->u.pushed);
    case WIRE_REFUSE: return take_error(h->refuse, &m->u.error);
    case WIRE_ERROR: return take_error(h->error, &m->u.error);
    case WIRE_ACK:
    case WIRE_STATS: return OK;
    }
    return fail(ERR_PROTOCOL, "header: unknown type");
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
