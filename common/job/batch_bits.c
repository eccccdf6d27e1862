#include "batch_bits.h"

#include <string.h>

#include "common/base/hash.h"
#include "common/base/mem.h"

enum status batch_bits_init(struct batch_bits *p, const uint32_t *batches, uint32_t shards) {
    *p = (struct batch_bits){0};
    TRY(mem_room(&p->offset, &p->offset_cap, 1));
    TRY(batch_bits_extend(p, shards));
    for (uint32_t s = 0; s < shards; s++) {
        p->batches[s] = batches[s];
        p->offset[s + 1] = p->offset[s] + batch_bits_bytes_of(batches[s]);
        p->total += batches[s];
    }
    return OK;
}

void batch_bits_fini(struct batch_bits *p) {
    mem_free(&p->batches);
    mem_free(&p->offset);
}

enum status batch_bits_extend(struct batch_bits *p, uint32_t shards) {
    TRY(mem_room(&p->batches, &p->batches_cap, shards));
    TRY(mem_room(&p->offset, &p->offset_cap, (size_t)shards + 1));
    for (; p->shards < shards; p->shards++) {
        p->batches[p->shards] = 0;
        p->offset[p->shards + 1] = p->offset[p->shards];
    }
    return OK;
}

void batch_bits_fill(struct batch_bits *p, uint32_t shard, uint32_t batches) {
    for (uint32_t s = shard; s < p->shards; s++) {
        p->offset[s + 1] += batch_bits_bytes_of(batches);
    }
    p->batches[shard] = batches;
    p->total += batches;
}

bool batch_bits_equal(const struct batch_bits *a, const struct batch_bits *b) {
    return a->shards == b->shards &&
           (a->shards == 0 || memcmp(a->batches, b->batches, a->shards * sizeof *a->batches) == 0);
}

uint64_t batch_bits_hash(const struct batch_bits *p) {
    return p->shards == 0 ? 0 : hash_bytes(p->batches, p->shards * sizeof *p->batches);
}
