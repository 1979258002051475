// The state of the emulated runtime, for its own files: memory.cpp, streams.cpp, devices.cpp.
#pragma once
#include "engine.h"

#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <set>

#define API extern "C" __attribute__((visibility("default")))

namespace cpucuda {

struct Stream;

struct Graph {
    std::vector<Work> nodes;
};

struct Capture {
    std::shared_ptr<Graph> graph = std::make_shared<Graph>();
    Stream* origin = nullptr;
    std::set<Stream*> joined;  // not yet merged into the origin
    cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
    bool broken = false;
};

struct Stream {
    int device = 0;
    bool blocking = true;  // it and the device's legacy default stream wait for each other
    int priority = 0;
    unsigned flags = 0;
    std::deque<Work> waiting;             // with CPUCUDA_LAZY
    uint64_t issued = 0, finished = 0;    // counts of work items
    std::shared_ptr<Capture> capture;
};

struct Event {
    int device = 0;
    std::shared_ptr<Stream> stream;    // that it was last recorded on, if at all
    uint64_t number = 0;               // of the stream's work items when it was recorded
    std::shared_ptr<Capture> capture;  // that it was last recorded in, if in one
    std::chrono::steady_clock::time_point when;
};

// One lock for everything, since kernels keep their threads in static memory.
extern std::recursive_mutex mutex_;
using Lock = std::lock_guard<std::recursive_mutex>;

// devices.cpp
long setting(const char* name, long otherwise);
bool lazy();
cudaError_t fail(int error);        // remember an error for cudaGetLastError, and return it
int illness(int device);            // the error that an illegal access left behind on a device, or 0
void fall_ill(int device);
bool may_access(int device, const void* address);

// memory.cpp
int owner_of(const void* address);  // the GPU whose memory it is; -1: host memory, or managed

// streams.cpp
std::shared_ptr<Stream> find_stream(cudaStream_t handle);
bool is_legacy(const Stream& stream);  // whether it is its device's legacy default stream
void flush(Stream& stream, uint64_t upto);
void flush_device(int device);      // -1: all
int refuse_during_capture(const char* what);  // 0, or the error of an unsafe call while a stream is captured
int refuse_device_wait(int device, const char* what);

}  // namespace cpucuda
