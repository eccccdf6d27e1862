/* synth_line.h - lines of Ali-CCP's two files, entries as field \x02 id \x03 value joined by \x01,
 * and what they are made of. */
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
/* What these are made of, each giving the place behind it: a number; an entry's value as Ali-CCP
 * writes it, up to 12 bytes; 16 hexadecimal digits. */
char *synth_line_u64(char *at, uint64_t v);
char *synth_line_value(char *at, uint32_t value_e5);
char *synth_line_hex(char *at, uint64_t v);
