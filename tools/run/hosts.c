#include "hosts.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/number.h"

#define HOSTS_BYTES_MAX ((size_t)1 << 20)
#define SLOTS_MAX       9999u
#define BLANKS          " \t\r"
#define ALNUM           "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* Letters, digits, and between them also . _ - */
static bool host_name_good(const char *name) {
    const size_t n = strlen(name);
    return n > 0 && n < HOST_NAME_BYTES && name[strspn(name, ALNUM "_.-")] == '\0' &&
           strchr(ALNUM, name[0]) != NULL && strchr(ALNUM, name[n - 1]) != NULL;
}

/* [user@]host */
static bool destination_good(const char *word) {
    const char *at = strchr(word, '@');
    if (at == NULL) {
        return host_name_good(word);
    }
    return strlen(word) < HOST_NAME_BYTES && strchr(ALNUM "_", word[0]) != NULL &&
           strspn(word, ALNUM "_.-") == (size_t)(at - word) && host_name_good(at + 1);
}

const char *host_bare(const struct host *h) {
    const char *at = strchr(h->name, '@');
    return at == NULL ? h->name : at + 1;
}

static enum status host_add(struct hosts *h, const char *name, int line, const char *word) {
    if (!destination_good(word)) {
        return fail(ERR_USAGE, "%s:%d: '%.200s' is not a host, expected [user@]host", name, line,
                    word);
    }
    for (size_t i = 0; i < h->count; i++) {
        if (strcmp(h->list[i].name, word) == 0) {
            return fail(ERR_USAGE, "%s:%d: %s is listed twice", name, line, word);
        }
    }
    TRY(mem_room(&h->list, &h->cap, h->count + 1));
    struct host *new = &h->list[h->count++];
    snprintf(new->name, sizeof new->name, "%s", word);
    snprintf(new->address, sizeof new->address, "%s", host_bare(new));
    new->slots = 1;
    return OK;
}

static enum status host_set(struct host *h, const char *name, int line, const char *word) {
    uint64_t slots = 0;
    if (strncmp(word, "addr=", 5) == 0 && host_name_good(word + 5)) {
        snprintf(h->address, sizeof h->address, "%s", word + 5);
        return OK;
    }
    if (strncmp(word, "slots=", 6) != 0 ||
        number_parse(word + 6, NUMBER_PLAIN, &slots) != NUMBER_GOOD || slots < 1 ||
        slots > SLOTS_MAX) {
        return fail(ERR_USAGE,
                    "%s:%d: '%.200s' is not understood, expected slots=N (1 to %u) or addr=NAME",
                    name, line, word, SLOTS_MAX);
    }
    h->slots = (uint32_t)slots;
    return OK;
}

/* Reads the words of one line; `text` is changed. */
static enum status take_host_line(struct hosts *h, const char *name, int line, char *text) {
    char *save = NULL;
    text[strcspn(text, "#")] = '\0';
    char *word = strtok_r(text, BLANKS, &save);
    if (word == NULL) {
        return OK;
    }
    TRY(host_add(h, name, line, word));
    while ((word = strtok_r(NULL, BLANKS, &save)) != NULL) {
        TRY(host_set(&h->list[h->count - 1], name, line, word));
    }
    return OK;
}

static enum status hosts_reachable(const struct hosts *h, const char *name) {
    for (size_t i = 0; i < h->count; i++) {
        const struct host *one = &h->list[i];
        if (h->count > 1 &&
            (strcmp(one->address, "localhost") == 0 || strncmp(one->address, "127.", 4) == 0)) {
            return fail(ERR_USAGE, "%s: the others cannot reach %s as %s; give it addr=NAME", name,
                        one->name, one->address);
        }
    }
    return h->count > 0 ? OK : fail(ERR_USAGE, "%s lists no hosts", name);
}

enum status hosts_parse(struct hosts *h, const char *name, const char *text) {
    char *copy = NULL, *at, *line;
    int number = 0;
    enum status status = mem_strdup(&copy, text);
    at = copy;
    while (status == OK && (line = strsep(&at, "\n")) != NULL) {
        status = take_host_line(h, name, ++number, line);
    }
    mem_free(&copy);
    return status == OK ? hosts_reachable(h, name) : status;
}

enum status hosts_read(struct hosts *h, const char *path) {
    char *text = NULL;
    size_t bytes;
    if (file_read_all(path, HOSTS_BYTES_MAX, &text, &bytes) != OK) {
        return fail(ERR_USAGE, "cannot read the hostfile %s", path);
    }
    const enum status status = hosts_parse(h, path, text);
    mem_free(&text);
    return status;
}

void hosts_fini(struct hosts *h) {
    mem_free(&h->list);
    *h = (struct hosts){0};
}
