// An epoch: step after step, each mini-batch shared out among threads.

#include <pthread.h>
#include <sched.h>

// Nobody goes on before all have come. They turn on the spot, as the others are only microseconds away.
struct Barrier {
    int waiting = 0, round = 0;

    void wait(int n_threads) {
        if (n_threads == 1)
            return;
        int now = __atomic_load_n(&round, __ATOMIC_ACQUIRE);
        if (__atomic_add_fetch(&waiting, 1, __ATOMIC_ACQ_REL) == n_threads) {
            __atomic_store_n(&waiting, 0, __ATOMIC_RELAXED);
            __atomic_store_n(&round, now + 1, __ATOMIC_RELEASE);
            return;
        }
        for (int turns = 0; __atomic_load_n(&round, __ATOMIC_ACQUIRE) == now; turns++)
            if (turns > 10000)
                sched_yield(); // another program may have the processor
    }
};

struct Epoch {
    Shared &shared;
    Own *own; // one for each thread
    const float *X, *y;
    const int64_t *order;
    int64_t n_samples, batch_size;
    double learning_rate, power_1, power_2;
    int n_threads; // 0 until it is known how many could be started
    Barrier barrier;
};

constexpr int64_t N_PARAMETERS = sizeof(Parameters) / sizeof(float);

static float *numbers(Parameters &parameters) { return (float *)&parameters; }

static void train(Epoch &epoch, int thread, int n_threads) {
    Own &own = epoch.own[thread];
    double power_1 = epoch.power_1, power_2 = epoch.power_2;
    // This thread's share of the parameters, in whole vectors.
    int64_t first = N_PARAMETERS / V * thread / n_threads * V;
    int64_t count = N_PARAMETERS / V * (thread + 1) / n_threads * V - first;
    own.loss = 0;
    for (int64_t begin = 0; begin < epoch.n_samples; begin += epoch.batch_size) {
        int64_t left = epoch.n_samples - begin, n_rows = left < epoch.batch_size ? left : epoch.batch_size;
        transpose_weights(epoch.shared, thread, n_threads);
        epoch.barrier.wait(n_threads);

        int64_t row = n_rows * thread / n_threads, end = n_rows * (thread + 1) / n_threads;
        if (row == end)
            own.gradient = {};
        for (bool add = false; row < end; row += ROWS_IN_CACHE, add = true)
            own.loss += forward_and_back(epoch.shared, own, epoch.X, epoch.y, epoch.order + begin + row,
                                         end - row < ROWS_IN_CACHE ? end - row : ROWS_IN_CACHE,
                                         1.0f / (n_rows * N_OUTPUTS), add);
        epoch.barrier.wait(n_threads);

        float *gradient = numbers(epoch.own[0].gradient) + first;
        for (int other = 1; other < n_threads; other++) {
            const float *more = numbers(epoch.own[other].gradient) + first;
            for (int64_t i = 0; i < count; i++)
                gradient[i] += more[i];
        }
        power_1 *= BETA_1;
        power_2 *= BETA_2;
        adam(numbers(epoch.shared.parameters) + first, numbers(epoch.shared.mean) + first,
             numbers(epoch.shared.square) + first, gradient, count, epoch.learning_rate / (1 - power_1),
             1 / std::sqrt(1 - power_2));
        epoch.barrier.wait(n_threads);
    }
}

struct Worker {
    Epoch *epoch;
    int number;
    pthread_t thread;
};

static void *work(void *given) {
    Worker &worker = *(Worker *)given;
    int n_threads;
    while (!(n_threads = __atomic_load_n(&worker.epoch->n_threads, __ATOMIC_ACQUIRE)))
        sched_yield();
    train(*worker.epoch, worker.number, n_threads);
    return nullptr;
}

// Bytes of memory that an epoch works in, zero before the first one.
extern "C" int64_t mlperf_memory(int n_threads) { return sizeof(Shared) + sizeof(Own) * n_threads; }

// Train for an epoch and return its mean squared error. `tensors` are the weight and the bias of each layer, as torch
// keeps them. `powers` are those of Adam's betas by the number of steps so far.
extern "C" double mlperf_epoch(char *memory, float **tensors, const float *X, const float *y, const int64_t *order,
                               int64_t n_samples, int64_t batch_size, double learning_rate, double *powers,
                               int most_threads) {
    Shared &shared = *(Shared *)memory;
    Own *own = (Own *)(memory + sizeof(Shared));
    Epoch epoch{shared, own, X, y, order, n_samples, batch_size, learning_rate, powers[0], powers[1], 0, {}};
    exchange_all(shared.parameters, tensors, false);
    Worker workers[64];
    int started = 1;
    for (; started < most_threads && started < 64; started++) {
        workers[started] = {&epoch, started, {}};
        if (pthread_create(&workers[started].thread, nullptr, work, &workers[started]))
            break;
    }
    __atomic_store_n(&epoch.n_threads, started, __ATOMIC_RELEASE);
    train(epoch, 0, started);
    double loss = epoch.own[0].loss;
    for (int other = 1; other < started; other++) {
        pthread_join(workers[other].thread, nullptr);
        loss += epoch.own[other].loss;
    }
    int64_t n_steps = (n_samples + batch_size - 1) / batch_size;
    powers[0] *= std::pow(BETA_1, n_steps);
    powers[1] *= std::pow(BETA_2, n_steps);
    exchange_all(shared.parameters, tensors, true);
    return loss / (n_samples * N_OUTPUTS);
}
