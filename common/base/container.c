/* container.c - blocks with checksums, and an index at the end.
 *
 * The writer only ever appends, so that a checkpoint part can be written while its server serves.
 * The index therefore comes last, and the reader starts at the end: end mark, footer offset, footer
 * block, then the blocks by index. How a file can be damaged, and what detects it:
 *
 *   - cut short, or never finished   no end mark
 *   - a byte of the file header      compared with the only values allowed
 *   - a byte of a block header       mark, or the checksum, which covers the other fields; the
 *                                    index repeats type, tag and raw bytes, and offsets give
 *                                    stored bytes
 *   - a stored byte                  the checksum of the raw bytes (LZ4 may also refuse)
 *   - the index, the footer's place  the footer is a block like the others, and the blocks must
 *                                    follow on each other from the header to the footer
 *
 * The checksum covers raw bytes rather than stored ones, at 23 GB/s, so it also detects a bad
 * decompressor and bad memory between the two. It misses a flipped stored byte that decodes to the
 * same raw bytes, but that is no damage.
 *
 * A hostile file can ask for much memory with few bytes. So before anything is allocated, the raw
 * bytes are checked against the most that LZ4 can make of the stored ones, and the file's own size
 * bounds the index. The reader does not map the file: if a mapped file is truncated during reading,
 * SIGBUS ends the process without a message.
 */
#include "container.h"

#include <assert.h>
#include <inttypes.h>
#include <lz4.h>
#include <stdio.h>

#include "hash.h"
#include "mem.h"

#define CONTAINER_VERSION 1u
#define HEADER_BYTES      16u
#define BLOCK_BYTES       40u /* of a block header */
#define HASHED_BYTES      32u /* of it, before the checksum */
#define TRAILER_BYTES     16u
#define ENTRY_BYTES       28u         /* of the index */
#define BLOCK_MARK        0x4b4c4221u /* "!BLK" */
#define CODEC_RAW         0u
#define CODEC_LZ4         1u
#define PAYS_SHIFT        3u /* LZ4 pays if it saves 1/8 */
#define LZ4_RATIO_MAX     256u
#define TAIL_PIECE_BYTES  ((uint64_t)1 << 20)

static const uint8_t magic[8] = {'E', 'S', 'M', 'M', 'P', 'S', '\r', '\n'};
static const uint8_t end_magic[8] = {'E', 'S', 'M', 'M', 'E', 'N', 'D', '\n'};

struct block_header {
    uint16_t type, codec;
    uint64_t tag, raw_bytes, stored_bytes, checksum;
};

static void block_header_encode(const struct block_header *h, uint8_t out[BLOCK_BYTES]) {
    store_u32(out, BLOCK_MARK);
    memcpy(out + 4, &h->type, 2);
    memcpy(out + 6, &h->codec, 2);
    store_u64(out + 8, h->tag);
    store_u64(out + 16, h->raw_bytes);
    store_u64(out + 24, h->stored_bytes);
    store_u64(out + HASHED_BYTES, h->checksum);
}

static struct block_header block_header_decode(const uint8_t *in) {
    struct block_header h;
    memcpy(&h.type, in + 4, 2);
    memcpy(&h.codec, in + 6, 2);
    h.tag = load_u64(in + 8);
    h.raw_bytes = load_u64(in + 16);
    h.stored_bytes = load_u64(in + 24);
    h.checksum = load_u64(in + HASHED_BYTES);
    return h;
}

static enum status block_checksum(const uint8_t *header, const void *raw, size_t bytes,
                                  uint64_t *out) {
    struct hash_stream *h = NULL;
    TRY(hash_stream_create(&h));
    hash_stream_add(h, header, HASHED_BYTES);
    if (bytes > 0) {
        hash_stream_add(h, raw, bytes);
    }
    *out = hash_stream_value(h);
    hash_stream_destroy(&h);
    return OK;
}

/* --- writing ---------------------------------------------------------------------------------- */

static enum status write_out(struct container_writer *w, const void *data, size_t bytes) {
    TRY(file_write(&w->file, data, bytes));
    hash_stream_add(w->hash, data, bytes);
    w->offset += bytes;
    return OK;
}

/* Compresses into w->scratch, behind space for the header. *stored 0: compression does not pay. */
static enum status compress_block(struct container_writer *w, const void *data, size_t bytes,
                                  size_t *stored) {
    const size_t room = bytes - (bytes >> PAYS_SHIFT) - 1;
    *stored = 0;
    TRY(buf_reserve(&w->scratch, room));
    const int n =
        LZ4_compress_default(data, (char *)w->scratch.data + w->scratch.len, (int)bytes, (int)room);
    *stored = n > 0 ? (size_t)n : 0;
    return OK;
}

static enum status put_block(struct container_writer *w, uint16_t type, uint64_t tag,
                             const void *data, size_t bytes, bool compress) {
    if (bytes > BLOCK_RAW_BYTES_MAX) {
        return fail(ERR_LIMIT, "%s: a block of %zu bytes, expected at most %u", w->file.path, bytes,
                    BLOCK_RAW_BYTES_MAX);
    }
    size_t packed = 0;
    buf_clear(&w->scratch);
    TRY(buf_reserve(&w->scratch, BLOCK_BYTES));
    w->scratch.len = BLOCK_BYTES;
    if (compress && bytes > 2) {
        TRY(compress_block(w, data, bytes, &packed));
    }
    struct block_header h = {.type = type,
                             .codec = packed > 0 ? CODEC_LZ4 : CODEC_RAW,
                             .tag = tag,
                             .raw_bytes = bytes,
                             .stored_bytes = packed > 0 ? packed : bytes};
    block_header_encode(&h, w->scratch.data);
    TRY(block_checksum(w->scratch.data, data, bytes, &h.checksum));
    store_u64(w->scratch.data + HASHED_BYTES, h.checksum);
    TRY(write_out(w, w->scratch.data, BLOCK_BYTES + packed));
    return packed > 0 || bytes == 0 ? OK : write_out(w, data, bytes);
}

static enum status start_file(struct container_writer *w, const char *path, uint32_t kind) {
    uint8_t header[HEADER_BYTES];
    TRY(hash_stream_create(&w->hash));
    TRY(file_create(&w->file, path));
    memcpy(header, magic, sizeof magic);
    store_u32(header + 8, CONTAINER_VERSION);
    store_u32(header + 12, kind);
    return write_out(w, header, sizeof header);
}

enum status container_create(struct container_writer *w, const char *path, uint32_t kind) {
    *w = (struct container_writer){.file = FILE_CLOSED};
    const enum status status = start_file(w, path, kind);
    if (status != OK) {
        container_abort(w);
    }
    return status;
}

enum status container_put(struct container_writer *w, uint16_t type, uint64_t tag, const void *data,
                          size_t bytes, bool compress) {
    assert(type != BLOCK_FOOTER);
    TRY(buf_reserve(&w->index, ENTRY_BYTES));
    const uint64_t offset = w->offset;
    TRY(put_block(w, type, tag, data, bytes, compress));
    buf_put_u64(&w->index, offset); /* cannot fail: reserved */
    buf_put_u64(&w->index, tag);
    buf_put_u64(&w->index, bytes);
    buf_put_u32(&w->index, type);
    w->blocks++;
    return OK;
}

static enum status finish_file(struct container_writer *w) {
    uint8_t trailer[TRAILER_BYTES];
    store_u64(trailer, w->offset);
    memcpy(trailer + 8, end_magic, sizeof end_magic);
    TRY(put_block(w, BLOCK_FOOTER, w->blocks, w->index.data, w->index.len, true));
    TRY(write_out(w, trailer, sizeof trailer));
    return file_publish(&w->file, !w->fleeting);
}

enum status container_commit(struct container_writer *w, uint64_t *bytes, uint64_t *checksum) {
    const enum status status = finish_file(w);
    if (status == OK && bytes != NULL) {
        *bytes = w->offset;
    }
    if (status == OK && checksum != NULL) {
        *checksum = hash_stream_value(w->hash);
    }
    container_abort(w);
    return status;
}

void container_abort(struct container_writer *w) {
    file_abandon(&w->file); /* does nothing after a commit */
    buf_fini(&w->index);
    buf_fini(&w->scratch);
    hash_stream_destroy(&w->hash);
    *w = (struct container_writer){.file = FILE_CLOSED};
}

enum status container_write_one(const char *path, uint32_t kind, uint16_t type,
                                const struct buf *bytes) {
    struct container_writer w = {.file = FILE_CLOSED};
    enum status status = OK;
    TRY_OUT(container_create(&w, path, kind));
    TRY_OUT(container_put(&w, type, 0, bytes->data, bytes->len, true));
    TRY_OUT(container_commit(&w, NULL, NULL));
out:
    container_abort(&w);
    return status;
}

/* --- reading ---------------------------------------------------------------------------------- */

static enum status corrupt(const struct container_reader *r, uint64_t offset, const char *what) {
    return fail(ERR_CORRUPT, "%s: offset %" PRIu64 ": %s", r->file.path, offset, what);
}

/* Points *out at `bytes` bytes from `offset`, valid until the next call. Never reads beyond
 * file_bytes. */
static enum status fetch(struct container_reader *r, uint64_t offset, size_t bytes,
                         const uint8_t **out) {
    if (r->memory != NULL) {
        *out = r->memory + offset;
        return OK;
    }
    buf_clear(&r->stored);
    TRY(buf_reserve(&r->stored, bytes));
    *out = r->stored.data;
    return file_pread(&r->file, r->stored.data, bytes, offset);
}

/* Decodes the block that fills [offset, end) into *out. */
static enum status decode_block(struct container_reader *r, uint64_t offset, uint64_t end,
                                struct block_header *h, struct buf *out) {
    const uint8_t *at = NULL;
    uint64_t checksum = 0;
    buf_clear(out);
    if (end - offset > BLOCK_BYTES + (uint64_t)BLOCK_RAW_BYTES_MAX) {
        return corrupt(r, offset, "a block is longer than a block can be");
    }
    TRY(fetch(r, offset, (size_t)(end - offset), &at));
    *h = block_header_decode(at);
    if (load_u32(at) != BLOCK_MARK) {
        return corrupt(r, offset, "expected a block mark");
    }
    if (h->stored_bytes != end - offset - BLOCK_BYTES) {
        return corrupt(r, offset + 24, "stored bytes do not reach to the next block");
    }
    if (h->raw_bytes > BLOCK_RAW_BYTES_MAX || h->raw_bytes / LZ4_RATIO_MAX > h->stored_bytes) {
        return corrupt(r, offset + 16, "more raw bytes than the stored ones can hold");
    }
    if (h->codec != CODEC_RAW && h->codec != CODEC_LZ4) {
        return corrupt(r, offset + 6, "expected codec 0 (raw) or 1 (LZ4)");
    }
    TRY(buf_reserve(out, (size_t)h->raw_bytes + 1)); /* not NULL, even if empty */
    out->len = (size_t)h->raw_bytes;
    const char *stored = (const char *)at + BLOCK_BYTES;
    if (h->codec == CODEC_LZ4) {
        if (LZ4_decompress_safe(stored, (char *)out->data, (int)h->stored_bytes,
                                (int)h->raw_bytes) != (int)h->raw_bytes) {
            return corrupt(r, offset + BLOCK_BYTES, "LZ4 data does not decode to the raw bytes");
        }
    } else if (h->raw_bytes != h->stored_bytes) {
        return corrupt(r, offset + 16, "a raw block's raw and stored bytes differ");
    } else if (h->raw_bytes > 0) {
        memcpy(out->data, stored, (size_t)h->raw_bytes);
    }
    TRY(block_checksum(at, out->data, out->len, &checksum));
    return checksum == h->checksum
               ? OK
               : fail(ERR_CORRUPT,
                      "%s: offset %" PRIu64 ": block checksum %016" PRIx64 ", expected %016" PRIx64,
                      r->file.path, offset, checksum, h->checksum);
}

enum status container_version(const char *path, const char *what, uint32_t version, uint32_t first,
                              uint32_t last) {
    char to[24] = "";
    if (last > first) {
        snprintf(to, sizeof to, " to %u", last);
    }
    return version >= first && version <= last
               ? OK
               : fail(ERR_CORRUPT, "%s%s%s %u, this program (esmm %s) reads %u%s",
                      path == NULL ? "" : path, path == NULL ? "" : ": ", what, version,
                      ESMM_VERSION, first, to);
}

static enum status check_header(struct container_reader *r) {
    const uint8_t *at = NULL;
    if (r->file_bytes < HEADER_BYTES + BLOCK_BYTES + TRAILER_BYTES) {
        return fail(ERR_CORRUPT, "%s: %" PRIu64 " bytes are too few for a container", r->file.path,
                    r->file_bytes);
    }
    TRY(fetch(r, 0, HEADER_BYTES, &at));
    if (memcmp(at, magic, sizeof magic) != 0) {
        return corrupt(r, 0, "expected the mark of a container");
    }
    TRY(container_version(r->file.path, "offset 8: container version", load_u32(at + 8),
                          CONTAINER_VERSION, CONTAINER_VERSION));
    if (load_u32(at + 12) != r->kind) {
        return fail(ERR_CORRUPT,
                    "%s: offset 12: content kind %u, expected %u (1 shard, 2 checkpoint part, "
                    "3 manifest, 4 truth)",
                    r->file.path, load_u32(at + 12), r->kind);
    }
    return OK;
}

static enum status find_footer(struct container_reader *r) {
    const uint8_t *at = NULL;
    const uint64_t trailer = r->file_bytes - TRAILER_BYTES;
    TRY(fetch(r, trailer, TRAILER_BYTES, &at));
    if (memcmp(at + 8, end_magic, sizeof end_magic) != 0) {
        return corrupt(r, trailer + 8, "expected the end mark: the file is cut short or damaged");
    }
    r->blocks_end = load_u64(at);
    if (r->blocks_end < HEADER_BYTES || r->blocks_end > trailer - BLOCK_BYTES) {
        return corrupt(r, trailer, "the footer's offset is outside the file");
    }
    return OK;
}

static enum status read_index(struct container_reader *r, struct buf *index) {
    struct block_header h = {0};
    TRY(decode_block(r, r->blocks_end, r->file_bytes - TRAILER_BYTES, &h, index));
    const size_t count = index->len / ENTRY_BYTES;
    if (h.type != BLOCK_FOOTER || h.tag != count || index->len % ENTRY_BYTES != 0) {
        return corrupt(r, r->blocks_end, "expected a footer with a whole index");
    }
    if (count > (r->blocks_end - HEADER_BYTES) / BLOCK_BYTES) {
        return corrupt(r, r->blocks_end, "the index has more blocks than the file can hold");
    }
    TRY(mem_array(&r->blocks, count));
    struct cursor c = cursor_of(index->data, index->len);
    uint64_t next = HEADER_BYTES; /* the least offset the next block can have */
    for (; r->block_count < count; r->block_count++) {
        struct container_block *b = &r->blocks[r->block_count];
        b->offset = cursor_u64(&c);
        b->tag = cursor_u64(&c);
        b->raw_bytes = cursor_u64(&c);
        const uint32_t type = cursor_u32(&c);
        const bool first = r->block_count == 0;
        if (b->offset < next || (first && b->offset != next) || type >= BLOCK_FOOTER ||
            b->offset > r->blocks_end - BLOCK_BYTES || b->raw_bytes > BLOCK_RAW_BYTES_MAX) {
            return corrupt(r, r->blocks_end, "an entry of the index cannot be true");
        }
        b->type = (uint16_t)type;
        next = b->offset + BLOCK_BYTES;
    }
    return count > 0 || r->blocks_end == HEADER_BYTES
               ? OK
               : corrupt(r, HEADER_BYTES, "bytes that belong to no block");
}

static enum status open_checked(struct container_reader *r) {
    struct buf index = BUF_EMPTY;
    enum status status = OK;
    TRY_OUT(check_header(r));
    TRY_OUT(find_footer(r));
    TRY_OUT(read_index(r, &index));
out:
    buf_fini(&index);
    if (status != OK) {
        container_close(r);
    }
    return status;
}

enum status container_open(struct container_reader *r, const char *path, uint32_t kind) {
    *r = (struct container_reader){.file = FILE_CLOSED, .kind = kind};
    TRY(file_open_read(&r->file, path));
    const enum status status = file_size(&r->file, &r->file_bytes);
    if (status != OK) {
        container_close(r);
        return status;
    }
    return open_checked(r);
}

enum status container_open_bytes(struct container_reader *r, const char *name, const void *data,
                                 size_t bytes, uint32_t kind) {
    static const uint8_t nothing[1];
    *r = (struct container_reader){.file = FILE_CLOSED, .kind = kind, .file_bytes = bytes};
    r->memory = bytes > 0 ? data : nothing;
    TRY(mem_strdup(&r->file.path, name));
    return open_checked(r);
}

/* Adds the stored bytes of the block just decoded to the file's checksum, if the block is next in
 * order. */
static void hash_stored(struct container_reader *r, size_t i, uint64_t offset, uint64_t end) {
    if (r->hash != NULL && i == r->hashed) {
        const uint8_t *at = r->memory != NULL ? r->memory + offset : r->stored.data;
        hash_stream_add(r->hash, at, (size_t)(end - offset));
        r->hashed++;
    }
}

enum status container_get(struct container_reader *r, size_t i, struct buf *out) {
    assert(i < r->block_count);
    struct block_header h = {0};
    const struct container_block *b = &r->blocks[i];
    const uint64_t end = i + 1 < r->block_count ? r->blocks[i + 1].offset : r->blocks_end;
    TRY(decode_block(r, b->offset, end, &h, out));
    if (h.type != b->type || h.tag != b->tag || h.raw_bytes != b->raw_bytes) {
        return corrupt(r, b->offset, "the block is not the one its index entry tells of");
    }
    hash_stored(r, i, b->offset, end);
    return OK;
}

enum status container_checksum_begin(struct container_reader *r) {
    const uint8_t *at = NULL;
    r->hashed = 0;
    TRY(hash_stream_create(&r->hash));
    TRY(fetch(r, 0, HEADER_BYTES, &at));
    hash_stream_add(r->hash, at, HEADER_BYTES);
    return OK;
}

enum status container_checksum_end(struct container_reader *r, uint64_t *out, bool *whole) {
    const uint8_t *at = NULL;
    *out = 0;
    *whole = r->hash != NULL && r->hashed == r->block_count;
    if (!*whole) {
        return OK;
    }
    for (uint64_t from = r->blocks_end; from < r->file_bytes;) {
        const uint64_t left = r->file_bytes - from;
        const size_t some = (size_t)(left < TAIL_PIECE_BYTES ? left : TAIL_PIECE_BYTES);
        TRY(fetch(r, from, some, &at));
        hash_stream_add(r->hash, at, some);
        from += some;
    }
    *out = hash_stream_value(r->hash);
    return OK;
}

void container_close(struct container_reader *r) {
    if (r->file.path != NULL) { /* else it was never opened: descriptor 0 is not ours */
        file_close(&r->file);
    }
    mem_free(&r->blocks);
    buf_fini(&r->stored);
    hash_stream_destroy(&r->hash);
    *r = (struct container_reader){.file = FILE_CLOSED};
}
