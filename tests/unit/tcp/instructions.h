// SPDX-License-Identifier: BSD-3-Clause
// Counts the instructions that this thread executes, one trap each: exact, the same on every machine, and without a performance counter. x86-64 only.
#pragma once
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define INSTRUCTIONS_COUNTED true
#else
#define INSTRUCTIONS_COUNTED false /* elsewhere, and where the sanitizer's own would count */
#endif

static volatile uint64_t instructions;

static void instructions_trap(int sig)
{
    instructions++;
}

/* The trap flag (Intel SDM 3A §2.3); 128 bytes below the stack pointer are the compiler's. */
static inline void instructions_begin(void)
{
    instructions = 0;
#if INSTRUCTIONS_COUNTED
    signal(SIGTRAP, instructions_trap);
    __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; orl $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
                         : "memory", "cc");
#endif
}

static inline uint64_t instructions_end(void)
{
#if INSTRUCTIONS_COUNTED
    __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; andl $~0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
                         : "memory", "cc");
#endif
    return instructions;
}
