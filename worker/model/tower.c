/* tower.c - the layers of all towers.
 *
 * Nearly all of the program's arithmetic is in the products of linear.h, and most of that is in the
 * first layer. The layout keeps the towers' first weights adjacent, so one product serves all
 * towers: W1 is [T H1, I] with user columns first. The user part is a product with G rows instead
 * of n. Everything else (bias, relu, its mask, bias gradients, sums over groups) takes one pass
 * over the activations each, in float32, while they are in cache.
 */
#include "tower.h"

#include <string.h>

#include "common/base/mem.h"
#include "output_layer.h"
#include "passes.h"

static uint64_t weight_at(const struct layout *l, uint32_t layer, uint32_t tower) {
    return layout_weight(l, layer, tower)->offset;
}

/* The biases of all towers: they are adjacent. */
static uint64_t bias_at(const struct layout *l, uint32_t layer) {
    return layout_bias(l, layer, 0)->offset;
}

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

static enum status init_linears(struct tower *t, const struct kernel *kernel) {
    const struct layout *l = t->layout;
    uint32_t widest = l->first_width;
    TRY(linear_init(&t->user, kernel, l->first_width, l->user_width));
    const struct side_columns users = user_columns(l), items = item_columns(l);
    TRY(factor_init(&t->users, l, &users, kernel));
    TRY(factor_init(&t->items, l, &items, kernel));
    TRY(linear_init(&t->item, kernel, l->first_width, l->item_width));
    for (uint32_t k = 1; k < l->layers; k++) {
        for (uint32_t tower = 0; tower < l->towers; tower++) {
            TRY(linear_init(&t->hidden[k][tower], kernel, l->hidden[k], l->hidden[k - 1]));
        }
        widest = larger(widest, l->hidden[k]);
    }
    return linear_work_init(&t->work, kernel, larger(widest, l->input_width));
}

enum status tower_init(struct tower *t, const struct layout *layout, const struct kernel *kernel) {
    *t = (struct tower){.layout = layout};
    uint32_t widest = 0;
    for (uint32_t k = 0; k < layout->layers; k++) {
        uint32_t width = layout->towers * layout->hidden[k];
        TRY(mem_array(&t->h[k], (size_t)TOWER_CHUNK * width));
        widest = larger(widest, width);
    }
    if (layout->levels > 1) {
        widest = larger(widest, layout_gates(layout, 0) * layout->hidden[0]);
    }
    for (int i = 0; i < 2; i++) {
        TRY(mem_array(&t->d[i], (size_t)TOWER_CHUNK * widest));
    }
    if (layout->experts > 0) {
        const size_t floats = (size_t)TOWER_CHUNK * layout->first_width;
        TRY(mem_array(&t->first, floats));
        TRY(mem_array(&t->dfirst, floats));
    }
    for (uint32_t k = 1; k < layout->levels; k++) {
        TRY(expert_level_init(&t->level[k - 1], layout, k, kernel, TOWER_CHUNK));
    }
    if (layout->attention) {
        TRY(attention_init(&t->attention, layout, kernel, TOWER_CHUNK));
    }
    return init_linears(t, kernel);
}

void tower_fini(struct tower *t) {
    linear_fini(&t->user);
    linear_fini(&t->item);
    factor_fini(&t->users);
    factor_fini(&t->items);
    for (uint32_t k = 0; k < CONFIG_LAYERS_MAX; k++) {
        for (uint32_t tower = 0; tower < TOWERS_MAX; tower++) {
            linear_fini(&t->hidden[k][tower]);
        }
        mem_free(&t->h[k]);
    }
    linear_work_fini(&t->work);
    attention_fini(&t->attention);
    for (uint32_t k = 1; k < LEVELS_MAX; k++) {
        expert_level_fini(&t->level[k - 1]);
    }
    mem_free(&t->first);
    mem_free(&t->dfirst);
    mem_free(&t->d[0]);
    mem_free(&t->d[1]);
}

void tower_load(struct tower *t, const float *dense, bool backward) {
    const struct layout *l = t->layout;
    const float *w1 = dense + weight_at(l, 0, 0);
    t->dense = dense;
    linear_narrow(&t->user, t->users.columns.width);
    linear_load(&t->user, factor_left(&t->users, w1), backward);
    linear_narrow(&t->item, t->items.columns.width);
    linear_load(&t->item, factor_left(&t->items, w1), backward);
    for (uint32_t k = 1; k < l->layers; k++) {
        for (uint32_t tower = 0; tower < l->towers; tower++) {
            struct matrix w = {dense + weight_at(l, k, tower), l->hidden[k - 1]};
            linear_load(&t->hidden[k][tower], w, backward);
        }
    }
    for (uint32_t k = 1; k < l->levels; k++) {
        expert_level_load(&t->level[k - 1], dense, backward);
    }
    if (l->attention) {
        attention_load(&t->attention, dense, backward);
    }
}

/* --- forward ---------------------------------------------------------------------------------- */

static void copy_rows(float *h, const float *bias, uint32_t rows, size_t width) {
    for (uint32_t i = 0; i < rows; i++) {
        memcpy(h + i * width, bias, width * sizeof *h);
    }
}

void tower_users(const struct tower *t, const float *xu, uint32_t groups, float *hu) {
    const struct layout *l = t->layout;
    uint32_t width = l->first_width;
    copy_rows(hu, t->dense + bias_at(l, 0), groups, width);
    if (t->user.in > 0) {
        linear_forward(&t->user, &t->work, (struct matrix){xu, t->user.in}, groups, true, hu,
                       width);
    }
}

/* Where the mixtures of a level of experts go: to the next level, or to the towers. */
static float *above(struct tower *t, uint32_t level) {
    return level + 1 < t->layout->levels ? t->level[level].x : t->h[0];
}

/* Adds the user side to experts and gates. Only experts have a relu. */
static void mix_experts(struct tower *t, const float *hu, const uint32_t *group_of, uint32_t n) {
    const struct passes *pass = passes_at(cpu_level());
    const struct layout *l = t->layout;
    const size_t width = l->first_width, experts = (size_t)l->experts * l->hidden[0];
    for (uint32_t i = 0; i < n; i++) {
        float *row = t->first + i * width;
        const float *user = hu + group_of[i] * width;
        pass->add_relu(row, user, experts);
        pass->add(row + experts, user + experts, width - experts);
    }
    expert_mix_forward(l, 0, t->first, n, above(t, 0));
    for (uint32_t k = 1; k < l->levels; k++) {
        expert_level_forward(&t->level[k - 1], &t->work, n, above(t, k));
    }
}

static float *first_sums(struct tower *t) {
    return t->layout->experts > 0 ? t->first : t->h[0];
}

float *tower_begin(struct tower *t, uint32_t n) {
    float *h = first_sums(t);
    memset(h, 0, (size_t)n * t->layout->first_width * sizeof *h);
    t->begun = true;
    return h;
}

static void first_layer(struct tower *t, const float *xi, const float *hu, const uint32_t *group_of,
                        uint32_t n) {
    const struct passes *pass = passes_at(cpu_level());
    const struct layout *l = t->layout;
    uint32_t width = l->first_width;
    float *h = t->item.in == 0 && !t->begun ? tower_begin(t, n) : first_sums(t);
    if (t->item.in > 0) {
        linear_forward(&t->item, &t->work, (struct matrix){xi, t->item.in}, n, t->begun, h, width);
    }
    t->begun = false;
    if (l->experts > 0) {
        mix_experts(t, hu, group_of, n);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        pass->add_relu(h + (size_t)i * width, hu + (size_t)group_of[i] * width, width);
    }
}

/* What the output layer reads, [n, T HL]. */
static const float *top_of(const struct tower *t) {
    return t->layout->attention ? t->attention.z : t->h[t->layout->layers - 1];
}

static void hidden_layer(struct tower *t, uint32_t k, uint32_t n) {
    const struct passes *pass = passes_at(cpu_level());
    const struct layout *l = t->layout;
    uint32_t in = l->hidden[k - 1], out = l->hidden[k], width = l->towers * out;
    float *h = t->h[k];
    for (uint32_t tower = 0; tower < l->towers; tower++) {
        struct matrix x = {t->h[k - 1] + (size_t)tower * in, l->towers * in};
        linear_forward(&t->hidden[k][tower], &t->work, x, n, false, h + (size_t)tower * out, width);
    }
    for (uint32_t i = 0; i < n; i++) {
        pass->add_relu(h + (size_t)i * width, t->dense + bias_at(l, k), width);
    }
}

/* Applies dropout to h_k, unless it is a mixture of experts. */
static void drop_units(struct tower *t, const struct tower_dropout *drop, uint32_t k, uint32_t n) {
    const struct layout *l = t->layout;
    if (drop == NULL || (k == 0 && l->experts > 0)) {
        return;
    }
    const size_t width = (size_t)l->towers * l->hidden[k];
    const struct dropout_layer layer = dropout_layer(&drop->dropout, drop->name, k);
    for (uint32_t i = 0; i < n; i++) {
        dropout_apply(&layer, drop->begin + i, width, t->h[k] + i * width);
    }
    t->scale = layer.scale;
}

void tower_forward(struct tower *t, const float *xi, const float *hu, const uint32_t *group_of,
                   uint32_t n, const struct tower_dropout *drop, float *const *logit) {
    const struct layout *l = t->layout;
    t->scale = 1.0f;
    first_layer(t, xi, hu, group_of, n);
    drop_units(t, drop, 0, n);
    for (uint32_t k = 1; k < l->layers; k++) {
        hidden_layer(t, k, n);
        drop_units(t, drop, k, n);
    }
    if (l->attention) {
        attention_forward(&t->attention, &t->work, t->h[l->layers - 1], n);
    }
    uint32_t in = l->hidden[l->layers - 1];
    for (uint32_t tower = 0; tower < l->towers; tower++) {
        output_layer_forward(top_of(t) + (size_t)tower * in, (size_t)l->towers * in, n,
                             t->dense + weight_at(l, l->layers, tower), in,
                             t->dense[bias_at(l, l->layers) + tower], logit[tower]);
    }
}

/* --- backward --------------------------------------------------------------------------------- */

/* Output layer: its gradients; d becomes the gradient of its input. */
static void output_backward(struct tower *t, uint32_t n, const float *const *dlogit, float *ddense,
                            float *d) {
    const struct layout *l = t->layout;
    const uint32_t in = l->hidden[l->layers - 1];
    const size_t width = (size_t)l->towers * in;
    for (uint32_t tower = 0; tower < l->towers; tower++) {
        const uint64_t w = weight_at(l, l->layers, tower);
        const size_t at = (size_t)tower * in;
        output_layer_weight(top_of(t) + at, width, n, dlogit[tower], in, ddense + w);
        double sum = 0.0;
        for (uint32_t i = 0; i < n; i++) {
            sum += (double)dlogit[tower][i];
        }
        ddense[bias_at(l, l->layers) + tower] += (float)sum;
        output_layer_input(dlogit[tower], n, t->dense + w, in, d + at, width);
    }
}

/* Layer k > 0: d is the gradient at h_k before the mask; `below` becomes the gradient at
 * h_{k-1}. */
static void hidden_backward(struct tower *t, uint32_t k, uint32_t n, float *ddense, float *d,
                            float *below) {
    const struct passes *pass = passes_at(cpu_level());
    const struct layout *l = t->layout;
    uint32_t in = l->hidden[k - 1], out = l->hidden[k], width = l->towers * out;
    for (uint32_t i = 0; i < n; i++) {
        pass->mask_and_sum(d + (size_t)i * width, t->h[k] + (size_t)i * width, t->scale,
                           ddense + bias_at(l, k), width);
    }
    for (uint32_t tower = 0; tower < l->towers; tower++) {
        const struct linear *w = &t->hidden[k][tower];
        struct matrix dh = {d + (size_t)tower * out, width};
        struct matrix x = {t->h[k - 1] + (size_t)tower * in, l->towers * in};
        linear_weight(w, &t->work, dh, x, n, ddense + weight_at(l, k, tower), in);
        linear_input(w, &t->work, dh, n, false, below + (size_t)tower * in, l->towers * in);
    }
}

/* From the gradient of the first level's mixtures: the gradient of the first product's outputs, in
 * dfirst, and that of the user side. */
static void unmix_experts(struct tower *t, const float *dh, const uint32_t *group_of, uint32_t n,
                          float *dhu) {
    const struct passes *pass = passes_at(cpu_level());
    const struct layout *l = t->layout;
    const size_t width = l->first_width, experts = (size_t)l->experts * l->hidden[0];
    expert_mix_backward(l, 0, t->first, dh, n, t->dfirst);
    for (uint32_t i = 0; i < n; i++) {
        float *row = t->dfirst + i * width, *user = dhu + group_of[i] * width;
        pass->mask_and_sum(row, t->first + i * width, 1.0f, user, experts);
        pass->add(user + experts, row + experts, width - experts);
    }
}

static void first_backward(struct tower *t, const float *xi, const uint32_t *group_of, uint32_t n,
                           float *d, float *ddense, float *dxi, float *dhu) {
    const struct passes *pass = passes_at(cpu_level());
    const struct layout *l = t->layout;
    uint32_t width = l->first_width;
    if (l->experts > 0) {
        unmix_experts(t, d, group_of, n, dhu);
        d = t->dfirst;
    }
    for (uint32_t i = 0; i < n && l->experts == 0; i++) {
        pass->mask_and_sum(d + (size_t)i * width, t->h[0] + (size_t)i * width, t->scale,
                           dhu + (size_t)group_of[i] * width, width);
    }
    t->dh = d;
    if (t->item.in > 0) {
        struct matrix dh = {d, width}, x = {xi, t->item.in};
        size_t stride;
        float *dw = factor_dleft(&t->items, ddense + weight_at(l, 0, 0), &stride);
        linear_weight(&t->item, &t->work, dh, x, n, dw, stride);
        linear_input(&t->item, &t->work, dh, n, false, dxi, t->item.in);
    }
}

static void swap(float **a, float **b) {
    float *x = *a;
    *a = *b;
    *b = x;
}

void tower_backward(struct tower *t, const float *xi, const uint32_t *group_of, uint32_t n,
                    const float *const *dlogit, float *ddense, float *dxi, float *dhu) {
    float *d = t->d[0], *below = t->d[1];
    output_backward(t, n, dlogit, ddense, d);
    if (t->layout->attention) {
        attention_backward(&t->attention, &t->work, t->h[t->layout->layers - 1], n, ddense, d);
    }
    for (uint32_t k = t->layout->layers - 1; k > 0; k--) {
        hidden_backward(t, k, n, ddense, d, below);
        swap(&d, &below);
    }
    for (uint32_t k = t->layout->levels; k > 1; k--) {
        expert_level_backward(&t->level[k - 2], &t->work, d, n, t->dfirst, ddense, below);
        swap(&d, &below);
    }
    first_backward(t, xi, group_of, n, d, ddense, dxi, dhu);
}

void tower_users_backward(const struct tower *t, const float *xu, const float *dhu, uint32_t groups,
                          float *ddense, float *dxu) {
    const struct passes *pass = passes_at(cpu_level());
    const struct layout *l = t->layout;
    uint32_t width = l->first_width;
    float *db = ddense + bias_at(l, 0);
    for (uint32_t g = 0; g < groups; g++) {
        pass->add(db, dhu + (size_t)g * width, width);
    }
    if (t->user.in > 0) {
        struct matrix dh = {dhu, width}, x = {xu, t->user.in};
        size_t stride;
        float *dw = factor_dleft(&t->users, ddense + weight_at(l, 0, 0), &stride);
        linear_weight(&t->user, &t->work, dh, x, groups, dw, stride);
        linear_input(&t->user, &t->work, dh, groups, false, dxu, t->user.in);
    }
}
