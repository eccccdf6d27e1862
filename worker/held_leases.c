#include "held_leases.h"

#include "common/base/mem.h"

void held_leases_init(struct held_leases *h) {
    *h = (struct held_leases){0};
    pthread_mutex_init(&h->lock, NULL);
}

void held_lease_free(struct held_lease **l) {
    if (*l != NULL) {
        mem_free(&(*l)->scores);
        mem_free(l);
    }
}

void held_leases_fini(struct held_leases *h) {
    while (h->first != NULL) {
        struct held_lease *l = h->first;
        h->first = l->next;
        held_lease_free(&l);
    }
    pthread_mutex_destroy(&h->lock);
}

enum status held_leases_open(struct held_leases *h, const struct wire_lease *lease) {
    struct held_lease *l = NULL;
    TRY(mem_new(&l));
    l->lease = *lease;
    pthread_mutex_lock(&h->lock);
    l->next = h->first;
    h->first = l;
    pthread_mutex_unlock(&h->lock);
    return OK;
}

static struct held_lease *held_leases_find(struct held_leases *h, const struct wire_lease *lease) {
    for (struct held_lease *l = h->first; l != NULL; l = l->next) {
        if (l->lease.kind == lease->kind && l->lease.epoch == lease->epoch &&
            l->lease.shard == lease->shard && l->lease.fence == lease->fence) {
            return l;
        }
    }
    return NULL;
}

void held_leases_end(struct held_leases *h, const struct wire_lease *lease, uint32_t queued) {
    pthread_mutex_lock(&h->lock);
    struct held_lease *l = held_leases_find(h, lease);
    if (l != NULL) {
        l->ended = true;
        l->queued = queued;
    }
    pthread_mutex_unlock(&h->lock);
}

static enum status append_scores(struct held_lease *l, const struct batch *batch,
                                 const float *logit_a, const float *logit_b) {
    TRY(mem_room(&l->scores, &l->score_cap, l->score_count + batch->impressions));
    for (uint32_t i = 0; i < batch->impressions; i++) {
        l->scores[l->score_count++] = (struct score){
            .impression_id = batch->impression_id[i],
            .user = batch->user[i],
            .a = logit_a[i],
            .b = logit_b[i],
            .weight = batch->weight != NULL ? batch->weight[i] : 1,
            .labels = batch->labels[i] & (LABEL_CLICK | LABEL_CONVERSION),
        };
    }
    return OK;
}

enum status held_leases_finish(struct held_leases *h, const struct wire_lease *lease,
                               const struct batch *batch, const float *logit_a,
                               const float *logit_b, const struct unseen *unseen) {
    enum status status = OK;
    pthread_mutex_lock(&h->lock);
    struct held_lease *l = held_leases_find(h, lease);
    if (l != NULL) {
        if (lease->kind == LEASE_EVAL) {
            status = append_scores(l, batch, logit_a, logit_b);
            unseen_add(&l->unseen, unseen);
        }
        l->finished++;
    }
    pthread_mutex_unlock(&h->lock);
    return status;
}

bool held_leases_lose(struct held_leases *h, const struct wire_lease *lease) {
    pthread_mutex_lock(&h->lock);
    struct held_lease *l = held_leases_find(h, lease);
    const bool first = l != NULL && !l->lost;
    if (l != NULL) {
        l->lost = true;
    }
    pthread_mutex_unlock(&h->lock);
    return first;
}

bool held_leases_lost(struct held_leases *h, const struct wire_lease *lease) {
    pthread_mutex_lock(&h->lock);
    const struct held_lease *l = held_leases_find(h, lease);
    const bool lost = l != NULL && l->lost;
    pthread_mutex_unlock(&h->lock);
    return lost;
}

struct held_lease *held_leases_take_complete(struct held_leases *h) {
    struct held_lease *found = NULL;
    pthread_mutex_lock(&h->lock);
    for (struct held_lease **at = &h->first; *at != NULL; at = &(*at)->next) {
        if ((*at)->ended && (*at)->finished == (*at)->queued) {
            found = *at;
            *at = found->next;
            found->next = NULL;
            break;
        }
    }
    pthread_mutex_unlock(&h->lock);
    return found;
}
