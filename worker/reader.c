/* reader.c - leases in, batches out.
 *
 *     leases --> loader thread --> loaded --> cutter thread --> items --> trainers
 *                reads windows                cuts batches  <-- pool <-- reader_give_back
 *
 * There are two threads, because reading a window takes long and must not hold up the batches of
 * the one before. read_ahead.h decides under `lock` what either thread does next. The thread does
 * it without the lock, reports it, and wakes those who may go on. loader.h says which batches a
 * lease means and reads windows.
 */
#include "reader.h"

#include <pthread.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/thread.h"
#include "common/fault/fault.h"
#include "common/job/plan.h"

struct reader {
    struct reader_spec spec;
    struct loader loader;
    int user_slot;
    struct batch *batches; /* [batches_ahead] the pool */
    struct batch_cutter *cutter;
    struct thread loader_thread, cutter_thread;
    pthread_mutex_t lock; /* guards all members below */
    pthread_cond_t to_load, to_cut, to_take;
    struct read_ahead ahead;
    uint64_t load_ns, cut_ns;
};

/* Ends loading and cutting: with a failure, or with ERR_CLOSED. */
static void reader_close(struct reader *r, enum status status) {
    atomic_store(&r->loader.stop, true);
    pthread_mutex_lock(&r->lock);
    read_ahead_close(&r->ahead, status);
    pthread_cond_broadcast(&r->to_load);
    pthread_cond_broadcast(&r->to_cut);
    pthread_cond_broadcast(&r->to_take);
    pthread_mutex_unlock(&r->lock);
}

/* --- the loader ------------------------------------------------------------------------------- */

/* The next window to load; NULL: the reader is closed. */
static struct read_window *await_load(struct reader *r) {
    struct read_window *w;
    pthread_mutex_lock(&r->lock);
    while ((w = read_ahead_load(&r->ahead)) == NULL && !r->ahead.closed) {
        pthread_cond_wait(&r->to_load, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return w;
}

static enum status loader_run(void *arg) {
    struct reader *r = arg;
    struct read_window *w;
    while ((w = await_load(r)) != NULL) {
        const uint64_t start_ns = clock_mono_ns();
        FAULT("worker.load.begin");
        enum status status = loader_load(&r->loader, w);
        FAULT("worker.load.end");
        if (status != OK) {
            reader_close(r, status);
            return status;
        }
        pthread_mutex_lock(&r->lock);
        r->load_ns += clock_mono_ns() - start_ns;
        read_ahead_loaded(&r->ahead, w);
        pthread_cond_signal(&r->to_cut);
        pthread_mutex_unlock(&r->lock);
    }
    return OK;
}

/* --- the cutter ------------------------------------------------------------------------------- */

/* The positions of batches [first, first + count) of the window. */
struct positions {
    uint32_t begin, end;
};
static struct positions positions_of(const struct read_window *w, uint32_t first, uint32_t count) {
    const uint32_t n = w->shard.impressions;
    return (struct positions){plan_begin(n, w->batches, first),
                              plan_begin(n, w->batches, first + count)};
}

static enum status cut_shared(struct reader *r, const struct read_cut *cut, struct positions p) {
    struct reading *x = cut->lease;
    if (x->at == 0) {
        const struct positions all = positions_of(cut->window, x->place.first, cut->lease_batches);
        TRY(batch_cutter_share(r->cutter, all.begin, all.end, r->loader.shared.field, &x->share));
    }
    return batch_cut_shared(r->cutter, p.begin, p.end, &x->share, cut->batch);
}

static enum status cut_batch(struct reader *r, const struct read_cut *cut) {
    const struct reading *x = cut->lease;
    const struct read_window *w = cut->window;
    struct batch *b = cut->batch;
    if (b == NULL) {
        return OK;
    }
    if (cut->begins) {
        TRY(batch_cutter_runs(r->cutter, &w->shard, w->runs, w->run_count,
                              r->spec.loader.schema->user_count, r->user_slot));
    }
    b->name = (struct batch_name){x->lease.epoch, x->lease.shard, x->at};
    b->fence = x->lease.fence;
    b->shard_batches = cut->lease_batches;
    const struct positions p = positions_of(w, x->place.first + x->at, 1);
    return cut->shares ? cut_shared(r, cut, p) : batch_cut(r->cutter, p.begin, p.end, b);
}

/* False: the reader is closed. */
static bool await_cut(struct reader *r, struct read_cut *cut) {
    bool any;
    pthread_mutex_lock(&r->lock);
    while (!(any = read_ahead_cut(&r->ahead, cut)) && !r->ahead.closed) {
        pthread_cond_wait(&r->to_cut, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return any;
}

static enum status cutter_run(void *arg) {
    struct reader *r = arg;
    struct read_cut cut;
    while (await_cut(r, &cut)) {
        const uint64_t start_ns = clock_mono_ns();
        enum status status = cut_batch(r, &cut);
        FAULT("worker.cut.batch");
        if (status != OK) {
            reader_close(r, status);
            return status;
        }
        pthread_mutex_lock(&r->lock);
        r->cut_ns += clock_mono_ns() - start_ns;
        if (cut.batch != NULL) {
            read_ahead_batch(&r->ahead, &cut);
        } else {
            read_ahead_end(&r->ahead, &cut);
        }
        pthread_cond_signal(&r->to_load);    /* a window may have become idle */
        pthread_cond_broadcast(&r->to_take); /* it may be one trainer's alone */
        pthread_mutex_unlock(&r->lock);
    }
    return OK;
}

/* --- life ------------------------------------------------------------------------------------- */

/* The slot of the field that evaluation groups by. -1: it groups by the group key, because no such
 * field is named or there is none. */
static int find_user_slot(const struct reader_spec *spec) {
    const struct config *config = spec->loader.config;
    if (config->user_field[0] == '\0') {
        return -1;
    }
    int slot = schema_find(spec->loader.schema, config->user_field);
    if (slot < 0) {
        log_warn("eval.user_field=%s is not a field of the data: GAUC goes by group key",
                 config->user_field);
    }
    return slot;
}

static enum status reader_begin(struct reader *r) {
    uint32_t ahead = r->spec.batches_ahead;
    TRY(loader_init(&r->loader, &r->spec.loader));
    r->user_slot = find_user_slot(&r->spec);
    TRY(batch_cutter_create(&r->cutter));
    TRY(mem_array(&r->batches, ahead));
    TRY(read_ahead_init(&r->ahead, loader_mixes(&r->loader), r->batches, ahead));
    if (reader_shares(r)) {
        read_ahead_share(&r->ahead, r->spec.trainers);
    }
    TRY(thread_start(&r->loader_thread, "loader", loader_run, r));
    return thread_start(&r->cutter_thread, "cutter", cutter_run, r);
}

enum status reader_start(struct reader **r, const struct reader_spec *spec) {
    TRY(mem_new(r));
    (*r)->spec = *spec;
    pthread_mutex_init(&(*r)->lock, NULL);
    thread_cond_init(&(*r)->to_load);
    thread_cond_init(&(*r)->to_cut);
    thread_cond_init(&(*r)->to_take);
    enum status status = reader_begin(*r);
    if (status != OK) {
        reader_stop(r);
    }
    return status;
}

void reader_stop(struct reader **reader) {
    struct reader *r = *reader;
    if (r == NULL) {
        return;
    }
    reader_close(r, ERR_CLOSED);
    thread_join(&r->loader_thread);
    thread_join(&r->cutter_thread);
    read_ahead_fini(&r->ahead);
    for (uint32_t i = 0; r->batches != NULL && i < r->spec.batches_ahead; i++) {
        batch_fini(&r->batches[i]);
    }
    mem_free(&r->batches);
    batch_cutter_destroy(&r->cutter);
    loader_fini(&r->loader);
    pthread_cond_destroy(&r->to_load);
    pthread_cond_destroy(&r->to_cut);
    pthread_cond_destroy(&r->to_take);
    pthread_mutex_destroy(&r->lock);
    mem_free(reader);
}

enum status reader_lease_put(struct reader *r, const struct wire_lease *lease, const void *done,
                             size_t done_bytes) {
    struct reading_place place;
    struct reading *x;
    TRY(loader_place(&r->loader, lease, &place));
    TRY(reading_create(&x, lease, &place, done, done_bytes));
    pthread_mutex_lock(&r->lock);
    enum status status = read_ahead_lease(&r->ahead, x);
    pthread_cond_signal(&r->to_load);
    pthread_cond_signal(&r->to_cut); /* its window may be in memory */
    pthread_mutex_unlock(&r->lock);
    if (status != OK) {
        reading_destroy(&x);
    }
    return status;
}

enum status reader_take(struct reader *r, uint32_t trainer, struct reader_item *item,
                        uint64_t timeout_ms) {
    const struct timespec until = thread_cond_until(timeout_ms);
    bool late = timeout_ms == 0;
    enum status status;
    pthread_mutex_lock(&r->lock);
    while ((status = read_ahead_take(&r->ahead, trainer, item)) == ERR_TIMEOUT && !late) {
        late = pthread_cond_timedwait(&r->to_take, &r->lock, &until) != 0;
    }
    pthread_mutex_unlock(&r->lock);
    return status;
}

bool reader_shares(const struct reader *r) {
    return r->loader.shared.count > 0;
}

void reader_give_back(struct reader *r, struct batch *b) {
    pthread_mutex_lock(&r->lock);
    read_ahead_give_back(&r->ahead, b);
    pthread_cond_signal(&r->to_cut);
    pthread_mutex_unlock(&r->lock);
}

bool reader_waits(struct reader *r) {
    pthread_mutex_lock(&r->lock);
    const bool waits = read_ahead_waits(&r->ahead);
    pthread_mutex_unlock(&r->lock);
    return waits;
}

void reader_usage(struct reader *r, struct usage *into) {
    pthread_mutex_lock(&r->lock);
    into->stage_s[STAGE_LOAD] += (double)r->load_ns * 1e-9;
    into->stage_s[STAGE_CUT] += (double)r->cut_ns * 1e-9;
    pthread_mutex_unlock(&r->lock);
}
