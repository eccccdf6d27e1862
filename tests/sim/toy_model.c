/* toy_model.c - the model of simulated workers, linked in the place of worker/model/model.c: with
 * sgd at rate 1 and initial values of 0 each impression adds exactly 1 to the row of each of its
 * features, and each batch adds 1 to every dense value. So what has been trained on can be counted
 * in the rows. A batch takes some time. */
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "fibers.h"
#include "worker/model/model.h"

#define TRAIN_MS 12

struct model {
    const struct layout *layout;
};

enum status model_create(struct model **m, const struct layout *layout,
                         const struct loss_spec *loss, const struct kernel *kernel) {
    (void)loss;
    (void)kernel;
    TRY(mem_new(m));
    (*m)->layout = layout;
    return OK;
}

void model_charge(struct model *m, struct laps *laps) {
    (void)m;
    (void)laps;
}

void model_drop(struct model *m, struct dropout dropout) {
    (void)m;
    (void)dropout;
}

void model_destroy(struct model **m) {
    mem_free(m);
}

enum status model_forward(struct model *m, const struct batch *b, const float *const *rows,
                          const float *dense, float *logit_a, float *logit_b) {
    (void)m;
    (void)rows;
    (void)dense;
    for (uint32_t i = 0; i < b->impressions; i++) {
        logit_a[i] = (float)(b->impression_id[i] % 7) - 3;
        logit_b[i] = (float)(b->impression_id[i] % 5) - 2;
    }
    return OK;
}

/* A bag of a user field counts once for each impression of its group. */
static void count_bags(const struct batch *b, uint32_t f, float *d) {
    const struct batch_field *x = &b->field[f];
    for (uint32_t u = 0; u < x->unique; u++) {
        d[u] = 0;
    }
    for (uint32_t i = 0; i < b->impressions; i++) {
        const uint32_t bag = f < b->user_fields ? b->group_of[i] : i;
        for (uint32_t k = x->start[bag]; k < x->start[bag + 1]; k++) {
            d[x->index[k]] -= 1;
        }
    }
}

enum status model_train(struct model *m, const struct batch *b, const float *const *rows,
                        const float *dense, float *logit_a, float *logit_b, float *const *drows,
                        float *ddense, struct loss_sums *sums) {
    for (uint32_t f = 0; f < b->fields; f++) {
        count_bags(b, f, drows[f]);
    }
    for (size_t i = 0; i < m->layout->count; i++) {
        ddense[i] = -1;
    }
    *sums = (struct loss_sums){.total = b->impressions};
    clock_sleep_ms(sim_below(TRAIN_MS));
    return model_forward(m, b, rows, dense, logit_a, logit_b);
}
