/* synth_csv.h - a synthetic log with times as a delimited log, and the schema `esmm prep` reads it
 * with: Ali-CCP's format has no place for a time.
 *
 *     impression,session,time,click_time,conversion_time,click,conversion,user fields,item fields
 *
 * A row repeats its session's user cells. A field's values are joined by |; id:weight in the fields
 * whose values have weights. A time of what did not happen is an empty cell.
 */
#pragma once

#include "common/base/bytes.h"
#include "common/data/record.h"
#include "common/job/schema.h"
#include "synth_entry.h"

/* The header line; the schema's text. ERR_MEMORY, as all here. */
enum status synth_csv_header(struct buf *out, const struct synth_fields *f);
enum status synth_csv_schema(struct buf *out, const struct synth_fields *f);
/* ",cell,cell..." of one side. */
enum status synth_csv_cells(struct buf *out, const struct synth_fields *f, enum side side,
                            const struct synth_entry *entries, uint32_t n);
struct synth_csv_row {
    uint64_t id, session;
    struct moment when;
    bool click, conversion;
    const struct buf *user; /* its synth_csv_cells */
    const struct synth_entry *item;
    uint32_t items;
};
enum status synth_csv_row(struct buf *out, const struct synth_fields *f,
                          const struct synth_csv_row *row);
