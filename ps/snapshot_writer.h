/* snapshot_writer.h - the thread that writes part files; one per server, shared by its partitions.
 */
#pragma once

#include "snapshot_job.h"

struct snapshot_writer;
enum status snapshot_writer_start(struct snapshot_writer **w);
/* Bounds what the thread writes, and has the disk take it at that pace; 0: no bound. Nobody waits
 * for the bound: while an update waits for an empty chunk, there is none. Call it before the first
 * job. */
void snapshot_writer_limit(struct snapshot_writer *w, uint64_t bytes_per_s);
void snapshot_writer_stop(struct snapshot_writer **w); /* aborts unfinished jobs */
/* Hands work to the writer; with WORK_BEGIN the writer gets its reference. Waits while the queue of
 * the writer is full. ERR_CLOSED, ERR_TIMEOUT: the work was not taken. */
enum status snapshot_writer_put(struct snapshot_writer *w, struct snapshot_work *work);
