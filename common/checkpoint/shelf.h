/* shelf.h - the checkpoints of a run as they lie in RUN/checkpoints: what each holds, which stay.
 *
 * A pin is an empty file `pinned` in a checkpoint's directory; it lasts until it is taken away.
 * What an evaluation said of a checkpoint lies beside its manifest (judged.h).
 *
 * Not thread-safe; blocking.
 */
#pragma once

#include "judged.h"
#include "retention.h"

struct shelf_item {
    char name[64]; /* step-N, or step-N.damaged */
    uint64_t step, impressions, rows, bytes, cut, base;
    double saved_at;
    uint32_t parts;
    bool readable; /* its manifest; if not, only name and step are known */
    bool aside;    /* step-N.damaged */
    bool pinned;
    bool judged;
    struct judged figures; /* if judged */
    uint32_t kept;         /* bits (retention.h), by shelf_decide */
};
struct shelf {
    struct shelf_item *items; /* in ascending order of names, so of steps; owned */
    size_t count, cap;
    bool any;        /* there is a newest one: */
    uint64_t newest; /* `latest` if that reads, else the highest step that does */
};

/* Reads the names, and the manifests of those that it does not hold already; that of step `again`
 * in any case. Those that are gone go from the list. An absent directory is empty. ERR_IO,
 * ERR_MEMORY. */
enum status shelf_read(struct shelf *s, const char *root, uint64_t again);
void shelf_free(struct shelf *s);
struct shelf_item *shelf_find(struct shelf *s, uint64_t step); /* NULL: none that reads */
/* Sets `kept` of each. One whose manifest does not read is kept by its step, as if it were one more
 * beside the good ones. */
enum status shelf_decide(struct shelf *s, const struct retention *r);
/* Deletes those that need not stay, what is set aside up to the newest step, and leftovers of
 * unfinished ones. For when none is being written, after a publication. What cannot be deleted is
 * logged and tried again the next time. */
void shelf_clean(struct shelf *s, const char *root, const struct retention *r);
/* Deletes one; its manifest goes first, so that a crash leaves no half one. */
enum status shelf_remove(const char *root, const char *name);
enum status shelf_pin(const char *root, const char *name, bool on);
