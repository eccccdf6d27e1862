/* shard.h - impression shards: what `prep` writes and the reader streams.
 *
 * A shard is a file of impressions in groups; a group is a run of impressions that share one user
 * side, stored once (design D1). A shard directory is shards + one manifest, written last.
 *
 * In memory a shard is a set of columns. B impressions, G groups:
 *
 *   group_key[G]      u64, the log's group id (hashed if not a number)
 *   group_start[G+1]  impressions of group g are [group_start[g], group_start[g+1])
 *   impression_id[B]  u64
 *   labels[B]         bit 0 click, bit 1 conversion (never without click), bit 2 late (below), bits
 *                     3 to 6 behaviours after the click: LABEL_BEHAVIOUR, never without click
 *   weight[B]         f32, what the impression counts in losses and weighted figures, 0 to
 *                     SHARD_WEIGHT_MAX; NULL: every one counts 1
 *   column[slot]      one per field; a user field has n = G entries, an item field n = B
 *
 * A column is a bag per entry, dictionary coded:
 *
 *   dict[dict_count]  the distinct feature ids of this column, ascending
 *   start[n+1]        bag i is codes/weights [start[i], start[i+1]); may be empty
 *   code[values]      index into dict
 *   weight[values]    f32; NULL: every weight is 1
 *
 * The dictionary is what makes a batch cheap: distinct features of a batch are found by marking an
 * array of dict_count entries, without hashing.
 *
 * A shard may carry times, in seconds since 1970 (all three columns or none):
 *
 *   time[B]             of the impression; of a training record: when a joiner would emit it
 *   click_time[B]       0 without LABEL_CLICK
 *   conversion_time[B]  0 without LABEL_CONVERSION; at or after the click
 *
 * and, if its entries are training records instead of a log's impressions (`esmm records`,
 * docs/stream.md), kind[B]: which terms of the loss a record touches. An impression then occurs in
 * several records, each with what was known at its time.
 */
#ifndef COMMON_DATA_SHARD_H
#define COMMON_DATA_SHARD_H

#include <stdbool.h>
#include <stdint.h>
#include "common/field/field_schema.h"
#include "common/base/file.h"
#include "common/job/schema.h"
#include "common/base/status.h"
#include "common/job/streams.h"

#define LABEL_CLICK      1u
#define LABEL_CONVERSION 2u
/* A correction: this conversion came after the observation window, and another record of the
 * impression was emitted without it. Only together with the two others, in kinds LATE and FINAL. */
#define LABEL_LATE    4u
#define LABEL_OUTCOME (LABEL_CLICK | LABEL_CONVERSION | LABEL_LATE)
/* What a user did after the click on the way to a conversion, such as the cart; k from 1 to
 * BEHAVIOURS_MAX in the order of that way. */
#define LABEL_BEHAVIOUR(k)    (4u << (k))
#define LABEL_BEHAVIOURS      (8u | 16u | 32u | 64u)
#define SHARD_TIME_MAX        ((UINT64_C(1) << 40) - 1) /* s; milliseconds are beyond */
#define SHARD_IMPRESSIONS_MAX (1u << 20)
#define SHARD_WEIGHT_MAX      1e6f /* of an impression */
#define SHARD_VALUES_MAX      (1u << 30)

enum record_kind {
    KIND_LOG,        /* an impression of a log, not a record: both terms of the loss */
    KIND_BOTH,       /* all that will be known: both terms */
    KIND_CLICK,      /* clicked, conversion not yet known: the CTR term alone */
    KIND_CONVERSION, /* clicked, with the conversion observed by now: the CTCVR term alone */
    KIND_LATE,       /* the late conversion of such a one, CTCVR term alone; LABEL_LATE */
    KIND_FINAL,      /* the second record of such a one, at its final label: CTCVR term alone */
    RECORD_KINDS
};
/* Which terms of the loss a record of that kind touches: the click's, the conversion's. */
static inline bool kind_has_ctr(uint8_t kind) {
    return kind <= KIND_CLICK;
}
static inline bool kind_has_ctcvr(uint8_t kind) {
    return kind != KIND_CLICK;
}
/* When things happened to an impression. */
struct moment {
    uint64_t time, click_time, conversion_time; /* as in the columns above */
    enum record_kind kind;
};

struct column {
    uint32_t n;
    uint32_t dict_count;
    uint32_t values;
    uint64_t *dict;
    uint32_t *start;
    uint32_t *code;
    float *weight;
};

struct shard {
    uint32_t impressions;
    uint32_t groups;
    uint64_t *group_key;
    uint32_t *group_start;
    uint64_t *impression_id;
    uint8_t *labels;
    float *weight;                                 /* NULL: 1 each */
    uint64_t *time, *click_time, *conversion_time; /* NULL: a shard without times */
    uint8_t *kind;                                 /* enum record_kind; NULL: a log's impressions */
    uint32_t columns;                              /* = schema.count it was read against */
    struct column column[FIELDS_MAX];
    /* Bags that are all empty, or all hold one value, are the same array for every such column of a
     * side: `start` of those columns points here. [side][values per bag] */
    uint32_t *shared_start[2][2];
};

/* --- building (prep) --- */
/* Collects groups and impressions, then writes. One builder, one thread. Memory is about
 * 16 bytes a value until written. */
struct shard_builder;
enum status shard_builder_create(struct shard_builder **b);
void shard_builder_destroy(struct shard_builder **b);
struct feature {
    uint32_t field; /* slot in the schema given to shard_builder_write */
    float weight;
    uint64_t id;
};
/* Begins a group with its user-side features (any field order; order within a field is kept). A
 * group that gets no impression is not written. ERR_FORMAT: a weight that is not finite. ERR_LIMIT:
 * the builder holds all that one shard can. */
enum status shard_builder_group(struct shard_builder *b, uint64_t group_key,
                                const struct feature *user, size_t count);
/* Adds an impression to the current group. labels as above, others are ERR_FORMAT. */
enum status shard_builder_impression(struct shard_builder *b, uint64_t impression_id,
                                     uint8_t labels, const struct feature *item, size_t count);
/* The same with times; NULL: without. All impressions of a shard have them or none, and all are
 * records or none; else the write is ERR_FORMAT. ERR_FORMAT for a time that its label asks for and
 * that is not in 1..SHARD_TIME_MAX, a conversion before its click, or a kind that does not go with
 * the labels; times that the labels do not ask for are ignored. */
enum status shard_builder_timed(struct shard_builder *b, uint64_t impression_id, uint8_t labels,
                                const struct moment *when, const struct feature *item,
                                size_t count);
/* What the impression that was added last counts; 1 without a call. A shard whose impressions all
 * count 1 has the bytes of one without weights. ERR_FORMAT: not a number from 0 to
 * SHARD_WEIGHT_MAX. */
enum status shard_builder_weigh(struct shard_builder *b, float weight);
/* Do labels and kind go together? (What a reader and a writer of shards check.) */
bool record_good(uint8_t labels, uint8_t kind);
/* What it writes from now on is not needed after a crash, and not synced. */
void shard_builder_fleeting(struct shard_builder *b);
uint32_t shard_builder_impressions(const struct shard_builder *b);
size_t shard_builder_bytes(const struct shard_builder *b);
/* What the impressions of a shard count together. Without weights `there` is false and the rest as
 * if each counted 1. */
struct weight_sums {
    bool there;
    float least, most;
    double all, clicked, converted; /* sums; converted: clicked too */
};
/* weight NULL: 1 each. */
struct weight_sums weight_sums_of(const float *weight, const uint8_t *labels, size_t n);
struct shard_info {
    char name[32]; /* shard-00000.bin */
    uint32_t dir;  /* place of its directory in the dataset's list */
    uint32_t impressions, groups, clicks, conversions;
    uint64_t bytes, checksum; /* of the file */
    uint64_t values;
    struct weight_sums weights;
    /* Of shard_peek alone: */
    bool timed, records; /* has times; has kinds */
    uint8_t behaviours;  /* LABEL_BEHAVIOUR bits that occur */
};
/* Writes dir/name durably and empties the builder (a failure leaves it as it was). Fields refer to
 * *schema's slots, which here may be an unfinished schema: columns are stored under their NAME, in
 * slot order of the finished schema, those without values left out. ERR_FORMAT without impressions,
 * or with a feature on the other side than its field. */
enum status shard_builder_write(struct shard_builder *b, const struct schema *schema,
                                const char *dir, const char *name, struct shard_info *info);

/* --- reading --- */
/* Reads dir/info->name, mapping columns by name onto `schema` (absent fields: all bags empty;
 * fields not in the schema are skipped; all in one allocation-owning struct). Every value is
 * checked: a shard read with OK is safe to index. ERR_CORRUPT, ERR_IO, ERR_MEMORY. */
enum status shard_read(struct shard *s, const char *dir, const char *name,
                       const struct schema *schema);
/* The same from a shard file's bytes; `name` stands for the path in messages. */
enum status shard_decode(struct shard *s, const char *name, const void *data, size_t bytes,
                         const struct schema *schema);
/* What can be said of a shard file for little: all of *info but its checksum and values. Reads no
 * more than header, index, META, labels and weights, so it finds a file that is torn or no shard,
 * but no damage elsewhere. ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO, ERR_MEMORY. */
enum status shard_peek(const char *dir, const char *name, struct shard_info *info);
/* Of a log that kept only `sample_rate` of its unclicked impressions, each counts 1 / sample_rate
 * times as much. A rate of 1 changes nothing. ERR_MEMORY. */
enum status shard_weigh(struct shard *s, double sample_rate);
void shard_free(struct shard *s); /* safe on a zeroed struct, and twice */

/* --- the directory, or several --- */
/* The name of shard n, shard-00000.bin and so on, into out[32]. */
void shard_name(uint32_t n, char *out);
/* Where the lines of a raw log went: lines = the sum of the others. All 0: not said. */
struct line_counts {
    uint64_t lines;
    uint64_t header, blank, rejected;
    uint64_t dropped;   /* conversions without a click that were left out */
    uint64_t rows;      /* impressions; rows of a common file */
    uint64_t continued; /* further lines of records that go on over line ends */
};

#define DATASET_LABELS (2u + BEHAVIOURS_MAX) /* click, conversion, behaviours */
/* Lines of the log that have a label, or were rejected and look so. */
struct label_lines {
    uint64_t lines, rejected; /* the rejected ones are among the lines */
};
/* "conversion", "behaviour 2" and so on. */
const char *dataset_label_name(uint32_t label);
struct dataset {
    struct schema schema;
    struct shard_info *shards;
    uint32_t shard_count;
    uint64_t impressions, groups, clicks, conversions, orphans, values, rejected;
    struct weight_sums weights; /* of all shards */
    double sample_rate; /* share of the unclicked impressions that the log kept; 1: all of them.
                                   When written 0 counts as 1 */
    bool no_conversion; /* the log has no label of conversions: unknown, not none */
    uint64_t first_time,
        last_time; /* of the impressions, or records; 0: without times, or not said */
    struct label_lines labels[DATASET_LABELS]; /* lines 0: not said */
    uint64_t seed;
    char source[64];                            /* "aliccp", "csv" */
    struct line_counts log_lines, common_lines; /* the latter of Ali-CCP's common file */
    char stream[STREAM_NAME_BYTES];             /* of records: which, streams.h; "" not said */
    struct file_list dirs; /* where the shards are, as read; empty in one that is being written */
    struct field_schemas fields; /* how texts became ids; after dataset_read one for each field */
    uint64_t field_values[FIELDS_MAX]; /* by slot: values in all shards; all 0: not said */
};
/* Writes dir/manifest (durable, last). The shards array stays the caller's. Sums over the shards
 * (impressions, groups, clicks, conversions, values) are not stored: reading adds them up. */
enum status dataset_write(const struct dataset *d, const char *dir);
/* Reads and checks dir/manifest; ERR_NOT_FOUND says it is not a shard directory. */
enum status dataset_read(struct dataset *d, const char *dir);
/* Several directories as one data set: the shards of the first, then those of the second and so on;
 * fields are united by name. ERR_CONFIG, naming two directories: one is there twice, a field is not
 * the same in both (its side, or how texts became ids: field_schemas_match), their sample rates
 * differ, or their records are of different streams. What may be wrong is put into *doubts, a line
 * each; NULL: nobody wants to know. */
enum status dataset_read_all(struct dataset *d, const struct file_list *dirs, struct buf *doubts);
void dataset_free(struct dataset *d);
/* The directory of a shard. */
const char *dataset_dir(const struct dataset *d, const struct shard_info *shard);
/* What to call directories in a message, "a" or "a and 2 more", written to out, which is returned.
 */
const char *dataset_name(const struct file_list *dirs, char out[PATH_BYTES_MAX]);
/* What the data are: a hash of the manifest's bytes; of several, of their hashes in order. ERR_IO.
 */
enum status dataset_identity(const struct file_list *dirs, uint64_t *out);
/* Adds one shard's to those of a directory. */
void weight_sums_add(struct weight_sums *to, const struct weight_sums *from);
/* Clicks per impression and conversions per click, each impression by its weight; 0 without clicks.
 * sample_rate: of the unclicked; 1 leaves them as the log has them. */
void dataset_rates(const struct weight_sums *w, double sample_rate, double *ctr, double *cvr);
/* What all shards carry, by a peek into each. ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO, ERR_MEMORY, as
 * shard_peek. */
struct dataset_contents {
    uint32_t timed, records; /* how many shards have times; kinds */
    uint8_t behaviours;      /* LABEL_BEHAVIOUR bits that occur */
};
enum status dataset_peek(const struct dataset *d, struct dataset_contents *out);
/* Reads every shard whole, checks checksums and counts against the manifest; first damage is
 * ERR_CORRUPT with file and offset. */
enum status dataset_verify(const struct dataset *d);

#endif
