#include "pool_naive.h"

void pool_forward_naive(const struct layout *l, const struct batch *b, const float *const *rows,
                        double *x) {
    for (uint32_t i = 0; i < b->impressions; i++) {
        double *xi = x + (size_t)i * l->input_width;
        for (uint32_t c = 0; c < l->input_width; c++) {
            xi[c] = 0.0;
        }
        for (uint32_t f = 0; f < l->fields; f++) {
            const struct batch_field *field = &b->field[f];
            uint32_t bag = f < l->user_fields ? b->group_of[i] : i;
            for (uint32_t v = field->start[bag]; v < field->start[bag + 1]; v++) {
                double weight = field->plain ? 1.0 : (double)field->weight[v];
                const float *row = rows[f] + (size_t)field->index[v] * l->dim[f];
                for (uint32_t d = 0; d < l->dim[f]; d++) {
                    xi[l->column[f] + d] += weight * (double)row[d];
                }
            }
        }
    }
}
