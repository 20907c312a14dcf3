// What a fuzz target is to libFuzzer and to driver.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// Empty when the bytes were accepted, else the sentence that refused them. Aborts when a promise was broken.
std::string fuzz_outcome(const uint8_t *data, size_t size);

// Writes valid files into the folder; their paths.
std::vector<std::string> fuzz_seeds(const std::string &folder);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
