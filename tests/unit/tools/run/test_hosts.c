/* Unit tests of tools/run/hosts.h and placement.h: a hostfile, what is wrong with one, and who runs
 * where. */
#include "tools/run/hosts.h"

#include <string.h>

#include "tools/run/placement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void a_hostfile(void **state) {
    (void)state;
    struct hosts h = {0};
    assert_int_equal(hosts_parse(&h, "f",
                                 "# two machines\r\n\n"
                                 "  alpha slots=10 addr=10.0.0.1\r\n"
                                 "me_2@b.example.org\taddr=b-2 # its user, too\n"
                                 "gamma"),
                     OK);
    assert_int_equal(h.count, 3);
    assert_string_equal(h.list[0].name, "alpha");
    assert_string_equal(h.list[0].address, "10.0.0.1");
    assert_int_equal(h.list[0].slots, 10);
    assert_string_equal(h.list[1].name, "me_2@b.example.org");
    assert_string_equal(host_bare(&h.list[1]), "b.example.org");
    assert_string_equal(h.list[1].address, "b-2");
    assert_int_equal(h.list[1].slots, 1);
    assert_string_equal(h.list[2].address, "gamma");
    hosts_fini(&h);
    assert_int_equal(hosts_parse(&h, "f", "localhost slots=2"), OK); /* one alone may be here */
    hosts_fini(&h);
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"a\n-b", "f:2: '-b' is not a host, expected [user@]host"},
        {"a@b@c", "'a@b@c' is not a host"},
        {"@b", "'@b' is not a host"},
        {"a_", "'a_' is not a host"},
        {"-o@b", "'-o@b' is not a host"},
        {"a;b", "'a;b' is not a host"},
        {"a\nb\na", "f:3: a is listed twice"},
        {"a slot=4", "f:1: 'slot=4' is not understood, expected slots=N (1 to 9999) or addr=NAME"},
        {"a slots=0", "'slots=0' is not understood"},
        {"a slots=10000", "'slots=10000' is not understood"},
        {"a slots=4x", "'slots=4x' is not understood"},
        {"a slots=", "'slots=' is not understood"},
        {"a addr=", "'addr=' is not understood"},
        {"a addr=x;y", "'addr=x;y' is not understood"},
        {"# nobody\n\n", "f lists no hosts"},
        {"a\nlocalhost", "f: the others cannot reach localhost as localhost; give it addr=NAME"},
        {"a addr=127.0.0.1\nb", "f: the others cannot reach a as 127.0.0.1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct hosts h = {0};
        assert_int_equal(hosts_parse(&h, "f", bad[i].text), ERR_USAGE);
        if (strstr(fail_text(), bad[i].says) == NULL) {
            assert_string_equal(fail_text(), bad[i].says);
        }
        hosts_fini(&h);
    }
    struct hosts h = {0};
    assert_int_equal(hosts_read(&h, "/no such file"), ERR_USAGE);
    assert_string_equal(fail_text(), "cannot read the hostfile /no such file");
    hosts_fini(&h);
}

/* The picture of docs/launch.md. */
static void round_after_round(void **state) {
    (void)state;
    struct hosts h = {0};
    struct placement p = {.servers = 4, .workers = 8, .server_threads = 3};
    static const uint32_t host[13] = {0, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2};
    assert_int_equal(hosts_parse(&h, "f", "db1 slots=4\ndb2 slots=4\ngpu7 slots=4"), OK);
    assert_int_equal(placement_make(&p, &h, 27500), OK);
    for (size_t i = 0; i < 13; i++) {
        assert_int_equal(p.places[i].host, host[i]);
        assert_int_equal(p.places[i].kind, i == 0   ? CHILD_COORD
                                           : i <= 4 ? CHILD_SERVER
                                                    : CHILD_WORKER);
    }
    assert_int_equal(p.places[0].port, 27500);
    assert_int_equal(p.places[1].port, 27501);
    assert_int_equal(p.places[2].port, 27501); /* another machine */
    assert_int_equal(p.places[4].port, 27504);
    assert_int_equal(p.places[5].port, 0);
    placement_fini(&p);
    hosts_fini(&h);
}

static void full_hosts_are_left_out(void **state) {
    (void)state;
    struct hosts h = {0};
    struct placement p = {.servers = 2, .workers = 3, .server_threads = 1};
    static const uint32_t host[6] = {0, 0, 1, 1, 1, 1};
    assert_int_equal(hosts_parse(&h, "f", "a slots=1\nb slots=4"), OK);
    assert_int_equal(placement_make(&p, &h, 100), OK);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(p.places[i].host, host[i]);
    }
    placement_fini(&p);
    p.workers = 4;
    assert_int_equal(placement_make(&p, &h, 100), ERR_USAGE);
    assert_string_equal(fail_text(), "2 servers and 4 workers need 6 slots; the hostfile has 5");
    placement_fini(&p);
    p = (struct placement){.servers = 2, .workers = 1, .server_threads = 2};
    assert_int_equal(placement_make(&p, &h, 65534), ERR_USAGE);
    assert_string_equal(fail_text(), "--port-base 65534 leaves too few ports for the servers on a");
    placement_fini(&p);
    hosts_fini(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hostfile),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(round_after_round),
        cmocka_unit_test(full_hosts_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
