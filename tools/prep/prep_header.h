/* prep_header.h - reads the header of a delimited log and maps its names to places. */
#pragma once

#include "prep_input.h"
#include "tools/log/csv_schema.h"

/* Takes the header off the input, before any piece, and binds the schema to it. *header is its
 * text; its lines are counted in *t. A schema without header is bound to its own names, and *header
 * stays empty. ERR_CONFIG: a column is missing; the message says which delimiter the header seems
 * to have. ERR_FORMAT: no header. ERR_CLOSED after a stop signal. ERR_IO, ERR_MEMORY. */
enum status prep_header_read(struct prep_input *in, struct csv_schema *s, struct buf *header,
                             struct prep_tally *t);
