// Epochs: step after step. The threads share out each mini-batch of one network, or the networks if there are several.

#include <pthread.h>

constexpr int64_t N_PARAMETERS = sizeof(Parameters) / sizeof(float);

static float *numbers(Parameters &parameters) { return (float *)&parameters; }

struct Network {
    Shared &shared;
    float **tensors; // the weight and the bias of each layer, as torch keeps them
    const float *X, *y;
    const int64_t *order;
    int64_t n_samples, batch_size;
    double learning_rate;
    double *powers; // of Adam's two betas by the number of steps so far
};

// The part of one of n_threads in an epoch, with memory of its own. Returns its part of the summed squared errors.
static double train(const Network &network, Own *all, Barrier &barrier, int thread, int n_threads) {
    [[maybe_unused]] NoTinyNumbers here;
    Own &own = all[thread];
    double loss = 0, power_1 = network.powers[0], power_2 = network.powers[1];
    // This thread's share of the parameters, in whole vectors.
    int64_t first = N_PARAMETERS / V * thread / n_threads * V;
    int64_t count = N_PARAMETERS / V * (thread + 1) / n_threads * V - first;
    // If each thread's rows of a mini-batch go through in one piece, their activations last until the end of the step.
    bool at_once = MANY_PARAMETERS && network.batch_size <= ROWS_IN_CACHE * n_threads;
    for (int64_t begin = 0; begin < network.n_samples; begin += network.batch_size) {
        int64_t left = network.n_samples - begin, n_rows = left < network.batch_size ? left : network.batch_size;
        if (begin == 0 || !at_once) {
            transpose_weights(network.shared, thread, n_threads);
            barrier.wait(n_threads);
        }

        Team<Own> team{all, thread, n_threads, n_rows, &barrier};
        int64_t row = first_row(n_rows, thread, n_threads), end = first_row(n_rows, thread + 1, n_threads);
        auto carry = [&](const Team<Own> &team, bool add) {
            return forward_and_back(network.shared, team, network.X, network.y, network.order + begin + row,
                                    1.0f / (n_rows * N_OUTPUTS), add, !at_once);
        };
        if (at_once)
            loss += carry(team, false);
        else if (row == end)
            own.gradient = {};
        else
            for (bool add = false; row < end; row += ROWS_IN_CACHE, add = true)
                loss += carry({&own, 0, 1, end - row < ROWS_IN_CACHE ? end - row : ROWS_IN_CACHE, nullptr}, add);
        barrier.wait(n_threads);

        power_1 *= BETA_1;
        power_2 *= BETA_2;
        float rate = network.learning_rate / (1 - power_1), of_root = 1 / __builtin_sqrt(1 - power_2);
        if (at_once) {
            Update<Own> mine{team, rate, of_root};
            update_all(network.shared, mine);
        } else {
            float *gradient = numbers(all[0].gradient) + first;
            for (int other = 1; other < n_threads; other++) {
                const float *more = numbers(all[other].gradient) + first;
                for (int64_t i = 0; i < count; i++)
                    gradient[i] += more[i];
            }
            adam(numbers(network.shared.parameters) + first, numbers(network.shared.mean) + first,
                 numbers(network.shared.square) + first, gradient, count, rate, of_root);
        }
        barrier.wait(n_threads);
    }
    if (thread == 0) { // no thread reads them any longer
        network.powers[0] = power_1;
        network.powers[1] = power_2;
    }
    return loss;
}

// ---- Threads -------------------------------------------------------------------------------------------------------

constexpr int MOST_THREADS = 64;

template <typename Body>
struct Worker {
    Body *body;
    const int *n_threads; // 0 until it is known how many could be started
    int number;
    pthread_t thread;

    static void *work(void *given) {
        Worker &worker = *(Worker *)given;
        int n_threads;
        while (!(n_threads = __atomic_load_n(worker.n_threads, __ATOMIC_ACQUIRE)))
            sched_yield();
        (*worker.body)(worker.number, n_threads);
        return nullptr;
    }
};

// Call body(thread, n_threads) in each of as many threads as can be started, this one among them.
template <typename Body>
static void in_threads(int wanted, Body body) {
    Worker<Body> workers[MOST_THREADS];
    int started = 1, n_threads = 0;
    for (; started < wanted; started++) {
        workers[started] = {&body, &n_threads, started, {}};
        if (pthread_create(&workers[started].thread, nullptr, Worker<Body>::work, &workers[started]))
            break;
    }
    __atomic_store_n(&n_threads, started, __ATOMIC_RELEASE);
    body(0, started);
    for (int other = 1; other < started; other++)
        pthread_join(workers[other].thread, nullptr);
}

// ---- What is called from Python ------------------------------------------------------------------------------------

// Bytes of memory that epochs work in: zero before the first one, and left alone between them.
extern "C" int64_t mlperf_memory(int n_networks, int n_threads) {
    return sizeof(Shared) * n_networks + sizeof(Own) * n_threads;
}

// Train each network for an epoch, and write its mean squared error to `losses`. All pointers are to arrays with one
// part for each network, one after the other.
extern "C" void mlperf_epoch(char *memory, int n_networks, int n_threads, float **tensors, const float *X,
                             const float *y, const int64_t *order, int64_t n_samples, int64_t batch_size,
                             const double *learning_rates, double *powers, double *losses) {
    Shared *shared = (Shared *)memory;
    Own *own = (Own *)(memory + sizeof(Shared) * n_networks);
    n_threads = n_threads < MOST_THREADS ? n_threads : MOST_THREADS;
    auto network = [=](int64_t i) {
        return Network{shared[i], tensors + i * 2 * N_LAYERS, X + i * n_samples * N_FEATURES,
                       y + i * n_samples * N_OUTPUTS, order + i * n_samples, n_samples, batch_size, learning_rates[i],
                       powers + 2 * i};
    };
    if (n_networks == 1) {
        double parts[MOST_THREADS] = {};
        Barrier barrier;
        in_threads(n_threads, [&](int thread, int n_threads) {
            exchange_all(shared->parameters, tensors, false, thread, n_threads);
            barrier.wait(n_threads);
            parts[thread] = train(network(0), own, barrier, thread, n_threads);
            exchange_all(shared->parameters, tensors, true, thread, n_threads);
        });
        losses[0] = 0;
        for (double part : parts)
            losses[0] += part / (n_samples * N_OUTPUTS);
        return;
    }
    int next = 0;
    in_threads(n_threads, [&](int thread, int) {
        for (int i; (i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)) < n_networks;) {
            Network one = network(i);
            Barrier nobody;
            exchange_all(one.shared.parameters, one.tensors, false, 0, 1);
            losses[i] = train(one, own + thread, nobody, 0, 1) / (n_samples * N_OUTPUTS);
            exchange_all(one.shared.parameters, one.tensors, true, 0, 1);
        }
    });
}
