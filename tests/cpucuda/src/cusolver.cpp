// cuSOLVER on a CPU: what CuPy's functions of linear algebra call, by NumPy's LAPACK. Matrices are stored by columns.
#include "engine.h"
#include "lapack.h"

#define API extern "C" __attribute__((visibility("default")))

namespace {
enum { OK = 0, INVALID = 3, FAILED = 6 };
enum { REAL32 = 0, REAL64 = 1, COMPLEX32 = 4, COMPLEX64 = 5 };  // as in cudaDataType
using C = std::complex<float>;
using Z = std::complex<double>;
constexpr int WORK = 64;  // elements of workspace: unused, but callers have to pass it
constexpr int JACOBI_LIMIT = 32;  // cuSOLVER's batched Jacobi methods take matrices up to this size

struct Handle { void* stream = nullptr; };

char half_of(int fill) { return fill ? 'U' : 'L'; }
char job_of(int mode) { return mode ? 'V' : 'N'; }
char how_of(int operation) { return "NTC"[operation]; }

template <class F> int work(void* h, const char* what, F f) {
    return cpucuda::put(((Handle*)h)->stream, f, what) ? FAILED : OK;
}

template <class T> int svd_of(bool vectors, bool small, int m, int n, T* a, int lda, lapack::Real<T>* s, T* u, int ldu,
        T* v, int ldv) {
    const int k = std::min(m, n), rows = small ? k : n;
    std::vector<T> turned(vectors ? (size_t)rows * n : 1);
    const char job = !vectors ? 'N' : small ? 'S' : 'A';
    int info = lapack::gesvd<T>(job, job, m, n, a, lda, s, u, ldu, turned.data(), rows);
    // LAPACK gives the adjoint of V, Jacobi's method V itself.
    if (vectors) for (int j = 0; j < rows; j++) for (int i = 0; i < n; i++) {
        T x = turned[(size_t)i * rows + j];
        if constexpr (lapack::is_complex<T>) x = std::conj(x);
        v[(size_t)j * ldv + i] = x;
    }
    return info;
}
}  // namespace

API int cusolverDnCreate(void** h) { *h = new Handle; return OK; }
API int cusolverDnDestroy(void* h) { delete (Handle*)h; return OK; }
API int cusolverDnSetStream(void* h, void* s) { ((Handle*)h)->stream = s; return OK; }
API int cusolverDnGetStream(void* h, void** s) { *s = ((Handle*)h)->stream; return OK; }
API int cusolverGetProperty(int which, int* value) { *value = which == 0 ? 12 : 0; return OK; }
#define OPTIONS(name) \
    API int cusolverDnCreate##name(void** p) { *p = new int; return OK; } \
    API int cusolverDnDestroy##name(void* p) { delete (int*)p; return OK; }
OPTIONS(Params)
OPTIONS(SyevjInfo)
OPTIONS(GesvdjInfo)

#define LINEAR(L, T) \
API int cusolverDn##L##getrf_bufferSize(void*, int m, int n, T*, int lda, int* size) { \
    *size = WORK; return lda < m ? INVALID : OK; } \
API int cusolverDn##L##getrf(void* h, int m, int n, T* a, int lda, T*, int* pivots, int* info) { \
    if (lda < m) return INVALID; \
    return work(h, "cusolverDn" #L "getrf", [=] { *info = lapack::getrf<T>(m, n, a, lda, pivots); }); } \
API int cusolverDn##L##getrs(void* h, int how, int n, int columns, const T* a, int lda, const int* pivots, T* b, \
        int ldb, int* info) { \
    if (lda < n || ldb < n) return INVALID; \
    return work(h, "cusolverDn" #L "getrs", [=] { \
        *info = lapack::getrs<T>(how_of(how), n, columns, a, lda, pivots, b, ldb); }); } \
API int cusolverDn##L##potrf_bufferSize(void*, int, int n, T*, int lda, int* size) { \
    *size = WORK; return lda < n ? INVALID : OK; } \
API int cusolverDn##L##potrf(void* h, int fill, int n, T* a, int lda, T*, int size, int* info) { \
    if (lda < n || size < WORK) return INVALID; \
    return work(h, "cusolverDn" #L "potrf", [=] { *info = lapack::potrf<T>(half_of(fill), n, a, lda); }); } \
API int cusolverDn##L##potrs(void* h, int fill, int n, int columns, const T* a, int lda, T* b, int ldb, int* info) { \
    if (lda < n || ldb < n) return INVALID; \
    return work(h, "cusolverDn" #L "potrs", [=] { \
        *info = lapack::potrs<T>(half_of(fill), n, columns, a, lda, b, ldb); }); } \
API int cusolverDn##L##potrfBatched(void* h, int fill, int n, T** a, int lda, int* info, int count) { \
    if (lda < n) return INVALID; \
    return work(h, "cusolverDn" #L "potrfBatched", [=] { \
        for (int i = 0; i < count; i++) info[i] = lapack::potrf<T>(half_of(fill), n, a[i], lda); }); } \
API int cusolverDn##L##potrsBatched(void* h, int fill, int n, int columns, T** a, int lda, T** b, int ldb, \
        int* info, int count) { \
    if (columns != 1 || lda < n || ldb < n) return INVALID; \
    return work(h, "cusolverDn" #L "potrsBatched", [=] { \
        *info = 0; for (int i = 0; i < count; i++) lapack::potrs<T>(half_of(fill), n, 1, a[i], lda, b[i], ldb); }); } \
API int cusolverDn##L##geqrf_bufferSize(void*, int, int, T*, int, int* size) { *size = WORK; return OK; } \
API int cusolverDn##L##geqrf(void* h, int m, int n, T* a, int lda, T* tau, T*, int size, int* info) { \
    if (lda < m || size < WORK) return INVALID; \
    return work(h, "cusolverDn" #L "geqrf", [=] { *info = lapack::geqrf<T>(m, n, a, lda, tau); }); } \
API int cusolverDn##L##gesvd_bufferSize(void*, int m, int n, int* size) { *size = WORK; return m < n ? INVALID : OK; } \
API int cusolverDn##L##gesvd(void* h, signed char job_u, signed char job_v, int m, int n, T* a, int lda, \
        lapack::Real<T>* s, T* u, int ldu, T* v, int ldv, T*, int size, lapack::Real<T>*, int* info) { \
    if (m < n || lda < m || size < WORK) return INVALID; \
    return work(h, "cusolverDn" #L "gesvd", [=] { \
        *info = lapack::gesvd<T>(job_u, job_v, m, n, a, lda, s, u, ldu, v, ldv); }); } \
API int cusolverDn##L##gesvdj_bufferSize(void*, int, int, int, int, const T*, int, const lapack::Real<T>*, const T*, \
        int, const T*, int, int* size, void*) { *size = WORK; return OK; } \
API int cusolverDn##L##gesvdj(void* h, int mode, int small, int m, int n, T* a, int lda, lapack::Real<T>* s, T* u, \
        int ldu, T* v, int ldv, T*, int size, int* info, void*) { \
    if (lda < m || size < WORK) return INVALID; \
    return work(h, "cusolverDn" #L "gesvdj", [=] { \
        *info = svd_of<T>(mode, small, m, n, a, lda, s, u, ldu, v, ldv); }); } \
API int cusolverDn##L##gesvdjBatched_bufferSize(void*, int, int m, int n, const T*, int, const lapack::Real<T>*, \
        const T*, int, const T*, int, int* size, void*, int) { \
    *size = WORK; return m > JACOBI_LIMIT || n > JACOBI_LIMIT ? INVALID : OK; } \
API int cusolverDn##L##gesvdjBatched(void* h, int mode, int m, int n, T* a, int lda, lapack::Real<T>* s, T* u, \
        int ldu, T* v, int ldv, T*, int size, int* info, void*, int count) { \
    if (m > JACOBI_LIMIT || n > JACOBI_LIMIT || lda < m || size < WORK) return INVALID; \
    return work(h, "cusolverDn" #L "gesvdjBatched", [=] { for (size_t i = 0; i < (size_t)count; i++) \
        info[i] = svd_of<T>(mode, false, m, n, a + i * lda * n, lda, s + i * std::min(m, n), \
            u + i * ldu * m, ldu, v + i * ldv * n, ldv); }); }
LINEAR(S, float)
LINEAR(D, double)
LINEAR(C, C)
LINEAR(Z, Z)

// The orthogonal factor, and eigenvalues: complex types have other names.
#define FACTOR(L, gqr, mqr, T) \
API int cusolverDn##L##gqr##_bufferSize(void*, int, int, int, const T*, int, const T*, int* size) { \
    *size = WORK; return OK; } \
API int cusolverDn##L##gqr(void* h, int m, int n, int k, T* a, int lda, const T* tau, T*, int size, int* info) { \
    if (n > m || k > n || lda < m || size < WORK) return INVALID; \
    return work(h, "cusolverDn" #L #gqr, [=] { *info = lapack::orgqr<T>(m, n, k, a, lda, tau); }); } \
API int cusolverDn##L##mqr##_bufferSize(void*, int, int, int, int, int, const T*, int, const T*, const T*, int, \
        int* size) { *size = WORK; return OK; } \
API int cusolverDn##L##mqr(void* h, int side, int how, int m, int n, int k, const T* a, int lda, const T* tau, T* c, \
        int ldc, T*, int size, int* info) { \
    if (ldc < m || size < WORK) return INVALID; \
    return work(h, "cusolverDn" #L #mqr, [=] { \
        *info = lapack::ormqr<T>(side ? 'R' : 'L', how_of(how), m, n, k, a, lda, tau, c, ldc); }); }
FACTOR(S, orgqr, ormqr, float)
FACTOR(D, orgqr, ormqr, double)
FACTOR(C, ungqr, unmqr, C)
FACTOR(Z, ungqr, unmqr, Z)

#define EIGEN(L, T) \
API int cusolverDn##L##evd_bufferSize(void*, int, int, int, const T*, int, const lapack::Real<T>*, int* size) { \
    *size = WORK; return OK; } \
API int cusolverDn##L##evd(void* h, int mode, int fill, int n, T* a, int lda, lapack::Real<T>* w, T*, int size, \
        int* info) { \
    if (lda < n || size < WORK) return INVALID; \
    return work(h, "cusolverDn" #L "evd", [=] { \
        *info = lapack::syev<T>(job_of(mode), half_of(fill), n, a, lda, w); }); } \
API int cusolverDn##L##evj_bufferSize(void*, int, int, int, const T*, int, const lapack::Real<T>*, int* size, \
        void*) { *size = WORK; return OK; } \
API int cusolverDn##L##evj(void* h, int mode, int fill, int n, T* a, int lda, lapack::Real<T>* w, T*, int size, \
        int* info, void*) { \
    if (lda < n || size < WORK) return INVALID; \
    return work(h, "cusolverDn" #L "evj", [=] { \
        *info = lapack::syev<T>(job_of(mode), half_of(fill), n, a, lda, w); }); } \
API int cusolverDn##L##evjBatched_bufferSize(void*, int, int, int, const T*, int, const lapack::Real<T>*, int* size, \
        void*, int) { *size = WORK; return OK; } \
API int cusolverDn##L##evjBatched(void* h, int mode, int fill, int n, T* a, int lda, lapack::Real<T>* w, T*, \
        int size, int* info, void*, int count) { \
    if (lda < n || size < WORK) return INVALID; \
    return work(h, "cusolverDn" #L "evjBatched", [=] { for (size_t i = 0; i < (size_t)count; i++) \
        info[i] = lapack::syev<T>(job_of(mode), half_of(fill), n, a + i * lda * n, lda, w + i * n); }); }
EIGEN(Ssy, float)
EIGEN(Dsy, double)
EIGEN(Che, C)
EIGEN(Zhe, Z)

// Eigenvalues with the type as an argument.
API int cusolverDnXsyevd_bufferSize(void*, void*, int, int, int64_t, int, const void*, int64_t, int, const void*, int,
        size_t* device, size_t* host) {
    *device = *host = WORK;
    return OK;
}
API int cusolverDnXsyevd(void* h, void*, int mode, int fill, int64_t n, int type, void* a, int64_t lda, int of_values,
        void* w, int compute, void*, size_t device, void*, size_t host, int* info) {
    const int values = type == REAL64 || type == COMPLEX64 ? REAL64 : REAL32;
    if (lda < n || compute != type || of_values != values || device < WORK || host < WORK) return INVALID;
    const char job = job_of(mode), half = half_of(fill);
    return work(h, "cusolverDnXsyevd", [=] {
        switch (type) {
            case REAL32: *info = lapack::syev<float>(job, half, n, (float*)a, lda, (float*)w); break;
            case REAL64: *info = lapack::syev<double>(job, half, n, (double*)a, lda, (double*)w); break;
            case COMPLEX32: *info = lapack::syev<C>(job, half, n, (C*)a, lda, (float*)w); break;
            default: *info = lapack::syev<Z>(job, half, n, (Z*)a, lda, (double*)w);
        }
    });
}
