#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <new>

#include "engine.h"
#include "failure.h"

namespace nimllm {

namespace {

constexpr int64_t kBlock = 512;     // terms with a sum of their own
constexpr int64_t kHeap = 256;      // up to so many best ones are found by one scan
constexpr int kBuckets = 1024;     // of logits, for top_p

struct Passes {
    float (*largest)(const float *x, int64_t n);
    int64_t (*next_above)(const float *x, int64_t from, int64_t n, float limit);
    double (*sum_exp)(const float *x, int64_t n, float top, double scale, double *terms, double *blocks);
    double (*log_sum)(const float *x, int64_t n, float top);
    void (*buckets)(const float *x, int64_t n, float best, float factor, int last, uint16_t *out);
};

#if defined(__x86_64__) && defined(__GNUC__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,fma,prefer-vector-width=512")
#endif
namespace avx512 {
#define DOUBLES 8
#include "sampler_body.h"
#undef DOUBLES
}  // namespace avx512
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace avx2 {
#define DOUBLES 4
#include "sampler_body.h"
#undef DOUBLES
}  // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
namespace portable {
#define DOUBLES 2
#include "sampler_body.h"
#undef DOUBLES
}  // namespace portable

const Passes &choose_passes() {
#if defined(__x86_64__) && defined(__GNUC__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return avx512::passes();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2::passes();
#endif
    return portable::passes();
}

const Passes &passes() {
    static const Passes &chosen = choose_passes();
    return chosen;
}

uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

}  // namespace

double uniform(uint64_t seed, uint64_t index) {
    constexpr uint64_t golden = 0x9e3779b97f4a7c15u;
    // the seed is mixed first: else the draws of neighbouring seeds were one stream, shifted
    return double(mix(mix(seed + golden) + (index + 1) * golden) >> 11) * 0x1p-53;
}

Sampler::Sampler(int64_t vocabulary)
    : vocabulary_(vocabulary), limit_(vocabulary), banned_(size_t(vocabulary)), seen_(size_t(vocabulary)),
      allowed_(size_t(vocabulary)) {}

void Sampler::begin(const Sampling &sampling, int64_t limit, const int32_t *banned, int64_t n_banned,
                    const int32_t *seen, int64_t n_seen) {
    sampling_ = sampling;
    limit_ = std::min(limit, vocabulary_);
    for (const int32_t id : banned_ids_) banned_[size_t(id)] = 0;
    for (const int32_t id : seen_ids_) seen_[size_t(id)] = 0;
    banned_ids_.assign(banned, banned + n_banned);
    seen_ids_.clear();
    for (const int32_t id : banned_ids_) banned_[size_t(id)] = 1;
    if (sampling_.repetition_penalty != 1)
        for (int64_t i = 0; i < n_seen; ++i) see(seen[i]);
}

void Sampler::see(int32_t id) {
    if (sampling_.repetition_penalty == 1 || seen_[size_t(id)]) return;
    seen_[size_t(id)] = 1;
    seen_ids_.push_back(id);
}

float Sampler::allow(const float *logits, const std::vector<int32_t> &only) {
    const float penalty = float(sampling_.repetition_penalty);
    const auto value = [&](size_t id) {
        const float raw = logits[id];
        if (!seen_[id] || banned_[id]) return banned_[id] ? -INFINITY : raw;
        return raw > 0 ? raw / penalty : raw * penalty;
    };
    if (only.empty()) {
        std::memcpy(allowed_.data(), logits, size_t(limit_) * sizeof(float));
        for (const int32_t id : seen_ids_) allowed_[size_t(id)] = value(size_t(id));
        for (const int32_t id : banned_ids_) allowed_[size_t(id)] = -INFINITY;
    } else {
        std::fill(allowed_.begin(), allowed_.begin() + limit_, -INFINITY);
        for (const int32_t id : only)
            if (id < limit_) allowed_[size_t(id)] = value(size_t(id));
    }
    const float best = limit_ ? passes().largest(allowed_.data(), limit_) : -INFINITY;
    // a penalty can make an infinity of a finite logit
    if (!(best < INFINITY)) throw Failure(NIMLLM_NOT_FINITE, "the highest logit is not finite");
    if (best == -INFINITY) throw Failure(NIMLLM_NO_TOKEN, "every token is banned");
    return best;
}

int32_t Sampler::first_of(float value) const {
    return int32_t(passes().next_above(allowed_.data(), 0, limit_, std::nextafter(value, -INFINITY)));
}

int32_t Sampler::greedy(int32_t best) const {
    const bool plain = sampling_.temperature == 0 && seen_ids_.empty();
    return plain && best >= 0 && best < limit_ && !banned_[size_t(best)] ? best : -1;
}

Chosen Sampler::choose(const float *logits, int64_t index, const std::vector<int32_t> &only, bool wanted) {
    const float top = passes().largest(logits, vocabulary_);
    if (!std::isfinite(top)) throw Failure(NIMLLM_NOT_FINITE, "the highest logit is not finite");
    int32_t id = -1;
    if (sampling_.temperature == 0 && only.empty() && seen_ids_.empty()) {
        // without a copy, as long as the best one is allowed
        const float below = std::nextafter(top, -INFINITY);
        const int64_t first = passes().next_above(logits, 0, limit_, below);
        if (first < limit_ && !banned_[size_t(first)]) id = int32_t(first);
    }
    if (id < 0) {
        const float best = allow(logits, only);
        if (sampling_.temperature == 0) {
            id = first_of(best);
        } else {
            narrow(best);
            const double target = uniform(sampling_.seed, uint64_t(index)) * total_;
            double sum = 0;
            if (all_) {  // terms_ in blocks; what rounding leaves over goes to the last one that can come
                int64_t i = 0;
                size_t block = 0;
                for (; block < blocks_.size() && !(sum + blocks_[block] > target); ++block) sum += blocks_[block];
                for (i = int64_t(block) * kBlock; i < limit_; ++i) {
                    sum += terms_[size_t(i)];
                    if (sum > target) break;
                }
                for (i = std::min(i, limit_ - 1); terms_[size_t(i)] == 0; --i) {}
                id = int32_t(i);
            } else {
                size_t i = 0;
                for (; i + 1 < kept_.size(); ++i) {
                    sum += kept_[i].weight;
                    if (sum > target) break;
                }
                id = kept_[i].id;
            }
        }
    }
    if (!wanted) return {id, 0};
    return {id, double(logits[id]) - double(top) - passes().log_sum(logits, vocabulary_, top)};
}

// The k best by one scan that knows the worst of the best so far: about k ln(n / k) of n values touch the heap.
void Sampler::keep_best(float best, int64_t k) {
    const auto better = [](const Candidate &a, const Candidate &b) {
        return a.value > b.value || (a.value == b.value && a.id < b.id);
    };
    const float *x = allowed_.data();
    kept_.clear();
    if (k <= kHeap) {
        float limit = -INFINITY;
        for (int64_t i = passes().next_above(x, 0, limit_, limit); i < limit_;
             i = passes().next_above(x, i + 1, limit_, limit)) {
            if (int64_t(kept_.size()) == k) {
                std::pop_heap(kept_.begin(), kept_.end(), better);
                kept_.pop_back();
            }
            kept_.push_back({x[i], int32_t(i), 0});
            std::push_heap(kept_.begin(), kept_.end(), better);
            if (int64_t(kept_.size()) == k) limit = kept_.front().value;  // a later one must be above: ties lose
        }
    } else {
        // every 16th value tells about where the border lies; should it be too high, all values are candidates
        std::vector<float> sample;
        for (int64_t i = 0; i < limit_; i += 16) sample.push_back(x[i]);
        const size_t guess = size_t(k / 16 + k / 64 + 16);
        float limit = -INFINITY;
        if (guess < sample.size()) {
            std::nth_element(sample.begin(), sample.begin() + ptrdiff_t(guess), sample.end(), std::greater<float>());
            limit = sample[guess];
        }
        for (;;) {
            for (int64_t i = 0; i < limit_; ++i)
                if (x[i] > limit) kept_.push_back({x[i], int32_t(i), 0});
            if (int64_t(kept_.size()) >= k || limit == -INFINITY) break;
            limit = -INFINITY;
            kept_.clear();
        }
        if (int64_t(kept_.size()) > k) {
            std::nth_element(kept_.begin(), kept_.begin() + k, kept_.end(), better);
            kept_.resize(size_t(k));
        }
    }
    if (sampling_.top_p < 1) std::sort(kept_.begin(), kept_.end(), better);
    total_ = 0;
    for (Candidate &one : kept_) {
        one.weight = std::exp((double(one.value) - double(best)) / sampling_.temperature);
        total_ += one.weight;
    }
    if (sampling_.top_p < 1) {
        const double wanted = (sampling_.top_p - 1e-12) * total_;
        double sum = 0;
        size_t count = 0;
        while (count < kept_.size() && (count == 0 || sum < wanted)) sum += kept_[count++].weight;
        kept_.resize(count);
    }
    std::sort(kept_.begin(), kept_.end(), [](const Candidate &a, const Candidate &b) { return a.id < b.id; });
}

// top_p of the whole vocabulary without sorting it: masses by buckets of the logit, and only the bucket in which the
// border lies is sorted. 10,000 of 32,000 tokens can be in the nucleus of a flat distribution. No branch depends on a
// value where values are many: half of them would be guessed wrong.
void Sampler::keep_mass(float best) {
    // all that are rarer than this hold less than 1 - top_p together: they go to the last bucket, and are out
    const double rare = std::max((1 - sampling_.top_p) * total_ / double(limit_), 1e-300);
    const double range = -std::log(rare) * sampling_.temperature * 1.0001 + 1e-6;
    constexpr int last_bucket = kBuckets - 1;
    buckets_.resize(size_t(limit_));
    survivors_.resize(size_t(limit_));
    passes().buckets(allowed_.data(), limit_, best, float(last_bucket / range), last_bucket, buckets_.data());
    size_t count = 0;
    for (int64_t i = 0; i < limit_; ++i) {
        survivors_[count] = int32_t(i);
        count += buckets_[size_t(i)] < last_bucket;
    }
    double masses[2][kBuckets] = {};  // two, or each addition waits for the one before
    for (size_t i = 0; i < count; ++i) {
        const size_t id = size_t(survivors_[i]);
        masses[i & 1][buckets_[id]] += terms_[id];
    }
    const double wanted = (sampling_.top_p - 1e-12) * total_;
    double sum = 0;
    int border = 0;
    while (border < kBuckets && sum + masses[0][border] + masses[1][border] < wanted) {
        sum += masses[0][border] + masses[1][border];
        ++border;
    }
    kept_.clear();
    for (size_t i = 0; i < count; ++i)
        if (buckets_[size_t(survivors_[i])] == border)
            kept_.push_back({allowed_[size_t(survivors_[i])], survivors_[i], 0});
    std::sort(kept_.begin(), kept_.end(), [](const Candidate &a, const Candidate &b) {
        return a.value > b.value || (a.value == b.value && a.id < b.id);
    });
    Candidate last{INFINITY, -1, 0};  // the last one kept of the border's bucket
    for (const Candidate &one : kept_) {
        if ((border > 0 || last.id >= 0) && sum >= wanted) break;
        sum += terms_[size_t(one.id)];
        last = one;
    }
    kept_.resize(count);
    size_t kept = 0;
    for (size_t i = 0; i < count; ++i) {
        const int32_t id = survivors_[i];
        const float value = allowed_[size_t(id)];
        const int bucket = buckets_[size_t(id)];
        kept_[kept] = {value, id, terms_[size_t(id)]};
        kept += size_t((bucket < border) |
                       ((bucket == border) & ((value > last.value) | ((value == last.value) & (id <= last.id)))));
    }
    kept_.resize(kept);
}

void Sampler::narrow(float best) {
    const bool first_k = sampling_.top_k > 0 && sampling_.top_k < limit_;
    all_ = false;
    if (first_k) {
        keep_best(best, sampling_.top_k);
    } else {
        terms_.resize(size_t(vocabulary_));
        blocks_.resize(size_t((limit_ + kBlock - 1) / kBlock));
        total_ = passes().sum_exp(allowed_.data(), limit_, best, std::min(1 / sampling_.temperature, 1e30), terms_.data(),
                                  blocks_.data());
        if (sampling_.top_p < 1) {
            keep_mass(best);
        } else if (sampling_.min_p > 0) {
            kept_.clear();
            for (int64_t i = 0; i < limit_; ++i)
                if (terms_[size_t(i)] >= sampling_.min_p)
                    kept_.push_back({allowed_[size_t(i)], int32_t(i), terms_[size_t(i)]});
        } else {
            all_ = true;
            return;
        }
    }
    if (sampling_.min_p > 0)  // the best one's weight is 1
        kept_.erase(std::remove_if(kept_.begin(), kept_.end(),
                                   [&](const Candidate &one) { return one.weight < sampling_.min_p; }), kept_.end());
    total_ = 0;
    for (const Candidate &one : kept_) total_ += one.weight;
}

void Sampler::candidates(const float *logits, std::vector<int32_t> &ids, std::vector<double> &chances) {
    const float top = passes().largest(logits, vocabulary_);
    if (!std::isfinite(top)) throw Failure(NIMLLM_NOT_FINITE, "the highest logit is not finite");
    const float best = allow(logits, {});
    ids.clear();
    chances.clear();
    if (sampling_.temperature == 0) {
        ids.push_back(first_of(best));
        chances.push_back(1);
        return;
    }
    narrow(best);
    for (int64_t i = 0; all_ && i < limit_; ++i)
        if (allowed_[size_t(i)] > -INFINITY) {
            ids.push_back(int32_t(i));
            chances.push_back(terms_[size_t(i)] / total_);
        }
    for (size_t i = 0; !all_ && i < kept_.size(); ++i) {
        ids.push_back(kept_[i].id);
        chances.push_back(kept_[i].weight / total_);
    }
}

}  // namespace nimllm

namespace nimllm {

int32_t check_ids(const int32_t *ids, int64_t n, int64_t vocabulary) {
    if (n < 0 || (n && !ids)) return NIMLLM_BAD_ARGUMENT;
    for (int64_t i = 0; i < n; ++i)
        if (ids[i] < 0 || ids[i] >= vocabulary) return NIMLLM_BAD_ID;
    return NIMLLM_OK;
}

int32_t check_choice(const nimllm_choice &c, int64_t vocabulary) {
    const bool sane = c.temperature >= 0 && c.temperature < INFINITY && c.top_p > 0 && c.top_p <= 1 && c.min_p >= 0 &&
                      c.min_p <= 1 && c.repetition_penalty > 0 && c.repetition_penalty < INFINITY && c.top_k >= 0 &&
                      c.limit >= 0 && c.limit <= vocabulary;
    if (!sane) return NIMLLM_BAD_ARGUMENT;
    const int32_t banned = check_ids(c.banned, c.n_banned, vocabulary);
    return banned ? banned : check_ids(c.first, c.n_first, vocabulary);
}

Sampling sampling_of(const nimllm_choice &c) {
    return {c.temperature, c.top_k, c.top_p, c.min_p, c.repetition_penalty, c.seed};
}

}  // namespace nimllm

// What nimllm_choose and nimllm_candidates share: the checks, and no exception gets out.
template <class Use>
static int32_t with_sampler(const float *logits, int64_t vocabulary, const nimllm_choice *choice, const int32_t *seen,
                            int64_t n_seen, Use use) {
    if (!logits || vocabulary < 1 || vocabulary > INT32_MAX || !choice) return NIMLLM_BAD_ARGUMENT;
    int32_t code = nimllm::check_choice(*choice, vocabulary);
    if (code == NIMLLM_OK) code = nimllm::check_ids(seen, n_seen, vocabulary);
    if (code != NIMLLM_OK) return code;
    try {
        nimllm::Sampler sampler(vocabulary);
        sampler.begin(nimllm::sampling_of(*choice), choice->limit ? choice->limit : vocabulary, choice->banned,
                      choice->n_banned, seen, n_seen);
        use(sampler);
        return NIMLLM_OK;
    } catch (const nimllm::Failure &error) {
        return error.code;
    } catch (const std::bad_alloc &) {
        return NIMLLM_NO_MEMORY;
    } catch (...) {
        return NIMLLM_INTERNAL;
    }
}

extern "C" {

int32_t nimllm_choose(const float *logits, int64_t vocabulary, const nimllm_choice *choice, const int32_t *seen,
                      int64_t n_seen, uint64_t index, int32_t *id, double *logprob) {
    if (!id || !logprob) return NIMLLM_BAD_ARGUMENT;
    return with_sampler(logits, vocabulary, choice, seen, n_seen, [&](nimllm::Sampler &sampler) {
        const std::vector<int32_t> first(choice->first, choice->first + choice->n_first);
        const nimllm::Chosen chosen = sampler.choose(logits, int64_t(index), first);
        *id = chosen.id;
        *logprob = chosen.logprob;
    });
}

int32_t nimllm_candidates(const float *logits, int64_t vocabulary, const nimllm_choice *choice, const int32_t *seen,
                          int64_t n_seen, int32_t *ids, double *chances, int64_t *count) {
    if (!ids || !chances || !count) return NIMLLM_BAD_ARGUMENT;
    return with_sampler(logits, vocabulary, choice, seen, n_seen, [&](nimllm::Sampler &sampler) {
        std::vector<int32_t> found;
        std::vector<double> shares;
        sampler.candidates(logits, found, shares);
        std::copy(found.begin(), found.end(), ids);
        std::copy(shares.begin(), shares.end(), chances);
        *count = int64_t(found.size());
    });
}

}  // extern "C"
