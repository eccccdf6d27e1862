/* options.h - the command line of a sub-command: what all of them do alike. */
#ifndef TOOLS_COMMON_OPTIONS_H
#define TOOLS_COMMON_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/status.h"

/* Takes one option of the sub-command: its `val` in the table, and its argument or NULL. */
typedef enum status option_apply(void *line, int option, const char *value);

/* The options of a sub-command. `often`: vals of those that may be given more than once, up to a 0;
 * NULL: none may. `leading`: what follows the first argument that is no option is not looked at. */
struct option_set {
    const struct option *table;
    const int *often;
    bool leading;
};
/* Hands every option of argv (argv[0] is the sub-command) to apply(line, ...), until one sets
 * *help. Afterwards optind is the first argument that is no option. ERR_USAGE: an unknown option, a
 * missing value, an option given twice that is not one of `often`. */
enum status options_read(int argc, char **argv, const struct option_set *set, option_apply *apply,
                         void *line, const bool *help);
/* ERR_USAGE if an argument is left. */
enum status options_end(int argc, char **argv);

/* Parses an unsigned number (number.h: K, M, G, T are powers of 1000) within a range. ERR_USAGE
 * names `what`. */
enum status option_u64(const char *what, const char *text, uint64_t min, uint64_t max,
                       uint64_t *out);
/* The same for a number of bytes: powers of 1024. */
enum status option_bytes(const char *what, const char *text, uint64_t min, uint64_t max,
                         uint64_t *out);

#endif
