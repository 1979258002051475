// The CUDA runtime on a CPU: streams and graphs are lists of functions.
//
// A stream runs its work immediately, or (CPUCUDA_LAZY=1) as late as CUDA allows: when the host or another stream
// waits for it. Running late shows missing waits.
#include "runtime.h"

#include <algorithm>

namespace cpucuda {

static std::map<Stream*, std::shared_ptr<Stream>> streams_;
static std::map<Event*, std::shared_ptr<Event>> events_;
static std::set<std::shared_ptr<Capture>> captures_;  // in progress

static std::shared_ptr<Stream> make_stream(int device, unsigned flags, int priority) {
    auto stream = std::make_shared<Stream>();
    stream->device = device;
    stream->flags = flags;
    stream->priority = priority;
    stream->blocking = !(flags & cudaStreamNonBlocking);
    streams_[stream.get()] = stream;
    return stream;
}

// The legacy default stream of a device.
static std::shared_ptr<Stream> legacy(int device) {
    static std::map<int, std::shared_ptr<Stream>> made;
    auto& stream = made[device];
    if (!stream) stream = make_stream(device, 0, 0);
    return stream;
}

static std::shared_ptr<Stream> of_this_thread(int device) {
    static thread_local std::map<int, std::shared_ptr<Stream>> made;
    auto& stream = made[device];
    if (!stream) stream = make_stream(device, 0, 0);
    return stream;
}

std::shared_ptr<Stream> find_stream(cudaStream_t handle) {
    Lock lock(mutex_);
    if (handle == nullptr || handle == cudaStreamLegacy) return legacy(current_device());
    if (handle == cudaStreamPerThread) return of_this_thread(current_device());
    auto it = streams_.find((Stream*)handle);
    return it == streams_.end() ? nullptr : it->second;
}

static std::shared_ptr<Event> find_event(cudaEvent_t handle) {
    auto it = events_.find((Event*)handle);
    return it == events_.end() ? nullptr : it->second;
}

bool is_legacy(const Stream& stream) { return legacy(stream.device).get() == &stream; }

static std::vector<std::shared_ptr<Stream>> streams_of(int device) {
    std::vector<std::shared_ptr<Stream>> out;
    for (auto& [key, stream] : streams_)
        if (device < 0 || stream->device == device) out.push_back(stream);
    return out;
}

// Run a stream's work items up to a number.
void flush(Stream& stream, uint64_t upto) {
    while (stream.finished < upto && !stream.waiting.empty()) {
        Work work = std::move(stream.waiting.front());
        stream.waiting.pop_front();
        stream.finished++;
        work();
    }
}

void flush_device(int device) {
    Lock lock(mutex_);
    for (bool more = true; more;) {
        more = false;
        for (auto& stream : streams_of(device)) {
            more = more || !stream->waiting.empty();
            flush(*stream, stream->issued);
        }
    }
}

// Run what has to precede a stream's next work: the legacy default stream and blocking streams wait for each other.
static std::vector<Work> implied_waits(Stream& stream) {
    std::vector<Work> out;
    auto wait_for = [&](std::shared_ptr<Stream> other) {
        if (other->finished < other->issued) out.push_back([other, upto = other->issued] { flush(*other, upto); });
    };
    if (is_legacy(stream)) {
        for (auto& other : streams_of(stream.device))
            if (other.get() != &stream && other->blocking) wait_for(other);
    } else if (stream.blocking) {
        wait_for(legacy(stream.device));
    }
    return out;
}

static void enqueue(Stream& stream, Work work) {
    if (!lazy()) {
        work();
        stream.issued++;
        stream.finished++;
        return;
    }
    auto before = implied_waits(stream);
    stream.issued++;
    if (before.empty()) stream.waiting.push_back(std::move(work));
    else stream.waiting.push_back([before, work] { for (auto& wait : before) wait(); work(); });
}

static cudaError_t break_capture(Capture& capture, cudaError_t error, const char* what) {
    capture.broken = true;
    note("capture broken by %s: %s", what, cudaGetErrorName(error));
    return fail(error);
}

// Work on the legacy default stream while a blocking stream of its device is captured.
static cudaError_t refuse_implicit(const Stream& stream, const char* what) {
    if (!is_legacy(stream)) return cudaSuccess;
    for (auto& capture : captures_)
        for (Stream* joined : capture->joined)
            if (joined->blocking && joined->device == stream.device)
                return break_capture(*capture, cudaErrorStreamCaptureImplicit, what);
    return cudaSuccess;
}

int refuse_during_capture(const char* what) {
    Lock lock(mutex_);
    for (auto& capture : captures_)
        if (capture->mode != cudaStreamCaptureModeRelaxed)
            return break_capture(*capture, cudaErrorStreamCaptureUnsupported, what);
    return 0;
}

int refuse_device_wait(int device, const char* what) {
    Lock lock(mutex_);
    for (auto& capture : captures_)
        for (Stream* joined : capture->joined)
            if (joined->device == device) return break_capture(*capture, cudaErrorStreamCaptureUnsupported, what);
    return 0;
}

int put(void* handle, Work work, const char* what, const std::vector<const void*>& addresses) {
    Lock lock(mutex_);
    auto stream = find_stream((cudaStream_t)handle);
    if (!stream) {
        note("%s on a stream that is gone", what);
        return fail(cudaErrorInvalidResourceHandle);
    }
    if (int error = illness(stream->device)) return fail(error);
    const int device = stream->device;
    if (!std::all_of(addresses.begin(), addresses.end(), [=](auto p) { return may_access(device, p); })) {
        note("%s on GPU %d with memory of another, without peer access", what, device);
        work = [device] { fall_ill(device); };
    }
    if (stream->capture) {
        if (stream->capture->broken) return fail(cudaErrorStreamCaptureInvalidated);
        stream->capture->joined.insert(stream.get());
        stream->capture->graph->nodes.push_back(std::move(work));
        return 0;
    }
    if (int error = refuse_implicit(*stream, what)) return error;
    if (!captures_.empty()) {
        count("work beside a capture");
        note("%s is done while another stream is captured", what);
    }
    enqueue(*stream, std::move(work));
    return 0;
}

bool is_capturing(void* handle) {
    Lock lock(mutex_);
    auto stream = find_stream((cudaStream_t)handle);
    return stream && stream->capture;
}

int device_of(void* handle) {
    auto stream = find_stream((cudaStream_t)handle);
    return stream ? stream->device : -1;
}

}  // namespace cpucuda
using namespace cpucuda;

// Streams --------------------------------------------------------------------------------------------

API cudaError_t cudaStreamCreateWithPriority(cudaStream_t* out, unsigned flags, int priority) {
    Lock lock(mutex_);
    *out = (cudaStream_t)make_stream(current_device(), flags, priority).get();
    return cudaSuccess;
}
API cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned flags) {
    return cudaStreamCreateWithPriority(out, flags, 0);
}
API cudaError_t cudaStreamCreate(cudaStream_t* out) { return cudaStreamCreateWithPriority(out, 0, 0); }
API cudaError_t cudaStreamGetFlags(cudaStream_t handle, unsigned* flags) {
    auto stream = find_stream(handle);
    if (!stream) return fail(cudaErrorInvalidResourceHandle);
    *flags = stream->flags;
    return cudaSuccess;
}
API cudaError_t cudaStreamGetPriority(cudaStream_t handle, int* priority) {
    auto stream = find_stream(handle);
    if (!stream) return fail(cudaErrorInvalidResourceHandle);
    *priority = stream->priority;
    return cudaSuccess;
}
API cudaError_t cudaStreamDestroy(cudaStream_t handle) {
    Lock lock(mutex_);
    auto stream = find_stream(handle);
    if (!stream || is_legacy(*stream)) return fail(cudaErrorInvalidResourceHandle);
    flush(*stream, stream->issued);
    streams_.erase(stream.get());
    return cudaSuccess;
}
API cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
    Lock lock(mutex_);
    auto stream = find_stream(handle);
    if (!stream) return fail(cudaErrorInvalidResourceHandle);
    if (stream->capture)
        return break_capture(*stream->capture, cudaErrorStreamCaptureUnsupported, "cudaStreamSynchronize");
    if (auto error = refuse_implicit(*stream, "cudaStreamSynchronize")) return error;
    if (is_legacy(*stream))
        for (auto& wait : implied_waits(*stream)) wait();
    flush(*stream, stream->issued);
    count("stream synchronizations");
    return fail(illness(stream->device));
}
API cudaError_t cudaStreamQuery(cudaStream_t handle) {
    Lock lock(mutex_);
    auto stream = find_stream(handle);
    if (!stream) return fail(cudaErrorInvalidResourceHandle);
    if (stream->capture)
        return break_capture(*stream->capture, cudaErrorStreamCaptureUnsupported, "cudaStreamQuery");
    if (stream->finished == stream->issued) return fail(illness(stream->device));
    flush(*stream, stream->finished + 1);  // so that polling ends
    return cudaErrorNotReady;
}
API cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
    return (cudaError_t)put(stream, [=] { function(data); }, "cudaLaunchHostFunc");
}
API cudaError_t cudaStreamAddCallback(cudaStream_t stream, cudaStreamCallback_t function, void* data, unsigned) {
    return (cudaError_t)put(stream, [=] { function(stream, cudaSuccess, data); }, "cudaStreamAddCallback");
}

// Events ---------------------------------------------------------------------------------------------

API cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned) {
    Lock lock(mutex_);
    auto event = std::make_shared<Event>();
    event->device = current_device();
    events_[event.get()] = event;
    *out = (cudaEvent_t)event.get();
    return cudaSuccess;
}
API cudaError_t cudaEventCreate(cudaEvent_t* out) { return cudaEventCreateWithFlags(out, 0); }
API cudaError_t cudaEventDestroy(cudaEvent_t handle) {
    Lock lock(mutex_);
    return events_.erase((Event*)handle) ? cudaSuccess : fail(cudaErrorInvalidResourceHandle);
}
API cudaError_t cudaEventRecord(cudaEvent_t event_handle, cudaStream_t handle) {
    Lock lock(mutex_);
    auto event = find_event(event_handle);
    auto stream = find_stream(handle);
    if (!event || !stream || event->device != stream->device) return fail(cudaErrorInvalidResourceHandle);
    if (stream->capture && stream->capture->broken) return fail(cudaErrorStreamCaptureInvalidated);
    if (auto error = refuse_implicit(*stream, "cudaEventRecord")) return error;
    event->stream = stream;
    event->capture = stream->capture;
    if (event->capture) return cudaSuccess;
    enqueue(*stream, [event] { event->when = std::chrono::steady_clock::now(); });
    event->number = stream->issued;
    return cudaSuccess;
}

// A captured stream waits for an event of its own capture, or breaks it.
static cudaError_t capture_wait(Stream& stream, const Event& event) {
    Capture& capture = *stream.capture;
    if (capture.broken) return fail(cudaErrorStreamCaptureInvalidated);
    if (!event.stream) return cudaSuccess;
    if (event.capture != stream.capture)
        return break_capture(capture, cudaErrorStreamCaptureIsolation, "cudaStreamWaitEvent");
    if (event.stream.get() != &stream && event.stream.get() != capture.origin) capture.joined.erase(event.stream.get());
    return cudaSuccess;
}
API cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event_handle, unsigned) {
    Lock lock(mutex_);
    auto event = find_event(event_handle);
    auto stream = find_stream(handle);
    if (!event || !stream) return fail(cudaErrorInvalidResourceHandle);
    if (stream->capture) return capture_wait(*stream, *event);
    if (!event->stream) return cudaSuccess;
    if (event->capture && captures_.count(event->capture)) {
        if (is_legacy(*stream))
            return break_capture(*event->capture, cudaErrorStreamCaptureImplicit, "cudaStreamWaitEvent");
        stream->capture = event->capture;
        event->capture->joined.insert(stream.get());
        return cudaSuccess;
    }
    if (event->capture) return fail(cudaErrorCapturedEvent);
    enqueue(*stream, [other = event->stream, upto = event->number] { flush(*other, upto); });
    return cudaSuccess;
}

// Querying an event that was recorded in a capture is an error, and breaks a capture in progress.
static cudaError_t refuse_captured(const Event& event, const char* what) {
    if (!event.capture) return cudaSuccess;
    if (!captures_.count(event.capture)) return fail(cudaErrorCapturedEvent);
    return break_capture(*event.capture, cudaErrorCapturedEvent, what);
}
API cudaError_t cudaEventQuery(cudaEvent_t handle) {
    Lock lock(mutex_);
    auto event = find_event(handle);
    if (!event) return fail(cudaErrorInvalidResourceHandle);
    if (auto error = refuse_captured(*event, "cudaEventQuery")) return error;
    if (!event->stream || event->stream->finished >= event->number) return fail(illness(event->device));
    flush(*event->stream, event->stream->finished + 1);
    return cudaErrorNotReady;
}
API cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
    Lock lock(mutex_);
    auto event = find_event(handle);
    if (!event) return fail(cudaErrorInvalidResourceHandle);
    if (auto error = refuse_captured(*event, "cudaEventSynchronize")) return error;
    if (event->stream) flush(*event->stream, event->number);
    count("event synchronizations");
    return fail(illness(event->device));
}
API cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
    Lock lock(mutex_);
    auto first = find_event(begin), second = find_event(end);
    if (!first || !second || first->device != second->device || !first->stream || !second->stream)
        return fail(cudaErrorInvalidResourceHandle);
    for (auto& event : {first, second})
        if (event->capture || event->stream->finished < event->number) return fail(cudaErrorNotReady);
    *milliseconds = std::chrono::duration<float, std::milli>(second->when - first->when).count();
    return cudaSuccess;
}

// Captures and graphs --------------------------------------------------------------------------------

API cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
    Lock lock(mutex_);
    auto stream = find_stream(handle);
    if (!stream) return fail(cudaErrorInvalidResourceHandle);
    if (is_legacy(*stream)) return fail(cudaErrorStreamCaptureUnsupported);
    if (stream->capture) return fail(cudaErrorInvalidValue);
    auto capture = std::make_shared<Capture>();
    capture->origin = stream.get();
    capture->mode = mode;
    capture->joined.insert(stream.get());
    stream->capture = capture;
    captures_.insert(capture);
    return cudaSuccess;
}
// Handles of graphs point to shared pointers: a launch may still be queued when its graph is destroyed.
API cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* out) {
    Lock lock(mutex_);
    auto stream = find_stream(handle);
    *out = nullptr;
    if (!stream || !stream->capture || stream->capture->origin != stream.get()) return fail(cudaErrorInvalidValue);
    auto capture = stream->capture;
    for (auto& other : streams_of(-1))
        if (other->capture == capture) other->capture = nullptr;
    captures_.erase(capture);
    if (capture->broken) return fail(cudaErrorStreamCaptureInvalidated);
    if (capture->joined.size() > 1) return fail(cudaErrorStreamCaptureUnjoined);
    *out = (cudaGraph_t) new std::shared_ptr<Graph>(capture->graph);
    count("captures");
    note("captured a graph of %zu nodes", capture->graph->nodes.size());
    return cudaSuccess;
}
API cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
    Lock lock(mutex_);
    auto stream = find_stream(handle);
    if (!stream) return fail(cudaErrorInvalidResourceHandle);
    if (is_legacy(*stream))
        for (auto& capture : captures_)
            for (Stream* joined : capture->joined)
                if (joined->blocking && joined->device == stream->device) return fail(cudaErrorStreamCaptureImplicit);
    *status = !stream->capture          ? cudaStreamCaptureStatusNone
              : stream->capture->broken ? cudaStreamCaptureStatusInvalidated
                                        : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}
API cudaError_t cudaGraphInstantiate(cudaGraphExec_t* out, cudaGraph_t graph, unsigned long long) {
    *out = (cudaGraphExec_t) new std::shared_ptr<Graph>(*(std::shared_ptr<Graph>*)graph);
    return cudaSuccess;
}
API cudaError_t cudaGraphLaunch(cudaGraphExec_t handle, cudaStream_t stream) {
    auto graph = *(std::shared_ptr<Graph>*)handle;
    count("graph launches");
    return (cudaError_t)put(stream, [graph] { for (auto& node : graph->nodes) node(); }, "cudaGraphLaunch");
}
API cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t stream) {
    return (cudaError_t)put(stream, [] {}, "cudaGraphUpload");
}
API cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete (std::shared_ptr<Graph>*)graph;
    return cudaSuccess;
}
API cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
    delete (std::shared_ptr<Graph>*)graph;
    return cudaSuccess;
}
