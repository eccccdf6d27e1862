#include "host_check.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/cpu/cpu.h"

/* --- questions -------------------------------------------------------------------------------- */

/* True if roles of that kind run on the host. */
static bool has_kind(const struct placement *p, size_t host, enum child_kind kind) {
    for (uint32_t i = 0; i < 1 + p->servers + p->workers; i++) {
        if (p->places[i].host == host && p->places[i].kind == kind) {
            return true;
        }
    }
    return false;
}

static enum status add_number(struct words *w, uint64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return words_add(w, text);
}

static enum status add_ports(const struct placement *p, size_t host, struct words *w) {
    for (uint32_t i = 0; i <= p->servers; i++) {
        const uint32_t ports = i == 0 ? 1 : p->server_threads;
        for (uint32_t k = 0; p->places[i].host == host && k < ports; k++) {
            TRY(add_number(w, p->places[i].port + k));
        }
    }
    return OK;
}

/* host PROGRAM VERSION MACHINE FLAGS DIRS DIR... PORT...: FLAGS are those of /proc/cpuinfo that
 * this program needs, in one word; DIRS is 0 unless a role on the host reads the data. */
static enum status host_question(const struct host_check *c, struct question *q) {
    const struct job *j = c->job;
    const bool reads = has_kind(c->placement, q->host, CHILD_COORD) ||
                       has_kind(c->placement, q->host, CHILD_WORKER);
    TRY(words_option(&q->words, "host", j->program));
    char flags[CPU_TEXT_MAX];
    cpu_flags(cpu_floor, flags);
    TRY(words_add(&q->words, "esmm " ESMM_VERSION));
    TRY(words_add(&q->words, CPU_MACHINE));
    TRY(words_add(&q->words, flags));
    TRY(add_number(&q->words, reads ? j->data.count + j->eval.count : 0));
    for (size_t k = 0; reads && k < j->data.count; k++) {
        TRY(words_add(&q->words, j->data.names[k]));
    }
    for (size_t k = 0; reads && k < j->eval.count; k++) {
        TRY(words_add(&q->words, j->eval.names[k]));
    }
    return add_ports(c->placement, q->host, &q->words);
}

enum status host_check_init(struct host_check *c, const struct job *job, const struct hosts *hosts,
                            const struct placement *placement, const struct words *ssh) {
    *c = (struct host_check){.job = job, .hosts = hosts, .placement = placement, .ssh = ssh};
    snprintf(c->marker, sizeof c->marker, ".launch-%d-%llx", (int)getpid(),
             (unsigned long long)clock_mono_ns());
    TRY(mem_array(&c->first, 1 + hosts->count));
    TRY(mem_array(&c->second, hosts->count));
    struct question *make = &c->first[c->first_count++];
    make->stays = true;
    TRY(words_option(&make->words, "make", job->out));
    TRY(words_option(&make->words, c->marker, job->resume ? "yes" : "no"));
    for (size_t i = 0; i < hosts->count; i++) {
        const bool serves = has_kind(placement, i, CHILD_SERVER);
        if (i == 0 || serves || has_kind(placement, i, CHILD_WORKER)) {
            struct question *q = &c->first[c->first_count++];
            q->host = i;
            TRY(host_question(c, q));
        }
        if (i > 0 && serves) {
            struct question *q = &c->second[c->second_count++];
            q->host = i;
            TRY(words_option(&q->words, "shared", job->out));
            TRY(words_add(&q->words, c->marker));
        }
    }
    return OK;
}

/* --- answers ---------------------------------------------------------------------------------- */

static enum status add_problem(struct host_check *c, const struct question *q, const char *what) {
    struct buf text = BUF_EMPTY;
    enum status status = buf_printf(&text, "%s: %s", c->hosts->list[q->host].name, what);
    status = status == OK ? file_list_add(&c->problems, (const char *)text.data) : status;
    buf_fini(&text);
    return status;
}

/* Records the problems that a host reports, or that it does not answer. */
static enum status take_answer(struct host_check *c, const struct question *q) {
    char line[PATH_BYTES_MAX + 512];
    const char *at = NULL;
    if (q->problem[0] != '\0') {
        return add_problem(c, q, q->problem);
    }
    while (question_line(q, "problem ", &at, line, sizeof line)) {
        TRY(add_problem(c, q, line));
    }
    return OK;
}

/* Checks that all hosts have the same data. Shards are named by number, so a worker with other data
 * would train on them without noticing. */
static enum status compare_data(struct host_check *c, const struct question *q,
                                const struct question **model) {
    char theirs[32768], first[32768];
    struct buf text = BUF_EMPTY;
    const char *at = NULL, *first_at = NULL;
    if (!question_line(q, "data ", &at, theirs, sizeof theirs)) {
        return OK;
    }
    if (*model == NULL) {
        *model = q;
        return OK;
    }
    question_line(*model, "data ", &first_at, first, sizeof first);
    if (strcmp(first, theirs) == 0) {
        return OK;
    }
    enum status status = buf_printf(&text, "the data under");
    for (size_t k = 0; status == OK && k < c->job->data.count; k++) {
        status = buf_printf(&text, " %s", c->job->data.names[k]);
    }
    for (size_t k = 0; status == OK && k < c->job->eval.count; k++) {
        status = buf_printf(&text, "%s %s", k == 0 ? " or" : "", c->job->eval.names[k]);
    }
    status = status == OK ? buf_printf(&text, " differ from those on %s",
                                       c->hosts->list[(*model)->host].name)
                          : status;
    status = status == OK ? add_problem(c, q, (const char *)text.data) : status;
    buf_fini(&text);
    return status;
}

/* True if the host answered the first question. */
static bool reached(const struct host_check *c, size_t host) {
    for (size_t i = 1; i < c->first_count; i++) {
        if (c->first[i].host == host) {
            return c->first[i].problem[0] == '\0';
        }
    }
    return false;
}

/* Asks the hosts that were reached whether they see the marker. Asks nothing if there is no marker.
 */
static enum status ask_second(struct host_check *c) {
    char line[16];
    const char *at = NULL;
    size_t kept = 0;
    if (c->first[0].problem[0] != '\0' ||
        question_line(&c->first[0], "problem cannot write", &at, line, sizeof line)) {
        return OK;
    }
    for (size_t i = 0; i < c->second_count; i++) {
        if (reached(c, c->second[i].host)) {
            const struct question q = c->second[i];
            c->second[i] = c->second[kept];
            c->second[kept++] = q;
        }
    }
    TRY(questions_ask(c->second, kept, c->ssh, c->hosts));
    for (size_t i = 0; i < kept; i++) {
        TRY(take_answer(c, &c->second[i]));
    }
    return OK;
}

enum status host_check_run(struct host_check *c) {
    const struct question *model = NULL;
    TRY(questions_ask(c->first, c->first_count, c->ssh, c->hosts));
    for (size_t i = 1; i < c->first_count; i++) {
        TRY(take_answer(c, &c->first[i]));
        TRY(compare_data(c, &c->first[i], &model));
    }
    if (!reached(c, 0)) { /* the reason was reported already */
        return OK;
    }
    TRY(take_answer(c, &c->first[0]));
    return ask_second(c);
}

void host_check_keep(struct host_check *c) {
    question_end(&c->first[0], "keep\n");
}

void host_check_fini(struct host_check *c) {
    if (c->first_count > 0) {
        question_end(&c->first[0], NULL);
    }
    for (size_t i = 0; i < c->first_count; i++) {
        question_fini(&c->first[i]);
    }
    for (size_t i = 0; i < c->second_count; i++) {
        question_fini(&c->second[i]);
    }
    mem_free(&c->first);
    mem_free(&c->second);
    file_list_free(&c->problems);
    *c = (struct host_check){0};
}
