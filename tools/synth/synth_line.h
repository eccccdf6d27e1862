/* synth_line.h - writes lines of Ali-CCP's two files, with entries as field \x02 id \x03 value
 * joined by \x01, and the parts of such lines. */
#pragma once

#include "common/base/bytes.h"
#include "synth_entry.h"

/* common_index,n,entries */
enum status synth_line_common(struct buf *out, const struct synth_fields *f, uint64_t index,
                              const struct synth_entry *entries, uint32_t n);
/* sample_id,click,conversion,common_index,n,entries */
enum status synth_line_skeleton(struct buf *out, const struct synth_fields *f,
                                uint64_t impression_id, bool click, bool conversion, uint64_t index,
                                const struct synth_entry *entries, uint32_t n);
/* Write the parts of these lines: a number; an entry's value in Ali-CCP's way, up to 12 bytes; 16
 * hexadecimal digits. Each gives the place after what it wrote. */
char *synth_line_u64(char *at, uint64_t v);
char *synth_line_value(char *at, uint32_t value_e5);
char *synth_line_hex(char *at, uint64_t v);
