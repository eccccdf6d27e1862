/* optimizer_kind.h - the update rules there are, and what each keeps of a row: what the
 * configuration, part files and the rules themselves (ps/optimizer.h) agree on. */
#pragma once

#include <stdint.h>

enum optimizer_kind { OPT_SGD, OPT_ADAM, OPT_ADAGRAD, OPT_ROWWISE_ADAGRAD, OPT_FTRL };

/* As in a configuration: "rowwise_adagrad". */
const char *optimizer_name(enum optimizer_kind kind);
/* Floats of state beside dim weights. */
uint32_t optimizer_state_floats(enum optimizer_kind kind, uint32_t dim);
