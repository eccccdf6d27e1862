#include "shard_copy.h"

enum status shard_features(const struct shard *s, const struct schema *schema, enum side side,
                           uint32_t n, struct feature_list *out) {
    TRY(feature_list_clear(out, 0));
    for (uint32_t f = 0; f < s->columns; f++) {
        const struct column *c = &s->column[f];
        if (schema->fields[f].side != side) {
            continue;
        }
        for (uint32_t v = c->start[n]; v < c->start[n + 1]; v++) {
            const struct feature feature = {.field = f,
                                            .weight = c->weight == NULL ? 1.0f : c->weight[v],
                                            .id = c->dict[c->code[v]]};
            TRY(feature_list_add(out, &feature));
        }
    }
    return OK;
}

static enum status copy_impression(struct shard_builder *b, const struct shard *s, uint32_t i,
                                   const struct feature_list *item) {
    const bool timed = s->time != NULL;
    const struct moment when = {.time = timed ? s->time[i] : 0,
                                .click_time = timed ? s->click_time[i] : 0,
                                .conversion_time = timed ? s->conversion_time[i] : 0,
                                .kind = s->kind == NULL ? KIND_LOG : (enum record_kind)s->kind[i]};
    TRY(shard_builder_timed(b, s->impression_id[i], s->labels[i], timed ? &when : NULL,
                            item->features, item->count));
    return s->weight == NULL ? OK : shard_builder_weigh(b, s->weight[i]);
}

enum status shard_copy_group(struct shard_builder *b, const struct shard *s,
                             const struct schema *schema, uint32_t g, struct feature_list *room) {
    TRY(shard_features(s, schema, SIDE_USER, g, room));
    TRY(shard_builder_group(b, s->group_key[g], room->features, room->count));
    for (uint32_t i = s->group_start[g]; i < s->group_start[g + 1]; i++) {
        TRY(shard_features(s, schema, SIDE_ITEM, i, room));
        TRY(copy_impression(b, s, i, room));
    }
    return OK;
}

uint64_t shard_memory(const struct shard *s) {
    uint64_t bytes = sizeof *s + (uint64_t)s->groups * 12 + (uint64_t)s->impressions * 37;
    for (uint32_t f = 0; f < s->columns; f++) {
        const struct column *c = &s->column[f];
        bytes += (uint64_t)c->dict_count * 8 + (uint64_t)c->values * (c->weight == NULL ? 4 : 8) +
                 (uint64_t)c->n * 4;
    }
    return bytes;
}
