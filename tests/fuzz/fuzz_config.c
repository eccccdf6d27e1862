/* Any text as a configuration file, and as one assignment. What is accepted is printed, reads back,
 * and prints the same. */
#include "common/job/config.h"
#include "common/base/mem.h"
#include "fuzz.h"

static void print_and_read(const struct config *c) {
    static struct config again;
    struct buf once = BUF_EMPTY, twice = BUF_EMPTY;
    FUZZ_MUST(config_text(c, &once) == OK && buf_put_u8(&once, 0) == OK);
    config_default(&again);
    FUZZ_MUST(config_parse(&again, "again", (const char *)once.data) == OK);
    FUZZ_MUST(config_text(&again, &twice) == OK && buf_put_u8(&twice, 0) == OK);
    FUZZ_MUST(strcmp((const char *)once.data, (const char *)twice.data) == 0);
    buf_fini(&once);
    buf_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static struct config c;
    char *text = NULL;
    FUZZ_MUST(mem_array(&text, bytes + 1) == OK);
    memcpy(text, data, bytes);
    config_default(&c);
    enum status status = config_parse(&c, "input", text);
    FUZZ_MUST(status == OK || status == ERR_CONFIG);
    print_and_read(&c); /* also what a refused file has set up to there */
    status = config_set(&c, text);
    FUZZ_MUST(status == OK || status == ERR_CONFIG);
    print_and_read(&c);
    mem_free(&text);
    return 0;
}

bool fuzz_seed(uint32_t n, struct buf *out) {
    static const char *const texts[] = {
        "[table]\ndim = 4\n; a comment\nlr=1e-3\n\n[field.shop id]\ndim = 8\nadmit_after = 2\n",
        "[model]\ntower = 64, 32\ninput = sides\n[train]\nmax_steps = none\nshuffle = off\n",
        "[server]\nmemory = 8G\n[eval]\nuser_field = 101\n[wire]\nvalues = bf16\n",
        "field.a.b=c.dim=4",
        "table.optimizer=ftrl",
    };
    static struct config c;
    if (n < sizeof texts / sizeof texts[0]) {
        return buf_put(out, texts[n], strlen(texts[n])) == OK;
    }
    config_default(&c);
    return n == sizeof texts / sizeof texts[0] && config_text(&c, out) == OK;
}
