/* question.h - what is asked of the machines of a job, all at once: a shell script, sent over ssh,
 * with a question for its argument (scripts/launch/probe.sh, which this program carries). */
#pragma once

#include <stdbool.h>

#include "common/base/bytes.h"
#include "hosts.h"
#include "tools/common/spawn.h"
#include "words.h"

#define QUESTION_MS 40000u /* for the answer of one host, with its connection */

struct question {
    struct words words; /* "host", ...: the script's arguments */
    size_t host;        /* whom, in struct hosts */
    bool stays;         /* the script goes on after its answer, until question_end */
    struct buf answer;  /* lines, NUL-terminated */
    char problem[512];  /* why there is no whole answer; "": there is */
    /* its own */
    bool started;             /* so it has pipes */
    struct spawn_pipes pipes; /* pid 0: not running */
    struct buf errors;
    size_t sent; /* bytes of the script */
    int wait_status;
};

/* The command that asks, and its input, for who wants to see them. */
enum status question_command(const struct question *q, const struct words *ssh,
                             const struct hosts *hosts, struct words *out);
/* Asks all, and waits for all answers. What a host does not answer is its question's `problem`.
 * ERR_CLOSED: a stop signal came meanwhile; ERR_IO, ERR_MEMORY. All questions are to be finished
 * then, too. */
enum status questions_ask(struct question *q, size_t count, const struct words *ssh,
                          const struct hosts *hosts);
/* The rest of the next line of the answer that begins with `prefix`, cut at its end into
 * out[bytes]; *at (NULL at first) is where to go on. False: there is none. */
bool question_line(const struct question *q, const char *prefix, const char **at, char *out,
                   size_t bytes);
/* Ends the script of a question that stays: it is told the word, if there is one, and given a
 * moment. */
void question_end(struct question *q, const char *word);
/* Ends what still runs, and frees. Safe on a zeroed one. */
void question_fini(struct question *q);
