// SPDX-License-Identifier: BSD-3-Clause
// TLS in Linux's way: TCP_ULP "tls", then level SOL_TLS with the structures of <linux/tls.h>. Errors are those of its net/tls.
#include <string.h>
#include <leat/tls.h>
#include "socket/socket.h"
#include "tls/rx.h"

static const char ulp_name[] = "tls";

/* The structures differ in the sizes of their four fields only, which stand one behind the other. */
struct cipher_shape {
    uint16_t id;
    int algorithm;
    uint8_t iv, key, salt;
};

static const struct cipher_shape shapes[] = {
    {TLS_CIPHER_AES_GCM_128, CRYPTO_AES_NIST_GCM_16, 8, 16, 4},
    {TLS_CIPHER_AES_GCM_256, CRYPTO_AES_NIST_GCM_16, 8, 32, 4},
    {TLS_CIPHER_AES_CCM_128, CRYPTO_AES_CCM_16, 8, 16, 4},
    {TLS_CIPHER_CHACHA20_POLY1305, CRYPTO_CHACHA20_POLY1305, 12, 32, 0},
};

#define HEAD      sizeof(struct tls_crypto_info)
#define REC_SEQ   8u
#define INFO_MAX  sizeof(struct tls12_crypto_info_aes_gcm_256)
#define VERSION_0 0x0300

static size_t info_size(const struct cipher_shape *c)
{
    return HEAD + c->iv + c->key + c->salt + REC_SEQ;
}

static const struct cipher_shape *shape_by_id(uint16_t id)
{
    for (unsigned i = 0; i < RTE_DIM(shapes); i++)
        if (shapes[i].id == id)
            return &shapes[i];
    return NULL;
}

/* What a session would be called here. NULL: AES-256-CCM and CBC have no name. */
static const struct cipher_shape *shape_of(const struct tls_session *s)
{
    static const int algorithms[TLS_SUITES] = {[TLS_SUITE_GCM] = CRYPTO_AES_NIST_GCM_16,
                                               [TLS_SUITE_CHACHA20] = CRYPTO_CHACHA20_POLY1305,
                                               [TLS_SUITE_CCM] = CRYPTO_AES_CCM_16};
    for (unsigned i = 0; i < RTE_DIM(shapes); i++)
        if (shapes[i].algorithm == algorithms[s->suite] && shapes[i].key == s->key_len)
            return &shapes[i];
    return NULL;
}

/* ---- TCP_ULP ---- */

static int set_ulp(struct socket *so, const char *name, socklen_t len)
{
    size_t n = strnlen(name, len);
    if (len == 0)
        return -EINVAL;
    if (n != strlen(ulp_name) || memcmp(name, ulp_name, n) != 0 || !so->file.layer->e->tls->params.enable)
        return -ENOENT;
    if (so->tls_ulp || so->tls_tx || so->tls_rx)
        return -EEXIST;
    if (so->listening || !so->connected || !so->tp || so->tp->state == TCPS_CLOSED)
        return -ENOTCONN;
    so->tls_ulp = true;
    return 0;
}

/* ---- TLS_TX, TLS_RX ---- */

struct crypto_info {
    const struct cipher_shape *c;
    struct tls_crypto_info head;
    uint8_t nonce[16]; /* salt, IV */
    uint8_t key[32];
    uint8_t rec_seq[REC_SEQ];
};

static int read_info(const void *val, socklen_t len, struct crypto_info *info)
{
    const uint8_t *p = val;
    if (len < HEAD)
        return -EINVAL;
    memcpy(&info->head, p, HEAD);
    info->c = shape_by_id(info->head.cipher_type);
    if ((info->head.version != TLS_1_2_VERSION && info->head.version != TLS_1_3_VERSION) || !info->c ||
        len != info_size(info->c))
        return -EINVAL;
    p += HEAD;
    memcpy(info->nonce + info->c->salt, p, info->c->iv);
    p += info->c->iv;
    memcpy(info->key, p, info->c->key);
    p += info->c->key;
    memcpy(info->nonce, p, info->c->salt);
    p += info->c->salt;
    memcpy(info->rec_seq, p, REC_SEQ);
    return 0;
}

static struct tls_enable enable_of(const struct crypto_info *info)
{
    bool is_12 = info->head.version == TLS_1_2_VERSION;
    struct tls_enable en = {
        .cipher_key = info->key,
        .iv = info->nonce,
        .cipher_algorithm = info->c->algorithm,
        .cipher_key_len = info->c->key,
        .iv_len = is_12 && info->c->salt ? info->c->salt : info->c->salt + info->c->iv,
        .tls_vmajor = TLS_MAJOR_VER_ONE,
        .tls_vminor = is_12 ? TLS_MINOR_VER_TWO : TLS_MINOR_VER_THREE,
    };
    memcpy(en.rec_seq, info->rec_seq, REC_SEQ);
    return en;
}

static bool same_suite(const struct tls_session *s, const struct crypto_info *info)
{
    return VERSION_0 + s->vminor == info->head.version && shape_of(s) == info->c;
}

/* Both directions have one version and cipher; TLS 1.3 alone changes keys. */
static int agrees(const struct tls_session *mine, const struct tls_session *other,
                  const struct crypto_info *info)
{
    if (mine && (mine->vminor != TLS_MINOR_VER_THREE))
        return -EBUSY;
    return (mine && !same_suite(mine, info)) || (other && !same_suite(other, info)) ? -EINVAL : 0;
}

/* TLS 1.2's explicit nonces go on from the one that is given: the library may have used those before it. */
static void go_on_from(struct tls_session *s, const struct crypto_info *info)
{
    uint64_t first = 0;
    for (unsigned i = 0; i < 8; i++)
        first = first << 8 | info->nonce[info->c->salt + i];
    if (info->head.version == TLS_1_2_VERSION && info->c->salt)
        s->nonce_base = first - s->seq;
}

static int enable_info(struct socket *so, bool tx, const struct crypto_info *info)
{
    const struct tls_session *out = so->tls_tx ? so->tls_tx->s : NULL,
                             *in = so->tls_rx ? so->tls_rx->s : NULL;
    int err = tx ? agrees(out, in, info) : agrees(in, out, info);
    if (err)
        return err;
    struct tls_enable en = enable_of(info);
    if (!tx) {
        err = socket_tls_enable_rx(so, &en, NULL, 0);
        return err == -EALREADY ? -EBUSY : err; /* no KeyUpdate has come */
    }
    struct tls_session *s;
    err = socket_tls_enable_tx(so, &en, &s);
    if (!err)
        go_on_from(s, info);
    return err;
}

static int set_info(struct socket *so, bool tx, const void *val, socklen_t len)
{
    struct crypto_info info = {0};
    int err = read_info(val, len, &info);
    if (!err)
        err = enable_info(so, tx, &info);
    explicit_bzero(&info, sizeof(info));
    return err;
}

static int read_switch(const void *val, socklen_t len, bool *on)
{
    int v;
    if (len != sizeof(v))
        return -EINVAL;
    memcpy(&v, val, sizeof(v));
    if (v != 0 && v != 1)
        return -EINVAL;
    *on = v;
    return 0;
}

static bool is_13(const struct socket *so)
{
    return so->tls_rx && so->tls_rx->s->vminor == TLS_MINOR_VER_THREE;
}

int socket_ulp_setopt(struct socket *so, int level, int name, const void *val, socklen_t len)
{
    if (level == IPPROTO_TCP)
        return set_ulp(so, val, len);
    if (!so->tls_ulp)
        return -ENOPROTOOPT;
    switch (name) {
    case TLS_TX:
    case TLS_RX:
        return set_info(so, name == TLS_TX, val, len);
    case TLS_TX_ZEROCOPY_RO: /* a record has its own buffer in software mode: nothing changes */
        return read_switch(val, len, &so->tls_zerocopy_ro);
    case TLS_RX_EXPECT_NO_PAD: /* a promise of the peer's; padding is found all the same */
        return is_13(so) ? read_switch(val, len, &so->tls_no_pad) : -EINVAL;
    default:
        return -ENOPROTOOPT;
    }
}

static int give(void *val, socklen_t *len, const void *from, size_t size)
{
    if (*len > size)
        *len = (socklen_t)size;
    memcpy(val, from, *len);
    return 0;
}

/* Version and cipher; with room for all of it the number of the next record too. Keys are not given back: those bytes are 0. */
static int get_info(const struct tls_session *s, void *val, socklen_t *len)
{
    uint8_t info[INFO_MAX] = {0};
    if (*len < HEAD)
        return -EINVAL;
    if (!s)
        return -EBUSY;
    const struct cipher_shape *c = shape_of(s);
    if (!c || (*len != HEAD && *len < info_size(c)))
        return -EINVAL;
    struct tls_crypto_info head = {.version = (uint16_t)(VERSION_0 + s->vminor), .cipher_type = c->id};
    memcpy(info, &head, HEAD);
    for (unsigned i = 0; i < REC_SEQ; i++)
        info[info_size(c) - 1 - i] = (uint8_t)(s->seq >> 8 * i);
    return give(val, len, info, *len == HEAD ? HEAD : info_size(c));
}

int socket_ulp_getopt(const struct socket *so, int level, int name, void *val, socklen_t *len)
{
    int on = name == TLS_TX_ZEROCOPY_RO ? so->tls_zerocopy_ro : so->tls_no_pad;
    if (level == IPPROTO_TCP)
        return give(val, len, ulp_name, so->tls_ulp ? sizeof(ulp_name) : 0);
    if (!so->tls_ulp)
        return -ENOPROTOOPT;
    switch (name) {
    case TLS_TX:
        return get_info(so->tls_tx ? so->tls_tx->s : NULL, val, len);
    case TLS_RX:
        return get_info(so->tls_rx ? so->tls_rx->s : NULL, val, len);
    case TLS_RX_EXPECT_NO_PAD:
        if (!is_13(so))
            return -EINVAL;
        /* fall through */
    case TLS_TX_ZEROCOPY_RO:
        return *len < sizeof(on) ? -EINVAL : give(val, len, &on, sizeof(on));
    default:
        return -ENOPROTOOPT;
    }
}
