#include "synth_fields.h"

#include "synth_aliccp.h"

static const char *const names[F_COUNT] = {
#define X(name, text) [name] = text,
    SYNTH_FIELDS(X)
#undef X
};

#define CATEGORIES 100u
#define SHOPS      2000u
#define BRANDS     500u

static void plain_fields_init(struct synth_fields *f, const struct synth_config *c) {
    f->field[F_USER].n = c->users;
    f->field[F_SEGMENT].n = SEGMENTS;
    f->field[F_GENDER].n = GENDERS;
    f->field[F_AGE].n = AGES;
    f->field[F_POWER].n = c->power != 0 ? POWERS : 0; /* 0: the field is left out, as if unknown */
    f->field[F_CATEGORY_BAG].n = CATEGORIES;
    f->field[F_ITEM].n = c->items;
    f->field[F_CATEGORY].n = CATEGORIES;
    f->field[F_SHOP].n = SHOPS;
    f->field[F_BRAND].n = BRANDS;
    f->field[F_SCENARIO].n = SCENARIOS;
    f->field[F_CROSS_CATEGORY].n = SEGMENTS * CATEGORIES;
    f->field[F_PRICE].n = c->price != 0 ? PRICES : 0;
    f->field[F_POSITION].n = POSITIONS;
}

void fields_init(struct synth_fields *f, const struct synth_config *config) {
    *f = (struct synth_fields){0};
    if (config->shape == SHAPE_PLAIN) {
        plain_fields_init(f, config);
    } else {
        synth_aliccp_fields_init(f, config);
    }
    for (uint32_t i = 0; i < F_COUNT; i++) {
        f->field[i].name = names[i];
        f->field[i].first = f->features + 1;
        f->features += f->field[i].n;
    }
}

static uint32_t plain_user(const struct synth_fields *f, const struct world *w, uint32_t user,
                           struct synth_entry *out) {
    const struct synth_user *u = &w->users[user];
    uint32_t n = 0;
    out[n++] = fields_entry(f, F_USER, user, 1);
    out[n++] = fields_entry(f, F_SEGMENT, u->segment, 1);
    out[n++] = fields_entry(f, F_GENDER, u->gender, 1);
    out[n++] = fields_entry(f, F_AGE, u->age, 1);
    if (f->field[F_POWER].n > 0) {
        out[n++] = fields_entry(f, F_POWER, u->power, 1);
    }
    for (uint32_t k = 0; k < HISTORY; k++) {
        out[n++] = fields_entry(f, F_CATEGORY_BAG, u->history[k], (double)u->weight[k]);
    }
    return n;
}

static uint32_t plain_item(const struct synth_fields *f, const struct world *w,
                           const struct impression *x, struct synth_entry *out) {
    const struct synth_item *i = &w->items[x->item];
    const uint64_t cross = (uint64_t)w->users[x->user].segment * w->categories + i->category;
    uint32_t n = 0;
    out[n++] = fields_entry(f, F_ITEM, x->item, 1);
    out[n++] = fields_entry(f, F_CATEGORY, i->category, 1);
    out[n++] = fields_entry(f, F_SHOP, i->shop, 1);
    out[n++] = fields_entry(f, F_BRAND, i->brand, 1);
    if (f->field[F_PRICE].n > 0) {
        out[n++] = fields_entry(f, F_PRICE, i->price, 1);
    }
    out[n++] = fields_entry(f, F_POSITION, x->position, 1);
    out[n++] = fields_entry(f, F_SCENARIO, x->scenario, 1);
    out[n++] = fields_entry(f, F_CROSS_CATEGORY, cross, 1);
    return n;
}

uint32_t fields_user(const struct synth_fields *f, const struct world *w, uint32_t user,
                     struct synth_entry *out) {
    return w->config.shape == SHAPE_PLAIN ? plain_user(f, w, user, out)
                                          : synth_aliccp_user(f, w, user, out);
}

uint32_t fields_item(const struct synth_fields *f, const struct world *w,
                     const struct impression *x, struct synth_entry *out) {
    return w->config.shape == SHAPE_PLAIN ? plain_item(f, w, x, out)
                                          : synth_aliccp_item(f, w, x, out);
}
