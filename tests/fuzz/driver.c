/* driver.c - a fuzz target as a plain program: random inputs and mutated seeds for a while.
 *
 *   fuzz_NAME [SECONDS] [SEED] [FIRST]     default 1 1 0; inputs depend on SEED and their number
 *   fuzz_NAME FILE                         runs that file (a crash of libFuzzer, say)
 *
 * No coverage feedback, so it finds shallow mistakes only, but everywhere and in every test run.
 * When the target dies, SEED and the number of the input are printed: give it as FIRST to see it
 * again at once. */
#include <signal.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "fuzz.h"

#define SEEDS_MAX       64u
#define INPUT_BYTES_MAX (1u << 14)
#define MUTATIONS_MAX   8u

static uint64_t seed = 1, number;

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void say_input(void) {
    char text[96];
    int n = snprintf(text, sizeof text, "input %llu of seed %llu\n", (unsigned long long)number,
                     (unsigned long long)seed);
    if (write(STDERR_FILENO, text, (size_t)n) < 0) {
        _exit(1);
    }
}

static void on_crash(int which) {
    say_input();
    signal(which, SIG_DFL);
    raise(which);
}

static uint64_t draw(uint64_t *at, uint64_t below) {
    return rng_below(seed, number, (*at)++, below);
}

static const uint64_t edges[] = {
    0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0xffffffff, 0x7fffffffffffffff, UINT64_MAX};

static void mutate(uint8_t *data, size_t *bytes, uint64_t *at) {
    size_t where = *bytes > 0 ? (size_t)draw(at, *bytes) : 0;
    size_t length = 1 + (size_t)draw(at, 16);
    length = length < *bytes - where ? length : *bytes - where;
    switch (draw(at, *bytes == 0 ? 1 : 7)) {
    case 0: /* insert */
        if (*bytes + 1 < INPUT_BYTES_MAX) {
            memmove(data + where + 1, data + where, *bytes - where);
            data[where] = (uint8_t)draw(at, 256);
            (*bytes)++;
        }
        break;
    case 1: /* cut out */
        memmove(data + where, data + where + length, *bytes - where - length);
        *bytes -= length;
        break;
    case 2: /* cut off */ *bytes = where; break;
    case 3: { /* copy within */
        size_t from = (size_t)draw(at, *bytes - length + 1);
        memmove(data + where, data + from, length);
        break;
    }
    case 4: { /* a number at an edge */
        uint64_t v = edges[draw(at, sizeof edges / sizeof edges[0])];
        memcpy(data + where, &v, length < 8 ? length : 8);
        break;
    }
    case 5: data[where] = (uint8_t)draw(at, 256); break;
    default: data[where] ^= (uint8_t)(1u << draw(at, 8));
    }
}

/* Input number `number`: a seed as it is, mutated seeds, now and then noise. */
static size_t make(const struct buf *seeds, uint32_t count, uint8_t *data) {
    uint64_t at = 0;
    size_t bytes = 0;
    if (count == 0 || (number >= count && draw(&at, 10) == 0)) {
        bytes = (size_t)draw(&at, 200);
        for (size_t i = 0; i < bytes; i++) {
            data[i] = (uint8_t)draw(&at, 256);
        }
        return bytes;
    }
    const struct buf *from = &seeds[number < count ? number : draw(&at, count)];
    bytes = from->len;
    memcpy(data, from->data, bytes);
    uint64_t times = number < count ? 0 : 1 + draw(&at, MUTATIONS_MAX);
    while (times-- > 0) {
        mutate(data, &bytes, &at);
    }
    return bytes;
}

/* The target gets bytes that end where its memory ends, so that reading on is noticed. */
static void run_one(const uint8_t *data, size_t bytes) {
    uint8_t *exact = malloc(bytes == 0 ? 1 : bytes);
    FUZZ_MUST(exact != NULL);
    memcpy(exact, data, bytes);
    LLVMFuzzerTestOneInput(exact, bytes);
    free(exact);
}

static int run_file(const char *path) {
    char *data = NULL;
    size_t bytes = 0;
    if (file_read_all(path, INPUT_BYTES_MAX, &data, &bytes) != OK) {
        fprintf(stderr, "%s\n", fail_text());
        return 1;
    }
    run_one((const uint8_t *)data, bytes);
    mem_free(&data);
    return 0;
}

int main(int argc, char **argv) {
    static uint8_t data[INPUT_BYTES_MAX];
    static struct buf seeds[SEEDS_MAX];
    uint32_t count = 0;
    char *end = NULL;
    double seconds = argc > 1 ? strtod(argv[1], &end) : 1;
    log_level_set(LOG_ERROR);
    if (argc > 1 && *end != '\0') {
        return run_file(argv[1]);
    }
    seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    number = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    signal(SIGABRT, on_crash);
    signal(SIGSEGV, on_crash);
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(say_input);
    }
    while (count < SEEDS_MAX && fuzz_seed(count, &seeds[count])) {
        FUZZ_MUST(seeds[count].len < INPUT_BYTES_MAX);
        count++;
    }
    uint64_t first = number, until_ms = clock_mono_ms() + (uint64_t)(seconds * 1000);
    do {
        run_one(data, make(seeds, count, data));
        number++;
    } while (clock_mono_ms() < until_ms);
    printf("%llu inputs from %u seeds\n", (unsigned long long)(number - first), count);
    for (uint32_t i = 0; i < count; i++) {
        buf_fini(&seeds[i]);
    }
    return 0;
}
