/* text_list.h - the values of a schema's keys that are texts or lists of texts.
 *
 *     missing = NULL, \N, "a, b", "say ""x""", "new_user_class_level "
 *
 * Texts are separated by commas; blanks and tabs around a text are cut off. A text in double quotes
 * is taken as it is, with its commas and blanks; a quote inside it is written twice.
 */
#pragma once

#include <stdint.h>

#include "common/base/status.h"
#include "span.h"

#define LIST_TEXT_MAX  128u /* bytes of a text, with the NUL */
#define LIST_TEXTS_MAX 8u

/* Takes the next text of *list and moves *list behind it. *more is false if there is none.
 * ERR_CONFIG: the text is too long, is empty without quotes, or has a quote that is not closed. */
enum status text_list_next(const char **list, char out[LIST_TEXT_MAX], bool *more);
/* Reads a value that is one text, not a list: a comma is a normal byte of it. An empty value gives
 * "".
 */
enum status text_list_single(const char *value, char out[LIST_TEXT_MAX]);

/* A short list that cells are compared with. */
struct text_list {
    uint32_t count;
    uint8_t bytes[LIST_TEXTS_MAX];
    char text[LIST_TEXTS_MAX][LIST_TEXT_MAX];
};
/* Adds the texts of a list. ERR_CONFIG. */
enum status text_list_add(struct text_list *l, const char *list);
static inline bool text_list_has(const struct text_list *l, struct span cell) {
    for (uint32_t k = 0; k < l->count; k++) {
        if (l->bytes[k] == cell.n && memcmp(l->text[k], cell.at, cell.n) == 0) {
            return true;
        }
    }
    return false;
}
