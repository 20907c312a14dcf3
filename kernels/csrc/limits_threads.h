// Several threads that begin a measurement at the same moment.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

namespace nimllm {

// prepare(member) on every thread, then, when all are ready, work(member) on every thread; the caller is member 0.
// Throws std::system_error when a thread cannot be started; those that were end first.
template <class Prepare, class Work>
void together(int threads, Prepare prepare, Work work) {
    std::atomic<int> missing{threads};
    std::atomic<bool> given_up{false};
    auto run = [&](int member) {
        prepare(member);
        missing--;
        while (missing > 0 && !given_up) std::this_thread::yield();
        if (!given_up) work(member);
    };
    std::vector<std::thread> others;
    try {
        others.reserve(size_t(threads));
        for (int member = 1; member < threads; member++) others.emplace_back(run, member);
    } catch (...) {
        given_up = true;
        for (auto &thread : others) thread.join();
        throw;
    }
    run(0);
    for (auto &thread : others) thread.join();
}

}  // namespace nimllm
