// SPDX-License-Identifier: BSD-3-Clause
// F-RTO (RFC 5682): after a timeout only the first segment goes again, then new data. If ACKs go on advancing, nothing was lost and
// the timeout was a mistake; a duplicate ACK says that it was not.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum frto_step { FRTO_OFF, FRTO_HEAD_SENT, FRTO_NEW_SENT };

/* What to do after an ACK. */
enum frto_verdict {
    FRTO_NOTHING,
    FRTO_SEND_NEW, /* two new segments, none again (§2.1 step 2b) */
    FRTO_LOST,     /* everything from snd_una on goes again (step 2a, 3a) */
    FRTO_SPURIOUS, /* the timeout was a mistake (step 3b) */
};

static inline enum frto_verdict frto_acked(uint8_t *step, bool advanced, bool duplicate, bool all,
                                           bool can_send_new)
{
    enum frto_verdict v = FRTO_NOTHING;
    if (*step == FRTO_OFF || !(advanced || duplicate))
        return v;
    if (duplicate || all)
        v = FRTO_LOST;
    else if (*step == FRTO_NEW_SENT)
        v = FRTO_SPURIOUS;
    else
        v = can_send_new ? FRTO_SEND_NEW : FRTO_LOST;
    *step = v == FRTO_SEND_NEW ? FRTO_NEW_SENT : FRTO_OFF;
    return v;
}
