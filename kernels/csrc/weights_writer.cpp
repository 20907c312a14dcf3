// The writer of packed weights: see weights_file.h.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <set>

#include "failure.h"
#include "json.h"
#include "weights_file.h"

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <unistd.h>
#define NIMLLM_POSIX 1
#endif

namespace nimllm {

namespace {

constexpr int64_t kAlign = 64;

struct Piece {
    const void *data;  // null: zeros
    int64_t bytes;
};

std::string describe(const std::string &name, const char *dtype, const std::vector<int64_t> &shape, int64_t begin,
                     int64_t end) {
    std::string sizes;
    for (const int64_t size : shape) sizes += (sizes.empty() ? "" : ",") + std::to_string(size);
    return quote_json(name) + ":{\"dtype\":\"" + dtype + "\",\"shape\":[" + sizes + "],\"data_offsets\":[" +
           std::to_string(begin) + "," + std::to_string(end) + "]}";
}

// Removes the file unless it was renamed away.
class Temporary {
public:
    explicit Temporary(const std::string &path) : path_(path), file_(std::fopen(path.c_str(), "wb")) {
        if (!file_) fail("cannot be created");
    }
    Temporary(const Temporary &) = delete;
    Temporary &operator=(const Temporary &) = delete;
    ~Temporary() {
        if (file_) std::fclose(file_);
        if (!path_.empty()) std::remove(path_.c_str());
    }

    void write(const void *data, size_t size) {
        if (size && std::fwrite(data, 1, size, file_) != size) fail("cannot be written");
    }

    void rename_to(const std::string &target) {
        if (std::fflush(file_) != 0) fail("cannot be written");
#if NIMLLM_POSIX
        if (fsync(fileno(file_)) != 0) fail("cannot be written");
#endif
        std::FILE *file = file_;
        file_ = nullptr;
        if (std::fclose(file) != 0) fail("cannot be written");
        if (std::rename(path_.c_str(), target.c_str()) != 0) fail("cannot be renamed");
        path_.clear();
    }

private:
    [[noreturn]] void fail(const char *what) const {
        throw Failure(NIMLLM_BAD_FILE, path_ + " " + what + ": " + std::strerror(errno));
    }
    std::string path_;
    std::FILE *file_;
};

}  // namespace

void write_weights_file(const std::string &path, const nimllm_config &config,
                        const std::map<std::string, std::string> &metadata, const std::vector<BlockSource> &blocks) {
    std::map<std::string, std::string> words = metadata;
    words["format"] = "nimllm-engine";
    words["version"] = "1";
    words["config"] = config_to_json(config);
    std::string header = "{\"__metadata__\":{";
    for (const auto &word : words)
        header += (header.back() == '{' ? "" : ",") + quote_json(word.first) + ":" + quote_json(word.second);
    header += "}";
    std::vector<Piece> pieces;
    std::set<std::string> names;
    int64_t at = 0;
    for (const BlockSource &block : blocks) {
        if (block.name.rfind("padding.", 0) == 0 || block.name == "__metadata__" || !names.insert(block.name).second)
            throw Failure(NIMLLM_BAD_ARGUMENT, "a block cannot be called " + quote_json(block.name));
        int64_t bytes = element_size(block.dtype);
        for (const int64_t size : block.shape)
            if (size < 1 || __builtin_mul_overflow(bytes, size, &bytes))
                throw Failure(NIMLLM_BAD_ARGUMENT, "block " + quote_json(block.name) + " has a senseless shape");
        header += "," + describe(block.name, dtype_name(block.dtype), block.shape, at, at + bytes);
        pieces.push_back({block.data, bytes});
        at += bytes;
        if (const int64_t gap = (kAlign - at % kAlign) % kAlign) {
            header += "," + describe("padding." + std::to_string(pieces.size()), "U8", {gap}, at, at + gap);
            pieces.push_back({nullptr, gap});
            at += gap;
        }
    }
    header += "}";
    header.append(size_t((kAlign - int64_t(8 + header.size()) % kAlign) % kAlign), ' ');

#if NIMLLM_POSIX
    const std::string suffix = "." + std::to_string(getpid()) + ".tmp";
#else
    const std::string suffix = ".tmp";
#endif
    Temporary file(path + suffix);
    uint8_t length[8];
    for (int i = 0; i < 8; ++i) length[i] = uint8_t(uint64_t(header.size()) >> 8 * i);
    file.write(length, sizeof length);
    file.write(header.data(), header.size());
    static const uint8_t zeros[kAlign] = {};
    for (const Piece &piece : pieces) file.write(piece.data ? piece.data : zeros, size_t(piece.bytes));
    file.rename_to(path);
#if NIMLLM_POSIX
    // the rename itself survives a power cut only when the folder is written, too
    const size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    const int fd = ::open(folder.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
#endif
}

}  // namespace nimllm
