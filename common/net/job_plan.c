/* job_plan.c - the plan of a job as bytes: WELCOME's keys frame (docs/wire.md).
 *
 * The bytes come from a peer. Before anything is allocated for a count, it is checked against the
 * bytes left (each item takes at least one), so memory stays within a small multiple of the frame.
 */
#include "job_plan.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/data/sampling.h"

#define PLAN_MARK       0x344e4c50u /* "PLN4" */
#define CONFIG_TEXT_MAX ((size_t)1 << 20)

static enum status plan_put_text(struct buf *out, const char *text) {
    size_t n = strlen(text);
    TRY(buf_put_varint(out, n));
    return buf_put(out, text, n);
}

static enum status plan_put_dirs(struct buf *out, const struct file_list *dirs) {
    TRY(buf_put_varint(out, dirs->count));
    for (size_t k = 0; k < dirs->count; k++) {
        TRY(plan_put_text(out, dirs->names[k]));
    }
    return OK;
}

static enum status plan_put_f64(struct buf *out, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return buf_put_u64(out, bits);
}

enum status job_plan_encode(const struct job_plan *p, struct buf *out) {
    TRY(buf_put_u32(out, PLAN_MARK));
    TRY(plan_put_text(out, p->config_text));
    TRY(buf_put_varint(out, p->schema.count));
    for (uint32_t f = 0; f < p->schema.count; f++) {
        TRY(buf_put_u8(out, p->schema.fields[f].side == SIDE_USER ? 0 : 1));
        TRY(plan_put_text(out, p->schema.fields[f].name));
    }
    TRY(buf_put_u8(out, p->stream ? 1 : 0));
    TRY(buf_put_varint(out, p->shards));
    for (uint32_t s = 0; s < p->shards; s++) {
        TRY(buf_put_varint(out, p->batches_per_shard[s]));
    }
    TRY(plan_put_f64(out, p->rate_ctr));
    TRY(plan_put_f64(out, p->rate_cvr));
    TRY(plan_put_f64(out, p->sample_rate == 0 ? 1 : p->sample_rate));
    TRY(buf_put_varint(out, p->partitions));
    for (uint32_t k = 0; k < p->partitions; k++) {
        TRY(plan_put_text(out, p->endpoint[k]));
    }
    TRY(plan_put_dirs(out, &p->data_dirs));
    return plan_put_dirs(out, &p->eval_dirs);
}

static enum status plan_refuse(const char *what) {
    return fail(ERR_PROTOCOL, "job plan: %s", what);
}

/* A text of at most cap - 1 bytes without NULs. */
static enum status plan_take_text(struct cursor *c, char *out, size_t cap, const char *what) {
    uint64_t n = cursor_varint(c);
    if (c->bad || n >= cap || n > cursor_left(c)) {
        return fail(ERR_PROTOCOL, "job plan: %s is torn or longer than %zu bytes", what, cap - 1);
    }
    if (n > 0) {
        memcpy(out, cursor_take(c, (size_t)n), (size_t)n);
    }
    out[n] = '\0';
    return strlen(out) == n ? OK : fail(ERR_PROTOCOL, "job plan: %s contains a NUL", what);
}

static enum status plan_take_config(struct cursor *c, char **out) {
    struct cursor ahead = *c;
    uint64_t n = cursor_varint(&ahead);
    if (ahead.bad || n > CONFIG_TEXT_MAX || n > cursor_left(&ahead)) {
        return plan_refuse("the configuration is torn or too long");
    }
    TRY(mem_array(out, (size_t)n + 1));
    return plan_take_text(c, *out, (size_t)n + 1, "the configuration");
}

static enum status plan_take_schema(struct cursor *c, struct schema *s) {
    uint64_t n = cursor_varint(c);
    if (c->bad || n > FIELDS_MAX) {
        return plan_refuse("too many fields");
    }
    for (uint64_t f = 0; f < n; f++) {
        char name[FIELD_NAME_MAX];
        uint8_t side = cursor_u8(c);
        TRY(plan_take_text(c, name, sizeof name, "a field's name"));
        if (side > 1) {
            return plan_refuse("a field is on no side");
        }
        if (schema_add(s, name, side == 0 ? SIDE_USER : SIDE_ITEM) != OK) {
            return fail(ERR_PROTOCOL, "job plan: field '%s' is malformed or there twice", name);
        }
    }
    schema_finish(s);
    return OK;
}

static enum status plan_take_shards(struct cursor *c, struct job_plan *p) {
    uint8_t stream = cursor_u8(c);
    uint64_t n = cursor_varint(c);
    if (stream > 1) {
        return plan_refuse("it is neither a stream nor not one");
    }
    p->stream = stream == 1;
    if (c->bad || n > cursor_left(c)) {
        return plan_refuse("fewer shards than announced");
    }
    TRY(mem_array(&p->batches_per_shard, (size_t)n));
    p->shards = (uint32_t)n;
    for (uint32_t s = 0; s < p->shards; s++) {
        uint64_t batches = cursor_varint(c);
        if (c->bad || batches > UINT32_MAX) {
            return plan_refuse("a shard's number of batches is torn");
        }
        p->batches_per_shard[s] = (uint32_t)batches;
    }
    return OK;
}

static double plan_take_f64(struct cursor *c) {
    uint64_t bits = cursor_u64(c);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static enum status plan_take_endpoints(struct cursor *c, struct job_plan *p) {
    uint64_t n = cursor_varint(c);
    if (c->bad || n > WIRE_PARTITIONS_MAX || n > cursor_left(c)) {
        return plan_refuse("too many partitions, or fewer than announced");
    }
    TRY(mem_array(&p->endpoint, (size_t)n));
    p->partitions = (uint32_t)n;
    for (uint32_t k = 0; k < p->partitions; k++) {
        TRY(plan_take_text(c, p->endpoint[k], sizeof p->endpoint[k], "an endpoint"));
    }
    return OK;
}

static enum status plan_take_dirs(struct cursor *c, struct file_list *dirs, const char *what) {
    char path[PATH_BYTES_MAX];
    uint64_t n = cursor_varint(c);
    if (c->bad || n > cursor_left(c)) {
        return plan_refuse("fewer directories than announced");
    }
    for (uint64_t k = 0; k < n; k++) {
        TRY(plan_take_text(c, path, sizeof path, what));
        TRY(file_list_add(dirs, path));
    }
    return OK;
}

static enum status plan_take(struct cursor *c, struct job_plan *p) {
    if (cursor_u32(c) != PLAN_MARK) {
        return plan_refuse("its mark is missing");
    }
    TRY(plan_take_config(c, &p->config_text));
    TRY(plan_take_schema(c, &p->schema));
    TRY(plan_take_shards(c, p));
    p->rate_ctr = plan_take_f64(c);
    p->rate_cvr = plan_take_f64(c);
    p->sample_rate = plan_take_f64(c);
    if (!(p->sample_rate >= SAMPLE_RATE_MIN && p->sample_rate <= 1)) {
        return plan_refuse("its sample rate is none");
    }
    TRY(plan_take_endpoints(c, p));
    TRY(plan_take_dirs(c, &p->data_dirs, "a data directory"));
    TRY(plan_take_dirs(c, &p->eval_dirs, "an evaluation directory"));
    if (c->bad || cursor_left(c) != 0) {
        return plan_refuse("it does not end where it should");
    }
    return OK;
}

enum status job_plan_decode(struct job_plan *p, const void *data, size_t bytes) {
    memset(p, 0, sizeof *p);
    struct cursor c = cursor_of(data, bytes);
    enum status status = plan_take(&c, p);
    if (status != OK) {
        job_plan_free(p);
    }
    return status;
}

void job_plan_free(struct job_plan *p) {
    mem_free(&p->config_text);
    mem_free(&p->batches_per_shard);
    mem_free(&p->endpoint);
    file_list_free(&p->data_dirs);
    file_list_free(&p->eval_dirs);
    p->shards = 0;
    p->partitions = 0;
}
