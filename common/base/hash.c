#include "hash.h"

#include <xxhash.h>

#include "mem.h"

uint64_t hash_bytes(const void *data, size_t bytes) {
    return XXH3_64bits(data, bytes);
}

struct hash_stream {
    XXH3_state_t *state;
};

enum status hash_stream_create(struct hash_stream **h) {
    TRY(mem_new(h));
    (*h)->state = XXH3_createState();
    if ((*h)->state == NULL) {
        mem_free(h);
        return fail(ERR_MEMORY, "out of memory: a checksum's state");
    }
    XXH3_64bits_reset((*h)->state);
    return OK;
}

void hash_stream_add(struct hash_stream *h, const void *data, size_t bytes) {
    XXH3_64bits_update(h->state, data, bytes);
}

uint64_t hash_stream_value(const struct hash_stream *h) {
    return XXH3_64bits_digest(h->state);
}

void hash_stream_destroy(struct hash_stream **h) {
    if (*h != NULL) {
        XXH3_freeState((*h)->state);
        mem_free(h);
    }
}
