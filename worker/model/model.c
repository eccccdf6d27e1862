/* model.c - one training step: pooling, towers, loss, and the way back.
 *
 *     users:      pool the user side of every group, multiply it into the first layer once
 *     per chunk:  pool the items, towers forward, loss, towers backward, un-pool the items
 *     users:      the group sums of the first layer's gradient back through its user columns
 *
 * The loss is a mean whose divisor is known beforehand, so a chunk goes forward and backward before
 * the next one starts: its activations live in cache only, and memory does not grow with the batch.
 * Only the values of groups are kept for the whole batch.
 *
 * In training fields of either side with few features go through the first layer as rows: factor.c
 * takes them at the same places.
 *
 * A loss whose weights are normalised over the batch (dcmt) needs every logit before the first
 * gradient. Such a model goes forward twice, which costs a third more time but no more memory.
 *
 * Batches that share bags (batch.h) are a range of one update of these rows and many of all else:
 * the first pools the bags, each adds its part to the gradient of what was pooled, and the last
 * takes the sum back to the rows. (docs/model.md)
 *
 * `count` has no net. In place of a gradient it gives every occurrence of a feature, and every
 * impression to every dense parameter, -1: with sgd and a learning rate of 1 the parameters are
 * exact counts, which tell whether each impression was trained on as often as it should
 * (docs/reliability.md).
 *
 * Gradients of weights are summed over chunks inside the matrix product. Chunks are cut at
 * multiples of TOWER_CHUNK, whatever the groups are. So a step is a function of its inputs, bit by
 * bit.
 */
#include "model.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"
#include "pool.h"
#include "passes.h"
#include "tower.h"

struct model {
    struct layout layout; /* a copy: the model may outlive the caller's */
    struct loss_spec loss;
    struct dropout dropout;
    struct laps *laps; /* the caller's, or own */
    struct laps own;
    struct tower tower;
    float *xi, *dxi;                               /* [TOWER_CHUNK, Ii] */
    float *logit[TOWERS_MAX], *dlogit[TOWERS_MAX]; /* [TOWER_CHUNK] each */
    float *xu, *dxu, *hu, *dhu; /* [groups_cap, Iu] and [groups_cap, first_width] */
    size_t groups_cap;
    /* What the batches of a range share: x of their groups, and its gradient summed so far. */
    struct batch_name shared_next;
    float *shared_x, *shared_dx; /* [S, Iu] */
    size_t shared_x_cap, shared_dx_cap;
};

/* The working data of a step: views of one batch. */
struct step {
    const struct batch *batch;
    const float *const *rows;
    const float *dense;
    float *logit_a, *logit_b;
    float *const *drows;
    float *ddense;
    struct loss_sums *sums;
    struct loss_spec loss;  /* the model's, with what it needs of this batch */
    struct dropout dropout; /* the model's; none in evaluation */
};

static enum status floats(float **out, size_t rows, size_t width) {
    return mem_array(out, rows * width);
}

enum status model_create(struct model **m, const struct layout *layout,
                         const struct loss_spec *loss, const struct kernel *kernel) {
    enum status status;
    TRY(mem_new(m));
    struct model *model = *m;
    model->layout = *layout;
    model->loss = *loss;
    model->laps = &model->own;
    TRY_OUT(tower_init(&model->tower, &model->layout, kernel));
    TRY_OUT(floats(&model->xi, TOWER_CHUNK, layout->item_width));
    TRY_OUT(floats(&model->dxi, TOWER_CHUNK, layout->item_width));
    for (uint32_t k = 0; k < layout->towers; k++) {
        TRY_OUT(floats(&model->logit[k], TOWER_CHUNK, 1));
        TRY_OUT(floats(&model->dlogit[k], TOWER_CHUNK, 1));
    }
out:
    if (status != OK) {
        model_destroy(m);
    }
    return status;
}

void model_charge(struct model *m, struct laps *laps) {
    m->laps = laps;
}

void model_drop(struct model *m, struct dropout dropout) {
    m->dropout = dropout;
}

static void free_groups(struct model *m) {
    mem_free(&m->xu);
    mem_free(&m->dxu);
    mem_free(&m->hu);
    mem_free(&m->dhu);
    m->groups_cap = 0;
}

void model_destroy(struct model **m) {
    if (*m == NULL) {
        return;
    }
    tower_fini(&(*m)->tower);
    mem_free(&(*m)->xi);
    mem_free(&(*m)->dxi);
    for (uint32_t k = 0; k < TOWERS_MAX; k++) {
        mem_free(&(*m)->logit[k]);
        mem_free(&(*m)->dlogit[k]);
    }
    mem_free(&(*m)->shared_x);
    mem_free(&(*m)->shared_dx);
    free_groups(*m);
    mem_free(m);
}

static enum status reserve_groups(struct model *m, size_t groups) {
    if (groups <= m->groups_cap) {
        return OK;
    }
    size_t cap = groups + groups / 4, h1 = m->layout.first_width;
    free_groups(m);
    TRY(floats(&m->xu, cap, m->layout.user_width));
    TRY(floats(&m->dxu, cap, m->layout.user_width));
    TRY(floats(&m->hu, cap, h1));
    TRY(floats(&m->dhu, cap, h1));
    m->groups_cap = cap;
    return OK;
}

/* --- what batches share ----------------------------------------------------------------------- */

static bool same_name(struct batch_name a, struct batch_name b) {
    return a.epoch == b.epoch && a.shard == b.shard && a.batch == b.batch;
}

/* The first batch pools; those after it must follow in order. */
static enum status shared_begin(struct model *m, const struct step *s) {
    const struct batch *b = s->batch;
    const size_t width = m->layout.user_width, floats = width * b->shared_groups;
    if (b->shared_first && floats > 0) {
        TRY(mem_room(&m->shared_x, &m->shared_x_cap, floats));
        TRY(mem_room(&m->shared_dx, &m->shared_dx_cap, floats));
        pool_shared(&m->layout, b, s->rows, m->shared_x);
        memset(m->shared_dx, 0, floats * sizeof *m->shared_dx);
        lap(m->laps, STAGE_POOL);
    }
    assert(b->shared_groups == 0 || b->shared_first || same_name(b->name, m->shared_next));
    m->shared_next = b->name;
    m->shared_next.batch++;
    return OK;
}

static void shared_forward(struct model *m, const struct batch *b) {
    const struct passes *pass = passes_at(cpu_level());
    const struct factor *f = &m->tower.users;
    for (uint32_t g = 0; g < b->groups && b->shared_groups > 0; g++) {
        for (uint32_t k = 0; k < f->runs; k++) {
            const struct factor_run r = f->run[k];
            const float *x = m->shared_x + (size_t)b->shared_of[g] * m->layout.user_width;
            pass->add(m->xu + (size_t)g * f->columns.width + r.to, x + r.from, r.width);
        }
    }
}

static void shared_backward(struct model *m, const struct step *s) {
    const struct passes *pass = passes_at(cpu_level());
    const struct batch *b = s->batch;
    const struct factor *f = &m->tower.users;
    for (uint32_t g = 0; g < b->groups && b->shared_groups > 0; g++) {
        for (uint32_t k = 0; k < f->runs; k++) {
            const struct factor_run r = f->run[k];
            float *dx = m->shared_dx + (size_t)b->shared_of[g] * m->layout.user_width;
            pass->add(dx + r.from, m->dxu + (size_t)g * f->columns.width + r.to, r.width);
        }
    }
    if (b->shared_last) {
        pool_shared_backward(&m->layout, b, m->shared_dx, s->drows);
    }
}

/* --- a step ----------------------------------------------------------------------------------- */

static void users_forward(struct model *m, const struct step *s) {
    struct tower *t = &m->tower;
    const struct batch *b = s->batch;
    const float *w1 = s->dense + layout_weight(&m->layout, 0, 0)->offset;
    pool_users(&m->layout, &t->users.columns, b, s->rows, m->xu);
    shared_forward(m, b);
    lap(m->laps, STAGE_POOL);
    factor_begin(&t->users, &t->work, b, w1, s->rows);
    factor_begin(&t->items, &t->work, b, w1, s->rows);
    tower_users(t, m->xu, b->groups, m->hu);
    factor_add(&t->users, b, 0, b->groups, m->hu);
    lap(m->laps, STAGE_FORWARD);
}

static void chunk_forward(struct model *m, const struct step *s, uint32_t begin, uint32_t n) {
    struct tower *t = &m->tower;
    pool_items(&m->layout, &t->items.columns, s->batch, s->rows, begin, begin + n, m->xi);
    lap(m->laps, STAGE_POOL);
    if (t->items.any) {
        factor_add(&t->items, s->batch, begin, begin + n, tower_begin(t, n));
    }
    const struct tower_dropout drop = {s->dropout, s->batch->name, begin};
    tower_forward(t, m->xi, m->hu, s->batch->group_of + begin, n,
                  s->dropout.rate > 0.0f ? &drop : NULL, m->logit);
    loss_scores(&m->loss, (const float *const *)m->logit, n, s->logit_a + begin,
                s->logit_b + begin);
    lap(m->laps, STAGE_FORWARD);
}

static void chunk_backward(struct model *m, const struct step *s, uint32_t begin, uint32_t n) {
    const struct batch *b = s->batch;
    const struct loss_rows rows = {(const float *const *)m->logit,
                                   b->labels + begin,
                                   b->impression_id + begin,
                                   b->weight != NULL ? b->weight + begin : NULL,
                                   b->records ? b->kind + begin : NULL,
                                   b->records ? b->elapsed_days + begin : NULL};
    loss_batch(&s->loss, &rows, n, 1.0f / (float)b->impressions, m->dlogit, s->sums);
    lap(m->laps, STAGE_LOSS);
    tower_backward(&m->tower, m->xi, b->group_of + begin, n, (const float *const *)m->dlogit,
                   s->ddense, m->dxi, m->dhu);
    factor_spread(&m->tower.items, b, begin, begin + n, m->tower.dh);
    lap(m->laps, STAGE_BACKWARD);
    pool_items_backward(&m->layout, &m->tower.items.columns, b, begin, begin + n, m->dxi, s->drows);
    lap(m->laps, STAGE_POOL);
}

static void users_backward(struct model *m, const struct step *s) {
    struct tower *t = &m->tower;
    const struct batch *b = s->batch;
    const size_t w1 = layout_weight(&m->layout, 0, 0)->offset;
    tower_users_backward(t, m->xu, m->dhu, b->groups, s->ddense, m->dxu);
    factor_spread(&t->users, b, 0, b->groups, m->dhu);
    factor_end(&t->users, &t->work, b, s->dense + w1, s->rows, s->ddense + w1, s->drows);
    factor_end(&t->items, &t->work, b, s->dense + w1, s->rows, s->ddense + w1, s->drows);
    layout_clear_foreign(&m->layout, s->ddense);
    lap(m->laps, STAGE_BACKWARD);
    pool_users_backward(&m->layout, &t->users.columns, b, m->dxu, s->drows);
    shared_backward(m, s);
    lap(m->laps, STAGE_POOL);
}

static enum status choose_fields(struct model *m, const struct batch *b) {
    TRY(factor_choose(&m->tower.users, b));
    return factor_choose(&m->tower.items, b);
}

static void clear_gradients(struct model *m, const struct step *s) {
    memset(s->ddense, 0, m->layout.count * sizeof *s->ddense);
    memset(m->dhu, 0, (size_t)s->batch->groups * m->layout.first_width * sizeof *m->dhu);
    pool_clear(&m->layout, s->batch, s->drows);
}

static uint32_t chunk_size(const struct batch *b, uint32_t begin) {
    uint32_t left = b->impressions - begin;
    return left < TOWER_CHUNK ? left : TOWER_CHUNK;
}

/* --- counting --------------------------------------------------------------------------------- */

static void no_scores(const struct batch *b, float *logit_a, float *logit_b) {
    memset(logit_a, 0, b->impressions * sizeof *logit_a);
    memset(logit_b, 0, b->impressions * sizeof *logit_b);
}

static void fill(float *out, size_t n, float value) {
    for (size_t i = 0; i < n; i++) {
        out[i] = value;
    }
}

/* A group's features occur once in each of its impressions. */
static void count_batch(struct model *m, const struct step *s) {
    const struct batch *b = s->batch;
    const size_t users = m->layout.user_width, items = m->layout.item_width;
    fill(m->dxu, b->groups * users, 0);
    for (uint32_t i = 0; i < b->impressions && users > 0; i++) {
        float *at = m->dxu + b->group_of[i] * users;
        fill(at, users, at[0] - 1.0f);
    }
    pool_users_backward(&m->layout, &m->tower.users.columns, b, m->dxu, s->drows);
    shared_backward(m, s);
    fill(m->dxi, TOWER_CHUNK * items, -1.0f);
    for (uint32_t i = 0; i < b->impressions; i += TOWER_CHUNK) {
        pool_items_backward(&m->layout, &m->tower.items.columns, b, i, i + chunk_size(b, i), m->dxi,
                            s->drows);
    }
    fill(s->ddense, m->layout.count, -(float)b->impressions);
    no_scores(b, s->logit_a, s->logit_b);
    lap(m->laps, STAGE_POOL);
}

/* --- the two steps ---------------------------------------------------------------------------- */

enum status model_forward(struct model *m, const struct batch *b, const float *const *rows,
                          const float *dense, float *logit_a, float *logit_b) {
    struct step s = {
        .batch = b, .rows = rows, .dense = dense, .logit_a = logit_a, .logit_b = logit_b};
    if (method_of(m->loss.model)->counts) {
        no_scores(b, logit_a, logit_b);
        return OK;
    }
    TRY(reserve_groups(m, b->groups));
    TRY(choose_fields(m, NULL));
    tower_load(&m->tower, dense, false);
    lap(m->laps, STAGE_FORWARD);
    users_forward(m, &s);
    for (uint32_t i = 0; i < b->impressions; i += TOWER_CHUNK) {
        chunk_forward(m, &s, i, chunk_size(b, i));
    }
    return OK;
}

/* Computes what a loss needs of all impressions before the first, in a forward pass of its own. */
static void whole_batch(struct model *m, struct step *s) {
    const struct batch *b = s->batch;
    struct loss_totals sums = {0};
    for (uint32_t i = 0; i < b->impressions; i += TOWER_CHUNK) {
        chunk_forward(m, s, i, chunk_size(b, i));
        loss_totals_add(&sums, &s->loss, m->logit[0], b->labels + i,
                        b->weight != NULL ? b->weight + i : NULL, chunk_size(b, i));
        lap(m->laps, STAGE_LOSS);
    }
    loss_normalise(&s->loss, &sums);
}

enum status model_train(struct model *m, const struct batch *b, const float *const *rows,
                        const float *dense, float *logit_a, float *logit_b, float *const *drows,
                        float *ddense, struct loss_sums *sums) {
    struct step s = {.batch = b,
                     .rows = rows,
                     .dense = dense,
                     .logit_a = logit_a,
                     .logit_b = logit_b,
                     .drows = drows,
                     .ddense = ddense,
                     .sums = sums,
                     .loss = m->loss,
                     .dropout = m->dropout};
    const struct method *method = method_of(s.loss.model);
    TRY(reserve_groups(m, b->groups));
    TRY(choose_fields(m, method->counts ? NULL : b));
    TRY(shared_begin(m, &s));
    clear_gradients(m, &s);
    if (method->counts) {
        count_batch(m, &s);
        return OK;
    }
    tower_load(&m->tower, dense, true);
    lap(m->laps, STAGE_FORWARD);
    users_forward(m, &s);
    if (method->whole_batch) {
        whole_batch(m, &s);
    }
    for (uint32_t i = 0; i < b->impressions; i += TOWER_CHUNK) {
        chunk_forward(m, &s, i, chunk_size(b, i));
        chunk_backward(m, &s, i, chunk_size(b, i));
    }
    users_backward(m, &s);
    return OK;
}
