/* synth_entry.h - the columns of a synthetic log, the names and id ranges of its features, and one
 * entry of a column. Names are Ali-CCP's where the meaning is the same; "price" and "position" have
 * no counterpart there. Feature ids are global: each field owns a range of them, starting at 1. */
#pragma once

#include "synth_zipf.h"

/* X(name in the program, name in the log) */
#define SYNTH_FIELDS(X)                                                                            \
    X(F_USER, "101")                                                                               \
    X(F_SEGMENT, "121")                                                                            \
    X(F_GROUP, "122")                                                                              \
    X(F_GENDER, "124")                                                                             \
    X(F_AGE, "125")                                                                                \
    X(F_POWER, "126")                                                                              \
    X(F_POWER_2, "127")                                                                            \
    X(F_OCCUPATION, "128")                                                                         \
    X(F_CITY, "129")                                                                               \
    X(F_CATEGORY_BAG, "109_14")                                                                    \
    X(F_SHOP_BAG, "110_14")                                                                        \
    X(F_BRAND_BAG, "127_14")                                                                       \
    X(F_INTENTION_BAG, "150_14")                                                                   \
    X(F_ITEM, "205")                                                                               \
    X(F_CATEGORY, "206")                                                                           \
    X(F_SHOP, "207")                                                                               \
    X(F_INTENTION, "210")                                                                          \
    X(F_BRAND, "216")                                                                              \
    X(F_SCENARIO, "301")                                                                           \
    X(F_CROSS_CATEGORY, "508")                                                                     \
    X(F_CROSS_SHOP, "509")                                                                         \
    X(F_CROSS_BRAND, "702")                                                                        \
    X(F_CROSS_INTENTION, "853")                                                                    \
    X(F_PRICE, "price")                                                                            \
    X(F_POSITION, "position")
enum synth_field_name {
#define X(name, text) name,
    SYNTH_FIELDS(X)
#undef X
        F_COUNT
};

struct synth_field {
    const char *name;
    uint64_t first; /* its ids are [first, first + n); n 0: not in this log */
    uint64_t n;
    struct power_law law; /* over 0..n-1, for bags that are drawn */
};
struct synth_fields {
    struct synth_field field[F_COUNT];
    uint64_t features; /* the highest id */
};

struct synth_entry {
    uint64_t id;
    uint32_t value_e5; /* in units of 0.00001 */
    uint32_t field;    /* enum synth_field_name */
};
#define ENTRY_ONE        100000u
#define USER_ENTRIES_MAX 2048u
#define ITEM_ENTRIES_MAX 128u
static inline struct synth_entry fields_entry(const struct synth_fields *f,
                                              enum synth_field_name name, uint64_t value,
                                              double weight) {
    return (struct synth_entry){.id = f->field[name].first + value,
                                .value_e5 = (uint32_t)(weight * ENTRY_ONE + 0.5),
                                .field = name};
}
