#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/options.h"
#include "synth.h"
#include "synth_lanes.h"
#include "synth_normal.h"

const char synth_help[] =
    "usage: esmm synth --impressions N --out DIR [--holdout N] [--seed N] [options]\n\n"
    "Writes a raw log in Ali-CCP's format whose true probabilities are known: DIR/train, and with\n"
    "--holdout DIR/eval, each with sample_skeleton.csv, common_features.csv and truth.bin; with\n"
    "--days log.csv, log.schema and truth.bin. The same options give the same bytes.\n"
    "docs/synth.md describes the model.\n\n"
    "  --out DIR             must not exist; appears when everything is written\n"
    "  --impressions N       in DIR/train\n"
    "  --holdout N           in DIR/eval: other impressions of the same world (0: none)\n"
    "  --seed N              (1)\n"
    "  --threads N           no influence on what is written (one per core)\n"
    "  --preset P            e, g, f: learnable; weak, strong: where ESMM's advantage fails (e)\n"
    "  --shape plain|aliccp  aliccp: the sizes of the public log, for measuring speed (plain)\n"
    "  --features N          feature ids of shape aliccp (10M)\n"
    "  --users N             (10000; aliccp: 4 % of the features)\n"
    "  --items N             (50000; aliccp: 43 % of the features)\n"
    "  --user-skew X         Zipf exponent of users (0.6)\n"
    "  --item-skew X         Zipf exponent of items (0.9)\n"
    "  --anomalies X         share of impressions logged as conversion without click (5e-6)\n\n"
    "Times of impressions, clicks and conversions, in a delimited log:\n\n"
    "  --days X              over which the impressions are spread (0: no times)\n"
    "  --drift X             how fast the taste for converting changes, radians a day (0)\n"
    "  --delay-mean X        days from click to conversion, on average of the slow ones (2)\n"
    "  --delay-fast X        share of fast ones, with a mean of two hours (0.35)\n"
    "  --delay-spread X      how much the mean depends on age and category (0.5)\n"
    "  --attribution X       days within which all conversions follow their click (7)\n\n"
    "These override the preset, whose values for e, g, f, weak, strong are in brackets:\n\n"
    "  --ctr X               mean p(click) (0.04)\n"
    "  --cvr X               mean p(conversion) of clicks (0.01 0.005 0.01 0.005 0.005)\n"
    "  --confounding X       correlation of the hidden tastes, -0.95..0.95 (0.3 0.3 0 0.3 0.4)\n"
    "  --shared X            correlation of what drives clicks and what drives conversions\n"
    "                        (0.7 0.7 0.7 0.3 0.7)\n"
    "  --sc X, --sv X        strength of user's and item's drives to click (0.3), to convert\n"
    "                        (0.3 0.3 0.3 0.3 0.35)\n"
    "  --mc X, --mv X        strength of their match for clicks (0.25), for conversions\n"
    "                        (0.25 0.25 0.25 0.2 0.3)\n"
    "  --mx X                of a match that only matters to conversions (0 0 0 0.15 0)\n"
    "  --power X, --price X  correlation of these fields with the drive to convert; 0: no such\n"
    "                        field (0.7 0.7 0.7 0 0) (0.7 0.7 0.7 0.3 0.7)\n";

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

static enum status set_preset(struct synth_config *c, const char *name) {
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

/* --- numbers ---------------------------------------------------------------------------------- */

#define PROBABILITY_MIN 1e-5
#define PROBABILITY_MAX 0.99
#define STRENGTH_MAX    10.0

/* Options whose value is a number, and where it goes. */
static const struct real {
    const char *name;
    size_t at; /* offset of a double in struct synth_config */
    double min, max;
} reals[] = {
#define REAL(text, member, min, max)                                                               \
    { text, offsetof(struct synth_config, member), min, max }
    REAL("ctr", ctr, PROBABILITY_MIN, PROBABILITY_MAX),
    REAL("cvr", cvr, PROBABILITY_MIN, PROBABILITY_MAX),
    REAL("user-skew", user_skew, 0, 5),
    REAL("item-skew", item_skew, 0, 5),
    REAL("confounding", confounding, -PHI2_RHO_MAX, PHI2_RHO_MAX),
    REAL("shared", shared, -1, 1),
    REAL("sc", sc, -STRENGTH_MAX, STRENGTH_MAX),
    REAL("sv", sv, -STRENGTH_MAX, STRENGTH_MAX),
    REAL("mc", mc, -STRENGTH_MAX, STRENGTH_MAX),
    REAL("mv", mv, -STRENGTH_MAX, STRENGTH_MAX),
    REAL("mx", mx, -STRENGTH_MAX, STRENGTH_MAX),
    REAL("power", power, 0, 1),
    REAL("price", price, 0, 1),
    REAL("anomalies", anomalies, 0, 1),
    REAL("days", days, 0, 36500),
    REAL("drift", drift, 0, 100),
    REAL("delay-mean", delay_mean, 0.001, 1000),
    REAL("delay-fast", delay_fast, 0, 1),
    REAL("delay-spread", delay_spread, 0, STRENGTH_MAX),
    REAL("attribution", attribution, 0.001, 1000),
#undef REAL
};
#define REALS (sizeof reals / sizeof reals[0])

static enum status parse_real(const struct real *r, const char *text, struct synth_config *c) {
    char *end = NULL;
    errno = 0;
    const double v = strtod(text, &end);
    if (end == text || *end != '\0' || !(v >= r->min && v <= r->max)) {
        return fail(ERR_USAGE, "--%s is '%s', expected a number from %g to %g", r->name, text,
                    r->min, r->max);
    }
    memcpy((char *)c + r->at, &v, sizeof v);
    return OK;
}

/* --- the command line ------------------------------------------------------------------------- */

#define IMPRESSIONS_MAX ((uint64_t)100000000000u) /* 1e11 */
#define USERS_MAX       100000000u
#define FEATURES_MIN    10000u
#define FEATURES_MAX    200000000u

enum {
    Y_OUT = 256,
    Y_IMPRESSIONS,
    Y_HOLDOUT,
    Y_SEED,
    Y_THREADS,
    Y_PRESET,
    Y_SHAPE,
    Y_FEATURES,
    Y_USERS,
    Y_ITEMS,
    Y_HELP,
    Y_REAL
};
static const struct option options[] = {{"out", required_argument, NULL, Y_OUT},
                                        {"impressions", required_argument, NULL, Y_IMPRESSIONS},
                                        {"holdout", required_argument, NULL, Y_HOLDOUT},
                                        {"seed", required_argument, NULL, Y_SEED},
                                        {"threads", required_argument, NULL, Y_THREADS},
                                        {"preset", required_argument, NULL, Y_PRESET},
                                        {"shape", required_argument, NULL, Y_SHAPE},
                                        {"features", required_argument, NULL, Y_FEATURES},
                                        {"users", required_argument, NULL, Y_USERS},
                                        {"items", required_argument, NULL, Y_ITEMS},
                                        {"help", no_argument, NULL, Y_HELP}};
#define OPTIONS (sizeof options / sizeof options[0])

/* The table above, the numbers, and the end mark. */
static void all_options(struct option all[OPTIONS + REALS + 1]) {
    memcpy(all, options, sizeof options);
    for (size_t i = 0; i < REALS; i++) {
        all[OPTIONS + i] = (struct option){reals[i].name, required_argument, NULL, Y_REAL + (int)i};
    }
    all[OPTIONS + REALS] = (struct option){0};
}

struct synth_line {
    struct synth_config *config;
    const char *out;
    const char *preset;
    const char *real[REALS];                  /* after the preset, whatever the order */
    uint64_t threads, features, users, items; /* 0: not given */
    bool help;
};

static enum status set_shape(struct synth_config *c, const char *name) {
    if (strcmp(name, "plain") != 0 && strcmp(name, "aliccp") != 0) {
        return fail(ERR_USAGE, "--shape is '%s', expected plain or aliccp", name);
    }
    c->shape = strcmp(name, "plain") == 0 ? SHAPE_PLAIN : SHAPE_ALICCP;
    return OK;
}

static enum status apply(void *line, int option, const char *value) {
    struct synth_line *l = line;
    struct synth_config *c = l->config;
    if (option >= Y_REAL) {
        l->real[option - Y_REAL] = value;
        return OK;
    }
    switch (option) {
    case Y_OUT: l->out = value; return OK;
    case Y_PRESET: l->preset = value; return OK;
    case Y_SHAPE: return set_shape(c, value);
    case Y_IMPRESSIONS:
        return option_u64("--impressions", value, 1, IMPRESSIONS_MAX, &c->impressions);
    case Y_HOLDOUT: return option_u64("--holdout", value, 0, IMPRESSIONS_MAX, &c->holdout);
    case Y_SEED: return option_u64("--seed", value, 0, UINT64_MAX, &c->seed);
    case Y_THREADS: return option_u64("--threads", value, 1, LANES_MAX, &l->threads);
    case Y_FEATURES:
        return option_u64("--features", value, FEATURES_MIN, FEATURES_MAX, &l->features);
    case Y_USERS: return option_u64("--users", value, 1, USERS_MAX, &l->users);
    case Y_ITEMS: return option_u64("--items", value, 1, USERS_MAX, &l->items);
    default: l->help = true; return OK;
    }
}

static enum status parse_options(struct synth_line *l, int argc, char **argv) {
    struct option all[OPTIONS + REALS + 1];
    all_options(all);
    return options_read(argc, argv, &(struct option_set){.table = all}, apply, l, &l->help);
}

/* What was not given follows from what was. */
static enum status complete(struct synth_line *l) {
    struct synth_config *c = l->config;
    const bool aliccp = c->shape == SHAPE_ALICCP;
    if (l->features != 0 && !aliccp) {
        return fail(ERR_USAGE, "--features needs --shape aliccp");
    }
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    c->threads = l->threads != 0 ? (uint32_t)l->threads : cores < 1 ? 1 : (uint32_t)cores;
    c->threads = c->threads < LANES_MAX ? c->threads : LANES_MAX;
    c->features = l->features != 0 ? l->features : 10000000;
    c->users = (uint32_t)(l->users != 0 ? l->users : aliccp ? c->features / 25 : 10000);
    c->items = (uint32_t)(l->items != 0 ? l->items : aliccp ? c->features / 100 * 43 : 50000);
    TRY(set_preset(c, l->preset));
    for (size_t i = 0; i < REALS; i++) {
        if (l->real[i] != NULL) {
            TRY(parse_real(&reals[i], l->real[i], c));
        }
    }
    if (c->drift > 0 && c->days <= 0) {
        return fail(ERR_USAGE,
                    "--drift needs --days: a log without times has no day to drift from");
    }
    return OK;
}

enum status synth_parse(struct synth_config *c, int argc, char **argv, const char **out,
                        bool *help) {
    struct synth_line l = {.config = c, .preset = "e"};
    *c = (struct synth_config){.seed = 1,
                               .user_skew = 0.6,
                               .item_skew = 0.9,
                               .anomalies = 5e-6,
                               .shape = SHAPE_PLAIN,
                               .delay_mean = 2,
                               .delay_fast = 0.35,
                               .delay_spread = 0.5,
                               .attribution = 7};
    TRY(parse_options(&l, argc, argv));
    *help = l.help;
    *out = l.out;
    if (l.help) {
        return OK;
    }
    if (optind < argc) {
        return fail(ERR_USAGE, "unexpected argument '%s'; see --help", argv[optind]);
    }
    if (l.out == NULL || c->impressions == 0) {
        return fail(ERR_USAGE, "%s is missing; see --help",
                    l.out == NULL ? "--out" : "--impressions");
    }
    return complete(&l);
}
