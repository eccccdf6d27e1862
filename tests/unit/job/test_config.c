/* Unit tests of common/job/config.h: every key there and back, ranges, overrides, and messages that
 * name file, line and the nearest known name. */
#include "common/job/config.h"

#include <stdio.h>
#include <string.h>

#include "common/job/config_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct config c, d;

static void text_of(const struct config *config, struct buf *out) {
    buf_clear(out);
    assert_int_equal(config_text(config, out), OK);
    assert_int_equal(buf_put_u8(out, 0), OK);
}

/* `config` printed, read into another, printed again. */
static void round_trip(const struct config *config) {
    struct buf once = BUF_EMPTY, twice = BUF_EMPTY;
    text_of(config, &once);
    config_default(&d);
    assert_int_equal(config_parse(&d, "x", (const char *)once.data), OK);
    text_of(&d, &twice);
    assert_string_equal((const char *)once.data, (const char *)twice.data);
    buf_fini(&once);
    buf_fini(&twice);
}

static void set_key(const struct config_key *k, const char *value, enum status want) {
    char assignment[200];
    snprintf(assignment, sizeof assignment, "%s.%s=%s", k->section, k->name, value);
    if (config_set(&c, assignment) != want) {
        fail_msg("%s: expected %s (%s)", assignment, status_text(want), fail_text());
    }
}

static bool is_number(const struct config_key *k) {
    return k->kind == KIND_U32 || k->kind == KIND_U64 || k->kind == KIND_F32 ||
           k->kind == KIND_BYTES || k->kind == KIND_BYTES32 || k->kind == KIND_LIMIT;
}

/* A number's ends are allowed, what is beyond is not; each choice is; and all survive the text. */
static void every_key(void **state) {
    (void)state;
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *k = &config_keys[i];
        char value[64];
        config_default(&c);
        set_key(k, k->kind == KIND_NAME ? "a=b" : "no such value", ERR_CONFIG);
        if (is_number(k)) {
            bool whole = k->kind != KIND_F32;
            snprintf(value, sizeof value, whole ? "%.0f" : "%.17g", k->min);
            set_key(k, value, OK);
            round_trip(&c);
            if (k->max < 1e18) {
                snprintf(value, sizeof value, whole ? "%.0f" : "%.17g", k->max);
                set_key(k, value, OK);
                round_trip(&c);
                snprintf(value, sizeof value, whole ? "%.0f" : "%.17g", 2 * k->max + 1);
                set_key(k, value, ERR_CONFIG);
            }
            set_key(k, "-1", ERR_CONFIG);
            set_key(k, "", ERR_CONFIG);
        }
        for (unsigned choice = 0; k->kind == KIND_CHOICE; choice++) {
            size_t n = 0;
            const char *at = config_choice(k->choices, choice, &n);
            if (at == NULL) {
                break;
            }
            snprintf(value, sizeof value, "%.*s", (int)n, at);
            set_key(k, value, OK);
            round_trip(&c);
        }
        if (k->kind == KIND_BOOL) {
            set_key(k, "off", OK);
            round_trip(&c);
            set_key(k, "on", OK);
            round_trip(&c);
        }
    }
}

/* Two rows for one field would set each other's value. */
static void every_key_has_a_field_of_its_own(void **state) {
    (void)state;
    for (size_t i = 0; i < config_key_count; i++) {
        for (size_t k = 0; k < i; k++) {
            const struct config_key *a = &config_keys[i], *b = &config_keys[k];
            if (config_key_of_table(a) == config_key_of_table(b) && a->offset == b->offset) {
                fail_msg("%s.%s and %s.%s", a->section, a->name, b->section, b->name);
            }
        }
    }
}

static void a_refused_value_changes_nothing(void **state) {
    (void)state;
    config_default(&c);
    assert_int_equal(config_set(&c, "model.tower=1,2,3"), OK);
    assert_int_equal(config_set(&c, "model.tower=4,5,x"), ERR_CONFIG);
    assert_int_equal(config_set(&c, "model.tower=1,2,3,4,5,6,7,8,9"), ERR_CONFIG);
    assert_int_equal(c.tower_layers, 3);
    assert_int_equal(c.tower[2], 3);
    assert_int_equal(config_set(&c, "field.x.dim=0"), ERR_CONFIG);
    assert_int_equal(c.field_count, 0);
}

static void says(enum status status, const char *a, const char *b) {
    assert_int_equal(status, ERR_CONFIG);
    if (strstr(fail_text(), a) == NULL || strstr(fail_text(), b) == NULL) {
        fail_msg("'%s' has not both '%s' and '%s'", fail_text(), a, b);
    }
}

static void messages(void **state) {
    (void)state;
    config_default(&c);
    says(config_set(&c, "table.dmi=4"), "table.dmi", "nearest is table.dim");
    says(config_set(&c, "tabel.dim=4"), "tabel.dim", "nearest is table.dim");
    says(config_set(&c, "field.205.lrr=4"), "field.205.lrr", "nearest is field.205.lr");
    says(config_set(&c, "nonsense"), "nonsense", "section.key=value");
    says(config_parse(&c, "my.ini", "[table]\n\ndim = 4\ndmi = 5\n"), "my.ini:4", "table.dim");
    says(config_parse(&c, "my.ini", "; fine\n[tabel]\n"), "my.ini:2", "nearest is [table]");
    says(config_parse(&c, "my.ini", "[table\ndim = 4\n"), "my.ini:1", "]");
    says(config_parse(&c, "my.ini", "[table]\ndim\n"), "my.ini:2", "");
    says(config_parse(&c, "my.ini", "[table]\ndim = 1000\nlr = x\n"), "my.ini:2", "from 1 to 256");
}

static void later_wins_and_fields_override(void **state) {
    (void)state;
    config_default(&c);
    assert_int_equal(
        config_parse(&c, "a", "[table]\ndim = 4\nlr = 0.5\n[field.shop.id]\ndim = 8\n"), OK);
    assert_int_equal(config_set(&c, "table.dim=6"), OK);
    assert_int_equal(config_set(&c, "field.shop.id.admit_after=3"), OK); /* a dot in the name */
    struct table_config shop = config_table(&c, "shop.id"), other = config_table(&c, "shop");
    assert_int_equal(shop.dim, 8);
    assert_int_equal(shop.admit_after, 3);
    assert_true(shop.opt.lr == 0.5f);
    assert_int_equal(other.dim, 6);
    assert_int_equal(other.admit_after, 1);
    assert_int_equal(c.field_count, 1);
    round_trip(&c);
}

static void a_key_once_in_a_file(void **state) {
    (void)state;
    config_default(&c);
    says(config_parse(&c, "my.ini", "[table]\ndim = 4\nlr = 0.1\ndim = 4\n"), "my.ini:4",
         "table.dim is given twice in this file: first in line 2");
    config_default(&c);
    says(config_parse(&c, "my.ini", "[train]\nbatch = 4\n[table]\ndim = 3\n[train]\nbatch = 5\n"),
         "my.ini:6", "train.batch is given twice in this file: first in line 2");
    config_default(&c);
    says(config_parse(&c, "my.ini", "[field.a]\ndim = 4\n[field.b]\ndim = 4\n[field.a]\ndim = 5\n"),
         "my.ini:6", "field.a.dim is given twice in this file: first in line 2");
    config_default(&c);
    assert_int_equal(
        config_parse(&c, "a", "[field.a]\ndim = 4\n[field.b]\ndim = 5\n[table]\ndim = 6\n"), OK);
    assert_int_equal(config_parse(&c, "b", "[field.a]\ndim = 7\n[table]\ndim = 8\n"), OK);
    assert_int_equal(config_table(&c, "a").dim, 7);
    assert_int_equal(config_table(&c, "b").dim, 5);
    assert_int_equal(c.table.dim, 8);
    assert_int_equal(config_set(&c, "table.dim=9"), OK);
    assert_int_equal(config_set(&c, "table.dim=10"), OK);
    assert_int_equal(c.table.dim, 10);
}

static void bytes_and_limits(void **state) {
    (void)state;
    config_default(&c);
    assert_int_equal(config_set(&c, "server.memory=8G"), OK);
    assert_int_equal(c.memory_bytes, 8ull << 30);
    assert_int_equal(config_set(&c, "server.memory=8GB"), ERR_CONFIG);
    assert_int_equal(config_set(&c, "server.memory=99999999999G"), ERR_CONFIG);
    assert_int_equal(config_set(&c, "train.max_steps=none"), OK);
    assert_true(c.max_steps == UINT64_MAX);
    round_trip(&c);
}

static void keys_that_exclude_each_other(void **state) {
    (void)state;
    config_default(&c);
    assert_int_equal(config_check(&c), OK);
    assert_int_equal(config_set(&c, "train.deterministic=true"), OK);
    assert_int_equal(config_set(&c, "server.memory=1G"), OK);
    assert_int_equal(config_check(&c), OK);
    assert_int_equal(config_set(&c, "server.memory_policy=evict"), OK);
    says(config_check(&c), "train.deterministic", "server.memory_policy");
    config_default(&c);
    assert_int_equal(config_set(&c, "model.delay=es-dfm"), OK);
    assert_int_equal(config_check(&c), OK);
    assert_int_equal(config_set(&c, "model.name=share"), OK);
    says(config_check(&c), "model.delay", "model.name = esmm");
    config_default(&c);
    assert_int_equal(config_set(&c, "model.levels=5"), ERR_CONFIG);
    assert_int_equal(config_set(&c, "model.levels=4"), OK);
    says(config_check(&c), "model.levels (4)", "model.name = ple");
    assert_int_equal(config_set(&c, "model.name=mmoe"), OK);
    says(config_check(&c), "model.levels (4)", "model.name = ple");
    assert_int_equal(config_set(&c, "model.name=ple"), OK);
    assert_int_equal(config_check(&c), OK);
    config_default(&c);
    assert_int_equal(config_set(&c, "table.decay=0.5"), OK);
    assert_int_equal(config_check(&c), OK);
    assert_int_equal(config_set(&c, "field.205.optimizer=ftrl"), OK);
    says(config_check(&c), "field.205", "excludes decay (0.5)");
    assert_int_equal(config_set(&c, "field.205.decay=0"), OK);
    assert_int_equal(config_check(&c), OK);
    assert_int_equal(config_set(&c, "table.optimizer=ftrl"), OK);
    says(config_check(&c), "table: ", "excludes decay");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key),
        cmocka_unit_test(every_key_has_a_field_of_its_own),
        cmocka_unit_test(a_refused_value_changes_nothing),
        cmocka_unit_test(messages),
        cmocka_unit_test(later_wins_and_fields_override),
        cmocka_unit_test(a_key_once_in_a_file),
        cmocka_unit_test(bytes_and_limits),
        cmocka_unit_test(keys_that_exclude_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
