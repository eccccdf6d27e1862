/* view.h - the one progress view of `esmm train`: a bar on a terminal, plain lines otherwise. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

struct view {
    bool terminal;
    uint64_t last_plain_ms;
    uint64_t total_impressions; /* of the whole job; 0: nobody knows, no bar */
    uint32_t epochs;            /* 0: a stream, which has none */
    bool shown;                 /* the bar's line is open */
};

/* The view goes to standard error. */
void view_init(struct view *v, uint64_t total_impressions, uint32_t epochs);
/* A line of the coordinator's progress: JSON. */
void view_line(struct view *v, const char *line);
/* Leaves the bar's line. */
void view_end(struct view *v);
