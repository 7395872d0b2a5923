/* The time. */

#pragma once

#include <time.h>

#include "state.h"

/* What time.perf_counter_ns() gives, pipeline_inspector/clock.py. */
static long long
now(void)
{
#ifdef __linux__
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return moment.tv_sec * 1000000000LL + moment.tv_nsec;
#elif PY_VERSION_HEX >= 0x030D0000
    PyTime_t moment;
    return PyTime_PerfCounterRaw(&moment) < 0 ? 0 : moment;
#else
    return _PyTime_GetPerfCounter();
#endif
}

/* What time.time_ns() gives. */
static long long
wall_clock(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyTime_t moment;
    return PyTime_TimeRaw(&moment) < 0 ? 0 : moment;
#else
    return _PyTime_GetSystemClock();
#endif
}
