// SPDX-License-Identifier: BSD-3-Clause
// The port over real DPDK devices without hardware: two queues of net_ring back to back, and net_null.
#include <rte_dev.h>
#include "fake.h"
#include "port/ethdev/ethdev.h"

static uint16_t vdev(const char *name, const char *args)
{
    uint16_t id;

    assert_int_equal(rte_eal_hotplug_add("vdev", name, args), 0);
    assert_int_equal(rte_eth_dev_get_port_by_name(name, &id), 0);
    return id;
}

static struct port *open_port(uint16_t id, uint16_t queues, uint16_t mtu, char *err)
{
    struct rte_mempool *pools[2] = {fake_pool, fake_pool};
    struct ethdev_options opt = {.queues = queues, .mtu = mtu, .pools = pools};

    opt.rx_offloads_off = RTE_ETH_RX_OFFLOAD_SCATTER;
    return ethdev_open(id, &opt, err, 256);
}

static void ring_port_carries_frames(void **state)
{
    char err[256] = "";
    uint16_t id = vdev("net_ring0", "");
    struct port *p = open_port(id, 2, 1500, err);
    struct rte_mbuf *m = fake_frame(&fake_mac, RTE_ETHER_TYPE_IPV4, 46), *got[4];

    assert_non_null(p);
    assert_int_equal(ethdev_id(p), id);
    assert_true(p->queues >= 1);
    assert_int_equal(p->mtu, 1500);
    assert_true(p->tx_seg_max >= 1);
    assert_true(p->ops->link_up(p));
    assert_int_equal(p->ops->tx_prepare(p, 0, &m, 1), 1);
    assert_int_equal(p->ops->tx_burst(p, 0, &m, 1), 1);
    assert_int_equal(p->ops->rx_burst(p, 0, got, 4), 1);
    assert_ptr_equal(got[0], m);
    rte_pktmbuf_free(m);
    p->ops->close(p);
    assert_int_equal(fake_pool_used(), 0);
}

static void mtu_beyond_the_buffers_is_refused_in_words(void **state)
{
    char err[256] = "";
    uint16_t id = vdev("net_ring1", "");

    assert_null(open_port(id, 1, 9000, err));
    assert_int_equal(errno, EINVAL);
    assert_non_null(strstr(err, "net_ring1"));
    assert_non_null(strstr(err, "mtu 9000"));
}

/* Queues as many as the device has, and no claim to RSS where the table can't be read. */
static void null_port_has_queues(void **state)
{
    char err[256] = "";
    struct port *p = open_port(vdev("net_null0", "no-rx=1"), 2, 0, err);

    assert_non_null(p);
    assert_int_equal(p->queues, 2);
    assert_int_equal(p->mtu, 1500);
    for (uint16_t i = 0; i < p->reta_size; i++)
        assert_true(p->reta[i] < p->queues);
    p->ops->close(p);
}

static void groups_are_joined_or_all_taken(void **state)
{
    char err[256] = "";
    struct port *p = open_port(vdev("net_ring2", ""), 1, 0, err);
    struct rte_ether_addr group = {{0x33, 0x33, 0, 0, 0, 1}};

    assert_non_null(p);
    assert_int_equal(p->ops->join(p, &group, true), 0);
    assert_int_equal(p->ops->join(p, &group, true), 0);
    assert_int_equal(p->ops->join(p, &group, false), 0);
    p->ops->close(p);
}

static void unknown_device_is_refused(void **state)
{
    char err[256] = "";

    assert_null(open_port(77, 1, 0, err));
    assert_string_not_equal(err, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring_port_carries_frames),
        cmocka_unit_test(mtu_beyond_the_buffers_is_refused_in_words),
        cmocka_unit_test(null_port_has_queues),
        cmocka_unit_test(groups_are_joined_or_all_taken),
        cmocka_unit_test(unknown_device_is_refused),
    };

    return cmocka_run_group_tests(tests, fake_eal, NULL);
}
