/* metric_pr.c - area under the precision-recall curve, as average precision.
 *
 *     AP = sum over tie groups k, from the highest score down, of (pos_k / P) * precision_k,
 *
 * precision_k being the share of positives among all rows down to and with group k. Rows of one
 * score are added together, because a threshold takes all of them or none. Each group is a step. A
 * trapezoid between two points of the curve would assume precisions that no threshold reaches
 * (Davis and Goadrich 2006), above all if many ties leave few points. The expected value for a
 * random score is the base rate, so the baseline is the base rate, not one half.
 */
#include "metric_pr.h"

#include <math.h>

#include "metric_sweep.h"

double metric_order_pr_auc(const struct metric_order *o, const uint8_t *label,
                           const float *weight) {
    double sum = 0.0, positives = 0.0, taken = 0.0, open = 0.0;
    for (size_t i = o->n; i-- > 0;) {
        const double w = weight_at(weight, o->rows[i].tag);
        open += label[o->rows[i].tag] != 0 ? w : 0.0;
        taken += w;
        if (open > 0.0 && (i == 0 || o->rows[i].key != o->rows[i - 1].key)) {
            positives += open;
            sum += open * (positives / taken);
            open = 0.0;
        }
    }
    bool defined = !o->nan && positives > 0.0 && positives < taken;
    return defined ? sum / positives : NAN;
}
