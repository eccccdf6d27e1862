#include "lease_backup.h"

#define LATE      2.0
#define LATE_MS   1000 /* a coordinator or server that died and came back delays all leases */
#define SEARCH_MS 50   /* a search visits every holder */
#define WEIGHT    0.05 /* of the newest in the mean */

void backup_learn(struct leases *l, uint64_t granted_ms, uint64_t now_ms) {
    const double took_ms = now_ms > granted_ms ? (double)(now_ms - granted_ms) : 0;
    l->typical_ms += (l->typical_ms == 0 ? 1 : WEIGHT) * (took_ms - l->typical_ms);
}

static bool is_late(const struct leases *l, const struct lease *x, uint64_t now_ms) {
    const double out_ms = now_ms > x->granted_ms ? (double)(now_ms - x->granted_ms) : 0;
    return x->second == LEASE_NONE && x->only == LEASE_NONE &&
           out_ms > LATE * l->typical_ms + LATE_MS;
}

/* The late lease that has been out longest. */
struct lease *backup_find(struct leases *l, uint32_t worker, uint64_t now_ms) {
    struct lease *found = NULL;
    if (!l->backups || l->kind != LEASE_TRAIN || l->out == 0 || l->typical_ms == 0 ||
        !leases_idle(l, worker) || now_ms < l->searched_ms + SEARCH_MS) {
        return NULL;
    }
    for (uint32_t w = 0; w < l->holders; w++) {
        for (uint32_t i = l->holder[w].first; i != LEASE_NONE; i = l->lease[i].next) {
            struct lease *x = &l->lease[i];
            if (is_late(l, x, now_ms) && (found == NULL || x->granted_ms < found->granted_ms)) {
                found = x;
            }
        }
    }
    l->searched_ms = found == NULL ? now_ms : l->searched_ms;
    return found;
}

void backup_grant(struct leases *l, struct lease *x, uint32_t worker, uint64_t incarnation) {
    x->second = worker;
    x->second_incarnation = incarnation;
    l->holder[worker].helps = (uint32_t)(x - l->lease);
    l->seconds++;
}

/* Its deadline is set with the second's next sign of life; if there is none, the second is lost,
 * and that ends the lease. */
bool backup_promote(struct leases *l, struct lease *x) {
    const uint32_t second = x->second;
    const uint64_t incarnation = x->second_incarnation;
    if (second == LEASE_NONE) {
        return false;
    }
    lease_give_back(l, x, LEASE_OUT);
    lease_take_out(l, x, second);
    x->incarnation = incarnation;
    x->deadline_ms = UINT64_MAX;
    return true;
}
