/* Unit tests of tools/run/train_roles.h: the commands of a job on other machines, as a shell there
 * gets them, and the configuration in them. (Those on this machine: tests/system/test_train.sh.) */
#include "tools/run/train_roles.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct scene {
    struct job job;
    struct hosts hosts;
    struct placement placement;
    struct words ssh;
    struct view view;
    struct crew crew;
};

static struct scene *set_scene(const char *const *sets) {
    struct scene *s = NULL;
    assert_int_equal(mem_new(&s), OK);
    job_init(&s->job);
    config_default(&s->job.config); /* job_check leaves no key open */
    for (; *sets != NULL; sets++) {
        assert_int_equal(config_set(&s->job.config, *sets), OK);
    }
    s->job.servers = s->job.workers = 1;
    s->job.threads = 3;
    s->job.timeout_ms = 60000;
    s->job.grace_s = 300;
    s->job.lifeline_s = 120;
    s->job.trace = s->job.resume = true;
    snprintf(s->job.out, sizeof s->job.out, "/runs/my run");
    snprintf(s->job.program, sizeof s->job.program, "/opt/esmm");
    assert_int_equal(file_list_add(&s->job.data, "/data/1"), OK);
    assert_int_equal(file_list_add(&s->job.eval, "/data/2"), OK);
    assert_int_equal(hosts_parse(&s->hosts, "f", "alpha addr=10.0.0.1\nme@beta"), OK);
    s->placement = (struct placement){.servers = 1, .workers = 1, .server_threads = 1};
    assert_int_equal(placement_make(&s->placement, &s->hosts, 500), OK);
    assert_int_equal(words_split(&s->ssh, "ssh -T"), OK);
    const struct train_roles roles = {.job = &s->job,
                                      .hosts = &s->hosts,
                                      .placement = &s->placement,
                                      .ssh = &s->ssh,
                                      .launch = 0xab,
                                      .make_logs = "mkdir -p '/runs/my run/logs'"};
    assert_int_equal(train_roles_add(&roles, &s->view, &s->crew), OK);
    assert_int_equal(s->crew.count, 3);
    return s;
}

static void strike_scene(struct scene *s) {
    crew_fini(&s->crew);
    words_fini(&s->ssh);
    placement_fini(&s->placement);
    hosts_fini(&s->hosts);
    job_fini(&s->job);
    mem_free(&s);
}

static void is_run_by(const struct scene *s, size_t child, const char *host, const char *expected) {
    struct words w = {0};
    assert_int_equal(crew_remote_command(&s->crew.children[child], &w), OK);
    assert_int_equal(w.count, 4);
    assert_string_equal(w.list[0], "ssh");
    assert_string_equal(w.list[2], host);
    assert_string_equal(w.list[3], expected);
    words_fini(&w);
}

static void commands_of_roles(void **state) {
    (void)state;
    struct scene *s = set_scene((const char *const[]){"model.tower=16,8", "field.a b.dim=4", NULL});
    is_run_by(
        s, 0, "alpha",
        "/opt/esmm tether --lifeline 120 --grace 300 coord --listen 'tcp://*:500' --data /data/1 --eval /data/2 "
        "--out '/runs/my run' --set model.tower=16,8 --set 'field.a b.dim=4' --servers 1 "
        "--workers 1 --progress-fd 1 --launch 00000000000000ab --resume --timeout 60000 --grace 300");
    is_run_by(
        s, 1, "alpha",
        "/opt/esmm tether --lifeline 120 --grace 300 ps --coord tcp://10.0.0.1:500 --index 0 --listen "
        "'tcp://*:501' --advertise 10.0.0.1 --threads 1 --timeout 60000 --grace 300");
    is_run_by(
        s, 2, "me@beta",
        "mkdir -p '/runs/my run/logs' && /opt/esmm tether --lifeline 120 --grace 300 worker --coord "
        "tcp://10.0.0.1:500 --index 0 --threads 3 --data /data/1 --eval /data/2 --trace "
        "'/runs/my run/logs/trace-0.tsv' --timeout 60000 --grace 300");
    assert_string_equal(s->crew.children[2].tag, "[beta worker-0]");
    assert_string_equal(s->crew.children[2].log, "/runs/my run/logs/worker-0.log");
    strike_scene(s);
}

/* What the coordinator makes of its --set options is the configuration that was given here. */
static void the_configuration_arrives(void **state) {
    (void)state;
    struct scene *s = set_scene((const char *const[]){
        "model.name=ple", "model.tower=64", "train.seed=18446744073709551615", "table.lr=0.0123",
        "table.dim=7", "table.optimizer=ftrl", "field.x.y.dim=3", "field.x.y.lr=1e-5",
        "field.205.optimizer=sgd", "dense.lr=0.5", "net.lease_ms=4000", "eval.user_field=u",
        "checkpoint.every_shards=3", "log.level=warn", NULL});
    struct config *there = NULL;
    struct buf given = BUF_EMPTY, arrived = BUF_EMPTY;
    const struct words *command = &s->crew.children[0].command;
    assert_int_equal(mem_new(&there), OK);
    config_default(there);
    for (size_t i = 0; i < command->count; i++) {
        if (strcmp(command->list[i], "--set") == 0) {
            assert_int_equal(config_set(there, command->list[i + 1]), OK);
        }
    }
    assert_int_equal(config_text(&s->job.config, &given), OK);
    assert_int_equal(config_text(there, &arrived), OK);
    assert_string_equal((const char *)arrived.data, (const char *)given.data);
    buf_fini(&given);
    buf_fini(&arrived);
    mem_free(&there);
    strike_scene(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_of_roles),
        cmocka_unit_test(the_configuration_arrives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
