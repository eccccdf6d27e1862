/* synth_csv.h - writes a synthetic log with times as a delimited log, and the schema with which
 * `esmm prep` reads it. Ali-CCP's format has no place for a time.
 *
 *     impression,session,time,click_time,conversion_time,click,conversion,user fields,item fields
 *
 * Every row repeats the user cells of its session. The values of a field are joined by |. They are
 * id:weight in fields whose values have weights. The time of something that did not happen is an
 * empty cell.
 */
#pragma once

#include "common/base/bytes.h"
#include "common/data/record.h"
#include "common/job/schema.h"
#include "synth_entry.h"

/* These write the header line and the schema's text. All functions here may give ERR_MEMORY. */
enum status synth_csv_header(struct buf *out, const struct synth_fields *f);
enum status synth_csv_schema(struct buf *out, const struct synth_fields *f);
/* Writes ",cell,cell..." for one side. */
enum status synth_csv_cells(struct buf *out, const struct synth_fields *f, enum side side,
                            const struct synth_entry *entries, uint32_t n);
struct synth_csv_row {
    uint64_t id, session;
    struct moment when;
    bool click, conversion;
    const struct buf *user; /* what synth_csv_cells wrote for it */
    const struct synth_entry *item;
    uint32_t items;
};
enum status synth_csv_row(struct buf *out, const struct synth_fields *f,
                          const struct synth_csv_row *row);
