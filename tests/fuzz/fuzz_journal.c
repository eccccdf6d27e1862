/* fuzz_journal.c - a coordinator's journal as bytes: it is refused, or gives a state. The checksum
 * of each record that the bytes frame is put right first, so that bodies are reached. */
#include "common/base/hash.h"
#include "coord/journal/journal_state.h"
#include "fuzz.h"
#include "tests/unit/coord/journal/sample.h"

/* Walks the records as their lengths say, and mends offset and checksum. */
static void mend(uint8_t *data, size_t bytes) {
    for (size_t at = JOURNAL_HEAD_BYTES; at + JOURNAL_RECORD_BYTES <= bytes;) {
        const size_t body = load_u32(data + at + 12);
        if (body > bytes - at - JOURNAL_RECORD_BYTES) {
            return;
        }
        store_u64(data + at + 24, at);
        store_u64(data + at, hash_bytes(data + at + 8, JOURNAL_RECORD_BYTES - 8 + body));
        at += JOURNAL_RECORD_BYTES + body;
    }
}

static void read_journal(const uint8_t *data, size_t bytes) {
    struct journal_state s = {0};
    size_t torn = 0;
    const enum status status = journal_state_read(&s, "fuzz", data, bytes, &torn);
    FUZZ_MUST(status == OK || status == ERR_CORRUPT || status == ERR_MEMORY);
    FUZZ_MUST(status != OK || (s.whole && torn <= bytes));
    journal_state_fini(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct buf copy = BUF_EMPTY;
    read_journal(data, bytes);
    FUZZ_MUST(buf_put(&copy, data, bytes) == OK);
    mend(copy.data, copy.len);
    read_journal(copy.data, copy.len);
    buf_fini(&copy);
    return 0;
}

bool fuzz_seed(uint32_t n, struct buf *out) {
    size_t end[SAMPLE_RECORDS];
    FUZZ_MUST(n > 1 || sample_file(out, n == 1, end) == OK);
    return n <= 1;
}
