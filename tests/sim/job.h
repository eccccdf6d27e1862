/* job.h - a small job in the simulator: data, configuration, the processes of its roles, and the
 * launcher with the real supervisor. Whatever dies is started again by it, or the whole job is
 * resumed, until it is complete. */
#pragma once

#include "common/job/config.h"
#include "disk.h"
#include "fibers.h"

#define JOB_CHILDREN_MAX 10
#define PROCESS_LAUNCHER 1u
#define PROCESS_CHILD    2u /* the first child's; child 0 is the coordinator */
#define JOB_OUT          "/run"
#define JOB_IMPRESSIONS  36u
#define JOB_USERS        6u

struct job_shape { /* follows from the seed */
    uint32_t servers, partitions, workers, trainers;
    bool evaluates;    /* on its own training data */
    uint32_t train_ms; /* a batch takes less than that */
    char text[256];
    struct config config;
};

/* Writes the data set once; later calls do nothing. The disk has it and nothing else. */
struct disk *job_new_disk(void);
void job_shape_draw(struct job_shape *s);
/* Begins the job with the launcher; the disk is mounted. */
void job_begin(const struct job_shape *s);
/* Cleans up after processes that have ended; call between steps. */
void job_reap(void);
bool job_over(bool *complete); /* the launcher has nothing more to do */
uint32_t job_launches(void);   /* so far */
uint32_t job_children(void);
bool job_runs(uint32_t child);
const char *job_child_name(uint32_t child);
/* Signal 9 ends the process at once; other signals ask it to stop. */
void job_signal(uint32_t child, int signal);
void job_signal_launcher(int signal);
/* All processes are gone at once, the launcher too; it is started again with what the disk has. */
void job_power_loss(struct disk *disk);
uint32_t job_child_of(uint32_t process);

/* Whether the newest checkpoint on the mounted disk holds every impression exactly `epochs` times.
 * Else `why` says what it holds. */
bool job_counts(const struct job_shape *s, char *why, size_t bytes);
/* A hash of the parts of the newest checkpoint on the mounted disk; 0: there is none. */
uint64_t job_parts(void);
