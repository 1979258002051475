// The CUDA runtime on a CPU: GPU memory is host memory, with a protected page after each block. Each block knows
// its GPU, and each GPU knows how much memory is used.
#include "runtime.h"

#include <algorithm>
#include <cstring>
#include <sys/mman.h>

namespace cpucuda {

struct Block {
    size_t size;
    cudaMemoryType kind;
    int device;
};

static std::map<char*, Block> blocks_;
static std::map<int, size_t> used_;  // by device
static constexpr size_t PAGE = 4096, POISONED = 64 << 20;

static size_t capacity() {
    static const size_t bytes = (size_t)setting("CPUCUDA_MEMORY_MB", 8192) << 20;
    return bytes;
}

static size_t whole_pages(size_t size) { return (size + PAGE - 1) / PAGE * PAGE; }

static std::pair<char* const, Block>* block_of(const void* address) {
    auto it = blocks_.upper_bound((char*)address);
    if (it == blocks_.begin()) return nullptr;
    --it;
    return (char*)address < it->first + it->second.size ? &*it : nullptr;
}

int owner_of(const void* address) {
    Lock lock(mutex_);
    auto* block = block_of(address);
    return block && block->second.kind == cudaMemoryTypeDevice ? block->second.device : -1;
}

static cudaError_t allocate(void** out, size_t size, cudaMemoryType kind) {
    Lock lock(mutex_);
    *out = nullptr;
    const int device = current_device();
    if (int error = illness(device)) return fail(error);
    if (!size) return cudaSuccess;
    const bool on_device = kind == cudaMemoryTypeDevice;
    if (on_device && used_[device] + size > capacity()) return fail(cudaErrorMemoryAllocation);
    const size_t pages = whole_pages(size);
    void* p = mmap(nullptr, pages + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return fail(cudaErrorMemoryAllocation);
    mprotect((char*)p + pages, PAGE, PROT_NONE);
    if (on_device) {
        used_[device] += size;
        // Reads of unwritten memory give NaN for every float. Filling all of a large block would take long.
        if (setting("CPUCUDA_POISON", 1)) memset(p, 0xFF, std::min(pages, POISONED));
    }
    blocks_[(char*)p] = {size, kind, device};
    *out = p;
    count("allocations");
    return cudaSuccess;
}

// Like cudaFree: wait for all work on the device, then unmap the memory, so that later work cannot use it.
static cudaError_t release(void* p) {
    if (!p) return cudaSuccess;
    Lock lock(mutex_);
    auto it = blocks_.find((char*)p);
    if (it == blocks_.end()) {
        note("free of what was not allocated");
        return fail(cudaErrorInvalidValue);
    }
    const Block block = it->second;
    flush_device(block.kind == cudaMemoryTypeDevice ? block.device : -1);
    if (block.kind == cudaMemoryTypeDevice) used_[block.device] -= block.size;
    munmap(p, whole_pages(block.size) + PAGE);
    blocks_.erase((char*)p);
    return cudaSuccess;
}

static bool is_beyond(const std::pair<char* const, Block>* block, const void* p, size_t size) {
    return block && (char*)p + size > block->first + block->second.size;
}

// A copy with pageable host memory in a graph: each launch reads it again, when it may have been freed.
static int capture_copy(void* to, const void* from, size_t size, cudaStream_t stream, const char* what) {
    auto* source = block_of(from);
    if (!source || !block_of(to)) {
        count("host memory in a graph");
        note("%s with pageable host memory is captured", what);
    }
    if (!source) return put(stream, [=] { memset(to, 0xFF, size); }, what);
    return put(stream, [=] { memmove(to, from, size); }, what);
}

static cudaError_t copy(
    void* to, const void* from, size_t size, cudaStream_t handle, bool waits, const char* what) {
    Lock lock(mutex_);
    auto stream = find_stream(handle);
    if (!stream) return fail(cudaErrorInvalidResourceHandle);
    if (!size) return cudaSuccess;
    auto *source = block_of(from), *target = block_of(to);
    if (is_beyond(source, from, size) || is_beyond(target, to, size)) {
        note("%s beyond the end of a block", what);
        return fail(cudaErrorInvalidValue);
    }
    if (stream->capture) return (cudaError_t)capture_copy(to, from, size, handle, what);
    if (int a = owner_of(from), b = owner_of(to); a >= 0 && b >= 0 && a != b && is_legacy(*stream)) {
        // On a legacy default stream it waits for all earlier work of both GPUs, and their later work waits for
        // it.
        flush_device(a);
        flush_device(b);
        waits = true;
    }
    int error;
    if (!source && lazy()) {  // pageable memory is staged before the call returns
        auto kept = std::make_shared<std::vector<char>>((const char*)from, (const char*)from + size);
        error = put(handle, [=] { memmove(to, kept->data(), size); }, what);
    } else {
        error = put(handle, [=] { memmove(to, from, size); }, what);
    }
    if (!error && (waits || !target)) flush(*stream, stream->issued);
    if (!error && (waits || !target)) error = illness(stream->device);
    return fail(error);
}

static cudaError_t fill(void* p, int value, size_t size, cudaStream_t stream, const char* what) {
    Lock lock(mutex_);
    if (is_beyond(block_of(p), p, size)) {
        note("%s beyond the end of a block", what);
        return fail(cudaErrorInvalidValue);
    }
    return (cudaError_t)put(stream, [=] { memset(p, value, size); }, what);
}

}  // namespace cpucuda
using namespace cpucuda;

static cudaError_t allocate_unless_captured(void** p, size_t n, cudaMemoryType kind, const char* what) {
    if (int error = refuse_during_capture(what)) return (cudaError_t)error;
    return allocate(p, n, kind);
}

API cudaError_t cudaMalloc(void** p, size_t n) {
    return allocate_unless_captured(p, n, cudaMemoryTypeDevice, "cudaMalloc");
}
API cudaError_t cudaMallocAsync(void** p, size_t n, cudaStream_t) { return allocate(p, n, cudaMemoryTypeDevice); }
API cudaError_t cudaMallocManaged(void** p, size_t n, unsigned) { return allocate(p, n, cudaMemoryTypeManaged); }
API cudaError_t cudaHostAlloc(void** p, size_t n, unsigned) {
    return allocate_unless_captured(p, n, cudaMemoryTypeHost, "cudaHostAlloc");
}
API cudaError_t cudaMallocHost(void** p, size_t n) {
    return allocate_unless_captured(p, n, cudaMemoryTypeHost, "cudaMallocHost");
}
API cudaError_t cudaHostRegister(void*, size_t, unsigned) { return cudaSuccess; }
API cudaError_t cudaHostUnregister(void*) { return cudaSuccess; }
API cudaError_t cudaFree(void* p) {
    if (int error = refuse_during_capture("cudaFree")) return (cudaError_t)error;
    return release(p);
}
API cudaError_t cudaFreeHost(void* p) { return release(p); }
API cudaError_t cudaFreeAsync(void* p, cudaStream_t) { return release(p); }
API cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
    Lock lock(mutex_);
    *total = capacity();
    *free = capacity() - used_[current_device()];
    return cudaSuccess;
}

API cudaError_t cudaMemcpy(void* to, const void* from, size_t n, cudaMemcpyKind) {
    return copy(to, from, n, nullptr, true, "cudaMemcpy");
}
API cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t n, cudaMemcpyKind, cudaStream_t stream) {
    return copy(to, from, n, stream, false, "cudaMemcpyAsync");
}
// A copy needs no peer access: without it, CUDA copies through host memory.
static cudaError_t copy_between(
    void* to, int target, const void* from, int source, size_t n, cudaStream_t stream, bool waits, const char* what) {
    for (auto [address, device] : {std::pair{(const void*)to, target}, std::pair{from, source}}) {
        if (device < 0 || device >= device_count()) return fail(cudaErrorInvalidDevice);
        if (int owner = owner_of(address); owner >= 0 && owner != device) {
            note("%s with memory of GPU %d for that of GPU %d", what, owner, device);
            return fail(cudaErrorInvalidValue);
        }
    }
    return copy(to, from, n, stream, waits, what);
}
API cudaError_t cudaMemcpyPeer(void* to, int target, const void* from, int source, size_t n) {
    return copy_between(to, target, from, source, n, nullptr, true, "cudaMemcpyPeer");
}
API cudaError_t cudaMemcpyPeerAsync(
    void* to, int target, const void* from, int source, size_t n, cudaStream_t stream) {
    return copy_between(to, target, from, source, n, stream, false, "cudaMemcpyPeerAsync");
}
API cudaError_t cudaMemset(void* p, int value, size_t n) { return fill(p, value, n, nullptr, "cudaMemset"); }
API cudaError_t cudaMemsetAsync(void* p, int value, size_t n, cudaStream_t stream) {
    return fill(p, value, n, stream, "cudaMemsetAsync");
}

API cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* p) {
    Lock lock(mutex_);
    memset(attributes, 0, sizeof *attributes);
    auto* block = block_of(p);
    attributes->type = block ? block->second.kind : cudaMemoryTypeUnregistered;
    attributes->device = block ? block->second.device : cudaInvalidDeviceId;
    attributes->devicePointer = block ? (void*)p : nullptr;
    attributes->hostPointer = attributes->type != cudaMemoryTypeDevice ? (void*)p : nullptr;
    return cudaSuccess;
}
