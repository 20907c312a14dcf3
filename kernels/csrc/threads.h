// A team of threads that runs one job at a time, and the rendezvous inside the job.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace nimllm {

class Team {
public:
    typedef void (*Job)(void *context, int member, int size);

    explicit Team(int size);
    ~Team();
    Team(const Team &) = delete;
    Team &operator=(const Team &) = delete;

    // Calls job(context, member, size) once on every member, the caller being member 0, and returns when all are done.
    // While other programs hold the cores the caller works alone (size 1): see alone().
    // `work` scales what is a stall: tokens of the job, whose shares of a phase differ by so much more.
    void run(Job job, void *context, int64_t work = 1);
    // From inside a job: nobody leaves before all have come.
    void meet();
    int size() const { return size_; }

private:
    void work(int member);
    void wait_for_job(unsigned seen);
    bool alone();

    int size_;
    int active_ = 1;      // members of the job now running
    std::chrono::microseconds patience_{0};  // a longer wait at one of its meetings is a stall
    int alone_left_ = 0;  // jobs still to be done by the caller alone
    int penalty_ = 0;     // how many the last stall cost
    int smooth_ = 0;      // jobs since then
    std::atomic<bool> stalled_{false};
    long process_;
    Job job_ = nullptr;
    void *context_ = nullptr;
    alignas(64) std::atomic<unsigned> round_{0};  // raised once per job
    alignas(64) std::atomic<int> parked_{0};
    std::atomic<bool> stop_{false};
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<unsigned> phase_{0};
    struct Parking {
        std::mutex mutex;
        std::condition_variable wake;
    };
    std::unique_ptr<Parking> parking_{new Parking};  // on the heap, so that a forked child can leave it behind
    std::vector<std::thread> threads_;
};

}  // namespace nimllm
