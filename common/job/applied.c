/* applied.c - the set of applied batch names (see applied.h).
 *
 * Epochs below `base` are complete. The few epochs that are not have an entry each, sorted by
 * number: one array of bits in which every shard begins on a byte, so a shard's bitmap is a slice
 * of it. The size of that array is fixed by the plan, which both sides of a decode must share;
 * hostile bytes can therefore make at most EPOCHS_MAX arrays.
 *
 * Encoded: u32 version, u32 shards, u64 hash of the plan, u32 base, u32 epochs; per epoch u32
 * number, u32 shards that have a name; per such shard u32 number, its bitmap. There is one encoding
 * of a set: epochs and shards ascend, no bitmap is empty, spare bits are 0, and an epoch that could
 * be folded into base is.
 *
 * An open set has version 2. The servers, the coordinator and a checkpoint's reader know of a
 * growing plan to different ends, so its encoding speaks only of shards that have a name: `shards`
 * is one beyond the last of them, and the hash is of their numbers and batches. base is 0 and
 * epochs 0 or 1.
 */
#include "applied.h"

#include <assert.h>
#include "common/base/hash.h"
#include "common/base/mem.h"

#define APPLIED_VERSION      1u
#define APPLIED_VERSION_OPEN 2u
#define EPOCHS_MAX           1024u /* incomplete at a time */

struct epoch {
    uint32_t number;
    uint64_t names;
    uint8_t *bits; /* bits_bytes of the set */
};

struct applied {
    uint32_t *batches; /* [shards] */
    uint64_t *offset;  /* [shards + 1], byte of bits where a shard begins */
    uint32_t shards;
    uint64_t total; /* names of one epoch */
    bool open;
    uint32_t shards_cap;
    uint32_t base;
    struct epoch *epochs;
    uint32_t epoch_count, epoch_cap;
};

static size_t bits_bytes(const struct applied *a) {
    return (size_t)a->offset[a->shards];
}

static size_t shard_bytes(const struct applied *a, uint32_t shard) {
    return (size_t)(a->offset[shard + 1] - a->offset[shard]);
}

enum status applied_create(struct applied **out, const uint32_t *batches_per_shard,
                           uint32_t shards) {
    enum status status = OK;
    struct applied *a = NULL;
    *out = NULL;
    TRY(mem_new(&a));
    a->shards = a->shards_cap = shards;
    TRY_OUT(mem_array(&a->batches, shards));
    TRY_OUT(mem_array(&a->offset, (size_t)shards + 1));
    for (uint32_t s = 0; s < shards; s++) {
        a->batches[s] = batches_per_shard[s];
        a->offset[s + 1] = a->offset[s] + ((uint64_t)a->batches[s] + 7) / 8;
        a->total += a->batches[s];
    }
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
    mem_free(&a->batches);
    mem_free(&a->offset);
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

static enum status epochs_reserve(struct applied *a) {
    if (a->epoch_count < a->epoch_cap) {
        return OK;
    }
    if (a->epoch_count == EPOCHS_MAX) {
        return fail(ERR_PROTOCOL, "more than %u epochs are incomplete at a time", EPOCHS_MAX);
    }
    const uint32_t cap = a->epoch_cap == 0 ? 4 : a->epoch_cap * 2;
    TRY(mem_grow(&a->epochs, a->epoch_cap, cap));
    a->epoch_cap = cap;
    return OK;
}

static enum status epoch_insert(struct applied *a, uint32_t number, struct epoch **out) {
    uint8_t *bits = NULL;
    TRY(epochs_reserve(a));
    TRY(mem_array(&bits, bits_bytes(a)));
    const uint32_t at = epoch_at(a, number);
    memmove(&a->epochs[at + 1], &a->epochs[at], (a->epoch_count - at) * sizeof *a->epochs);
    a->epochs[at] = (struct epoch){.number = number, .bits = bits};
    a->epoch_count++;
    *out = &a->epochs[at];
    return OK;
}

static void epoch_remove(struct applied *a, uint32_t at) {
    mem_free(&a->epochs[at].bits);
    a->epoch_count--;
    memmove(&a->epochs[at], &a->epochs[at + 1], (a->epoch_count - at) * sizeof *a->epochs);
}

/* Complete epochs that follow on base join it. */
static void fold(struct applied *a) {
    while (!a->open && a->epoch_count > 0 && a->epochs[0].number == a->base &&
           a->epochs[0].names == a->total) {
        epoch_remove(a, 0);
        a->base++;
    }
}

/* --- names ------------------------------------------------------------------------------------ */

static enum status check_name(const struct applied *a, struct batch_name name) {
    if (name.shard >= a->shards || name.batch >= a->batches[name.shard] ||
        name.epoch == UINT32_MAX || (a->open && name.epoch > 0)) {
        return fail(ERR_PROTOCOL,
                    "batch (epoch %u, shard %u, batch %u) is not in the plan of %u "
                    "shards",
                    name.epoch, name.shard, name.batch, a->shards);
    }
    return OK;
}

static bool bit_get(const uint8_t *bits, uint64_t at) {
    return (bits[at / 8] >> (at % 8) & 1) != 0;
}

enum status applied_has(const struct applied *a, struct batch_name name, bool *has) {
    TRY(check_name(a, name));
    const struct epoch *e = epoch_find(a, name.epoch);
    *has = name.epoch < a->base ||
           (e != NULL && bit_get(e->bits, a->offset[name.shard] * 8 + name.batch));
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
    const uint64_t at = a->offset[name.shard] * 8 + name.batch;
    e->bits[at / 8] = (uint8_t)(e->bits[at / 8] | 1u << (at % 8));
    e->names++;
    fold(a);
    return OK;
}

uint64_t applied_count(const struct applied *a) {
    uint64_t names = a->base * a->total;
    for (uint32_t e = 0; e < a->epoch_count; e++) {
        names += a->epochs[e].names;
    }
    return names;
}

uint32_t applied_base(const struct applied *a) {
    return a->base;
}

enum status applied_bits(const struct applied *a, uint32_t epoch, uint32_t shard, struct buf *out) {
    TRY(check_name(a, (struct batch_name){.epoch = epoch, .shard = shard}));
    const size_t bytes = shard_bytes(a, shard);
    const struct epoch *e = epoch_find(a, epoch);
    buf_clear(out);
    if (e != NULL) {
        return buf_put(out, e->bits + a->offset[shard], bytes);
    }
    for (size_t i = 0; i < bytes; i++) {
        const uint32_t spare = i + 1 == bytes ? (8 - a->batches[shard] % 8) % 8 : 0;
        const uint32_t full = epoch < a->base ? 0xffu >> spare : 0;
        TRY(buf_put_u8(out, (uint8_t)full));
    }
    return OK;
}

/* --- growth ----------------------------------------------------------------------------------- */

/* Room for `shards`; those that are new have no batches. */
static enum status shards_extend(struct applied *a, uint32_t shards) {
    if (shards > a->shards_cap) {
        const uint32_t cap = shards > 2 * a->shards_cap ? shards : 2 * a->shards_cap;
        TRY(mem_grow(&a->batches, a->shards, cap));
        TRY(mem_grow(&a->offset, ((size_t)a->shards + 1), ((size_t)cap + 1)));
        a->shards_cap = cap;
    }
    for (; a->shards < shards; a->shards++) {
        a->batches[a->shards] = 0;
        a->offset[a->shards + 1] = a->offset[a->shards];
    }
    return OK;
}

/* Opens a gap of zeros where the shard's bits belong. An open set has one epoch at most, so there
 * is nothing to undo. */
static enum status bits_insert(struct applied *a, uint32_t shard, size_t bytes) {
    const size_t at = (size_t)a->offset[shard], old = bits_bytes(a);
    assert(a->epoch_count <= 1);
    for (uint32_t e = 0; e < a->epoch_count; e++) {
        TRY(mem_resize((void **)&a->epochs[e].bits, old, old + bytes));
        memmove(a->epochs[e].bits + at + bytes, a->epochs[e].bits + at, old - at);
        memset(a->epochs[e].bits + at, 0, bytes);
    }
    return OK;
}

enum status applied_grow(struct applied *a, uint32_t shard, uint32_t batches) {
    if (!a->open || shard >= APPLIED_SHARDS_MAX || batches == 0 || batches > APPLIED_BATCHES_MAX) {
        return fail(ERR_PROTOCOL, "shard %u of %u batches cannot join the plan", shard, batches);
    }
    if (shard < a->shards && a->batches[shard] != 0) {
        return a->batches[shard] == batches
                   ? OK
                   : fail(ERR_PROTOCOL, "shard %u has %u batches in the plan, not %u", shard,
                          a->batches[shard], batches);
    }
    if (shard >= a->shards) {
        TRY(shards_extend(a, shard + 1));
    }
    const size_t bytes = ((size_t)batches + 7) / 8;
    TRY(bits_insert(a, shard, bytes));
    for (uint32_t s = shard; s < a->shards; s++) {
        a->offset[s + 1] += bytes;
    }
    a->batches[shard] = batches;
    a->total += batches;
    return OK;
}

/* --- sets ------------------------------------------------------------------------------------- */

bool applied_equal(const struct applied *a, const struct applied *b) {
    if (a->open != b->open || a->base != b->base || a->epoch_count != b->epoch_count ||
        a->shards != b->shards || bits_bytes(a) != bits_bytes(b)) {
        return false;
    }
    for (uint32_t e = 0; e < a->epoch_count; e++) {
        if (a->epochs[e].number != b->epochs[e].number ||
            memcmp(a->epochs[e].bits, b->epochs[e].bits, bits_bytes(a)) != 0) {
            return false;
        }
    }
    return true;
}

enum status applied_copy(struct applied **out, const struct applied *from) {
    enum status status = OK;
    struct applied *a = NULL;
    *out = NULL;
    TRY_OUT(applied_create(&a, from->batches, from->shards));
    a->open = from->open;
    a->base = from->base;
    for (uint32_t i = 0; i < from->epoch_count; i++) {
        struct epoch *e = NULL;
        TRY_OUT(epoch_insert(a, from->epochs[i].number, &e));
        e->names = from->epochs[i].names;
        memcpy(e->bits, from->epochs[i].bits, bits_bytes(a));
    }
    *out = a;
    a = NULL;
out:
    applied_destroy(&a);
    return status;
}

/* e := e AND bits (NULL: all of them). */
static void epoch_and(const struct applied *a, struct epoch *e, const uint8_t *bits) {
    if (bits == NULL) {
        return;
    }
    e->names = 0;
    for (size_t i = 0; i < bits_bytes(a); i++) {
        e->bits[i] &= bits[i];
        e->names += (uint64_t)__builtin_popcount(e->bits[i]);
    }
}

static bool same_plan(const struct applied *a, const struct applied *b) {
    return a->shards == b->shards &&
           (a->shards == 0 || memcmp(a->batches, b->batches, a->shards * sizeof *a->batches) == 0);
}

/* Makes an open set know all the shards that another knows. */
static enum status learn(struct applied *a, const struct applied *from) {
    if (a->shards < from->shards) {
        TRY(shards_extend(a, from->shards));
    }
    for (uint32_t s = 0; s < from->shards; s++) {
        if (from->batches[s] != 0) {
            TRY(applied_grow(a, s, from->batches[s]));
        }
    }
    return OK;
}

/* The sets of one plan may know of it to different ends. *learnt: a copy of
 * `with` that knows as much, where there must be one; else untouched. */
static enum status level(struct applied *into, const struct applied *with,
                         struct applied **learnt) {
    if (into->open != with->open) {
        return fail(ERR_CONFIG, "the names of a stream and those of a fixed data set");
    }
    if (same_plan(into, with)) {
        return OK;
    }
    if (!into->open) {
        return fail(ERR_CONFIG, "the names are of plans of %u and %u shards that differ",
                    into->shards, with->shards);
    }
    TRY(learn(into, with));
    TRY(applied_copy(learnt, with));
    return learn(*learnt, into);
}

enum status applied_intersect(struct applied *into, const struct applied *with) {
    enum status status = OK;
    struct applied *both = NULL, *learnt = NULL;
    TRY_OUT(level(into, with, &learnt));
    with = learnt != NULL ? learnt : with;
    TRY_OUT(applied_create(&both, into->batches, into->shards));
    both->open = into->open;
    both->base = into->base < with->base ? into->base : with->base;
    for (int pass = 0; pass < 2; pass++) {
        const struct applied *a = pass == 0 ? into : with, *b = pass == 0 ? with : into;
        for (uint32_t i = 0; i < a->epoch_count; i++) {
            const uint32_t number = a->epochs[i].number;
            const struct epoch *other = epoch_find(b, number);
            struct epoch *e = NULL;
            if (epoch_find(both, number) != NULL || (other == NULL && number >= b->base)) {
                continue;
            }
            TRY_OUT(epoch_insert(both, number, &e));
            memcpy(e->bits, a->epochs[i].bits, bits_bytes(a));
            e->names = a->epochs[i].names;
            epoch_and(both, e, other == NULL ? NULL : other->bits);
            if (e->names == 0) {
                epoch_remove(both, epoch_at(both, number));
            }
        }
    }
    /* Nothing folds: an epoch complete in both and next to both bases was below them already. The
     * old contents go out with `both`. */
    const struct applied old = *into;
    *into = *both;
    *both = old;
out:
    applied_destroy(&learnt);
    applied_destroy(&both);
    return status;
}

/* --- bytes ------------------------------------------------------------------------------------ */

static uint64_t plan_hash(const uint32_t *batches, uint32_t shards) {
    return shards == 0 ? 0 : hash_bytes(batches, shards * sizeof *batches);
}

static bool all_zero(const uint8_t *bits, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (bits[i] != 0) {
            return false;
        }
    }
    return true;
}

static enum status encode_epoch(const struct applied *a, const struct epoch *e, struct buf *out) {
    uint32_t present = 0;
    for (uint32_t s = 0; s < a->shards; s++) {
        present += !all_zero(e->bits + a->offset[s], shard_bytes(a, s));
    }
    TRY(buf_put_u32(out, e->number));
    TRY(buf_put_u32(out, present));
    for (uint32_t s = 0; s < a->shards; s++) {
        const uint8_t *bits = e->bits + a->offset[s];
        if (!all_zero(bits, shard_bytes(a, s))) {
            TRY(buf_put_u32(out, s));
            TRY(buf_put(out, bits, shard_bytes(a, s)));
        }
    }
    return OK;
}

/* An open set's hash, chained over the shards that have a name; *end: one beyond the last. */
static uint64_t named_hash(const struct applied *a, uint32_t *end) {
    uint64_t chain[2] = {0, 0};
    *end = 0;
    for (uint32_t s = 0; a->epoch_count > 0 && s < a->shards; s++) {
        if (!all_zero(a->epochs[0].bits + a->offset[s], shard_bytes(a, s))) {
            chain[1] = (uint64_t)s << 32 | a->batches[s];
            chain[0] = hash_bytes(chain, sizeof chain);
            *end = s + 1;
        }
    }
    return chain[0];
}

enum status applied_encode(const struct applied *a, struct buf *out) {
    uint32_t shards = a->shards;
    const uint64_t hash = a->open ? named_hash(a, &shards) : plan_hash(a->batches, a->shards);
    TRY(buf_put_u32(out, a->open ? APPLIED_VERSION_OPEN : APPLIED_VERSION));
    TRY(buf_put_u32(out, shards));
    TRY(buf_put_u64(out, hash));
    TRY(buf_put_u32(out, a->base));
    TRY(buf_put_u32(out, a->epoch_count));
    for (uint32_t e = 0; e < a->epoch_count; e++) {
        TRY(encode_epoch(a, &a->epochs[e], out));
    }
    return OK;
}

static enum status corrupt(const char *what) {
    return fail(ERR_CORRUPT, "set of applied batches: %s", what);
}

static enum status decode_shard(struct applied *a, struct epoch *e, struct cursor *c,
                                uint32_t *next_shard) {
    const uint32_t shard = cursor_u32(c);
    if (c->bad || shard < *next_shard || shard >= a->shards) {
        return corrupt("shards do not ascend within the plan");
    }
    *next_shard = shard + 1;
    const size_t bytes = shard_bytes(a, shard);
    const uint8_t *bits = cursor_take(c, bytes);
    if (bits == NULL || all_zero(bits, bytes)) {
        return corrupt("a bitmap is short or empty");
    }
    if (a->batches[shard] % 8 != 0 && bits[bytes - 1] >> (a->batches[shard] % 8) != 0) {
        return corrupt("a bitmap has bits beyond the shard's batches");
    }
    memcpy(e->bits + a->offset[shard], bits, bytes);
    for (size_t i = 0; i < bytes; i++) {
        e->names += (uint64_t)__builtin_popcount(bits[i]);
    }
    return OK;
}

static enum status decode_epoch(struct applied *a, struct cursor *c, uint32_t *next_epoch) {
    struct epoch *e = NULL;
    const uint32_t number = cursor_u32(c), present = cursor_u32(c);
    if (c->bad || number < *next_epoch || number == UINT32_MAX || present == 0 ||
        present > a->shards) {
        return corrupt("epochs do not ascend, or one has no shard");
    }
    *next_epoch = number + 1;
    TRY(epoch_insert(a, number, &e));
    uint32_t next_shard = 0;
    for (uint32_t i = 0; i < present; i++) {
        TRY(decode_shard(a, e, c, &next_shard));
    }
    return OK;
}

static enum status other_data(uint32_t its_shards, uint32_t shards) {
    return fail(ERR_CONFIG,
                "the applied batches belong to other data or another batch size "
                "(%u shards; here %u)",
                its_shards, shards);
}

/* What only the whole of an open set shows. */
static enum status check_open(const struct applied *a, uint32_t its_shards, uint64_t its_hash) {
    uint32_t end;
    const uint64_t hash = named_hash(a, &end);
    if (a->epoch_count > 0 && a->epochs[0].number != 0) {
        return corrupt("a stream has but one epoch");
    }
    if (end != its_shards) {
        return corrupt("the last shard is not the one announced");
    }
    return hash == its_hash ? OK : other_data(its_shards, a->shards);
}

enum status applied_decode(struct applied **out, const void *data, size_t bytes,
                           const uint32_t *batches_per_shard, uint32_t shards) {
    enum status status = OK;
    struct applied *a = NULL;
    struct cursor c = cursor_of(data, bytes);
    *out = NULL;
    TRY_OUT(applied_create(&a, batches_per_shard, shards));
    const uint32_t version = cursor_u32(&c);
    if ((version != APPLIED_VERSION && version != APPLIED_VERSION_OPEN) || cursor_left(&c) < 20) {
        TRY_OUT(corrupt("unknown version or short"));
    }
    a->open = version == APPLIED_VERSION_OPEN;
    const uint32_t its_shards = cursor_u32(&c);
    const uint64_t its_hash = cursor_u64(&c);
    if (a->open ? its_shards > shards
                : its_shards != shards || its_hash != plan_hash(batches_per_shard, shards)) {
        TRY_OUT(other_data(its_shards, shards));
    }
    a->base = cursor_u32(&c);
    const uint32_t epochs = cursor_u32(&c);
    uint32_t next_epoch = a->base;
    if (epochs > EPOCHS_MAX || (a->open && (epochs > 1 || a->base != 0))) {
        TRY_OUT(corrupt("too many incomplete epochs"));
    }
    for (uint32_t i = 0; i < epochs; i++) {
        TRY_OUT(decode_epoch(a, &c, &next_epoch));
    }
    if (c.bad || cursor_left(&c) != 0) {
        TRY_OUT(corrupt("bytes are left over"));
    }
    if (a->open) {
        TRY_OUT(check_open(a, its_shards, its_hash));
    } else if (a->epoch_count > 0 && a->epochs[0].number == a->base &&
               a->epochs[0].names == a->total) {
        TRY_OUT(corrupt("a complete epoch is listed as incomplete"));
    }
    *out = a;
    a = NULL;
out:
    applied_destroy(&a);
    return status;
}
