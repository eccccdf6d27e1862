#include "log_reject.h"

const char *reject_text(enum reject r) {
    static const char *const texts[REJECTS] = {
#define X(name, text) [name] = text,
        REJECT_LIST(X)
#undef X
    };
    return texts[r];
}

static enum status put_escaped(struct buf *out, struct span text) {
    for (size_t i = 0; i < text.n; i++) {
        const unsigned char c = (unsigned char)text.at[i];
        if (c == '\t') {
            TRY(buf_put(out, "\\t", 2));
        } else if (c == '\\') {
            TRY(buf_put(out, "\\\\", 2));
        } else if (c < 0x20 || c > 0x7e) {
            TRY(buf_printf(out, "\\x%02x", c));
        } else {
            TRY(buf_put_u8(out, c));
        }
    }
    return OK;
}

enum status reject_row(struct buf *out, const char *file, uint64_t line, enum reject why,
                       const char *seen, struct span text) {
    const struct span head = {text.at, text.n < REJECT_HEAD_BYTES ? text.n : REJECT_HEAD_BYTES};
    TRY(put_escaped(out, span_of(file)));
    TRY(buf_printf(out, "\t%llu\t%s%s", (unsigned long long)line, reject_text(why),
                   seen[0] == '\0' ? "" : ": "));
    TRY(put_escaped(out, span_of(seen)));
    TRY(buf_put(out, "\t", 1));
    TRY(put_escaped(out, head));
    return buf_put(out, text.n > head.n ? "...\n" : "\n", text.n > head.n ? 4 : 1);
}
