/* Any bytes as a line of a raw log: Ali-CCP's two kinds, then a row of a delimited log and its
 * schema. The first byte says which. Twice the same answer; features only of known fields. */
#include "common/base/mem.h"
#include "fuzz.h"
#include "tools/log/aliccp_line.h"
#include "tools/log/csv_row.h"
#include "tools/log/csv_schema_file.h"

#define INPUT_BYTES_MAX (1u << 14)
#define PAD_BYTES       16u

static void check_features(const struct log_fields *f, const struct feature_list *l) {
    for (size_t k = 0; k < l->count; k++) {
        FUZZ_MUST(l->features[k].field < f->schema.count);
        FUZZ_MUST(l->features[k].weight - l->features[k].weight == 0); /* finite */
    }
}

static void aliccp(struct span line, bool skeleton) {
    struct log_fields *f = NULL;
    struct feature_list list = {0};
    struct skeleton_line row;
    struct span key;
    enum reject why[2];
    FUZZ_MUST(mem_new(&f) == OK);
    for (int k = 0; k < 2; k++) {
        const enum status status = skeleton ? aliccp_line_skeleton(line, f, &row, &list, &why[k])
                                            : aliccp_line_common(line, f, &key, &list, &why[k]);
        if (status != OK) {
            FUZZ_MUST(status == ERR_LIMIT);
            break;
        }
        FUZZ_MUST(why[k] == why[0] && why[k] < REJECTS);
        FUZZ_MUST(why[k] == REJECT_NONE || f->schema.count == 0);
        if (why[k] == REJECT_NONE) {
            check_features(f, &list);
        }
    }
    aliccp_line_key(line);
    feature_list_fini(&list);
    mem_free(&f);
}

static void csv(struct span record) {
    static const char text[] =
        "[log]\nheader=no\ncolumns=id,g,c,b,age,tags,item,t,ct,bt\nmissing=NULL\n"
        "impression=id\ngroup=g\nclick=c\nconversion=b\nuser=age,tags\n"
        "time=t\nclick_time=ct\nconversion_time=bt\n"
        "item=item\n[column.age]\nkind=numeric\nbounds=1,2\n"
        "[column.tags]\nmulti=|\nweight=:\n[column.item]\nkind=id\n";
    struct csv_schema schema;
    struct log_fields *f = NULL;
    struct csv_row row = {0};
    enum reject why = REJECT_NONE;
    FUZZ_MUST(mem_new(&f) == OK);
    FUZZ_MUST(csv_schema_parse(&schema, "s", text) == OK);
    FUZZ_MUST(csv_schema_bind(&schema, "s", NULL, 0) == OK);
    FUZZ_MUST(csv_row_init(&row, &schema, f) == OK);
    FUZZ_MUST(csv_row_read(&row, record, &why) == OK);
    if (why == REJECT_NONE) {
        check_features(f, &row.item);
        FUZZ_MUST(row.timed && row.when.time > 0 && row.when.time <= SHARD_TIME_MAX);
        FUZZ_MUST((row.when.click_time > 0) == row.click);
        FUZZ_MUST((row.when.conversion_time > 0) == (row.click && row.conversion));
        FUZZ_MUST(csv_row_user(&row, &why) == OK);
        if (why == REJECT_NONE) {
            check_features(f, &row.user);
        }
    }
    csv_row_fini(&row);
    csv_schema_free(&schema);
    mem_free(&f);
}

static void schema(const char *text) {
    struct csv_schema s;
    const enum status status = csv_schema_parse(&s, "input", text);
    FUZZ_MUST(status == OK || status == ERR_CONFIG);
    csv_schema_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes == 0 || bytes > INPUT_BYTES_MAX) {
        return 0;
    }
    char *copy = malloc(bytes + PAD_BYTES); /* of its own, so that reading past the pad is found */
    FUZZ_MUST(copy != NULL);
    memcpy(copy, data + 1, bytes - 1);
    memset(copy + bytes - 1, 0, PAD_BYTES);
    const struct span line = {copy, bytes - 1};
    switch (data[0] % 4) {
    case 0: aliccp(line, true); break;
    case 1: aliccp(line, false); break;
    case 2: csv(line); break;
    default: schema(copy); break;
    }
    free(copy);
    return 0;
}

bool fuzz_seed(uint32_t n, struct buf *out) {
    static const char *const texts[] = {
        "\0"
        "1,1,0,bacff91692951881,3,205\x02"
        "17\x03"
        "1.0\x01"
        "216\x02"
        "9\x03"
        "0.69315\x01"
        "205\x02"
        "18\x03"
        "1",
        "\1"
        "bacff91692951881,2,101\x02"
        "31319\x03"
        "1.0\x01"
        "109_14\x02"
        "449068\x03"
        "2.30259",
        "\2"
        "7,g1,1,0,1.5,a:2|b,12,1700000000,1700000007,",
        "\2"
        "8,g1,0,1,NULL,\"a \"\"quoted\"\"\",99,5,0,1e3",
        "\2"
        "9,g1,1,1,1.5,a:2|b,12,1700000000,1700000007,1.8e9",
        "\3"
        "[log]\nheader=no\ncolumns=id,c,b,x\nimpression=id\nclick=c\nconversion=b\nitem=x\n",
    };
    if (n >= sizeof texts / sizeof texts[0]) {
        return false;
    }
    FUZZ_MUST(buf_put_u8(out, (uint8_t)texts[n][0]) == OK);
    FUZZ_MUST(buf_put(out, texts[n] + 1, strlen(texts[n] + 1)) == OK);
    return true;
}
