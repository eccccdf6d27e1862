/* table_config.h - the configuration of one table, which holds the rows of one field. */
#pragma once

#include <stdint.h>
#include "optimizer_config.h"

#define DIM_MAX 256u /* floats of a row, of all its dictionaries */

/* What a server does with new rows once it has reached its memory limit. */
enum memory_policy { MEMORY_REFUSE, MEMORY_EVICT };

/* What a number of a row is kept as (common/checkpoint/row_cells.h). */
enum cell_kind { CELLS_F32, CELLS_BF16, CELLS_U8 };

struct table_config {
    uint32_t dim;           /* 1..DIM_MAX */
    float init_scale;       /* standard deviation of the initial normal values */
    uint32_t admit_after;   /* applied batches with the feature before it gets a row */
    uint32_t evict_age;     /* evict a row not updated for this many applied batches; 0: never */
    enum cell_kind weights; /* f32 or bf16 */
    enum cell_kind state;   /* of the optimizer's vectors */
    struct optimizer_config opt;
};
