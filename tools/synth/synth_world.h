/* synth_world.h - defines the users, the items, and what follows from them for an impression.
 *
 * Everything is a function of the configuration, the seed and a number (of a user, an item, a
 * session, or an impression in it). So any thread can make any piece of a log without the others. A
 * built world is read-only.
 */
#pragma once

#include "common/base/status.h"
#include "synth_config.h"
#include "synth_normal.h"
#include "synth_zipf.h"

#define LATENT_DIM     4u
#define HISTORY        8u /* categories in a user's history */
#define SEGMENTS       20u
#define AGES           8u
#define GENDERS        3u
#define POWERS         6u
#define PRICES         10u
#define POSITIONS      10u
#define SCENARIOS      3u
#define SESSION_MAX    1200u /* impressions */
#define SESSION_NUMBER ((uint64_t)1 << 40)

struct synth_user {
    float theta[LATENT_DIM];  /* taste */
    float theta2[LATENT_DIM]; /* taste that affects conversions only (mx) */
    float alpha, kappa;       /* drive to click, drive to convert */
    float turn;               /* kappa drifts towards it: world_drives; 0 without drift */
    uint8_t segment, age, gender, power;
    uint16_t history[HISTORY]; /* categories, nearest first; SHAPE_PLAIN only */
    float weight[HISTORY];
};
struct synth_item {
    float phi[LATENT_DIM]; /* its position, near its category's centroid */
    float beta, delta;     /* appeal to clicks, to conversions */
    float turn;            /* delta drifts towards it */
    uint32_t category, shop, brand;
    uint8_t price;
};

struct world {
    struct synth_config config;
    uint32_t categories, shops, brands;
    struct synth_user *users;
    struct synth_item *items;
    float (*centroids)[LATENT_DIM], (*centroids2)[LATENT_DIM]; /* per category */
    struct zipf user_law, item_law, category_law;
    struct phi2 phi2;
    double click_0, convert_0; /* intercepts that give the wanted CTR and CVR */
};
/* ERR_MEMORY; ERR_CLOSED by a stop signal. categories, shops, brands > 0. */
enum status world_init(struct world *w, const struct synth_config *config, uint32_t categories,
                       uint32_t shops, uint32_t brands);
void world_fini(struct world *w); /* safe on a zeroed struct */

/* A session's key selects its random numbers. It is made of the part (0 train, 1 eval) and a number
 * below SESSION_NUMBER. */
static inline uint64_t session_key(uint32_t part, uint64_t number) {
    return part * SESSION_NUMBER + number;
}
uint32_t session_length(const struct world *w, uint64_t session); /* 1..SESSION_MAX */
uint32_t session_user(const struct world *w, uint64_t session);
uint64_t session_index(const struct world *w, uint64_t session); /* common index; all different */

struct impression {
    uint64_t session;
    uint32_t at; /* its index in the session */
    uint32_t user, item;
    uint8_t position, scenario;
    bool click, potential; /* potential: converts if clicked */
    bool anomaly;          /* logged as a conversion without a click */
    double p_ctr, p_cvr, p_cvr_do;
};
/* Makes impression `at` of a session of `user`, `day` days after the log's beginning. */
void world_impression(const struct world *w, uint64_t session, uint32_t user, uint32_t at,
                      double day, struct impression *out);
/* kappa_u + delta_i on that day. */
double world_drives(const struct world *w, uint32_t user, uint32_t item, double day);

/* The streams of random numbers. rng_u64 gets STREAM(name, k) as `b`, and the number of the user,
 * item, session or the like as `a`. */
enum synth_stream {
    S_THETA,
    S_THETA2,
    S_ALPHA,
    S_KAPPA,
    S_SEGMENT,
    S_AGE,
    S_GENDER,
    S_POWER,
    S_TASTE,
    S_WEIGHT,
    S_PHI,
    S_CATEGORY,
    S_SHOP,
    S_BRAND,
    S_BETA,
    S_DELTA,
    S_PRICE,
    S_CENTROID,
    S_CENTROID2,
    S_SHOP_BETA,
    S_SHOP_DELTA,
    S_USER_LAW,
    S_ITEM_LAW,
    S_CATEGORY_LAW,
    S_LENGTH,
    S_USER,
    S_INDEX,
    S_ITEM,
    S_RIVAL,
    S_POLICY,
    S_POSITION,
    S_SCENARIO,
    S_CLICK,
    S_CONVERT,
    S_ANOMALY,
    S_ORDER,
    S_BAG_SIZE,
    S_BAG,
    S_BAG_RIVAL,
    S_BAG_WEIGHT,
    S_MISSING,
    S_CROSS,
    S_CLICK_DELAY,
    S_DELAY,
    S_DELAY_FAST,
    S_DELAY_AGE,
    S_DELAY_CATEGORY
};
#define STREAM(name, k) ((uint64_t)(name) << 32 | (uint64_t)(k))

/* log(1 + g), g geometric with p = 0.3, like the weights in Ali-CCP's histories (0.69315, 1.09861,
 * ...) */
double synth_weight(uint64_t seed, uint64_t a, uint64_t b);
double synth_affinity(const float *a, const float *b); /* dot product of LATENT_DIM */
