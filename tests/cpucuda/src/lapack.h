// LAPACK from the OpenBLAS that NumPy includes: found by name among the libraries that the process has loaded.
#pragma once
#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <complex>
#include <cstdint>
#include <cstdio>
#include <string>
#include <type_traits>
#include <vector>

namespace lapack {

template <class T> struct Kind { using Real = T; static constexpr bool is_complex = false; };
template <class T> struct Kind<std::complex<T>> { using Real = T; static constexpr bool is_complex = true; };
template <class T> using Real = typename Kind<T>::Real;
template <class T> constexpr bool is_complex = Kind<T>::is_complex;
template <class T> constexpr char letter =
    is_complex<T> ? (sizeof(Real<T>) == 4 ? 'c' : 'z') : (sizeof(T) == 4 ? 's' : 'd');

// LAPACK's integers have 32 or 64 bits. A pointer to a 64-bit number is right for both, because its lower half comes
// first in memory. Only arrays of integers differ.
using Int = int64_t;
constexpr int NOT_THERE = -1000;
struct Found { void* function = nullptr; bool wide = false; };

inline Found find(const std::string& name) {
    struct Search { std::string name; Found found; } search{name, {}};
    dl_iterate_phdr([](dl_phdr_info* info, size_t, void* data) {
        auto& s = *(Search*)data;
        std::string path = info->dlpi_name;
        if (path.find("blas") == std::string::npos && path.find("lapack") == std::string::npos) return 0;
        void* library = dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD);
        for (const char* before : {"scipy_", ""}) for (const char* after : {"_64_", "_"}) {
            void* function = library ? dlsym(library, (before + s.name + after).c_str()) : nullptr;
            if (function) { s.found = {function, after[1] == '6'}; return 1; }
        }
        return 0;
    }, &search);
    if (!search.found.function) fprintf(stderr, "cpucuda: no loaded library has LAPACK's %s\n", name.c_str());
    return search.found;
}

// A routine of LAPACK for one element type. As in Fortran, the lengths of one-letter strings follow the arguments.
template <class T> struct Routine {
    Found found;
    explicit Routine(const char* name) : found(find(letter<T> + std::string(name))) {}
    template <class... A> int operator()(A... arguments) const {
        Int info = 0;
        if (!found.function) return NOT_THERE;
        call((Int*)&info, arguments...);
        return (int)info;
    }
    template <class... A> void call(Int* info, A... a) const {
        ((void (*)(A..., Int*, size_t, size_t))found.function)(a..., info, 1, 1);
    }
    // The same with LAPACK's workspace, of the size that it requests. `more` follows it (complex routines).
    template <class... A> int with_work(std::vector<Real<T>> more, A... arguments) const {
        if (!found.function) return NOT_THERE;
        Int info = 0, size = -1;
        T wanted = T(1);
        auto run = [&](T* work) {
            if constexpr (is_complex<T>) if (!more.empty()) return call(&info, arguments..., work, &size, more.data());
            call(&info, arguments..., work, &size);
        };
        run(&wanted);
        size = std::max<Int>(1, (Int)std::real(wanted));
        std::vector<T> work(size);
        run(work.data());
        return (int)info;
    }
};

template <class T> int getrf(Int m, Int n, T* a, Int lda, int* pivots) {
    static const Routine<T> routine("getrf");
    std::vector<Int> rows(std::min(m, n) + 1);
    int info = routine(&m, &n, a, &lda, rows.data());
    if (pivots) for (Int i = 0; i < std::min(m, n); i++) {
        pivots[i] = routine.found.wide ? (int)rows[i] : ((int*)rows.data())[i];
    }
    return info;
}
template <class T> int getrs(char how, Int n, Int columns, const T* a, Int lda, const int* pivots, T* b, Int ldb) {
    static const Routine<T> routine("getrs");
    std::vector<Int> rows(n + 1);
    for (Int i = 0; i < n; i++) {
        routine.found.wide ? (void)(rows[i] = pivots[i]) : (void)(((int*)rows.data())[i] = pivots[i]);
    }
    return routine(&how, &n, &columns, a, &lda, rows.data(), b, &ldb);
}
template <class T> int potrf(char half, Int n, T* a, Int lda) {
    static const Routine<T> routine("potrf");
    return routine(&half, &n, a, &lda);
}
template <class T> int potrs(char half, Int n, Int columns, const T* a, Int lda, T* b, Int ldb) {
    static const Routine<T> routine("potrs");
    return routine(&half, &n, &columns, a, &lda, b, &ldb);
}
template <class T> int geqrf(Int m, Int n, T* a, Int lda, T* tau) {
    static const Routine<T> routine("geqrf");
    return routine.with_work({}, &m, &n, a, &lda, tau);
}
template <class T> int orgqr(Int m, Int n, Int k, T* a, Int lda, const T* tau) {
    static const Routine<T> routine(is_complex<T> ? "ungqr" : "orgqr");
    return routine.with_work({}, &m, &n, &k, a, &lda, tau);
}
template <class T> int ormqr(char side, char how, Int m, Int n, Int k, const T* a, Int lda, const T* tau, T* c,
        Int ldc) {
    static const Routine<T> routine(is_complex<T> ? "unmqr" : "ormqr");
    return routine.with_work({}, &side, &how, &m, &n, &k, a, &lda, tau, c, &ldc);
}
template <class T> int syev(char job, char half, Int n, T* a, Int lda, Real<T>* values) {
    static const Routine<T> routine(is_complex<T> ? "heev" : "syev");
    return routine.with_work(std::vector<Real<T>>(3 * n + 1), &job, &half, &n, a, &lda, values);
}
template <class T> int gesvd(char job_u, char job_v, Int m, Int n, T* a, Int lda, Real<T>* s, T* u, Int ldu, T* v,
        Int ldv) {
    static const Routine<T> routine("gesvd");
    T nothing;
    u = u ? u : &nothing, v = v ? v : &nothing;
    return routine.with_work(std::vector<Real<T>>(5 * std::min(m, n) + 1), &job_u, &job_v, &m, &n, a, &lda, s, u, &ldu,
            v, &ldv);
}

}  // namespace lapack
