#include "placement.h"

#include "common/base/mem.h"

static enum status count_slots(const struct placement *p, const struct hosts *h) {
    uint64_t slots = 0;
    for (size_t i = 0; i < h->count; i++) {
        slots += h->list[i].slots;
    }
    return p->servers + p->workers <= slots
               ? OK
               : fail(ERR_USAGE, "%u servers and %u workers need %u slots; the hostfile has %llu",
                      p->servers, p->workers, p->servers + p->workers, (unsigned long long)slots);
}

/* used[host]: slots that are taken; port[host]: port of the next server. */
static enum status place_all(struct placement *p, const struct hosts *h, uint32_t *used,
                             uint32_t *port) {
    size_t host = 0;
    for (uint32_t i = 0; i < p->servers + p->workers; i++) {
        struct place *place = &p->places[1 + i];
        while (used[host] >= h->list[host].slots) {
            host = (host + 1) % h->count;
        }
        used[host]++;
        place->host = (uint32_t)host;
        place->kind = i < p->servers ? CHILD_SERVER : CHILD_WORKER;
        if (place->kind == CHILD_SERVER) {
            place->port = port[host];
            port[host] += p->server_threads;
            if (port[host] > 65536) {
                return fail(ERR_USAGE, "--port-base %u leaves too few ports for the servers on %s",
                            p->places[0].port, h->list[host].name);
            }
        }
        host = (host + 1) % h->count;
    }
    return OK;
}

enum status placement_make(struct placement *p, const struct hosts *h, uint32_t port_base) {
    uint32_t *used = NULL, *port = NULL;
    enum status status = OK;
    TRY(count_slots(p, h));
    TRY_OUT(mem_array(&used, h->count));
    TRY_OUT(mem_array(&port, h->count));
    TRY_OUT(mem_array(&p->places, (size_t)1 + p->servers + p->workers));
    for (size_t i = 0; i < h->count; i++) {
        port[i] = port_base + 1;
    }
    p->places[0] = (struct place){.kind = CHILD_COORD, .port = port_base};
    status = place_all(p, h, used, port);
out:
    mem_free(&used);
    mem_free(&port);
    return status;
}

void placement_fini(struct placement *p) {
    mem_free(&p->places);
}
