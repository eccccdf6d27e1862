#include "book.h"

#include "common/base/mem.h"

void book_init(struct book *b) {
    *b = (struct book){0};
    pthread_mutex_init(&b->lock, NULL);
}

void book_lease_free(struct book_lease **l) {
    if (*l != NULL) {
        mem_free(&(*l)->scores);
        mem_free(l);
    }
}

void book_fini(struct book *b) {
    while (b->first != NULL) {
        struct book_lease *l = b->first;
        b->first = l->next;
        book_lease_free(&l);
    }
    pthread_mutex_destroy(&b->lock);
}

enum status book_open(struct book *b, const struct wire_lease *lease) {
    struct book_lease *l = NULL;
    TRY(mem_new(&l));
    l->lease = *lease;
    pthread_mutex_lock(&b->lock);
    l->next = b->first;
    b->first = l;
    pthread_mutex_unlock(&b->lock);
    return OK;
}

static struct book_lease *find(struct book *b, const struct wire_lease *lease) {
    for (struct book_lease *l = b->first; l != NULL; l = l->next) {
        if (l->lease.kind == lease->kind && l->lease.epoch == lease->epoch &&
            l->lease.shard == lease->shard && l->lease.fence == lease->fence) {
            return l;
        }
    }
    return NULL;
}

void book_end(struct book *b, const struct wire_lease *lease, uint32_t queued) {
    pthread_mutex_lock(&b->lock);
    struct book_lease *l = find(b, lease);
    if (l != NULL) {
        l->ended = true;
        l->queued = queued;
    }
    pthread_mutex_unlock(&b->lock);
}

static enum status append_scores(struct book_lease *l, const struct batch *batch,
                                 const float *logit_a, const float *logit_b) {
    size_t need = l->score_count + batch->impressions;
    if (need > l->score_cap) {
        size_t cap = need * 2;
        TRY(mem_grow(&l->scores, l->score_cap, cap));
        l->score_cap = cap;
    }
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

enum status book_finish(struct book *b, const struct wire_lease *lease, const struct batch *batch,
                        const float *logit_a, const float *logit_b) {
    enum status status = OK;
    pthread_mutex_lock(&b->lock);
    struct book_lease *l = find(b, lease);
    if (l != NULL) {
        if (lease->kind == LEASE_EVAL) {
            status = append_scores(l, batch, logit_a, logit_b);
        }
        l->finished++;
    }
    pthread_mutex_unlock(&b->lock);
    return status;
}

void book_unseen(struct book *b, const struct wire_lease *lease, const struct unseen *unseen) {
    pthread_mutex_lock(&b->lock);
    struct book_lease *l = find(b, lease);
    if (l != NULL) {
        unseen_add(&l->unseen, unseen);
    }
    pthread_mutex_unlock(&b->lock);
}

void book_lose(struct book *b, const struct wire_lease *lease, bool *first) {
    pthread_mutex_lock(&b->lock);
    struct book_lease *l = find(b, lease);
    *first = l != NULL && !l->lost;
    if (l != NULL) {
        l->lost = true;
    }
    pthread_mutex_unlock(&b->lock);
}

bool book_lost(struct book *b, const struct wire_lease *lease) {
    pthread_mutex_lock(&b->lock);
    const struct book_lease *l = find(b, lease);
    const bool lost = l != NULL && l->lost;
    pthread_mutex_unlock(&b->lock);
    return lost;
}

struct book_lease *book_take_complete(struct book *b) {
    struct book_lease *found = NULL;
    pthread_mutex_lock(&b->lock);
    for (struct book_lease **at = &b->first; *at != NULL; at = &(*at)->next) {
        if ((*at)->ended && (*at)->finished == (*at)->queued) {
            found = *at;
            *at = found->next;
            found->next = NULL;
            break;
        }
    }
    pthread_mutex_unlock(&b->lock);
    return found;
}
