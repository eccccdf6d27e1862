/* synth_log.c - writes a part of a log, in the order of Ali-CCP's files.
 *
 * Sessions are numbered, and each has a length. So one pass that adds up the lengths tells which
 * impressions each session has and where the part ends (the last session is cut). After that any
 * run of sessions can be made independently: pieces of 64 sessions go through a pipeline and come
 * back in order. The skeleton and its truth are written first, session after session. Then come the
 * common features, in a random order of sessions, because in the public set neighbours in one file
 * are far apart in the other. A log with times is one file in the format of synth_csv.h, made like
 * the skeleton; its ids, and so its times, ascend.
 *
 * A session is one row of the common file. A user has several sessions; each has its own row and
 * common index, and their entries are equal. Memory: 12 bytes per session, and the pieces in the
 * pipeline.
 */
#include "synth_log.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/data/record.h"
#include "synth_csv.h"
#include "synth_line.h"
#include "synth_times.h"
#include "tools/common/pipeline.h"
#include "common/data/truth.h"

#define PIECE_SESSIONS 64u
#define PROGRESS_MS    2000u

struct writer {
    const struct synth_part *part;
    uint64_t sessions;
    uint64_t *start;  /* [sessions + 1] number of impressions before each */
    uint32_t *order;  /* order of the sessions in the common file */
    uint64_t next;    /* next piece of the file that is being written */
    struct file file; /* the file that is being written */
    struct truth_writer truth;
    struct synth_summary *summary;
    uint64_t progress_ms; /* when to print the next progress line */
};

/* What a thread makes: text, and for impressions also their truth. */
struct piece {
    uint64_t number;
    struct buf text;
    struct buf user; /* with times: the cells of the session's user */
    struct truth_row *truth;
    size_t truth_count, truth_cap;
    struct synth_summary sums;
    struct synth_entry entries[USER_ENTRIES_MAX];
};

static void piece_fini(void *slot) {
    struct piece *p = slot;
    buf_fini(&p->text);
    buf_fini(&p->user);
    mem_free(&p->truth);
}

static enum status next_piece(void *arg, void *item) {
    struct writer *w = arg;
    ((struct piece *)item)->number = w->next;
    return w->next++ * PIECE_SESSIONS < w->sessions ? OK : ERR_CLOSED;
}

static uint64_t piece_end(const struct writer *w, uint64_t piece) {
    const uint64_t end = (piece + 1) * PIECE_SESSIONS;
    return end < w->sessions ? end : w->sessions;
}

/* --- sessions --------------------------------------------------------------------------------- */

static enum status lay_out_sessions(struct writer *w) {
    const struct synth_part *part = w->part;
    size_t cap = 0;
    uint64_t sum = 0;
    TRY(mem_room(&w->start, &cap, part->impressions / 32 + 16));
    while (sum < part->impressions) {
        TRY(mem_room(&w->start, &cap, w->sessions + 2));
        sum += session_length(part->world, session_key(part->part, w->sessions));
        w->start[++w->sessions] = sum < part->impressions ? sum : part->impressions;
    }
    if (w->sessions > UINT32_MAX) {
        return fail(ERR_LIMIT, "--impressions: more than 2^32 sessions");
    }
    TRY(mem_array(&w->order, w->sessions));
    rng_permutation(part->world->config.seed, part->part, STREAM(S_ORDER, 0), w->order,
                    w->sessions);
    return OK;
}

/* --- the skeleton ----------------------------------------------------------------------------- */

static enum status add_truth(struct piece *p, uint64_t id, const struct impression *x) {
    TRY(mem_room(&p->truth, &p->truth_cap, p->truth_count + 1));
    p->truth[p->truth_count++] =
        (struct truth_row){.impression_id = id,
                           .p_ctr = (float)x->p_ctr,
                           .p_cvr = (float)x->p_cvr,
                           .p_cvr_do = (float)x->p_cvr_do,
                           .labels = (uint8_t)((x->click ? LABEL_CLICK : 0) |
                                               (x->click && x->potential ? LABEL_CONVERSION : 0) |
                                               (x->potential ? TRUTH_POTENTIAL : 0))};
    return OK;
}

static void count_impression(struct synth_summary *s, const struct impression *x,
                             uint32_t entries) {
    s->impressions++;
    s->clicks += x->click;
    s->conversions += x->click && x->potential;
    s->anomalies += x->anomaly;
    s->item_entries += entries;
    s->sum_p_ctr += x->p_ctr;
    s->sum_p_cvr += x->p_cvr;
    s->sum_p_cvr_do += x->p_cvr_do;
    s->sum_p_ctcvr += x->p_ctr * x->p_cvr;
    s->sum_clicked += x->click ? x->p_cvr : 0;
}

static bool has_times(const struct synth_part *part) {
    return part->world->config.days > 0;
}

/* Writes the user's cells once for all rows of the session. */
static enum status begin_session(const struct synth_part *part, uint32_t user, struct piece *p) {
    if (!has_times(part)) {
        return OK;
    }
    const uint32_t n = fields_user(part->fields, part->world, user, p->entries);
    p->sums.common_entries += n;
    buf_clear(&p->user);
    return synth_csv_cells(&p->user, part->fields, SIDE_USER, p->entries, n);
}

static enum status put_row(const struct synth_part *part, struct piece *p, uint64_t id,
                           uint64_t index, const struct impression *x, uint32_t entries) {
    const bool conversion = (x->click && x->potential) || x->anomaly;
    if (!has_times(part)) {
        return synth_line_skeleton(&p->text, part->fields, id, x->click, conversion, index,
                                   p->entries, entries);
    }
    struct synth_csv_row row = {.id = id,
                                .session = index,
                                .click = x->click,
                                .conversion = conversion,
                                .user = &p->user,
                                .item = p->entries,
                                .items = entries};
    times_of(part->world, x, id, &row.when);
    p->sums.after_day += row.when.conversion_time > row.when.click_time + (uint64_t)DAY_SECONDS;
    return synth_csv_row(&p->text, part->fields, &row);
}

static enum status make_session(const struct writer *w, uint64_t number, struct piece *p) {
    const struct synth_part *part = w->part;
    const uint64_t session = session_key(part->part, number);
    const uint64_t index = session_index(part->world, session);
    const uint32_t user = session_user(part->world, session);
    const uint32_t length = (uint32_t)(w->start[number + 1] - w->start[number]);
    TRY(begin_session(part, user, p));
    for (uint32_t at = 0; at < length; at++) {
        const uint64_t id = part->first_id + w->start[number] + at;
        struct impression x;
        world_impression(part->world, session, user, at, times_day(part->world, id), &x);
        const uint32_t n = fields_item(part->fields, part->world, &x, p->entries);
        TRY(put_row(part, p, id, index, &x, n));
        TRY(add_truth(p, id, &x));
        count_impression(&p->sums, &x, n);
    }
    return OK;
}

static enum status make_skeleton(void *arg, void *piece) {
    const struct writer *w = arg;
    struct piece *p = piece;
    buf_clear(&p->text);
    p->truth_count = 0;
    p->sums = (struct synth_summary){0};
    for (uint64_t s = p->number * PIECE_SESSIONS; s < piece_end(w, p->number); s++) {
        TRY(make_session(w, s, p));
    }
    return OK;
}

static void add_sums(struct synth_summary *into, const struct synth_summary *s) {
    into->impressions += s->impressions;
    into->clicks += s->clicks;
    into->conversions += s->conversions;
    into->anomalies += s->anomalies;
    into->item_entries += s->item_entries;
    into->common_entries += s->common_entries;
    into->after_day += s->after_day;
    into->sum_p_ctr += s->sum_p_ctr;
    into->sum_p_cvr += s->sum_p_cvr;
    into->sum_p_cvr_do += s->sum_p_cvr_do;
    into->sum_p_ctcvr += s->sum_p_ctcvr;
    into->sum_clicked += s->sum_clicked;
}

static void tell_progress(struct writer *w, const char *what, uint64_t done, uint64_t all) {
    if (w->part->name != NULL && clock_mono_ms() >= w->progress_ms) {
        fprintf(stderr, "%s: %llu of %llu %s\n", w->part->name, (unsigned long long)done,
                (unsigned long long)all, what);
        w->progress_ms = clock_mono_ms() + PROGRESS_MS;
    }
}

static enum status take_skeleton(void *arg, void *piece) {
    struct writer *w = arg;
    const struct piece *p = piece;
    TRY(file_write(&w->file, p->text.data, p->text.len));
    for (size_t i = 0; i < p->truth_count; i++) {
        TRY(truth_put(&w->truth, &p->truth[i]));
    }
    add_sums(w->summary, &p->sums);
    tell_progress(w, "impressions", w->summary->impressions, w->part->impressions);
    return OK;
}

/* --- the common features ---------------------------------------------------------------------- */

static enum status make_common(void *arg, void *piece) {
    const struct writer *w = arg;
    const struct world *world = w->part->world;
    struct piece *p = piece;
    buf_clear(&p->text);
    p->sums = (struct synth_summary){0};
    for (uint64_t i = p->number * PIECE_SESSIONS; i < piece_end(w, p->number); i++) {
        const uint64_t session = session_key(w->part->part, w->order[i]);
        const uint32_t user = session_user(world, session);
        const uint32_t n = fields_user(w->part->fields, world, user, p->entries);
        TRY(synth_line_common(&p->text, w->part->fields, session_index(world, session), p->entries,
                              n));
        p->sums.common_entries += n;
    }
    return OK;
}

static enum status take_common(void *arg, void *piece) {
    struct writer *w = arg;
    const struct piece *p = piece;
    TRY(file_write(&w->file, p->text.data, p->text.len));
    add_sums(w->summary, &p->sums);
    tell_progress(w, "common rows", piece_end(w, p->number), w->sessions);
    return OK;
}

/* --- the files -------------------------------------------------------------------------------- */

static enum status write_file(struct writer *w, const char *name, const struct buf *header,
                              enum status (*make)(void *, void *),
                              enum status (*take)(void *, void *)) {
    char path[PATH_BYTES_MAX];
    uint64_t bytes = 0;
    const uint32_t threads = w->part->world->config.threads;
    const struct pipeline job = {.name = "synth",
                                 .threads = threads,
                                 .items = 3 * threads,
                                 .item_bytes = sizeof(struct piece),
                                 .fill = next_piece,
                                 .work = make,
                                 .take = take,
                                 .fini = piece_fini,
                                 .arg = w};
    w->next = 0;
    TRY(path_join(path, w->part->dir, name));
    TRY(file_open_write(&w->file, path));
    TRY(header == NULL ? OK : file_write(&w->file, header->data, header->len));
    TRY(pipeline_run(&job));
    TRY(file_sync(&w->file));
    TRY(file_size(&w->file, &bytes));
    w->summary->bytes += bytes;
    return file_close(&w->file);
}

static enum status write_schema(const struct synth_part *part) {
    char path[PATH_BYTES_MAX];
    struct buf text = BUF_EMPTY;
    enum status status = OK;
    TRY(path_join(path, part->dir, "log.schema"));
    TRY_OUT(synth_csv_schema(&text, part->fields));
    TRY_OUT(file_write_atomic(path, text.data, text.len));
out:
    buf_fini(&text);
    return status;
}

static enum status commit_truth(struct writer *w) {
    uint64_t bytes = 0;
    TRY(truth_commit(&w->truth, &bytes));
    w->summary->bytes += bytes;
    return OK;
}

static enum status write_csv(struct writer *w) {
    struct buf header = BUF_EMPTY;
    enum status status = OK;
    TRY_OUT(synth_csv_header(&header, w->part->fields));
    TRY_OUT(write_schema(w->part));
    TRY_OUT(write_file(w, "log.csv", &header, make_skeleton, take_skeleton));
    TRY_OUT(commit_truth(w));
out:
    buf_fini(&header);
    return status;
}

static enum status write_aliccp(struct writer *w) {
    TRY(write_file(w, "sample_skeleton.csv", NULL, make_skeleton, take_skeleton));
    TRY(commit_truth(w));
    return write_file(w, "common_features.csv", NULL, make_common, take_common);
}

enum status synth_log_write(const struct synth_part *part, struct synth_summary *summary) {
    char path[PATH_BYTES_MAX];
    struct writer w = {.part = part,
                       .file = FILE_CLOSED,
                       .summary = summary,
                       .progress_ms = clock_mono_ms() + PROGRESS_MS};
    enum status status = OK;
    *summary = (struct synth_summary){0};
    TRY_OUT(lay_out_sessions(&w));
    TRY_OUT(path_join(path, part->dir, "truth.bin"));
    TRY_OUT(truth_create(&w.truth, path));
    TRY_OUT(has_times(part) ? write_csv(&w) : write_aliccp(&w));
    summary->sessions = w.sessions;
out:
    truth_abort(&w.truth);
    (void)file_close(&w.file);
    mem_free(&w.start);
    mem_free(&w.order);
    return status;
}
