#include "optimizer_kind.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

const char *optimizer_name(enum optimizer_kind kind) {
    static const char *const names[] = {"sgd",  "adam",    "adagrad",        "rowwise_adagrad",
                                        "ftrl", "rmsprop", "rowwise_rmsprop"};
    return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "unknown";
}

uint32_t optimizer_state_floats(enum optimizer_kind kind, uint32_t dim) {
    switch (kind) {
    case OPT_SGD: return 0;
    case OPT_ADAGRAD:
    case OPT_RMSPROP: return dim;
    case OPT_ROWWISE_ADAGRAD:
    case OPT_ROWWISE_RMSPROP: return dim > 0 ? 1 : 0;
    case OPT_ADAM:
    case OPT_FTRL: return 2 * dim;
    }
    assert(false && "unknown optimizer");
    return 0;
}
