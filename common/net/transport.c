/* transport.c - ports over ZeroMQ.
 *
 * What ZeroMQ does not do for us, and what this file does instead:
 *
 *   - A successful send() does not mean delivery. A caller that needs an answer asks again (link.c,
 *     client.c). So a message that cannot be queued is dropped; nothing waits for it.
 *   - A bound port is a ROUTER with ROUTER_MANDATORY: an answer to a peer that has gone
 *     (EHOSTUNREACH) or reads too slowly (EAGAIN) is reported instead of silently lost.
 *   - A connected port is a DEALER without an identity of its own. A reconnect makes it a new peer;
 *     answers to the old one are lost and requested again. A chosen identity would survive a
 *     reconnect, but one process could take another's.
 *   - HWM counts messages, not bytes: HWM_MESSAGES bounds the number; the senders bound the bytes.
 *     ZMQ_IMMEDIATE stays 0, so that a request made before the peer is up waits in the queue.
 *   - MAXMSGSIZE cuts the connection of a peer that sends a larger frame; we refuse to send one.
 *   - LINGER 0: closing never waits. A caller that must know that a last message arrived waits for
 *     its answer.
 *   - The file of an ipc socket remains after its owner closes it. We remove it, but only if it is
 *     still the file that we made: a successor may have bound the same path.
 *   - A message is complete before its first frame is sent. If memory ran out between two frames,
 *     the socket would take the next message for the rest of this one.
 *   - A frame's data lies where the decoder left it, at any alignment.
 *
 * A message with more frames than header, keys, values is read to its end. It counts as malformed,
 * as does one whose header does not decode. Bytes from the network never end the process.
 */
#include "transport.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "socket_ops.h"

#define HWM_MESSAGES      64
#define SOCKETS_MAX       4096
#define FRAMES_MAX        4 /* peer's identity, header, keys, values */
#define ENDPOINT_TEXT_MAX 256
#define FRAME_KEPT_MAX    (32 << 20) /* the allocator's own limit */
#define FREE_KEPT_MAX     (256 << 20)

/* tcp only: after this time without a sign of life a peer counts as gone. */
#define BEAT_MS          5000
#define BEAT_TIMEOUT_MS  20000
#define RECONNECT_MAX_MS 500 /* also ipc: a coordinator that is started again is found soon */

struct transport {
    void *context;
};

struct port {
    void *socket;
    bool bound;
    size_t message_bytes_max;
    char endpoint[ENDPOINT_TEXT_MAX];
    zmq_msg_t frame[FRAMES_MAX]; /* of the last message received */
    int frames;                  /* how many of them are open */
    zmq_msg_t room;              /* values that are written before they are sent */
    bool has_room;
    struct buf header; /* scratch for sending */
    uint64_t malformed;
    uint64_t sent_bytes, received_bytes;
    struct log_limit limited; /* log lines about them */
    bool has_file;
    struct file_info file; /* of a bound ipc socket */
};

#if defined(__SANITIZE_THREAD__)
/* libzmq is not built with ThreadSanitizer, so the sanitizer cannot see how its queues order
 * accesses and would report every message that changes threads. These options make it ignore the
 * reads and writes of libzmq itself (a suppression alone would cost minutes, since each copied word
 * is first found to be a race). Reports without a frame of libzmq remain. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) {
    return "ignore_noninstrumented_modules=1";
}
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) {
    return "race:libzmq\n";
}
#endif

/* Frames of megabytes come and go with every request. The allocator would give each one fresh
 * pages, which the kernel clears first: a fifth of a server's time. So it is told to keep them. */
static void keep_frames(void) {
    mallopt(M_MMAP_THRESHOLD, FRAME_KEPT_MAX);
    mallopt(M_TRIM_THRESHOLD, FREE_KEPT_MAX);
}

enum status transport_create(struct transport **t, uint32_t io_threads) {
    keep_frames();
    TRY(mem_new(t));
    (*t)->context = socket_ops()->ctx_new();
    if ((*t)->context == NULL) {
        mem_free(t);
        return fail(ERR_MEMORY, "cannot create a ZeroMQ context: %s", zmq_strerror(errno));
    }
    socket_ops()->ctx_set((*t)->context, ZMQ_IO_THREADS, (int)io_threads);
    socket_ops()->ctx_set((*t)->context, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
    return OK;
}

void transport_destroy(struct transport **t) {
    if (*t == NULL) {
        return;
    }
    while (socket_ops()->ctx_term((*t)->context) != 0 && errno == EINTR) {
    }
    mem_free(t);
}

/* --- making ports ----------------------------------------------------------------------------- */

/* Records a failed call of ZeroMQ with errno's text. */
static enum status port_failed(const struct port *p, const char *doing) {
    return errno == ETERM
               ? fail(ERR_CLOSED, "the transport of %s was closed", p->endpoint)
               : fail(ERR_IO, "cannot %s %s: %s", doing, p->endpoint, zmq_strerror(errno));
}

static int socket_set_int(void *socket, int option, int value) {
    return socket_ops()->set(socket, option, &value, sizeof value);
}

static enum status port_set_options(struct port *p) {
    int64_t max = (int64_t)p->message_bytes_max;
    int bad = 0;
    bad |= socket_set_int(p->socket, ZMQ_LINGER, 0);
    bad |= socket_set_int(p->socket, ZMQ_SNDHWM, HWM_MESSAGES);
    bad |= socket_set_int(p->socket, ZMQ_RCVHWM, HWM_MESSAGES);
    bad |= socket_ops()->set(p->socket, ZMQ_MAXMSGSIZE, &max, sizeof max);
    bad |= socket_set_int(p->socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    bad |= socket_set_int(p->socket, ZMQ_BACKLOG, 512);
    if (p->bound) {
        bad |= socket_set_int(p->socket, ZMQ_ROUTER_MANDATORY, 1);
    }
    if (strncmp(p->endpoint, "tcp://", 6) == 0) {
        bad |= socket_set_int(p->socket, ZMQ_TCP_KEEPALIVE, 1);
        bad |= socket_set_int(p->socket, ZMQ_TCP_KEEPALIVE_IDLE, 30);
        bad |= socket_set_int(p->socket, ZMQ_TCP_KEEPALIVE_INTVL, 10);
        bad |= socket_set_int(p->socket, ZMQ_TCP_KEEPALIVE_CNT, 3);
        bad |= socket_set_int(p->socket, ZMQ_HEARTBEAT_IVL, BEAT_MS);
        bad |= socket_set_int(p->socket, ZMQ_HEARTBEAT_TIMEOUT, BEAT_TIMEOUT_MS);
        bad |= socket_set_int(p->socket, ZMQ_HEARTBEAT_TTL, BEAT_TIMEOUT_MS);
    }
    return bad == 0 ? OK : port_failed(p, "set up a socket for");
}

/* Needed because ZeroMQ takes port 65537 for 1. */
static enum status endpoint_check_port(const char *endpoint) {
    if (strncmp(endpoint, "tcp://", 6) != 0) {
        return OK;
    }
    const char *port = strrchr(endpoint + 6, ':');
    char *end = NULL;
    long number = port == NULL ? -1 : strtol(port + 1, &end, 10);
    bool any = port != NULL && strcmp(port, ":*") == 0;
    if (!any && (port == NULL || end == port + 1 || *end != '\0' || number < 0 || number > 65535)) {
        return fail(ERR_USAGE, "endpoint %s: expected tcp://HOST:PORT with a port from 0 to 65535",
                    endpoint);
    }
    return OK;
}

/* ZeroMQ itself says "File name too long", without the name or the limit. */
static enum status endpoint_check(const char *endpoint) {
    const size_t path_max = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    if (strlen(endpoint) >= ENDPOINT_TEXT_MAX) {
        return fail(ERR_LIMIT, "endpoint is longer than %d bytes: %.64s...", ENDPOINT_TEXT_MAX - 1,
                    endpoint);
    }
    if (strncmp(endpoint, "ipc://", 6) == 0 && strlen(endpoint + 6) > path_max) {
        return fail(ERR_LIMIT,
                    "socket path of %zu bytes, the system allows %zu; choose a shorter "
                    "directory: %s",
                    strlen(endpoint + 6), path_max, endpoint + 6);
    }
    return endpoint_check_port(endpoint);
}

static enum status port_open(struct port **out, struct transport *t, const char *endpoint,
                             uint32_t message_bytes_max, bool bound) {
    TRY(endpoint_check(endpoint));
    TRY(mem_new(out));
    struct port *p = *out;
    p->bound = bound;
    p->message_bytes_max = message_bytes_max;
    memcpy(p->endpoint, endpoint, strlen(endpoint) + 1);
    p->socket = socket_ops()->open(t->context, bound ? ZMQ_ROUTER : ZMQ_DEALER);
    return p->socket != NULL ? port_set_options(p) : port_failed(p, "make a socket for");
}

static const char *ipc_path(const struct port *p) {
    return strncmp(p->endpoint, "ipc://", 6) == 0 ? p->endpoint + 6 : NULL;
}

static void ipc_file_note(struct port *p) {
    p->has_file = ipc_path(p) != NULL && file_look(ipc_path(p), &p->file);
}

static void ipc_file_remove(const struct port *p) {
    struct file_info now;
    if (p->has_file && file_look(ipc_path(p), &now) && file_same(&p->file, &now)) {
        (void)file_remove(ipc_path(p));
    }
}

static enum status port_listen(struct port *p) {
    if (socket_ops()->bind(p->socket, p->endpoint) != 0) {
        return port_failed(p, "listen on");
    }
    size_t bytes = sizeof p->endpoint;
    if (socket_ops()->get(p->socket, ZMQ_LAST_ENDPOINT, p->endpoint, &bytes) != 0) {
        return port_failed(p, "learn the endpoint of");
    }
    ipc_file_note(p);
    return OK;
}

enum status port_bind(struct port **p, struct transport *t, const char *endpoint,
                      uint32_t message_bytes_max) {
    *p = NULL;
    enum status status = port_open(p, t, endpoint, message_bytes_max, true);
    if (status == OK) {
        status = port_listen(*p);
    }
    if (status != OK) {
        port_close(p);
    }
    return status;
}

enum status port_connect(struct port **p, struct transport *t, const char *endpoint,
                         uint32_t message_bytes_max) {
    *p = NULL;
    enum status status = port_open(p, t, endpoint, message_bytes_max, false);
    if (status == OK && socket_ops()->connect((*p)->socket, endpoint) != 0) {
        status = port_failed(*p, "connect to");
    }
    if (status != OK) {
        port_close(p);
    }
    return status;
}

static void frames_close(struct port *p) {
    for (int i = 0; i < p->frames; i++) {
        zmq_msg_close(&p->frame[i]);
    }
    p->frames = 0;
}

static void room_close(struct port *p) {
    if (p->has_room) {
        zmq_msg_close(&p->room);
        p->has_room = false;
    }
}

void port_close(struct port **p) {
    if (*p == NULL) {
        return;
    }
    frames_close(*p);
    room_close(*p);
    log_limit_end(&(*p)->limited);
    if ((*p)->socket != NULL) {
        ipc_file_remove(*p);
        socket_ops()->close((*p)->socket);
    }
    buf_fini(&(*p)->header);
    mem_free(p);
}

const char *port_endpoint(const struct port *p) {
    return p->endpoint;
}

uint64_t port_malformed(const struct port *p) {
    return p->malformed;
}

uint64_t port_sent_bytes(const struct port *p) {
    return p->sent_bytes;
}

uint64_t port_received_bytes(const struct port *p) {
    return p->received_bytes;
}

/* --- sending ---------------------------------------------------------------------------------- */

enum status port_values_room(struct port *p, size_t bytes, void **values) {
    room_close(p);
    if (zmq_msg_init_size(&p->room, bytes) != 0) {
        return fail(ERR_MEMORY, "cannot send %zu bytes to %s: out of memory", bytes, p->endpoint);
    }
    p->has_room = true;
    *values = zmq_msg_data(&p->room);
    return OK;
}

/* A message to be sent: all its frames are made before the first is sent. */
struct parcel {
    zmq_msg_t frame[FRAMES_MAX];
    int frames;
};

static enum status parcel_add(const struct port *p, struct parcel *m, const void *data,
                              size_t bytes) {
    zmq_msg_t *frame = &m->frame[m->frames];
    if (zmq_msg_init_size(frame, bytes) != 0) {
        return fail(ERR_MEMORY, "cannot send %zu bytes to %s: out of memory", bytes, p->endpoint);
    }
    if (bytes > 0) {
        memcpy(zmq_msg_data(frame), data, bytes);
    }
    m->frames++;
    return OK;
}

/* Adds the values: a copy, or the frame of port_values_room itself. */
static enum status parcel_add_values(struct port *p, struct parcel *m, const void *values,
                                     size_t bytes) {
    if (!p->has_room || values != zmq_msg_data(&p->room)) {
        return parcel_add(p, m, values, bytes);
    }
    assert(bytes == zmq_msg_size(&p->room));
    zmq_msg_init(&m->frame[m->frames]);
    zmq_msg_move(&m->frame[m->frames++], &p->room);
    p->has_room = false;
    return OK;
}

static enum status frame_send(struct port *p, zmq_msg_t *frame, bool more) {
    const size_t bytes = zmq_msg_size(frame);
    int sent;
    do {
        sent = socket_ops()->send(frame, p->socket, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return errno == EAGAIN || errno == EHOSTUNREACH ? ERR_AGAIN : port_failed(p, "send to");
    }
    p->sent_bytes += bytes;
    return OK;
}

/* A message that was begun must be ended, else the socket would take the next one for its rest. If
 * ZeroMQ refuses a frame in the middle, it drops the message up to its last frame, so the other
 * frames are still handed over. */
static enum status parcel_send(struct port *p, struct parcel *m) {
    enum status status = OK;
    for (int i = 0; i < m->frames && (status == OK || i > 1); i++) {
        const enum status one = frame_send(p, &m->frame[i], i + 1 < m->frames);
        status = status == OK ? one : status;
    }
    return status;
}

static enum status frame_check(const struct port *p, const struct wire_msg *msg, size_t bytes) {
    if (bytes > p->message_bytes_max) {
        return fail(ERR_LIMIT, "%s would carry %zu bytes in one frame, %s takes at most %zu",
                    wire_type_name(msg->type), bytes, p->endpoint, p->message_bytes_max);
    }
    return OK;
}

enum status port_send(struct port *p, const void *peer, size_t peer_bytes,
                      const struct wire_msg *msg, const void *keys, size_t keys_bytes,
                      const void *values, size_t values_bytes) {
    assert((peer != NULL) == p->bound);
    TRY(frame_check(p, msg, keys_bytes));
    TRY(frame_check(p, msg, values_bytes));
    buf_clear(&p->header);
    TRY(wire_encode(msg, &p->header));
    struct parcel parcel = {.frames = 0};
    enum status status = OK;
    if (p->bound) {
        TRY_OUT(parcel_add(p, &parcel, peer, peer_bytes));
    }
    TRY_OUT(parcel_add(p, &parcel, p->header.data, p->header.len));
    if (keys_bytes > 0 || values_bytes > 0) {
        TRY_OUT(parcel_add(p, &parcel, keys, keys_bytes));
    }
    if (values_bytes > 0) {
        TRY_OUT(parcel_add_values(p, &parcel, values, values_bytes));
    }
    status = parcel_send(p, &parcel);
out:
    for (int i = 0; i < parcel.frames; i++) { /* a frame that was sent is empty */
        zmq_msg_close(&parcel.frame[i]);
    }
    return status;
}

/* --- receiving -------------------------------------------------------------------------------- */

/* Reads one whole message into p->frame. ERR_AGAIN: there is none. *count: the number of its
 * frames. */
static enum status frames_read(struct port *p, int *count) {
    frames_close(p);
    *count = 0;
    bool more = true;
    while (more) {
        zmq_msg_t extra;
        zmq_msg_t *frame = *count < FRAMES_MAX ? &p->frame[*count] : &extra;
        zmq_msg_init(frame);
        int got;
        do {
            got = socket_ops()->recv(frame, p->socket, ZMQ_DONTWAIT);
        } while (got < 0 && errno == EINTR);
        if (got < 0) {
            const int why = errno;
            zmq_msg_close(frame);
            errno = why;
            return why == EAGAIN ? ERR_AGAIN : port_failed(p, "receive on");
        }
        more = zmq_msg_more(frame) != 0;
        p->received_bytes += zmq_msg_size(frame);
        if (frame == &extra) {
            zmq_msg_close(&extra);
        } else {
            p->frames++;
        }
        (*count)++;
    }
    return OK;
}

/* Turns the frames into a message. */
static enum status port_message_parse(struct port *p, int count, struct port_message *m) {
    int first = p->bound ? 1 : 0;
    if (count <= first || count > first + 3) {
        return fail(ERR_PROTOCOL, "message of %d frames", count);
    }
    m->peer_bytes = 0;
    if (p->bound) {
        m->peer_bytes = zmq_msg_size(&p->frame[0]);
        if (m->peer_bytes == 0 || m->peer_bytes > sizeof m->peer) {
            return fail(ERR_PROTOCOL, "peer with an identity of %zu bytes", m->peer_bytes);
        }
        memcpy(m->peer, zmq_msg_data(&p->frame[0]), m->peer_bytes);
    }
    zmq_msg_t *header = &p->frame[first];
    TRY(wire_decode(&m->msg, zmq_msg_data(header), zmq_msg_size(header)));
    m->keys = count > first + 1 ? zmq_msg_data(&p->frame[first + 1]) : NULL;
    m->keys_bytes = count > first + 1 ? zmq_msg_size(&p->frame[first + 1]) : 0;
    m->values = count > first + 2 ? zmq_msg_data(&p->frame[first + 2]) : NULL;
    m->values_bytes = count > first + 2 ? zmq_msg_size(&p->frame[first + 2]) : 0;
    return OK;
}

static void malformed_note(struct port *p) {
    p->malformed++;
    log_limited(&p->limited, LOG_WARN, "%s: a malformed message was skipped: %s", p->endpoint,
                fail_text());
}

static long poll_ms(uint64_t timeout_ms) {
    return timeout_ms > INT32_MAX ? INT32_MAX : (long)timeout_ms;
}

/* A stop signal ends the wait early: the caller's loop looks at the flag. */
static enum status port_wait(struct port *p, uint64_t timeout_ms) {
    zmq_pollitem_t item = {.socket = p->socket, .events = ZMQ_POLLIN};
    int n = socket_ops()->poll(&item, 1, poll_ms(timeout_ms));
    if (n < 0 && errno == ETERM) {
        return port_failed(p, "wait for");
    }
    return n > 0 ? OK : ERR_TIMEOUT;
}

enum status port_receive(struct port *p, struct port_message *m, uint64_t timeout_ms) {
    uint64_t deadline_ms = clock_mono_ms() + timeout_ms;
    log_limit_step(&p->limited);
    for (int skipped = 0;;) {
        int count;
        enum status status = frames_read(p, &count);
        if (status == OK) {
            status = port_message_parse(p, count, m);
            if (status == OK) {
                return OK;
            }
            malformed_note(p);
            if (++skipped >= HWM_MESSAGES && clock_left_ms(deadline_ms) == 0) {
                return ERR_TIMEOUT; /* a flood of nonsense must not hold the caller */
            }
        } else if (status != ERR_AGAIN) {
            return status;
        } else {
            uint64_t left_ms = clock_left_ms(deadline_ms);
            if (left_ms == 0) {
                return ERR_TIMEOUT;
            }
            TRY(port_wait(p, left_ms));
        }
    }
}

enum status port_poll(struct port **ports, size_t n, bool *ready, uint64_t timeout_ms) {
    assert(n <= WIRE_PARTITIONS_MAX);
    zmq_pollitem_t items[WIRE_PARTITIONS_MAX];
    for (size_t i = 0; i < n; i++) {
        items[i] = (zmq_pollitem_t){.socket = ports[i]->socket, .events = ZMQ_POLLIN};
        ready[i] = false;
    }
    int got = socket_ops()->poll(items, (int)n, poll_ms(timeout_ms));
    if (got < 0 && errno == ETERM) {
        return fail(ERR_CLOSED, "the transport was closed");
    }
    for (size_t i = 0; got > 0 && i < n; i++) {
        ready[i] = (items[i].revents & ZMQ_POLLIN) != 0;
    }
    return OK;
}
