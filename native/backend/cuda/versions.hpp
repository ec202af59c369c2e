#pragma once
namespace vggnet::cuda {

const char* versions();  // of the libraries: "CUDA 13.0, cuDNN 9.19.0, cuBLASLt 13.1.0"

}  // namespace vggnet::cuda
