#include "ranges.h"

#include <assert.h>

#include "common/base/mem.h"

static uint64_t draw_begin(const struct ranges *r, uint32_t draw) {
    return (uint64_t)((unsigned __int128)r->sampled * draw / r->draws);
}

/* How many of the positions 0 .. n-1 of a draw belong to one of its first `turns` windows: of every
 * V positions the first `turns`. */
static uint64_t turns_share(const struct ranges *r, uint64_t n, uint32_t turns) {
    const uint64_t v = r->windows_per_draw, rest = n % v;
    return n / v * turns + (rest < turns ? rest : turns);
}

uint32_t ranges_window_impressions(const struct ranges *r, uint32_t window) {
    if (!ranges_mixed(r)) {
        return r->shard[window].sampled;
    }
    const uint32_t draw = window / r->windows_per_draw, turn = window % r->windows_per_draw;
    const uint64_t n = draw_begin(r, draw + 1) - draw_begin(r, draw);
    return (uint32_t)(turns_share(r, n, turn + 1) - turns_share(r, n, turn));
}

/* As many batches as if the model trained on all impressions that the sample stands for. */
uint32_t ranges_window_batches(const struct ranges *r, uint32_t window) {
    const uint32_t n = ranges_window_impressions(r, window);
    if (!ranges_mixed(r)) {
        return plan_sampled_batches(r->shard[window].impressions, n, r->spec.batch);
    }
    if (n == 0) {
        return 0;
    }
    const unsigned __int128 all = (unsigned __int128)n * r->impressions;
    const unsigned __int128 one = (unsigned __int128)r->sampled * r->spec.batch;
    const uint64_t batches = (uint64_t)((all + one - 1) / one);
    return batches < n ? (uint32_t)batches : n;
}

static enum status add_window(struct ranges *r, uint32_t window, uint32_t range_batches) {
    const uint32_t batches = ranges_window_batches(r, window);
    const uint32_t count = !ranges_mixed(r) ? 1 : (batches + range_batches - 1) / range_batches;
    if (count > UINT32_MAX - r->count) {
        return fail(ERR_LIMIT, "an epoch of more than %u ranges of batches", UINT32_MAX);
    }
    TRY(mem_room(&r->batches, &r->batches_cap, (size_t)r->count + count));
    TRY(mem_room(&r->window, &r->window_cap, (size_t)r->count + count));
    TRY(mem_room(&r->first_range, &r->first_cap, (size_t)window + 2));
    for (uint32_t i = 0; i < count; i++) {
        r->window[r->count + i] = window;
        r->batches[r->count + i] =
            plan_begin(batches, count, i + 1) - plan_begin(batches, count, i);
    }
    r->first_range[window] = r->count;
    r->count += count;
    r->first_range[window + 1] = r->count;
    r->epoch_batches += batches;
    return OK;
}

static void lay_out(struct ranges *r) {
    if (!ranges_mixed(r)) {
        r->windows = r->shards;
        return;
    }
    r->draws = r->shards < RANGES_OPEN_SHARDS ? 1 : r->shards / RANGES_OPEN_SHARDS;
    const uint64_t longest = (r->sampled + r->draws - 1) / r->draws;
    const uint64_t per_draw = (longest + r->spec.window - 1) / r->spec.window;
    r->windows_per_draw = per_draw < 1 ? 1 : (uint32_t)per_draw;
    r->windows = r->draws * r->windows_per_draw;
}

/* So many that an epoch has RANGES_AT_LEAST ranges, but 1 to RANGE_BATCHES. */
static uint32_t batches_of_range(const struct ranges *r) {
    const uint32_t most = r->spec.share ? SHARED_RANGE_BATCHES : RANGE_BATCHES;
    const uint64_t batches = (r->impressions + r->spec.batch - 1) / r->spec.batch;
    const uint64_t each = batches / (r->spec.share ? SHARED_RANGES_AT_LEAST : RANGES_AT_LEAST);
    return each < 1 ? 1 : each > most ? most : (uint32_t)each;
}

static enum status ranges_fill(struct ranges *r, const struct ranges_shard *shard,
                               uint32_t shards) {
    TRY(mem_room(&r->shard, &r->shard_cap, shards));
    for (; r->shards < shards; r->shards++) {
        r->shard[r->shards] = shard[r->shards];
        r->impressions += shard[r->shards].impressions;
        r->sampled += shard[r->shards].sampled;
    }
    lay_out(r);
    for (uint32_t w = 0; w < r->windows; w++) {
        TRY(add_window(r, w, batches_of_range(r)));
    }
    return OK;
}

enum status ranges_init(struct ranges *r, const struct ranges_spec *spec,
                        const struct ranges_shard *shard, uint32_t shards) {
    *r = (struct ranges){.spec = *spec};
    const enum status status = ranges_fill(r, shard, shards);
    if (status != OK) {
        ranges_fini(r);
    }
    return status;
}

void ranges_fini(struct ranges *r) {
    mem_free(&r->shard);
    mem_free(&r->first_range);
    mem_free(&r->batches);
    mem_free(&r->window);
    *r = (struct ranges){0};
}

enum status ranges_add(struct ranges *r, struct ranges_shard shard) {
    assert(!ranges_mixed(r));
    TRY(mem_room(&r->shard, &r->shard_cap, (size_t)r->shards + 1));
    r->shard[r->shards] = shard;
    TRY(add_window(r, r->shards, 1));
    r->shards++;
    r->windows++;
    r->impressions += shard.impressions;
    r->sampled += shard.sampled;
    return OK;
}

struct range_batches ranges_place(const struct ranges *r, uint32_t range) {
    const uint32_t window = r->window[range];
    const uint32_t first = r->first_range[window], count = r->first_range[window + 1] - first;
    return (struct range_batches){
        plan_begin(ranges_window_batches(r, window), count, range - first), r->batches[range]};
}

uint32_t ranges_impressions(const struct ranges *r, uint32_t range, uint32_t count) {
    const uint32_t window = r->window[range], first = ranges_place(r, range).first;
    const uint32_t n = ranges_window_impressions(r, window);
    const uint32_t batches = ranges_window_batches(r, window);
    return count == 0 ? 0 : plan_begin(n, batches, first + count) - plan_begin(n, batches, first);
}

enum status ranges_order(const struct ranges *r, uint32_t epoch, uint32_t *order) {
    uint32_t *window = NULL, at = 0;
    TRY(mem_array(&window, r->windows));
    plan_shards(r->spec.seed, r->spec.shuffle && !ranges_mixed(r), epoch, r->windows, window);
    for (uint32_t w = 0; w < r->windows; w++) {
        for (uint32_t i = r->first_range[window[w]]; i < r->first_range[window[w] + 1]; i++) {
            order[at++] = i;
        }
    }
    mem_free(&window);
    return OK;
}

/* How many of the positions [from, to) of a draw belong to its first `turns` windows. */
static uint32_t turns_between(const struct ranges *r, uint64_t from, uint64_t to, uint32_t turns) {
    return (uint32_t)(turns_share(r, to, turns) - turns_share(r, from, turns));
}

/* The slices of a window. A draw has a piece of each of its shards; laid end to end, the pieces are
 * the draw's positions. A window takes from each piece as many impressions as positions in it are
 * the window's, after those that the windows before it take. So a window's size does not depend on
 * the pieces. */
static uint32_t draw_slices(const struct ranges *r, const uint32_t *order, uint32_t window,
                            struct slice *out) {
    const uint32_t draw = window / r->windows_per_draw, turn = window % r->windows_per_draw;
    const uint64_t begin = draw_begin(r, draw), end = draw_begin(r, draw + 1);
    uint64_t at = 0; /* where the shard begins on the line */
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->shards && at < end; i++) {
        const uint64_t n = r->shard[order[i]].sampled;
        const uint64_t from = at > begin ? at : begin, to = at + n < end ? at + n : end;
        if (to > from) {
            const uint32_t piece = (uint32_t)(from - at);
            const struct slice s = {order[i],
                                    piece + turns_between(r, from - begin, to - begin, turn),
                                    piece + turns_between(r, from - begin, to - begin, turn + 1)};
            out[count] = s;
            count += s.end > s.begin;
        }
        at += n;
    }
    return count;
}

enum status ranges_slices(const struct ranges *r, uint32_t epoch, uint32_t window,
                          struct slice **out, uint32_t *count) {
    enum status status = OK;
    uint32_t *order = NULL;
    struct slice *slices = NULL;
    const uint32_t n = !ranges_mixed(r) ? 1 : r->shards;
    assert(window < r->windows);
    TRY_OUT(mem_array(&slices, n));
    if (!ranges_mixed(r)) {
        slices[0] = (struct slice){window, 0, r->shard[window].sampled};
        *count = slices[0].end > 0;
    } else {
        TRY_OUT(mem_array(&order, n));
        plan_shards(r->spec.seed, r->spec.shuffle, epoch, n, order);
        *count = draw_slices(r, order, window, slices);
    }
    *out = slices;
    slices = NULL;
out:
    mem_free(&order);
    mem_free(&slices);
    return status;
}
