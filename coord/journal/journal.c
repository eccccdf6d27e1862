#include "journal.h"

enum status journal_begin(struct journal *j) {
    buf_clear(&j->bytes);
    return journal_head_put(&j->bytes);
}

enum status journal_collect(struct journal *j, const struct journal_record *r) {
    return journal_record_put(&j->bytes, r, j->bytes.len, 0);
}

enum status journal_publish(struct journal *j, const char *path) {
    file_close(&j->file);
    TRY(file_write_atomic(path, j->bytes.data, j->bytes.len));
    TRY(file_open_append(&j->file, path));
    j->length = j->whole = j->synced = j->bytes.len;
    j->must = false;
    return OK;
}

/* Nothing is appended any more; the failure stays. */
static enum status give_up(struct journal *j, enum status status) {
    struct cause cause = {0};
    cause_keep(&cause, status);
    file_close(&j->file);
    return cause_again(&cause);
}

enum status journal_append(struct journal *j, const struct journal_record *r, bool must) {
    if (j->file.fd < 0) {
        return OK;
    }
    buf_clear(&j->bytes);
    enum status status = journal_record_put(&j->bytes, r, j->length, j->synced);
    if (status == OK) {
        status = file_write(&j->file, j->bytes.data, j->bytes.len);
    }
    if (status != OK) {
        return give_up(j, status);
    }
    j->length += j->bytes.len;
    j->must = j->must || must;
    return OK;
}

enum status journal_sync(struct journal *j) {
    if (!j->must || j->file.fd < 0) {
        return OK;
    }
    const enum status status = file_sync(&j->file);
    if (status != OK) {
        return give_up(j, status);
    }
    j->synced = j->length;
    j->must = false;
    return OK;
}

bool journal_large(const struct journal *j) {
    return j->length > JOURNAL_LARGE_BYTES && j->length > 2 * j->whole;
}

void journal_close(struct journal *j) {
    file_close(&j->file);
    buf_fini(&j->bytes);
}

enum status journal_read(struct journal_state *s, const char *path, size_t *torn) {
    const void *data = NULL;
    size_t bytes = 0;
    TRY(file_map(path, &data, &bytes));
    const enum status status = journal_state_read(s, path, data, bytes, torn);
    file_unmap(data, bytes);
    return status;
}
