/* A network that loses a message, or brings it twice: a port sees whole messages all the same. */
#include "common/net/socket_ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "common/net/transport.h"

#include <cmocka.h>

#define WAIT_MS  10000
#define FRAMES   4
#define MESSAGES 9

/* What becomes of a message, by its turn: 0 lost, 1 sent, 2 sent twice. */
static int (*fate)(size_t turn);
static size_t turn;
static zmq_msg_t held[FRAMES];
static int holding;

static int pass_on(void *socket, int copies) {
    int sent = 0;
    for (int c = 0; c < copies; c++) {
        for (int i = 0; i < holding && sent >= 0; i++) {
            zmq_msg_t frame;
            zmq_msg_init(&frame);
            zmq_msg_copy(&frame, &held[i]);
            sent = zmq_msg_send(&frame, socket, ZMQ_DONTWAIT | (i + 1 < holding ? ZMQ_SNDMORE : 0));
        }
    }
    for (int i = 0; i < holding; i++) {
        zmq_msg_close(&held[i]);
    }
    holding = 0;
    return sent;
}

/* Like zmq_msg_send it leaves an empty frame behind. */
static int send_by_fate(zmq_msg_t *frame, void *socket, int flags) {
    const int bytes = (int)zmq_msg_size(frame);
    zmq_msg_init(&held[holding]);
    zmq_msg_move(&held[holding++], frame);
    if ((flags & ZMQ_SNDMORE) != 0) {
        return bytes;
    }
    return pass_on(socket, fate(turn++)) < 0 ? -1 : bytes;
}

static int lose_the_odd(size_t n) {
    return n % 2 == 0;
}

static int double_every_third(size_t n) {
    return n % 3 == 0 ? 2 : 1;
}

static struct socket_ops ops;
static struct transport *transport;
static struct port *server, *client;

static void start(int (*how)(size_t turn)) {
    ops = socket_ops_system;
    ops.send = send_by_fate;
    fate = how;
    turn = 0;
    socket_ops_set(&ops);
    assert_int_equal(transport_create(&transport, 1), OK);
    assert_int_equal(port_bind(&server, transport, "inproc://fate", 1u << 20), OK);
    assert_int_equal(port_connect(&client, transport, "inproc://fate", 1u << 20), OK);
    for (uint64_t id = 0; id < MESSAGES; id++) {
        struct wire_msg m = {.type = WIRE_PUSHED, .job = 7, .id = id};
        m.u.pushed.version = 100 + id;
        assert_int_equal(port_send(client, NULL, 0, &m, "keys", 4, &id, sizeof id), OK);
    }
}

static void stop(void) {
    struct port_message m;
    assert_int_equal(port_receive(server, &m, 0), ERR_TIMEOUT); /* no more than those */
    assert_int_equal(port_malformed(server), 0);
    port_close(&client);
    port_close(&server);
    transport_destroy(&transport);
    socket_ops_set(NULL);
}

static void expect(uint64_t id) {
    struct port_message m;
    assert_int_equal(port_receive(server, &m, WAIT_MS), OK);
    assert_int_equal(m.msg.id, id);
    assert_int_equal(m.msg.u.pushed.version, 100 + id);
    assert_int_equal(m.keys_bytes, 4);
    assert_memory_equal(m.values, &id, sizeof id);
}

static void what_is_lost_is_lost_whole(void **state) {
    (void)state;
    start(lose_the_odd);
    for (uint64_t id = 0; id < MESSAGES; id += 2) {
        expect(id);
    }
    stop();
}

static void what_comes_twice_comes_twice_whole(void **state) {
    (void)state;
    start(double_every_third);
    for (uint64_t id = 0; id < MESSAGES; id++) {
        expect(id);
        if (id % 3 == 0) {
            expect(id);
        }
    }
    stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_lost_is_lost_whole),
        cmocka_unit_test(what_comes_twice_comes_twice_whole),
    };
    return cmocka_run_group_tests_name("socket_ops", tests, NULL, NULL);
}
