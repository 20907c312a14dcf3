#include "packed_model.h"

#include "weights_file.h"

namespace nimllm {

namespace {

constexpr const char *kLayout = "panels-64";  // packing.h
constexpr const char *kNames[] = {"fp32", "bf16", "q8", "q4"};

class FileBlocks : public Blocks {
public:
    FileBlocks(const std::string &path, bool copy)
        : file_(path, copy ? WeightsFile::Access::copy : WeightsFile::Access::map) {}

    uint8_t *find(const std::string &name, const char *kind, int64_t bytes) override {
        const bool floats = kind[0] == 'F';
        return file_.writable(file_.at(name, floats ? DType::f32 : DType::u8, {floats ? bytes / 4 : bytes}));
    }

    const WeightsFile &file() const { return file_; }

private:
    WeightsFile file_;
};

std::string entry(const WeightsFile &file, const char *key) {
    const auto found = file.metadata().find(key);
    return found == file.metadata().end() ? "" : found->second;
}

}  // namespace

std::unique_ptr<Model> open_model(const std::string &path, int32_t threads, int32_t isa, bool copy) {
    std::unique_ptr<FileBlocks> blocks(new FileBlocks(path, copy));
    const WeightsFile &file = blocks->file();
    if (entry(file, "layout") != kLayout)
        throw Failure(NIMLLM_BAD_FILE, path + " has another layout of weights than this version computes in");
    nimllm_config config = file.config();
    config.threads = threads;
    config.isa = isa;
    config.dtype = -1;
    for (int32_t i = 0; i < 4; ++i)
        if (entry(file, "dtype") == kNames[i]) config.dtype = i;
    if (config.dtype < 0) throw Failure(NIMLLM_BAD_FILE, path + " has weights of an unknown dtype");
    return std::unique_ptr<Model>(new Model(config, std::move(blocks)));
}

void save_model(const Model &model, const std::string &path) {
    std::vector<BlockSource> sources;
    for (const NamedBlock &block : model.blocks()) {
        const bool floats = block.kind[0] == 'F';
        sources.push_back({block.name, floats ? DType::f32 : DType::u8, {floats ? block.bytes / 4 : block.bytes},
                           block.data});
    }
    write_weights_file(path, model.config(), {{"layout", kLayout}, {"dtype", kNames[model.config().dtype]}}, sources);
}

}  // namespace nimllm
