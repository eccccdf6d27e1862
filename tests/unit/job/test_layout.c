#include "common/job/layout.h"

#include <math.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED 17u

static struct schema schema_of(void) {
    struct schema s = {0};
    assert_int_equal(schema_add(&s, "b1", SIDE_ITEM), OK);
    assert_int_equal(schema_add(&s, "a2", SIDE_USER), OK);
    assert_int_equal(schema_add(&s, "a1", SIDE_USER), OK);
    assert_int_equal(schema_add(&s, "b2", SIDE_ITEM), OK);
    schema_finish(&s);
    return s;
}

static struct config *config_of(void) {
    struct config *c = NULL;
    assert_int_equal(mem_new(&c), OK);
    config_default(c);
    assert_int_equal(config_set(c, "table.dim=4"), OK);
    assert_int_equal(config_set(c, "model.tower=6,3"), OK);
    assert_int_equal(config_set(c, "field.b1.dim=8"), OK);
    c->prior_bias = true;
    return c;
}

static void array_is(const struct layout *l, uint32_t k, const char *name, uint32_t rows,
                     uint32_t cols, uint64_t offset) {
    assert_string_equal(l->array[k].name, name);
    assert_int_equal(l->array[k].rows, rows);
    assert_int_equal(l->array[k].cols, cols);
    assert_int_equal(l->array[k].offset, offset);
}

static void test_concat(void **state) {
    (void)state;
    struct config *c = config_of();
    const struct schema s = schema_of();
    struct layout l;
    assert_int_equal(layout_init(&l, c, &s, 0.04, 0.005), OK);
    assert_int_equal(l.input_width, 20);
    assert_int_equal(l.user_width, 8);
    assert_int_equal(l.item_width, 12);
    const uint32_t columns[] = {0, 4, 8, 16};
    for (int f = 0; f < 4; f++) {
        assert_int_equal(l.column[f], columns[f]);
        assert_int_equal(l.dim[f], f == 2 ? 8 : 4);
    }
    assert_int_equal(l.array_count, 12);
    array_is(&l, 0, "ctr.w1", 6, 20, 0);
    array_is(&l, 1, "cvr.w1", 6, 20, 120);
    array_is(&l, 2, "ctr.b1", 6, 1, 240);
    array_is(&l, 3, "cvr.b1", 6, 1, 246);
    array_is(&l, 4, "ctr.w2", 3, 6, 252);
    array_is(&l, 7, "cvr.b2", 3, 1, 291);
    array_is(&l, 8, "ctr.w3", 1, 3, 294);
    array_is(&l, 9, "cvr.w3", 1, 3, 297);
    array_is(&l, 10, "ctr.b3", 1, 1, 300);
    array_is(&l, 11, "cvr.b3", 1, 1, 301);
    assert_int_equal(l.count, 302);
    assert_int_equal(l.array[2].fan_in, 20);
    assert_true(fabsf(l.bias[0] - (float)log(0.04 / 0.96)) < 1e-6f);
    assert_true(fabsf(l.bias[1] - 0.5f * (float)log(0.005 / 0.995)) < 1e-6f); /* half-way */
    mem_free(&c);
}

static void test_sides(void **state) {
    (void)state;
    struct config *c = config_of();
    const struct schema s = schema_of();
    struct layout l;
    c->input = INPUT_SIDES;
    assert_int_equal(layout_init(&l, c, &s, 0, 0), ERR_CONFIG); /* b1 is wider */
    assert_int_equal(config_set(c, "field.b1.dim=4"), OK);
    assert_int_equal(layout_init(&l, c, &s, 0, 1), OK);
    assert_int_equal(l.input_width, 8);
    const uint32_t columns[] = {0, 0, 4, 4};
    for (int f = 0; f < 4; f++) {
        assert_int_equal(l.column[f], columns[f]);
    }
    assert_true(isnan(l.bias[0]) && isnan(l.bias[1])); /* rates without odds */
    assert_int_equal(config_set(c, "field.zz.dim=4"), OK);
    assert_int_equal(layout_init(&l, c, &s, 0.5, 0.5), ERR_CONFIG); /* no such field */
    mem_free(&c);
}

/* Slices of buckets tile the vector. */
/* Heads stand after the model's towers, without a prior. */
static void test_heads(void **state) {
    (void)state;
    struct schema schema = schema_of();
    struct config *c = config_of();
    struct layout l;
    c->delay = DELAY_DEFUSE;
    assert_int_equal(layout_init(&l, c, &schema, 0.04, 0.005), OK);
    assert_int_equal(l.towers, 4);
    assert_string_equal(l.tower[2], "rn");
    assert_string_equal(l.tower[3], "dp");
    assert_true(!isnan(l.bias[1]) && isnan(l.bias[2]) && isnan(l.bias[3]));
    assert_string_equal(layout_weight(&l, 1, 3)->name, "dp.w2");
    mem_free(&c);
}

static void test_slices(void **state) {
    (void)state;
    struct config *c = config_of();
    const struct schema s = schema_of();
    struct layout l;
    assert_int_equal(layout_init(&l, c, &s, 0.5, 0.5), OK);
    assert_int_equal(layout_slice(&l, 0), 0);
    assert_int_equal(layout_slice(&l, BUCKETS), l.count);
    for (uint32_t b = 0; b < BUCKETS; b++) {
        assert_true(layout_slice(&l, b) <= layout_slice(&l, b + 1));
    }
    mem_free(&c);
}

/* A range's initial values do not depend on where the range is cut; bounds and priors hold. */
static void test_initial(void **state) {
    (void)state;
    struct config *c = config_of();
    const struct schema s = schema_of();
    struct layout l;
    float whole[302], part[302];
    assert_int_equal(layout_init(&l, c, &s, 0.25, 0.5), OK);
    layout_initial(&l, SEED, 0, 302, whole);
    for (uint64_t at = 0; at < 302; at += 37) {
        const uint64_t end = at + 37 < 302 ? at + 37 : 302;
        layout_initial(&l, SEED, at, end, part + at);
    }
    assert_memory_equal(whole, part, sizeof whole);
    double sum = 0, least = 1, most = -1;
    for (int i = 0; i < 240; i++) { /* the first layer's weights */
        sum += (double)whole[i];
        least = fmin(least, (double)whole[i]);
        most = fmax(most, (double)whole[i]);
    }
    const double bound = 1 / sqrt(20);
    assert_true(least >= -bound && least < -0.9 * bound && most <= bound && most > 0.9 * bound);
    assert_true(fabs(sum / 240) < 4 * bound / sqrt(3 * 240));
    assert_true(whole[300] == l.bias[0] && fabsf(whole[300] + 1.0986123f) < 1e-6f);
    assert_true(whole[301] == 0.0f);
    assert_true(memcmp(whole, whole + 120, 120 * sizeof(float)) != 0); /* towers differ */
    c->prior_cvr = 1;
    assert_int_equal(layout_init(&l, c, &s, 0.25, 0.1), OK);
    assert_true(fabsf(l.bias[1] - logf(0.1f / 0.9f)) < 1e-6f);
    c->prior_bias = false;
    assert_int_equal(layout_init(&l, c, &s, 0.25, 0.5), OK);
    layout_initial(&l, SEED, 0, 302, part);
    assert_true(part[300] != 0.0f && fabsf(part[300]) <= 1 / sqrtf(3));
    mem_free(&c);
}

/* Experts stand where the towers' first layers do; the rest follows as before. */
static void test_experts(void **state) {
    (void)state;
    struct config *c = config_of();
    const struct schema s = schema_of();
    struct layout l;
    c->experts = 2;
    c->model = MODEL_MMOE;
    assert_int_equal(layout_init(&l, c, &s, 0.04, 0.005), OK);
    assert_int_equal(l.first_width, 2 * 6 + 2 * 2);
    array_is(&l, 0, "expert0.w1", 6, 20, 0);
    array_is(&l, 2, "gate.ctr.w1", 2, 20, 240);
    array_is(&l, 3, "gate.cvr.w1", 2, 20, 280);
    array_is(&l, 5, "expert1.b1", 6, 1, 326);
    array_is(&l, 7, "gate.cvr.b1", 2, 1, 334);
    array_is(&l, 8, "ctr.w2", 3, 6, 336);
    assert_ptr_equal(layout_weight(&l, 1, 1), &l.array[9]);
    assert_ptr_equal(layout_bias(&l, 0, 3), &l.array[7]);
    assert_ptr_equal(layout_bias(&l, 2, 1), &l.array[15]);
    assert_int_equal(l.array_count, 16);
    assert_int_equal(layout_expert(&l, 1, 0), 0);
    float *whole = NULL; /* the prior is the towers', at the end */
    assert_int_equal(mem_array(&whole, l.count), OK);
    layout_initial(&l, 1, 0, l.count, whole);
    assert_true(whole[l.count - 2] == l.bias[0] && whole[l.count - 1] == l.bias[1]);
    mem_free(&whole);
    c->model = MODEL_PLE;
    assert_int_equal(layout_init(&l, c, &s, 0.04, 0.005), OK);
    assert_int_equal(l.experts, 6);
    assert_int_equal(l.choices, 4);
    static const uint32_t expert[2][4] = {{0, 1, 4, 5}, {2, 3, 4, 5}}; /* own, shared */
    for (uint32_t k = 0; k < 8; k++) {
        assert_int_equal(layout_expert(&l, k / 4, k % 4), expert[k / 4][k % 4]);
    }
    c->experts = 8;
    assert_int_equal(layout_init(&l, c, &s, 0.04, 0.005), OK);
    assert_int_equal(l.experts, EXPERTS_MAX);
    mem_free(&c);
}

/* Levels of experts above the first: named by level, read mixtures, and the last has no shared
 * gate. */
static void test_levels(void **state) {
    (void)state;
    struct config *c = config_of();
    const struct schema s = schema_of();
    struct layout one, l;
    c->experts = 2;
    c->model = MODEL_PLE;
    assert_int_equal(layout_init(&one, c, &s, 0.04, 0.005), OK);
    c->levels = 3;
    assert_int_equal(layout_init(&l, c, &s, 0.04, 0.005), OK);
    assert_int_equal(l.first_width, one.first_width + 6); /* the shared gate's */
    assert_int_equal(layout_level_width(&l, 1), 6 * 6 + 2 * 4 + 6);
    assert_int_equal(layout_level_width(&l, 2), 6 * 6 + 2 * 4);
    assert_int_equal(layout_choices(&l, 1), 4);
    assert_int_equal(layout_choices(&l, 2), 6);
    assert_int_equal(layout_expert(&l, 2, 5), 5);
    array_is(&l, 7, "gate.cvr.w1", 4, 20, 6 * 120 + 80);
    array_is(&l, 8, "gate.shared.w1", 6, 20, 6 * 120 + 2 * 80);
    array_is(&l, 9, "expert0.b1", 6, 1, 1000);
    array_is(&l, 17, "gate.shared.b1", 6, 1, 1044);
    array_is(&l, 18, "level2.expert0.w1", 6, 6, 1050);
    array_is(&l, 24, "level2.gate.ctr.w1", 4, 6, 1266);
    array_is(&l, 26, "level2.gate.shared.w1", 6, 6, 1314);
    array_is(&l, 35, "level2.gate.shared.b1", 6, 1, 1394);
    array_is(&l, 36, "level3.expert0.w1", 6, 6, 1400);
    array_is(&l, 51, "level3.gate.cvr.b1", 4, 1, 1704);
    array_is(&l, 52, "ctr.w2", 3, 6, 1708);
    assert_int_equal(l.array_count, 60);
    assert_int_equal(l.array[20].fan_in, 6);
    assert_ptr_equal(layout_block(&l, 1, 8), &l.array[26]);
    assert_ptr_equal(layout_block_bias(&l, 2, 7), &l.array[51]);
    assert_ptr_equal(layout_weight(&l, 1, 0), &l.array[52]);
    assert_ptr_equal(layout_bias(&l, 2, 1), &l.array[59]);
    for (uint32_t k = 0; k < l.array_count; k++) {
        const char *kind = strrchr(l.array[k].name, '.');
        assert_int_equal(layout_is_weight(&l, &l.array[k]), kind[1] == 'w');
        for (uint32_t i = 0; i < k; i++) {
            assert_string_not_equal(l.array[i].name, l.array[k].name);
        }
    }
    float *whole = NULL;
    assert_int_equal(mem_array(&whole, l.count), OK);
    layout_initial(&l, 1, 0, l.count, whole);
    assert_true(whole[l.count - 2] == l.bias[0] && whole[l.count - 1] == l.bias[1]);
    assert_memory_not_equal(whole + 1050, whole + 1400, 36 * sizeof *whole); /* levels differ */
    float widest[2] = {0}; /* of experts' weights, and of all else */
    for (uint32_t i = 1050; i < 1708; i++) {
        const bool expert = i < 1266 || (i >= 1400 && i < 1616);
        assert_true(whole[i] != 0.0f);
        widest[expert ? 0 : 1] = fmaxf(widest[expert ? 0 : 1], fabsf(whole[i]));
    }
    assert_true(widest[0] > 1.9f && widest[0] <= 2.0f); /* sqrt(6 S / 6) */
    assert_true(widest[1] > 0.95f / sqrtf(6) && widest[1] <= 1 / sqrtf(6));
    mem_free(&whole);
    c->experts = 8;
    c->levels = LEVELS_MAX;
    assert_int_equal(config_set(c, "model.tower=8,8,8,8,8,8,8,8"), OK);
    assert_int_equal(layout_init(&l, c, &s, 0.04, 0.005), OK); /* the most arrays of ple */
    assert_int_equal(l.array_count, 2 * (4 * 24 + 3 * 3 + 2 + 2 * 8));
    mem_free(&c);
}

/* The attention's arrays stand at the end, as wide as the last hidden layer; the towers' as
 * without. */
static void test_attention(void **state) {
    (void)state;
    struct config *c = config_of();
    const struct schema s = schema_of();
    struct layout l;
    static const char *const names[] = {"g.w", "k.w", "q.w", "v.w"};
    c->model = MODEL_AITM;
    assert_int_equal(layout_init(&l, c, &s, 0.04, 0.005), OK);
    array_is(&l, 9, "ctcvr.w3", 1, 3, 297);
    for (uint32_t k = 0; k < 4; k++) {
        array_is(&l, 12 + k, names[k], 3, 3, 302 + 9 * k);
        assert_ptr_equal(layout_attention(&l, (enum layout_part)k), &l.array[12 + k]);
        assert_true(layout_is_weight(&l, &l.array[12 + k]));
    }
    array_is(&l, 16, "g.b", 3, 1, 338);
    assert_false(layout_is_weight(&l, layout_attention(&l, PART_BIAS)));
    assert_true(layout_is_weight(&l, &l.array[9]) && !layout_is_weight(&l, &l.array[11]));
    assert_int_equal(l.count, 341);
    float whole[341];
    layout_initial(&l, SEED, 0, l.count, whole);
    assert_true(whole[300] == l.bias[0] && whole[301] == l.bias[1]);
    assert_true(fabsf(l.bias[1] - (float)log(0.0002 / 0.9998)) < 1e-5f);
    for (uint32_t i = 302; i < 341; i++) { /* drawn, from a layer of three */
        assert_true(whole[i] != 0.0f && fabsf(whole[i]) <= 1 / sqrtf(3));
    }
    assert_true(memcmp(whole + 302, whole + 311, 9 * sizeof *whole) != 0);
    mem_free(&c);
}

/* A chain has as many towers as behaviours and two. */
static void test_chain(void **state) {
    (void)state;
    struct config *c = config_of();
    const struct schema s = schema_of();
    struct layout l;
    c->model = MODEL_CHAIN;
    for (c->behaviours = 0; c->behaviours <= BEHAVIOURS_MAX; c->behaviours++) {
        assert_int_equal(layout_init(&l, c, &s, 0.04, 0.005), OK);
        assert_int_equal(l.towers, 2 + c->behaviours);
        assert_string_equal(l.tower[0], "ctr");
        assert_string_equal(l.tower[l.towers - 1], "cvr");
        assert_true(isfinite(l.bias[l.towers - 1]));
        for (uint32_t k = 1; k <= c->behaviours; k++) {
            assert_int_equal(l.tower[k][0], 'b');
            assert_int_equal(l.tower[k][1], '0' + (int)k);
            assert_true(isnan(l.bias[k])); /* no rate is known */
        }
    }
    mem_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_experts), cmocka_unit_test(test_chain),
        cmocka_unit_test(test_levels),  cmocka_unit_test(test_attention),
        cmocka_unit_test(test_concat),  cmocka_unit_test(test_sides),
        cmocka_unit_test(test_heads),   cmocka_unit_test(test_slices),
        cmocka_unit_test(test_initial),
    };
    return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}
