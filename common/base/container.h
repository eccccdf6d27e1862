/* container.h - the block container shared by shards and checkpoints (docs/format.md).
 *
 *   file   = header, block*, footer
 *   header = magic[8] "ESMMPS\r\n", u32 container version, u32 content kind
 *   block  = block header (40 bytes: u32 mark, u16 type, u16 codec, u64 tag, u64 raw bytes,
 *            u64 stored bytes, u64 XXH3-64 over the header's preceding fields + the raw bytes),
 *            stored bytes
 *   footer = a block of type BLOCK_FOOTER holding the index (offset, tag, raw bytes, type of every
 *            block), then u64 offset of the footer block, end magic[8]
 *
 * Everything little-endian. The content defines `type` and `tag`. The writer's hint chooses the
 * codec of each block, raw or LZ4; a block stays raw where LZ4 does not pay. There are no gaps
 * between blocks, so a check covers every byte of a file. Corruption gives ERR_CORRUPT, with the
 * file, the offset and what was expected. An incomplete file has no end magic. Not thread- safe;
 * blocking.
 */
#pragma once

#include "bytes.h"
#include "file.h"
#include "status.h"

enum container_kind {
    CONTAINER_SHARD = 1,
    CONTAINER_CHECKPOINT_PART = 2,
    CONTAINER_MANIFEST = 3,
    CONTAINER_TRUTH = 4,
};
#define BLOCK_FOOTER        0xffffu
#define BLOCK_RAW_BYTES_MAX (1u << 28)

struct container_writer {
    struct file file; /* PATH.tmp until commit */
    struct buf index;
    struct buf scratch;
    uint64_t offset;
    uint64_t blocks;
    struct hash_stream *hash; /* of every byte written */
    bool fleeting;            /* nobody needs the file after a crash: commit does not sync */
};

/* Opens path.tmp for writing. */
enum status container_create(struct container_writer *w, const char *path, uint32_t kind);
/* Appends one block; `compress` asks for LZ4 where it pays. Copies data; the caller keeps it. */
enum status container_put(struct container_writer *w, uint16_t type, uint64_t tag, const void *data,
                          size_t bytes, bool compress);
/* Footer, fsync, rename to the final path, fsync of the directory. *bytes and *checksum (both may
 * be NULL) are the size and the XXH3-64 of the whole file. Closes the writer, also on failure. */
enum status container_commit(struct container_writer *w, uint64_t *bytes, uint64_t *checksum);
/* Removes the temporary file; safe after commit or on a zeroed struct. */
void container_abort(struct container_writer *w);
/* Writes a whole file with one block of `type`, compressed where it pays; durable. */
enum status container_write_one(const char *path, uint32_t kind, uint16_t type,
                                const struct buf *bytes);

struct container_block {
    uint64_t offset; /* of the block header in the file */
    uint16_t type;
    uint64_t tag;
    uint64_t raw_bytes;
};

struct container_reader {
    struct file file;      /* for a reader over memory only the path is set, to its name */
    const uint8_t *memory; /* NULL: reads the file */
    uint32_t kind;
    uint64_t file_bytes;
    struct container_block *blocks;
    size_t block_count;
    uint64_t blocks_end;      /* offset of the footer block */
    struct buf stored;        /* scratch */
    struct hash_stream *hash; /* of the file so far; NULL: no checksum is wanted */
    size_t hashed;            /* number of blocks in it */
};

/* Reads and checks header, end mark and footer; the index is then in r->blocks. */
enum status container_open(struct container_reader *r, const char *path, uint32_t kind);
/* The same over bytes in memory, which the caller keeps until the reader is closed; `name` stands
 * for the path in messages. */
enum status container_open_bytes(struct container_reader *r, const char *name, const void *data,
                                 size_t bytes, uint32_t kind);
/* Clears *out, reads block i into it and verifies the checksum. A decoded block has at most about
 * 256 times its stored bytes. */
enum status container_get(struct container_reader *r, size_t i, struct buf *out);
/* Asks for the checksum of the whole file; call it right after opening. The checksum uses the bytes
 * that container_get reads anyway, so only the index is read twice. ERR_MEMORY. */
enum status container_checksum_begin(struct container_reader *r);
/* XXH3-64 of the file, as container_commit gave it. *whole is false (and *out 0) if the checksum is
 * unknown: it was not asked for, or the caller did not read every block once and in order. */
enum status container_checksum_end(struct container_reader *r, uint64_t *out, bool *whole);
/* OK if `version` of `what` is one that this program reads (first to last). Otherwise ERR_CORRUPT;
 * its text names `what` and the versions. path: the file, or NULL if the caller adds it. */
enum status container_version(const char *path, const char *what, uint32_t version, uint32_t first,
                              uint32_t last);
void container_close(struct container_reader *r); /* safe on a zeroed struct, and if called twice */
