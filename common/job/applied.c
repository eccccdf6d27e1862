/* applied.c - the set of applied batch names (see applied.h).
 *
 * Epochs below `base` are complete. Each of the few incomplete epochs that have names has an entry,
 * sorted by number: an array with one bit per batch, where the plan gives each shard its place
 * (batch_bits.h). Encoder and decoder must share the plan, which fixes the array's size, so hostile
 * bytes can make at most EPOCHS_MAX arrays.
 *
 * Encoded: u32 version, u32 shards, u64 hash of the plan, u32 base, u32 epochs; per epoch u32
 * number, u32 shards that have a name; per such shard u32 number, its bitmap. Each set has exactly
 * one encoding: epochs and shards ascend, no bitmap is empty, spare bits are 0, and every epoch
 * that can be folded into base is folded.
 *
 * An open set has version 2. The servers, the coordinator and a checkpoint's reader may know
 * different numbers of shards of a growing plan, so the encoding contains only shards that have a
 * name: `shards` is one beyond the last of them, and the hash covers their numbers and batches.
 * base is 0; epochs is 0 or 1.
 */
#include "applied.h"

#include <assert.h>
#include "batch_bits.h"
#include "common/base/container.h"
#include "common/base/hash.h"
#include "common/base/mem.h"

#define APPLIED_VERSION      1u
#define APPLIED_VERSION_OPEN 2u
#define EPOCHS_MAX           1024u /* incomplete epochs at a time */

struct epoch {
    uint32_t number;
    uint64_t names;
    uint8_t *bits; /* batch_bits_bytes of the set's plan */
};

struct applied {
    struct batch_bits plan;
    bool open;
    uint32_t base;
    struct epoch *epochs;
    uint32_t epoch_count;
    size_t epoch_cap;
};

static size_t shard_bytes(const struct applied *a, uint32_t shard) {
    return batch_bits_bytes_of(a->plan.batches[shard]);
}

static uint8_t *shard_bits(const struct applied *a, const struct epoch *e, uint32_t shard) {
    return e->bits + a->plan.offset[shard];
}

enum status applied_create(struct applied **out, const uint32_t *batches_per_shard,
                           uint32_t shards) {
    enum status status = OK;
    struct applied *a = NULL;
    *out = NULL;
    TRY(mem_new(&a));
    TRY_OUT(batch_bits_init(&a->plan, batches_per_shard, shards));
    *out = a;
    a = NULL;
out:
    applied_destroy(&a);
    return status;
}

enum status applied_create_open(struct applied **out) {
    TRY(applied_create(out, NULL, 0));
    (*out)->open = true;
    return OK;
}

bool applied_is_open(const struct applied *a) {
    return a->open;
}

void applied_destroy(struct applied **inout) {
    struct applied *a = *inout;
    if (a == NULL) {
        return;
    }
    for (uint32_t e = 0; e < a->epoch_count; e++) {
        mem_free(&a->epochs[e].bits);
    }
    mem_free(&a->epochs);
    batch_bits_fini(&a->plan);
    mem_free(inout);
}

/* --- epochs ----------------------------------------------------------------------------------- */

/* Position of the first entry whose number is not below `number`. */
static uint32_t epoch_at(const struct applied *a, uint32_t number) {
    uint32_t e = a->epoch_count;
    while (e > 0 && a->epochs[e - 1].number >= number) {
        e--;
    }
    return e;
}

static struct epoch *epoch_find(const struct applied *a, uint32_t number) {
    const uint32_t e = epoch_at(a, number);
    return e < a->epoch_count && a->epochs[e].number == number ? &a->epochs[e] : NULL;
}

static enum status epoch_insert(struct applied *a, uint32_t number, struct epoch **out) {
    uint8_t *bits = NULL;
    if (a->epoch_count == EPOCHS_MAX) {
        return fail(ERR_PROTOCOL, "more than %u epochs are incomplete at a time", EPOCHS_MAX);
    }
    TRY(mem_room(&a->epochs, &a->epoch_cap, a->epoch_count + 1));
    TRY(mem_array(&bits, batch_bits_bytes(&a->plan)));
    const uint32_t at = epoch_at(a, number);
    memmove(&a->epochs[at + 1], &a->epochs[at], (a->epoch_count - at) * sizeof *a->epochs);
    a->epochs[at] = (struct epoch){.number = number, .bits = bits};
    a->epoch_count++;
    *out = &a->epochs[at];
    return OK;
}

/* from: an epoch of a set with the same plan, or with only the first shards of it. */
static enum status epoch_copy(struct applied *a, const struct epoch *from, size_t bytes) {
    struct epoch *e = NULL;
    TRY(epoch_insert(a, from->number, &e));
    memcpy(e->bits, from->bits, bytes);
    e->names = from->names;
    return OK;
}

static void epoch_remove(struct applied *a, uint32_t at) {
    mem_free(&a->epochs[at].bits);
    a->epoch_count--;
    memmove(&a->epochs[at], &a->epochs[at + 1], (a->epoch_count - at) * sizeof *a->epochs);
}

/* Folds complete epochs that start at base into it. */
static void epochs_fold(struct applied *a) {
    while (!a->open && a->epoch_count > 0 && a->epochs[0].number == a->base &&
           a->epochs[0].names == a->plan.total) {
        epoch_remove(a, 0);
        a->base++;
    }
}

/* --- names ------------------------------------------------------------------------------------ */

static enum status name_check(const struct applied *a, struct batch_name name) {
    if (name.shard >= a->plan.shards || name.batch >= a->plan.batches[name.shard] ||
        name.epoch == UINT32_MAX || (a->open && name.epoch > 0)) {
        return fail(ERR_PROTOCOL,
                    "batch (epoch %u, shard %u, batch %u) is not in the plan of %u shards",
                    name.epoch, name.shard, name.batch, a->plan.shards);
    }
    return OK;
}

enum status applied_has(const struct applied *a, struct batch_name name, bool *has) {
    TRY(name_check(a, name));
    const struct epoch *e = epoch_find(a, name.epoch);
    *has = name.epoch < a->base || (e != NULL && bit_get(shard_bits(a, e, name.shard), name.batch));
    return OK;
}

enum status applied_add(struct applied *a, struct batch_name name) {
    bool has = false;
    TRY(applied_has(a, name, &has));
    if (has) {
        return fail(ERR_EXISTS, "batch (epoch %u, shard %u, batch %u) was applied before",
                    name.epoch, name.shard, name.batch);
    }
    struct epoch *e = epoch_find(a, name.epoch);
    if (e == NULL) {
        TRY(epoch_insert(a, name.epoch, &e));
    }
    bit_set(shard_bits(a, e, name.shard), name.batch);
    e->names++;
    epochs_fold(a);
    return OK;
}

uint64_t applied_count(const struct applied *a) {
    uint64_t names = a->base * a->plan.total;
    for (uint32_t e = 0; e < a->epoch_count; e++) {
        names += a->epochs[e].names;
    }
    return names;
}

uint32_t applied_base(const struct applied *a) {
    return a->base;
}

enum status applied_bits(const struct applied *a, uint32_t epoch, uint32_t shard, struct buf *out) {
    TRY(name_check(a, (struct batch_name){.epoch = epoch, .shard = shard}));
    const size_t bytes = shard_bytes(a, shard);
    const struct epoch *e = epoch_find(a, epoch);
    buf_clear(out);
    if (e != NULL) {
        return buf_put(out, shard_bits(a, e, shard), bytes);
    }
    for (size_t i = 0; i < bytes; i++) {
        const size_t left = a->plan.batches[shard] - 8 * i; /* of the shard's batches */
        const uint32_t full = left < 8 ? (1u << left) - 1 : 0xffu;
        TRY(buf_put_u8(out, (uint8_t)(epoch < a->base ? full : 0)));
    }
    return OK;
}

/* --- growth ----------------------------------------------------------------------------------- */

/* Opens a gap of zeros where the shard's bits belong. An open set has one epoch at most, so there
 * is nothing to undo. */
static enum status bits_insert(struct applied *a, uint32_t shard, size_t bytes) {
    const size_t at = (size_t)a->plan.offset[shard], old = batch_bits_bytes(&a->plan);
    assert(a->epoch_count <= 1);
    for (uint32_t e = 0; e < a->epoch_count; e++) {
        uint8_t **bits = &a->epochs[e].bits;
        TRY(mem_grow(bits, old, old + bytes));
        memmove(*bits + at + bytes, *bits + at, old - at);
        memset(*bits + at, 0, bytes);
    }
    return OK;
}

enum status applied_grow(struct applied *a, uint32_t shard, uint32_t batches) {
    if (!a->open || shard >= APPLIED_SHARDS_MAX || batches == 0 || batches > APPLIED_BATCHES_MAX) {
        return fail(ERR_PROTOCOL, "shard %u of %u batches cannot join the plan", shard, batches);
    }
    TRY(batch_bits_extend(&a->plan, shard + 1));
    const uint32_t known = a->plan.batches[shard];
    if (known != 0) {
        return known == batches ? OK
                                : fail(ERR_PROTOCOL, "shard %u has %u batches in the plan, not %u",
                                       shard, known, batches);
    }
    TRY(bits_insert(a, shard, batch_bits_bytes_of(batches)));
    batch_bits_fill(&a->plan, shard, batches);
    return OK;
}

/* --- sets ------------------------------------------------------------------------------------- */

bool applied_equal(const struct applied *a, const struct applied *b) {
    if (a->open != b->open || a->base != b->base || a->epoch_count != b->epoch_count ||
        !batch_bits_equal(&a->plan, &b->plan)) {
        return false;
    }
    for (uint32_t e = 0; e < a->epoch_count; e++) {
        if (a->epochs[e].number != b->epochs[e].number ||
            memcmp(a->epochs[e].bits, b->epochs[e].bits, batch_bits_bytes(&a->plan)) != 0) {
            return false;
        }
    }
    return true;
}

enum status applied_copy(struct applied **out, const struct applied *from) {
    enum status status = OK;
    struct applied *a = NULL;
    *out = NULL;
    TRY_OUT(applied_create(&a, from->plan.batches, from->plan.shards));
    a->open = from->open;
    a->base = from->base;
    for (uint32_t e = 0; e < from->epoch_count; e++) {
        TRY_OUT(epoch_copy(a, &from->epochs[e], batch_bits_bytes(&a->plan)));
    }
    *out = a;
    a = NULL;
out:
    applied_destroy(&a);
    return status;
}

/* Makes `into` know all shards that `with` knows; both sets belong to one plan. */
static enum status plan_learn(struct applied *into, const struct applied *with) {
    if (into->open != with->open) {
        return fail(ERR_CONFIG, "the names of a stream and those of a fixed data set");
    }
    if (!into->open) {
        return batch_bits_equal(&into->plan, &with->plan)
                   ? OK
                   : fail(ERR_CONFIG, "the names are of plans of %u and %u shards that differ",
                          into->plan.shards, with->plan.shards);
    }
    TRY(batch_bits_extend(&into->plan, with->plan.shards));
    for (uint32_t s = 0; s < with->plan.shards; s++) {
        if (with->plan.batches[s] != 0) {
            TRY(applied_grow(into, s, with->plan.batches[s]));
        }
    }
    return OK;
}

/* e := e AND other (NULL: no names), an epoch of `with`, which may know fewer shards. */
static void epoch_and(const struct applied *a, struct epoch *e, const struct applied *with,
                      const struct epoch *other) {
    e->names = 0;
    for (uint32_t s = 0; s < a->plan.shards; s++) {
        const bool known = other != NULL && s < with->plan.shards && with->plan.batches[s] != 0;
        uint8_t *bits = shard_bits(a, e, s);
        for (size_t i = 0; i < shard_bytes(a, s); i++) {
            bits[i] &= known ? shard_bits(with, other, s)[i] : 0;
            e->names += (uint64_t)__builtin_popcount(bits[i]);
        }
    }
}

enum status applied_intersect(struct applied *into, const struct applied *with) {
    enum status status = OK;
    TRY_OUT(plan_learn(into, with));
    for (uint32_t i = 0; i < with->epoch_count; i++) { /* `into` has all names of these epochs */
        if (with->epochs[i].number < into->base) {
            TRY_OUT(epoch_copy(into, &with->epochs[i], batch_bits_bytes(&with->plan)));
        }
    }
    into->base = into->base < with->base ? into->base : with->base;
    for (uint32_t i = into->epoch_count; i-- > 0;) {
        struct epoch *e = &into->epochs[i];
        if (e->number >= with->base) {
            epoch_and(into, e, with, epoch_find(with, e->number));
        }
        if (e->names == 0) {
            epoch_remove(into, i);
        }
    }
    /* No epoch needs folding: one that is complete in both sets is already below a base. */
out:
    while (into->epoch_count > 0 && into->epochs[0].number < into->base) {
        epoch_remove(into, 0); /* copied before memory ran out */
    }
    return status;
}

/* --- bytes ------------------------------------------------------------------------------------ */

static bool all_zero(const uint8_t *bits, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (bits[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool shard_named(const struct applied *a, const struct epoch *e, uint32_t shard) {
    return !all_zero(shard_bits(a, e, shard), shard_bytes(a, shard));
}

static enum status epoch_encode(const struct applied *a, const struct epoch *e, struct buf *out) {
    uint32_t present = 0;
    for (uint32_t s = 0; s < a->plan.shards; s++) {
        present += shard_named(a, e, s);
    }
    TRY(buf_put_u32(out, e->number));
    TRY(buf_put_u32(out, present));
    for (uint32_t s = 0; s < a->plan.shards; s++) {
        if (shard_named(a, e, s)) {
            TRY(buf_put_u32(out, s));
            TRY(buf_put(out, shard_bits(a, e, s), shard_bytes(a, s)));
        }
    }
    return OK;
}

/* An open set's hash, chained over the shards that have a name; *end: one beyond the last. */
static uint64_t named_hash(const struct applied *a, uint32_t *end) {
    uint64_t chain[2] = {0, 0};
    *end = 0;
    for (uint32_t s = 0; a->epoch_count > 0 && s < a->plan.shards; s++) {
        if (shard_named(a, &a->epochs[0], s)) {
            chain[1] = (uint64_t)s << 32 | a->plan.batches[s];
            chain[0] = hash_bytes(chain, sizeof chain);
            *end = s + 1;
        }
    }
    return chain[0];
}

enum status applied_encode(const struct applied *a, struct buf *out) {
    uint32_t shards = a->plan.shards;
    const uint64_t hash = a->open ? named_hash(a, &shards) : batch_bits_hash(&a->plan);
    TRY(buf_put_u32(out, a->open ? APPLIED_VERSION_OPEN : APPLIED_VERSION));
    TRY(buf_put_u32(out, shards));
    TRY(buf_put_u64(out, hash));
    TRY(buf_put_u32(out, a->base));
    TRY(buf_put_u32(out, a->epoch_count));
    for (uint32_t e = 0; e < a->epoch_count; e++) {
        TRY(epoch_encode(a, &a->epochs[e], out));
    }
    return OK;
}

static enum status applied_corrupt(const char *what) {
    return fail(ERR_CORRUPT, "set of applied batches: %s", what);
}

static enum status shard_decode(struct applied *a, struct epoch *e, struct cursor *c,
                                uint32_t *next_shard) {
    const uint32_t shard = cursor_u32(c);
    if (c->bad || shard < *next_shard || shard >= a->plan.shards) {
        return applied_corrupt("shards do not ascend within the plan");
    }
    *next_shard = shard + 1;
    const size_t bytes = shard_bytes(a, shard);
    const uint8_t *bits = cursor_take(c, bytes);
    if (bits == NULL || all_zero(bits, bytes)) {
        return applied_corrupt("a bitmap is short or empty");
    }
    const uint32_t used = a->plan.batches[shard] % 8; /* of the last byte's bits; 0: all */
    if (used != 0 && bits[bytes - 1] >> used != 0) {
        return applied_corrupt("a bitmap has bits beyond the shard's batches");
    }
    memcpy(shard_bits(a, e, shard), bits, bytes);
    for (size_t i = 0; i < bytes; i++) {
        e->names += (uint64_t)__builtin_popcount(bits[i]);
    }
    return OK;
}

static enum status epoch_decode(struct applied *a, struct cursor *c, uint32_t *next_epoch) {
    struct epoch *e = NULL;
    const uint32_t number = cursor_u32(c), present = cursor_u32(c);
    if (c->bad || number < *next_epoch || number == UINT32_MAX || present == 0 ||
        present > a->plan.shards) {
        return applied_corrupt("epochs do not ascend, or one has no shard");
    }
    *next_epoch = number + 1;
    TRY(epoch_insert(a, number, &e));
    uint32_t next_shard = 0;
    for (uint32_t i = 0; i < present; i++) {
        TRY(shard_decode(a, e, c, &next_shard));
    }
    return OK;
}

static enum status other_data(uint32_t its_shards, uint32_t shards) {
    return fail(ERR_CONFIG,
                "the applied batches belong to other data or another batch size "
                "(%u shards; here %u)",
                its_shards, shards);
}

/* Checks that need the whole open set. */
static enum status open_check(const struct applied *a, uint32_t its_shards, uint64_t its_hash) {
    uint32_t end;
    const uint64_t hash = named_hash(a, &end);
    if (a->epoch_count > 0 && a->epochs[0].number != 0) {
        return applied_corrupt("a stream has but one epoch");
    }
    if (end != its_shards) {
        return applied_corrupt("the last shard is not the one announced");
    }
    return hash == its_hash ? OK : other_data(its_shards, a->plan.shards);
}

enum status applied_decode(struct applied **out, const void *data, size_t bytes,
                           const uint32_t *batches_per_shard, uint32_t shards) {
    enum status status = OK;
    struct applied *a = NULL;
    struct cursor c = cursor_of(data, bytes);
    *out = NULL;
    TRY_OUT(applied_create(&a, batches_per_shard, shards));
    const uint32_t version = cursor_u32(&c);
    TRY_OUT(container_version(NULL, "version of a set of applied batches", version, APPLIED_VERSION,
                              APPLIED_VERSION_OPEN));
    if (cursor_left(&c) < 20) {
        TRY_OUT(applied_corrupt("short"));
    }
    a->open = version == APPLIED_VERSION_OPEN;
    const uint32_t its_shards = cursor_u32(&c);
    const uint64_t its_hash = cursor_u64(&c);
    if (a->open ? its_shards > shards
                : its_shards != shards || its_hash != batch_bits_hash(&a->plan)) {
        TRY_OUT(other_data(its_shards, shards));
    }
    a->base = cursor_u32(&c);
    const uint32_t epochs = cursor_u32(&c);
    uint32_t next_epoch = a->base;
    if (epochs > EPOCHS_MAX || (a->open && (epochs > 1 || a->base != 0))) {
        TRY_OUT(applied_corrupt("too many incomplete epochs"));
    }
    for (uint32_t i = 0; i < epochs; i++) {
        TRY_OUT(epoch_decode(a, &c, &next_epoch));
    }
    if (c.bad || cursor_left(&c) != 0) {
        TRY_OUT(applied_corrupt("bytes are left over"));
    }
    if (a->open) {
        TRY_OUT(open_check(a, its_shards, its_hash));
    } else if (a->epoch_count > 0 && a->epochs[0].number == a->base &&
               a->epochs[0].names == a->plan.total) {
        TRY_OUT(applied_corrupt("a complete epoch is listed as incomplete"));
    }
    *out = a;
    a = NULL;
out:
    applied_destroy(&a);
    return status;
}
