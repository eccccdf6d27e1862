/* expert_level.c - one level of experts on mixtures, a chunk of impressions at a time.
 *
 * The layout keeps a strand's experts adjacent, so they are one product. The strand's gate is
 * another product, because the other strands' experts lie between. The order is that of the first
 * level, where all experts and gates read the same input and one product serves all of them. A
 * gate's own product is small beside its experts', so a second order of the rows is not worth its
 * code.
 */
#include "expert_level.h"

#include "common/base/mem.h"
#include "expert_mix.h"
#include "relu.h"

/* Where a strand's part of a row begins: in x, in the experts' outputs, in the gates. */
static size_t x_at(const struct layout *l, uint32_t strand) {
    return (size_t)strand * l->hidden[0];
}

static size_t experts_at(const struct layout *l, uint32_t strand) {
    return (size_t)strand * l->own * l->hidden[0];
}

static size_t gate_at(const struct layout *l, uint32_t strand) {
    return (size_t)l->experts * l->hidden[0] + (size_t)strand * l->choices;
}

static size_t x_width(const struct layout *l) {
    return x_at(l, l->towers + 1);
}

static uint64_t weight_at(const struct expert_level *t, uint32_t block) {
    return layout_block(t->layout, t->number, block)->offset;
}

static uint64_t bias_at(const struct expert_level *t) {
    return layout_block_bias(t->layout, t->number, 0)->offset;
}

enum status expert_level_init(struct expert_level *t, const struct layout *layout, uint32_t number,
                              const struct kernel *kernel, size_t rows) {
    *t = (struct expert_level){.layout = layout, .number = number};
    const uint32_t width = layout->hidden[0];
    for (uint32_t s = 0; s <= layout->towers; s++) {
        TRY(linear_init(&t->expert[s], kernel, layout->own * width, width));
    }
    for (uint32_t s = 0; s < layout_gates(layout, number); s++) {
        TRY(linear_init(&t->gate[s], kernel, layout_choices(layout, s), width));
    }
    TRY(mem_array(&t->x, rows * x_width(layout)));
    return mem_array(&t->out, rows * layout_level_width(layout, number));
}

void expert_level_fini(struct expert_level *t) {
    for (uint32_t s = 0; s < STRANDS_MAX; s++) {
        linear_fini(&t->expert[s]);
        linear_fini(&t->gate[s]);
    }
    mem_free(&t->x);
    mem_free(&t->out);
}

void expert_level_load(struct expert_level *t, const float *dense, bool backward) {
    const struct layout *l = t->layout;
    const size_t width = l->hidden[0];
    t->dense = dense;
    for (uint32_t s = 0; s <= l->towers; s++) {
        const float *w = dense + weight_at(t, s * l->own);
        linear_load(&t->expert[s], (struct matrix){w, width}, backward);
    }
    for (uint32_t s = 0; s < layout_gates(l, t->number); s++) {
        const float *w = dense + weight_at(t, l->experts + s);
        linear_load(&t->gate[s], (struct matrix){w, width}, backward);
    }
}

void expert_level_forward(struct expert_level *t, const struct linear_work *work, uint32_t n,
                          float *h) {
    const struct layout *l = t->layout;
    const size_t width = layout_level_width(l, t->number), experts = gate_at(l, 0);
    for (uint32_t s = 0; s <= l->towers; s++) {
        const struct matrix x = {t->x + x_at(l, s), x_width(l)};
        linear_forward(&t->expert[s], work, x, n, false, t->out + experts_at(l, s), width);
        if (s < layout_gates(l, t->number)) {
            linear_forward(&t->gate[s], work, x, n, false, t->out + gate_at(l, s), width);
        }
    }
    const float *bias = t->dense + bias_at(t);
    for (uint32_t i = 0; i < n; i++) {
        float *row = t->out + i * width;
        add_relu(row, bias, experts);
        add_to(row + experts, bias + experts, width - experts);
    }
    expert_mix_forward(l, t->number, t->out, n, h);
}

/* For one strand's product: the gradient of its weights, and that of its input. */
static void level_through(const struct expert_level *t, const struct linear_work *work,
                          const struct linear *w, uint32_t strand, const float *dout, uint32_t n,
                          float *dw, bool add, float *dx) {
    const struct layout *l = t->layout;
    const struct matrix d = {dout, layout_level_width(l, t->number)};
    const struct matrix x = {t->x + x_at(l, strand), x_width(l)};
    linear_weight(w, work, d, x, n, dw, l->hidden[0]);
    linear_input(w, work, d, n, add, dx + x_at(l, strand), x_width(l));
}

void expert_level_backward(struct expert_level *t, const struct linear_work *work, const float *dh,
                           uint32_t n, float *dout, float *ddense, float *dx) {
    const struct layout *l = t->layout;
    const size_t width = layout_level_width(l, t->number), experts = gate_at(l, 0);
    float *dbias = ddense + bias_at(t);
    expert_mix_backward(l, t->number, t->out, dh, n, dout);
    for (uint32_t i = 0; i < n; i++) {
        float *row = dout + i * width;
        mask_and_sum(row, t->out + i * width, 1.0f, dbias, experts);
        add_to(dbias + experts, row + experts, width - experts);
    }
    for (uint32_t s = 0; s <= l->towers; s++) {
        level_through(t, work, &t->expert[s], s, dout + experts_at(l, s), n,
                      ddense + weight_at(t, s * l->own), false, dx);
        if (s < layout_gates(l, t->number)) {
            level_through(t, work, &t->gate[s], s, dout + gate_at(l, s), n,
                          ddense + weight_at(t, l->experts + s), true, dx);
        }
    }
}
