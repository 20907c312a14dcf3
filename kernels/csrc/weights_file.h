// Packed weights on disk: a safetensors file (8 bytes length, JSON header, data) that any tool can look into, whose
// tensors are the blocks the engine computes on, mapped from disk as they are.
//
// What is demanded beyond safetensors: "__metadata__" says {"format": "nimllm-engine", "version": "1", "layout": …,
// "dtype": …, "config": JSON of the model's shape}; every tensor begins on a multiple of 64 bytes from the file's
// beginning, so that a mapped file needs no copy. The gaps are tensors of their own ("padding.N", U8, under 64 bytes),
// since safetensors allows no hole. Everything is checked before a byte of the data is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine.h"

namespace nimllm {

enum class DType : uint8_t { u8, i8, i32, f16, bf16, f32 };

struct Block {
    std::string name;
    DType dtype;
    std::vector<int64_t> shape;  // every size is at least 1
    const uint8_t *data;         // the elements, row-major, little-endian
    int64_t bytes;               // product of the shape times the element's size, at least 1
};

class WeightsFile {
public:
    enum class Access {
        map,   // pages of the file, shared with every process that reads it; written pages become this process's own
        copy,  // read into memory in 2 MB pages: a tenth faster to compute on, and nobody can cut the file under us
    };

    // Failure(NIMLLM_BAD_FILE): no such file, or anything in it is not as described above.
    explicit WeightsFile(const std::string &path, Access access = Access::map);
    // The same checks on bytes in memory, which must outlive the object; they are not copied.
    WeightsFile(const void *data, size_t size);
    ~WeightsFile();
    WeightsFile(const WeightsFile &) = delete;
    WeightsFile &operator=(const WeightsFile &) = delete;

    // Without padding, in the order of the data.
    const std::vector<Block> &blocks() const { return blocks_; }
    const Block *find(const std::string &name) const;
    // Failure when it is missing, or of another dtype or shape.
    const Block &at(const std::string &name, DType dtype, const std::vector<int64_t> &shape) const;
    // A block's bytes to write, for an update of live weights; the file on disk keeps its own. Failure for a file that
    // was given as memory.
    uint8_t *writable(const Block &block) const;

    const std::map<std::string, std::string> &metadata() const { return metadata_; }
    // The model's shape; isa, threads and dtype are not in it (how to compute is not the file's business).
    const nimllm_config &config() const { return config_; }
    int64_t size() const { return int64_t(size_); }

private:
    void open(const std::string &path, Access access);
    void release();
    void parse();
    void read_header(const char *header, size_t length);

    const uint8_t *data_ = nullptr;
    size_t size_ = 0;
    size_t mapped_ = 0;  // bytes to unmap
    void *owned_ = nullptr;
    bool writable_ = false;
    std::vector<Block> blocks_;
    std::map<std::string, size_t> index_;
    std::map<std::string, std::string> metadata_;
    nimllm_config config_{};
};

// What to write: `data` need not be aligned; a name may not begin with "padding.".
struct BlockSource {
    std::string name;
    DType dtype;
    std::vector<int64_t> shape;
    const void *data;
};

// Temporary file in the same folder, fsync, rename, fsync of the folder: the name holds all of the old file or all of
// the new one. format, version and config are added to `metadata`. Failure(NIMLLM_BAD_FILE) when it cannot be written.
void write_weights_file(const std::string &path, const nimllm_config &config,
                        const std::map<std::string, std::string> &metadata, const std::vector<BlockSource> &blocks);

// The shape part of a configuration, by the names of llm.config.ModelConfig.
std::string config_to_json(const nimllm_config &config);
nimllm_config config_from_json(const char *text, size_t size);

int64_t element_size(DType dtype);
const char *dtype_name(DType dtype);  // as safetensors spells it

}  // namespace nimllm
