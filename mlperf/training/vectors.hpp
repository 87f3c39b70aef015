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
static inline Vector where(Mask mask, Vector value) { return (Vector)(mask & (Mask)value); }

static inline float total(Vector values) {
    float parts[V];
    store(parts, values);
    for (int half = V / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            parts[i] += parts[i + half];
    return parts[0];
}

// The numbers of two vectors in turn: their first halves, and their second ones.
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

// The rows of a block of V x V numbers become its columns, by log2(V) perfect shuffles.
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
