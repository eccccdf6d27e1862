/* Any bytes as a job's plan, as a checkpoint's manifest, as a set of applied batches, and as the
 * description of a part. What decodes is encoded again and must mean the same. */
#include "common/checkpoint/manifest.h"
#include "common/job/applied.h"
#include "common/net/wire.h"
#include "common/net/job_plan.h"
#include "fuzz.h"
#include "common/checkpoint/part_meta.h"

static uint32_t batches[3] = {5, 0, 11};

static void same(const struct buf *a, const struct buf *b) {
    FUZZ_MUST(a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0));
}

static void try_manifest(const uint8_t *data, size_t bytes, struct buf *a, struct buf *b) {
    struct manifest m, again;
    enum status status = manifest_decode(&m, data, bytes);
    FUZZ_MUST(status == OK || status == ERR_CORRUPT);
    if (status == OK) {
        FUZZ_MUST(manifest_encode(&m, a) == OK && manifest_decode(&again, a->data, a->len) == OK);
        FUZZ_MUST(manifest_encode(&again, b) == OK);
        same(a, b);
        manifest_free(&again);
        manifest_free(&m);
    }
}

static void try_plan(const uint8_t *data, size_t bytes, struct buf *a, struct buf *b) {
    static struct job_plan p, again;
    enum status status = job_plan_decode(&p, data, bytes);
    FUZZ_MUST(status == OK || status == ERR_PROTOCOL);
    if (status == OK) {
        FUZZ_MUST(job_plan_encode(&p, a) == OK && job_plan_decode(&again, a->data, a->len) == OK);
        FUZZ_MUST(job_plan_encode(&again, b) == OK);
        same(a, b);
        job_plan_free(&again);
    }
    job_plan_free(&p);
}

static void try_applied(const uint8_t *data, size_t bytes, struct buf *a, struct buf *b) {
    struct applied *set = NULL, *again = NULL;
    enum status status = applied_decode(&set, data, bytes, batches, 3);
    FUZZ_MUST(status == OK || status == ERR_CORRUPT || status == ERR_CONFIG);
    if (status == OK) {
        FUZZ_MUST(applied_encode(set, a) == OK);
        FUZZ_MUST(applied_decode(&again, a->data, a->len, batches, 3) == OK);
        FUZZ_MUST(applied_equal(set, again) && applied_encode(again, b) == OK);
        same(a, b);
    }
    applied_destroy(&set);
    applied_destroy(&again);
}

static void try_meta(const uint8_t *data, size_t bytes, struct buf *a) {
    struct part_meta m, again;
    enum status status = part_meta_decode(&m, data, bytes);
    FUZZ_MUST(status == OK || status == ERR_CORRUPT);
    if (status == OK) {
        FUZZ_MUST(part_meta_encode(&m, a) == OK);
        FUZZ_MUST(part_meta_decode(&again, a->data, a->len) == OK);
        part_meta_free(&again);
        part_meta_free(&m);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct buf a = BUF_EMPTY, b = BUF_EMPTY;
    if (bytes == 0) {
        return 0;
    }
    switch (data[0] & 3) {
    case 0: try_manifest(data + 1, bytes - 1, &a, &b); break;
    case 1: try_plan(data + 1, bytes - 1, &a, &b); break;
    case 2: try_applied(data + 1, bytes - 1, &a, &b); break;
    default: try_meta(data + 1, bytes - 1, &a); break;
    }
    buf_fini(&a);
    buf_fini(&b);
    return 0;
}

static struct applied *some_batches(void) {
    struct applied *a = NULL;
    FUZZ_MUST(applied_create(&a, batches, 3) == OK);
    for (uint32_t i = 0; i < 16; i++) {
        struct batch_name whole = {0, i < 5 ? 0 : 2, i < 5 ? i : i - 5};
        FUZZ_MUST(applied_add(a, whole) == OK);
    }
    FUZZ_MUST(applied_add(a, (struct batch_name){3, 2, 7}) == OK);
    return a;
}

static void seed_manifest(const struct buf *applied, struct buf *out) {
    char config[] = "[table]\ndim = 4\n";
    struct manifest_part parts[2] = {{.name = "part-00000-of-00002.bin", .bucket_end = 2048},
                                     {.name = "b", .bucket_begin = 2048, .bucket_end = 4096}};
    struct manifest m = {.step = 17,
                         .config_text = config,
                         .batches_per_shard = batches,
                         .shards = 3,
                         .parts = parts,
                         .part_count = 2,
                         .applied = applied->data,
                         .applied_bytes = applied->len};
    schema_add(&m.schema, "a", SIDE_USER);
    schema_add(&m.schema, "b", SIDE_ITEM);
    schema_finish(&m.schema);
    FUZZ_MUST(manifest_encode(&m, out) == OK);
}

static void seed_plan(struct buf *out) {
    static struct job_plan p;
    char config[] = "[table]\ndim = 4\n",
         endpoints[2][WIRE_ENDPOINT_MAX] = {"ipc://a", "tcp://b:1"};
    memset(&p, 0, sizeof p);
    schema_add(&p.schema, "a", SIDE_USER);
    schema_finish(&p.schema);
    p.config_text = config;
    p.batches_per_shard = batches;
    p.shards = 3;
    p.endpoint = endpoints;
    p.partitions = 2;
    FUZZ_MUST(job_plan_encode(&p, out) == OK);
}

static void seed_meta(const struct buf *applied, struct buf *out) {
    struct part_table tables[1] = {
        {.name = "a", .dim = 4, .state_floats = 8, .row_bytes = 64, .optimizer = OPT_ADAM}};
    struct part_domain domains[1] = {{.bucket_end = 4096, .applied = *applied}};
    struct part_meta m = {.bucket_end = 4096,
                          .dense_end = 10,
                          .dense_state = 2,
                          .dense_optimizer = OPT_ADAM,
                          .tables = tables,
                          .table_count = 1,
                          .domains = domains,
                          .domain_count = 1};
    FUZZ_MUST(part_meta_encode(&m, out) == OK);
}

bool fuzz_seed(uint32_t n, struct buf *out) {
    struct buf applied = BUF_EMPTY;
    struct applied *set = some_batches();
    FUZZ_MUST(applied_encode(set, &applied) == OK && buf_put_u8(out, (uint8_t)n) == OK);
    switch (n) {
    case 0: seed_manifest(&applied, out); break;
    case 1: seed_plan(out); break;
    case 2: FUZZ_MUST(buf_put(out, applied.data, applied.len) == OK); break;
    case 3: seed_meta(&applied, out); break;
    default: buf_fini(out); break;
    }
    applied_destroy(&set);
    buf_fini(&applied);
    return n <= 3;
}
