/* Which data may be used with which model. */
#include "common/checkpoint/manifest.h"
#include "common/data/data_fit.h"

#include "common/metric/score.h"
#include "tests/dirs.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/job/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Fields up to NULL: "+age" is on the user side, "item" on the other; all of kind id. */
static void fields(struct schema *s, struct field_schemas *f, const char *const *names) {
    for (; *names != NULL; names++) {
        const char *name = **names == '+' ? *names + 1 : *names;
        struct field_schema *one = NULL;
        assert_int_equal(schema_add(s, name, **names == '+' ? SIDE_USER : SIDE_ITEM), OK);
        assert_int_equal(field_schemas_add(f, name, &one), OK);
        one->kind = FIELD_ID;
    }
    schema_finish(s);
}

static void fits(const char *const *of_model, const char *const *of_data, enum status want,
                 const char *says) {
    char name[] = "eval";
    struct dataset d = {.dirs = DIRS(name)};
    struct manifest m = {0};
    struct buf doubts = BUF_EMPTY;
    fields(&m.schema, &m.fields, of_model);
    fields(&d.schema, &d.fields, of_data);
    const struct fit_side model = fit_side_checkpoint(&m.schema, &m.fields, "run"),
                          data = fit_side_data(&d);
    assert_int_equal(buf_printf(&doubts, "%s", ""), OK);
    assert_int_equal(data_fit(&model, &data, &doubts), want);
    const char *text = want == OK ? (const char *)doubts.data : fail_text();
    if (strcmp(text, says) != 0) {
        fail_msg("it says '%s', expected '%s'", text, says);
    }
    data_fit_log(&doubts);
    assert_int_equal(doubts.len, 0);
    field_schemas_free(&m.fields);
    field_schemas_free(&d.fields);
    buf_fini(&doubts);
}
#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_fields(void **state) {
    (void)state;
    fits(LIST("+age", "item"), LIST("+age", "item"), OK, "");
    fits(
        LIST("+age", "item"), LIST("+age", "item", "new"), OK,
        "field 'new': eval has it on the item side, the checkpoint run does not have it: the model does not "
        "know it, its values are ignored\n");
    fits(
        LIST("+age", "item"), LIST("item"), OK,
        "field 'age': the checkpoint run has it on the user side, eval does not have it: it counts as empty\n");
    fits(
        LIST("+age", "item"), LIST("age", "item"), OK,
        "field 'age': eval has it on the item side, the checkpoint run on the user side: the model does not "
        "know it, its values are ignored\n"
        "field 'age': the checkpoint run has it on the user side, eval on the item side: it counts as empty\n");
    fits(LIST("+age"), LIST("item", "shop"), ERR_CONFIG,
         "eval: none of its 2 fields is one of the 1 of the checkpoint run");
}

/* A log without a label of conversions: what can be trained on it, and what can be judged. */
static void test_no_conversion(void **state) {
    (void)state;
    struct dataset d = {.no_conversion = true};
    struct config c;
    enum score_form form;
    config_default(&c);
    c.model = MODEL_ESMM;
    assert_int_equal(data_fit_labels(&c, &d, "log"), ERR_CONFIG);
    assert_non_null(strstr(fail_text(), "log has no conversions"));
    assert_non_null(strstr(fail_text(), "model.name=ctr"));
    assert_int_equal(score_form_judged(&c, true, "log", &form), OK);
    assert_int_equal(form, SCORE_CTR_UNLABELLED);
    assert_int_equal(score_form_judged(&c, false, "log", &form), OK);
    assert_int_equal(form, SCORE_CVR);
    c.model = MODEL_CTR;
    assert_int_equal(data_fit_labels(&c, &d, "log"), OK);
    c.model = MODEL_BASE;
    assert_int_equal(data_fit_labels(&c, &d, "log"), ERR_CONFIG);
    assert_int_equal(score_form_judged(&c, true, "log", &form), ERR_CONFIG);
    assert_non_null(strstr(fail_text(), "there is nothing to judge"));
    d.no_conversion = false;
    assert_int_equal(data_fit_labels(&c, &d, "log"), OK);
}

int main(void) {
    log_level_set(LOG_ERROR);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fields),
                                       cmocka_unit_test(test_no_conversion)};
    return cmocka_run_group_tests_name("data_fit", tests, NULL, NULL);
}
