// What the engine's own code throws: one of engine.h's codes and a sentence for the user. engine.cpp catches it.
#pragma once

#include <stdexcept>
#include <string>

namespace nimllm {

struct Failure : std::runtime_error {
    Failure(int code, const std::string &what) : std::runtime_error(what), code(code) {}
    int code;
};

}  // namespace nimllm
