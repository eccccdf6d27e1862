#include "given.h"

#include "common/base/hash.h"

struct given_key {
    uint64_t section, key; /* hashes */
    int line;
};

enum status given_note(struct given *g, const char *section, const char *key, int line,
                       int *before) {
    const struct given_key *known = (const struct given_key *)(const void *)g->keys.data;
    const struct given_key now = {hash_bytes(section, strlen(section)),
                                  hash_bytes(key, strlen(key)), line};
    *before = 0;
    for (size_t k = 0; k < g->keys.len / sizeof now; k++) {
        if (known[k].section == now.section && known[k].key == now.key) {
            *before = known[k].line;
            return OK;
        }
    }
    return buf_put(&g->keys, &now, sizeof now);
}

void given_fini(struct given *g) {
    buf_fini(&g->keys);
}
