/* process_id.h - names a process so that another process, later, perhaps on another machine, can
 * tell whether it still runs. A number alone is used again by the kernel: the time when the process
 * was started, and the boot of its machine, tell two processes with one number apart. */
#pragma once

#include <stdint.h>

#include "common/base/status.h"

struct process_id {
    char host[256], boot[64]; /* the machine's name, and the kernel's id of this boot */
    uint64_t pid;
    uint64_t started; /* clock ticks from the boot to its start */
};

/* This process. ERR_IO: /proc cannot be read. */
enum status process_id_self(struct process_id *p);

enum process_state {
    PROCESS_RUNS,
    PROCESS_GONE,
    PROCESS_ELSEWHERE, /* it is another machine's, and cannot be looked at */
};
enum process_state process_id_look(const struct process_id *p);
/* Sends a signal to exactly this process. ERR_NOT_FOUND: it is gone; ERR_USAGE: it is on another
 * machine, which the text names; ERR_IO. */
enum status process_id_signal(const struct process_id *p, int signal);
