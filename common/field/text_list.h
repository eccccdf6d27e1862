/* text_list.h - the values of a schema's keys that are texts or lists of texts.
 *
 *     missing = NULL, \N, "a, b", "say ""x""", "new_user_class_level "
 *
 * Texts are parted by commas; blanks and tabs around one are cut off. A text in double quotes is
 * taken as it stands, commas and blanks too; a quote in it is written twice.
 */
#pragma once

#include <stdint.h>

#include "common/base/status.h"
#include "span.h"

#define LIST_TEXT_MAX  128u /* bytes of a text, with the NUL */
#define LIST_TEXTS_MAX 8u

/* The next text of *list, which then stands behind it; *more false: there is none. ERR_CONFIG: a
 * text that is too long, is empty without quotes, or has a quote that is not closed. */
enum status text_list_next(const char **list, char out[LIST_TEXT_MAX], bool *more);
/* A value that is one text, not a list: a comma in it is one of its bytes. "" for an empty value.
 */
enum status text_list_single(const char *value, char out[LIST_TEXT_MAX]);

/* A short list that cells are compared with. */
struct text_list {
    uint32_t count;
    uint8_t bytes[LIST_TEXTS_MAX];
    char text[LIST_TEXTS_MAX][LIST_TEXT_MAX];
};
/* Adds what a list says. ERR_CONFIG. */
enum status text_list_add(struct text_list *l, const char *list);
static inline bool text_list_has(const struct text_list *l, struct span cell) {
    for (uint32_t k = 0; k < l->count; k++) {
        if (l->bytes[k] == cell.n && memcmp(l->text[k], cell.at, cell.n) == 0) {
            return true;
        }
    }
    return false;
}
