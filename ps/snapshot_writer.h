/* snapshot_writer.h - the thread that writes part files; one per server, shared by its partitions.
 */
#pragma once

#include "snapshot_job.h"

struct snapshot_writer;
enum status snapshot_writer_start(struct snapshot_writer **w);
void snapshot_writer_stop(struct snapshot_writer **w); /* aborts what is unfinished */
/* Hands work over; WORK_BEGIN gives the writer its reference. Waits while the writer's queue is
 * full. ERR_CLOSED, ERR_TIMEOUT: not taken. */
enum status snapshot_writer_put(struct snapshot_writer *w, struct snapshot_work *work);
