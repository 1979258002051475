// cuFFT on a CPU: transforms of any length and any number of axes, computed in double precision.
#include "engine.h"

#include <complex>
#include <cstdio>
#include <map>
#include <mutex>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))

namespace {
enum { OK = 0, INVALID_PLAN = 1, INVALID_TYPE = 3, INVALID_VALUE = 4, FAILED = 6, INVALID_SIZE = 8, NO_WORKSPACE = 13 };
enum { R2C = 0x2a, C2R = 0x2c, C2C = 0x29, D2Z = 0x6a, Z2D = 0x6c, Z2Z = 0x69 };
using Z = std::complex<double>;
using Line = std::vector<Z>;

struct Plan {
    int type = 0, count = 0;
    std::vector<long> shape, in, out;  // the axes' lengths, and those of the embedding arrays
    long in_stride = 1, in_distance = 0, out_stride = 1, out_distance = 0;
    void* stream = nullptr;
    void* work_area = nullptr;
};
std::map<int, Plan> plans_;
std::mutex lock_;
int last_ = 0;

Line roots(long n, bool forward) {
    Line w(n);
    for (long k = 0; k < n; k++) w[k] = std::polar(1.0, (forward ? -2 : 2) * M_PI * (double)k / (double)n);
    return w;
}

// Cooley-Tukey: split the length by its smallest factor, transform the parts, then combine them.
void transform(long n, const Z* x, long stride, Z* y, const Line& w, long step) {
    if (n == 1) { *y = *x; return; }
    long p = 2;
    while (n % p) p = p * p > n ? n : p + 1;
    const long m = n / p, total = (long)w.size();
    for (long r = 0; r < p; r++) transform(m, x + r * stride, stride * p, y + r * m, w, step * p);
    Line t(p);
    for (long k = 0; k < m; k++) {
        for (long r = 0; r < p; r++) t[r] = y[r * m + k] * w[r * k * step % total];
        for (long q = 0; q < p; q++) {
            Z sum = 0;
            for (long r = 0; r < p; r++) sum += t[r] * w[r * q % p * m * step % total];
            y[q * m + k] = sum;
        }
    }
}

long product(const std::vector<long>& shape, size_t from = 0) {
    long n = 1;
    for (size_t i = from; i < shape.size(); i++) n *= shape[i];
    return n;
}

// Transform one axis of an array in C order.
void along(Line& x, const std::vector<long>& shape, size_t axis, bool forward) {
    const long n = shape[axis], inner = product(shape, axis + 1), outer = (long)x.size() / std::max(1L, n * inner);
    const Line w = roots(n, forward);
    Line line(n);
    for (long i = 0; i < outer; i++) for (long j = 0; j < inner; j++) {
        Z* start = x.data() + i * n * inner + j;
        transform(n, start, inner, line.data(), w, 1);
        for (long k = 0; k < n; k++) start[k * inner] = line[k];
    }
}

// The position of each element of an array in C order in the plan's memory layout.
std::vector<long> places(const std::vector<long>& shape, const std::vector<long>& around, long stride) {
    std::vector<long> at(product(shape));
    for (long i = 0; i < (long)at.size(); i++) {
        long rest = i, place = 0, step = stride;
        for (size_t axis = shape.size(); axis-- > 0;) {
            place += rest % shape[axis] * step;
            rest /= shape[axis];
            step *= around[axis];
        }
        at[i] = place;
    }
    return at;
}

bool from_real(int type) { return type == R2C || type == D2Z; }
bool to_real(int type) { return type == C2R || type == Z2D; }
std::vector<long> halved(std::vector<long> shape) { shape.back() = shape.back() / 2 + 1; return shape; }

// Transform half spectra along the last axis to a real array.
Line from_half(const Line& x, const std::vector<long>& shape) {
    const long n = shape.back(), half = n / 2 + 1;
    Line full(product(shape));
    for (long line = 0; line < (long)full.size() / n; line++) for (long k = 0; k < n; k++) {
        Z value = k < half ? x[line * half + k] : std::conj(x[line * half + n - k]);
        full[line * n + k] = k == 0 || 2 * k == n ? Z(value.real()) : value;
    }
    along(full, shape, shape.size() - 1, false);
    return full;
}

Line transformed(const Plan& p, Line x, bool forward) {
    const size_t last = p.shape.size() - 1;
    std::vector<long> shape = p.shape;
    if (from_real(p.type)) {
        along(x, shape, last, true);
        shape = halved(shape);
        Line half(product(shape));
        for (long i = 0; i < (long)half.size(); i++) half[i] = x[i / shape[last] * p.shape[last] + i % shape[last]];
        x = half;
    } else if (to_real(p.type)) shape = halved(shape);
    else along(x, shape, last, forward);
    for (size_t axis = 0; axis < last; axis++) along(x, shape, axis, forward);
    return to_real(p.type) ? from_half(x, p.shape) : x;
}

template <class T> void run(const Plan& p, const T* from, T* to, bool forward) {
    const bool real_in = from_real(p.type), real_out = to_real(p.type);
    const std::vector<long> in = places(real_out ? halved(p.shape) : p.shape, p.in, p.in_stride);
    const std::vector<long> out = places(real_in ? halved(p.shape) : p.shape, p.out, p.out_stride);
    std::vector<Line> all(p.count, Line(in.size()));  // all is read before writing: both may be the same memory
    for (long b = 0; b < p.count; b++) for (size_t i = 0; i < in.size(); i++) {
        const long at = b * p.in_distance + in[i];
        all[b][i] = real_in ? Z(from[at]) : Z(from[2 * at], from[2 * at + 1]);
    }
    for (long b = 0; b < p.count; b++) {
        const Line y = transformed(p, std::move(all[b]), forward);
        for (size_t i = 0; i < out.size(); i++) {
            const long at = b * p.out_distance + out[i];
            if (real_out) to[at] = (T)y[i].real();
            else to[2 * at] = (T)y[i].real(), to[2 * at + 1] = (T)y[i].imag();
        }
    }
}

template <class T> int execute(int handle, int type, const void* from, void* to, bool forward, const char* what) {
    std::lock_guard<std::mutex> guard(lock_);
    auto found = plans_.find(handle);
    if (found == plans_.end() || found->second.shape.empty()) return INVALID_PLAN;
    const Plan plan = found->second;
    if (plan.type != type) return INVALID_TYPE;
    if (!plan.work_area) return NO_WORKSPACE;
    return cpucuda::put(plan.stream, [=] { run<T>(plan, (const T*)from, (T*)to, forward); }, what) ? FAILED : OK;
}

int make(int handle, const std::vector<long>& shape, const int* in, long in_stride, long in_distance, const int* out,
        long out_stride, long out_distance, int type, int count, size_t* work) {
    std::lock_guard<std::mutex> guard(lock_);
    auto found = plans_.find(handle);
    if (found == plans_.end()) return INVALID_PLAN;
    for (long n : shape) if (n < 1) return INVALID_SIZE;
    if (count < 1) return INVALID_SIZE;
    if (type != C2C && type != Z2Z && !from_real(type) && !to_real(type)) return INVALID_TYPE;
    if (!in != !out) return INVALID_VALUE;
    Plan& p = found->second;
    p.type = type, p.count = count, p.shape = shape;
    p.in = to_real(type) ? halved(shape) : shape;
    p.out = from_real(type) ? halved(shape) : shape;
    p.in_distance = product(p.in), p.out_distance = product(p.out);
    if (in) {  // if null, cuFFT ignores strides and distances
        p.in.assign(in, in + shape.size()), p.out.assign(out, out + shape.size());
        p.in_stride = in_stride, p.in_distance = in_distance, p.out_stride = out_stride, p.out_distance = out_distance;
    }
    *work = 512;  // unused, but callers have to pass it
    return OK;
}
}  // namespace

API int cufftGetVersion(int* version) { *version = 12000; return OK; }
API int cufftCreate(int* handle) {
    std::lock_guard<std::mutex> guard(lock_);
    plans_[*handle = ++last_] = Plan();
    return OK;
}
API int cufftDestroy(int handle) {
    std::lock_guard<std::mutex> guard(lock_);
    return plans_.erase(handle) ? OK : INVALID_PLAN;
}
template <class F> int change(int handle, F f) {
    std::lock_guard<std::mutex> guard(lock_);
    auto found = plans_.find(handle);
    if (found == plans_.end()) return INVALID_PLAN;
    f(found->second);
    return OK;
}
API int cufftSetAutoAllocation(int handle, int) { return change(handle, [](Plan&) {}); }
API int cufftSetWorkArea(int handle, void* memory) { return change(handle, [=](Plan& p) { p.work_area = memory; }); }
API int cufftSetStream(int handle, void* stream) { return change(handle, [=](Plan& p) { p.stream = stream; }); }
API int cufftMakePlan1d(int handle, int n, int type, int count, size_t* work) {
    return make(handle, {n}, nullptr, 1, 0, nullptr, 1, 0, type, count, work);
}
API int cufftMakePlanMany(int handle, int rank, const int* n, const int* in, int in_stride, int in_distance,
        const int* out, int out_stride, int out_distance, int type, int count, size_t* work) {
    if (rank < 1 || rank > 3) return INVALID_SIZE;
    return make(handle, std::vector<long>(n, n + rank), in, in_stride, in_distance, out, out_stride, out_distance,
            type, count, work);
}
API int cufftExecC2C(int h, void* x, void* y, int direction) {
    return execute<float>(h, C2C, x, y, direction < 0, "cufftExecC2C");
}
API int cufftExecZ2Z(int h, void* x, void* y, int direction) {
    return execute<double>(h, Z2Z, x, y, direction < 0, "cufftExecZ2Z");
}
API int cufftExecR2C(int h, void* x, void* y) { return execute<float>(h, R2C, x, y, true, "cufftExecR2C"); }
API int cufftExecD2Z(int h, void* x, void* y) { return execute<double>(h, D2Z, x, y, true, "cufftExecD2Z"); }
API int cufftExecC2R(int h, void* x, void* y) { return execute<float>(h, C2R, x, y, false, "cufftExecC2R"); }
API int cufftExecZ2D(int h, void* x, void* y) { return execute<double>(h, Z2D, x, y, false, "cufftExecZ2D"); }
