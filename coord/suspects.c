/* suspects.c - says which batches were set aside because they kill their workers. */
#include <stdio.h>

#include "common/base/log.h"
#include "coord/grant/lease_suspect.h"
#include "state.h"

static void describe_aside(const struct coord *c, const struct lease_aside *a, char *out,
                           size_t bytes) {
    const char *unit = leases_unit(&c->leases);
    if (a->batch == LEASE_NONE) {
        snprintf(out, bytes, "what is left of %s %u of epoch %u (%u impressions)", unit, a->range,
                 a->epoch + 1, a->impressions);
    } else {
        snprintf(out, bytes, "batch %u of %s %u of epoch %u (%u impressions)", a->batch, unit,
                 a->range, a->epoch + 1, a->impressions);
    }
}

enum status suspects_step(struct coord *c) {
    struct lease_aside a;
    char what[160];
    while (leases_next_aside(&c->leases, &a)) {
        describe_aside(c, &a, what, sizeof what);
        if (c->config->poison == POISON_FAIL) {
            return fail(ERR_PEER, "%s killed its worker %d times (train.poison=fail)", what,
                        SUSPECT_DEATHS);
        }
        log_error("%s killed its worker %d times: it is set aside and not trained", what,
                  SUSPECT_DEATHS);
        struct json *j = event_log_event(&c->event_log, "batch_set_aside");
        json_u64(j, "epoch", a.epoch);
        json_u64(j, "range", a.range);
        if (a.batch != LEASE_NONE) {
            json_u64(j, "batch", a.batch);
        }
        json_u64(j, "impressions", a.impressions);
        event_log_event_end(&c->event_log);
        c->aside_batches++;
        c->aside_impressions += a.impressions;
    }
    return OK;
}
