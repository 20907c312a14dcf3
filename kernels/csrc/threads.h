// A team of threads that runs one job at a time, and the rendezvous inside the job.
#pragma once

#include <atomic>
#include <condition_variable>
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
    void run(Job job, void *context);
    // From inside a job: nobody leaves before all have come.
    void meet();
    int size() const { return size_; }

private:
    void work(int member);
    void wait_for_job(unsigned seen);

    int size_;
    long process_;
    Job job_ = nullptr;
    void *context_ = nullptr;
    alignas(64) std::atomic<unsigned> round_{0};  // raised once per job
    alignas(64) std::atomic<int> parked_{0};
    std::atomic<bool> stop_{false};
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<unsigned> phase_{0};
    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<std::thread> threads_;
};

}  // namespace nimllm
