// SPDX-License-Identifier: BSD-3-Clause
// Digests by libcrypto. One context for each algorithm and engine, keyed anew for each segment.
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <rte_byteorder.h>
#include <string.h>
#include "tcp/auth/keys.h"

static bool prepare_md5(struct auth_layer *l)
{
    if (!l->md5)
        l->md5 = EVP_MD_fetch(NULL, "MD5", NULL);
    if (l->md5 && !l->md_ctx)
        l->md_ctx = EVP_MD_CTX_new();
    return l->md_ctx != NULL;
}

static EVP_MAC_CTX *mac_new(const char *name, const char *param, const char *value)
{
    OSSL_PARAM params[2] = {OSSL_PARAM_construct_utf8_string(param, (char *)(uintptr_t)value, 0),
                            OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, name, NULL);
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac); /* ctx holds it */
    if (ctx && EVP_MAC_CTX_set_params(ctx, params) != 1) {
        EVP_MAC_CTX_free(ctx);
        ctx = NULL;
    }
    return ctx;
}

bool auth_alg_prepare(struct auth_layer *l, enum auth_alg alg)
{
    if (alg == AUTH_MD5)
        return prepare_md5(l);
    if (l->mac[alg])
        return true;
    if (alg == AUTH_AES_CMAC)
        l->mac[alg] = mac_new("CMAC", OSSL_MAC_PARAM_CIPHER, "AES-128-CBC");
    else
        l->mac[alg] = mac_new("HMAC", OSSL_MAC_PARAM_DIGEST, alg == AUTH_HMAC_SHA1 ? "SHA1" : "SHA256");
    return l->mac[alg] != NULL;
}

bool auth_mac(struct auth_layer *l, enum auth_alg alg, const void *key, uint32_t keylen,
              const struct auth_piece *pieces, unsigned n, const struct rte_mbuf *m, uint32_t skip,
              uint8_t *out, uint32_t *len)
{
    EVP_MAC_CTX *ctx = l->mac[alg];
    size_t outlen = 0;
    if (EVP_MAC_init(ctx, key, keylen, NULL) != 1)
        return false;
    for (unsigned i = 0; i < n; i++)
        if (EVP_MAC_update(ctx, pieces[i].data, pieces[i].len) != 1)
            return false;
    for (; m; m = m->next) {
        uint32_t off = skip < m->data_len ? skip : m->data_len;
        if (EVP_MAC_update(ctx, rte_pktmbuf_mtod_offset(m, const uint8_t *, off), m->data_len - off) != 1)
            return false;
        skip -= off;
    }
    if (EVP_MAC_final(ctx, out, &outlen, AUTH_TRAFFIC_MAX) != 1)
        return false;
    *len = (uint32_t)outlen;
    return true;
}

bool auth_md5(struct auth_layer *l, const struct auth_piece *pieces, unsigned n, const struct rte_mbuf *m,
              uint32_t skip, const struct auth_key *key, uint8_t *out)
{
    EVP_MD_CTX *ctx = l->md_ctx;
    if (EVP_DigestInit_ex2(ctx, l->md5, NULL) != 1)
        return false;
    for (unsigned i = 0; i < n; i++)
        if (EVP_DigestUpdate(ctx, pieces[i].data, pieces[i].len) != 1)
            return false;
    for (; m; m = m->next) {
        uint32_t off = skip < m->data_len ? skip : m->data_len;
        if (EVP_DigestUpdate(ctx, rte_pktmbuf_mtod_offset(m, const uint8_t *, off), m->data_len - off) != 1)
            return false;
        skip -= off;
    }
    return EVP_DigestUpdate(ctx, key->key, key->keylen) == 1 && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
}

unsigned auth_pseudo_header(const struct ip_addr *src, const struct ip_addr *dst, uint32_t len, uint8_t *out)
{
    if (ip_addr_is_v4(src)) {
        uint16_t len_be = rte_cpu_to_be_16((uint16_t)len);
        memcpy(out, src->b + 12, 4);
        memcpy(out + 4, dst->b + 12, 4);
        out[8] = 0;
        out[9] = IPPROTO_TCP;
        memcpy(out + 10, &len_be, 2);
        return 12;
    }
    uint32_t tail[2] = {rte_cpu_to_be_32(len), rte_cpu_to_be_32(IPPROTO_TCP)};
    memcpy(out, src->b, 16);
    memcpy(out + 16, dst->b, 16);
    memcpy(out + 32, tail, 8);
    return 40;
}
