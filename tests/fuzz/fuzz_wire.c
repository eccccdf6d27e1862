/* Any bytes as a message's header. What decodes is encoded again and must mean the same. */
#include "common/net/wire.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static struct wire_msg m, again;
    struct buf once = BUF_EMPTY, twice = BUF_EMPTY;
    enum status status = wire_decode(&m, data, bytes);
    FUZZ_MUST(status == OK || status == ERR_PROTOCOL);
    if (status == OK) {
        status = wire_encode(&m, &once);
        FUZZ_MUST(status == OK || status == ERR_LIMIT);
    }
    if (status == OK) {
        FUZZ_MUST(wire_decode(&again, once.data, once.len) == OK);
        FUZZ_MUST(wire_encode(&again, &twice) == OK);
        FUZZ_MUST(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    }
    buf_fini(&once);
    buf_fini(&twice);
    return 0;
}

static void fill(struct wire_msg *m) {
    switch (m->type) {
    case WIRE_HELLO:
        m->u.hello = (struct wire_hello){.role = ROLE_SERVER,
                                         .index = 3,
                                         .build = "0.1",
                                         .host = "h",
                                         .pid = 7,
                                         .threads = 2,
                                         .incarnation = 99};
        break;
    case WIRE_HEARTBEAT:
    case WIRE_STATS_REPLY:
        m->u.heartbeat = (struct wire_heartbeat){
            .role = ROLE_WORKER,
            .incarnation = 5,
            .failing = true,
            .text = "why",
            .progress = {.impressions = 1000, .batches = 10, .loss_sum = 0.5}};
        break;
    case WIRE_COMMAND:
        m->u.command = (struct wire_command){.order = ORDER_CUT, .cut = 3, .dir = "/d"};
        break;
    case WIRE_LEASE:
        m->u.lease = (struct wire_lease){
            .kind = LEASE_TRAIN, .epoch = 1, .shard = 2, .fence = 3, .batch_limit = 4, .ahead = 5};
        break;
    case WIRE_PULL:
        m->u.pull = (struct wire_pull){.fields = 3, .count = {1, 2, 300}, .want_dense = true};
        break;
    case WIRE_PUSH:
        m->u.push = (struct wire_push){.name = {1, 2, 3},
                                       .fence = 9,
                                       .ticket = 1,
                                       .fields = 2,
                                       .count = {5, 6},
                                       .values = VALUE_BF16};
        break;
    case WIRE_PART_DONE:
        m->u.part_done = (struct wire_part_done){.ok = true, .name = "part", .bucket_end = 4096};
        break;
    case WIRE_ERROR:
    case WIRE_REFUSE: m->u.error = (struct wire_error){.status = ERR_TICKET, .text = "text"}; break;
    default: break;
    }
}

bool fuzz_seed(uint32_t n, struct buf *out) {
    static struct wire_msg m;
    if (n > WIRE_STATS_REPLY - WIRE_HELLO) {
        return false;
    }
    memset(&m, 0, sizeof m);
    m.type = (enum wire_type)(WIRE_HELLO + n);
    m.job = 77;
    m.id = n;
    fill(&m);
    if (m.type == WIRE_HELLO) {
        m.u.hello.role = ROLE_WORKER;
    }
    FUZZ_MUST(wire_encode(&m, out) == OK || out->len == 0);
    return true;
}
