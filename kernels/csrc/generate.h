// The loop that draws tokens, so that nothing outside the engine runs between two of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "engine.h"
#include "sampler.h"

namespace nimllm {

class Model;

// Prompt lookup (Saxena 2023): the last few tokens stood in the sequence before, so what followed them there is a draft
// of what follows now. One pass over the weights checks all of it. Switches itself off while that costs more than it
// saves; what is drafted changes the speed and never the text.
class Lookup {
public:
    // Appends to `draft` at most `room` ids that may follow the sequence.
    void propose(const std::vector<int32_t> &sequence, int64_t room, std::vector<int32_t> &draft);
    // A pass over 1 + drafted tokens took so long, and so many of the draft were right.
    void learn(int64_t drafted, int64_t accepted, double seconds);

private:
    double plain_ = 0;      // seconds of a pass over one token, a moving average; 0: not known yet
    double saved_ = 0;      // seconds that a pass with a draft saves, a moving average
    int64_t length_ = 4;    // of the next draft: grows while all of it is right
    int64_t resting_ = 0;   // tokens to go without drafts
    int64_t penalty_ = 16;  // how long the next rest is
};

class Generation {
public:
    explicit Generation(Model &model);

    // What was appended to or removed from the model's cache by others.
    void extended(const int32_t *ids, int64_t n, const float *last_logits);
    void truncated(int64_t position);
    void forked(int64_t count) { branches_.assign(size_t(count), {}); }
    void stepped(const int32_t *ids, const int32_t *which, int64_t n);
    void adopted(int64_t branch);

    // As nimllm_generate; the arguments are valid.
    void run(const nimllm_request &request, int32_t *ids, double *logprobs, nimllm_generated *result);
    // As nimllm_generate_samples; the arguments are valid.
    void run_samples(const nimllm_request &request, int64_t samples, int32_t *ids, double *logprobs,
                     nimllm_generated *results);

private:
    struct Round;  // one choice for every living sample
    static void choose_some(void *round, int member, int size);
    bool begin(const nimllm_request &request);
    void append(const int32_t *ids, int64_t n, const volatile int32_t *cancel);
    void pass(int32_t id, int64_t room);
    void settle();
    int64_t length() const { return base_ + at_; }

    Model &model_;
    int64_t vocabulary_;
    Sampler sampler_;
    Lookup lookup_;
    std::vector<int32_t> sequence_;  // the ids in the cache
    std::vector<std::vector<int32_t>> branches_;  // and those of the open branches
    std::vector<Sampler> samplers_;  // of the branches
    std::vector<float> branch_rows_;  // [living, vocabulary] their logits
    std::vector<float> rows_;        // [1 + drafted, vocabulary] logits of the last pass
    std::vector<int32_t> draft_;
    int64_t base_ = 0, at_ = 0;      // tokens in the cache before the draft, and how many of the draft are right so far
    bool known_ = false;             // rows_ holds the logits after the last id
    double seconds_ = 0;             // of the last pass
};

}  // namespace nimllm
