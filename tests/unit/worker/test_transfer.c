/* A transfer without sockets: what it asks of two partitions, and what it makes of their answers in
 * orders that a network rarely brings. */
#include "worker/transfer.h"
#include "common/net/wire_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PARTITIONS 2u
#define FIELDS     2u
#define KEYS       40u

struct world {
    struct config config;
    struct job_plan plan;
    struct layout layout;
    char endpoint[PARTITIONS][WIRE_ENDPOINT_MAX];
    struct route route;
    struct transfer x;
    uint64_t id[FIELDS][KEYS];
    const uint64_t *ids[FIELDS];
    uint32_t count[FIELDS];
    /* The last message that it wanted sent, and the answer to it. */
    struct wire_msg out;
    struct buf keys;
    const uint8_t *values;
    size_t values_bytes;
    uint64_t asked[FIELDS * KEYS];
    float floats[8192];
    uint8_t missing[FIELDS * KEYS];
    struct port_message in;
};

static void begin(struct world *w) {
    *w = (struct world){0};
    config_default(&w->config);
    assert_int_equal(config_set(&w->config, "model.tower=4"), OK);
    assert_int_equal(config_set(&w->config, "table.dim=3"), OK);
    assert_int_equal(schema_add(&w->plan.schema, "user", SIDE_USER), OK);
    assert_int_equal(schema_add(&w->plan.schema, "item", SIDE_ITEM), OK);
    schema_finish(&w->plan.schema);
    w->plan.partitions = PARTITIONS;
    w->plan.endpoint = w->endpoint;
    snprintf(w->endpoint[1], WIRE_ENDPOINT_MAX, "tcp://second:1");
    assert_int_equal(layout_init(&w->layout, &w->config, &w->plan.schema, 0.04, 0.01), OK);
    w->route = (struct route){
        .config = &w->config, .schema = &w->plan.schema, .layout = &w->layout, .plan = &w->plan};
    assert_int_equal(route_init(&w->route), OK);
    assert_int_equal(transfer_init(&w->x, &w->route), OK);
    for (uint32_t f = 0; f < FIELDS; f++) {
        for (uint32_t i = 0; i < KEYS; i++) {
            w->id[f][i] = 1000 * f + 7 * i;
        }
        w->ids[f] = w->id[f];
        w->count[f] = KEYS - f;
    }
}

static void end(struct world *w) {
    transfer_fini(&w->x);
    route_fini(&w->route);
    buf_fini(&w->keys);
}

/* What partition k is asked. */
static void message(struct world *w, uint32_t k) {
    assert_true(w->x.ask[k].waiting && w->x.ask[k].fresh);
    w->x.ask[k].fresh = false; /* as a client does that sends it */
    assert_int_equal(transfer_message(&w->x, k, &w->out, &w->keys, &w->values, &w->values_bytes),
                     OK);
}

/* The answer to a pull: row values tell their keys, those of the dense vector their places. */
static void answer_pull(struct world *w, uint32_t k, uint64_t version) {
    message(w, k);
    assert_int_equal(w->out.type, WIRE_PULL);
    const struct wire_pull *pull = &w->out.u.pull;
    size_t n = 0, keys = 0;
    if (w->keys.len > 0) {
        assert_int_equal(wire_keys_unpack(pull->count, FIELDS, w->keys.data, w->keys.len, w->asked),
                         OK);
    }
    for (uint32_t f = 0; f < FIELDS; f++) {
        for (uint32_t i = 0; i < pull->count[f]; i++, keys++) {
            w->missing[keys] = w->asked[keys] % 2;
            for (uint32_t d = 0; d < w->layout.dim[f]; d++) {
                w->floats[n++] = (float)w->asked[keys] + 0.125f * (float)d;
            }
        }
    }
    for (uint64_t i = w->route.dense_begin[k]; pull->want_dense && i < w->route.dense_begin[k + 1];
         i++) {
        w->floats[n++] = -(float)i;
    }
    const size_t bits = pull->want_missing ? wire_bits_pack(w->missing, keys) : 0;
    w->in = (struct port_message){.keys = w->missing,
                                  .keys_bytes = bits,
                                  .values = (const uint8_t *)w->floats,
                                  .values_bytes = n * sizeof *w->floats};
    w->in.msg.type = WIRE_PULLED;
    w->in.msg.u.pulled =
        (struct wire_pulled){.ticket = 10 + k, .version = version, .values = VALUE_F32};
    assert_int_equal(transfer_take(&w->x, k, &w->in), OK);
}

static void check_rows(struct world *w) {
    for (uint32_t f = 0; f < FIELDS; f++) {
        const float *rows = transfer_rows(&w->x, f);
        for (uint32_t i = 0; i < w->count[f]; i++) {
            const uint32_t dim = w->layout.dim[f];
            assert_true(rows[i * dim] == (float)w->id[f][i]);
            assert_true(rows[i * dim + dim - 1] == (float)w->id[f][i] + 0.125f * (float)(dim - 1));
        }
    }
}

static void check_dense(struct world *w) {
    const float *dense = transfer_dense(&w->x);
    for (uint64_t i = 0; i < w->layout.count; i++) {
        assert_true(dense[i] == -(float)i);
    }
}

static void pull_all(struct world *w) {
    assert_int_equal(transfer_pull(&w->x, w->ids, w->count, true, true), OK);
    answer_pull(w, 0, 5);
    answer_pull(w, 1, 5);
    assert_int_equal(w->x.state, TRANSFER_PULLED);
}

static void push_zeros(struct world *w) {
    static const float zeros[8192];
    const float *drows[FIELDS] = {NULL, zeros};
    const struct batch_name name = {1, 2, 3};
    assert_int_equal(transfer_push(&w->x, name, 77, 9, drows, zeros), OK);
    assert_int_equal(w->x.state, TRANSFER_PUSHING);
}

static void answer_push(struct world *w, uint32_t k, struct wire_pushed pushed) {
    w->in = (struct port_message){.msg = {.type = WIRE_PUSHED, .u.pushed = pushed}};
    assert_int_equal(transfer_take(&w->x, k, &w->in), OK);
}

static enum status answer_error(struct world *w, uint32_t k, enum status status) {
    w->in = (struct port_message){.msg = {.type = WIRE_ERROR, .u.error.status = status}};
    return transfer_take(&w->x, k, &w->in);
}

/* --- the tests -------------------------------------------------------------------------------- */

static struct world world;

static void values_come_back_in_the_batch_s_order(void **state) {
    (void)state;
    struct world *w = &world;
    begin(w);
    assert_int_equal(transfer_pull(&w->x, w->ids, w->count, false, true), OK);
    answer_pull(w, 1, 5); /* the second answers first */
    assert_int_equal(w->x.state, TRANSFER_PULLING);
    answer_pull(w, 0, 5);
    assert_int_equal(w->x.state, TRANSFER_PULLED);
    check_rows(w);
    check_dense(w);
    for (uint32_t f = 0; f < FIELDS; f++) {
        for (uint32_t i = 0; i < w->count[f]; i++) {
            assert_int_equal(transfer_missing(&w->x, f)[i], w->id[f][i] % 2);
        }
    }
    end(w);
}

static void the_dense_vector_follows_the_rows(void **state) {
    (void)state;
    struct world *w = &world;
    begin(w);
    assert_int_equal(transfer_pull(&w->x, w->ids, w->count, true, false), OK);
    answer_pull(w, 0, 5);
    answer_pull(w, 1, 5);
    assert_int_equal(w->x.state, TRANSFER_ROWS);
    transfer_pull_dense(&w->x);
    answer_pull(w, 0, 8);
    assert_int_equal(w->keys.len, 0); /* keys are not asked for again */
    answer_pull(w, 1, 9);
    assert_int_equal(w->x.state, TRANSFER_PULLED);
    check_rows(w);
    check_dense(w);
    push_zeros(w);
    message(w, 0);
    assert_int_equal(w->out.u.push.ticket, 10); /* that of the rows */
    answer_push(w, 0, (struct wire_pushed){.version = 11});
    answer_push(w, 1, (struct wire_pushed){.version = 10, .dropped_values = 4});
    assert_int_equal(w->x.outcome.staleness, 5);       /* 6 to 10 came between */
    assert_int_equal(w->x.outcome.dense_staleness, 2); /* 9 and 10 */
    assert_int_equal(w->x.outcome.dropped_values, 4);
    end(w);
}

static void a_push_goes_by_its_ticket_or_with_keys(void **state) {
    (void)state;
    struct world *w = &world;
    begin(w);
    pull_all(w);
    push_zeros(w);
    message(w, 0);
    assert_int_equal(w->out.u.push.fields, 0);
    assert_int_equal(w->keys.len, 0);
    assert_int_equal(answer_error(w, 0, ERR_TICKET), OK); /* forgotten: it is asked with keys */
    message(w, 0);
    assert_int_equal(w->out.u.push.fields, FIELDS);
    assert_true(w->keys.len > 0);
    assert_int_equal(w->out.u.push.fence, 77);
    assert_int_equal(w->x.tickets_unknown, 1);
    answer_push(w, 1, (struct wire_pushed){.duplicate = true});
    assert_int_equal(w->x.state, TRANSFER_PUSHING);
    answer_push(w, 0, (struct wire_pushed){.version = 6});
    assert_int_equal(w->x.state, TRANSFER_DONE);
    assert_int_equal(w->x.outcome.duplicates, 1);
    assert_false(w->x.outcome.fenced);
    end(w);
}

/* One partition has heard of the newer lease, the other has not yet. */
static void a_fenced_push_ends_like_others(void **state) {
    (void)state;
    struct world *w = &world;
    begin(w);
    pull_all(w);
    push_zeros(w);
    assert_int_equal(answer_error(w, 1, ERR_FENCED), OK);
    assert_int_equal(w->x.state, TRANSFER_PUSHING);
    answer_push(w, 0, (struct wire_pushed){.version = 6});
    assert_int_equal(w->x.state, TRANSFER_DONE);
    assert_true(w->x.outcome.fenced);
    transfer_reset(&w->x);
    pull_all(w); /* the next batch begins afresh */
    assert_false(w->x.outcome.fenced);
    end(w);
}

static void a_reset_forgets_what_was_asked(void **state) {
    (void)state;
    struct world *w = &world;
    begin(w);
    assert_int_equal(transfer_pull(&w->x, w->ids, w->count, true, true), OK);
    answer_pull(w, 1, 5);
    transfer_reset(&w->x);
    assert_int_equal(w->x.asks_waiting, 0);
    pull_all(w);
    check_rows(w);
    end(w);
}

static void nonsense_is_refused_by_name(void **state) {
    (void)state;
    struct world *w = &world;
    begin(w);
    assert_int_equal(transfer_pull(&w->x, w->ids, w->count, true, true), OK);
    w->in = (struct port_message){.msg = {.type = WIRE_PULLED, .u.pulled.values = VALUE_F32},
                                  .values = (const uint8_t *)w->floats,
                                  .values_bytes = 4};
    assert_int_equal(transfer_take(&w->x, 1, &w->in), ERR_PROTOCOL);
    assert_non_null(strstr(fail_text(), "partition 1 at tcp://second:1 sent 4 bytes"));
    w->in.msg.type = WIRE_PUSHED;
    assert_int_equal(transfer_take(&w->x, 1, &w->in), ERR_PROTOCOL);
    assert_non_null(strstr(fail_text(), "answered a PULL with PUSHED"));
    assert_int_equal(answer_error(w, 1, ERR_LIMIT), ERR_PROTOCOL);
    assert_non_null(strstr(fail_text(), "refused a PULL"));
    end(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_back_in_the_batch_s_order),
        cmocka_unit_test(the_dense_vector_follows_the_rows),
        cmocka_unit_test(a_push_goes_by_its_ticket_or_with_keys),
        cmocka_unit_test(a_fenced_push_ends_like_others),
        cmocka_unit_test(a_reset_forgets_what_was_asked),
        cmocka_unit_test(nonsense_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
