/* Ports over inproc, ipc and tcp: what arrives, what is refused, what a bad peer cannot do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zmq.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/thread.h"
#include "common/net/transport.h"

#include <cmocka.h> /* last: it has a macro called fail */

#define MESSAGE_MAX (1u << 20)
#define WAIT_MS     10000

static char dir[64];

static int make_dir(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/esmm-transport-XXXXXX");
    return mkdtemp(dir) == NULL;
}
static int remove_dir(void **state) {
    (void)state;
    return file_remove_tree(dir) != OK;
}
static const char *ipc_name(const char *name) {
    static char endpoint[128];
    snprintf(endpoint, sizeof endpoint, "ipc://%s/%s", dir, name);
    return endpoint;
}

static struct wire_msg pushed(uint64_t id, uint64_t version) {
    struct wire_msg m = {.type = WIRE_PUSHED, .job = 7, .id = id};
    m.u.pushed.version = version;
    return m;
}

/* One request and its answer, with all frames, odd sizes and absent frames. */
static void there_and_back(struct transport *t, const char *endpoint) {
    struct port *server, *client;
    struct port_message m;
    uint64_t keys[5] = {1, 2, 3, UINT64_MAX, 0};
    uint8_t values[4097];
    memset(values, 0x5a, sizeof values);
    assert_int_equal(port_bind(&server, t, endpoint, MESSAGE_MAX), OK);
    assert_int_equal(port_connect(&client, t, port_endpoint(server), MESSAGE_MAX), OK);

    struct wire_msg ask = pushed(1, 100);
    assert_int_equal(port_send(client, NULL, 0, &ask, keys, sizeof keys, values, sizeof values),
                     OK);
    assert_int_equal(port_receive(server, &m, WAIT_MS), OK);
    assert_int_equal(m.msg.type, WIRE_PUSHED);
    assert_int_equal(m.msg.u.pushed.version, 100);
    assert_int_equal(m.keys_bytes, sizeof keys);
    assert_memory_equal(m.keys, keys, sizeof keys);
    assert_int_equal(m.values_bytes, sizeof values);
    assert_memory_equal(m.values, values, sizeof values);

    struct wire_msg answer = pushed(1, 101); /* values without keys */
    assert_int_equal(port_send(server, m.peer, m.peer_bytes, &answer, NULL, 0, values, 3), OK);
    assert_int_equal(port_receive(client, &m, WAIT_MS), OK);
    assert_int_equal(m.msg.u.pushed.version, 101);
    assert_int_equal(m.keys_bytes, 0);
    assert_int_equal(m.values_bytes, 3);

    assert_int_equal(port_send(client, NULL, 0, &ask, NULL, 0, NULL, 0), OK);
    assert_int_equal(port_receive(server, &m, WAIT_MS), OK);
    assert_null(m.keys);
    assert_null(m.values);
    assert_int_equal(m.keys_bytes + m.values_bytes, 0);
    port_close(&client);
    port_close(&server);
}

static void test_there_and_back(void **state) {
    (void)state;
    struct transport *t;
    assert_int_equal(transport_create(&t, 1), OK);
    there_and_back(t, "inproc://a");
    there_and_back(t, ipc_name("a"));
    there_and_back(t, "tcp://127.0.0.1:*");
    there_and_back(t, "tcp://127.0.0.1:0");
    transport_destroy(&t);
    char path[128];
    snprintf(path, sizeof path, "%s/a", dir);
    assert_false(file_exists(path)); /* the socket file went with the port */
}

static void test_chosen_port_is_told(void **state) {
    (void)state;
    struct transport *t;
    struct port *p, *twice;
    unsigned number = 0;
    assert_int_equal(transport_create(&t, 1), OK);
    assert_int_equal(port_bind(&p, t, "tcp://127.0.0.1:0", MESSAGE_MAX), OK);
    assert_int_equal(sscanf(port_endpoint(p), "tcp://127.0.0.1:%u", &number), 1);
    assert_true(number > 0);
    assert_int_equal(port_bind(&twice, t, port_endpoint(p), MESSAGE_MAX), ERR_IO);
    assert_non_null(strstr(fail_text(), port_endpoint(p)));
    assert_null(twice);
    port_close(&p);
    transport_destroy(&t);
}

static void test_long_socket_path_is_explained(void **state) {
    (void)state;
    struct transport *t;
    struct port *p;
    char endpoint[200] = "ipc:///tmp/";
    memset(endpoint + 11, 'x', 107 - 5 + 1); /* one byte more than sun_path holds */
    assert_int_equal(transport_create(&t, 1), OK);
    assert_int_equal(port_bind(&p, t, endpoint, MESSAGE_MAX), ERR_LIMIT);
    assert_non_null(strstr(fail_text(), "allows 107"));
    assert_int_equal(port_connect(&p, t, endpoint, MESSAGE_MAX), ERR_LIMIT);
    transport_destroy(&t);
}

static void test_impossible_port_is_refused(void **state) {
    (void)state;
    struct transport *t;
    struct port *p;
    assert_int_equal(transport_create(&t, 1), OK);
    const char *bad[] = {"tcp://127.0.0.1:65536", "tcp://127.0.0.1:4294967297",
                         "tcp://127.0.0.1:",      "tcp://127.0.0.1",
                         "tcp://127.0.0.1:80x",   "tcp://127.0.0.1:-1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(port_bind(&p, t, bad[i], MESSAGE_MAX), ERR_USAGE);
        assert_null(p);
        assert_int_equal(port_connect(&p, t, bad[i], MESSAGE_MAX), ERR_USAGE);
        assert_non_null(strstr(fail_text(), bad[i]));
    }
    transport_destroy(&t);
}

static void test_receive_keeps_its_deadline(void **state) {
    (void)state;
    struct transport *t;
    struct port *p;
    struct port_message m;
    assert_int_equal(transport_create(&t, 1), OK);
    assert_int_equal(port_bind(&p, t, "inproc://quiet", MESSAGE_MAX), OK);
    uint64_t start_ms = clock_mono_ms();
    assert_int_equal(port_receive(p, &m, 60), ERR_TIMEOUT);
    uint64_t took_ms = clock_mono_ms() - start_ms;
    assert_in_range(took_ms, 55, 2000);
    assert_int_equal(port_receive(p, &m, 0), ERR_TIMEOUT);
    port_close(&p);
    transport_destroy(&t);
}

static void test_full_queue_says_again(void **state) {
    (void)state;
    struct transport *t;
    struct port *p;
    struct wire_msg m = pushed(1, 1);
    enum status status = OK;
    int sent = 0;
    assert_int_equal(transport_create(&t, 1), OK);
    assert_int_equal(port_connect(&p, t, ipc_name("nobody"), MESSAGE_MAX), OK);
    while (sent < 10000 && status == OK) {
        status = port_send(p, NULL, 0, &m, NULL, 0, "x", 1);
        sent += status == OK;
    }
    assert_int_equal(status, ERR_AGAIN);
    assert_true(sent > 0);
    port_close(&p);
    transport_destroy(&t);
}

static void test_answer_to_a_peer_that_left(void **state) {
    (void)state;
    struct transport *t;
    struct port *server, *client;
    struct port_message m;
    struct wire_msg ask = pushed(1, 1);
    assert_int_equal(transport_create(&t, 1), OK);
    assert_int_equal(port_bind(&server, t, ipc_name("left"), MESSAGE_MAX), OK);
    assert_int_equal(port_connect(&client, t, port_endpoint(server), MESSAGE_MAX), OK);
    assert_int_equal(port_send(client, NULL, 0, &ask, NULL, 0, NULL, 0), OK);
    assert_int_equal(port_receive(server, &m, WAIT_MS), OK);
    port_close(&client);
    enum status status = OK;
    for (int i = 0; i < 1000 && status == OK; i++) {
        status = port_send(server, m.peer, m.peer_bytes, &ask, NULL, 0, NULL, 0);
        clock_sleep_ms(1);
    }
    assert_int_equal(status, ERR_AGAIN);
    assert_int_equal(port_send(server, "nobody", 6, &ask, NULL, 0, NULL, 0), ERR_AGAIN);
    port_close(&server);
    transport_destroy(&t);
}

static void test_too_large_a_frame_is_not_sent(void **state) {
    (void)state;
    struct transport *t;
    struct port *p;
    struct wire_msg m = {.type = WIRE_PUSH};
    uint8_t *big = calloc(1, 70000);
    assert_int_equal(transport_create(&t, 1), OK);
    assert_int_equal(port_connect(&p, t, "inproc://limits", 65536), OK);
    assert_int_equal(port_send(p, NULL, 0, &m, NULL, 0, big, 65537), ERR_LIMIT);
    assert_non_null(strstr(fail_text(), "PUSH would carry 65537"));
    assert_int_equal(port_send(p, NULL, 0, &m, big, 65537, NULL, 0), ERR_LIMIT);
    port_close(&p);
    transport_destroy(&t);
    free(big);
}

/* A peer that speaks ZeroMQ but not our wire. */
static void send_raw(void *socket, const void *const *frames, const size_t *bytes, int n) {
    for (int i = 0; i < n; i++) {
        int sent = zmq_send(socket, frames[i], bytes[i], i + 1 < n ? ZMQ_SNDMORE : 0);
        assert_int_equal(sent, (int)bytes[i]);
    }
}

static void test_hostile_peer_is_skipped(void **state) {
    (void)state;
    struct transport *t;
    struct port *server, *client;
    struct port_message m;
    void *context = zmq_ctx_new();
    void *raw = zmq_socket(context, ZMQ_DEALER);
    int linger = 0;
    zmq_setsockopt(raw, ZMQ_LINGER, &linger, sizeof linger);
    assert_int_equal(transport_create(&t, 1), OK);
    assert_int_equal(port_bind(&server, t, ipc_name("hostile"), 65536), OK);
    assert_int_equal(zmq_connect(raw, port_endpoint(server)), 0);
    const void *noise[6] = {"\xff\xff\xff", "", "abc", "d", "e", "f"};
    size_t bytes[6] = {3, 0, 3, 1, 1, 1};
    send_raw(raw, noise, bytes, 1);         /* not a header */
    send_raw(raw, noise + 1, bytes + 1, 1); /* an empty one */
    send_raw(raw, noise, bytes, 6);         /* too many frames */
    uint64_t until_ms = clock_mono_ms() + WAIT_MS;
    while (port_malformed(server) < 3 && clock_left_ms(until_ms) > 0) {
        assert_int_equal(port_receive(server, &m, 10), ERR_TIMEOUT);
    }
    assert_int_equal(port_malformed(server), 3);

    char *big = calloc(1, 70000); /* over the port's limit: that connection is cut */
    assert_int_equal(zmq_send(raw, big, 70000, 0), 70000);
    assert_int_equal(port_receive(server, &m, 100), ERR_TIMEOUT);
    free(big);

    struct wire_msg good = pushed(9, 9);
    assert_int_equal(port_connect(&client, t, port_endpoint(server), 65536), OK);
    assert_int_equal(port_send(client, NULL, 0, &good, NULL, 0, NULL, 0), OK);
    assert_int_equal(port_receive(server, &m, WAIT_MS), OK);
    assert_int_equal(m.msg.id, 9);
    port_close(&client);
    port_close(&server);
    transport_destroy(&t);
    zmq_close(raw);
    zmq_ctx_term(context);
}

/* No memory for the last frame: the frames before it must not become the head of the next message.
 */
static void test_no_memory_sends_nothing(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* they need the address space that is taken away here */
#else
    const size_t large = (size_t)512 << 20;
    struct transport *t;
    struct port *server, *client;
    struct port_message m;
    struct rlimit before, tight;
    uint8_t *values = calloc(large, 1); /* never touched: no memory is behind it */
    assert_non_null(values);
    assert_int_equal(transport_create(&t, 1), OK);
    assert_int_equal(port_bind(&server, t, "inproc://tight", 1u << 30), OK);
    assert_int_equal(port_connect(&client, t, "inproc://tight", 1u << 30), OK);
    struct wire_msg ask = pushed(1, 100);
    assert_int_equal(port_send(client, NULL, 0, &ask, "k", 1, NULL, 0), OK);
    assert_int_equal(port_receive(server, &m, WAIT_MS), OK); /* buffers and peer are known now */
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    tight = (struct rlimit){.rlim_cur = large, .rlim_max = before.rlim_max};
    struct wire_msg answer = pushed(1, 101);
    for (int bound = 0; bound < 2; bound++) {
        struct port *from = bound ? server : client, *to = bound ? client : server;
        const void *peer = bound ? m.peer : NULL;
        const size_t peer_bytes = bound ? m.peer_bytes : 0;
        assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
        enum status status = port_send(from, peer, peer_bytes, &ask, "keys", 4, values, large);
        assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
        assert_int_equal(status, ERR_MEMORY);
        assert_int_equal(port_send(from, peer, peer_bytes, &answer, "key", 3, "value", 5), OK);
        struct port_message got;
        assert_int_equal(port_receive(to, &got, WAIT_MS), OK);
        assert_int_equal(got.msg.u.pushed.version, 101);
        assert_int_equal(got.keys_bytes, 3);
        assert_memory_equal(got.values, "value", 5);
        assert_int_equal(port_malformed(to), 0);
    }
    port_close(&client);
    port_close(&server);
    transport_destroy(&t);
    free(values);
#endif
}

static void test_poll_names_the_ready_ports(void **state) {
    (void)state;
    struct transport *t;
    struct port *server[3], *client[3];
    bool ready[3];
    struct wire_msg msg = pushed(1, 1);
    assert_int_equal(transport_create(&t, 1), OK);
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "inproc://poll-%d", i);
        assert_int_equal(port_bind(&server[i], t, name, MESSAGE_MAX), OK);
        assert_int_equal(port_connect(&client[i], t, name, MESSAGE_MAX), OK);
    }
    assert_int_equal(port_poll(server, 3, ready, 0), OK);
    assert_false(ready[0] || ready[1] || ready[2]);
    assert_int_equal(port_send(client[1], NULL, 0, &msg, NULL, 0, NULL, 0), OK);
    assert_int_equal(port_poll(server, 3, ready, WAIT_MS), OK);
    assert_true(!ready[0] && ready[1] && !ready[2]);
    for (int i = 0; i < 3; i++) {
        port_close(&client[i]);
        port_close(&server[i]);
    }
    transport_destroy(&t);
}

/* --- several peers in several threads, each must get its own answers -------------------------- */

#define PEERS 4
#define ASKS  200
struct peer {
    struct transport *t;
    const char *endpoint;
    uint32_t number;
};

static enum status peer_main(void *arg) {
    struct peer *me = arg;
    struct port *p;
    struct port_message m;
    enum status status = OK;
    uint32_t stamp[64];
    TRY(port_connect(&p, me->t, me->endpoint, MESSAGE_MAX));
    for (uint32_t i = 0; i < ASKS && status == OK; i++) {
        struct wire_msg ask = pushed(i, me->number);
        for (uint32_t k = 0; k < 64; k++) {
            stamp[k] = me->number * 1000 + i;
        }
        status = port_send(p, NULL, 0, &ask, NULL, 0, stamp, sizeof stamp);
        if (status == OK) {
            status = port_receive(p, &m, WAIT_MS);
        }
        if (status == OK &&
            (m.msg.id != i || m.msg.u.pushed.version != me->number ||
             m.values_bytes != sizeof stamp || memcmp(m.values, stamp, sizeof stamp) != 0)) {
            status = (fail)(ERR_PROTOCOL, "peer %u got another's answer", me->number);
        }
    }
    port_close(&p);
    return status;
}

static void many_peers(const char *endpoint) {
    struct transport *t;
    struct port *server;
    struct port_message m;
    struct thread threads[PEERS] = {0};
    struct peer peers[PEERS];
    assert_int_equal(transport_create(&t, 1), OK);
    assert_int_equal(port_bind(&server, t, endpoint, MESSAGE_MAX), OK);
    for (uint32_t i = 0; i < PEERS; i++) {
        peers[i] = (struct peer){t, port_endpoint(server), i};
        assert_int_equal(thread_start(&threads[i], "peer", peer_main, &peers[i]), OK);
    }
    for (int i = 0; i < PEERS * ASKS; i++) {
        assert_int_equal(port_receive(server, &m, WAIT_MS), OK);
        struct wire_msg answer = m.msg;
        assert_int_equal(
            port_send(server, m.peer, m.peer_bytes, &answer, NULL, 0, m.values, m.values_bytes),
            OK);
    }
    for (uint32_t i = 0; i < PEERS; i++) {
        if (thread_join(&threads[i]) != OK) {
            fail_msg("%s", fail_text());
        }
    }
    port_close(&server);
    transport_destroy(&t);
}

/* Values written in the port's own memory arrive; a later room replaces one that was not sent. */
static void test_values_written_in_place(void **state) {
    (void)state;
    struct transport *t;
    struct port *server, *client;
    struct port_message m;
    void *room = NULL;
    assert_int_equal(transport_create(&t, 1), OK);
    assert_int_equal(port_bind(&server, t, "inproc://room", MESSAGE_MAX), OK);
    assert_int_equal(port_connect(&client, t, "inproc://room", MESSAGE_MAX), OK);
    struct wire_msg ask = pushed(1, 100);
    assert_int_equal(port_values_room(client, 77, &room), OK);
    assert_int_equal(port_values_room(client, 3000, &room), OK);
    assert_int_equal((uintptr_t)room % 8, 0);
    memset(room, 0x5b, 3000);
    assert_int_equal(port_send(client, NULL, 0, &ask, NULL, 0, "other", 5), OK);
    assert_int_equal(port_send(client, NULL, 0, &ask, "key", 3, room, 3000), OK);
    assert_int_equal(port_receive(server, &m, WAIT_MS), OK);
    assert_int_equal(m.values_bytes, 5);
    assert_memory_equal(m.values, "other", 5);
    assert_int_equal(port_receive(server, &m, WAIT_MS), OK);
    assert_int_equal(m.keys_bytes, 3);
    assert_int_equal(m.values_bytes, 3000);
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(((const uint8_t *)m.values)[i], 0x5b);
    }
    assert_int_equal(port_values_room(server, 50, &room), OK); /* its receiver is not there */
    assert_int_equal(port_send(server, "nobody", 6, &ask, NULL, 0, room, 50), ERR_AGAIN);
    assert_int_equal(port_values_room(server, 60, &room), OK); /* closing frees it */
    port_close(&client);
    port_close(&server);
    transport_destroy(&t);
}

static void test_many_peers(void **state) {
    (void)state;
    many_peers("inproc://many");
    many_peers(ipc_name("many"));
    many_peers("tcp://127.0.0.1:0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_chosen_port_is_told),
        cmocka_unit_test(test_long_socket_path_is_explained),
        cmocka_unit_test(test_impossible_port_is_refused),
        cmocka_unit_test(test_receive_keeps_its_deadline),
        cmocka_unit_test(test_full_queue_says_again),
        cmocka_unit_test(test_answer_to_a_peer_that_left),
        cmocka_unit_test(test_too_large_a_frame_is_not_sent),
        cmocka_unit_test(test_hostile_peer_is_skipped),
        cmocka_unit_test(test_no_memory_sends_nothing),
        cmocka_unit_test(test_poll_names_the_ready_ports),
        cmocka_unit_test(test_values_written_in_place),
        cmocka_unit_test(test_many_peers),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
