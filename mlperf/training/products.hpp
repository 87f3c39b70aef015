// What a training step is made of: matrix products that are held in vector registers, and Adam. The constants and the
// network are written by mlperf/training/kernel.py; vectors.hpp comes first.
//
// All products work alike: a block of the result, ROWS x (VECTORS * V) numbers, stays in registers during one pass over
// the inner dimension. Each iteration loads one row of the right factor and, for each row of the block, one number of
// the left factor, by which that row is multiplied. The left factor may lie in memory in either order, so that it need
// not be transposed for the gradient of a weight.
//
// The right factor is cut into panels of at most VECTORS * V columns, each with its rows one after the other, so that
// what a block reads lies side by side. Columns are filled up with zeros to whole vectors; Adam leaves zeros at zero.

// ROWS x VECTORS sums, a row of the right factor and a number of the left one are in registers at a time.
constexpr int ROWS = ROWS_AT_ONCE ? ROWS_AT_ONCE : REGISTERS == 32 ? 6 : 4;
constexpr int VECTORS = VECTORS_AT_ONCE ? VECTORS_AT_ONCE : REGISTERS == 32 ? 4 : 3;

// ---- Where numbers lie ---------------------------------------------------------------------------------------------

constexpr int PANEL = VECTORS * V;

constexpr int whole(int columns) { return (columns + V - 1) / V * V; } // whole vectors
constexpr int rest(int columns) { return whole(columns) % PANEL; }     // columns of a last panel that is not full
constexpr int panels(int columns) { return (columns + PANEL - 1) / PANEL; }

// From one row of activations to the next. Rows that lie a power of two apart compete for the same places in the cache.
constexpr int stride(int columns) { return whole(columns) + (columns > PANEL ? V : 0); }

// Place of an element in a matrix that lies in panels.
constexpr int64_t at(int rows, int columns, int row, int column) {
    int64_t first = column / PANEL * PANEL, left = whole(columns) - first;
    return rows * first + row * (left < PANEL ? left : PANEL) + column - first;
}

// The weight of a layer with few outputs is kept transposed, as vectors along its inputs.
constexpr bool narrow(int outputs) { return outputs <= NARROW; }
constexpr int64_t weights(int inputs, int outputs) {
    return narrow(outputs) ? (int64_t)outputs * whole(inputs) : (int64_t)inputs * whole(outputs);
}

// ---- One block of a product ----------------------------------------------------------------------------------------

enum Finish { PLAIN, RELU, RELU_GRADIENT };

// Element (row, i) of the left factor is left[row * left_stride + i], or, if transposed,
// left[i * left_stride + row]. A row of the right factor has columns * V numbers. If `begin` points anywhere, the
// sums begin with what lies there, a row every `begin_stride` numbers. RELU_GRADIENT needs the ReLU's outputs: they lie
// in `outputs`, a row every `out_stride` numbers.
template <int rows, int columns, bool transposed, Finish finish>
static inline void block(float *out, int64_t out_stride, const float *left, int64_t left_stride, const float *right,
                         int64_t n_inner, const float *begin, int64_t begin_stride, const float *outputs) {
    Vector sum[rows][columns];
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int c = 0; c < columns; c++)
            sum[r][c] = begin ? load(begin + r * begin_stride + c * V) : Vector{};
#pragma GCC unroll 1
    for (int64_t i = 0; i < n_inner; i++) {
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            Vector number = Vector{} + left[r * (transposed ? 1 : left_stride)];
#pragma GCC unroll 16
            for (int c = 0; c < columns; c++)
                sum[r][c] += number * load(right + c * V);
        }
        left += transposed ? left_stride : 1;
        right += columns * V;
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int c = 0; c < columns; c++) {
            int64_t place = r * out_stride + c * V;
            Vector value = sum[r][c];
            if (finish == RELU)
                value = where(~(value < 0), value); // NaN stays NaN
            if (finish == RELU_GRADIENT)
                value = where(load(outputs + place) > 0, value);
            store(out + place, value);
        }
}

// All rows of a panel: ROWS at a time, what is left in smaller blocks.
template <int columns, bool transposed, Finish finish>
static void blocks(float *out, int64_t out_stride, const float *left, int64_t left_stride, const float *right,
                   int64_t n_rows, int64_t n_inner, const float *begin, int64_t begin_stride,
                   const float *outputs = nullptr) {
    auto take = [&]<int rows>() {
        for (; n_rows >= rows; n_rows -= rows) {
            block<rows, columns, transposed, finish>(out, out_stride, left, left_stride, right, n_inner, begin,
                                                     begin_stride, outputs);
            out += rows * out_stride;
            left += rows * (transposed ? 1 : left_stride);
            begin += begin ? rows * begin_stride : 0;
            outputs += outputs ? rows * out_stride : 0;
        }
    };
    take.template operator()<ROWS>();
    if constexpr (ROWS > 4)
        take.template operator()<4>();
    if constexpr (ROWS > 2)
        take.template operator()<2>();
    if constexpr (ROWS > 1)
        take.template operator()<1>();
}

// Call body<vectors>(column) for each panel of a matrix, with its width in vectors and its first column.
template <int width, typename Body>
static void each_panel(Body body) {
    constexpr int full = whole(width) - rest(width);
    for (int column = 0; column < full; column += PANEL)
        body.template operator()<VECTORS>(column);
    if constexpr (rest(width) != 0)
        body.template operator()<rest(width) / V>(full);
}

// ---- Threads that share a mini-batch -------------------------------------------------------------------------------

#include <sched.h>

// A thread waits here until all have come. It spins, as the others are only microseconds behind.
struct Barrier {
    int waiting = 0, round = 0;
    int next = 0; // the first piece of work that no thread has taken since

    void wait(int n_threads) {
        if (MOST_PARAMETERS)
            end_streams();
        if (n_threads == 1) {
            next = 0;
            return;
        }
        int now = __atomic_load_n(&round, __ATOMIC_ACQUIRE);
        if (__atomic_add_fetch(&waiting, 1, __ATOMIC_ACQ_REL) == n_threads) {
            __atomic_store_n(&waiting, 0, __ATOMIC_RELAXED);
            __atomic_store_n(&next, 0, __ATOMIC_RELAXED);
            __atomic_store_n(&round, now + 1, __ATOMIC_RELEASE);
            return;
        }
        for (int turns = 0; __atomic_load_n(&round, __ATOMIC_ACQUIRE) == now; turns++)
            if (turns > 2000)
                sched_yield(); // another program may have the processor
    }
};

// The rows of a mini-batch of which a thread takes its share.
static inline int64_t first_row(int64_t n_rows, int thread, int n_threads) { return n_rows * thread / n_threads; }

// One of the threads that go through the layers of a large network together. The rows of a mini-batch lie with all of
// them. Each computes some columns of all rows, by the part of a weight that it updates itself: that stays in its cache.
// In a small network, each thread is a team by itself.
template <typename Own>
struct Team {
    Own *all; // what each has for itself
    int thread, n_threads;
    int64_t n_rows;
    Barrier *barrier;

    int64_t n_rows_of(int other) const {
        return first_row(n_rows, other + 1, n_threads) - first_row(n_rows, other, n_threads);
    }
    // Until all rows of the layer before are there.
    void wait() const {
        if (MANY_PARAMETERS && n_threads > 1)
            barrier->wait(n_threads);
    }
    // The thread whose panel it is, or NOBODY if there are too few left for all threads.
    int owner(int panel, int n_panels) const {
        return panel < n_panels / n_threads * n_threads ? panel % n_threads : NOBODY;
    }
    // Call body<vectors>(column, own, n_rows) for this thread's panels of a matrix, with the rows of each thread. Of a
    // panel that is nobody's, each takes its own rows.
    template <int width, typename Body>
    void each_share(Body body) const {
        int panel = 0;
        each_panel<width>([&]<int vectors>(int64_t column) {
            if (!MANY_PARAMETERS || n_threads == 1)
                return body.template operator()<vectors>(column, *all, n_rows);
            int its = owner(panel++, panels(width));
            for (int other = 0; other < n_threads; other++)
                if (its == thread || (its == NOBODY && other == thread))
                    body.template operator()<vectors>(column, all[other], n_rows_of(other));
        });
    }
    static constexpr int NOBODY = -1;
};

// ---- The three products of a layer ---------------------------------------------------------------------------------

// out = in @ W + b, followed by the ReLU if `finish` is RELU. `out` and `in` say where they lie in what is a thread's own.
template <int n_in, int n_out, Finish finish, typename Own, typename Out, typename In>
static void forward(const Team<Own> &team, Out out, In in, const float *W, const float *b) {
    team.wait();
    if constexpr (!narrow(n_out))
        team.template each_share<n_out>([=]<int vectors>(int64_t column, Own &own, int64_t n_rows) {
            blocks<vectors, false, finish>(own.*out + column, stride(n_out), own.*in, stride(n_in), W + n_in * column,
                                           n_rows, n_in, b + column, 0);
        });
    else {
        Own &own = team.all[team.thread];
        for (int64_t row = 0; row < team.n_rows_of(team.thread); row++)
            for (int output = 0; output < n_out; output++) {
                Vector sum{};
                for (int i = 0; i < n_in; i += V)
                    sum += load(own.*in + row * stride(n_in) + i) * load(W + at(n_out, n_in, output, i));
                float value = total(sum) + b[output];
                (own.*out)[row * stride(n_out) + output] = finish == RELU && value < 0 ? 0 : value;
            }
    }
}

// The gradient by the inputs of the ReLU whose `outputs` are the layer's inputs. It may overwrite them.
template <int n_in, int n_out, typename Own, typename Before, typename Outputs, typename Delta>
static void backward(const Team<Own> &team, Before before, Outputs outputs, Delta delta, const float *transposed) {
    team.wait();
    team.template each_share<n_in>([=]<int vectors>(int64_t column, Own &own, int64_t n_rows) {
        blocks<vectors, false, RELU_GRADIENT>(own.*before + column, stride(n_in), own.*delta, stride(n_out),
                                              transposed + n_out * column, n_rows, n_out, nullptr, 0,
                                              own.*outputs + column);
    });
}

// A panel of left.T @ right, added to what is there if `add`. If `right` has several panels, one is copied to `aside`.
template <int n_left, int n_right, int vectors>
static void panel_over_rows(float *out, const float *left, const float *right, int64_t column, float *aside,
                            int64_t n_rows, bool add) {
    const float *panel = right;
    if constexpr (n_right > PANEL) {
        for (int64_t row = 0; row < n_rows; row++)
            memcpy(aside + row * vectors * V, right + row * stride(n_right) + column, sizeof(Vector) * vectors);
        panel = aside;
    }
    blocks<vectors, true, PLAIN>(out, vectors * V, left, stride(n_left), panel, n_left, n_rows, add ? out : nullptr,
                                 vectors * V);
}

// The sums of delta's columns, added to what is there if `add`.
template <int n_out>
static void sums_over_rows(float *of_b, const float *delta, int64_t n_rows, bool add) {
    for (int column = 0; column < n_out; column += V) {
        Vector sum = add ? load(of_b + column) : Vector{};
        for (int64_t row = 0; row < n_rows; row++)
            sum += load(delta + row * stride(n_out) + column);
        store(of_b + column, sum);
    }
}

// of_W = in.T @ delta, transposed if the weight is, and of_b; added to what is there if `add`.
template <int n_in, int n_out>
static void gradient(float *of_W, float *of_b, const float *in, const float *delta, float *aside, int64_t n_rows,
                     bool add) {
    constexpr int n_left = narrow(n_out) ? n_out : n_in, n_right = narrow(n_out) ? n_in : n_out;
    const float *left = narrow(n_out) ? delta : in, *right = narrow(n_out) ? in : delta;
    each_panel<n_right>([=]<int vectors>(int64_t column) {
        panel_over_rows<n_left, n_right, vectors>(of_W + n_left * column, left, right, column, aside, n_rows, add);
    });
    sums_over_rows<n_out>(of_b, delta, n_rows, add);
}

// ---- The rest of a step --------------------------------------------------------------------------------------------

// The mini-batch's rows, one after the other.
template <int n_features>
static void gather(float *out, const float *X, const int64_t *rows, int64_t n_rows) {
    for (int64_t row = 0; row < n_rows; row++)
        memcpy(out + row * stride(n_features), X + rows[row] * n_features, sizeof(float) * n_features);
}

// Return the sum of squared errors of a prediction, and replace it by its gradient, twice the error times `weight`.
template <int n_outputs>
static double squared_error(float *prediction, const float *y, const int64_t *rows, int64_t n_rows, float weight) {
    float sum = 0;
    for (int64_t row = 0; row < n_rows; row++)
        for (int output = 0; output < n_outputs; output++) {
            float *place = prediction + row * stride(n_outputs) + output;
            float error = *place - y[rows[row] * n_outputs + output];
            sum += error * error;
            *place = 2 * weight * error;
        }
    return sum;
}

// The first column of a thread's share, in whole vectors.
static inline int64_t share(int columns, int thread, int n_threads) {
    return whole(columns) / V * thread / n_threads * V;
}

// Transpose the columns of a weight in panels from `first` to before `last`, block by block.
template <int n_in, int n_out>
static void transpose(float *transposed, const float *W, int64_t first, int64_t last) {
    for (int64_t column = first; column < last; column += V)
        for (int row = 0; row < n_in; row += V) {
            Vector block[V];
#pragma GCC unroll 16
            for (int i = 0; i < V; i++)
                block[i] = row + i < n_in ? load(W + at(n_in, n_out, row + i, column)) : Vector{};
            turn(block);
#pragma GCC unroll 16
            for (int i = 0; i < V; i++)
                if (column + i < n_out) {
                    float *place = transposed + at(n_out, n_in, column + i, row);
                    MOST_PARAMETERS ? stream<sizeof(Vector)>(place, block[i]) : store(place, block[i]);
                }
        }
}

// D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, Algorithm 1.
static void adam(float *__restrict parameters, float *__restrict mean, float *__restrict square,
                 const float *__restrict gradient, int64_t n, float rate, float of_root) {
    constexpr float new_mean = 1 - BETA_1, old_square = BETA_2, new_square = 1 - BETA_2, epsilon = EPSILON;
    for (int64_t i = 0; i < n; i++) {
        mean[i] += (gradient[i] - mean[i]) * new_mean;
        square[i] = square[i] * old_square + gradient[i] * gradient[i] * new_square;
        parameters[i] -= rate * mean[i] / (__builtin_sqrtf(square[i]) * of_root + epsilon);
    }
}

// ---- Gradient and Adam at once -------------------------------------------------------------------------------------

// Numbers that Adam trains, and its two moments of each.
struct Trained {
    float *parameters, *mean, *square;

    Trained operator+(int64_t n) const { return {parameters + n, mean + n, square + n}; }
};

// A thread's part in an update, and Adam's step sizes.
template <typename Own>
struct Update {
    const Team<Own> &team;
    float rate, of_root;
    int piece = 0, taken = -1;

    // Pieces that are nobody's go to whoever comes first.
    bool is_mine() {
        if (taken < piece)
            taken = __atomic_fetch_add(&team.barrier->next, 1, __ATOMIC_RELAXED);
        return taken == piece++;
    }
    bool is_mine(int panel, int n_panels) {
        int its = team.owner(panel, n_panels);
        return its == team.NOBODY ? is_mine() : its == team.thread;
    }
    void adam(Trained trained, int64_t n) const {
        ::adam(trained.parameters, trained.mean, trained.square, team.all[team.thread].panel, n, rate, of_root);
    }
};

// Update a layer panel by panel, each while its gradient, over the rows of all threads, is in the cache. A large
// gradient is not written to memory then, nor is a weight read again to be transposed. `in` and `delta` are the layer's
// inputs and gradient.
template <int n_in, int n_out, bool turned, typename Own, typename In, typename Delta>
static void update(Update<Own> &mine, Trained W, Trained b, float *transposed, In in, Delta delta) {
    constexpr int n_left = narrow(n_out) ? n_out : n_in, n_right = narrow(n_out) ? n_in : n_out;
    const Team<Own> &team = mine.team;
    Own &own = team.all[team.thread];
    int panel = 0;
    each_panel<n_right>([&]<int vectors>(int64_t column) {
        if (!mine.is_mine(panel++, panels(n_right)))
            return;
        for (int other = 0; other < team.n_threads; other++) {
            const float *in_there = team.all[other].*in, *delta_there = team.all[other].*delta;
            panel_over_rows<n_left, n_right, vectors>(own.panel, narrow(n_out) ? delta_there : in_there,
                                                      narrow(n_out) ? in_there : delta_there, column, own.aside,
                                                      team.n_rows_of(other), other > 0);
        }
        mine.adam(W + n_left * column, n_left * vectors * V);
        if constexpr (turned)
            transpose<n_in, n_out>(transposed, W.parameters, column, column + vectors * V);
    });
    if (!mine.is_mine())
        return;
    for (int other = 0; other < team.n_threads; other++)
        sums_over_rows<n_out>(own.panel, team.all[other].*delta, team.n_rows_of(other), other > 0);
    mine.adam(b, whole(n_out));
}

// Copy a thread's share of a layer of torch, `weight` of shape (n_out, n_in) and `bias`, to its place here, or back.
// Whole blocks are transposed; the rest at the edges is copied number by number.
template <int n_in, int n_out>
static void exchange(float *W, float *b, float *weight, float *bias, bool back, int thread, int n_threads) {
    auto copy = [=](float &here, float &there) { back ? there = here : here = there; };
    int64_t end = share(n_out, thread + 1, n_threads);
    for (int64_t first = share(n_out, thread, n_threads); first < end; first += V) {
        int64_t last = first + V < n_out ? first + V : n_out;
        int input = 0;
        if (!narrow(n_out) && last - first == V)
            for (; input + V <= n_in; input += V) {
                float *here = W + at(n_in, n_out, input, first), *there = weight + first * n_in + input;
                int64_t from_row_to_row = at(n_in, n_out, 1, first) - at(n_in, n_out, 0, first);
                if (back)
                    turn(there, n_in, here, from_row_to_row);
                else
                    turn(here, from_row_to_row, there, n_in);
            }
        for (; input < n_in; input++)
            for (int64_t output = first; output < last; output++)
                copy(W[narrow(n_out) ? at(n_out, n_in, output, input) : at(n_in, n_out, input, output)],
                     weight[output * n_in + input]);
        for (int64_t output = first; output < last; output++)
            copy(b[output], bias[output]);
    }
}
