/* view.h - the one progress view of `esmm train`: a bar on a terminal, plain lines otherwise. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

struct view {
    bool terminal;
    uint64_t last_plain_ms;
    uint64_t total_impressions; /* of the whole job; 0: unknown, no bar is shown */
    uint32_t epochs;            /* 0: a stream, which has none */
    bool shown;                 /* the line of the bar is not ended yet */
    void (*begun)(void *self);  /* called once, with the first line that shows training; or NULL */
    void *self;
};

/* Sets up the view, which writes to standard error. */
void view_init(struct view *v, uint64_t total_impressions, uint32_t epochs);
/* Shows a line of the coordinator's progress, which is JSON. */
void view_line(struct view *v, const char *line);
/* Ends the line of the bar. */
void view_end(struct view *v);
