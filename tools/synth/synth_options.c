#include <string.h>
#include <unistd.h>

#include "synth.h"
#include "tools/common/pipeline.h"
#include "synth_normal.h"

/* --- presets ---------------------------------------------------------------------------------- */

static const struct preset {
    const char *name;
    double cvr, confounding, shared, sv, mv, mx, power, price;
} presets[] = {
    {"e", 0.01, 0.3, 0.7, 0.3, 0.25, 0, 0.7, 0.7},
    {"g", 0.005, 0.3, 0.7, 0.3, 0.25, 0, 0.7, 0.7},
    {"f", 0.01, 0, 0.7, 0.3, 0.25, 0, 0.7, 0.7},
    {"weak", 0.005, 0.3, 0.3, 0.3, 0.2, 0.15, 0, 0.3},
    {"strong", 0.005, 0.4, 0.7, 0.35, 0.3, 0, 0, 0.7},
};

static enum status synth_take_preset(void *line, const char *name) {
    struct synth_config *c = &((struct synth_line *)line)->config;
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        const struct preset *p = &presets[i];
        if (strcmp(p->name, name) == 0) {
            c->ctr = 0.04;
            c->sc = 0.3;
            c->mc = 0.25;
            c->cvr = p->cvr;
            c->confounding = p->confounding;
            c->shared = p->shared;
            c->sv = p->sv;
            c->mv = p->mv;
            c->mx = p->mx;
            c->power = p->power;
            c->price = p->price;
            return OK;
        }
    }
    return fail(ERR_USAGE, "--preset is '%s', expected e, g, f, weak or strong", name);
}

/* --- the command line ------------------------------------------------------------------------- */

#define PROBABILITY_MIN 1e-5
#define PROBABILITY_MAX 0.99
#define STRENGTH_MAX    10.0
#define IMPRESSIONS_MAX ((uint64_t)100000000000u) /* 1e11 */
#define USERS_MAX       100000000u
#define FEATURES_MIN    10000u
#define FEATURES_MAX    200000000u

#define AT(member) OPTION_AT(struct synth_line, config.member)
static const char *const shapes[] = {[SHAPE_PLAIN] = "plain", [SHAPE_ALICCP] = "aliccp", NULL};
static const struct option_row synth_rows[] = {
    {"out", "DIR", OPTION_TEXT, OPTION_AT(struct synth_line, out), .required = true,
     .help = "must not exist; appears when everything is written"},
    {"impressions", "N", OPTION_WHOLE, AT(impressions), .required = true, .least = 1,
     .most = IMPRESSIONS_MAX, .help = "in DIR/train"},
    {"holdout", "N", OPTION_WHOLE, AT(holdout), .preset = "0", .most = IMPRESSIONS_MAX,
     .help = "in DIR/eval: other impressions of the same world; 0: none"},
    {"seed", "N", OPTION_WHOLE, AT(seed), .preset = "1", .help = "of the world and the log"},
    {"threads", "N", OPTION_WHOLE, AT(threads), .told = "one per core", .least = 1,
     .most = PIPELINE_THREADS_MAX, .help = "no influence on what is written"},
    {"preset", "P", OPTION_OWN, .take = synth_take_preset, .first = true, .preset = "e",
     .help = "e, g, f: learnable; weak, strong: where ESMM's advantage fails"},
    {"shape", NULL, OPTION_CHOICE, AT(shape), .choices = shapes, .preset = "plain",
     .help = "aliccp: the sizes of the public log, for measuring speed"},
    {"features", "N", OPTION_WHOLE, AT(features), .told = "10M", .least = FEATURES_MIN,
     .most = FEATURES_MAX, .help = "feature ids of shape aliccp"},
    {"users", "N", OPTION_WHOLE, AT(users), .told = "10000; aliccp: 4 % of the features",
     .least = 1, .most = USERS_MAX, .help = "users"},
    {"items", "N", OPTION_WHOLE, AT(items), .told = "50000; aliccp: 43 % of the features",
     .least = 1, .most = USERS_MAX, .help = "items"},
    {"user-skew", "X", OPTION_REAL, AT(user_skew), .preset = "0.6", .low = 0, .high = 5,
     .help = "Zipf exponent of users"},
    {"item-skew", "X", OPTION_REAL, AT(item_skew), .preset = "0.9", .low = 0, .high = 5,
     .help = "Zipf exponent of items"},
    {"anomalies", "X", OPTION_REAL, AT(anomalies), .preset = "5e-6", .low = 0, .high = 1,
     .help = "share of impressions logged as conversion without click"},
    {NULL}};
static const struct option_row time_rows[] = {
    {"days", "X", OPTION_REAL, AT(days), .preset = "0", .low = 0, .high = 36500,
     .help = "over which the impressions are spread; 0: no times"},
    {"drift", "X", OPTION_REAL, AT(drift), .preset = "0", .low = 0, .high = 100,
     .help = "how fast the taste for converting changes, radians a day"},
    {"delay-mean", "X", OPTION_REAL, AT(delay_mean), .preset = "2", .low = 0.001, .high = 1000,
     .help = "days from click to conversion, on average of the slow ones"},
    {"delay-fast", "X", OPTION_REAL, AT(delay_fast), .preset = "0.35", .low = 0, .high = 1,
     .help = "share of fast ones, with a mean of two hours"},
    {"delay-spread", "X", OPTION_REAL, AT(delay_spread), .preset = "0.5", .low = 0,
     .high = STRENGTH_MAX, .help = "how much the mean depends on age and category"},
    {"attribution", "X", OPTION_REAL, AT(attribution), .preset = "7", .low = 0.001, .high = 1000,
     .help = "days within which all conversions follow their click"},
    {NULL}};
#define STRENGTH .low = -STRENGTH_MAX, .high = STRENGTH_MAX
static const struct option_row preset_rows[] = {
    {"ctr", "X", OPTION_REAL, AT(ctr), .low = PROBABILITY_MIN, .high = PROBABILITY_MAX,
     .told = "0.04", .help = "mean p(click)"},
    {"cvr", "X", OPTION_REAL, AT(cvr), .low = PROBABILITY_MIN, .high = PROBABILITY_MAX,
     .told = "0.01 0.005 0.01 0.005 0.005", .help = "mean p(conversion) of clicks"},
    {"confounding", "X", OPTION_REAL, AT(confounding), .low = -PHI2_RHO_MAX, .high = PHI2_RHO_MAX,
     .told = "0.3 0.3 0 0.3 0.4", .help = "correlation of the hidden tastes, -0.95..0.95"},
    {"shared", "X", OPTION_REAL, AT(shared), .low = -1, .high = 1, .told = "0.7 0.7 0.7 0.3 0.7",
     .help = "correlation of what drives clicks and what drives conversions"},
    {"sc", "X", OPTION_REAL, AT(sc), STRENGTH, .told = "0.3",
     .help = "strength of user's and item's drives to click"},
    {"sv", "X", OPTION_REAL, AT(sv), STRENGTH, .told = "0.3 0.3 0.3 0.3 0.35",
     .help = "the same to convert"},
    {"mc", "X", OPTION_REAL, AT(mc), STRENGTH, .told = "0.25",
     .help = "strength of their match for clicks"},
    {"mv", "X", OPTION_REAL, AT(mv), STRENGTH, .told = "0.25 0.25 0.25 0.2 0.3",
     .help = "the same for conversions"},
    {"mx", "X", OPTION_REAL, AT(mx), STRENGTH, .told = "0 0 0 0.15 0",
     .help = "of a match that only matters to conversions"},
    {"power", "X", OPTION_REAL, AT(power), .low = 0, .high = 1, .told = "0.7 0.7 0.7 0 0",
     .help = "correlation of the field power with the drive to convert; 0: no such field"},
    {"price", "X", OPTION_REAL, AT(price), .low = 0, .high = 1, .told = "0.7 0.7 0.7 0.3 0.7",
     .help = "the same of the field price"},
    {NULL}};
const struct option_group synth_groups[] = {
    {NULL, synth_rows},
    {"Times of impressions, clicks and conversions, in a delimited log:", time_rows},
    {"These override the preset, whose values for e, g, f, weak, strong are the defaults:",
     preset_rows},
    {0}};

void synth_init(void *line) {
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct synth_config *c = &((struct synth_line *)line)->config;
    c->threads = cores < 1                      ? 1
                 : cores > PIPELINE_THREADS_MAX ? PIPELINE_THREADS_MAX
                                                : (uint32_t)cores;
}

/* Options that were not given are derived from those that were. */
enum status synth_check(void *line) {
    struct synth_config *c = &((struct synth_line *)line)->config;
    const bool aliccp = c->shape == SHAPE_ALICCP;
    if (c->features != 0 && !aliccp) {
        return fail(ERR_USAGE, "--features needs --shape aliccp");
    }
    c->features = c->features != 0 ? c->features : 10000000;
    c->users = c->users != 0 ? c->users : aliccp ? (uint32_t)(c->features / 25) : 10000;
    c->items = c->items != 0 ? c->items : aliccp ? (uint32_t)(c->features / 100 * 43) : 50000;
    if (c->drift > 0 && c->days <= 0) {
        return fail(ERR_USAGE,
                    "--drift needs --days: a log without times has no day to drift from");
    }
    return OK;
}
