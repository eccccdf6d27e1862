/* Any bytes as evaluation scores and as running-metric bins. What unpacks is packed again and must
 * be the same bytes (scores) or the same counts (bins). */
#include "common/base/mem.h"
#include "common/net/scores.h"
#include "fuzz.h"

static void try_scores(const uint8_t *data, size_t bytes, size_t row) {
    size_t n = bytes / row;
    struct score *scores = NULL;
    struct buf again = BUF_EMPTY;
    FUZZ_MUST(mem_array(&scores, n + 1) == OK);
    enum status status = wire_scores_unpack(data, bytes, n, scores);
    FUZZ_MUST(status == OK || status == ERR_PROTOCOL);
    if (status == OK) {
        FUZZ_MUST(wire_scores_pack(scores, n, &again) == OK);
        FUZZ_MUST(again.len == bytes && (bytes == 0 || memcmp(again.data, data, bytes) == 0));
    }
    buf_fini(&again);
    mem_free(&scores);
}

static void try_bins(const uint8_t *data, size_t bytes) {
    static struct metric_bins ctr, ctcvr, ctr2, ctcvr2;
    struct buf again = BUF_EMPTY;
    enum status status = wire_bins_unpack(data, bytes, &ctr, &ctcvr);
    FUZZ_MUST(status == OK || status == ERR_PROTOCOL);
    if (status == OK) {
        FUZZ_MUST(wire_bins_pack(&ctr, &ctcvr, &again) == OK);
        FUZZ_MUST(wire_bins_unpack(again.data, again.len, &ctr2, &ctcvr2) == OK);
        FUZZ_MUST(memcmp(&ctr, &ctr2, sizeof ctr) == 0 && memcmp(&ctcvr, &ctcvr2, sizeof ctr) == 0);
    }
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    try_scores(data, bytes, WIRE_SCORE_BYTES);
    try_scores(data, bytes, WIRE_SCORE_WEIGHED_BYTES);
    try_bins(data, bytes);
    return 0;
}

bool fuzz_seed(uint32_t n, struct buf *out) {
    static struct metric_bins ctr, ctcvr;
    struct score scores[3] = {{.impression_id = 1, .user = 2, .a = -1, .b = 0.5f, .labels = 3},
                              {.impression_id = 9, .a = 1, .b = 2, .labels = 1},
                              {.impression_id = UINT64_MAX, .a = -40, .b = 40}};
    scores[0].weight = scores[1].weight = scores[2].weight = n == 0 ? 1 : 2.5f;
    if (n == 0 || n == 3) {
        return wire_scores_pack(scores, 3, out) == OK;
    }
    if (n > 3) {
        return false;
    }
    for (int i = 0; n == 2 && i < 50; i++) {
        metric_bins_add(&ctr, (float)(i % 17) - 12, i % 3 == 0);
        metric_bins_add(&ctcvr, (float)(i % 5) - 9, i % 11 == 0);
    }
    return wire_bins_pack(&ctr, &ctcvr, out) == OK;
}
