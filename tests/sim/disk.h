/* disk.h - a disk in memory behind file_ops.h, for the simulator and for images of crashes.
 *
 * The disk keeps a list of all changes, and knows which of them an fsync has made durable. So the
 * disk after a loss of power can be built for any moment: of the changes before it, all that were
 * synced, and of the others whichever luck has chosen. The model promises what POSIX does and no
 * more:
 *
 *   - fsync of a file makes durable what was written to it, and its length; not its name.
 *   - fsync of a directory makes durable its names: what was created in it, removed from it,
 * renamed
 *     into it or out of it. A directory has a name too, in the one above it.
 *   - What is not synced may be there or not, in any order, each change by itself. Of a write any
 *     part may be there, cut at a byte or in sectors of 512 bytes; what is not there reads as zeros
 *     if the file became longer all the same. A rename is there as a whole or not at all.
 *
 * Descriptors belong to processes (disk_process), so that a killed one can be cleaned up after. One
 * thread at a time. Memory is asked for with malloc; without it the program ends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk;
struct disk *disk_create(void);
void disk_destroy(struct disk **d);
/* All file operations of this program go to the disk; NULL: to the system's again. */
void disk_mount(struct disk *d);
struct disk *disk_mounted(void);

/* The number of changes and syncs so far: a moment in the life of the disk. */
size_t disk_moment(const struct disk *d);
/* A short text on the change before the moment, for reports. */
void disk_describe(const struct disk *d, size_t moment, char *out, size_t bytes);
/* Takes what there is for durable, and begins a new list of changes. */
void disk_settle(struct disk *d);

enum disk_luck {
    DISK_ALL,   /* everything got there */
    DISK_NONE,  /* nothing but what was synced */
    DISK_NAMES, /* all names, no unsynced data */
    DISK_DATA,  /* all data, no unsynced names */
    DISK_SOME,  /* each change or not */
    DISK_TORN,  /* each change or not, and writes in pieces */
    DISK_LUCKS
};
/* The disk as it is found after the power failed at the moment. The same arguments give the same
 * disk. */
struct disk *disk_crash(const struct disk *d, size_t moment, enum disk_luck luck, uint64_t seed);

/* Says which process opens a file; NULL, the default: number 0. */
void disk_process(struct disk *d, uint32_t (*now)(void));
/* The process has ended: what it had open is closed, and its locks are free. */
void disk_hang_up(struct disk *d, uint32_t process);
/* Asked before each call that may fail on a real disk: 0, or the errno with which it fails. */
void disk_trouble(struct disk *d, int (*trouble)(void *self, const char *call), void *self);

/* The bytes of a file, as they are now; NULL: there is no such file. The caller may change them in
 * place. */
uint8_t *disk_bytes(struct disk *d, const char *path, size_t *bytes);
/* A hash of all names and bytes. */
uint64_t disk_hash(const struct disk *d);
