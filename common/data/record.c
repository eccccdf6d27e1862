#include "record.h"

#include "shard_format.h"

bool record_good(uint8_t labels, uint8_t kind) {
    const uint8_t outcome = labels & LABEL_OUTCOME;
    const bool late = outcome == (LABEL_CLICK | LABEL_CONVERSION | LABEL_LATE);
    if (outcome != LABEL_CLICK && outcome != (LABEL_CLICK | LABEL_CONVERSION) && !late &&
        labels != 0) {
        return false;
    }
    if (labels > (LABEL_OUTCOME | LABEL_BEHAVIOURS)) {
        return false;
    }
    switch (kind) {
    case KIND_LOG:
    case KIND_BOTH: return !late;
    case KIND_CLICK:
    case KIND_CONVERSION: return labels != 0 && !late;
    case KIND_LATE: return late;
    case KIND_FINAL: return labels != 0;
    default: return false;
    }
}

uint8_t record_kind_to_disk(enum record_kind kind) {
    static const uint8_t numbers[RECORD_KINDS] = {0,
                                                  SHARD_KIND_BOTH,
                                                  SHARD_KIND_CLICK,
                                                  SHARD_KIND_CONVERSION,
                                                  SHARD_KIND_LATE,
                                                  SHARD_KIND_FINAL};
    return numbers[kind];
}

enum record_kind record_kind_from_disk(uint8_t number) {
    static const uint8_t kinds[] = {[SHARD_KIND_BOTH] = KIND_BOTH,
                                    [SHARD_KIND_CLICK] = KIND_CLICK,
                                    [SHARD_KIND_CONVERSION] = KIND_CONVERSION,
                                    [SHARD_KIND_LATE] = KIND_LATE,
                                    [SHARD_KIND_FINAL] = KIND_FINAL};
    return number < sizeof kinds ? (enum record_kind)kinds[number] : KIND_LOG;
}
