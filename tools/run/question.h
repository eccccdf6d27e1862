/* question.h - asks the machines of a job, all at once. A question is a shell script
 * (scripts/launch/probe.sh, stored in this program) that is sent over ssh, with the question as its
 * argument. */
#pragma once

#include <stdbool.h>

#include "common/base/bytes.h"
#include "hosts.h"
#include "tools/common/spawn.h"
#include "words.h"

#define QUESTION_MS 40000u /* for one host to connect and answer */

struct question {
    struct words words; /* "host", ...: the script's arguments */
    size_t host;        /* the host to ask: index in struct hosts */
    bool stays;         /* the script keeps running after its answer, until question_end */
    struct buf answer;  /* lines, NUL-terminated */
    char problem[512];  /* why the answer is not complete; "": it is complete */
    /* private members */
    bool started;             /* then it has pipes */
    struct spawn_pipes pipes; /* pid 0: not running */
    struct buf errors;
    size_t sent; /* bytes of the script */
    int wait_status;
};

/* Gives the command that asks and its input, to show them to the user. */
enum status question_command(const struct question *q, const struct words *ssh,
                             const struct hosts *hosts, struct words *out);
/* Asks all questions and waits for all answers. If a host does not answer, the `problem` of its
 * question is set. ERR_CLOSED: a stop signal came meanwhile; ERR_IO, ERR_MEMORY. Finish all
 * questions even after an error. */
enum status questions_ask(struct question *q, size_t count, const struct words *ssh,
                          const struct hosts *hosts);
/* Finds the next line of the answer that begins with `prefix`, and copies the rest of it to
 * out[bytes], cut if it is too long. *at is NULL at first, then the place to continue from. False:
 * there is no such line. */
bool question_line(const struct question *q, const char *prefix, const char **at, char *out,
                   size_t bytes);
/* Ends the script of a question that stays: sends it the word, if there is one, and waits a moment.
 */
void question_end(struct question *q, const char *word);
/* Ends a question that still runs, and frees it. Safe on a zeroed one. */
void question_fini(struct question *q);
