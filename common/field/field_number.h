/* field_number.h - numbers as people and programs write them: 1.234,50 and 000376 and 376.0. Pure.
 */
#ifndef COMMON_FIELD_FIELD_NUMBER_H
#define COMMON_FIELD_FIELD_NUMBER_H

#include "tools/prep/prep_piece.h"

#define NUMBER_BYTES 80 /* room for a number of 63 bytes and what may be read behind it */

struct number_style {
    char decimal;   /* 0: a point */
    char thousands; /* 0: none */
};

/* Without the blanks and tabs around it. */
static inline struct span span_trimmed(struct span text) {
    while (text.n > 0 && (text.at[0] == ' ' || text.at[0] == '\t')) {
        text.at++;
        text.n--;
    }
    while (text.n > 0 && (text.at[text.n - 1] == ' ' || text.at[text.n - 1] == '\t')) {
        text.n--;
    }
    return text;
}
/* The number in the program's way, with a point and without what parts thousands: the text itself
 * if the style asks for no change, else in copy. false: it is not written in that style; then
 * thousands stand where no thousands are ("19.90" with a point for thousands), or there are two
 * decimals. */
bool field_number_plain(const struct number_style *style, struct span text, char copy[NUMBER_BYTES],
                        struct span *out);
/* The id in a text: without blanks around it, zeros before it, and a fraction of zeros behind it.
 */
struct span field_id_plain(char decimal, struct span text);

#endif
