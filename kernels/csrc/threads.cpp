#include "threads.h"

#include <algorithm>
#include <chrono>
#include <new>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
static long process_id() { return long(getpid()); }
#else
static long process_id() { return 0; }
#endif

namespace nimllm {

// A wake-up from the kernel costs about 50 us, a phase of a small model 2 to 50: spin that long, then stop burning CPU.
static constexpr auto kSpin = std::chrono::microseconds(50);

// Shares of one phase differ by less than this per token, time slices are longer. (Without "per token" most chunks of
// a long prompt were taken for stalled and read by one thread: 6,700 instead of 11,000 tok/s at 48M, 8 bits.)
static constexpr auto kStall = std::chrono::microseconds(500);

static inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

// True as soon as done() is; false after kSpin. The clock is read rarely, since it costs more than done().
template <class Done>
static bool spin(Done done) {
    const auto begin = std::chrono::steady_clock::now();
    for (;;) {
        for (int i = 0; i < 64; ++i) {
            if (done()) return true;
            relax();
        }
        if (std::chrono::steady_clock::now() - begin > kSpin) return done();
    }
}

Team::Team(int size) : size_(size), process_(process_id()) {
    threads_.reserve(size_t(size - 1));
    try {
        for (int member = 1; member < size; ++member) threads_.emplace_back(&Team::work, this, member);
    } catch (const std::exception &) {
        size_ = int(threads_.size()) + 1;  // the system gives fewer threads: the results are the same
    }
}

Team::~Team() {
    if (process_ != process_id()) {
        // After a fork the threads exist only in the parent: joining them, or destroying what they wait on, would hang.
        new std::vector<std::thread>(std::move(threads_));
        parking_.release();
        return;
    }
    stop_.store(true);
    round_.fetch_add(1);
    {
        std::lock_guard<std::mutex> lock(parking_->mutex);
    }
    parking_->wake.notify_all();
    for (auto &thread : threads_) thread.join();
}

// A member that lost its core to another program makes all others wait for a whole time slice, some milliseconds, at
// one of the ten meetings of a layer. With both cores of a machine busy elsewhere, two threads decode 4 times slower
// than one (309 against 1152 tok/s, 10M parameters). So a stall is followed by jobs done alone: 16, doubling up to 512
// while stalls go on, from 16 again after 64 smooth jobs.
bool Team::alone() {
    if (stalled_.exchange(false)) {
        penalty_ = smooth_ > 64 || !penalty_ ? 16 : std::min(512, 2 * penalty_);
        smooth_ = 0;
        alone_left_ = penalty_;
    }
    if (alone_left_ > 0) {
        --alone_left_;
        return true;
    }
    ++smooth_;
    return false;
}

void Team::run(Job job, void *context, int64_t work) {
    if (size_ > 1 && process_ != process_id()) size_ = 1;  // forked: only this thread came along
    active_ = size_ == 1 || alone() ? 1 : size_;
    if (active_ == 1) {
        job(context, 0, 1);
        return;
    }
    patience_ = kStall * work;
    job_ = job;
    context_ = context;
    round_.fetch_add(1);  // sequentially consistent, as is parked_: one of the two sides sees the other
    if (parked_.load() > 0) {
        {
            std::lock_guard<std::mutex> lock(parking_->mutex);
        }
        parking_->wake.notify_all();
    }
    job(context, 0, size_);
    meet();
}

void Team::meet() {
    if (active_ == 1) return;
    const unsigned phase = phase_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
        arrived_.store(0, std::memory_order_relaxed);
        phase_.store(phase + 1, std::memory_order_release);
        return;
    }
    const auto gone = [&] { return phase_.load(std::memory_order_acquire) != phase; };
    if (spin(gone)) return;
    // The other one has probably lost its core to somebody else: let it have this one.
    const auto begin = std::chrono::steady_clock::now();
    while (!gone()) std::this_thread::yield();
    if (std::chrono::steady_clock::now() - begin > patience_) stalled_.store(true);
}

void Team::wait_for_job(unsigned seen) {
    const auto called = [&] { return round_.load() != seen; };
    if (spin(called)) return;
    std::unique_lock<std::mutex> lock(parking_->mutex);
    parked_.fetch_add(1);
    parking_->wake.wait(lock, called);
    parked_.fetch_sub(1);
}

void Team::work(int member) {
    for (unsigned seen = 0;; ++seen) {
        wait_for_job(seen);
        if (stop_.load()) return;
        job_(context_, member, size_);
        meet();
    }
}

}  // namespace nimllm
