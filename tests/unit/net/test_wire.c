/* Every message there and back, hostile headers, bf16, and the plan. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/net/wire.h"
#include "common/net/wire_values.h"
#include "common/net/job_plan.h"

#include <cmocka.h> /* last: it has a macro called fail */

#define SEED   20240607u
#define ROUNDS 300

struct dice {
    uint64_t n;
};
static uint64_t roll(struct dice *d) {
    uint64_t v = rng_u64(SEED, 1, d->n++);
    switch (rng_u64(SEED, 2, d->n) % 6) { /* small, large and extreme numbers */
    case 0: return 0;
    case 1: return UINT64_MAX;
    case 2: return v % 200;
    default: return v;
    }
}
static uint32_t roll32(struct dice *d) {
    return (uint32_t)roll(d);
}
static bool flip(struct dice *d) {
    return rng_u64(SEED, 3, d->n++) % 2 != 0;
}
static uint32_t below(struct dice *d, uint32_t n) {
    return (uint32_t)rng_below(SEED, 4, d->n++, n);
}
static double roll_f64(struct dice *d) {
    uint64_t bits = roll(d);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}
/* Any bytes but NUL, up to the full length. */
static void roll_text(struct dice *d, char *out, size_t cap) {
    size_t n = below(d, 3) == 0 ? cap - 1 : below(d, (uint32_t)cap);
    for (size_t i = 0; i < n; i++) {
        out[i] = (char)(1 + below(d, 255));
    }
}
static void roll_counts(struct dice *d, uint32_t *count, uint32_t *fields) {
    *fields = below(d, 3) == 0 ? FIELDS_MAX : below(d, FIELDS_MAX + 1);
    for (uint32_t f = 0; f < *fields; f++) {
        count[f] = roll32(d);
    }
}
static enum wire_role roll_role(struct dice *d) {
    static const enum wire_role roles[] = {ROLE_COORD, ROLE_SERVER, ROLE_WORKER};
    return roles[below(d, 3)];
}
static enum value_type roll_values(struct dice *d) {
    return flip(d) ? VALUE_F32 : VALUE_BF16;
}

static void roll_hello(struct dice *d, struct wire_hello *h) {
    h->role = roll_role(d);
    h->index = roll32(d);
    roll_text(d, h->build, sizeof h->build);
    roll_text(d, h->host, sizeof h->host);
    h->pid = roll32(d);
    h->threads = roll32(d);
    h->incarnation = roll(d);
    h->log_job = roll(d);
    h->log_bases = below(d, WIRE_BASES_MAX + 1);
    for (uint32_t i = 0; i < h->log_bases; i++) {
        h->log_base[i] = roll(d);
    }
}
static void roll_welcome(struct dice *d, struct wire_welcome *w) {
    w->job = roll(d);
    w->ready = flip(d);
    w->partitions = roll32(d);
    w->servers = roll32(d);
    w->workers = roll32(d);
    w->resume = flip(d);
    roll_text(d, w->resume_dir, sizeof w->resume_dir);
}
static void roll_heartbeat(struct dice *d, struct wire_heartbeat *h) {
    struct wire_progress *p = &h->progress;
    h->role = roll_role(d);
    h->index = roll32(d);
    h->incarnation = roll(d);
    p->impressions = roll(d);
    p->batches = roll(d);
    p->loss_sum = roll_f64(d);
    p->loss_ctr_sum = roll_f64(d);
    p->loss_ctcvr_sum = roll_f64(d);
    p->resent = roll(d);
    p->duplicates = roll(d);
    p->dropped_values = roll(d);
    p->tickets_unknown = roll(d);
    p->staleness_sum = roll(d);
    p->staleness_max = roll(d);
    p->dense_staleness_sum = roll(d);
    p->dense_staleness_max = roll(d);
    p->finished = roll(d);
    p->fenced = roll(d);
    h->usage.cpu_s = roll_f64(d);
    h->usage.peak_bytes = roll(d);
    h->usage.sent_bytes = roll(d);
    h->usage.received_bytes = roll(d);
    for (int s = 0; s < STAGES; s++) {
        h->usage.stage_s[s] = roll_f64(d);
    }
    h->rows = roll(d);
    h->bytes = roll(d);
    h->version = roll(d);
    h->evicted = roll(d);
    h->refused = roll(d);
    h->created = roll(d);
    h->duplicates = roll(d);
    h->log_bytes = roll(d);
    h->failing = flip(d);
    roll_text(d, h->text, sizeof h->text);
}
static void roll_command(struct dice *d, struct wire_command *c) {
    static const enum wire_order orders[] = {ORDER_NONE, ORDER_STOP, ORDER_CUT};
    c->order = orders[below(d, 3)];
    c->cut = roll(d);
    c->cut_id = roll(d);
    c->committed = roll(d);
    c->delta = roll(d) % 2 != 0;
    roll_text(d, c->dir, sizeof c->dir);
    c->failed = flip(d);
    roll_text(d, c->text, sizeof c->text);
}
static void roll_lease_ask(struct dice *d, struct wire_lease_ask *l) {
    l->index = roll32(d);
    l->incarnation = roll(d);
    l->returns = flip(d);
    l->epoch = roll32(d);
    l->shard = roll32(d);
    l->fence = roll(d);
}
static void roll_lease(struct dice *d, struct wire_lease *l) {
    static const enum lease_kind kinds[] = {LEASE_WAIT, LEASE_TRAIN, LEASE_EVAL, LEASE_FINISHED};
    l->kind = kinds[below(d, 4)];
    l->epoch = roll32(d);
    l->shard = roll32(d);
    l->fence = roll(d);
    l->batch_limit = roll32(d);
    l->ahead = roll32(d);
}
static void roll_clock(struct dice *d, struct wire_clock *c) {
    c->index = roll32(d);
    c->trainer = roll32(d);
    c->incarnation = roll(d);
    c->clock = roll(d);
}
static void roll_part_done(struct dice *d, struct wire_part_done *p) {
    p->partition = roll32(d);
    p->cut = roll(d);
    p->ok = flip(d);
    roll_text(d, p->text, sizeof p->text);
    roll_text(d, p->name, sizeof p->name);
    p->bucket_begin = roll32(d);
    p->bucket_end = roll32(d);
    p->bytes = roll(d);
    p->checksum = roll(d);
    p->rows = roll(d);
    p->version = roll(d);
}
static void roll_push(struct dice *d, struct wire_push *p) {
    p->name.epoch = roll32(d);
    p->name.shard = roll32(d);
    p->name.batch = roll32(d);
    p->fence = roll(d);
    p->ticket = roll(d);
    p->shard_batches = roll32(d);
    roll_counts(d, p->count, &p->fields);
    p->values = roll_values(d);
}

static void roll_body(struct dice *d, struct wire_msg *m) {
    switch (m->type) {
    case WIRE_HELLO: roll_hello(d, &m->u.hello); break;
    case WIRE_WELCOME: roll_welcome(d, &m->u.welcome); break;
    case WIRE_HEARTBEAT:
    case WIRE_STATS_REPLY: roll_heartbeat(d, &m->u.heartbeat); break;
    case WIRE_COMMAND: roll_command(d, &m->u.command); break;
    case WIRE_LEASE_ASK: roll_lease_ask(d, &m->u.lease_ask); break;
    case WIRE_LEASE: roll_lease(d, &m->u.lease); break;
    case WIRE_CLOCK_ASK:
    case WIRE_CLOCK: roll_clock(d, &m->u.clock); break;
    case WIRE_SCORES:
        m->u.scores.epoch = roll32(d);
        m->u.scores.shard = roll32(d);
        m->u.scores.count = roll32(d);
        m->u.scores.first = roll32(d);
        m->u.scores.total = roll32(d);
        m->u.scores.fence = roll(d);
        break;
    case WIRE_PART_DONE: roll_part_done(d, &m->u.part_done); break;
    case WIRE_PULL:
        roll_counts(d, m->u.pull.count, &m->u.pull.fields);
        m->u.pull.want_dense = flip(d);
        m->u.pull.want_ticket = flip(d);
        m->u.pull.want_missing = flip(d);
        m->u.pull.values = roll_values(d);
        break;
    case WIRE_PULLED:
        m->u.pulled.ticket = roll(d);
        m->u.pulled.version = roll(d);
        m->u.pulled.values = roll_values(d);
        break;
    case WIRE_PUSH: roll_push(d, &m->u.push); break;
    case WIRE_PUSHED:
        m->u.pushed.duplicate = flip(d);
        m->u.pushed.version = roll(d);
        m->u.pushed.dropped_values = roll(d);
        break;
    case WIRE_REFUSE:
    case WIRE_ERROR:
        m->u.error.status = (enum status)below(d, ERR_PEER + 1);
        roll_text(d, m->u.error.text, sizeof m->u.error.text);
        break;
    case WIRE_ACK:
    case WIRE_STATS: break;
    }
}

static void roll_message(struct dice *d, enum wire_type type, struct wire_msg *m) {
    memset(m, 0, sizeof *m);
    m->type = type;
    m->job = roll(d);
    m->id = roll(d);
    roll_body(d, m);
}

static void test_every_message_round_trips(void **state) {
    (void)state;
    struct dice d = {0};
    struct buf bytes = BUF_EMPTY;
    for (int type = WIRE_HELLO; type <= WIRE_STATS_REPLY; type++) {
        for (int i = 0; i < ROUNDS; i++) {
            struct wire_msg m, back;
            roll_message(&d, (enum wire_type)type, &m);
            memset(&back, 0xa5, sizeof back);
            buf_clear(&bytes);
            assert_int_equal(wire_encode(&m, &bytes), OK);
            assert_true(bytes.len <= WIRE_HEADER_MAX);
            if (wire_decode(&back, bytes.data, bytes.len) != OK ||
                memcmp(&m, &back, sizeof m) != 0) {
                fail_msg("%s changed on the way (seed %u, roll %llu): %s",
                         wire_type_name((enum wire_type)type), SEED, (unsigned long long)d.n,
                         fail_text());
            }
        }
    }
    buf_fini(&bytes);
}

static void test_encode_appends(void **state) {
    (void)state;
    struct wire_msg m = {.type = WIRE_ACK, .job = 3, .id = 4}, back;
    struct buf bytes = BUF_EMPTY;
    assert_int_equal(buf_put(&bytes, "abc", 3), OK);
    assert_int_equal(wire_encode(&m, &bytes), OK);
    assert_memory_equal(bytes.data, "abc", 3);
    assert_int_equal(wire_decode(&back, bytes.data + 3, bytes.len - 3), OK);
    assert_int_equal(back.id, 4);
    buf_fini(&bytes);
}

static void test_torn_and_flipped_headers_are_survived(void **state) {
    (void)state;
    struct dice d = {.n = 1u << 20};
    struct buf bytes = BUF_EMPTY;
    int refused = 0;
    for (int type = WIRE_HELLO; type <= WIRE_STATS_REPLY; type++) {
        struct wire_msg m, back;
        roll_message(&d, (enum wire_type)type, &m);
        buf_clear(&bytes);
        assert_int_equal(wire_encode(&m, &bytes), OK);
        for (size_t n = 0; n < bytes.len; n++) {
            uint8_t *torn = malloc(n + 1); /* exact, so that the sanitizer sees an over-read */
            memcpy(torn, bytes.data, n);
            refused += wire_decode(&back, torn, n) == ERR_PROTOCOL;
            free(torn);
        }
        for (int i = 0; i < 2000; i++) {
            uint8_t *at = &bytes.data[below(&d, (uint32_t)bytes.len)];
            uint8_t old = *at;
            *at = (uint8_t)below(&d, 256);
            enum status status = wire_decode(&back, bytes.data, bytes.len);
            assert_true(status == OK || status == ERR_PROTOCOL);
            *at = old;
        }
    }
    assert_true(refused > 1000);
    buf_fini(&bytes);
}

static void test_noise_is_refused(void **state) {
    (void)state;
    struct dice d = {.n = 1u << 21};
    uint8_t noise[600];
    struct wire_msg m;
    for (int i = 0; i < 20000; i++) {
        size_t n = below(&d, sizeof noise);
        for (size_t k = 0; k < n; k++) {
            noise[k] = (uint8_t)below(&d, 256);
        }
        assert_int_equal(wire_decode(&m, noise, n), ERR_PROTOCOL);
    }
}

static void expect_refused(const struct buf *b, const char *words) {
    struct wire_msg m;
    assert_int_equal(wire_decode(&m, b->data, b->len), ERR_PROTOCOL);
    if (strstr(fail_text(), words) == NULL) {
        fail_msg("refused with \"%s\", expected \"%s\"", fail_text(), words);
    }
}

/* field << 3 | wire type */
static void put_number(struct buf *b, uint32_t field, uint64_t v) {
    assert_int_equal(buf_put_varint(b, field << 3), OK);
    assert_int_equal(buf_put_varint(b, v), OK);
}
static void put_bytes(struct buf *b, uint32_t field, const void *data, size_t n) {
    assert_int_equal(buf_put_varint(b, field << 3 | 2u), OK);
    assert_int_equal(buf_put_varint(b, n), OK);
    assert_int_equal(buf_put(b, data, n), OK);
}

static void test_other_versions_say_which(void **state) {
    (void)state;
    struct buf b = BUF_EMPTY;
    put_number(&b, 1, 77);
    put_bytes(&b, 99, "future", 6);
    expect_refused(&b, "wire version 77");
    buf_fini(&b);
}

static void test_bad_bodies_are_named(void **state) {
    (void)state;
    struct buf b = BUF_EMPTY, body = BUF_EMPTY;
    char text[WIRE_TEXT_MAX + 1];
    memset(text, 'x', sizeof text);

    put_number(&b, 1, WIRE_VERSION);
    expect_refused(&b, "no body");

    put_number(&body, 1, 99); /* a role that does not exist */
    put_bytes(&b, 16, body.data, body.len);
    expect_refused(&b, "role");

    buf_clear(&b);
    buf_clear(&body);
    put_number(&b, 1, WIRE_VERSION);
    put_bytes(&body, 2, text, WIRE_TEXT_MAX);
    put_bytes(&b, 32, body.data, body.len);
    expect_refused(&b, "text is longer than 511");

    buf_clear(&b);
    buf_clear(&body);
    put_number(&b, 1, WIRE_VERSION);
    put_bytes(&body, 1, text, FIELDS_MAX + 1); /* packed counts of one byte each */
    put_bytes(&b, 28, body.data, body.len);
    expect_refused(&b, "257 fields");

    buf_fini(&b);
    buf_fini(&body);
}

static void test_amplification_is_bounded(void **state) {
    (void)state;
    struct buf b = BUF_EMPTY;
    struct wire_msg m;
    put_number(&b, 1, WIRE_VERSION);
    put_bytes(&b, 26, "", 0); /* ACK */
    assert_int_equal(wire_decode(&m, b.data, b.len), OK);
    while (b.len + 3 <= WIRE_HEADER_MAX) {
        put_number(&b, 100, 1);
    }
    expect_refused(&b, "does not decode");
    while (b.len <= WIRE_HEADER_MAX) {
        assert_int_equal(buf_put_u8(&b, 0), OK);
    }
    expect_refused(&b, "the limit is 4096");
    buf_fini(&b);
}

static void test_decode_allocates_nothing(void **state) {
    (void)state;
    struct dice d = {.n = 1u << 22};
    struct wire_msg m, back;
    struct buf bytes = BUF_EMPTY;
    roll_message(&d, WIRE_PUSH, &m);
    assert_int_equal(wire_encode(&m, &bytes), OK);
    mem_fail_after(1);
    enum status status = wire_decode(&back, bytes.data, bytes.len);
    mem_fail_after(0);
    assert_int_equal(status, OK);
    buf_clear(&bytes);
    buf_fini(&bytes);
    mem_fail_after(1);
    status = wire_encode(&m, &bytes);
    mem_fail_after(0);
    assert_int_equal(status, ERR_MEMORY);
    buf_fini(&bytes);
}

/* --- values ----------------------------------------------------------------------------------- */

static float float_of(uint32_t bits) {
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}
static uint16_t packed(float v) {
    uint16_t half;
    wire_values_pack(VALUE_BF16, &v, 1, &half);
    return half;
}

static void test_bf16_rounds_to_nearest_even(void **state) {
    (void)state;
    assert_int_equal(packed(1.0f), 0x3f80);
    assert_int_equal(packed(float_of(0x3f808000)), 0x3f80); /* a tie: even below */
    assert_int_equal(packed(float_of(0x3f818000)), 0x3f82); /* a tie: even above */
    assert_int_equal(packed(float_of(0x3f808001)), 0x3f81);
    assert_int_equal(packed(float_of(0x3f817fff)), 0x3f81);
    assert_int_equal(packed(-0.0f), 0x8000);
    assert_int_equal(packed(INFINITY), 0x7f80);
    assert_int_equal(packed(-INFINITY), 0xff80);
    assert_int_equal(packed(float_of(0x7f7fffff)),
                     0x7f80); /* the largest float: infinity is nearer */
    assert_int_equal(packed(float_of(0x7f800001)), 0x7fc0); /* NaNs stay NaNs */
    assert_int_equal(packed(float_of(0xffffffff)), 0xffff);
}

/* Oracle: of the two bf16 neighbours the nearer one, by exact arithmetic in doubles. */
static void test_bf16_against_neighbours(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 200000; i++) {
        uint32_t bits = (uint32_t)rng_u64(SEED, 9, i);
        float v = float_of(bits);
        if (!isfinite(v) || (bits & 0x7f800000u) == 0x7f000000u) {
            continue;
        }
        double low = float_of(bits & 0xffff0000u);
        double high = float_of((bits & 0xffff0000u) + 0x10000u);
        float back;
        uint16_t half = packed(v);
        wire_values_unpack(VALUE_BF16, &half, 1, &back);
        double to_low = fabs((double)v - low), to_high = fabs((double)v - high);
        double expect = to_low < to_high ? low : high;
        if (to_low == to_high) {
            expect = (bits >> 16) % 2 == 0 ? low : high;
        }
        if ((double)back != expect) {
            fail_msg("%.9g became %.9g, expected %.9g (seed %u, i %llu)", (double)v, (double)back,
                     expect, SEED, (unsigned long long)i);
        }
    }
}

static void test_values_may_be_unaligned(void **state) {
    (void)state;
    float in[33], out[33];
    uint8_t frame[33 * 4 + 1];
    for (int i = 0; i < 33; i++) {
        in[i] = (float)i * 0.5f;
    }
    assert_int_equal(wire_values_bytes(VALUE_F32, 33), 132);
    assert_int_equal(wire_values_bytes(VALUE_BF16, 33), 66);
    wire_values_pack(VALUE_F32, in, 33, frame + 1);
    wire_values_unpack(VALUE_F32, frame + 1, 33, out);
    assert_memory_equal(in, out, sizeof in);
    memset(out, 0, sizeof out);
    wire_values_pack(VALUE_BF16, in, 33, frame + 1);
    wire_values_unpack(VALUE_BF16, frame + 1, 33, out); /* small halves are exact */
    assert_memory_equal(in, out, sizeof in);
}

/* --- the plan --------------------------------------------------------------------------------- */

static char *dirs[] = {(char[]){"/data/day 1"}, (char[]){"/data/2"}};

static void make_plan(struct job_plan *p, char *config, uint32_t *batches,
                      char (*endpoint)[WIRE_ENDPOINT_MAX]) {
    memset(p, 0, sizeof *p);
    p->config_text = config;
    assert_int_equal(schema_add(&p->schema, "item", SIDE_ITEM), OK);
    assert_int_equal(schema_add(&p->schema, "user", SIDE_USER), OK);
    assert_int_equal(schema_add(&p->schema, "age", SIDE_USER), OK);
    schema_finish(&p->schema);
    for (uint32_t s = 0; s < 40; s++) {
        batches[s] = s * 1000;
    }
    p->batches_per_shard = batches;
    p->shards = 40;
    p->stream = true;
    p->rate_ctr = 0.0389;
    p->rate_cvr = 0.0055;
    for (uint32_t k = 0; k < 5; k++) {
        snprintf(endpoint[k], WIRE_ENDPOINT_MAX, "tcp://host-%u:4000", k);
    }
    p->endpoint = endpoint;
    p->partitions = 5;
    p->data_dirs = (struct file_list){.names = dirs, .count = 2};
}

static void test_plan_round_trips(void **state) {
    (void)state;
    char config[] = "[train]\nbatch = 7\n", endpoint[5][WIRE_ENDPOINT_MAX];
    uint32_t batches[40];
    struct job_plan p, back;
    struct buf b = BUF_EMPTY;
    make_plan(&p, config, batches, endpoint);
    assert_int_equal(job_plan_encode(&p, &b), OK);
    assert_int_equal(job_plan_decode(&back, b.data, b.len), OK);
    assert_string_equal(back.config_text, config);
    assert_memory_equal(&back.schema, &p.schema, sizeof p.schema);
    assert_int_equal(back.shards, 40);
    assert_true(back.stream);
    assert_memory_equal(back.batches_per_shard, batches, sizeof batches);
    assert_true(back.rate_ctr == p.rate_ctr && back.rate_cvr == p.rate_cvr);
    assert_int_equal(back.partitions, 5);
    for (uint32_t k = 0; k < 5; k++) {
        assert_string_equal(back.endpoint[k], endpoint[k]);
    }
    assert_int_equal(back.data_dirs.count, 2);
    assert_string_equal(back.data_dirs.names[0], "/data/day 1");
    assert_string_equal(back.data_dirs.names[1], "/data/2");
    assert_int_equal(back.eval_dirs.count, 0);
    job_plan_free(&back);
    buf_fini(&b);
}

static void test_plan_survives_hostile_bytes(void **state) {
    (void)state;
    char config[] = "[train]\nbatch = 7\n", endpoint[5][WIRE_ENDPOINT_MAX];
    uint32_t batches[40];
    struct dice d = {.n = 1u << 23};
    struct job_plan p, back;
    struct buf b = BUF_EMPTY;
    make_plan(&p, config, batches, endpoint);
    assert_int_equal(job_plan_encode(&p, &b), OK);
    for (size_t n = 0; n < b.len; n++) {
        assert_int_equal(job_plan_decode(&back, b.data, n), ERR_PROTOCOL);
    }
    for (int i = 0; i < 20000; i++) {
        uint8_t *at = &b.data[below(&d, (uint32_t)b.len)];
        uint8_t old = *at;
        *at = (uint8_t)below(&d, 256);
        if (job_plan_decode(&back, b.data, b.len) == OK) {
            job_plan_free(&back);
        }
        *at = old;
    }
    assert_int_equal(buf_put_u8(&b, 0), OK);
    assert_int_equal(job_plan_decode(&back, b.data, b.len), ERR_PROTOCOL);
    for (size_t n = 1; n < 8; n++) { /* no allocation's failure leaks or crashes */
        mem_fail_after(n);
        enum status status = job_plan_decode(&back, b.data, b.len - 1);
        mem_fail_after(0);
        if (status == OK) {
            job_plan_free(&back);
        } else {
            assert_int_equal(status, ERR_MEMORY);
        }
    }
    buf_fini(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message_round_trips),
        cmocka_unit_test(test_encode_appends),
        cmocka_unit_test(test_torn_and_flipped_headers_are_survived),
        cmocka_unit_test(test_noise_is_refused),
        cmocka_unit_test(test_other_versions_say_which),
        cmocka_unit_test(test_bad_bodies_are_named),
        cmocka_unit_test(test_amplification_is_bounded),
        cmocka_unit_test(test_decode_allocates_nothing),
        cmocka_unit_test(test_bf16_rounds_to_nearest_even),
        cmocka_unit_test(test_bf16_against_neighbours),
        cmocka_unit_test(test_values_may_be_unaligned),
        cmocka_unit_test(test_plan_round_trips),
        cmocka_unit_test(test_plan_survives_hostile_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
