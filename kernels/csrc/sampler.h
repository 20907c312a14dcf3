// The choice of the next token from a row of logits: greedy, or drawn after temperature, top-k, top-p and min-p.
// The same meaning, number for number, as kernels/sampling.py, which is the definition and what the tests compare with.
#pragma once

#include <cstdint>
#include <vector>

#include "engine.h"

namespace nimllm {

struct Sampling {
    double temperature = 0;  // 0: the most probable token, ties to the smaller id
    int64_t top_k = 0;       // 0: all; then the k best, ties to the smaller id
    double top_p = 1;        // then the fewest most probable ones that hold this much of what is left
    double min_p = 0;        // then those of at least this fraction of the best one's probability
    double repetition_penalty = 1;  // on every token seen: positive logits divided, negative multiplied, before all else
    uint64_t seed = 0;
};

// Uniform in [0, 1): SplitMix64's finaliser (Steele, Lea, Flood 2014, "mix13" of Stafford) on a counter. A draw depends
// on the seed and the token's index in the sequence alone, not on how many calls the text was generated in.
double uniform(uint64_t seed, uint64_t index);

struct Chosen {
    int32_t id;
    double logprob;  // nats, under the raw logits
};

class Sampler {
public:
    explicit Sampler(int64_t vocabulary);

    // Rules of the tokens to come: ids from `limit` on and those of `banned` never come; `seen` is what the penalty is
    // for. All ids lie inside the vocabulary: the caller has checked.
    void begin(const Sampling &sampling, int64_t limit, const int32_t *banned, int64_t n_banned, const int32_t *seen,
               int64_t n_seen);
    // The token at `index` of the sequence. only: when not empty, the token is one of these.
    // Failure(NIMLLM_NOT_FINITE): the largest logit is no number. Failure(NIMLLM_NO_TOKEN): every token is forbidden.
    // wanted: also its log-probability, which costs a pass over the logits; else that is 0.
    Chosen choose(const float *logits, int64_t index, const std::vector<int32_t> &only = {}, bool wanted = true);
    // choose() without looking at the logits, where `best`, the id of the largest one, is all that matters: else -1.
    int32_t greedy(int32_t best) const;
    void see(int32_t id);

    // What choose would draw from: ids in ascending order and their probabilities, of sum 1.
    void candidates(const float *logits, std::vector<int32_t> &ids, std::vector<double> &chances);

private:
    struct Candidate {
        float value;
        int32_t id;
        double weight;
    };
    float allow(const float *logits, const std::vector<int32_t> &only);  // into allowed_; its largest value
    int32_t first_of(float value) const;
    void narrow(float best);
    void keep_best(float best, int64_t k);
    void keep_mass(float best);

    int64_t vocabulary_, limit_ = 0;
    Sampling sampling_;
    std::vector<uint8_t> banned_, seen_;  // [vocabulary] flags
    std::vector<int32_t> seen_ids_, banned_ids_;
    std::vector<float> allowed_;     // [vocabulary], -inf where forbidden
    std::vector<double> terms_;      // [vocabulary] exp of the scaled logits, when all of them are wanted
    std::vector<double> blocks_;     // sums of kBlock terms
    std::vector<int32_t> survivors_;
    std::vector<uint16_t> buckets_;
    std::vector<Candidate> kept_;    
    bool all_ = false;               // nothing was cut: terms_ are the weights, kept_ is not used
    double total_ = 0;               // sum of the weights
};

// NIMLLM_OK, NIMLLM_BAD_ID or NIMLLM_BAD_ARGUMENT.
int32_t check_choice(const nimllm_choice &choice, int64_t vocabulary);
int32_t check_ids(const int32_t *ids, int64_t n, int64_t vocabulary);
Sampling sampling_of(const nimllm_choice &choice);

}  // namespace nimllm
