// SPDX-License-Identifier: BSD-3-Clause
// The crypto devices of this process: as many queue pairs as threads may want, started when the first session asks.
#include <pthread.h>
#include <stdio.h>
#include <rte_errno.h>
#include "base/alloc.h"
#include "cipher/cryptodev/priv.h"

static struct cdev devices[CDEV_DEVICES];
static unsigned n_devices;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_uint threads_seen;
static __thread unsigned my_number; /* 1 on; 0: has not asked yet */

static bool pools_make(struct cdev *d)
{
    char name[RTE_MEMPOOL_NAMESIZE];
    snprintf(name, sizeof(name), "leat_cdev%u_sess", d->id);
    uint32_t size = rte_cryptodev_sym_get_private_session_size(d->id);
    d->sessions = rte_cryptodev_sym_session_pool_create(name, CDEV_SESSIONS, size, 0, 0, SOCKET_ID_ANY);
    snprintf(name, sizeof(name), "leat_cdev%u_ops", d->id);
    d->ops = rte_crypto_op_pool_create(name, RTE_CRYPTO_OP_TYPE_SYMMETRIC, (uint32_t)d->n_pairs * CDEV_DEPTH,
                                       0, sizeof(struct cdev_op), SOCKET_ID_ANY);
    return d->sessions && d->ops;
}

static bool pair_make(struct cdev *d, uint16_t i)
{
    struct cdev_pair *p = &d->pairs[i];
    const struct rte_cryptodev_qp_conf conf = {.nb_descriptors = 4 * CDEV_DEPTH, .mp_session = d->sessions};
    p->id = i;
    rte_spinlock_init(&p->lock);
    return rte_cryptodev_queue_pair_setup(d->id, i, &conf, SOCKET_ID_ANY) == 0 &&
           rte_crypto_op_bulk_alloc(d->ops, RTE_CRYPTO_OP_TYPE_SYMMETRIC, p->ops, CDEV_DEPTH) == CDEV_DEPTH;
}

static bool device_start(struct cdev *d, uint8_t id)
{
    struct rte_cryptodev_info info;
    rte_cryptodev_info_get(id, &info);
    if (!(info.feature_flags & RTE_CRYPTODEV_FF_SYMMETRIC_CRYPTO))
        return false;
    d->id = id;
    d->n_pairs = info.max_nb_queue_pairs && info.max_nb_queue_pairs < CDEV_PAIRS
                     ? (uint16_t)info.max_nb_queue_pairs
                     : CDEV_PAIRS;
    struct rte_cryptodev_config conf = {.socket_id = SOCKET_ID_ANY,
                                        .nb_queue_pairs = d->n_pairs,
                                        .ff_disable =
                                            RTE_CRYPTODEV_FF_ASYMMETRIC_CRYPTO | RTE_CRYPTODEV_FF_SECURITY};
    if (rte_cryptodev_configure(id, &conf) != 0 || !pools_make(d))
        return false;
    for (uint16_t i = 0; i < d->n_pairs; i++)
        if (!pair_make(d, i))
            return false;
    return rte_cryptodev_start(id) == 0;
}

static void devices_start(void)
{
    uint8_t n = rte_cryptodev_count();
    for (uint8_t id = 0; n > 0 && id < RTE_CRYPTO_MAX_DEVS && n_devices < CDEV_DEVICES; id++) {
        if (!rte_cryptodev_is_valid_dev(id))
            continue;
        n--;
        if (device_start(&devices[n_devices], id)) {
            n_devices++;
            continue;
        }
        rte_mempool_free(devices[n_devices].sessions);
        rte_mempool_free(devices[n_devices].ops);
        devices[n_devices].sessions = devices[n_devices].ops = NULL;
    }
}

struct cdev *cdev_at(unsigned i)
{
    pthread_once(&once, devices_start);
    return i < n_devices ? &devices[i] : NULL;
}

struct cdev_pair *cdev_my_pair(struct cdev *d)
{
    if (my_number == 0)
        my_number = atomic_fetch_add(&threads_seen, 1) + 1;
    return &d->pairs[(my_number - 1) % d->n_pairs];
}

void cdev_give_up(struct cdev *d)
{
    if (!atomic_exchange(&d->failed, true))
        rte_cryptodev_stop(d->id);
}
