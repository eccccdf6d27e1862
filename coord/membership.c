#include "membership.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"

static void members_init(struct member *members, uint32_t count, enum wire_role role) {
    for (uint32_t i = 0; i < count; i++) {
        members[i].role = role;
        members[i].index = i;
    }
}

enum status membership_init(struct membership *m, uint32_t servers, uint32_t workers,
                            uint64_t replace_ms, uint64_t lost_ms, const char *build) {
    *m = (struct membership){.servers = servers,
                             .workers = workers,
                             .awaited = workers,
                             .replace_ms = replace_ms,
                             .lost_ms = lost_ms,
                             .build = build};
    enum status status = mem_array(&m->server, servers);
    if (status == OK) {
        status = mem_array(&m->worker, workers);
    }
    if (status != OK) {
        membership_fini(m);
        return status;
    }
    members_init(m->server, servers, ROLE_SERVER);
    members_init(m->worker, workers, ROLE_WORKER);
    return OK;
}

enum status membership_room(struct membership *m, uint32_t workers_max) {
    const uint32_t before = m->workers;
    if (workers_max <= before) {
        return OK;
    }
    TRY(mem_grow(&m->worker, before, workers_max));
    m->workers = workers_max;
    members_init(m->worker, workers_max, ROLE_WORKER);
    return OK;
}

static bool has_left(const struct member *w) {
    return w->state == MEMBER_LOST && w->failing && w->leaving;
}

bool membership_all_left(const struct membership *m) {
    uint32_t left = 0;
    for (uint32_t i = 0; i < m->workers; i++) {
        if (m->worker[i].state != MEMBER_ABSENT && !has_left(&m->worker[i])) {
            return false;
        }
        left += m->worker[i].state != MEMBER_ABSENT;
    }
    return left > 0;
}

uint32_t membership_place(const struct membership *m, uint64_t incarnation) {
    uint32_t left = WIRE_INDEX_ANY, unused = WIRE_INDEX_ANY;
    for (uint32_t i = 0; i < m->workers; i++) {
        const struct member *w = &m->worker[i];
        if (w->state != MEMBER_ABSENT && w->incarnation == incarnation) {
            return i;
        }
        if (left == WIRE_INDEX_ANY && has_left(w)) {
            left = i;
        }
        if (unused == WIRE_INDEX_ANY && w->state == MEMBER_ABSENT && i >= m->awaited) {
            unused = i;
        }
    }
    return left != WIRE_INDEX_ANY ? left : unused;
}

void membership_fini(struct membership *m) {
    for (uint32_t i = 0; m->server != NULL && i < m->servers; i++) {
        mem_free(&m->server[i].endpoint);
    }
    mem_free(&m->server);
    mem_free(&m->worker);
}

struct member *membership_find(const struct membership *m, enum wire_role role, uint32_t index) {
    if (role == ROLE_SERVER && index < m->servers) {
        return &m->server[index];
    }
    if (role == ROLE_WORKER && index < m->workers) {
        return &m->worker[index];
    }
    return NULL;
}

static const char *role_name(enum wire_role role) {
    switch (role) {
    case ROLE_SERVER: return "server";
    case ROLE_WORKER: return "worker";
    default: return "role";
    }
}

void member_describe(const struct member *member, char *out, size_t bytes) {
    snprintf(out, bytes, "%s %u (host %s, pid %u)", role_name(member->role), member->index,
             member->host, member->pid);
}

void member_describe_loss(const struct member *member, uint64_t now_ms, char *out, size_t bytes) {
    char who[160];
    member_describe(member, who, sizeof who);
    if (member->failing) {
        snprintf(out, bytes, "%s %s: %s", who, member->leaving ? "left" : "failed", member->text);
    } else {
        snprintf(out, bytes, "%s has been silent for %llu ms", who,
                 (unsigned long long)(now_ms - member->heard_ms));
    }
}

/* --- hello ------------------------------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static enum hello_verdict refuse(char *why, const char *fmt,
                                                                       ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, WIRE_TEXT_MAX, fmt, args);
    va_end(args);
    return HELLO_REFUSE;
}

/* Number of endpoints in the keys frame, or 0 if the frame is not a list of strings that fit. */
static uint32_t endpoints_count(const char *keys, size_t bytes) {
    uint32_t count = 0;
    while (bytes > 0) {
        size_t length = strnlen(keys, bytes);
        if (length == 0 || length >= WIRE_ENDPOINT_MAX || count == WIRE_PARTITIONS_MAX) {
            return 0;
        }
        size_t step = length < bytes ? length + 1 : length;
        keys += step;
        bytes -= step;
        count++;
    }
    return count;
}

static enum status endpoints_take(struct member *member, const char *keys, size_t bytes,
                                  uint32_t count) {
    char(*list)[WIRE_ENDPOINT_MAX] = NULL;
    TRY(mem_array(&list, count));
    for (uint32_t i = 0; i < count; i++) {
        size_t length = strnlen(keys, bytes);
        memcpy(list[i], keys, length);
        size_t step = length < bytes ? length + 1 : length;
        keys += step;
        bytes -= step;
    }
    mem_free(&member->endpoint);
    member->endpoint = list;
    member->endpoints = count;
    return OK;
}

/* Decides whether a second process may take the place of the holder. */
static enum hello_verdict judge_candidate(const struct membership *m, struct member *member,
                                          const struct wire_hello *hello, uint64_t now_ms,
                                          char *why) {
    const uint64_t least_ms = m->replace_ms / 3;
    if (member->failing || member->state == MEMBER_LOST) {
        return HELLO_WELCOME;
    }
    if (member->candidate != hello->incarnation) {
        member->candidate = hello->incarnation;
        member->candidate_ms = now_ms;
    }
    /* Messages of a dead process may arrive a little later than the first one of its successor. */
    if (member->heard_ms > member->candidate_ms + least_ms) {
        member->candidate = 0;
        return refuse(why,
                      "%s %u is already there (host %s, pid %u): two processes have the same "
                      "index",
                      role_name(member->role), member->index, member->host, member->pid);
    }
    const bool silent = now_ms >= member->heard_ms + m->replace_ms;
    return silent && now_ms >= member->candidate_ms + least_ms ? HELLO_WELCOME : HELLO_WAIT;
}

static void member_welcome(struct member *member, const struct wire_hello *hello) {
    member->state = MEMBER_PRESENT;
    snprintf(member->host, sizeof member->host, "%.63s", hello->host);
    member->pid = hello->pid;
    member->incarnation = hello->incarnation;
    member->peer_bytes = 0;
    member->candidate = 0;
    member->leaves_after = 0;
    member->leaving = member->failing = member->rejoins = false;
    member->finished = 0;
    member->reading = member->stuck = false;
    member->told_stop = false;
    member->said_last = false;
    member->text[0] = '\0';
}

enum hello_verdict membership_hello(struct membership *m, const struct wire_hello *hello,
                                    const void *keys, size_t keys_bytes, uint64_t now_ms,
                                    bool *fresh, char *why) {
    *fresh = false;
    struct member *member = membership_find(m, hello->role, hello->index);
    if (member == NULL && hello->index == WIRE_INDEX_ANY) {
        return refuse(why, "all %u places for workers are taken (--workers-max)", m->workers);
    }
    if (member == NULL) {
        return refuse(why, "%s %u is not part of this job of %u servers and %u workers",
                      role_name(hello->role), hello->index, m->servers, m->workers);
    }
    if (strncmp(hello->build, m->build, sizeof hello->build) != 0) {
        return refuse(why, "%s %u runs version %.63s, the coordinator runs %s",
                      role_name(hello->role), hello->index, hello->build, m->build);
    }
    uint32_t endpoints = endpoints_count(keys, keys_bytes);
    if (hello->role == ROLE_SERVER && endpoints == 0) {
        return refuse(why, "server %u names no endpoint of its partitions", hello->index);
    }
    if (member->state != MEMBER_ABSENT && member->incarnation == hello->incarnation) {
        member->heard_ms = now_ms;
        member->rejoins = false;
        if (member->state == MEMBER_LOST && !member->failing) {
            member->state = MEMBER_PRESENT;
        }
        return HELLO_WELCOME;
    }
    if (member->state != MEMBER_ABSENT) {
        enum hello_verdict verdict = judge_candidate(m, member, hello, now_ms, why);
        if (verdict != HELLO_WELCOME) {
            return verdict;
        }
    }
    if (hello->role == ROLE_SERVER && endpoints_take(member, keys, keys_bytes, endpoints) != OK) {
        return refuse(why, "the coordinator is out of memory");
    }
    member_welcome(member, hello);
    member->heard_ms = now_ms;
    member->moved_ms = now_ms;
    *fresh = true;
    return HELLO_WELCOME;
}

enum status membership_restore(struct membership *m, const struct wire_hello *hello,
                               const void *keys, size_t keys_bytes, enum restore_as as,
                               uint64_t now_ms) {
    struct member *member = membership_find(m, hello->role, hello->index);
    const uint32_t endpoints = endpoints_count(keys, keys_bytes);
    if (member == NULL || (hello->role == ROLE_SERVER && endpoints == 0)) {
        return fail(ERR_CORRUPT, "%s %u is no member of this job", role_name(hello->role),
                    hello->index);
    }
    if (hello->role == ROLE_SERVER) {
        TRY(endpoints_take(member, keys, keys_bytes, endpoints));
    }
    member_welcome(member, hello);
    member->state = as == RESTORE_SERVING ? MEMBER_SERVING : MEMBER_PRESENT;
    member->rejoins = as == RESTORE_REJOINS;
    member->heard_ms = member->moved_ms = now_ms;
    return OK;
}

/* --- signs of life ---------------------------------------------------------------------------- */

struct member *membership_heard(struct membership *m, enum wire_role role, uint32_t index,
                                uint64_t incarnation, uint64_t now_ms) {
    struct member *member = membership_find(m, role, index);
    if (member == NULL || member->state == MEMBER_ABSENT || member->incarnation != incarnation) {
        return NULL;
    }
    member->heard_ms = now_ms;
    if (member->state == MEMBER_LOST && !member->failing) {
        member->state = member->rejoins ? MEMBER_PRESENT : MEMBER_SERVING;
    }
    return member;
}

void membership_beat(struct member *member, const struct wire_heartbeat *beat) {
    if (beat->progress.finished != member->finished || beat->reading) {
        member->moved_ms = member->heard_ms;
        member->stuck = false;
    }
    member->finished = beat->progress.finished;
    member->reading = beat->reading;
    member->leaving = beat->leaving;
    if (beat->failing && !member->failing) {
        member->failing = true;
        snprintf(member->text, sizeof member->text, "%.511s", beat->text);
    } else if (!member->failing && !(member->role == ROLE_SERVER && beat->reading)) {
        member->state = MEMBER_SERVING;
    }
}

void membership_busy(struct member *member, uint64_t now_ms) {
    member->moved_ms = now_ms;
}

/* Whether the member is there: as one of at least that state, and of this life of the job. */
static bool is_there(const struct member *x, enum member_state least) {
    return x->state >= least && x->state != MEMBER_LOST && !x->rejoins;
}

static uint32_t count_from(const struct member *members, uint32_t count, enum member_state least) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        n += is_there(&members[i], least);
    }
    return n;
}

bool membership_servers_known(const struct membership *m) {
    return count_from(m->server, m->servers, MEMBER_PRESENT) == m->servers;
}

bool membership_servers_serving(const struct membership *m) {
    return count_from(m->server, m->servers, MEMBER_SERVING) == m->servers;
}

bool membership_complete(const struct membership *m) {
    return membership_servers_serving(m) &&
           count_from(m->worker, m->awaited, MEMBER_PRESENT) == m->awaited;
}

static void new_life(struct member *members, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        struct member *x = &members[i];
        if (x->state == MEMBER_SERVING) {
            x->state = MEMBER_PRESENT;
        }
        x->rejoins = x->state != MEMBER_ABSENT;
        x->reading = x->stuck = false;
        x->version = 0;
    }
}

void membership_new_life(struct membership *m) {
    new_life(m->server, m->servers);
    new_life(m->worker, m->workers);
}

uint32_t membership_workers_alive(const struct membership *m) {
    return count_from(m->worker, m->workers, MEMBER_PRESENT);
}

static struct member *next_lost(struct member *members, uint32_t count, uint64_t now_ms,
                                uint64_t lost_ms) {
    for (uint32_t i = 0; i < count; i++) {
        struct member *x = &members[i];
        const bool there = x->state == MEMBER_PRESENT || x->state == MEMBER_SERVING;
        if (there && (x->failing || now_ms > x->heard_ms + lost_ms)) {
            x->state = MEMBER_LOST;
            return x;
        }
    }
    return NULL;
}

struct member *membership_next_lost_server(struct membership *m, uint64_t now_ms,
                                           uint64_t give_up_ms) {
    return next_lost(m->server, m->servers, now_ms, give_up_ms);
}

struct member *membership_next_lost(struct membership *m, uint64_t now_ms) {
    const bool patient = now_ms <= m->patient_until_ms;
    return next_lost(m->worker, m->workers, now_ms, patient ? UINT32_MAX : m->lost_ms);
}

static bool told(const struct member *members, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const struct member *x = &members[i];
        bool hears = (x->state == MEMBER_PRESENT || x->state == MEMBER_SERVING) && !x->failing;
        if (hears && !x->told_stop) {
            return false;
        }
    }
    return true;
}

bool membership_servers_said_last(const struct membership *m) {
    for (uint32_t i = 0; i < m->servers; i++) {
        const struct member *x = &m->server[i];
        if (x->state == MEMBER_SERVING && !x->failing && !x->said_last) {
            return false;
        }
    }
    return true;
}

bool membership_all_told(const struct membership *m) {
    return told(m->server, m->servers) && told(m->worker, m->workers);
}

/* --- partitions ------------------------------------------------------------------------------- */

uint32_t membership_partitions(const struct membership *m) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->servers; i++) {
        n += m->server[i].endpoints;
    }
    return n;
}

void membership_partition_range(const struct membership *m, uint32_t server, uint32_t *first,
                                uint32_t *count) {
    *first = 0;
    for (uint32_t i = 0; i < server; i++) {
        *first += m->server[i].endpoints;
    }
    *count = m->server[server].endpoints;
}

enum status membership_endpoints(const struct membership *m, char (**out)[WIRE_ENDPOINT_MAX],
                                 uint32_t *count) {
    uint32_t total = membership_partitions(m);
    if (total > WIRE_PARTITIONS_MAX) {
        return fail(ERR_LIMIT, "the servers have %u partitions in all, at most %u are allowed",
                    total, WIRE_PARTITIONS_MAX);
    }
    TRY(mem_array(out, total));
    *count = 0;
    for (uint32_t i = 0; i < m->servers; i++) {
        const struct member *s = &m->server[i];
        memcpy((*out)[*count], s->endpoint, s->endpoints * sizeof *s->endpoint);
        *count += s->endpoints;
    }
    return OK;
}

static size_t missing_of(const struct member *members, uint32_t count, enum member_state least,
                         char *out, size_t used, size_t bytes) {
    for (uint32_t i = 0; i < count && used < bytes; i++) {
        const struct member *x = &members[i];
        if (is_there(x, least)) {
            continue;
        }
        const char *what = x->state == MEMBER_ABSENT ? "not heard of"
                           : x->state == MEMBER_LOST ? "lost"
                           : x->rejoins              ? "not back yet"
                                                     : "not serving yet";
        int n = snprintf(out + used, bytes - used, "%s%s %u (%s)", used > 0 ? ", " : "",
                         role_name(x->role), x->index, what);
        used += (size_t)n;
    }
    return used;
}

void membership_missing(const struct membership *m, char *out, size_t bytes) {
    out[0] = '\0';
    size_t used = missing_of(m->server, m->servers, MEMBER_SERVING, out, 0, bytes);
    missing_of(m->worker, m->awaited, MEMBER_PRESENT, out, used, bytes);
}
