/* feature_list.h - the features of a group or an impression. The memory is reused for the next one.
 */
#pragma once

#include "common/base/mem.h"
#include "common/data/shard_builder.h"

struct feature_list {
    struct feature *features; /* [count], room for cap */
    size_t count, cap;
};

static inline void feature_list_fini(struct feature_list *l) {
    mem_free(&l->features);
    l->count = l->cap = 0;
}
/* Empties the list and makes room for `count` features. ERR_MEMORY. */
static inline enum status feature_list_clear(struct feature_list *l, size_t count) {
    l->count = 0;
    return mem_room(&l->features, &l->cap, count);
}
/* ERR_MEMORY. */
static inline enum status feature_list_add(struct feature_list *l, const struct feature *f) {
    TRY(mem_room(&l->features, &l->cap, l->count + 1));
    l->features[l->count++] = *f;
    return OK;
}
