/* compact.h - makes a delta a full checkpoint.
 *
 * The full one takes the delta's place and has its step and its cut, so deltas that were made
 * against it stay good, and what it needed before can be deleted. */
#pragma once

#include "common/base/status.h"

/* dir: a checkpoint itself, root/step-N. A full one is left as it is. The new one is written beside
 * it as step-N.compact.tmp, and the two change places in one step; a crash leaves either of them
 * whole. Reads each link once for each part; memory as for a scan, and 512 KiB a table. A job that
 * saves into the same directory meanwhile removes what is half done: then it fails, and nothing is
 * lost. ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO. Blocks. */
enum status checkpoint_compact(const char *dir);
