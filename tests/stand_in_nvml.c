/* A small libnvidia-ml.so.1 that the real Python bindings load in tests. Figures are made up.
   STAND_IN_MODE: ok, mig, noenergy, nodriver, noperm, lost. STAND_IN_WATTS: the constant draw. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, NO_PERMISSION = 4, INSUFFICIENT_SIZE = 7,
       DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };

typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2;
typedef struct { unsigned gpu, memory; } utilisation;
typedef struct { unsigned pid; unsigned long long used; unsigned gi, ci; } process_info;
typedef struct { uint32_t field, scope; int64_t when, latency; uint32_t type, ret;
                 union { double d; unsigned ui; unsigned long long ull; } value; } field_value;

static int is(const char *mode) {
    const char *set = getenv("STAND_IN_MODE");
    return strcmp(set ? set : "ok", mode) == 0;
}
static double watts(void) {
    const char *set = getenv("STAND_IN_WATTS");
    return set ? atof(set) : 650.0;
}
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}
static int lost(void) { return is("lost") ? GPU_IS_LOST : SUCCESS; }

int nvmlInitWithFlags(unsigned f) {
    (void)f;
    return is("nodriver") ? DRIVER_NOT_LOADED : is("noperm") ? NO_PERMISSION : SUCCESS;
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { (void)code; return "stand-in error"; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 1; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **h) { *h = (void *)(uintptr_t)(i + 1); return SUCCESS; }
int nvmlDeviceGetName(void *h, char *s, unsigned n) { (void)h; strncpy(s, "NVIDIA H100 80GB HBM3", n); return lost(); }
int nvmlDeviceGetUUID(void *h, char *s, unsigned n) { (void)h; strncpy(s, "GPU-stand-in", n); return SUCCESS; }
int nvmlSystemGetDriverVersion(char *s, unsigned n) { strncpy(s, "580.00", n); return SUCCESS; }
int nvmlDeviceGetMemoryInfo_v2(void *h, memory_v2 *m) {
    (void)h;
    m->total = 80ull << 30; m->used = 5ull << 30; m->free = 75ull << 30; m->reserved = 0;
    return lost();
}
int nvmlDeviceGetPowerUsage(void *h, unsigned *mw) { (void)h; *mw = (unsigned)(watts() * 1000); return lost(); }
int nvmlDeviceGetFieldValues(void *h, int n, field_value *v) {
    (void)h;
    for (int i = 0; i < n; i++) { v[i].ret = NOT_SUPPORTED; v[i].value.ull = 0; }
    return lost();
}
int nvmlDeviceGetTotalEnergyConsumption(void *h, unsigned long long *mj) {
    (void)h;
    *mj = (unsigned long long)(now() * watts() * 1000);
    return is("noenergy") || is("mig") ? NOT_SUPPORTED : lost();
}
int nvmlDeviceGetEnforcedPowerLimit(void *h, unsigned *mw) { (void)h; *mw = 700000; return lost(); }
int nvmlDeviceGetUtilizationRates(void *h, utilisation *u) {
    (void)h;
    u->gpu = 97; u->memory = 40;
    return is("mig") ? NOT_SUPPORTED : lost();
}
int nvmlDeviceGetClockInfo(void *h, int kind, unsigned *mhz) { (void)h; (void)kind; *mhz = 1755; return lost(); }
int nvmlDeviceGetMaxClockInfo(void *h, int kind, unsigned *mhz) { (void)h; (void)kind; *mhz = 1980; return lost(); }
int nvmlDeviceGetTemperature(void *h, int sensor, unsigned *c) { (void)h; (void)sensor; *c = 61; return lost(); }
int nvmlDeviceGetCurrentClocksEventReasons(void *h, unsigned long long *bits) { (void)h; *bits = 0x4; return lost(); }
int nvmlDeviceGetMigMode(void *h, unsigned *current, unsigned *pending) {
    (void)h;
    *current = *pending = is("mig");
    return lost();
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *h, unsigned *n, process_info *p) {
    (void)h;
    if (lost()) return lost();
    if (!p) { *n = 1; return INSUFFICIENT_SIZE; }
    *n = 1; p[0].pid = 4242; p[0].used = 3ull << 30; p[0].gi = p[0].ci = 0;
    return SUCCESS;
}
