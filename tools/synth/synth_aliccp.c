/* synth_aliccp.c - a log with the size and shape of Ali-CCP, for measuring speed.
 *
 * Copied from the public set (docs/synth.md) are: 13 user fields and 10 item fields by name; about
 * 518 entries per user side, most of them in four bags, with a long tail to 2,000; 13.4 entries per
 * impression; ten million ids by power laws, half of which occur a few times or never; 13 % of
 * users without profile, 29 % of items without brand.
 *
 * Not copied: the shops, brands and intentions in a user's bags say nothing about the user (they
 * are drawn from a power law), and the crosses are drawn, not looked up in the bags. Only the
 * category bag is informative: two categories are drawn each time, and the one nearer to the user's
 * taste is taken. Labels follow the same world as in the other shape.
 */
#include "synth_aliccp.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "common/base/rng.h"

#define BAG_SKEW       1.23 /* 8.6 distinct ids an impression in a batch of 4096 */
#define BAG_SIGMA      0.6
#define BAG_MEDIAN     428.0 /* with the cut below the mean is 510 */
#define BAG_VALUES_MAX 2000u
#define NO_PROFILE     0.13
#define NO_BRAND       0.29
#define INTENTIONS_MAX 34u
#define INTENTION_STOP 0.17  /* 1 / mean number of intentions of an item */
#define SEEN_SLOTS     2048u /* more than twice the values of a bag; a power of 2 */

/* Each field's share of all ids, in millionths, and its least number of ids. The numbers of users
 * and items are configured. */
static const struct {
    enum synth_field_name name;
    uint32_t share_ppm, least;
} vocabulary[] = {
    {F_SEGMENT, 0, SEGMENTS},
    {F_GROUP, 0, 14},
    {F_GENDER, 0, GENDERS},
    {F_AGE, 0, AGES},
    {F_POWER, 0, POWERS},
    {F_POWER_2, 0, 4},
    {F_OCCUPATION, 0, 3},
    {F_CITY, 0, 5},
    {F_CATEGORY_BAG, 1200, 100},
    {F_SHOP_BAG, 260000, 100},
    {F_BRAND_BAG, 57000, 100},
    {F_INTENTION_BAG, 30000, 100},
    {F_CATEGORY, 1200, 100},
    {F_SHOP, 60000, 100},
    {F_INTENTION, 12000, 100},
    {F_BRAND, 24000, 100},
    {F_SCENARIO, 0, SCENARIOS},
    {F_CROSS_CATEGORY, 16000, 100},
    {F_CROSS_SHOP, 35000, 100},
    {F_CROSS_BRAND, 12000, 100},
    {F_CROSS_INTENTION, 22000, 100},
};

void synth_aliccp_fields_init(struct synth_fields *f, const struct synth_config *config) {
    static const enum synth_field_name bags[] = {F_CATEGORY_BAG, F_SHOP_BAG, F_BRAND_BAG,
                                                 F_INTENTION_BAG, F_INTENTION};
    f->field[F_USER].n = config->users;
    f->field[F_ITEM].n = config->items;
    for (size_t i = 0; i < sizeof vocabulary / sizeof vocabulary[0]; i++) {
        const uint64_t n = config->features / 1000 * vocabulary[i].share_ppm / 1000;
        f->field[vocabulary[i].name].n = n > vocabulary[i].least ? n : vocabulary[i].least;
    }
    for (size_t i = 0; i < sizeof bags / sizeof bags[0]; i++) {
        power_law_init(&f->field[bags[i]].law, f->field[bags[i]].n, BAG_SKEW);
    }
}

/* --- bags ------------------------------------------------------------------------------------- */

/* The values that a bag already has: linear probing, 0 is an empty slot. Only twice as many slots
 * as the bag has values are used and cleared. */
struct seen {
    uint32_t mask;
    uint32_t slots[SEEN_SLOTS]; /* value + 1 */
};

static void seen_init(struct seen *s, uint32_t count) {
    s->mask = 15;
    while (s->mask < 2 * count) {
        s->mask = 2 * s->mask + 1;
    }
    memset(s->slots, 0, ((size_t)s->mask + 1) * sizeof *s->slots);
}

static bool seen_add(struct seen *s, uint64_t value) {
    uint64_t at = rng_mix(value) & s->mask;
    while (s->slots[at] != 0) {
        if (s->slots[at] == value + 1) {
            return false;
        }
        at = (at + 1) & s->mask;
    }
    s->slots[at] = (uint32_t)value + 1;
    return true;
}

/* A bag to fill: its values depend on (owner, field) alone. */
struct bag {
    const struct world *world;
    const struct synth_field *field;
    enum synth_field_name name;
    uint64_t owner;
    const float *taste; /* if not NULL: values are categories, the nearer of two is taken */
};

static uint64_t bag_draw(const struct bag *b, uint32_t at) {
    const uint64_t seed = b->world->config.seed, k = (uint64_t)b->name << 16 | at;
    const uint64_t value =
        power_law_draw(&b->field->law, rng_u64(seed, b->owner, STREAM(S_BAG, k)));
    if (b->taste == NULL) {
        return value;
    }
    const uint64_t rival =
        power_law_draw(&b->field->law, rng_u64(seed, b->owner, STREAM(S_BAG_RIVAL, k)));
    return synth_affinity(b->taste, b->world->centroids[rival]) >
                   synth_affinity(b->taste, b->world->centroids[value])
               ? rival
               : value;
}

/* Draws `count` different values; fewer if that takes more than 4 draws per value. */
static uint32_t bag_fill(const struct bag *b, const struct synth_fields *f, uint32_t count,
                         bool weighted, struct synth_entry *out) {
    struct seen seen;
    uint32_t n = 0;
    assert(2 * count < SEEN_SLOTS);
    seen_init(&seen, count);
    for (uint32_t at = 0; n < count && at < 4 * count; at++) {
        const uint64_t value = bag_draw(b, at), k = (uint64_t)b->name << 16 | at;
        if (seen_add(&seen, value)) {
            const uint64_t seed = b->world->config.seed;
            out[n++] =
                fields_entry(f, b->name, value,
                             weighted ? synth_weight(seed, b->owner, STREAM(S_BAG_WEIGHT, k)) : 1);
        }
    }
    return n;
}

/* --- the user side ---------------------------------------------------------------------------- */

static uint32_t user_profile(const struct synth_fields *f, const struct world *w, uint32_t user,
                             struct synth_entry *out) {
    static const enum synth_field_name drawn[] = {F_GROUP, F_POWER_2, F_OCCUPATION, F_CITY};
    const struct synth_user *u = &w->users[user];
    const uint64_t seed = w->config.seed;
    uint32_t n = 0;
    if (rng_unit(seed, user, STREAM(S_MISSING, 0)) < NO_PROFILE) {
        return 0;
    }
    out[n++] = fields_entry(f, F_SEGMENT, u->segment, 1);
    out[n++] = fields_entry(f, F_GENDER, u->gender, 1);
    out[n++] = fields_entry(f, F_AGE, u->age, 1);
    out[n++] = fields_entry(f, F_POWER, u->power, 1);
    for (size_t i = 0; i < sizeof drawn / sizeof drawn[0]; i++) {
        const uint64_t value =
            rng_below(seed, user, STREAM(S_MISSING, drawn[i]), f->field[drawn[i]].n);
        out[n++] = fields_entry(f, drawn[i], value, 1);
    }
    return n;
}

uint32_t synth_aliccp_user(const struct synth_fields *f, const struct world *w, uint32_t user,
                           struct synth_entry *out) {
    static const struct {
        enum synth_field_name name;
        double share;
    } bags[] = {
        {F_CATEGORY_BAG, 0.15}, {F_SHOP_BAG, 0.34}, {F_BRAND_BAG, 0.22}, {F_INTENTION_BAG, 0.29}};
    const double z = rng_normal(w->config.seed, user, STREAM(S_BAG_SIZE, 0));
    const double values = fmin(BAG_MEDIAN * exp(BAG_SIGMA * z), BAG_VALUES_MAX);
    uint32_t n = 0;
    out[n++] = fields_entry(f, F_USER, user, 1);
    n += user_profile(f, w, user, out + n);
    for (size_t i = 0; i < sizeof bags / sizeof bags[0]; i++) {
        const struct bag bag = {.world = w,
                                .field = &f->field[bags[i].name],
                                .name = bags[i].name,
                                .owner = user,
                                .taste = i == 0 ? w->users[user].theta : NULL};
        n += bag_fill(&bag, f, (uint32_t)lround(values * bags[i].share), true, out + n);
    }
    return n;
}

/* --- the item side ---------------------------------------------------------------------------- */

/* Adds a cross of the user's bag and the impression's value, with some probability. */
static uint32_t add_cross(const struct synth_fields *f, const struct world *w,
                          const struct impression *x, enum synth_field_name name, uint32_t k,
                          double probability, uint64_t value, struct synth_entry *out) {
    const uint64_t seed = w->config.seed;
    const uint64_t stream = STREAM(S_CROSS, (uint64_t)x->at << 16 | name << 8 | k);
    if (rng_unit(seed, x->session, stream) >= probability) {
        return 0;
    }
    *out = fields_entry(f, name, value % f->field[name].n,
                        synth_weight(seed, x->session, stream | (uint64_t)1 << 63));
    return 1;
}

/* Adds the item's intentions and, for some of them, the cross with the user's. */
static uint32_t add_intentions(const struct synth_fields *f, const struct world *w,
                               const struct impression *x, struct synth_entry *out) {
    const double u = rng_unit(w->config.seed, x->item, STREAM(S_BAG_SIZE, 1));
    const double size = ceil(log(u) / log(1 - INTENTION_STOP));
    const struct bag bag = {
        .world = w, .field = &f->field[F_INTENTION], .name = F_INTENTION, .owner = x->item};
    const uint32_t own = bag_fill(&bag, f, (uint32_t)fmin(size, INTENTIONS_MAX), false, out);
    uint32_t n = own;
    for (uint32_t k = 0; k < own; k++) {
        n += add_cross(f, w, x, F_CROSS_INTENTION, k, 0.3, out[k].id, out + n);
    }
    return n;
}

uint32_t synth_aliccp_item(const struct synth_fields *f, const struct world *w,
                           const struct impression *x, struct synth_entry *out) {
    const struct synth_item *i = &w->items[x->item];
    uint32_t n = 0;
    out[n++] = fields_entry(f, F_ITEM, x->item, 1);
    out[n++] = fields_entry(f, F_CATEGORY, i->category, 1);
    out[n++] = fields_entry(f, F_SHOP, i->shop, 1);
    out[n++] = fields_entry(f, F_SCENARIO, x->scenario, 1);
    n += add_cross(f, w, x, F_CROSS_CATEGORY, 0, 0.55, i->category, out + n);
    n += add_cross(f, w, x, F_CROSS_SHOP, 0, 0.3, i->shop, out + n);
    if (rng_unit(w->config.seed, x->item, STREAM(S_MISSING, 1)) >= NO_BRAND) {
        out[n++] = fields_entry(f, F_BRAND, i->brand, 1);
        n += add_cross(f, w, x, F_CROSS_BRAND, 0, 0.3, i->brand, out + n);
    }
    return n + add_intentions(f, w, x, out + n);
}
