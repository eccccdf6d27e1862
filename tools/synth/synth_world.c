/* synth_world.c - the hidden side of a synthetic log.
 *
 * Each impression has visible features x, two scores
 *
 *     mu_c = c0 + sc (alpha_u + beta_i)  + mc theta_u.phi_i - 0.04 position + scenario
 *     mu_v = v0 + sv (kappa_u + delta_i) + mv theta_u.phi_i + mx theta2_u.phi2_i + scenario
 *
 * and a hidden pair (e1, e2) of standard normals with correlation rho. click = [e1 < mu_c]; the
 * conversion that would follow a click = [e2 < mu_v]; a conversion happens if both hold. So
 *
 *     p_ctr = Phi(mu_c)    p_cvr = Phi2(mu_c, mu_v; rho) / Phi(mu_c)    p_cvr_do = Phi(mu_v)
 *
 * This is Heckman's selection model: with rho > 0, a user who clicks on an unlikely impression
 * probably wants the item, so p_cvr > p_cvr_do. corr(alpha, kappa) = corr(beta, delta) = r is the
 * structure that clicks and conversions share, and that shared embeddings can carry over.
 *
 * With a drift of w radians a day, kappa and delta change with the day s. Each has a part that it
 * shares with alpha or beta, and a part of its own. The own part turns from one draw n to another
 * draw n' of the same law,
 *
 *     kappa(s) = r alpha + sqrt(1 - r^2) (cos(w s) n + sin(w s) n')
 *
 * and delta likewise. So on any one day the drives have the same variances and correlations as
 * without drift, and after s days a drive's own part has correlation cos(w s) with its first value.
 * Clicks and exposure do not drift. Nothing is stored from day to day, so any piece of a log can be
 * made independently, and p_cvr is exact at each impression's own time.
 *
 * Exposure is not uniform: users and items follow Zipf's law, and half of the impressions show the
 * better of two items for the user, as a recommender would.
 *
 * Users and items are kept in tables (96 and 44 bytes each), because an impression needs a dozen of
 * their numbers, and each number costs a logarithm and a cosine. Impressions are not kept.
 */
#include "synth_world.h"

#include <math.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tools/common/pipeline.h"

#define CHUNK          4096u  /* users or items per piece while building */
#define CALIBRATE      65536u /* impressions used to fit the intercepts */
#define CALIBRATE_PART 3u     /* the part of their sessions; no log has it */
#define SESSION_SIGMA  0.75
#define SESSION_MEAN   58.0

static double world_normal(const struct world *w, uint64_t a, enum synth_stream stream,
                           uint32_t k) {
    return rng_normal(w->config.seed, a, STREAM(stream, k));
}
static double world_unit(const struct world *w, uint64_t a, enum synth_stream stream, uint32_t k) {
    return rng_unit(w->config.seed, a, STREAM(stream, k));
}
static uint64_t world_below(const struct world *w, uint64_t a, enum synth_stream stream,
                            uint64_t n) {
    return rng_below(w->config.seed, a, STREAM(stream, 0), n);
}

double synth_weight(uint64_t seed, uint64_t a, uint64_t b) {
    return log1p(ceil(log(rng_unit(seed, a, b)) / log(0.7)));
}

double synth_affinity(const float *a, const float *b) {
    double sum = 0;
    for (uint32_t k = 0; k < LATENT_DIM; k++) {
        sum += (double)a[k] * (double)b[k];
    }
    return sum;
}

/* The factor of the own part, so that the variance is 1 with a correlation of r. */
static double own_part(double r) {
    return sqrt(1 - r * r);
}

/* Gives a standard normal with correlation r to x; x and noise are standard normal. */
static double blend_normals(double r, double x, double noise) {
    return r * x + own_part(r) * noise;
}

static uint8_t to_level(double x, uint32_t levels) {
    return (uint8_t)fmin(fmax(floor(x), 0), levels - 1.0);
}

/* --- users ------------------------------------------------------------------------------------ */

/* Uses Gumbel-top-k: samples categories without replacement, in proportion to exp(1.5 affinity). */
static void make_history(const struct world *w, uint32_t number, struct synth_user *u) {
    double best[HISTORY];
    uint32_t found = 0;
    for (uint32_t c = 0; c < w->categories; c++) {
        double taste = 1.5 * synth_affinity(u->theta, w->centroids[c]) -
                       log(-log(world_unit(w, number, S_TASTE, c)));
        uint32_t at = found < HISTORY ? found++ : HISTORY;
        for (; at > 0 && best[at - 1] < taste; at--) {
            if (at < HISTORY) {
                best[at] = best[at - 1];
                u->history[at] = u->history[at - 1];
            }
        }
        if (at < HISTORY) {
            best[at] = taste;
            u->history[at] = (uint16_t)c;
        }
    }
    for (uint32_t k = 0; k < HISTORY; k++) {
        u->weight[k] = (float)synth_weight(w->config.seed, number, STREAM(S_WEIGHT, k));
    }
}

static void make_user(const struct world *w, uint32_t number, struct synth_user *u) {
    const struct synth_config *c = &w->config;
    for (uint32_t k = 0; k < LATENT_DIM; k++) {
        u->theta[k] = (float)(world_normal(w, number, S_THETA, k) / sqrt(LATENT_DIM));
        u->theta2[k] = (float)(world_normal(w, number, S_THETA2, k) / sqrt(LATENT_DIM));
    }
    const double alpha = world_normal(w, number, S_ALPHA, 0);
    const double kappa = blend_normals(c->shared, alpha, world_normal(w, number, S_KAPPA, 0));
    u->alpha = (float)alpha;
    u->kappa = (float)kappa;
    u->turn =
        c->drift == 0 ? 0 : (float)(own_part(c->shared) * world_normal(w, number, S_KAPPA, 1));
    u->segment =
        to_level(10 + 4 * (0.5 * alpha + 0.9 * world_normal(w, number, S_SEGMENT, 0)), SEGMENTS);
    u->age = (uint8_t)world_below(w, number, S_AGE, AGES);
    u->gender = (uint8_t)world_below(w, number, S_GENDER, GENDERS);
    u->power = to_level(
        3 + 1.5 * blend_normals(c->power, kappa, world_normal(w, number, S_POWER, 0)), POWERS);
    if (c->shape == SHAPE_PLAIN) {
        make_history(w, number, u);
    }
}

/* --- items ------------------------------------------------------------------------------------ */

/* Gives draw k of an item's own appeal to conversions. */
static double item_noise(const struct world *w, uint32_t number, uint32_t shop, uint32_t k) {
    return 0.7 * world_normal(w, number, S_DELTA, k) + 0.7 * world_normal(w, shop, S_SHOP_DELTA, k);
}

static void make_item(const struct world *w, uint32_t number, struct synth_item *i) {
    const struct synth_config *c = &w->config;
    i->category = zipf_draw(&w->category_law, rng_u64(c->seed, number, STREAM(S_CATEGORY, 0)));
    i->shop = (uint32_t)world_below(w, number, S_SHOP, w->shops);
    i->brand = (uint32_t)world_below(w, number, S_BRAND, w->brands);
    for (uint32_t k = 0; k < LATENT_DIM; k++) {
        i->phi[k] =
            0.8f * w->centroids[i->category][k] + 0.6f * (float)world_normal(w, number, S_PHI, k);
    }
    const double beta =
        0.7 * world_normal(w, number, S_BETA, 0) + 0.7 * world_normal(w, i->shop, S_SHOP_BETA, 0);
    const double delta = blend_normals(c->shared, beta, item_noise(w, number, i->shop, 0));
    i->beta = (float)beta;
    i->delta = (float)delta;
    i->turn = c->drift == 0 ? 0 : (float)(own_part(c->shared) * item_noise(w, number, i->shop, 1));
    i->price = to_level(
        5 - 2.0 * blend_normals(c->price, delta, world_normal(w, number, S_PRICE, 0)), PRICES);
}

/* --- building --------------------------------------------------------------------------------- */

static uint32_t pieces_of(uint32_t n) {
    return (n + CHUNK - 1) / CHUNK;
}

struct building {
    struct world *world;
    uint32_t next; /* the next piece */
};

static enum status next_piece(void *arg, void *item) {
    struct building *b = arg;
    const struct synth_config *c = &b->world->config;
    if (b->next == pieces_of(c->users) + pieces_of(c->items)) {
        return ERR_CLOSED;
    }
    *(uint32_t *)item = b->next++;
    return OK;
}

static enum status build_piece(void *arg, void *item) {
    struct world *w = ((struct building *)arg)->world;
    const uint32_t piece = *(uint32_t *)item, user_pieces = pieces_of(w->config.users);
    const bool users = piece < user_pieces;
    const uint32_t n = users ? w->config.users : w->config.items;
    const uint32_t first = (users ? piece : piece - user_pieces) * CHUNK;
    for (uint32_t i = first; i < n && i - first < CHUNK; i++) {
        if (users) {
            make_user(w, i, &w->users[i]);
        } else {
            make_item(w, i, &w->items[i]);
        }
    }
    return OK;
}

static enum status build_centroids(struct world *w) {
    TRY(mem_array(&w->centroids, w->categories));
    TRY(mem_array(&w->centroids2, w->categories));
    for (uint32_t c = 0; c < w->categories; c++) {
        for (uint32_t k = 0; k < LATENT_DIM; k++) {
            w->centroids[c][k] = (float)world_normal(w, c, S_CENTROID, k);
            w->centroids2[c][k] = (float)world_normal(w, c, S_CENTROID2, k);
        }
    }
    return OK;
}

/* --- impressions ------------------------------------------------------------------------------ */

static uint8_t draw_scenario(const struct world *w, uint64_t session, uint32_t at) {
    const double u = world_unit(w, session, S_SCENARIO, at);
    return u < 0.6 ? 0 : u < 0.9 ? 1 : 2;
}

/* Draws an item by popularity. With probability 1/2 a second one is drawn, and it is taken if the
 * user likes it better. */
static uint32_t draw_item(const struct world *w, uint64_t session, uint32_t user, uint32_t at) {
    const uint64_t seed = w->config.seed;
    const float *theta = w->users[user].theta;
    const uint32_t item = zipf_draw(&w->item_law, rng_u64(seed, session, STREAM(S_ITEM, at)));
    if (world_unit(w, session, S_POLICY, at) < 0.5) {
        return item;
    }
    const uint32_t rival = zipf_draw(&w->item_law, rng_u64(seed, session, STREAM(S_RIVAL, at)));
    const double gain =
        synth_affinity(theta, w->items[rival].phi) - synth_affinity(theta, w->items[item].phi);
    return gain > 0 ? rival : item;
}

/* Turns the own part of `drive`, without what is shared, by an angle towards `turn`. */
static double turned(double shared, double drive, double turn, double angle) {
    return shared + cos(angle) * (drive - shared) + sin(angle) * turn;
}

double world_drives(const struct world *w, uint32_t user, uint32_t item, double day) {
    const struct synth_config *c = &w->config;
    const struct synth_user *u = &w->users[user];
    const struct synth_item *i = &w->items[item];
    const double angle = c->drift * day;
    if (c->drift == 0) {
        return (double)(u->kappa + i->delta);
    }
    return turned(c->shared * (double)u->alpha, (double)u->kappa, (double)u->turn, angle) +
           turned(c->shared * (double)i->beta, (double)i->delta, (double)i->turn, angle);
}

/* Computes mu_c and mu_v without their intercepts. */
static void world_scores(const struct world *w, const struct impression *x, double day,
                         double *mu_c, double *mu_v) {
    static const double click_scenario[SCENARIOS] = {0, 0.1, -0.1};
    static const double convert_scenario[SCENARIOS] = {0, -0.1, 0.2};
    const struct synth_config *c = &w->config;
    const struct synth_user *u = &w->users[x->user];
    const struct synth_item *i = &w->items[x->item];
    const double match = synth_affinity(u->theta, i->phi);
    *mu_c = c->sc * (double)(u->alpha + i->beta) + c->mc * match - 0.04 * x->position +
            click_scenario[x->scenario];
    *mu_v = c->sv * world_drives(w, x->user, x->item, day) + c->mv * match +
            convert_scenario[x->scenario];
    if (c->mx != 0) {
        *mu_v += c->mx * synth_affinity(u->theta2, w->centroids2[i->category]);
    }
}

/* Sets what is shown to whom, and where. In Ali-CCP's shape there is no field for the position, so
 * it has no effect. */
static void world_expose(const struct world *w, uint64_t session, uint32_t user, uint32_t at,
                         struct impression *x) {
    *x = (struct impression){.session = session, .user = user, .at = at};
    x->item = draw_item(w, session, user, at);
    x->scenario = draw_scenario(w, session, at);
    if (w->config.shape == SHAPE_PLAIN) {
        x->position =
            (uint8_t)rng_below(w->config.seed, session, STREAM(S_POSITION, at), POSITIONS);
    }
}

void world_impression(const struct world *w, uint64_t session, uint32_t user, uint32_t at,
                      double day, struct impression *x) {
    double mu_c, mu_v;
    world_expose(w, session, user, at, x);
    world_scores(w, x, day, &mu_c, &mu_v);
    mu_c += w->click_0;
    mu_v += w->convert_0;
    x->p_ctr = normal_phi(mu_c);
    x->p_cvr_do = normal_phi(mu_v);
    x->p_cvr = fmin(fmax(phi2(&w->phi2, mu_c, mu_v) / x->p_ctr, 1e-12), 1);
    const double e1 = world_normal(w, session, S_CLICK, at);
    const double e2 =
        blend_normals(w->config.confounding, e1, world_normal(w, session, S_CONVERT, at));
    x->click = e1 < mu_c;
    x->potential = e2 < mu_v;
    x->anomaly = !x->click && world_unit(w, session, S_ANOMALY, at) < w->config.anomalies;
}

/* --- sessions --------------------------------------------------------------------------------- */

/* The length is log-normal, rounded up: its mean is 58, and about one in a million is 1,200. */
uint32_t session_length(const struct world *w, uint64_t session) {
    const double median = (SESSION_MEAN - 0.5) * exp(-0.5 * SESSION_SIGMA * SESSION_SIGMA);
    const double x = median * exp(SESSION_SIGMA * world_normal(w, session, S_LENGTH, 0));
    return (uint32_t)fmin(ceil(x), SESSION_MAX);
}

uint32_t session_user(const struct world *w, uint64_t session) {
    return zipf_draw(&w->user_law, rng_u64(w->config.seed, session, STREAM(S_USER, 0)));
}

/* With seed and stream fixed, rng_u64 is a bijection of the session's key. */
uint64_t session_index(const struct world *w, uint64_t session) {
    return rng_u64(w->config.seed, session, STREAM(S_INDEX, 0));
}

/* --- intercepts ------------------------------------------------------------------------------- */

struct sample {
    double *mu_c, *mu_v;
};

static double mean_ctr(const struct sample *s, double intercept) {
    double sum = 0;
    for (uint32_t i = 0; i < CALIBRATE; i++) {
        sum += normal_phi(s->mu_c[i] + intercept);
    }
    return sum / CALIBRATE;
}

static double mean_cvr(const struct sample *s, const struct phi2 *rule, double click_0,
                       double convert_0) {
    double clicks = 0, conversions = 0;
    for (uint32_t i = 0; i < CALIBRATE; i++) {
        clicks += normal_phi(s->mu_c[i] + click_0);
        conversions += phi2(rule, s->mu_c[i] + click_0, s->mu_v[i] + convert_0);
    }
    return conversions / clicks;
}

/* Each mean grows with its intercept, so bisection finds both. */
static void solve_intercepts(struct world *w, const struct sample *s) {
    struct phi2 rule;
    phi2_init(&rule, w->config.confounding, PHI2_NODES_MAX / 2);
    double low = -12, high = 12;
    for (int step = 0; step < 30; step++) {
        const double middle = 0.5 * (low + high);
        *(mean_ctr(s, middle) < w->config.ctr ? &low : &high) = middle;
    }
    w->click_0 = 0.5 * (low + high);
    low = -12;
    high = 12;
    for (int step = 0; step < 20; step++) {
        const double middle = 0.5 * (low + high);
        *(mean_cvr(s, &rule, w->click_0, middle) < w->config.cvr ? &low : &high) = middle;
    }
    w->convert_0 = 0.5 * (low + high);
}

/* Uses one impression of each of many sessions, evenly over the days. They have the log's
 * distribution, but no clusters of one user. */
static enum status calibrate(struct world *w) {
    struct sample s = {0};
    enum status status = OK;
    TRY_OUT(mem_array(&s.mu_c, CALIBRATE));
    TRY_OUT(mem_array(&s.mu_v, CALIBRATE));
    for (uint32_t i = 0; i < CALIBRATE; i++) {
        const uint64_t session = session_key(CALIBRATE_PART, i);
        struct impression x;
        world_expose(w, session, session_user(w, session), 0, &x);
        world_scores(w, &x, w->config.days * i / CALIBRATE, &s.mu_c[i], &s.mu_v[i]);
    }
    solve_intercepts(w, &s);
out:
    mem_free(&s.mu_c);
    mem_free(&s.mu_v);
    return status;
}

/* --- the world -------------------------------------------------------------------------------- */

enum status world_init(struct world *w, const struct synth_config *config, uint32_t categories,
                       uint32_t shops, uint32_t brands) {
    const uint64_t seed = config->seed;
    enum status status = OK;
    *w = (struct world){
        .config = *config, .categories = categories, .shops = shops, .brands = brands};
    phi2_init(&w->phi2, config->confounding, PHI2_NODES_MAX);
    TRY_OUT(mem_array(&w->users, config->users));
    TRY_OUT(mem_array(&w->items, config->items));
    TRY_OUT(zipf_init(&w->user_law, config->users, config->user_skew, seed, STREAM(S_USER_LAW, 0)));
    TRY_OUT(zipf_init(&w->item_law, config->items, config->item_skew, seed, STREAM(S_ITEM_LAW, 0)));
    TRY_OUT(zipf_init(&w->category_law, categories, 0.5, seed, STREAM(S_CATEGORY_LAW, 0)));
    TRY_OUT(build_centroids(w));
    struct building building = {.world = w};
    const struct pipeline job = {.name = "synth",
                                 .threads = config->threads,
                                 .items = 3 * config->threads,
                                 .item_bytes = sizeof(uint32_t),
                                 .fill = next_piece,
                                 .work = build_piece,
                                 .arg = &building};
    TRY_OUT(pipeline_run(&job));
    TRY_OUT(calibrate(w));
out:
    if (status != OK) {
        world_fini(w);
    }
    return status;
}

void world_fini(struct world *w) {
    mem_free(&w->users);
    mem_free(&w->items);
    mem_free(&w->centroids);
    mem_free(&w->centroids2);
    zipf_fini(&w->user_law);
    zipf_fini(&w->item_law);
    zipf_fini(&w->category_law);
}
