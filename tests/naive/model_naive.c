/* model_naive.c - the oracle: one impression at a time, one multiplication at a time, in double.
 *
 * It shares nothing with the fast model but the layout and the loss of one impression. The input is
 * built per impression without groups, each tower has its own loops, and every gradient is added
 * where the chain rule says. With PRECISION_BF16 the operands of every product except the output
 * layer's are rounded first. It is some forty times slower (bench_model).
 */
#include "model_naive.h"

#include <math.h>
#include <string.h>

#include "attention_naive.h"
#include "common/base/mem.h"
#include "dropout_naive.h"
#include "linear_naive.h"
#include "pool_naive.h"

/* One layer of one tower. */
struct naive_layer {
    const float *w, *b;
    double *dw, *db;
    uint32_t in, out;
    bool last, round;
};

static double operand(const struct naive_layer *n, double x) {
    return n->round ? (double)linear_naive_round(PRECISION_BF16, x) : x;
}

/* What all layers of a step have in common. */
struct naive_step {
    const struct layout *layout;
    enum precision precision;
    const float *dense;
    double *ddense;
    const struct dropout *dropout;
    struct batch_name name;
    uint32_t impression; /* the current one */
};

static struct naive_layer layer_at(const struct naive_step *s, const struct layout_array *w,
                                   const struct layout_array *b, bool last, bool hidden) {
    return (struct naive_layer){
        .w = s->dense + w->offset,
        .b = s->dense + b->offset,
        .dw = s->ddense + w->offset,
        .db = s->ddense + b->offset,
        .in = w->cols,
        .out = w->rows,
        .last = last,
        .round = s->precision == PRECISION_BF16 && hidden,
    };
}

static struct naive_layer layer_of(const struct naive_step *s, uint32_t k, uint32_t tower) {
    const struct layout *l = s->layout;
    const bool last = k == l->layers;
    return layer_at(s, layout_weight(l, k, tower), layout_bias(l, k, tower), last, !last);
}

static void layer_forward(const struct naive_layer *n, const double *x, double *y) {
    for (uint32_t o = 0; o < n->out; o++) {
        double z = (double)n->b[o];
        for (uint32_t i = 0; i < n->in; i++) {
            z += operand(n, (double)n->w[(size_t)o * n->in + i]) * operand(n, x[i]);
        }
        y[o] = z > 0.0 || n->last ? z : 0.0;
    }
}

/* Adds to dx; dy is the gradient after the relu. */
static void layer_backward(const struct naive_layer *n, const double *x, const double *y,
                           const double *dy, double *dx) {
    for (uint32_t o = 0; o < n->out; o++) {
        double dz = y[o] > 0.0 || n->last ? dy[o] : 0.0;
        n->db[o] += dz;
        for (uint32_t i = 0; i < n->in; i++) {
            double w = (double)n->w[(size_t)o * n->in + i];
            n->dw[(size_t)o * n->in + i] += operand(n, dz) * operand(n, x[i]);
            dx[i] += operand(n, dz) * operand(n, w);
        }
    }
}

/* Multiplies activations of layer k of a tower, or their gradients, by the dropout's mask. */
static void thin(const struct naive_step *s, uint32_t k, uint32_t tower, double *y) {
    const uint32_t width = s->layout->hidden[k];
    for (uint32_t o = 0; o < width && s->dropout != NULL; o++) {
        y[o] *= dropout_naive(s->dropout, s->name, k, s->impression, tower * width + o);
    }
}

/* Activations and gradients of one impression in one tower: level 0 is the input. */
struct trace {
    double *y[CONFIG_LAYERS_MAX + 2], *dy[CONFIG_LAYERS_MAX + 2];
};

static double *level(double **at, size_t width) {
    double *y = *at;
    *at += width;
    return y;
}

static size_t trace_doubles(const struct layout *l) {
    size_t width = l->input_width + 1;
    for (uint32_t k = 0; k < l->layers; k++) {
        width += l->hidden[k];
    }
    return 2 * width;
}

static void trace_lay(struct trace *t, const struct layout *l, double *store) {
    for (uint32_t k = 0; k <= l->layers + 1; k++) {
        size_t width = k == 0 ? l->input_width : k <= l->layers ? l->hidden[k - 1] : 1;
        t->y[k] = level(&store, width);
        t->dy[k] = level(&store, width);
    }
}

/* A level of experts of one impression: outputs e [E][H1]; gates g after the softmax, one after the
 * other; mixtures m [G][H1]; and the gradients. */
struct experts {
    double *e, *de, *g, *dg, *m, *dm;
};

static size_t experts_doubles(const struct layout *l) {
    size_t doubles = 0;
    for (uint32_t k = 0; k < l->levels; k++) {
        doubles += 2 * (layout_level_width(l, k) + (size_t)layout_gates(l, k) * l->hidden[0]);
    }
    return doubles;
}

/* m has one element for each level. */
static void experts_lay(struct experts *m, const struct layout *l, double *store) {
    const size_t outputs = (size_t)l->experts * l->hidden[0];
    for (uint32_t k = 0; k < l->levels; k++) {
        const size_t gates = layout_level_width(l, k) - outputs;
        const size_t mixtures = (size_t)layout_gates(l, k) * l->hidden[0];
        m[k].e = level(&store, outputs);
        m[k].de = level(&store, outputs);
        m[k].g = level(&store, gates);
        m[k].dg = level(&store, gates);
        m[k].m = level(&store, mixtures);
        m[k].dm = level(&store, mixtures);
    }
}

/* An expert or a gate, and the strand whose mixture below it reads. */
struct naive_block {
    struct naive_layer layer;
    uint32_t strand;
    size_t at; /* in e or in g */
    bool gate;
};

static struct naive_block block_of(const struct naive_step *s, uint32_t number, uint32_t block) {
    const struct layout *l = s->layout;
    const bool gate = block >= l->experts;
    const uint32_t strand = gate ? block - l->experts : l->own > 0 ? block / l->own : 0;
    const struct layout_array *w = layout_block(l, number, block);
    return (struct naive_block){
        .layer = layer_at(s, w, layout_block_bias(l, number, block), gate, true),
        .strand = strand,
        .at = gate ? (size_t)strand * l->choices : (size_t)block * l->hidden[0],
        .gate = gate,
    };
}

static void softmax_naive(double *g, uint32_t n) {
    double sum = 0.0;
    for (uint32_t j = 0; j < n; j++) {
        sum += exp(g[j]);
    }
    for (uint32_t j = 0; j < n; j++) {
        g[j] = exp(g[j]) / sum;
    }
}

/* Computes the mixture of one strand. */
static void expert_mix_naive(const struct layout *l, const struct experts *m, uint32_t strand) {
    double *h = m->m + (size_t)strand * l->hidden[0];
    for (uint32_t c = 0; c < l->hidden[0]; c++) {
        h[c] = 0.0;
        for (uint32_t j = 0; j < layout_choices(l, strand); j++) {
            h[c] += m->g[(size_t)strand * l->choices + j] *
                    m->e[(size_t)layout_expert(l, strand, j) * l->hidden[0] + c];
        }
    }
}

static void experts_forward_naive(const struct naive_step *s, const double *x, struct experts *m) {
    const struct layout *l = s->layout;
    for (uint32_t k = 0; k < l->levels; k++) {
        for (uint32_t block = 0; block < layout_blocks(l, k); block++) {
            const struct naive_block b = block_of(s, k, block);
            const double *in = k == 0 ? x : m[k - 1].m + (size_t)b.strand * l->hidden[0];
            layer_forward(&b.layer, in, b.gate ? m[k].g + b.at : m[k].e + b.at);
            if (b.gate) {
                softmax_naive(m[k].g + b.at, b.layer.out);
            }
        }
        for (uint32_t strand = 0; strand < layout_gates(l, k); strand++) {
            expert_mix_naive(l, &m[k], strand);
        }
    }
}

/* From the gradient of a strand's mixture: adds to de and sets the strand's dg, the gradient of the
 * gate's logits. */
static void unmix_naive(const struct layout *l, struct experts *m, uint32_t strand) {
    const uint32_t choices = layout_choices(l, strand);
    const double *g = m->g + (size_t)strand * l->choices;
    const double *dh = m->dm + (size_t)strand * l->hidden[0];
    double *dg = m->dg + (size_t)strand * l->choices, each[EXPERTS_MAX] = {0};
    for (uint32_t j = 0; j < choices; j++) {
        const size_t at = (size_t)layout_expert(l, strand, j) * l->hidden[0];
        for (uint32_t c = 0; c < l->hidden[0]; c++) {
            each[j] += dh[c] * m->e[at + c];
            m->de[at + c] += g[j] * dh[c];
        }
    }
    for (uint32_t j = 0; j < choices; j++) { /* the softmax's Jacobian, term by term */
        dg[j] = 0.0;
        for (uint32_t i = 0; i < choices; i++) {
            dg[j] += each[i] * g[i] * ((i == j ? 1.0 : 0.0) - g[j]);
        }
    }
}

/* Starts from dm of the last level, which the towers have set; adds the input's gradient to dx. */
static void experts_backward_naive(const struct naive_step *s, const double *x, struct experts *m,
                                   double *dx) {
    const struct layout *l = s->layout;
    for (uint32_t k = l->levels; k-- > 0;) {
        memset(m[k].de, 0, (size_t)l->experts * l->hidden[0] * sizeof *m[k].de);
        for (uint32_t strand = 0; strand < layout_gates(l, k); strand++) {
            unmix_naive(l, &m[k], strand);
        }
        if (k > 0) {
            memset(m[k - 1].dm, 0, (size_t)(l->towers + 1) * l->hidden[0] * sizeof *m[k - 1].dm);
        }
        for (uint32_t block = 0; block < layout_blocks(l, k); block++) {
            const struct naive_block b = block_of(s, k, block);
            const size_t below = (size_t)b.strand * l->hidden[0];
            layer_backward(&b.layer, k == 0 ? x : m[k - 1].m + below,
                           (b.gate ? m[k].g : m[k].e) + b.at, (b.gate ? m[k].dg : m[k].de) + b.at,
                           k == 0 ? dx : m[k - 1].dm + below);
        }
    }
}

/* experts_forward_naive must have filled m. */
static double tower_forward_naive(const struct naive_step *s, uint32_t tower, const double *x,
                                  struct trace *t, const struct experts *m) {
    const struct layout *l = s->layout;
    memcpy(t->y[0], x, l->input_width * sizeof *x);
    if (l->experts > 0) {
        memcpy(t->y[1], m[l->levels - 1].m + (size_t)tower * l->hidden[0],
               l->hidden[0] * sizeof *t->y[1]);
    }
    for (uint32_t k = l->experts > 0 ? 1 : 0; k <= l->layers; k++) {
        struct naive_layer n = layer_of(s, k, tower);
        layer_forward(&n, t->y[k], t->y[k + 1]);
        if (k < l->layers) {
            thin(s, k, tower, t->y[k + 1]);
        }
    }
    return t->y[l->layers + 1][0];
}

/* The output layer of one tower, whose input is `top`; writes the gradient of `top` to dtop. */
static void output_backward_naive(const struct naive_step *s, uint32_t tower, double dlogit,
                                  struct trace *t, const double *top, double *dtop) {
    const struct layout *l = s->layout;
    const struct naive_layer n = layer_of(s, l->layers, tower);
    t->dy[l->layers + 1][0] = dlogit;
    memset(dtop, 0, n.in * sizeof *dtop);
    layer_backward(&n, top, t->y[l->layers + 1], t->dy[l->layers + 1], dtop);
}

/* For attention: the last activations of both towers, what attention makes of them, and the
 * gradients, [2 L] each. */
struct transfer {
    double *h, *z, *dz, *dh, *room;
};

static size_t transfer_doubles(const struct layout *l) {
    return l->attention ? 4 * 2 * (size_t)l->hidden[l->layers - 1] + attention_naive_doubles(l) : 0;
}

static void transfer_lay(struct transfer *t, const struct layout *l, double *store) {
    const size_t both = 2 * (size_t)l->hidden[l->layers - 1];
    *t = (struct transfer){store, store + both, store + 2 * both, store + 3 * both,
                           store + 4 * both};
}

/* The towers have gone forward without attention; this computes the logits anew. */
static void transfer_forward_naive(const struct naive_step *s, struct trace *traces,
                                   struct transfer *t, double *logit) {
    const struct layout *l = s->layout;
    const uint32_t width = l->hidden[l->layers - 1];
    for (uint32_t k = 0; k < l->towers; k++) {
        memcpy(t->h + (size_t)k * width, traces[k].y[l->layers], width * sizeof *t->h);
    }
    attention_naive_forward(l, s->precision, s->dense, t->h, t->room, t->z);
    for (uint32_t k = 0; k < l->towers; k++) {
        const struct naive_layer n = layer_of(s, l->layers, k);
        layer_forward(&n, t->z + (size_t)k * width, traces[k].y[l->layers + 1]);
        logit[k] = traces[k].y[l->layers + 1][0];
    }
}

/* Goes back to the gradients of the towers' last activations. */
static void transfer_backward_naive(const struct naive_step *s, struct trace *traces,
                                    struct transfer *t, const double *dlogit) {
    const struct layout *l = s->layout;
    const uint32_t width = l->hidden[l->layers - 1];
    for (uint32_t k = 0; k < l->towers; k++) {
        output_backward_naive(s, k, dlogit[k], &traces[k], t->z + (size_t)k * width,
                              t->dz + (size_t)k * width);
    }
    attention_naive_backward(l, s->precision, s->dense, t->h, t->dz, t->room, s->ddense, t->dh);
    for (uint32_t k = 0; k < l->towers; k++) {
        memcpy(traces[k].dy[l->layers], t->dh + (size_t)k * width, width * sizeof *t->dh);
    }
}

/* From the gradient of the last activations: adds the input's gradient to dx, or the mixture's
 * gradient to the experts'. */
static void tower_backward_naive(const struct naive_step *s, uint32_t tower, struct trace *t,
                                 struct experts *m, double *dx) {
    const struct layout *l = s->layout;
    const uint32_t lowest = l->experts > 0 ? 1 : 0;
    for (uint32_t k = l->layers; k-- > lowest;) {
        struct naive_layer n = layer_of(s, k, tower);
        thin(s, k, tower, t->dy[k + 1]);
        memset(t->dy[k], 0, n.in * sizeof *t->dy[k]);
        layer_backward(&n, t->y[k], t->y[k + 1], t->dy[k + 1], t->dy[k]);
    }
    if (l->experts > 0) {
        memcpy(m[l->levels - 1].dm + (size_t)tower * l->hidden[0], t->dy[1],
               l->hidden[0] * sizeof *t->dy[1]);
        return;
    }
    for (uint32_t c = 0; c < l->input_width; c++) {
        dx[c] += t->dy[0][c];
    }
}

static void pool_backward_naive(const struct layout *l, const struct batch *b, uint32_t i,
                                const double *dx, double *const *drows) {
    for (uint32_t f = 0; f < l->fields; f++) {
        const struct batch_field *field = &b->field[f];
        uint32_t bag = f < l->user_fields ? b->group_of[i] : i;
        for (uint32_t v = field->start[bag]; v < field->start[bag + 1]; v++) {
            double weight = field->plain ? 1.0 : (double)field->weight[v];
            double *drow = drows[f] + (size_t)field->index[v] * l->dim[f];
            for (uint32_t d = 0; d < l->dim[f]; d++) {
                drow[d] += weight * dx[l->column[f] + d];
            }
        }
    }
}

static void clear(const struct layout *l, const struct batch *b, double *const *drows,
                  double *ddense) {
    memset(ddense, 0, l->count * sizeof *ddense);
    for (uint32_t f = 0; f < l->fields; f++) {
        for (size_t i = 0; i < (size_t)b->field[f].unique * l->dim[f]; i++) {
            drows[f][i] = 0.0;
        }
    }
}

/* Clears the gradients of weights that stay zero. */
static void clear_foreign(const struct layout *l, double *ddense) {
    for (uint32_t k = 0; k < l->towers; k++) {
        const struct layout_array *w = layout_weight(l, 0, k);
        for (uint64_t i = 0; i < (uint64_t)w->rows * w->cols; i++) {
            if (layout_foreign(l, k, (uint32_t)(i % w->cols))) {
                ddense[w->offset + i] = 0.0;
            }
        }
    }
}

static void normalise_naive(struct naive_step *s, struct trace *t, struct experts *m,
                            const double *x, const struct batch *b, struct loss_spec *spec) {
    struct loss_totals sums = {0};
    for (uint32_t i = 0; i < b->impressions; i++) {
        const double *xi = x + (size_t)i * s->layout->input_width;
        s->impression = i;
        experts_forward_naive(s, xi, m);
        const float z = (float)tower_forward_naive(s, 0, xi, t, m);
        loss_totals_add(&sums, spec, &z, &b->labels[i], b->weight != NULL ? &b->weight[i] : NULL,
                        1);
    }
    loss_normalise(spec, &sums);
}

enum status model_train_naive(const struct layout *l, enum precision precision,
                              const struct loss_spec *loss, const struct dropout *dropout,
                              const struct batch *b, const float *const *rows, const float *dense,
                              double *const *logit, double *const *drows, double *ddense,
                              double *loss_mean) {
    struct naive_step step = {.layout = l,
                              .precision = precision,
                              .dense = dense,
                              .ddense = ddense,
                              .dropout = dropout,
                              .name = b->name};
    size_t width = l->input_width, inputs = (size_t)b->impressions * width;
    size_t trace = trace_doubles(l);
    double *store = NULL;
    const size_t parts = l->towers * trace + experts_doubles(l) + transfer_doubles(l);
    TRY(mem_array(&store, inputs + width + parts));
    double *x = store, *dx = x + inputs;
    struct trace traces[TOWERS_MAX];
    for (uint32_t k = 0; k < l->towers; k++) {
        trace_lay(&traces[k], l, dx + width + k * trace);
    }
    struct experts experts[LEVELS_MAX];
    experts_lay(experts, l, dx + width + l->towers * trace);
    struct transfer transfer;
    transfer_lay(&transfer, l, dx + width + l->towers * trace + experts_doubles(l));
    pool_forward_naive(l, b, rows, x);
    clear(l, b, drows, ddense);
    *loss_mean = 0.0;
    const struct loss_rows records = {
        NULL, b->labels, b->impression_id, b->weight, b->records ? b->kind : NULL, b->elapsed_days};
    double n = (double)b->impressions;
    struct loss_spec spec = *loss;
    if (method_of(loss->model)->whole_batch) {
        normalise_naive(&step, &traces[0], experts, x, b, &spec);
    }
    for (uint32_t i = 0; i < b->impressions; i++) {
        double z[TOWERS_MAX], dz[TOWERS_MAX];
        struct loss_sums terms;
        step.impression = i;
        experts_forward_naive(&step, x + i * width, experts);
        for (uint32_t k = 0; k < l->towers; k++) {
            z[k] = tower_forward_naive(&step, k, x + i * width, &traces[k], experts);
        }
        if (l->attention) {
            transfer_forward_naive(&step, traces, &transfer, z);
        }
        loss_record(&spec, z, &records, i, &terms, dz);
        const double m = b->weight != NULL ? (double)b->weight[i] : 1.0;
        *loss_mean += m * terms.total / n;
        memset(dx, 0, width * sizeof *dx);
        for (uint32_t k = 0; k < l->towers; k++) {
            logit[k][i] = z[k];
            dz[k] *= m / n;
        }
        if (l->attention) {
            transfer_backward_naive(&step, traces, &transfer, dz);
        }
        for (uint32_t k = 0; k < l->towers && !l->attention; k++) {
            output_backward_naive(&step, k, dz[k], &traces[k], traces[k].y[l->layers],
                                  traces[k].dy[l->layers]);
        }
        for (uint32_t k = 0; k < l->towers; k++) {
            tower_backward_naive(&step, k, &traces[k], experts, dx);
        }
        experts_backward_naive(&step, x + i * width, experts, dx);
        pool_backward_naive(l, b, i, dx, drows);
    }
    clear_foreign(l, ddense);
    mem_free(&store);
    return OK;
}
