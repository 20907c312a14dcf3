// The fuzz target behind libFuzzer's entry and behind driver.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

// Empty when the bytes were accepted, else the sentence that refused them. Aborts when a promise was broken.
std::string fuzz_outcome(const uint8_t *data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
