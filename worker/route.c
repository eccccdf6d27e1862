#include "route.h"

#include "common/base/mem.h"
#include "common/net/link_messages.h"

enum status route_init(struct route *r) {
    const uint64_t partitions = r->plan->partitions;
    r->partitions = r->plan->partitions;
    r->fields = r->schema->count;
    if (partitions == 0 || partitions > WIRE_PARTITIONS_MAX || partitions > BUCKETS) {
        return fail(ERR_PROTOCOL, "the job has %u partitions, expected 1 to %u", r->partitions,
                    WIRE_PARTITIONS_MAX);
    }
    TRY(mem_array(&r->dense_begin, partitions + 1));
    for (uint64_t k = 0; k < partitions; k++) {
        const uint32_t begin = bucket_begin(k, partitions), end = bucket_begin(k + 1, partitions);
        for (uint32_t b = begin; b < end; b++) {
            r->home_of[b] = (uint16_t)k;
        }
        r->dense_begin[k] = layout_slice(r->layout, begin);
    }
    r->dense_begin[partitions] = r->layout->count;
    return OK;
}

void route_fini(struct route *r) {
    mem_free(&r->dense_begin);
}
