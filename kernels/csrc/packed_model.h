// A model in a file of packed weights, computed on as it lies there.
#pragma once

#include <memory>
#include <string>

#include "failure.h"
#include "model.h"

namespace nimllm {

// copy: read into memory of our own, else mapped (see WeightsFile::Access). Failure for anything unusable.
std::unique_ptr<Model> open_model(const std::string &path, int32_t threads, int32_t isa, bool copy);
void save_model(const Model &model, const std::string &path);

}  // namespace nimllm
