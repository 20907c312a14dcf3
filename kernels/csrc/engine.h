/* The decode engine's whole interface: plain C, no Python, no torch.
 *
 * One engine holds one model's weights, packed for the processor it runs on, and one KV cache. Every function that can
 * fail returns a code below and writes nothing past the buffers it was given. One engine is used by one thread at a
 * time (a second one gets NIMLLM_BUSY); different engines are independent.
 */
#ifndef NIMLLM_ENGINE_H
#define NIMLLM_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define NIMLLM_API __attribute__((visibility("default")))
#else
#define NIMLLM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define NIMLLM_ABI 5 /* raised when anything below changes */

enum {
    NIMLLM_OK = 0,
    NIMLLM_BAD_CONFIG = 1,  /* a size is not positive, or sizes do not fit each other */
    NIMLLM_BAD_TENSOR = 2,  /* a tensor is missing or has another shape */
    NIMLLM_NO_MEMORY = 3,
    NIMLLM_CONTEXT_FULL = 4, /* the ids would not fit; nothing was computed */
    NIMLLM_BAD_ID = 5,       /* an id is outside the vocabulary; nothing was computed */
    NIMLLM_BAD_ARGUMENT = 6, /* a null pointer, a negative count, a position after the end */
    NIMLLM_NO_ISA = 7,       /* the processor or the build lacks the instruction set asked for */
    NIMLLM_BUSY = 8,         /* another thread is inside this engine */
    NIMLLM_INTERNAL = 9,
    NIMLLM_BAD_FILE = 10, /* a packed file is missing, truncated, inconsistent or not ours; nothing was computed */
    NIMLLM_NO_TOKEN = 11, /* every token is forbidden */
    NIMLLM_NOT_FINITE = 12 /* the logits are not finite: the weights are damaged */
};

enum { NIMLLM_POS_ROPE = 0, NIMLLM_POS_LEARNED = 1 };
enum { NIMLLM_NORM_RMS = 0, NIMLLM_NORM_LAYER = 1 };
enum { NIMLLM_FFN_SWIGLU = 0, NIMLLM_FFN_GELU = 1, NIMLLM_FFN_RELU2 = 2 };
enum { NIMLLM_FP32 = 0, NIMLLM_BF16 = 1, NIMLLM_Q8 = 2, NIMLLM_Q4 = 3 };
enum { NIMLLM_ISA_AUTO = 0, NIMLLM_ISA_PORTABLE = 1, NIMLLM_ISA_AVX2 = 2, NIMLLM_ISA_AVX512 = 3 };

typedef struct {
    int32_t vocab_size, n_layers, d_model, n_heads, n_kv_heads, head_dim, d_ff, context;
    int32_t pos, norm, ffn;                   /* the enums above */
    int32_t qk_norm, tied, bias, qkv_bias, embed_norm;  /* 0 or 1; qkv_bias: of queries, keys and values alone */
    int32_t dtype, isa, threads;              /* how to compute; threads >= 1 */
    float norm_eps;
    double rope_theta;
} nimllm_config;

/* A tensor by its Hugging Face name; a vector has rows 1. Row-major fp32, copied (and rounded) by nimllm_new. */
typedef struct {
    const char *name;
    const float *data;
    int64_t rows, cols;
} nimllm_tensor;

typedef struct nimllm_engine nimllm_engine;

/* How a token is chosen: sampler.h gives the meaning. */
typedef struct {
    double temperature, top_p, min_p, repetition_penalty; /* greedy without a penalty: 0, 1, 0, 1 */
    uint64_t seed;
    int64_t top_k;         /* 0: all */
    int64_t limit;         /* ids from here on never come; 0: the whole vocabulary */
    const int32_t *banned; /* nor do these */
    int64_t n_banned;
    const int32_t *first;  /* when there are any, the first token is one of these */
    int64_t n_first;
} nimllm_choice;

typedef struct {
    nimllm_choice choice;
    const int32_t *ids; /* appended to the cache first; may be none where the engine holds tokens */
    int64_t n_ids;
    int64_t max_tokens;
    const int32_t *stop_ids; /* the text ends with one of these */
    int64_t n_stop_ids;
    int64_t lookup; /* tokens drafted at most by prompt lookup (greedy only), 0..64; never changes the result */
    const volatile int32_t *cancel; /* looked at between tokens; NULL, or ends the text when not 0 */
} nimllm_request;

enum { NIMLLM_STOPPED_LENGTH = 0, NIMLLM_STOPPED_STOP = 1, NIMLLM_STOPPED_CONTEXT = 2, NIMLLM_STOPPED_CANCEL = 3 };

typedef struct {
    int64_t count; /* tokens drawn, a stop id too */
    int64_t drafted, accepted;
    int32_t reason;
} nimllm_generated;

NIMLLM_API int32_t nimllm_abi(void);
/* 1 when this build and this processor have the instruction set. */
NIMLLM_API int32_t nimllm_has_isa(int32_t isa);
/* On failure *engine is NULL and message (of size bytes, may be NULL) says why. */
NIMLLM_API int32_t nimllm_new(const nimllm_config *config, const nimllm_tensor *tensors, int64_t count,
                              nimllm_engine **engine, char *message, size_t size);
/* A model packed before by nimllm_save, on any machine: the file's blocks are computed on as they lie. copy = 0 maps
 * the file (the fastest start, pages shared between processes), 1 reads it into 2 MB pages (a tenth faster to decode). */
NIMLLM_API int32_t nimllm_open(const char *path, int32_t threads, int32_t isa, int32_t copy, nimllm_engine **engine,
                               char *message, size_t size);
/* Replaces the file whole, or not at all. */
NIMLLM_API int32_t nimllm_save(nimllm_engine *engine, const char *path, char *message, size_t size);
/* The shape of the engine's model; dtype, isa and threads as they are in use. */
NIMLLM_API void nimllm_get_config(const nimllm_engine *engine, nimllm_config *config);
NIMLLM_API void nimllm_free(nimllm_engine *engine);
/* Append n >= 1 ids. all = 0: logits is [vocab_size], after the last id; all = 1: [n, vocab_size]. */
NIMLLM_API int32_t nimllm_extend(nimllm_engine *engine, const int32_t *ids, int64_t n, float *logits, int32_t all);
/* Branches continue the sequence side by side, sharing what is cached of it: fork opens `count` of them (1 .. 64), each
 * with room for `room` tokens of its own (cut to what the context leaves); step appends ids[i] to branch which[i], each
 * at most once, logits [n][vocab_size]; adopt makes one of them the sequence and ends the others. fork, extend and
 * truncate end all branches that are open. best (may be null): [n], the largest logit's id, -1 if one is not finite. */
NIMLLM_API int32_t nimllm_fork(nimllm_engine *engine, int64_t count, int64_t room);
NIMLLM_API int32_t nimllm_step(nimllm_engine *engine, const int32_t *ids, const int32_t *which, int64_t n,
                               float *logits, int32_t *best);
NIMLLM_API int32_t nimllm_adopt(nimllm_engine *engine, int64_t branch);
/* New values for some weights of the tensor `name` (Hugging Face name; a vector has rows 1): data is the whole new
 * tensor, indices the flat places in it that differ from the old one. The weights are then exactly those of an engine
 * made from data. Forgets the cache. */
NIMLLM_API int32_t nimllm_update(nimllm_engine *engine, const char *name, const float *data, int64_t rows, int64_t cols,
                                 const int64_t *indices, int64_t count, char *message, size_t size);
/* Forget every token from position on; 0 <= position <= nimllm_position. */
NIMLLM_API int32_t nimllm_truncate(nimllm_engine *engine, int64_t position);
NIMLLM_API int64_t nimllm_position(const nimllm_engine *engine);
/* "avx512bf16", "avx512", "avx2" or "portable". */
NIMLLM_API const char *nimllm_isa(const nimllm_engine *engine);
/* Bytes of weights that one decoded token reads (the embedding table counts once, as the head). */
NIMLLM_API int64_t nimllm_bytes_per_token(const nimllm_engine *engine);
/* Draws up to max_tokens tokens: ids and logprobs (nats, under the raw logits) have room for so many. The last id drawn
 * is not in the cache afterwards, all before it are: the next request's ids begin with it. After a failure nothing of
 * ids and logprobs holds, and the cache holds a part of the text. */
NIMLLM_API int32_t nimllm_generate(nimllm_engine *engine, const nimllm_request *request, int32_t *ids, double *logprobs,
                                   nimllm_generated *result);
/* `samples` (1 .. 64) texts of one request at once, each in a branch of its own (see nimllm_fork): sample i is bit for
 * bit what nimllm_generate draws with seed + i (modulo 2^64), and ends on its own. ids and logprobs are [samples]
 * [max_tokens], results [samples]; logprobs may be null: they cost a pass over the logits. lookup is not used. The
 * sequence stays as it is after the request's ids. Branch i stays open and holds sample i without its last id:
 * nimllm_adopt, then a request that begins with that id, continues it. No branch is open after a failure, nor when the
 * request was cancelled among its own ids. */
NIMLLM_API int32_t nimllm_generate_samples(nimllm_engine *engine, const nimllm_request *request, int64_t samples,
                                           int32_t *ids, double *logprobs, nimllm_generated *results);
/* One choice from logits [vocabulary], for the token at `index` of its sequence; seen: what the penalty is for. */
NIMLLM_API int32_t nimllm_choose(const float *logits, int64_t vocabulary, const nimllm_choice *choice,
                                 const int32_t *seen, int64_t n_seen, uint64_t index, int32_t *id, double *logprob);
/* What nimllm_choose draws from, without `first`: ascending ids and their probabilities, [vocabulary] room for each. */
NIMLLM_API int32_t nimllm_candidates(const float *logits, int64_t vocabulary, const nimllm_choice *choice,
                                     const int32_t *seen, int64_t n_seen, int32_t *ids, double *chances, int64_t *count);
/* NIMLLM_OK when the file is packed weights of ours (weights_file.h) with nothing wrong in its header and its sizes;
 * else NIMLLM_BAD_FILE, and message says what. Computes nothing. */
NIMLLM_API int32_t nimllm_check_file(const char *path, char *message, size_t size);

#ifdef __cplusplus
}
#endif
#endif
