// A strict reader of JSON (RFC 8259) for headers of files that may come from anyone. What it refuses beyond the RFC:
// duplicate keys, nesting below kDepth, more than kValues values, numbers of more than 40 characters or past an int64
// or a double, unpaired surrogates. Every refusal is a Failure(NIMLLM_BAD_FILE) that names the byte.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nimllm {

struct Json {
    enum class Kind : uint8_t { null, boolean, integer, real, string, array, object };

    Kind kind = Kind::null;
    bool boolean = false;
    int64_t integer = 0;  // a number without fraction and exponent
    double real = 0;      // any number
    std::string text;     // valid UTF-8
    std::vector<Json> items;        // of an array, or the values of an object
    std::vector<std::string> keys;  // of an object, unique, in the order of the text

    const Json *find(const std::string &key) const;  // null when this is no object, or has no such key

    static constexpr int kDepth = 16;              // a safetensors header needs 4
    static constexpr int64_t kValues = 1 << 20;    // 96 MB of them: a header of 100,000 tensors
};

// The whole text is one value; white space around it is allowed.
Json parse_json(const char *text, size_t size);

// The string between quotes, escaped; what is not UTF-8 stays as it is.
std::string quote_json(const std::string &text);

}  // namespace nimllm
