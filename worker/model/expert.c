/* expert.c - gates and mixtures, one impression after the other; and levels of experts on
 * mixtures, a chunk of impressions at a time.
 *
 * Experts and gates come out of products; those of the first level come out of one product, which
 * shares the user side. What is left here is T S H1 multiplications an impression each way, a few
 * hundredths of that product.
 *
 * In the levels above the first the layout keeps a strand's experts adjacent, so they are one
 * product. The strand's gate is another product, because the other strands' experts lie between.
 * The order is that of the first level, where all experts and gates read the same input and one
 * product serves all of them. A gate's own product is small beside its experts', so a second order
 * of the rows is not worth its code.
 */
#include "expert.h"

#include <math.h>
#include <string.h>

#include "common/base/mem.h"
#include "passes.h"

/* --- mixtures --------------------------------------------------------------------------------- */

static void softmax(float *x, uint32_t n) {
    float top = x[0], sum = 0.0f;
    for (uint32_t j = 1; j < n; j++) {
        top = x[j] > top ? x[j] : top;
    }
    for (uint32_t j = 0; j < n; j++) {
        x[j] = expf(x[j] - top);
        sum += x[j];
    }
    for (uint32_t j = 0; j < n; j++) {
        x[j] /= sum;
    }
}

/* Computes h of one strand of one impression; `experts` points to the outputs of the first
 * expert. */
static void mix(const struct layout *l, uint32_t strand, const float *experts, float *gate,
                float *h) {
    const uint32_t width = l->hidden[0], choices = layout_choices(l, strand);
    softmax(gate, choices);
    memset(h, 0, width * sizeof *h);
    for (uint32_t j = 0; j < choices; j++) {
        const float *e = experts + (size_t)layout_expert(l, strand, j) * width;
        for (uint32_t c = 0; c < width; c++) {
            h[c] += gate[j] * e[c];
        }
    }
}

void expert_mix_forward(const struct layout *l, uint32_t level, float *out, uint32_t n, float *h) {
    const uint32_t gates = layout_gates(l, level);
    for (uint32_t i = 0; i < n; i++, out += layout_level_width(l, level)) {
        float *gate = out + (size_t)l->experts * l->hidden[0];
        for (uint32_t k = 0; k < gates; k++, h += l->hidden[0]) {
            mix(l, k, out, gate, h);
            gate += layout_choices(l, k);
        }
    }
}

static float mix_dot(const float *a, const float *b, uint32_t n) {
    float sum = 0.0f;
    for (uint32_t c = 0; c < n; c++) {
        sum += a[c] * b[c];
    }
    return sum;
}

/* For one strand of one impression: adds to dexperts and sets dgate. */
static void unmix(const struct layout *l, uint32_t strand, const float *experts, const float *gate,
                  const float *dh, float *dexperts, float *dgate) {
    const uint32_t width = l->hidden[0], choices = layout_choices(l, strand);
    float mean = 0.0f;
    for (uint32_t j = 0; j < choices; j++) {
        const size_t at = (size_t)layout_expert(l, strand, j) * width;
        dgate[j] = mix_dot(dh, experts + at, width);
        mean += gate[j] * dgate[j];
        for (uint32_t c = 0; c < width; c++) {
            dexperts[at + c] += gate[j] * dh[c];
        }
    }
    for (uint32_t j = 0; j < choices; j++) {
        dgate[j] = gate[j] * (dgate[j] - mean);
    }
}

void expert_mix_backward(const struct layout *l, uint32_t level, const float *out, const float *dh,
                         uint32_t n, float *dout) {
    const size_t width = layout_level_width(l, level), experts = (size_t)l->experts * l->hidden[0];
    const uint32_t gates = layout_gates(l, level);
    memset(dout, 0, n * width * sizeof *dout);
    for (uint32_t i = 0; i < n; i++, out += width, dout += width) {
        size_t gate = experts;
        for (uint32_t k = 0; k < gates; k++, dh += l->hidden[0]) {
            unmix(l, k, out, out + gate, dh, dout, dout + gate);
            gate += layout_choices(l, k);
        }
    }
}

/* --- levels ----------------------------------------------------------------------------------- */

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
    const struct passes *pass = passes_at(cpu_level());
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
        pass->add_relu(row, bias, experts);
        pass->add(row + experts, bias + experts, width - experts);
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
    const struct passes *pass = passes_at(cpu_level());
    const struct layout *l = t->layout;
    const size_t width = layout_level_width(l, t->number), experts = gate_at(l, 0);
    float *dbias = ddense + bias_at(t);
    expert_mix_backward(l, t->number, t->out, dh, n, dout);
    for (uint32_t i = 0; i < n; i++) {
        float *row = dout + i * width;
        pass->mask_and_sum(row, t->out + i * width, 1.0f, dbias, experts);
        pass->add(dbias + experts, row + experts, width - experts);
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
