#include "fault.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENTRIES_MAX 32

/* The section that FAULT fills; the linker makes the symbols. Weak: there may be no points. */
extern struct fault_point *__start_esmm_faults[] __attribute__((weak));
extern struct fault_point *__stop_esmm_faults[] __attribute__((weak));

struct entry {
    struct fault_point *point;
    uint64_t nth;
    int signal;
};
static struct {
    struct entry list[ENTRIES_MAX];
    size_t count;
    const char *dir; /* of the environment; NULL: every process fires */
} the_faults;

size_t fault_count(void) {
    return (size_t)(__stop_esmm_faults - __start_esmm_faults);
}

const struct fault_point *fault_at(size_t index) {
    return __start_esmm_faults[index];
}

/* Whether this process is the first to get to the entry. */
static bool claim(size_t index) {
    char path[4096], text[32];
    if (the_faults.dir == NULL) {
        return true;
    }
    const int n = snprintf(path, sizeof path, "%s/%zu-%s", the_faults.dir, index,
                           the_faults.list[index].point->name);
    const int fd =
        n < (int)sizeof path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644) : -1;
    if (fd < 0) {
        return false;
    }
    const int length = snprintf(text, sizeof text, "%d\n", (int)getpid());
    const ssize_t written = write(fd, text, (size_t)length);
    close(fd);
    return written == length;
}

void fault_pass(struct fault_point *p) {
    const uint64_t pass = atomic_fetch_add(&p->passes, 1) + 1;
    for (size_t i = 0; i < the_faults.count; i++) {
        const struct entry *e = &the_faults.list[i];
        if (e->point == p && e->nth == pass && claim(i)) {
            dprintf(STDERR_FILENO, "esmm: fault %s, pass %llu: signal %d to myself\n", p->name,
                    (unsigned long long)pass, e->signal);
            kill(getpid(), e->signal);
        }
    }
}

static struct fault_point *find_point(const char *name, size_t length) {
    for (size_t k = 0; k < fault_count(); k++) {
        struct fault_point *p = __start_esmm_faults[k];
        if (strlen(p->name) == length && memcmp(p->name, name, length) == 0) {
            return p;
        }
    }
    return NULL;
}

static bool action_of(const char *text, size_t length, int *signal) {
    static const struct {
        const char *name;
        int signal;
    } actions[] = {{"", SIGKILL}, {":kill", SIGKILL}, {":stop", SIGSTOP}, {":term", SIGTERM}};
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strlen(actions[i].name) == length && memcmp(actions[i].name, text, length) == 0) {
            *signal = actions[i].signal;
            return true;
        }
    }
    return false;
}

static bool arm(const char *entry, size_t length) {
    const char *colon = memchr(entry, ':', length);
    const char *end = entry + length;
    struct entry e;
    char *rest;
    if (colon == NULL || colon + 1 == end || colon[1] < '1' || colon[1] > '9' ||
        the_faults.count == ENTRIES_MAX) {
        return false;
    }
    e.point = find_point(entry, (size_t)(colon - entry));
    e.nth = strtoull(colon + 1, &rest, 10);
    if (e.point == NULL || rest > end || !action_of(rest, (size_t)(end - rest), &e.signal)) {
        return false;
    }
    e.point->armed = true;
    the_faults.list[the_faults.count++] = e;
    return true;
}

bool fault_arm(const char *entries, const char *dir, const char **wrong, size_t *length) {
    the_faults.dir = dir;
    while (entries != NULL && *entries != '\0') {
        *length = strcspn(entries, ",");
        if (!arm(entries, *length)) {
            *wrong = entries;
            return false;
        }
        entries += *length;
        entries += *entries == ',';
    }
    return true;
}
