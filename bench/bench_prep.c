/* bench_prep.c - writes the text that bench_prep.sh measures with: a raw log of Ali-CCP's shape.
 *
 *     bench_prep DIR [impressions = 1000000]
 *
 * Writes DIR/skeleton.csv and DIR/common.csv. As in the public set, a common row has 518 entries
 * and 58 impressions on average, and three quarters of these impressions come in one run; common
 * rows are in another order than the skeleton; an impression has 13.4 entries of its own; ids reach
 * 10 million, and popular ids are far more frequent; weights are ln(1 + n) with five decimals.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/rng.h"

#define RUN_MEAN  46u
#define IDS       10000000u
#define WEIGHTS   64u
#define OUT_BYTES (1u << 20)
#define LINE_ROOM (1u << 17)

struct out {
    FILE *file;
    char *text;
    size_t n;
    uint64_t draws;
    char weight[WEIGHTS][16];
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void out_open(struct out *o, const char *dir, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    o->file = fopen(path, "w");
    if (o->file == NULL || mem_array(&o->text, OUT_BYTES + LINE_ROOM) != OK) {
        die(path);
    }
    for (uint32_t k = 0; k < WEIGHTS; k++) {
        snprintf(o->weight[k], sizeof o->weight[k], "%.5f", log(2.0 + k * k / 8));
    }
}

static void flush(struct out *o, size_t limit) {
    if (o->n > limit) {
        if (fwrite(o->text, 1, o->n, o->file) != o->n) {
            die("write");
        }
        o->n = 0;
    }
}

static void out_close(struct out *o) {
    flush(o, 0);
    if (fclose(o->file) != 0) {
        die("close");
    }
    mem_free(&o->text);
}

static void put(struct out *o, const char *text) {
    const size_t n = strlen(text);
    memcpy(o->text + o->n, text, n);
    o->n += n;
}

static void put_number(struct out *o, uint64_t v) {
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)v);
    put(o, digits);
}

static uint64_t draw(struct out *o, uint64_t stream, uint64_t n) {
    return rng_below(stream, o->draws++, 0, n);
}

/* Popular ids are the small numbers of a field's own range. */
static uint64_t draw_id(struct out *o, uint64_t field) {
    const double u = rng_unit(3, o->draws++, 0);
    return IDS / 10 + (field * 977731 + (uint64_t)(u * u * u * (IDS / 10))) % (IDS - IDS / 10);
}

static void put_entry(struct out *o, bool *any, const char *field, uint64_t id,
                      const char *weight) {
    put(o, *any ? "\x01" : "");
    put(o, field);
    put(o, "\x02");
    put_number(o, id);
    put(o, "\x03");
    put(o, weight);
    *any = true;
}

/* The size of a weighted bag: between 0.5 and 1.5 times `mean`. */
static uint32_t size_near(struct out *o, uint32_t mean) {
    return mean / 2 + (uint32_t)draw(o, 4, mean + 1);
}

static void common_row(struct out *o, uint64_t row) {
    static const char *const profile[] = {"101", "121", "122", "124", "125", "127", "128", "129"};
    static const char *const bag[] = {"109_14", "110_14", "127_14", "150_14"};
    static const uint32_t mean[] = {70, 202, 124, 114};
    uint32_t size[4], count = 8;
    bool any = false;
    char key[20];
    for (size_t k = 0; k < 4; k++) {
        size[k] = size_near(o, mean[k]);
        count += size[k];
    }
    snprintf(key, sizeof key, "%016llx", (unsigned long long)rng_mix(row));
    put(o, key);
    put(o, ",");
    put_number(o, count);
    put(o, ",");
    for (size_t k = 0; k < 8; k++) {
        const uint64_t value = 1000000 + k * 1000 + draw(o, 5, 20);
        put_entry(o, &any, profile[k], k == 0 ? row + 1 : value, "1.0");
    }
    for (size_t k = 0; k < 4; k++) {
        for (uint32_t i = 0; i < size[k]; i++) {
            put_entry(o, &any, bag[k], draw_id(o, k), o->weight[draw(o, 6, WEIGHTS)]);
        }
    }
    put(o, "\n");
    flush(o, OUT_BYTES);
}

static void skeleton_row(struct out *o, uint64_t number, uint64_t row) {
    static const char *const single[] = {"205", "206", "207", "216", "301"};
    static const char *const crossed[] = {"508", "509", "702", "853"};
    const uint32_t intentions = (uint32_t)draw(o, 7, 13);
    bool any = false, has[4];
    uint32_t count = 5 + intentions;
    char key[48];
    for (size_t k = 0; k < 4; k++) {
        has[k] = draw(o, 8, 100) < 60;
        count += has[k];
    }
    put_number(o, number + 1);
    const bool click = draw(o, 9, 1000) < 39, conversion = click && draw(o, 10, 1000) < 6;
    snprintf(key, sizeof key, ",%d,%d,%016llx,%u,", click, conversion,
             (unsigned long long)rng_mix(row), count);
    put(o, key);
    for (size_t k = 0; k < 5; k++) {
        put_entry(o, &any, single[k], draw_id(o, 10 + k), "1.0");
    }
    for (uint32_t i = 0; i < intentions; i++) {
        put_entry(o, &any, "210", draw_id(o, 20), "1.0");
    }
    for (size_t k = 0; k < 4; k++) {
        if (has[k]) {
            put_entry(o, &any, crossed[k], draw_id(o, 30 + k), o->weight[draw(o, 11, WEIGHTS)]);
        }
    }
    put(o, "\n");
    flush(o, OUT_BYTES);
}

int main(int argc, char **argv) {
    static struct out common, skeleton;
    const uint64_t impressions = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    const uint32_t rows = (uint32_t)(impressions / 58) + 1;
    uint32_t *order = NULL;
    if (argc < 2 || mem_array(&order, rows) != OK) {
        fprintf(stderr, "usage: bench_prep DIR [impressions]\n");
        return 2;
    }
    out_open(&common, argv[1], "common.csv");
    rng_permutation(1, 2, 3, order, rows);
    for (uint32_t r = 0; r < rows; r++) {
        common_row(&common, order[r]);
    }
    out_close(&common);
    out_open(&skeleton, argv[1], "skeleton.csv");
    for (uint64_t at = 0, run = 0; at < impressions; run++) {
        /* After every fourth new row an old one is repeated. */
        const uint64_t row = (run % 5 == 4 ? run / 3 : run - run / 5) % rows;
        const uint64_t length = 1 + draw(&skeleton, 12, 2 * RUN_MEAN);
        for (uint64_t i = 0; i < length && at < impressions; i++) {
            skeleton_row(&skeleton, at++, row);
        }
    }
    out_close(&skeleton);
    mem_free(&order);
    return 0;
}
