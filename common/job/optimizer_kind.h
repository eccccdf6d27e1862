/* optimizer_kind.h - the update rules and the state that each keeps for a row. The configuration,
 * part files and the rules themselves (ps/table/optimizer.h) share it. */
#pragma once

#include <stdint.h>

enum optimizer_kind {
    OPT_SGD,
    OPT_ADAM,
    OPT_ADAGRAD,
    OPT_ROWWISE_ADAGRAD,
    OPT_FTRL,
    OPT_RMSPROP,
    OPT_ROWWISE_RMSPROP
};

/* The name as in a configuration: "rowwise_adagrad". */
const char *optimizer_name(enum optimizer_kind kind);
/* Floats of state per row, in addition to its dim weights. */
uint32_t optimizer_state_floats(enum optimizer_kind kind, uint32_t dim);
