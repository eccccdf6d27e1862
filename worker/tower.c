/* tower.c - the matrix products of ESMM.
 *
 * Nearly all of the program's arithmetic is in the calls of cblas_sgemm below, and the first layer
 * is most of that. Since the layout keeps ctr.w1 and cvr.w1 adjacent, one product serves both
 * towers: W1 is [2 H1, I] with user columns first. The user part is a product with G rows instead
 * of n. What is not a product (bias, relu, its mask, bias gradients, sums over groups) is one pass
 * over the activations each, while they are in cache.
 *
 * BLAS must be serial (the model limits OpenBLAS to one thread); every product has a fixed shape
 * for given (n, G), so equal inputs give equal bits.
 */
#include "tower.h"

#include <cblas.h>

#include "common/mem.h"

#define TOWERS 2 /* CTR, CVR: the order of the arrays in the layout */

static uint64_t weight_at(const struct layout *l, uint32_t layer, uint32_t tower) {
    return l->array[4 * layer + tower].offset;
}

/* Of both towers: ctr.b then cvr.b are adjacent. */
static uint64_t bias_at(const struct layout *l, uint32_t layer) {
    return l->array[4 * layer + 2].offset;
}

enum status tower_init(struct tower *t, const struct layout *layout) {
    *t = (struct tower){.layout = layout};
    size_t widest = 0;
    for (uint32_t k = 0; k < layout->layers; k++) {
        size_t width = (size_t)TOWERS * layout->hidden[k];
        TRY(mem_array((void **)&t->h[k], TOWER_CHUNK * width, sizeof(float)));
        widest = width > widest ? width : widest;
    }
    for (int i = 0; i < 2; i++) {
        TRY(mem_array((void **)&t->d[i], TOWER_CHUNK * widest, sizeof(float)));
    }
    return OK;
}

void tower_fini(struct tower *t) {
    for (uint32_t k = 0; k < CONFIG_LAYERS_MAX; k++) {
        mem_free(&t->h[k]);
    }
    mem_free(&t->d[0]);
    mem_free(&t->d[1]);
}

/* --- products: a matrix is its first element and the distance of its rows ------------------ */

struct matrix {
    const float *at;
    uint32_t stride;
};

/* c [m, n] = x [m, k] w[n, k]^T + keep * c */
static void product_nt(struct matrix x, struct matrix w, uint32_t m, uint32_t n, uint32_t k,
                       float keep, float *c, uint32_t stride) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)m, (blasint)n, (blasint)k, 1.0f,
                x.at, (blasint)x.stride, w.at, (blasint)w.stride, keep, c, (blasint)stride);
}

/* c [m, n] = x [m, k] w [k, n] */
static void product_nn(struct matrix x, struct matrix w, uint32_t m, uint32_t n, uint32_t k,
                       float *c, uint32_t stride) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1.0f,
                x.at, (blasint)x.stride, w.at, (blasint)w.stride, 0.0f, c, (blasint)stride);
}

/* c [m, n] += x [k, m]^T y [k, n] */
static void product_tn(struct matrix x, struct matrix y, uint32_t m, uint32_t n, uint32_t k,
                       float *c, uint32_t stride) {
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1.0f,
                x.at, (blasint)x.stride, y.at, (blasint)y.stride, 1.0f, c, (blasint)stride);
}

/* --- passes over activations --------------------------------------------------------------- */

static inline float relu(float z) {
    return z < 0.0f ? 0.0f : z; /* NaN stays */
}

static void add_relu(float *restrict h, const float *restrict bias, size_t width) {
    for (size_t j = 0; j < width; j++) {
        h[j] = relu(h[j] + bias[j]);
    }
}

static void copy_rows(float *h, const float *bias, uint32_t rows, size_t width) {
    for (uint32_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < width; j++) {
            h[i * width + j] = bias[j];
        }
    }
}

/* d := gradient before the relu; sum += d. */
static void mask_and_sum(float *restrict d, const float *restrict h, float *restrict sum,
                         size_t width) {
    for (size_t j = 0; j < width; j++) {
        float v = h[j] > 0.0f ? d[j] : 0.0f;
        d[j] = v;
        sum[j] += v;
    }
}

/* The gradient at the last hidden layer of one tower: dlogit times the output weights. */
static void outer_rows(float *restrict d, size_t stride, const float *restrict dlogit,
                       const float *restrict w, uint32_t rows, uint32_t width) {
    for (uint32_t i = 0; i < rows; i++) {
        for (uint32_t j = 0; j < width; j++) {
            d[i * stride + j] = dlogit[i] * w[j];
        }
    }
}

/* --- forward ------------------------------------------------------------------------------- */

void tower_users(const struct tower *t, const float *dense, const float *xu, uint32_t groups,
                 float *hu) {
    const struct layout *l = t->layout;
    uint32_t width = TOWERS * l->hidden[0];
    copy_rows(hu, dense + bias_at(l, 0), groups, width);
    if (l->user_width > 0) {
        product_nt((struct matrix){xu, l->user_width},
                   (struct matrix){dense + weight_at(l, 0, 0), l->input_width}, groups, width,
                   l->user_width, 1.0f, hu, width);
    }
}

static void first_layer(struct tower *t, const float *dense, const float *xi, const float *hu,
                        const uint32_t *group_of, uint32_t n) {
    const struct layout *l = t->layout;
    uint32_t width = TOWERS * l->hidden[0];
    float *h = t->h[0];
    if (l->item_width > 0) {
        product_nt((struct matrix){xi, l->item_width},
                   (struct matrix){dense + weight_at(l, 0, 0) + l->user_width, l->input_width}, n,
                   width, l->item_width, 0.0f, h, width);
    } else {
        for (size_t j = 0; j < (size_t)n * width; j++) {
            h[j] = 0.0f;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        add_relu(h + (size_t)i * width, hu + (size_t)group_of[i] * width, width);
    }
}

static void hidden_layer(struct tower *t, const float *dense, uint32_t k, uint32_t n) {
    const struct layout *l = t->layout;
    uint32_t in = l->hidden[k - 1], out = l->hidden[k], width = TOWERS * out;
    float *h = t->h[k];
    for (uint32_t tower = 0; tower < TOWERS; tower++) {
        product_nt((struct matrix){t->h[k - 1] + (size_t)tower * in, TOWERS * in},
                   (struct matrix){dense + weight_at(l, k, tower), in}, n, out, in, 0.0f,
                   h + (size_t)tower * out, width);
    }
    for (uint32_t i = 0; i < n; i++) {
        add_relu(h + (size_t)i * width, dense + bias_at(l, k), width);
    }
}

void tower_forward(struct tower *t, const float *dense, const float *xi, const float *hu,
                   const uint32_t *group_of, uint32_t n, float *a, float *b) {
    const struct layout *l = t->layout;
    first_layer(t, dense, xi, hu, group_of, n);
    for (uint32_t k = 1; k < l->layers; k++) {
        hidden_layer(t, dense, k, n);
    }
    uint32_t in = l->hidden[l->layers - 1];
    float *logit[TOWERS] = {a, b};
    for (uint32_t tower = 0; tower < TOWERS; tower++) {
        for (uint32_t i = 0; i < n; i++) {
            logit[tower][i] = dense[bias_at(l, l->layers) + tower];
        }
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (blasint)n, (blasint)in, 1.0f,
                    t->h[l->layers - 1] + (size_t)tower * in, (blasint)(TOWERS * in),
                    dense + weight_at(l, l->layers, tower), 1, 1.0f, logit[tower], 1);
    }
}

/* --- backward ------------------------------------------------------------------------------ */

/* Output layer: its gradients, and d = the gradient at the last hidden layer. */
static void output_backward(struct tower *t, const float *dense, uint32_t n,
                            const float *const dlogit[TOWERS], float *ddense, float *d) {
    const struct layout *l = t->layout;
    uint32_t in = l->hidden[l->layers - 1];
    for (uint32_t tower = 0; tower < TOWERS; tower++) {
        uint64_t w = weight_at(l, l->layers, tower);
        cblas_sgemv(CblasRowMajor, CblasTrans, (blasint)n, (blasint)in, 1.0f,
                    t->h[l->layers - 1] + (size_t)tower * in, (blasint)(TOWERS * in), dlogit[tower],
                    1, 1.0f, ddense + w, 1);
        double sum = 0.0;
        for (uint32_t i = 0; i < n; i++) {
            sum += (double)dlogit[tower][i];
        }
        ddense[bias_at(l, l->layers) + tower] += (float)sum;
        outer_rows(d + (size_t)tower * in, (size_t)TOWERS * in, dlogit[tower], dense + w, n, in);
    }
}

/* Layer k > 0: d = gradient at h_k before the mask; leaves that of h_{k-1} in `below`. */
static void hidden_backward(struct tower *t, const float *dense, uint32_t k, uint32_t n,
                            float *ddense, float *d, float *below) {
    const struct layout *l = t->layout;
    uint32_t in = l->hidden[k - 1], out = l->hidden[k], width = TOWERS * out;
    for (uint32_t i = 0; i < n; i++) {
        mask_and_sum(d + (size_t)i * width, t->h[k] + (size_t)i * width, ddense + bias_at(l, k),
                     width);
    }
    for (uint32_t tower = 0; tower < TOWERS; tower++) {
        struct matrix dh = {d + (size_t)tower * out, width};
        struct matrix input = {t->h[k - 1] + (size_t)tower * in, TOWERS * in};
        uint64_t w = weight_at(l, k, tower);
        product_tn(dh, input, out, in, n, ddense + w, in);
        product_nn(dh, (struct matrix){dense + w, in}, n, in, out, below + (size_t)tower * in,
                   TOWERS * in);
    }
}

static void first_backward(struct tower *t, const float *dense, const float *xi,
                           const uint32_t *group_of, uint32_t n, float *d, float *ddense,
                           float *dxi, float *dhu) {
    const struct layout *l = t->layout;
    uint32_t width = TOWERS * l->hidden[0];
    for (uint32_t i = 0; i < n; i++) {
        mask_and_sum(d + (size_t)i * width, t->h[0] + (size_t)i * width,
                     dhu + (size_t)group_of[i] * width, width);
    }
    if (l->item_width > 0) {
        uint64_t w = weight_at(l, 0, 0) + l->user_width;
        struct matrix dh = {d, width};
        product_tn(dh, (struct matrix){xi, l->item_width}, width, l->item_width, n, ddense + w,
                   l->input_width);
        product_nn(dh, (struct matrix){dense + w, l->input_width}, n, l->item_width, width, dxi,
                   l->item_width);
    }
}

void tower_backward(struct tower *t, const float *dense, const float *xi, const uint32_t *group_of,
                    uint32_t n, const float *da, const float *db, float *ddense, float *dxi,
                    float *dhu) {
    const float *dlogit[TOWERS] = {da, db};
    float *d = t->d[0], *below = t->d[1];
    output_backward(t, dense, n, dlogit, ddense, d);
    for (uint32_t k = t->layout->layers - 1; k > 0; k--) {
        hidden_backward(t, dense, k, n, ddense, d, below);
        float *swap = d;
        d = below;
        below = swap;
    }
    first_backward(t, dense, xi, group_of, n, d, ddense, dxi, dhu);
}

void tower_users_backward(const struct tower *t, const float *dense, const float *xu,
                          const float *dhu, uint32_t groups, float *ddense, float *dxu) {
    const struct layout *l = t->layout;
    uint32_t width = TOWERS * l->hidden[0];
    float *db = ddense + bias_at(l, 0);
    for (uint32_t g = 0; g < groups; g++) {
        for (uint32_t j = 0; j < width; j++) {
            db[j] += dhu[(size_t)g * width + j];
        }
    }
    if (l->user_width > 0) {
        uint64_t w = weight_at(l, 0, 0);
        struct matrix dh = {dhu, width};
        product_tn(dh, (struct matrix){xu, l->user_width}, width, l->user_width, groups, ddense + w,
                   l->input_width);
        product_nn(dh, (struct matrix){dense + w, l->input_width}, groups, l->user_width, width,
                   dxu, l->user_width);
    }
}
