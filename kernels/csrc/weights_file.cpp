#include "weights_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <new>

#include "failure.h"
#include "json.h"

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define NIMLLM_POSIX 1
#endif

namespace nimllm {

namespace {

constexpr size_t kAlign = 64;                  // one cache line, one vector
constexpr size_t kHeader = size_t(16) << 20;   // a hundred layers need 60 KB
constexpr std::align_val_t kHuge{size_t(2) << 20};
constexpr size_t kName = 256, kDims = 8;
constexpr int32_t kLargest = 1 << 24;          // any size in a configuration

const struct { DType dtype; const char *name; int64_t size; } kTypes[] = {
    {DType::u8, "U8", 1},     {DType::i8, "I8", 1},   {DType::i32, "I32", 4},
    {DType::f16, "F16", 2},   {DType::bf16, "BF16", 2}, {DType::f32, "F32", 4},
};

[[noreturn]] void bad(const std::string &why) { throw Failure(NIMLLM_BAD_FILE, why); }

std::string shown(const std::string &name) {  // a name from a hostile file, short enough for a message
    return name.size() > 80 ? quote_json(name.substr(0, 80)) + "..." : quote_json(name);
}

std::string shown(const std::vector<int64_t> &shape) {
    std::string text = "[";
    for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
}

bool is_padding(const std::string &name) { return name.rfind("padding.", 0) == 0; }

// Bytes of a tensor; refuses what does not fit an int64.
int64_t bytes_of(const std::string &name, DType dtype, const std::vector<int64_t> &shape) {
    int64_t bytes = element_size(dtype);
    for (const int64_t size : shape) {
        if (size < 1) bad("tensor " + shown(name) + " has a size of " + std::to_string(size) + " in its shape");
        if (__builtin_mul_overflow(bytes, size, &bytes)) bad("tensor " + shown(name) + " is too large");
    }
    return bytes;
}

int64_t member(const Json &array, size_t i, const std::string &name, const char *what) {
    const Json &value = array.items[i];
    if (value.kind != Json::Kind::integer || value.integer < 0)
        bad("tensor " + shown(name) + " has a " + what + " that is not a whole number from 0 on");
    return value.integer;
}

}  // namespace

int64_t element_size(DType dtype) { return kTypes[size_t(dtype)].size; }
const char *dtype_name(DType dtype) { return kTypes[size_t(dtype)].name; }

// ---- the model's shape as JSON ----

namespace {

struct Field { const char *name; int32_t nimllm_config::*at; };
const Field kSizes[] = {
    {"vocab_size", &nimllm_config::vocab_size}, {"n_layers", &nimllm_config::n_layers},
    {"d_model", &nimllm_config::d_model},       {"n_heads", &nimllm_config::n_heads},
    {"n_kv_heads", &nimllm_config::n_kv_heads}, {"head_dim", &nimllm_config::head_dim},
    {"d_ff", &nimllm_config::d_ff},             {"context", &nimllm_config::context},
};
const Field kFlags[] = {
    {"qk_norm", &nimllm_config::qk_norm},
    {"tied", &nimllm_config::tied},
    {"bias", &nimllm_config::bias},
    {"qkv_bias", &nimllm_config::qkv_bias},
    {"embed_norm", &nimllm_config::embed_norm},
};
const struct { Field field; std::vector<const char *> names; } kChoices[] = {  // in the order of engine.h's enums
    {{"pos", &nimllm_config::pos}, {"rope", "learned"}},
    {{"norm", &nimllm_config::norm}, {"rms", "layer"}},
    {{"ffn", &nimllm_config::ffn}, {"swiglu", "gelu", "relu2"}},
};

const Json &field(const Json &object, const char *name, Json::Kind kind) {
    const Json *found = object.find(name);
    const bool good = found && (found->kind == kind ||
                                (kind == Json::Kind::real && found->kind == Json::Kind::integer));
    if (!good) bad(std::string("the configuration lacks ") + name + ", or it is of the wrong kind");
    return *found;
}

std::string decimal(double value) {  // exact, and with a point in every locale
    char text[40];
    std::snprintf(text, sizeof text, "%.17g", value);
    for (char &c : text)
        if (c == ',') c = '.';
    return text;
}

}  // namespace

std::string config_to_json(const nimllm_config &config) {
    std::string text = "{";
    const auto add = [&](const char *name, const std::string &value) {
        text += (text.size() > 1 ? ", " : "") + quote_json(name) + ": " + value;
    };
    for (const Field &size : kSizes) add(size.name, std::to_string(config.*size.at));
    for (const auto &choice : kChoices) {
        const int32_t value = config.*choice.field.at;
        if (value < 0 || size_t(value) >= choice.names.size())
            throw Failure(NIMLLM_BAD_CONFIG, std::string(choice.field.name) + " is unknown");
        add(choice.field.name, quote_json(choice.names[size_t(value)]));
    }
    for (const Field &flag : kFlags) add(flag.name, config.*flag.at ? "true" : "false");
    add("norm_eps", decimal(double(config.norm_eps)));
    add("rope_theta", decimal(config.rope_theta));
    return text + "}";
}

nimllm_config config_from_json(const char *text, size_t size) {
    const Json json = parse_json(text, size);
    if (json.kind != Json::Kind::object) bad("the configuration is not an object");
    const size_t known = std::size(kSizes) + std::size(kFlags) + std::size(kChoices) + 2;
    nimllm_config config{};
    config.threads = 1;
    for (const Field &one : kSizes) {
        const int64_t value = field(json, one.name, Json::Kind::integer).integer;
        if (value < 1 || value > kLargest)
            bad(std::string("the configuration's ") + one.name + " is " + std::to_string(value) + ", not in 1.." +
                std::to_string(kLargest));
        config.*one.at = int32_t(value);
    }
    for (const Field &flag : kFlags) config.*flag.at = field(json, flag.name, Json::Kind::boolean).boolean;
    for (const auto &choice : kChoices) {
        const std::string &value = field(json, choice.field.name, Json::Kind::string).text;
        const auto found = std::find(choice.names.begin(), choice.names.end(), value);
        if (found == choice.names.end())
            bad(std::string("the configuration's ") + choice.field.name + " is " + shown(value) + ", which is unknown");
        config.*choice.field.at = int32_t(found - choice.names.begin());
    }
    const double eps = field(json, "norm_eps", Json::Kind::real).real;
    config.rope_theta = field(json, "rope_theta", Json::Kind::real).real;
    if (!(eps > 1e-30 && eps < 1)) bad("the configuration's norm_eps is not between 0 and 1");
    if (!(config.rope_theta > 0)) bad("the configuration's rope_theta is not positive");
    config.norm_eps = float(eps);
    if (json.keys.size() != known) bad("the configuration has a field that is unknown to this version");
    if (config.n_heads % config.n_kv_heads) bad("the configuration's n_heads is not a multiple of its n_kv_heads");
    // tables of so many angles are computed, whatever the file's size: 2^28 are 2 GB
    if (int64_t(config.context) * config.head_dim > int64_t(1) << 28)
        bad("the configuration's context of " + std::to_string(config.context) + " is too long for heads of " +
            std::to_string(config.head_dim));
    if (config.pos == NIMLLM_POS_ROPE && config.head_dim % 2) bad("the configuration has RoPE and an odd head_dim");
    return config;
}

// ---- reading ----

WeightsFile::WeightsFile(const std::string &path, Access access) {
    try {
        open(path, access);
        parse();
    } catch (const Failure &error) {
        release();
        throw Failure(error.code, path + ": " + error.what());
    } catch (...) {
        release();
        throw;
    }
}

WeightsFile::WeightsFile(const void *data, size_t size) : data_(static_cast<const uint8_t *>(data)), size_(size) {
    parse();
}

WeightsFile::~WeightsFile() { release(); }

void WeightsFile::release() {
#if NIMLLM_POSIX
    if (mapped_) munmap(const_cast<uint8_t *>(data_), mapped_);
#endif
    if (owned_) ::operator delete(owned_, kHuge);
    owned_ = nullptr;
    mapped_ = 0;
}

#if NIMLLM_POSIX

namespace {

struct Handle {
    explicit Handle(int fd) : fd(fd) {}
    Handle(const Handle &) = delete;
    Handle &operator=(const Handle &) = delete;
    ~Handle() {
        if (fd >= 0) close(fd);
    }
    int fd;
};

}  // namespace

void WeightsFile::open(const std::string &path, Access access) {
    // O_NONBLOCK: a named pipe would wait here for a writer
    const Handle file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (file.fd < 0) bad(std::string("the file cannot be opened: ") + std::strerror(errno));
    struct stat status;
    if (fstat(file.fd, &status) != 0) bad(std::string("the file cannot be read: ") + std::strerror(errno));
    if (!S_ISREG(status.st_mode)) bad("this is not a regular file");
    if (status.st_size < 8) bad("the file is truncated: it holds " + std::to_string(status.st_size) + " bytes");
    if (uint64_t(status.st_size) > uint64_t(PTRDIFF_MAX)) bad("the file is too large");
    size_ = size_t(status.st_size);
    writable_ = true;
    if (access == Access::map) {
        // private: a live update writes into copies of the pages it touches, never into the file
        void *data = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE, file.fd, 0);
        if (data != MAP_FAILED) {
            data_ = static_cast<const uint8_t *>(data);
            mapped_ = size_;
#if defined(MADV_WILLNEED)
            madvise(data, size_, MADV_WILLNEED);
#endif
            return;
        }
        // some file systems cannot map: read it instead
    }
    owned_ = ::operator new(size_, kHuge);
#if defined(MADV_HUGEPAGE)
    madvise(owned_, size_, MADV_HUGEPAGE);
#endif
    for (size_t done = 0; done < size_;) {
        const ssize_t got = ::read(file.fd, static_cast<char *>(owned_) + done, size_ - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) bad(std::string("the file cannot be read: ") + std::strerror(errno));
        if (got == 0) bad("the file became shorter while it was read");
        done += size_t(got);
    }
    data_ = static_cast<const uint8_t *>(owned_);
}

#else

void WeightsFile::open(const std::string &path, Access) {
    struct Closer {
        std::FILE *file;
        ~Closer() {
            if (file) std::fclose(file);
        }
    } const handle{std::fopen(path.c_str(), "rb")};
    if (!handle.file || std::fseek(handle.file, 0, SEEK_END) != 0) bad("the file cannot be opened");
    const long length = std::ftell(handle.file);
    if (length < 8) bad("the file is truncated");
    std::rewind(handle.file);
    size_ = size_t(length);
    writable_ = true;
    owned_ = ::operator new(size_, kHuge);
    if (std::fread(owned_, 1, size_, handle.file) != size_) bad("the file cannot be read");
    data_ = static_cast<const uint8_t *>(owned_);
}

#endif

void WeightsFile::parse() {
    if (size_ < 8) bad("the file is truncated: it holds " + std::to_string(size_) + " bytes");
    if (std::memcmp(data_, "GGUF", 4) == 0) bad("this is a GGUF file, not packed weights of ours");
    uint64_t length = 0;
    for (int i = 7; i >= 0; --i) length = length << 8 | data_[i];
    // a header of 640 bytes begins as a pickle of protocol 2 does
    if (std::memcmp(data_, "PK\3\4", 4) == 0 ||
        (length > kHeader && data_[0] == 0x80 && data_[1] >= 2 && data_[1] <= 5))
        bad("this is a pickle (PyTorch's .pt or .bin), which nothing here ever opens");
    if (length > kHeader)
        bad("this is not a safetensors file: its header would be " + std::to_string(length) + " bytes long");
    if (length > size_ - 8)
        bad("the file is truncated: its header ends at byte " + std::to_string(8 + length) + ", the file at " +
            std::to_string(size_));
    if (length < 2 || data_[8] != '{') bad("this is not a safetensors file: no JSON object follows its length");
    read_header(reinterpret_cast<const char *>(data_) + 8, size_t(length));
}

void WeightsFile::read_header(const char *header, size_t length) {
    const Json json = parse_json(header, length);
    const Json *metadata = json.find("__metadata__");
    if (!metadata || metadata->kind != Json::Kind::object) bad("the header has no __metadata__: not packed weights");
    for (size_t i = 0; i < metadata->keys.size(); ++i) {
        if (metadata->items[i].kind != Json::Kind::string) bad("the header's __metadata__ holds what is not a string");
        metadata_[metadata->keys[i]] = metadata->items[i].text;
    }
    const auto known = [&](const char *name) -> const std::string & {
        const auto found = metadata_.find(name);
        if (found == metadata_.end()) bad(std::string("the header's __metadata__ lacks ") + name);
        return found->second;
    };
    if (known("format") != "nimllm-engine") bad("these are not packed weights: the format is " + shown(known("format")));
    if (known("version") != "1") bad("this version cannot read format version " + shown(known("version")));
    known("layout");
    known("dtype");
    const std::string &config = known("config");
    config_ = config_from_json(config.data(), config.size());

    const size_t base = 8 + length;
    const int64_t total = int64_t(size_ - base);
    if (base % kAlign) bad("the data begins at byte " + std::to_string(base) + ", not on a multiple of 64");
    struct Range { int64_t begin, end; size_t entry; };
    std::vector<Range> ranges;
    std::vector<Block> found;
    for (size_t i = 0; i < json.keys.size(); ++i) {
        const std::string &name = json.keys[i];
        if (name == "__metadata__") continue;
        if (name.empty() || name.size() > kName) bad("a tensor's name is empty or too long: " + shown(name));
        if (std::any_of(name.begin(), name.end(), [](char c) { return (unsigned char)c < 0x20; }))
            bad("a tensor's name holds a control character: " + shown(name));
        const Json &entry = json.items[i];
        const Json *dtype = entry.find("dtype"), *shape = entry.find("shape"), *offsets = entry.find("data_offsets");
        if (!dtype || !shape || !offsets || entry.keys.size() != 3 || dtype->kind != Json::Kind::string ||
            shape->kind != Json::Kind::array || offsets->kind != Json::Kind::array || offsets->items.size() != 2)
            bad("tensor " + shown(name) + " is not described by a dtype, a shape and two data_offsets");
        Block block;
        block.name = name;
        const auto type = std::find_if(std::begin(kTypes), std::end(kTypes),
                                       [&](const auto &one) { return dtype->text == one.name; });
        if (type == std::end(kTypes)) bad("tensor " + shown(name) + " has the unknown dtype " + shown(dtype->text));
        block.dtype = type->dtype;
        if (shape->items.empty() || shape->items.size() > kDims)
            bad("tensor " + shown(name) + " has " + std::to_string(shape->items.size()) + " dimensions");
        for (size_t d = 0; d < shape->items.size(); ++d) block.shape.push_back(member(*shape, d, name, "shape"));
        block.bytes = bytes_of(name, block.dtype, block.shape);
        const int64_t begin = member(*offsets, 0, name, "data offset");
        const int64_t end = member(*offsets, 1, name, "data offset");
        if (begin > end || end > total)
            bad("tensor " + shown(name) + " lies at " + std::to_string(begin) + ".." + std::to_string(end) +
                " of data of " + std::to_string(total) + " bytes");
        if (end - begin != block.bytes)
            bad("tensor " + shown(name) + " of shape " + shown(block.shape) + " takes " + std::to_string(block.bytes) +
                " bytes, its data_offsets say " + std::to_string(end - begin));
        if (is_padding(name)) {
            if (block.dtype != DType::u8 || block.bytes >= int64_t(kAlign))
                bad("tensor " + shown(name) + " is not padding: that is U8 and less than 64 bytes");
        } else if (size_t(begin) % kAlign) {
            bad("tensor " + shown(name) + " does not begin on a multiple of 64 bytes");
        }
        block.data = data_ + base + begin;
        ranges.push_back({begin, end, found.size()});
        found.push_back(std::move(block));
    }
    std::sort(ranges.begin(), ranges.end(), [](const Range &a, const Range &b) { return a.begin < b.begin; });
    int64_t at = 0;
    for (const Range &range : ranges) {
        if (range.begin < at) bad("tensor " + shown(found[range.entry].name) + " overlaps the one before it");
        if (range.begin > at) bad("no tensor owns the bytes before tensor " + shown(found[range.entry].name));
        at = range.end;
    }
    if (at != total)
        bad("the file holds " + std::to_string(total) + " bytes of data, its tensors " + std::to_string(at));
    for (const Range &range : ranges) {
        Block &block = found[range.entry];
        if (is_padding(block.name)) continue;
        index_[block.name] = blocks_.size();
        blocks_.push_back(std::move(block));
    }
    if (blocks_.empty()) bad("the file holds no tensors");
    // in doubles, which do not overflow; no format has fewer than 4 bits per weight
    const nimllm_config &c = config_;
    const double d = c.d_model, heads = double(c.n_heads) * c.head_dim, kv = double(c.n_kv_heads) * c.head_dim;
    const double layer = d * (2 * heads + 2 * kv) + (c.ffn == NIMLLM_FFN_SWIGLU ? 3 : 2) * d * double(c.d_ff);
    const double table = c.vocab_size * d * (c.tied ? 1 : 2) + (c.pos == NIMLLM_POS_LEARNED ? c.context * d : 0);
    const double weights = table + c.n_layers * layer;
    if (weights / 2 > double(total))
        bad("the configuration describes a model that cannot fit the file's " + std::to_string(total) + " bytes");
}

const Block *WeightsFile::find(const std::string &name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : &blocks_[found->second];
}

const Block &WeightsFile::at(const std::string &name, DType dtype, const std::vector<int64_t> &shape) const {
    const Block *block = find(name);
    if (!block) bad("tensor " + shown(name) + " is missing");
    if (block->dtype != dtype || block->shape != shape)
        bad("tensor " + shown(name) + " is " + dtype_name(block->dtype) + " " + shown(block->shape) + ", expected " +
            dtype_name(dtype) + " " + shown(shape));
    return *block;
}

uint8_t *WeightsFile::writable(const Block &block) const {
    if (!writable_) throw Failure(NIMLLM_BAD_ARGUMENT, "these weights cannot be written");
    return const_cast<uint8_t *>(block.data);
}

}  // namespace nimllm
