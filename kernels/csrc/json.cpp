#include "json.h"

#include <algorithm>
#include <cmath>
#include <locale>
#include <numeric>
#include <sstream>

#include "engine.h"
#include "failure.h"

namespace nimllm {

namespace {

class Reader {
public:
    Reader(const char *text, size_t size) : begin_(text), at_(text), end_(text + size) {}

    Json whole() {
        Json value = parse(0);
        space();
        if (at_ != end_) fail("something follows the end of the JSON");
        return value;
    }

private:
    [[noreturn]] void fail(const std::string &why) const {
        throw Failure(NIMLLM_BAD_FILE, why + " (byte " + std::to_string(at_ - begin_) + " of the JSON)");
    }

    void space() {
        while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
    }

    bool take(char wanted) {
        if (at_ == end_ || *at_ != wanted) return false;
        ++at_;
        return true;
    }

    bool word(const char *wanted) {
        const char *from = at_;
        for (; *wanted; ++wanted, ++from)
            if (from == end_ || *from != *wanted) return false;
        at_ = from;
        return true;
    }

    Json parse(int depth) {
        if (depth >= Json::kDepth) fail("the JSON is nested too deeply");
        if (++values_ > Json::kValues) fail("the JSON has too many values");
        space();
        Json value;
        if (at_ == end_) fail("the JSON ends where a value should stand");
        if (*at_ == '{') {
            object(value, depth);
        } else if (*at_ == '[') {
            array(value, depth);
        } else if (*at_ == '"') {
            value.kind = Json::Kind::string;
            value.text = string();
        } else if (*at_ == '-' || digit()) {
            number(value);
        } else if (word("true")) {
            value.kind = Json::Kind::boolean;
            value.boolean = true;
        } else if (word("false")) {
            value.kind = Json::Kind::boolean;
        } else if (!word("null")) {
            fail("this is not JSON");
        }
        return value;
    }

    void array(Json &value, int depth) {
        value.kind = Json::Kind::array;
        ++at_;
        space();
        if (take(']')) return;
        do {
            value.items.push_back(parse(depth + 1));
            space();
        } while (take(','));
        if (!take(']')) fail("an array does not end");
    }

    void object(Json &value, int depth) {
        value.kind = Json::Kind::object;
        ++at_;
        space();
        if (take('}')) return;
        do {
            space();
            if (at_ == end_ || *at_ != '"') fail("an object's key is not a string");
            value.keys.push_back(string());
            space();
            if (!take(':')) fail("a key has no value");
            value.items.push_back(parse(depth + 1));
            space();
        } while (take(','));
        if (!take('}')) fail("an object does not end");
        std::vector<size_t> order(value.keys.size());
        std::iota(order.begin(), order.end(), size_t(0));
        const auto &keys = value.keys;
        std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return keys[a] < keys[b]; });
        for (size_t i = 1; i < order.size(); ++i)
            if (keys[order[i]] == keys[order[i - 1]]) fail("the key " + quote_json(keys[order[i]]) + " comes twice");
    }

    bool digit() const { return at_ != end_ && *at_ >= '0' && *at_ <= '9'; }

    void digits() {
        if (!digit()) fail("a number lacks a digit");
        while (digit()) ++at_;
    }

    void number(Json &value) {
        const char *from = at_;
        const bool negative = take('-');
        const char *first = at_;
        digits();
        if (*first == '0' && at_ - first > 1) fail("a number begins with 0");
        const char *last = at_;
        bool whole = true;
        if (take('.')) {
            digits();
            whole = false;
        }
        if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
            ++at_;
            if (!take('+')) take('-');
            digits();
            whole = false;
        }
        if (at_ - from > 40) fail("a number is too long");
        if (whole) {
            value.kind = Json::Kind::integer;
            uint64_t sum = 0;  // of 19 digits at most: it cannot wrap
            if (last - first > 19) fail("a number is too large");
            for (const char *c = first; c != last; ++c) sum = sum * 10 + uint64_t(*c - '0');
            if (sum > uint64_t(INT64_MAX)) fail("a number is too large");
            value.integer = negative ? -int64_t(sum) : int64_t(sum);
            value.real = double(value.integer);
            return;
        }
        value.kind = Json::Kind::real;
        std::istringstream stream(std::string(from, at_));
        stream.imbue(std::locale::classic());  // strtod would read the user's decimal comma
        stream >> value.real;
        if (stream.fail() || !std::isfinite(value.real)) fail("a number is too large");
    }

    unsigned hex4() {
        unsigned value = 0;
        for (int i = 0; i < 4; ++i) {
            if (at_ == end_) fail("an escape is cut off");
            const char c = *at_;
            if (c >= '0' && c <= '9') value = value * 16 + unsigned(c - '0');
            else if (c >= 'a' && c <= 'f') value = value * 16 + unsigned(c - 'a' + 10);
            else if (c >= 'A' && c <= 'F') value = value * 16 + unsigned(c - 'A' + 10);
            else fail("an escape is not of four hexadecimal digits");
            ++at_;
        }
        return value;
    }

    static void append(std::string &text, unsigned point) {
        if (point < 0x80) {
            text += char(point);
        } else if (point < 0x800) {
            text += char(0xc0 | point >> 6);
            text += char(0x80 | (point & 0x3f));
        } else if (point < 0x10000) {
            text += char(0xe0 | point >> 12);
            text += char(0x80 | (point >> 6 & 0x3f));
            text += char(0x80 | (point & 0x3f));
        } else {
            text += char(0xf0 | point >> 18);
            text += char(0x80 | (point >> 12 & 0x3f));
            text += char(0x80 | (point >> 6 & 0x3f));
            text += char(0x80 | (point & 0x3f));
        }
    }

    void escape(std::string &text) {
        if (at_ == end_) fail("a string does not end");
        switch (*at_++) {
            case '"': text += '"'; return;
            case '\\': text += '\\'; return;
            case '/': text += '/'; return;
            case 'b': text += '\b'; return;
            case 'f': text += '\f'; return;
            case 'n': text += '\n'; return;
            case 'r': text += '\r'; return;
            case 't': text += '\t'; return;
            case 'u': break;
            default: fail("an escape is unknown");
        }
        unsigned point = hex4();
        if (point >= 0xd800 && point < 0xe000) {
            if (point >= 0xdc00 || !take('\\') || !take('u')) fail("half of a surrogate pair is missing");
            const unsigned low = hex4();
            if (low < 0xdc00 || low >= 0xe000) fail("half of a surrogate pair is missing");
            point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
        }
        append(text, point);
    }

    // Copies one multi-byte character. Unicode 15, table 3-7: no overlong form, no surrogate, nothing past U+10FFFF.
    void character(std::string &text) {
        const auto byte = [&](ptrdiff_t i) { return end_ - at_ > i ? (unsigned char)at_[i] : 0u; };
        const unsigned lead = byte(0), next = byte(1);
        const int length = lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3
                           : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
        bool good = length != 0;
        for (int i = 1; i < length; ++i) good = good && (byte(i) & 0xc0) == 0x80;
        if (lead == 0xe0) good = good && next >= 0xa0;
        if (lead == 0xed) good = good && next < 0xa0;
        if (lead == 0xf0) good = good && next >= 0x90;
        if (lead == 0xf4) good = good && next < 0x90;
        if (!good) fail("a string is not UTF-8");
        text.append(at_, size_t(length));
        at_ += length;
    }

    std::string string() {
        std::string text;
        ++at_;
        for (;;) {
            if (at_ == end_) fail("a string does not end");
            const unsigned char c = (unsigned char)*at_;
            if (c == '"') return ++at_, text;
            if (c < 0x20) fail("a control character stands in a string");
            if (c >= 0x80) {
                character(text);
            } else {
                ++at_;
                if (c == '\\') escape(text);
                else text += char(c);
            }
        }
    }

    const char *begin_, *at_, *end_;
    int64_t values_ = 0;
};

}  // namespace

const Json *Json::find(const std::string &key) const {
    for (size_t i = 0; i < keys.size(); ++i)
        if (keys[i] == key) return &items[i];
    return nullptr;
}

Json parse_json(const char *text, size_t size) { return Reader(text, size).whole(); }

std::string quote_json(const std::string &text) {
    static const char *const hex = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if ((unsigned char)c < 0x20) {
            out += "\\u00";
            out += hex[c >> 4 & 15];
            out += hex[c & 15];
        } else {
            out += c;
        }
    }
    return out + '"';
}

}  // namespace nimllm
