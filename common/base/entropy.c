#include "entropy.h"

#include <stddef.h>
#include <sys/random.h>
#include <unistd.h>

#include "clock.h"
#include "rng.h"

/* Uses the time and the process id if the kernel has no random numbers yet (early at boot) or does
 * not give any (in a sandbox). */
static uint64_t system_source(void) {
    uint64_t x;
    return getrandom(&x, sizeof x, GRND_NONBLOCK) == (ssize_t)sizeof x
               ? x
               : rng_u64(clock_mono_ns(), (uint64_t)getpid(), clock_wall_ns());
}

static uint64_t (*the_source)(void) = system_source;

void entropy_source_set(uint64_t (*source)(void)) {
    the_source = source != NULL ? source : system_source;
}

uint64_t entropy_u64(void) {
    return the_source() | 1;
}
