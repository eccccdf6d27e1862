#include "streams.h"

#include <assert.h>
#include <string.h>

const char *const streams_names[] = {[STREAM_VANILLA] = "vanilla",
                                     [STREAM_ORACLE] = "oracle",
                                     [STREAM_FNW] = "fnw",
                                     [STREAM_ES_DFM] = "es-dfm",
                                     [STREAM_DEFER] = "defer",
                                     [STREAM_DFM] = "dfm",
                                     NULL};

/* es-dfm and defuse skip, in a defer stream, a click's second record if it repeats the first; the
 * rest is an es-dfm stream (worker/model/loss_delay.c). The method none takes any stream. */
static const struct fit {
    const char *method;
    uint32_t streams; /* one bit per stream */
    const char *expected;
} fits[DELAY_METHODS] = {
#define BIT(s) (1u << (s))
    [DELAY_NONE] = {"none", ~0u, "any"},
    [DELAY_FNW] = {"fnw", BIT(STREAM_FNW), "fnw"},
    [DELAY_PU] = {"pu", BIT(STREAM_FNW) | BIT(STREAM_ES_DFM), "fnw or es-dfm"},
    [DELAY_ES_DFM] = {"es-dfm", BIT(STREAM_ES_DFM) | BIT(STREAM_DEFER), "es-dfm (or defer)"},
    [DELAY_DEFER] = {"defer", BIT(STREAM_DEFER), "defer"},
    [DELAY_DEFUSE] = {"defuse", BIT(STREAM_ES_DFM) | BIT(STREAM_DEFER), "es-dfm (or defer)"},
    [DELAY_DFM] = {"dfm", BIT(STREAM_DFM), "dfm"},
#undef BIT
};

const char *streams_name(enum record_stream stream) {
    assert((unsigned)stream < STREAMS);
    return streams_names[stream];
}

enum status streams_fit(enum delay_method delay, const char *stream, const char *dir) {
    assert((unsigned)delay < DELAY_METHODS);
    const struct fit *f = &fits[delay];
    if (delay == DELAY_NONE || stream[0] == '\0') {
        return OK;
    }
    for (uint32_t s = 0; s < STREAMS; s++) {
        if ((f->streams >> s & 1) != 0 && strcmp(stream, streams_names[s]) == 0) {
            return OK;
        }
    }
    return fail(ERR_CONFIG,
                "%s is a stream %s, and model.delay = %s is made for %s: expected such a "
                "stream, or model.delay = none",
                dir, stream, f->method, f->expected);
}
