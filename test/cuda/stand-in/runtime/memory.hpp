#pragma once
// The memory of the stand-in's cards, and what the host may know of it. A thread of the host that touches it ends its
// process, where the processor has protection keys: only threads that compute on behalf of a card may.
#include <driver_types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace stand_in {

cudaError_t allocate_on_card(int card, size_t bytes, void** data);
cudaError_t free_on_card(void* data);
size_t card_bytes();
size_t bytes_in_use(int card);

cudaError_t allocate_pinned(size_t bytes, void** data);
cudaError_t free_pinned(void* data);
bool is_pinned(const void* data, size_t bytes);

bool is_on_card(const void* begin, size_t bytes);  // within one allocation
bool keeps_host_out();                             // whether the processor has protection keys
void let_this_thread_in();                         // to the cards' memory
void keep_this_thread_out();

// Zero without touching the pages, where they are many.
void clear(void* data, size_t bytes);

// What is wrong with operands; empty where all is right.
struct Operand {
  const char* name;
  const void* data;
  int64_t bytes;
  bool written;
};
// Missing, not on the card, not aligned to 16 bytes, or written while it is another's.
std::string fault_of(const std::vector<Operand>&);
// A kernel's parameters that hold an address of the host's memory.
std::string host_address_in(const void* parameters, int64_t bytes);

}  // namespace stand_in
