#include "generate.h"

#include <algorithm>
#include <new>

#include "failure.h"
#include "model.h"

namespace nimllm {

namespace {

constexpr int64_t kGrams = 3;      // tokens that must be the same before a draft
constexpr int64_t kPiece = 512;    // ids of a prompt between two looks at the cancel flag
constexpr double kNew = 0.2;       // weight of the newest figure in a moving average

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

void Lookup::propose(const std::vector<int32_t> &sequence, int64_t room, std::vector<int32_t> &draft) {
    if (resting_ > 0) {
        --resting_;
        return;
    }
    if (plain_ == 0) return;
    const int64_t size = int64_t(sequence.size());
    const int32_t *ids = sequence.data(), last = size ? ids[size - 1] : 0;
    int64_t best = -1, grams = 0;  // the latest place with the longest match; what follows it begins at `best`
    for (int64_t end = size - 2; end >= 0 && grams < kGrams; --end) {
        if (ids[end] != last) continue;
        int64_t same = 1;
        while (same < kGrams && same <= end && ids[end - same] == ids[size - 1 - same]) ++same;
        if (same > grams) {
            grams = same;
            best = end + 1;
        }
    }
    if (best < 0) return;
    // a single token that came before says little about the next one
    const int64_t most = grams == 1 ? 1 : grams == 2 ? (length_ + 1) / 2 : length_;
    // past the sequence's end the draft copies itself: "abab" goes on for as long as is wanted
    for (int64_t i = 0; i < std::min(most, room); ++i)
        draft.push_back(best + i < size ? ids[best + i] : draft[size_t(best + i - size)]);
}

void Lookup::learn(int64_t drafted, int64_t accepted, double seconds) {
    if (drafted == 0) {
        plain_ += (seconds - plain_) * (plain_ == 0 ? 1 : kNew);
        return;
    }
    length_ = accepted == drafted ? std::max(length_, 2 * drafted) : std::max<int64_t>(accepted + 1, 2);
    length_ = std::min<int64_t>(length_, 16);
    saved_ += (double(1 + accepted) * plain_ - seconds - saved_) * kNew;
    if (saved_ < 0) {
        resting_ = penalty_;
        penalty_ = std::min<int64_t>(2 * penalty_, 512);
        saved_ = 0;
    } else if (accepted == drafted) {
        penalty_ = 16;
    }
}

Generation::Generation(Model &model)
    : model_(model), vocabulary_(model.config().vocab_size), sampler_(model.config().vocab_size),
      rows_(size_t(vocabulary_)) {}

void Generation::extended(const int32_t *ids, int64_t n, const float *last_logits) {
    sequence_.insert(sequence_.end(), ids, ids + n);
    std::copy_n(last_logits, vocabulary_, rows_.begin());
    known_ = true;
}

void Generation::truncated(int64_t position) {
    if (position >= int64_t(sequence_.size())) return;
    sequence_.resize(size_t(position));
    known_ = false;
}

void Generation::stepped(const int32_t *ids, const int32_t *which, int64_t n) {
    for (int64_t i = 0; i < n; ++i) branches_[size_t(which[i])].push_back(ids[i]);
}

void Generation::adopted(int64_t branch) {
    const std::vector<int32_t> &ids = branches_[size_t(branch)];
    sequence_.insert(sequence_.end(), ids.begin(), ids.end());
    known_ = known_ && ids.empty();
    branches_.clear();
}

void Generation::append(const int32_t *ids, int64_t n, const volatile int32_t *cancel) {
    for (int64_t done = 0; done < n;) {
        if (done && cancel && *cancel) return;
        const int64_t count = std::min(n - done, kPiece);
        model_.extend(ids + done, count, rows_.data(), false);
        sequence_.insert(sequence_.end(), ids + done, ids + done + count);
        done += count;
    }
    if (n) known_ = true;
}

// Only the row of the last draw stays, and the cache ends where that draw would stand.
void Generation::settle() {
    if (at_) std::copy_n(rows_.begin() + at_ * vocabulary_, vocabulary_, rows_.begin());
    if (length() < int64_t(sequence_.size())) {
        model_.truncate(length());
        sequence_.resize(size_t(length()));
    }
    base_ = length();
    at_ = 0;
    draft_.clear();
}

// Appends the id and a draft of what may follow it; rows_[0] are the logits after the id.
void Generation::pass(int32_t id, int64_t room) {
    settle();
    sequence_.push_back(id);
    if (room > 0) lookup_.propose(sequence_, room, draft_);
    const int64_t drafted = int64_t(draft_.size());
    if (int64_t(rows_.size()) < (1 + drafted) * vocabulary_) rows_.resize(size_t((1 + drafted) * vocabulary_));
    sequence_.insert(sequence_.end(), draft_.begin(), draft_.end());
    const double begin = now();
    model_.extend(sequence_.data() + base_, 1 + drafted, rows_.data(), drafted > 0);
    seconds_ = now() - begin;
    ++base_;
}

// Reads the request's ids and makes the logits after the last one known; false when that was cancelled.
bool Generation::begin(const nimllm_request &r) {
    const int64_t before = int64_t(sequence_.size());
    append(r.ids, r.n_ids, r.cancel);
    if (int64_t(sequence_.size()) < before + r.n_ids) return false;
    if (r.max_tokens == 0) return true;
    if (sequence_.empty()) throw Failure(NIMLLM_BAD_ARGUMENT, "there is nothing to continue");
    if (!known_) {  // after a truncation: compute the last id again
        const int32_t last = sequence_.back();
        sequence_.pop_back();
        model_.truncate(int64_t(sequence_.size()));
        append(&last, 1, nullptr);
    }
    return true;
}

void Generation::run(const nimllm_request &r, int32_t *ids, double *logprobs, nimllm_generated *result) {
    *result = nimllm_generated{};
    result->reason = NIMLLM_STOPPED_LENGTH;
    if (!begin(r)) result->reason = NIMLLM_STOPPED_CANCEL;
    if (result->reason == NIMLLM_STOPPED_CANCEL || r.max_tokens == 0) return;
    const nimllm_choice &c = r.choice;
    sampler_.begin(sampling_of(c), c.limit ? c.limit : vocabulary_, c.banned, c.n_banned, sequence_.data(),
                   int64_t(sequence_.size()));
    const std::vector<int32_t> first(c.first, c.first + c.n_first), anything;
    const int64_t lookup = c.temperature == 0 ? r.lookup : 0;
    base_ = int64_t(sequence_.size());
    at_ = 0;
    draft_.clear();
    seconds_ = -1;
    try {
        for (;;) {
            if (result->count == 0 && r.cancel && *r.cancel) {
                result->reason = NIMLLM_STOPPED_CANCEL;
                break;
            }
            const Chosen chosen = sampler_.choose(rows_.data() + at_ * vocabulary_, length(),
                                                  result->count == 0 ? first : anything);
            ids[result->count] = chosen.id;
            logprobs[result->count] = chosen.logprob;
            ++result->count;
            if (std::find(r.stop_ids, r.stop_ids + r.n_stop_ids, chosen.id) != r.stop_ids + r.n_stop_ids) {
                result->reason = NIMLLM_STOPPED_STOP;
                break;
            }
            if (result->count == r.max_tokens) break;
            if (length() >= model_.config().context) {
                result->reason = NIMLLM_STOPPED_CONTEXT;
                break;
            }
            if (r.cancel && *r.cancel) {
                result->reason = NIMLLM_STOPPED_CANCEL;
                break;
            }
            sampler_.see(chosen.id);
            if (at_ < int64_t(draft_.size()) && draft_[size_t(at_)] == chosen.id) {
                ++at_;
                ++result->accepted;
                continue;
            }
            if (lookup && seconds_ >= 0) lookup_.learn(int64_t(draft_.size()), at_, seconds_);
            const int64_t room = std::min({lookup, model_.config().context - length() - 1,
                                           r.max_tokens - result->count - 1});
            pass(chosen.id, room);
            result->drafted += int64_t(draft_.size());
        }
    } catch (...) {
        settle();
        known_ = false;
        throw;
    }
    settle();
}

struct Generation::Round {
    Generation *generation;
    const float *rows;           // the logits of living[i] begin at i * stride
    int64_t stride, index;       // stride 0: all choose from one row; index in the sequence of the token to come
    std::vector<int32_t> first;  // as nimllm_choice, for this token
    bool wanted;                 // log-probabilities
    std::vector<int32_t> living, best, id, code;
    std::vector<double> logprob;
};

// A thread's share of the choices. What is thrown goes no further than its own sample's code.
void Generation::choose_some(void *context, int member, int size) {
    Round &round = *static_cast<Round *>(context);
    for (size_t i = size_t(member); i < round.living.size(); i += size_t(size)) {
        Sampler &sampler = round.generation->samplers_[size_t(round.living[i])];
        round.code[i] = NIMLLM_OK;
        round.id[i] = round.wanted || !round.first.empty() ? -1 : sampler.greedy(round.best[i]);
        if (round.id[i] >= 0) continue;
        try {
            const Chosen chosen =
                sampler.choose(round.rows + int64_t(i) * round.stride, round.index, round.first, round.wanted);
            round.id[i] = chosen.id;
            round.logprob[i] = chosen.logprob;
        } catch (const Failure &error) {
            round.code[i] = error.code;
        } catch (const std::bad_alloc &) {
            round.code[i] = NIMLLM_NO_MEMORY;
        } catch (...) {
            round.code[i] = NIMLLM_INTERNAL;
        }
    }
}

void Generation::run_samples(const nimllm_request &r, int64_t samples, int32_t *ids, double *logprobs,
                             nimllm_generated *results) {
    const auto end_all = [&](int32_t reason) {
        for (int64_t i = 0; i < samples; ++i) results[i].reason = reason;
    };
    std::fill_n(results, samples, nimllm_generated{});
    end_all(NIMLLM_STOPPED_LENGTH);
    if (!begin(r)) return end_all(NIMLLM_STOPPED_CANCEL);
    const int64_t base = int64_t(sequence_.size()), context = model_.config().context;
    model_.fork(samples, std::max<int64_t>(r.max_tokens, 1));
    forked(samples);
    if (r.max_tokens == 0) return;
    if (r.cancel && *r.cancel) return end_all(NIMLLM_STOPPED_CANCEL);
    try {
        while (int64_t(samplers_.size()) < samples) samplers_.emplace_back(vocabulary_);
        const nimllm_choice &c = r.choice;
        Round round{this, rows_.data(), 0, base, {c.first, c.first + c.n_first}, logprobs != nullptr,
                    {},   {},           {}, {}, {}};
        for (int64_t i = 0; i < samples; ++i) {
            Sampling sampling = sampling_of(c);
            sampling.seed += uint64_t(i);
            samplers_[size_t(i)].begin(sampling, c.limit ? c.limit : vocabulary_, c.banned, c.n_banned,
                                       sequence_.data(), base);
            round.living.push_back(int32_t(i));
        }
        round.best.assign(size_t(samples), -1);
        round.id.resize(size_t(samples));
        round.code.resize(size_t(samples));
        round.logprob.resize(size_t(samples));
        for (int64_t drawn = 0;; ++drawn, ++round.index) {
            model_.together(&Generation::choose_some, &round, int64_t(round.living.size()));
            size_t left = 0;
            for (size_t i = 0; i < round.living.size(); ++i) {
                if (round.code[i] != NIMLLM_OK) throw Failure(round.code[i], "a sample cannot go on");
                const int32_t branch = round.living[i], id = round.id[i];
                nimllm_generated &result = results[branch];
                ids[branch * r.max_tokens + drawn] = id;
                if (logprobs) logprobs[branch * r.max_tokens + drawn] = round.logprob[i];
                result.count = drawn + 1;
                if (std::find(r.stop_ids, r.stop_ids + r.n_stop_ids, id) != r.stop_ids + r.n_stop_ids) {
                    result.reason = NIMLLM_STOPPED_STOP;
                } else if (result.count < r.max_tokens) {
                    samplers_[size_t(branch)].see(id);
                    round.id[left] = id;
                    round.living[left++] = branch;
                }
            }
            round.living.resize(left);
            if (!left) return;
            const bool full = round.index >= context;
            if (full || (r.cancel && *r.cancel)) {
                for (const int32_t branch : round.living)
                    results[branch].reason = full ? NIMLLM_STOPPED_CONTEXT : NIMLLM_STOPPED_CANCEL;
                return;
            }
            if (drawn == 0) {
                branch_rows_.resize(std::max(branch_rows_.size(), left * size_t(vocabulary_)));
                round.rows = branch_rows_.data();
                round.stride = vocabulary_;
                round.first.clear();
            }
            model_.step(round.id.data(), round.living.data(), int64_t(left), branch_rows_.data(), round.best.data());
            stepped(round.id.data(), round.living.data(), int64_t(left));
        }
    } catch (...) {
        model_.truncate(base);  // ends the branches; the sequence is whole
        branches_.clear();
        throw;
    }
}

}  // namespace nimllm
