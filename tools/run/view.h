/* view.h - the one progress view of `esmm train`: a bar on a terminal, plain lines otherwise. */
#ifndef TOOLS_RUN_VIEW_H
#define TOOLS_RUN_VIEW_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

struct view {
    bool terminal;
    uint64_t last_plain_ms;
    uint64_t total_impressions; /* of the whole job; 0: nobody knows, no bar */
    uint32_t epochs;
    bool shown;         /* the bar's line is open */
    char pending[8192]; /* an incomplete line of the coordinator's progress pipe */
    size_t pending_bytes;
};

/* fd: where the view goes, asked whether it is a terminal. */
void view_init(struct view *v, uint64_t total_impressions, uint32_t epochs);
/* Bytes read from the coordinator's progress pipe: whole JSON lines are shown as they complete. */
void view_feed(struct view *v, const char *data, size_t bytes);
/* Leaves the bar's line. */
void view_end(struct view *v);

#endif
