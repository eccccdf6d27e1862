/* The bytes of every message and of every raw frame are those of tests/golden/wire.txt, which
 * version 0.1 wrote: a role of today understands one of that version, and the other way round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/job/applied.h"
#include "common/net/scores.h"
#include "common/net/wire.h"
#include "common/net/wire_keys.h"
#include "common/net/wire_values.h"
#include "common/net/job_plan.h"

#include <cmocka.h> /* last: it has a macro called fail */

#define LINE_MAX_BYTES 16384u

static FILE *golden;

/* The next line of the file is `NAME hex`, with these bytes. What a new message's line must be is
 * printed. */
static void expect(const char *name, const struct buf *bytes) {
    static char line[LINE_MAX_BYTES], have[LINE_MAX_BYTES];
    int n = snprintf(have, sizeof have, "%s ", name);
    assert_true((size_t)n + 2 * bytes->len < sizeof have);
    for (size_t i = 0; i < bytes->len; i++) {
        n += sprintf(have + n, "%02x", bytes->data[i]);
    }
    if (fgets(line, sizeof line, golden) == NULL) {
        line[0] = '\0';
    }
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, have) != 0) {
        printf("expected %s\nencoded  %s\n", line, have);
    }
    assert_string_equal(line, have);
}

static void fill(char *out, size_t cap, const char *what) {
    assert_true(snprintf(out, cap, "%s of this message", what) < (int)cap);
}
#define FILL(body, text) fill((body).text, sizeof(body).text, #text)

/* Encoded it is the next line, and that decodes to a message which encodes to the same. */
static void message(const char *name, struct wire_msg *m) {
    static struct wire_msg back;
    struct buf once = BUF_EMPTY, twice = BUF_EMPTY;
    m->job = 0x0123456789abcdefu;
    m->id = 300 + (uint64_t)m->type;
    assert_int_equal(wire_encode(m, &once), OK);
    expect(name, &once);
    assert_int_equal(wire_decode(&back, once.data, once.len), OK);
    assert_int_equal(wire_encode(&back, &twice), OK);
    assert_true(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    buf_fini(&once);
    buf_fini(&twice);
    memset(m, 0, sizeof *m);
}

static void roles(struct wire_msg *m) {
    static const char *const names[] = {"", "HELLO coordinator", "HELLO server", "HELLO worker"};
    for (int role = ROLE_COORD; role <= ROLE_WORKER; role++) {
        m->type = WIRE_HELLO;
        m->u.hello = (struct wire_hello){.role = (enum wire_role)role,
                                         .index = 3,
                                         .pid = 4711,
                                         .threads = 2,
                                         .incarnation = 0xfedcba9876543210u};
        FILL(m->u.hello, build);
        FILL(m->u.hello, host);
        message(names[role], m);
    }
}

static void heartbeat(struct wire_heartbeat *h) {
    *h = (struct wire_heartbeat){
        .role = ROLE_WORKER,
        .index = 1,
        .incarnation = 77,
        .progress = {.impressions = 1001,
                     .batches = 1002,
                     .loss_sum = 1.5,
                     .loss_ctr_sum = 2.25,
                     .loss_ctcvr_sum = -3.125,
                     .resent = 1003,
                     .duplicates = 1004,
                     .dropped_values = 1005,
                     .tickets_unknown = 1006,
                     .staleness_sum = 1007,
                     .staleness_max = 1008,
                     .dense_staleness_sum = 1009,
                     .dense_staleness_max = 1010,
                     .finished = 1011,
                     .fenced = 1012},
        .rows = 2001,
        .bytes = 2002,
        .version = 2003,
        .evicted = 2004,
        .refused = 2005,
        .created = 2006,
        .duplicates = 2007,
        .usage = {.cpu_s = 12.5, .peak_bytes = 3001, .sent_bytes = 3002, .received_bytes = 3003},
        .reading = true,
        .failing = true};
    for (int s = 0; s < STAGES; s++) {
        h->usage.stage_s[s] = 0.5 + s;
    }
    FILL(*h, text);
}

static void control_messages(struct wire_msg *m) {
    m->type = WIRE_WELCOME;
    m->u.welcome = (struct wire_welcome){.job = 0x1122334455667788u,
                                         .ready = true,
                                         .partitions = 6,
                                         .servers = 3,
                                         .workers = 5,
                                         .resume = true};
    FILL(m->u.welcome, resume_dir);
    message("WELCOME", m);

    m->type = WIRE_REFUSE;
    m->u.error.status = ERR_CONFIG;
    FILL(m->u.error, text);
    message("REFUSE", m);

    m->type = WIRE_HEARTBEAT;
    heartbeat(&m->u.heartbeat);
    message("HEARTBEAT", m);

    static const char *const orders[] = {"COMMAND none", "COMMAND stop", "COMMAND cut"};
    for (int order = ORDER_NONE; order <= ORDER_CUT; order++) {
        m->type = WIRE_COMMAND;
        m->u.command = (struct wire_command){
            .order = (enum wire_order)order, .cut = 9, .cut_id = 0x99, .failed = true};
        FILL(m->u.command, dir);
        FILL(m->u.command, text);
        message(orders[order], m);
    }

    m->type = WIRE_ACK;
    message("ACK", m);

    m->type = WIRE_PART_DONE;
    m->u.part_done = (struct wire_part_done){.partition = 2,
                                             .cut = 9,
                                             .ok = true,
                                             .bucket_begin = 1365,
                                             .bucket_end = 2730,
                                             .bytes = 4001,
                                             .checksum = 0xabcdef,
                                             .rows = 4002,
                                             .version = 4003};
    FILL(m->u.part_done, text);
    FILL(m->u.part_done, name);
    message("PART_DONE", m);
}

static void lease_messages(struct wire_msg *m) {
    m->type = WIRE_LEASE_ASK;
    m->u.lease_ask = (struct wire_lease_ask){
        .index = 1, .incarnation = 77, .returns = true, .epoch = 2, .shard = 3, .fence = 44};
    message("LEASE_ASK", m);

    static const char *const kinds[] = {"LEASE wait", "LEASE train", "LEASE eval",
                                        "LEASE finished"};
    for (int kind = LEASE_WAIT; kind <= LEASE_FINISHED; kind++) {
        m->type = WIRE_LEASE;
        m->u.lease = (struct wire_lease){
            .kind = (enum lease_kind)kind, .epoch = 2, .shard = 3, .fence = 44, .batch_limit = 55};
        message(kinds[kind], m);
    }
    m->type = WIRE_LEASE;
    m->u.lease = (struct wire_lease){
        .kind = LEASE_TRAIN, .epoch = 2, .shard = 3, .fence = 44, .batch_limit = 55, .ahead = 66};
    message("LEASE ahead", m);

    for (int answer = 0; answer < 2; answer++) {
        m->type = answer ? WIRE_CLOCK : WIRE_CLOCK_ASK;
        m->u.clock = (struct wire_clock){
            .index = 1, .trainer = 2, .incarnation = 77, .clock = answer ? 5001 : CLOCK_IDLE};
        message(answer ? "CLOCK" : "CLOCK_ASK", m);
    }

    m->type = WIRE_SCORES;
    m->u.scores = (struct wire_scores){
        .epoch = 2, .shard = 3, .fence = 44, .first = 6001, .count = 6002, .total = 6003};
    message("SCORES", m);
}

static void row_messages(struct wire_msg *m) {
    for (int type = VALUE_F32; type <= VALUE_BF16; type++) {
        const enum value_type values = (enum value_type)type;
        m->type = WIRE_PULL;
        m->u.pull = (struct wire_pull){.count = {1, 0, 300},
                                       .fields = 3,
                                       .want_dense = true,
                                       .want_ticket = true,
                                       .want_missing = true,
                                       .values = values};
        message(type == VALUE_F32 ? "PULL f32" : "PULL bf16", m);

        m->type = WIRE_PULLED;
        m->u.pulled = (struct wire_pulled){.ticket = 7001, .version = 7002, .values = values};
        message(type == VALUE_F32 ? "PULLED f32" : "PULLED bf16", m);

        m->type = WIRE_PUSH;
        m->u.push = (struct wire_push){.name = {.epoch = 2, .shard = 3, .batch = 4},
                                       .fence = 44,
                                       .ticket = 7001,
                                       .shard_batches = 70,
                                       .count = {1, 0, 300},
                                       .fields = 3,
                                       .values = values};
        message(type == VALUE_F32 ? "PUSH f32" : "PUSH bf16", m);
    }

    m->type = WIRE_PUSHED;
    m->u.pushed = (struct wire_pushed){.duplicate = true, .version = 7003, .dropped_values = 8};
    message("PUSHED", m);

    m->type = WIRE_STATS;
    message("STATS", m);

    m->type = WIRE_STATS_REPLY;
    heartbeat(&m->u.heartbeat);
    message("STATS_REPLY", m);

    for (int status = OK; status <= ERR_PEER; status++) {
        char name[64];
        m->type = WIRE_ERROR;
        m->u.error.status = (enum status)status;
        FILL(m->u.error, text);
        snprintf(name, sizeof name, "ERROR %d", status);
        message(name, m);
    }
}

static void raw_frames(void) {
    const uint64_t ids[] = {5, 6, 1000, 70000, UINT64_MAX - 1, UINT64_MAX, 9, 3};
    const uint32_t counts[] = {4, 0, 2, 2};
    const float values[] = {0.0f, 1.0f, -2.5f, 3.14159274f, 1e-30f};
    struct score scores[2] = {
        {.impression_id = 11, .user = 12, .a = 0.5f, .b = -1.5f, .labels = 3, .weight = 1},
        {.impression_id = 13, .user = 14, .a = 2.5f, .b = -3.5f, .labels = 1, .weight = 1}};
    static struct metric_bins bins[2];
    struct buf out = BUF_EMPTY;

    assert_int_equal(buf_reserve(&out, wire_keys_bytes_max(8, 4)), OK);
    out.len = wire_keys_pack(counts, 4, ids, out.data);
    expect("keys", &out);

    for (int type = VALUE_F32; type <= VALUE_BF16; type++) {
        buf_clear(&out);
        assert_int_equal(buf_reserve(&out, sizeof values), OK);
        wire_values_pack((enum value_type)type, values, 5, out.data);
        out.len = wire_values_bytes((enum value_type)type, 5);
        expect(type == VALUE_F32 ? "values f32" : "values bf16", &out);
    }

    uint8_t flags[11] = {1, 0, 0, 1, 1, 0, 1, 0, 1, 1, 1};
    buf_clear(&out);
    assert_int_equal(buf_put(&out, flags, wire_bits_pack(flags, 11)), OK);
    expect("bits", &out);

    for (int weighted = 0; weighted < 2; weighted++) {
        buf_clear(&out);
        scores[1].weight = weighted ? 2.5f : 1.0f;
        assert_int_equal(wire_scores_pack(scores, 2, &out), OK);
        expect(weighted ? "scores weighted" : "scores", &out);
    }

    bins[0].positive[0] = 1;
    bins[0].negative[700] = 300;
    bins[1].positive[METRIC_BINS - 1] = UINT32_MAX;
    buf_clear(&out);
    assert_int_equal(wire_bins_pack(&bins[0], &bins[1], &out), OK);
    expect("bins", &out);
    buf_fini(&out);
}

static void applied_sets(void) {
    const uint32_t batches[] = {3, 0, 9, 16};
    struct applied *a = NULL;
    struct buf out = BUF_EMPTY;
    assert_int_equal(applied_create(&a, batches, 4), OK);
    for (uint32_t epoch = 0; epoch < 2; epoch++) {
        for (uint32_t s = 0; s < 4; s++) {
            for (uint32_t b = 0; b < batches[s]; b += 1 + epoch) {
                assert_int_equal(applied_add(a, (struct batch_name){epoch, s, b}), OK);
            }
        }
    }
    assert_int_equal(applied_encode(a, &out), OK);
    expect("applied", &out);
    applied_destroy(&a);

    assert_int_equal(applied_create_open(&a), OK);
    assert_int_equal(applied_grow(a, 1, 12), OK);
    assert_int_equal(applied_grow(a, 3, 4), OK);
    assert_int_equal(applied_add(a, (struct batch_name){0, 1, 11}), OK);
    buf_clear(&out);
    assert_int_equal(applied_encode(a, &out), OK);
    expect("applied open", &out);
    applied_destroy(&a);
    buf_fini(&out);
}

static void plan(void) {
    static char config[] = "[train]\nseed = 7\n";
    uint32_t batches[] = {1, 200, 70000};
    char endpoint[2][WIRE_ENDPOINT_MAX] = {"tcp://10.0.0.1:4000", "ipc:///tmp/two"};
    struct buf out = BUF_EMPTY;
    struct job_plan p = {.config_text = config,
                         .batches_per_shard = batches,
                         .shards = 3,
                         .stream = true,
                         .rate_ctr = 0.25,
                         .rate_cvr = 0.0625,
                         .sample_rate = 0.5,
                         .endpoint = endpoint,
                         .partitions = 2};
    assert_int_equal(schema_add(&p.schema, "item", SIDE_ITEM), OK);
    assert_int_equal(schema_add(&p.schema, "user", SIDE_USER), OK);
    schema_finish(&p.schema);
    assert_int_equal(file_list_add(&p.data_dirs, "/data/one"), OK);
    assert_int_equal(file_list_add(&p.data_dirs, "/data/two"), OK);
    assert_int_equal(file_list_add(&p.eval_dirs, "/data/eval"), OK);
    assert_int_equal(job_plan_encode(&p, &out), OK);
    expect("plan", &out);
    file_list_free(&p.data_dirs);
    file_list_free(&p.eval_dirs);
    buf_fini(&out);
}

static void test_golden(void **state) {
    static struct wire_msg m;
    char rest[8];
    (void)state;
    golden = fopen(TESTS_DIR "/golden/wire.txt", "r");
    assert_non_null(golden);
    roles(&m);
    control_messages(&m);
    lease_messages(&m);
    row_messages(&m);
    raw_frames();
    applied_sets();
    plan();
    assert_null(fgets(rest, sizeof rest, golden));
    fclose(golden);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
