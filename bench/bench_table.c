/* bench_table.c - rows a second and bytes a row: ps/table against a chained hash map of vectors,
 * which parameter servers built on std::unordered_map use. One core, random ids, Adam, dim 18.
 * Rates and pauses are in CPU time (user and system), so that others on the machine disturb less.
 *
 *     bench_table [rows = 2000000]
 *     bench_table growth [rows = 2000000]     how long single steps take while a table grows
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/hash.h"
#include "common/job/row_initial.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "ps/table/index.h"
#include "ps/table/optimizer.h"
#include "ps/table/table.h"

#define DIM         18u
#define BLOCK       256u
#define WRITE_AHEAD 6u
#define SALT        77u
#define ROUNDS      4000000u

static const struct table_config config = {
    .dim = DIM,
    .init_scale = 0.01f,
    .opt = {.kind = OPT_ADAM, .lr = 1e-3f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f}};

static uint64_t cpu_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void report(const char *what, uint64_t n, uint64_t started_us) {
    const double s = (double)(cpu_us() - started_us) * 1e-6;
    printf("%-44s %8.2f M rows/s\n", what, (double)n / s * 1e-6);
}

static void must(enum status status) {
    if (status != OK) {
        fprintf(stderr, "%s\n", fail_text());
        exit(1);
    }
}

static uint64_t id_of(uint64_t i) {
    return rng_u64(1, i, 0);
}

/* --- the naive map ---------------------------------------------------------------------------- */

struct node {
    uint64_t id;
    struct node *next;
    uint32_t step;
    float *data; /* w, m, v */
};
struct map {
    struct node **heads;
    uint64_t mask;
};

static struct node *map_find(const struct map *m, uint64_t id) {
    struct node *n = m->heads[rng_mix(id) & m->mask];
    while (n != NULL && n->id != id) {
        n = n->next;
    }
    return n;
}

static void map_insert(struct map *m, uint64_t id) {
    struct node **head = &m->heads[rng_mix(id) & m->mask];
    struct node *n = malloc(sizeof *n);
    float *data = calloc(3 * DIM, sizeof(float));
    if (n == NULL || data == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    *n = (struct node){.id = id, .next = *head, .data = data};
    row_initial(1, hash_key(SALT, id), config.init_scale, DIM, data);
    *head = n;
}

static void bench_map(uint64_t rows, const uint64_t *ids) {
    struct map m = {.mask = 1};
    float out[BLOCK * DIM] = {0};
    const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    while (m.mask < rows) {
        m.mask *= 2;
    }
    m.heads = calloc(m.mask, sizeof *m.heads);
    m.mask--;
    uint64_t t = cpu_us();
    for (uint64_t i = 0; i < rows; i++) {
        map_insert(&m, id_of(i));
    }
    report("chained map: create", rows, t);
    t = cpu_us();
    for (uint64_t i = 0; i < ROUNDS; i++) {
        memcpy(out + i % BLOCK * DIM, map_find(&m, ids[i])->data, DIM * sizeof(float));
    }
    report("chained map: pull", ROUNDS, t);
    t = cpu_us();
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct node *n = map_find(&m, ids[i]);
        optimizer_apply(&config.opt, DIM, 1e-3f, ++n->step, n->data, n->data + DIM,
                        out + i % BLOCK * DIM);
    }
    report("chained map: push (Adam)", ROUNDS, t);
    const size_t bytes = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    printf("%-44s %8.1f bytes\n", "chained map: a row", (double)bytes / (double)rows);
    for (uint64_t k = 0; k <= m.mask; k++) {
        for (struct node *n = m.heads[k], *next; n != NULL; n = next) {
            next = n->next;
            free(n->data);
            free(n);
        }
    }
    free(m.heads);
}

/* --- the table -------------------------------------------------------------------------------- */

static void create_rows(struct table *t, uint64_t rows) {
    uint64_t worst = 0;
    const uint64_t start = cpu_us();
    for (uint64_t i = 0; i < rows; i++) {
        uint32_t handle;
        const bool grows = table_grow_bytes(t) > 0;
        const uint64_t one = grows ? cpu_us() : 0;
        must(table_insert(t, id_of(i), &handle));
        table_row(t, handle)->step = 1;
        if (grows && cpu_us() - one > worst) {
            worst = cpu_us() - one;
        }
    }
    report("table: create", rows, start);
    printf("%-44s %8.2f ms\n", "table: longest growth step", (double)worst * 1e-3);
}

static void push_block(struct table *t, const uint32_t *handles, const float *g) {
    for (uint32_t i = 0; i < WRITE_AHEAD; i++) {
        table_prefetch(t, handles[i]);
    }
    for (uint32_t i = 0; i < BLOCK; i++) {
        if (i + WRITE_AHEAD < BLOCK) {
            table_prefetch(t, handles[i + WRITE_AHEAD]);
        }
        struct row *row = table_row(t, handles[i]);
        row->step++;
        optimizer_apply(&config.opt, DIM, 1e-3f, row->step, row->data, row->data + DIM,
                        g + i * DIM);
    }
}

static void bench_table(uint64_t rows, const uint64_t *ids) {
    struct table *t = NULL;
    uint32_t *handles = NULL;
    static float out[BLOCK * DIM];
    const uint64_t n = ROUNDS / BLOCK * BLOCK;
    must(table_create(&t, &config, SALT, 1));
    must(mem_array(&handles, n));
    create_rows(t, rows);
    uint64_t at = cpu_us();
    for (uint64_t i = 0; i < n; i += BLOCK) {
        table_find(t, ids + i, BLOCK, handles + i);
        table_read(t, ids + i, handles + i, BLOCK, out);
    }
    report("table: pull (find and read)", n, at);
    at = cpu_us();
    for (uint64_t i = 0; i < n; i += BLOCK) {
        push_block(t, handles + i, out);
    }
    report("table: push by handle (Adam)", n, at);
    at = cpu_us();
    for (uint64_t i = 0; i < n; i += BLOCK) {
        table_find(t, ids + i, BLOCK, handles + i);
        push_block(t, handles + i, out);
    }
    report("table: push by key (Adam)", n, at);
    printf("%-44s %8.1f bytes, the record %u\n", "table: a row, index included",
           (double)table_bytes(t) / (double)table_rows(t), table_row_bytes(t));
    for (uint32_t i = 0; i < BLOCK; i++) {
        handles[i] = HANDLE_NONE;
    }
    at = cpu_us();
    for (uint64_t i = 0; i < n; i += BLOCK) {
        table_read(t, ids + i, handles, BLOCK, out);
    }
    report("table: read of missing rows (initial values)", n, at);
    mem_free(&handles);
    table_destroy(&t);
}

/* --- growth ----------------------------------------------------------------------------------- */

#define PUSH_ROWS 10000u
#define FEW_ROWS  16u
#define BINS      16u
#define BIN_US    62.5 /* the first bin ends here; each later one is twice as long */

struct pauses {
    uint64_t bins[BINS], worst_us;
};

static void pause_add(struct pauses *p, uint64_t us) {
    uint32_t bin = 0;
    while (bin + 1 < BINS && (double)us > BIN_US * (double)(1u << bin)) {
        bin++;
    }
    p->bins[bin]++;
    p->worst_us = us > p->worst_us ? us : p->worst_us;
}

static void pause_print(const char *what, const struct pauses *p) {
    printf("%-44s %8.3f ms at worst\n", what, (double)p->worst_us * 1e-3);
    for (uint32_t bin = 0; bin < BINS; bin++) {
        if (p->bins[bin] > 0) {
            printf("    up to %9.3f ms %34" PRIu64 " times\n", BIN_US * (double)(1u << bin) * 1e-3,
                   p->bins[bin]);
        }
    }
}

/* The index alone: its own pages are the only ones that are touched. */
static void growth_of_index(uint64_t rows) {
    struct index x = {0};
    struct pauses few = {0};
    const uint64_t start = cpu_us();
    uint64_t at = start;
    for (uint64_t i = 0; i < rows; i++) {
        must(index_reserve(&x));
        index_put(&x, index_tag(hash_key(SALT, id_of(i))), (uint32_t)i);
        if ((i + 1) % FEW_ROWS == 0) {
            const uint64_t now = cpu_us();
            pause_add(&few, now - at);
            at = now;
        }
    }
    report("index alone: put", rows, start);
    pause_print("index alone: 16 puts", &few);
    printf("%-44s %8.1f bytes an entry\n", "index alone: at the end",
           (double)index_bytes(&x) / (double)rows);
    index_fini(&x);
}

/* A table: pushes of 10,000 new rows, and 16 of them. */
static void growth_of_table(uint64_t rows) {
    struct table *t = NULL;
    struct pauses few = {0}, pushes = {0};
    must(table_create(&t, &config, SALT, 1));
    uint64_t at = cpu_us(), push_at = at;
    const uint64_t start = at;
    for (uint64_t i = 0; i < rows; i++) {
        uint32_t handle;
        must(table_insert(t, id_of(i), &handle));
        table_row(t, handle)->step = 1;
        if ((i + 1) % FEW_ROWS == 0) {
            const uint64_t now = cpu_us();
            pause_add(&few, now - at);
            at = now;
        }
        if ((i + 1) % PUSH_ROWS == 0) {
            pause_add(&pushes, at - push_at);
            push_at = at;
        }
    }
    report("table: create", rows, start);
    pause_print("table: 16 new rows", &few);
    pause_print("table: 10,000 new rows", &pushes);
    table_destroy(&t);
}

/* A virtual machine's memory is several times slower until the host has backed it, and whoever
 * allocates first would pay for that. So touch as much as will be needed, and free it again. */
static void warm_memory(size_t bytes) {
    void *pages = NULL;
    must(mem_pages_alloc(&pages, bytes));
    for (size_t i = 0; i < bytes; i += 4096) {
        ((volatile char *)pages)[i] = 1;
    }
    mem_pages_free(&pages, bytes);
}

int main(int argc, char **argv) {
    const bool growth = argc > 1 && strcmp(argv[1], "growth") == 0;
    const uint64_t rows = argc > 1 + growth ? strtoull(argv[1 + growth], NULL, 10) : 2000000;
    uint64_t *ids = NULL;
    if (rows == 0) {
        fprintf(stderr, "usage: bench_table [growth] [rows]\n");
        return 2;
    }
    if (growth) {
        warm_memory((size_t)rows * 16);
        growth_of_index(rows);
        warm_memory((size_t)rows * 260);
        growth_of_table(rows);
        return 0;
    }
    must(mem_array(&ids, ROUNDS));
    for (uint64_t i = 0; i < ROUNDS; i++) {
        ids[i] = id_of(rng_below(2, i, 0, rows));
    }
    warm_memory((size_t)rows * 300);
    printf("%" PRIu64 " rows of dim %u, Adam\n", rows, DIM);
    bench_table(rows, ids);
    bench_map(rows, ids);
    mem_free(&ids);
    return 0;
}
