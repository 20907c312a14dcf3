// The C face: checks what it is given, and lets no exception out.
#include "engine.h"

#include <cstdio>
#include <memory>
#include <mutex>
#include <new>

#include "generate.h"
#include "model.h"
#include "packed_model.h"
#include "weights_file.h"

struct nimllm_engine {
    explicit nimllm_engine(std::unique_ptr<nimllm::Model> made)
        : owned(std::move(made)), model(*owned), generation(model) {}
    std::unique_ptr<nimllm::Model> owned;
    nimllm::Model &model;
    nimllm::Generation generation;
    std::mutex mutex;
};

static int32_t fail(int32_t code, const char *what, char *message, size_t size) {
    if (message && size) std::snprintf(message, size, "%s", what);
    return code;
}

// The code and the message of whatever `action` throws.
template <class Action>
static int32_t guarded(char *message, size_t size, Action action) {
    try {
        action();
        return NIMLLM_OK;
    } catch (const nimllm::Failure &error) {
        return fail(error.code, error.what(), message, size);
    } catch (const std::bad_alloc &) {
        return fail(NIMLLM_NO_MEMORY, "not enough memory for the weights and the cache", message, size);
    } catch (const std::exception &error) {
        return fail(NIMLLM_INTERNAL, error.what(), message, size);
    } catch (...) {
        return fail(NIMLLM_INTERNAL, "unknown failure", message, size);
    }
}

// What both ways to draw tokens share: the checks of the request, and no exception gets out.
template <class Draw>
static int32_t drawn(nimllm_engine &engine, const nimllm_request &r, const int32_t *ids, Draw draw) {
    if (r.max_tokens < 0 || (r.max_tokens && !ids) || r.lookup < 0 || r.lookup > 64) return NIMLLM_BAD_ARGUMENT;
    std::unique_lock<std::mutex> lock(engine.mutex, std::try_to_lock);
    if (!lock.owns_lock()) return NIMLLM_BUSY;
    const nimllm_config &c = engine.model.config();
    int32_t code = nimllm::check_choice(r.choice, c.vocab_size);
    if (code == NIMLLM_OK) code = nimllm::check_ids(r.ids, r.n_ids, c.vocab_size);
    if (code == NIMLLM_OK) code = nimllm::check_ids(r.stop_ids, r.n_stop_ids, c.vocab_size);
    if (code != NIMLLM_OK) return code;
    if (r.n_ids > c.context - engine.model.position()) return NIMLLM_CONTEXT_FULL;
    try {
        draw();
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

int32_t nimllm_abi(void) { return NIMLLM_ABI; }

int32_t nimllm_has_isa(int32_t isa) {
    switch (isa) {
        case NIMLLM_ISA_AUTO:
        case NIMLLM_ISA_PORTABLE: return 1;
        case NIMLLM_ISA_AVX2: return nimllm::kernels_avx2(nimllm::Format::fp32) != nullptr;
        case NIMLLM_ISA_AVX512: return nimllm::kernels_avx512(nimllm::Format::fp32) != nullptr;
        default: return 0;
    }
}

int32_t nimllm_new(const nimllm_config *config, const nimllm_tensor *tensors, int64_t count, nimllm_engine **engine,
                   char *message, size_t size) {
    if (!engine) return fail(NIMLLM_BAD_ARGUMENT, "engine is null", message, size);
    *engine = nullptr;
    if (!config || count < 0 || (count && !tensors)) return fail(NIMLLM_BAD_ARGUMENT, "a null pointer", message, size);
    for (int64_t i = 0; i < count; ++i)
        if (!tensors[i].name) return fail(NIMLLM_BAD_ARGUMENT, "a tensor without a name", message, size);
    return guarded(message, size, [&] {
        *engine = new nimllm_engine(std::unique_ptr<nimllm::Model>(new nimllm::Model(*config, tensors, count)));
    });
}

int32_t nimllm_open(const char *path, int32_t threads, int32_t isa, int32_t copy, nimllm_engine **engine,
                    char *message, size_t size) {
    if (!engine) return fail(NIMLLM_BAD_ARGUMENT, "engine is null", message, size);
    *engine = nullptr;
    if (!path) return fail(NIMLLM_BAD_ARGUMENT, "a null pointer", message, size);
    return guarded(message, size,
                   [&] { *engine = new nimllm_engine(nimllm::open_model(path, threads, isa, copy != 0)); });
}

int32_t nimllm_save(nimllm_engine *engine, const char *path, char *message, size_t size) {
    if (!engine || !path) return fail(NIMLLM_BAD_ARGUMENT, "a null pointer", message, size);
    std::unique_lock<std::mutex> lock(engine->mutex, std::try_to_lock);
    if (!lock.owns_lock()) return fail(NIMLLM_BUSY, "another thread is inside this engine", message, size);
    return guarded(message, size, [&] { nimllm::save_model(engine->model, path); });
}

void nimllm_get_config(const nimllm_engine *engine, nimllm_config *config) {
    if (engine && config) *config = engine->model.config();
}

void nimllm_free(nimllm_engine *engine) { delete engine; }

int32_t nimllm_extend(nimllm_engine *engine, const int32_t *ids, int64_t n, float *logits, int32_t all) {
    if (!engine || !ids || !logits || n < 1) return NIMLLM_BAD_ARGUMENT;
    std::unique_lock<std::mutex> lock(engine->mutex, std::try_to_lock);
    if (!lock.owns_lock()) return NIMLLM_BUSY;
    nimllm::Model &model = engine->model;
    if (n > model.config().context - model.position()) return NIMLLM_CONTEXT_FULL;
    for (int64_t i = 0; i < n; ++i)
        if (ids[i] < 0 || ids[i] >= model.config().vocab_size) return NIMLLM_BAD_ID;
    try {
        model.extend(ids, n, logits, all != 0);
        engine->generation.extended(ids, n, all ? logits + (n - 1) * model.config().vocab_size : logits);
        return NIMLLM_OK;
    } catch (...) {
        return NIMLLM_INTERNAL;
    }
}

int32_t nimllm_fork(nimllm_engine *engine, int64_t count, int64_t room) {
    if (!engine || count < 1 || count > nimllm::kBranches || room < 1) return NIMLLM_BAD_ARGUMENT;
    std::unique_lock<std::mutex> lock(engine->mutex, std::try_to_lock);
    if (!lock.owns_lock()) return NIMLLM_BUSY;
    if (engine->model.position() >= engine->model.config().context) return NIMLLM_CONTEXT_FULL;
    try {
        engine->model.fork(count, room);
        engine->generation.forked(count);
        return NIMLLM_OK;
    } catch (const std::bad_alloc &) {
        return NIMLLM_NO_MEMORY;
    } catch (...) {
        return NIMLLM_INTERNAL;
    }
}

int32_t nimllm_step(nimllm_engine *engine, const int32_t *ids, const int32_t *which, int64_t n, float *logits,
                    int32_t *best) {
    if (!engine || !ids || !which || !logits || n < 1) return NIMLLM_BAD_ARGUMENT;
    std::unique_lock<std::mutex> lock(engine->mutex, std::try_to_lock);
    if (!lock.owns_lock()) return NIMLLM_BUSY;
    nimllm::Model &model = engine->model;
    uint64_t seen = 0;
    for (int64_t i = 0; i < n; ++i) {
        if (which[i] < 0 || which[i] >= model.branches() || (seen >> which[i] & 1)) return NIMLLM_BAD_ARGUMENT;
        seen |= uint64_t(1) << which[i];
        if (model.branch_length(which[i]) >= model.room()) return NIMLLM_CONTEXT_FULL;
        if (ids[i] < 0 || ids[i] >= model.config().vocab_size) return NIMLLM_BAD_ID;
    }
    try {
        model.step(ids, which, n, logits, best);
        engine->generation.stepped(ids, which, n);
        return NIMLLM_OK;
    } catch (...) {
        return NIMLLM_INTERNAL;
    }
}

int32_t nimllm_adopt(nimllm_engine *engine, int64_t branch) {
    if (!engine) return NIMLLM_BAD_ARGUMENT;
    std::unique_lock<std::mutex> lock(engine->mutex, std::try_to_lock);
    if (!lock.owns_lock()) return NIMLLM_BUSY;
    if (branch < 0 || branch >= engine->model.branches()) return NIMLLM_BAD_ARGUMENT;
    try {  // the cache may have to grow
        engine->model.adopt(branch);
        engine->generation.adopted(branch);
        return NIMLLM_OK;
    } catch (const std::bad_alloc &) {
        return NIMLLM_NO_MEMORY;
    } catch (...) {
        return NIMLLM_INTERNAL;
    }
}

int32_t nimllm_update(nimllm_engine *engine, const char *name, const float *data, int64_t rows, int64_t cols,
                      const int64_t *indices, int64_t count, char *message, size_t size) {
    if (!engine || !name || !data || count < 0 || (count && !indices))
        return fail(NIMLLM_BAD_ARGUMENT, "a null pointer", message, size);
    std::unique_lock<std::mutex> lock(engine->mutex, std::try_to_lock);
    if (!lock.owns_lock()) return fail(NIMLLM_BUSY, "another thread is inside this engine", message, size);
    return guarded(message, size, [&] {
        engine->model.update(name, data, rows, cols, indices, count);
        engine->generation.truncated(engine->model.position());
    });
}

int32_t nimllm_truncate(nimllm_engine *engine, int64_t position) {
    if (!engine) return NIMLLM_BAD_ARGUMENT;
    std::unique_lock<std::mutex> lock(engine->mutex, std::try_to_lock);
    if (!lock.owns_lock()) return NIMLLM_BUSY;
    if (position < 0 || position > engine->model.position()) return NIMLLM_BAD_ARGUMENT;
    engine->model.truncate(position);
    engine->generation.truncated(position);
    return NIMLLM_OK;
}

int64_t nimllm_position(const nimllm_engine *engine) { return engine ? engine->model.position() : 0; }
const char *nimllm_isa(const nimllm_engine *engine) { return engine ? engine->model.isa() : ""; }
int64_t nimllm_bytes_per_token(const nimllm_engine *engine) { return engine ? engine->model.bytes_per_token() : 0; }

int32_t nimllm_generate(nimllm_engine *engine, const nimllm_request *request, int32_t *ids, double *logprobs,
                        nimllm_generated *result) {
    if (!engine || !request || !result) return NIMLLM_BAD_ARGUMENT;
    *result = nimllm_generated{};
    if (request->max_tokens && !logprobs) return NIMLLM_BAD_ARGUMENT;
    return drawn(*engine, *request, ids, [&] { engine->generation.run(*request, ids, logprobs, result); });
}

int32_t nimllm_generate_samples(nimllm_engine *engine, const nimllm_request *request, int64_t samples, int32_t *ids,
                                double *logprobs, nimllm_generated *results) {
    if (!engine || !request || !results || samples < 1 || samples > nimllm::kBranches) return NIMLLM_BAD_ARGUMENT;
    return drawn(*engine, *request, ids,
                 [&] { engine->generation.run_samples(*request, samples, ids, logprobs, results); });
}

int32_t nimllm_check_file(const char *path, char *message, size_t size) {
    if (!path) return fail(NIMLLM_BAD_ARGUMENT, "a null pointer", message, size);
    try {
        const nimllm::WeightsFile file(path);
        return NIMLLM_OK;
    } catch (const nimllm::Failure &error) {
        return fail(error.code, error.what(), message, size);
    } catch (const std::bad_alloc &) {
        return fail(NIMLLM_NO_MEMORY, "not enough memory for the file", message, size);
    } catch (const std::exception &error) {
        return fail(NIMLLM_INTERNAL, error.what(), message, size);
    } catch (...) {
        return fail(NIMLLM_INTERNAL, "unknown failure", message, size);
    }
}

}  // extern "C"
