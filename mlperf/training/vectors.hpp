// Vectors as wide as the processor's widest, or as VECTOR_BYTES says.

#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX512F__)
constexpr int WIDEST = 64, REGISTERS = 32;
#elif defined(__AVX__)
constexpr int WIDEST = 32, REGISTERS = 16;
#elif defined(__ARM_NEON)
constexpr int WIDEST = 16, REGISTERS = 32;
#else
constexpr int WIDEST = 16, REGISTERS = 16;
#endif

constexpr int V = (VECTOR_BYTES ? VECTOR_BYTES : WIDEST) / sizeof(float);

// may_alias lets it read arrays of float, aligned(4) from any address.
typedef float Vector __attribute__((vector_size(sizeof(float) * V), aligned(4), may_alias));
typedef int32_t Mask __attribute__((vector_size(sizeof(float) * V), aligned(4), may_alias));

static inline Vector load(const float *from) { return *(const Vector *)from; }
static inline void store(float *to, Vector value) { *(Vector *)to = value; }

// Write a vector past the caches, to a multiple of its size: what will only be read after it would have left them. A plain
// store would first read what it overwrites.
template <int bytes>
static inline void stream(float *to, Vector value) {
#if defined(__clang__)
    typedef float Aligned __attribute__((vector_size(bytes)));
    __builtin_nontemporal_store((Aligned)value, (Aligned *)to);
#else
#if defined(__AVX512F__)
    typedef float Of64 __attribute__((vector_size(64), may_alias));
    if constexpr (bytes == 64)
        return __builtin_ia32_movntps512(to, *(const Of64 *)&value);
#endif
#if defined(__AVX__)
    typedef float Of32 __attribute__((vector_size(32), may_alias));
    if constexpr (bytes == 32)
        return __builtin_ia32_movntps256(to, *(const Of32 *)&value);
#endif
#if defined(__SSE__)
    typedef float Of16 __attribute__((vector_size(16), may_alias));
    if constexpr (bytes == 16)
        return __builtin_ia32_movntps(to, *(const Of16 *)&value);
#endif
    store(to, value);
#endif
}

// Other threads see what was streamed before.
static inline void end_streams() {
#if defined(__SSE__)
    __builtin_ia32_sfence();
#endif
}

static inline Vector where(Mask mask, Vector value) { return (Vector)(mask & (Mask)value); }

static inline float total(Vector values) {
    float parts[V];
    store(parts, values);
    for (int half = V / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            parts[i] += parts[i + half];
    return parts[0];
}

// Interleave two vectors: `first` gets their first halves, `second` their second halves.
template <int... i>
static inline void interleave(Vector a, Vector b, Vector &first, Vector &second, std::integer_sequence<int, i...>) {
#if defined(__clang__) || __GNUC__ >= 12
    first = __builtin_shufflevector(a, b, (i / 2 + i % 2 * V)...);
    second = __builtin_shufflevector(a, b, (i / 2 + V / 2 + i % 2 * V)...);
#else
    first = __builtin_shuffle(a, b, Mask{(i / 2 + i % 2 * V)...});
    second = __builtin_shuffle(a, b, Mask{(i / 2 + V / 2 + i % 2 * V)...});
#endif
}

// Transpose a block of V x V numbers, by log2(V) perfect shuffles.
static inline void turn(Vector (&block)[V]) {
#pragma GCC unroll 4
    for (int length = 1; length < V; length *= 2) {
        Vector mixed[V];
#pragma GCC unroll 16
        for (int i = 0; i < V / 2; i++)
            interleave(block[i], block[i + V / 2], mixed[2 * i], mixed[2 * i + 1],
                       std::make_integer_sequence<int, V>());
#pragma GCC unroll 16
        for (int i = 0; i < V; i++)
            block[i] = mixed[i];
    }
}

// A block of V x V numbers, a row every `from_stride`, to rows every `to_stride`.
static inline void turn(float *to, int64_t to_stride, const float *from, int64_t from_stride) {
    Vector block[V];
#pragma GCC unroll 16
    for (int i = 0; i < V; i++)
        block[i] = load(from + i * from_stride);
    turn(block);
#pragma GCC unroll 16
    for (int i = 0; i < V; i++)
        store(to + i * to_stride, block[i]);
}

// While one of these exists, its thread takes denormal numbers, below 1e-38, for zero. Adam's moments fade to such
// numbers where a unit is never active. Processors are slow with them, and they make no difference to a parameter.
struct NoTinyNumbers {
#if defined(__SSE__)
    unsigned int before = __builtin_ia32_stmxcsr();
    NoTinyNumbers() { __builtin_ia32_ldmxcsr(before | 0x8040); } // both results and operands
    ~NoTinyNumbers() { __builtin_ia32_ldmxcsr(before); }
#elif defined(__aarch64__)
    uint64_t before;
    NoTinyNumbers() {
        asm volatile("mrs %0, fpcr" : "=r"(before));
        asm volatile("msr fpcr, %0" : : "r"(before | 1 << 24));
    }
    ~NoTinyNumbers() { asm volatile("msr fpcr, %0" : : "r"(before)); }
#endif
};
