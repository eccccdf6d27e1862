/* dataset_verify.c - checks the shards of a directory against its manifest. */
#include "dataset.h"

#include <inttypes.h>
#include <math.h>

#include "common/base/mem.h"
#include "record.h"
#include "shard.h"
#include "shard_info.h"
#include "shard_weights.h"

enum status dataset_peek(const struct dataset *d, struct dataset_contents *out) {
    *out = (struct dataset_contents){0};
    for (uint32_t s = 0; s < d->shard_count; s++) {
        struct shard_info info;
        TRY(shard_peek(dataset_dir(d, &d->shards[s]), d->shards[s].name, &info));
        out->timed += info.timed;
        out->records += info.records;
        out->behaviours |= info.behaviours;
    }
    return OK;
}

static struct shard_info counted(const struct shard *s) {
    struct shard_info i = {.impressions = s->impressions, .groups = s->groups};
    for (uint32_t k = 0; k < s->impressions; k++) {
        i.clicks += (s->labels[k] & LABEL_CLICK) != 0;
        i.conversions += (s->labels[k] & LABEL_CONVERSION) != 0;
    }
    for (uint32_t f = 0; f < s->columns; f++) {
        i.values += s->column[f].values;
    }
    i.weights = weight_sums_of(s->weight, s->labels, s->impressions);
    return i;
}

/* Compares with a tolerance, because sums of floats differ in the last digits if the order differs.
 */
static enum status check_weights(const char *path, const struct weight_sums *is,
                                 const struct weight_sums *want) {
    const struct {
        const char *whose;
        double is, want;
    } pairs[] = {{"all impressions", is->all, want->all},
                 {"clicked ones", is->clicked, want->clicked},
                 {"converted ones", is->converted, want->converted}};
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
        if (fabs(pairs[k].is - pairs[k].want) > 1e-6 * pairs[k].want) {
            return fail(ERR_CORRUPT, "%s: the weights of %s add up to %g, the manifest says %g",
                        path, pairs[k].whose, pairs[k].is, pairs[k].want);
        }
    }
    return OK;
}

static enum status check_counts(const char *path, const struct shard_info *is,
                                const struct shard_info *want) {
    const struct {
        const char *what;
        uint64_t is, want;
    } pairs[] = {{"impressions", is->impressions, want->impressions},
                 {"groups", is->groups, want->groups},
                 {"clicks", is->clicks, want->clicks},
                 {"conversions", is->conversions, want->conversions},
                 {"values", is->values, want->values}};
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
        if (pairs[k].is != pairs[k].want) {
            return fail(ERR_CORRUPT, "%s: %" PRIu64 " %s, the manifest says %" PRIu64, path,
                        pairs[k].is, pairs[k].what, pairs[k].want);
        }
    }
    return check_weights(path, &is->weights, &want->weights);
}

static enum status check_file(const char *path, const struct shard_info *want) {
    uint64_t bytes = 0, checksum = 0;
    TRY(file_hash(path, &bytes, &checksum));
    if (bytes != want->bytes) {
        return fail(ERR_CORRUPT,
                    "%s: offset %" PRIu64 ": the file has %" PRIu64
                    " bytes, the manifest says %" PRIu64,
                    path, bytes < want->bytes ? bytes : want->bytes, bytes, want->bytes);
    }
    if (checksum != want->checksum) {
        return fail(ERR_CORRUPT,
                    "%s: the file's checksum is %016" PRIx64 ", the manifest says %016" PRIx64,
                    path, checksum, want->checksum);
    }
    return OK;
}

/* The content is checked first, because it reports damage with an offset; the checksum of the whole
 * file cannot. */
enum status dataset_verify(const struct dataset *d) {
    enum status status = OK;
    struct shard *shard = NULL;
    char path[PATH_BYTES_MAX];
    TRY(mem_new(&shard));
    for (uint32_t s = 0; s < d->shard_count; s++) {
        const struct shard_info *want = &d->shards[s];
        const char *dir = dataset_dir(d, want);
        TRY_OUT(path_join(path, dir, want->name));
        TRY_OUT(shard_read(shard, dir, want->name, &d->schema));
        const struct shard_info is = counted(shard);
        shard_free(shard);
        TRY_OUT(check_counts(path, &is, want));
        TRY_OUT(check_file(path, want));
    }
out:
    mem_free(&shard);
    return status;
}
