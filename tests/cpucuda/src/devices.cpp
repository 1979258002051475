// The CUDA runtime on a CPU: devices, access between them, errors, and what is counted and logged.
#include "runtime.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unistd.h>

namespace cpucuda {

std::recursive_mutex mutex_;
static thread_local int device_ = 0;
static thread_local int last_error_ = 0;
static std::map<int, int> illness_;
static std::set<std::pair<int, int>> peers_;  // (who, whose memory)
static std::map<std::string, long> counters_;

long setting(const char* name, long otherwise) {
    const char* text = getenv(name);
    return text && *text ? atol(text) : otherwise;
}

bool lazy() {
    static const bool is = setting("CPUCUDA_LAZY", 0);
    return is;
}

int device_count() {
    static const int n = (int)setting("CPUCUDA_DEVICES", 1);
    return n;
}

int current_device() { return device_; }

void count(const char* event) {
    Lock lock(mutex_);
    counters_[event]++;
}

void note(const char* format, ...) {
    static const char* path = getenv("CPUCUDA_LOG");
    static const bool loud = setting("CPUCUDA_VERBOSE", 0);
    if (!path && !loud) return;
    char line[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    if (loud) fprintf(stderr, "cpucuda: %s\n", line);
    if (!path) return;
    if (FILE* file = fopen(path, "a")) {
        fprintf(file, "%d %s\n", (int)getpid(), line);
        fclose(file);
    }
}

cudaError_t fail(int error) {
    if (error) last_error_ = error;
    return (cudaError_t)error;
}

int illness(int device) {
    Lock lock(mutex_);
    auto it = illness_.find(device);
    return it == illness_.end() ? 0 : it->second;
}

void fall_ill(int device) {
    Lock lock(mutex_);
    illness_[device] = cudaErrorIllegalAddress;
}

bool may_access(int device, const void* address) {
    Lock lock(mutex_);
    int owner = owner_of(address);
    return owner < 0 || owner == device || peers_.count({device, owner});
}

static bool is_device(int device) { return device >= 0 && device < device_count(); }

static bool peers_possible(int device, int peer) {
    return is_device(device) && is_device(peer) && device != peer && setting("CPUCUDA_PEERS", 0);
}

}  // namespace cpucuda
using namespace cpucuda;

// Errors ---------------------------------------------------------------------------------------------

static const std::map<int, std::pair<const char*, const char*>> errors_ = {
    {0, {"cudaSuccess", "no error"}},
    {1, {"cudaErrorInvalidValue", "invalid argument"}},
    {2, {"cudaErrorMemoryAllocation", "out of memory"}},
    {35, {"cudaErrorInsufficientDriver", "CUDA driver version is insufficient for CUDA runtime version"}},
    {100, {"cudaErrorNoDevice", "no CUDA-capable device is detected"}},
    {101, {"cudaErrorInvalidDevice", "invalid device ordinal"}},
    {217, {"cudaErrorPeerAccessUnsupported", "peer access is not supported between these two devices"}},
    {400, {"cudaErrorInvalidResourceHandle", "invalid resource handle"}},
    {600, {"cudaErrorNotReady", "device not ready"}},
    {700, {"cudaErrorIllegalAddress", "an illegal memory access was encountered"}},
    {704, {"cudaErrorPeerAccessAlreadyEnabled", "peer access is already enabled"}},
    {705, {"cudaErrorPeerAccessNotEnabled", "peer access has not been enabled"}},
    {801, {"cudaErrorNotSupported", "operation not supported"}},
    {900, {"cudaErrorStreamCaptureUnsupported", "operation not permitted when stream is capturing"}},
    {901, {"cudaErrorStreamCaptureInvalidated", "operation failed due to a previous error during capture"}},
    {904, {"cudaErrorStreamCaptureUnjoined", "capturing stream has unjoined work"}},
    {905, {"cudaErrorStreamCaptureIsolation", "dependency created on uncaptured work in another stream"}},
    {906, {"cudaErrorStreamCaptureImplicit",
           "operation would make the legacy stream depend on a capturing blocking stream"}},
    {907, {"cudaErrorCapturedEvent", "operation not permitted on an event last recorded in a capturing stream"}},
};

API const char* cudaGetErrorName(cudaError_t error) {
    auto it = errors_.find(error);
    return it == errors_.end() ? "cudaErrorUnknown" : it->second.first;
}
API const char* cudaGetErrorString(cudaError_t error) {
    auto it = errors_.find(error);
    return it == errors_.end() ? "unknown error" : it->second.second;
}
API cudaError_t cudaPeekAtLastError() { return (cudaError_t)last_error_; }
API cudaError_t cudaGetLastError() {
    int error = last_error_;
    last_error_ = 0;
    return (cudaError_t)error;
}

// Devices --------------------------------------------------------------------------------------------

API cudaError_t cudaDriverGetVersion(int* version) { *version = 13000; return cudaSuccess; }
API cudaError_t cudaRuntimeGetVersion(int* version) { *version = 13000; return cudaSuccess; }
API cudaError_t cudaGetDeviceCount(int* n) {
    *n = device_count();
    return *n ? cudaSuccess : fail(cudaErrorNoDevice);
}
API cudaError_t cudaGetDevice(int* device) { *device = device_; return cudaSuccess; }
API cudaError_t cudaSetDevice(int device) {
    if (!is_device(device)) return fail(cudaErrorInvalidDevice);
    device_ = device;
    return cudaSuccess;
}

// Those of an H100, but without the runtime's memory pools (cudaMallocAsync).
static int attribute(cudaDeviceAttr name) {
    static const int capability = (int)setting("CPUCUDA_CAPABILITY", 90);
    switch (name) {
        case cudaDevAttrComputeCapabilityMajor: return capability / 10;
        case cudaDevAttrComputeCapabilityMinor: return capability % 10;
        case cudaDevAttrMaxThreadsPerBlock: return 1024;
        case cudaDevAttrMaxBlockDimX: return 1024;
        case cudaDevAttrMaxBlockDimY: return 1024;
        case cudaDevAttrMaxBlockDimZ: return 64;
        case cudaDevAttrMaxGridDimX: return 2147483647;
        case cudaDevAttrMaxGridDimY: return 65535;
        case cudaDevAttrMaxGridDimZ: return 65535;
        case cudaDevAttrMaxSharedMemoryPerBlock: return 49152;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin: return 232448;
        case cudaDevAttrWarpSize: return 32;
        case cudaDevAttrMultiProcessorCount: return 132;
        case cudaDevAttrMaxThreadsPerMultiProcessor: return 2048;
        case cudaDevAttrUnifiedAddressing: return 1;
        case cudaDevAttrCooperativeLaunch: return 1;
        default: return 0;
    }
}
API cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr name, int device) {
    if (!is_device(device)) return fail(cudaErrorInvalidDevice);
    *value = attribute(name);
    return cudaSuccess;
}
API cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
    if (!is_device(device)) return fail(cudaErrorInvalidDevice);
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "emulated GPU %d", device);
    p->uuid.bytes[15] = (char)device;
    p->pciBusID = device + 1;
    size_t free;
    cudaMemGetInfo(&free, &p->totalGlobalMem);
    p->major = attribute(cudaDevAttrComputeCapabilityMajor);
    p->minor = attribute(cudaDevAttrComputeCapabilityMinor);
    p->warpSize = attribute(cudaDevAttrWarpSize);
    p->multiProcessorCount = attribute(cudaDevAttrMultiProcessorCount);
    p->sharedMemPerBlock = attribute(cudaDevAttrMaxSharedMemoryPerBlock);
    p->sharedMemPerBlockOptin = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
    p->maxThreadsPerBlock = attribute(cudaDevAttrMaxThreadsPerBlock);
    p->maxThreadsPerMultiProcessor = attribute(cudaDevAttrMaxThreadsPerMultiProcessor);
    for (int i = 0; i < 3; i++) {
        p->maxThreadsDim[i] = attribute((cudaDeviceAttr)(cudaDevAttrMaxBlockDimX + i));
        p->maxGridSize[i] = attribute((cudaDeviceAttr)(cudaDevAttrMaxGridDimX + i));
    }
    p->regsPerBlock = 65536;
    p->concurrentKernels = p->unifiedAddressing = 1;
    return cudaSuccess;
}
API cudaError_t cudaDeviceGetPCIBusId(char* text, int size, int device) {
    if (!is_device(device)) return fail(cudaErrorInvalidDevice);
    snprintf(text, size, "0000:%02X:00.0", device + 1);
    return cudaSuccess;
}
API cudaError_t cudaDeviceGetByPCIBusId(int* device, const char* text) {
    unsigned domain, bus;
    if (sscanf(text, "%x:%x", &domain, &bus) != 2 || domain || !is_device((int)bus - 1))
        return fail(cudaErrorInvalidDevice);
    *device = (int)bus - 1;
    return cudaSuccess;
}
API cudaError_t cudaDeviceSynchronize() {
    if (int error = refuse_device_wait(device_, "cudaDeviceSynchronize")) return fail(error);
    flush_device(device_);
    count("device synchronizations");
    return fail(illness(device_));
}
API cudaError_t cudaDeviceGetLimit(size_t* value, cudaLimit) { *value = 1024; return cudaSuccess; }
API cudaError_t cudaDeviceSetLimit(cudaLimit, size_t) { return cudaSuccess; }

API cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
    if (!is_device(device) || !is_device(peer)) return fail(cudaErrorInvalidDevice);
    *can = peers_possible(device, peer);
    return cudaSuccess;
}
API cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
    Lock lock(mutex_);
    if (flags) return fail(cudaErrorInvalidValue);
    if (!is_device(peer) || peer == device_) return fail(cudaErrorInvalidDevice);
    if (!peers_possible(device_, peer)) return fail(cudaErrorPeerAccessUnsupported);
    return peers_.insert({device_, peer}).second ? cudaSuccess : fail(cudaErrorPeerAccessAlreadyEnabled);
}
API cudaError_t cudaDeviceDisablePeerAccess(int peer) {
    Lock lock(mutex_);
    if (!is_device(peer)) return fail(cudaErrorInvalidDevice);
    return peers_.erase({device_, peer}) ? cudaSuccess : fail(cudaErrorPeerAccessNotEnabled);
}

// What tests may query -----------------------------------------------------------------------------

API long cpucuda_counter(const char* event) {
    Lock lock(mutex_);
    return counters_[event];
}
