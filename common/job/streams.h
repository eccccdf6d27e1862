/* streams.h - the streams of training records that `esmm records` makes, and which of them a method
 * of model.delay is made for (docs/stream.md has both tables).
 *
 * A shard directory's manifest may name its stream. A log, an older file or a file of another
 * producer names none; then the stream is unknown and nothing is refused.
 */
#pragma once

#include "common/base/status.h"
#include "method.h"

enum record_stream {
    STREAM_VANILLA,
    STREAM_ORACLE,
    STREAM_FNW,
    STREAM_ES_DFM,
    STREAM_DEFER,
    STREAM_DFM
};
#define STREAMS           6u
#define STREAM_NAME_BYTES 32u /* room for a name in a manifest, with its end */

const char *streams_name(enum record_stream stream); /* "es-dfm" */
extern const char *const streams_names[];            /* all of them, up to a NULL */
/* OK if the method can learn from records of that stream, or if the name is "" (unknown). Else
 * ERR_CONFIG, which names the directory, the stream and what was expected. */
enum status streams_fit(enum delay_method delay, const char *stream, const char *dir);
