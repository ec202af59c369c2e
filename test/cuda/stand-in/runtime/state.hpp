#pragma once
// What the process wants of the stand-in, and what has gone wrong with it: read from the environment, and counted.
//
// VGGNET_STAND_IN_CARDS   how many cards there are; 1
// VGGNET_STAND_IN_BYTES   memory of each; 6 GiB
// VGGNET_STAND_IN_SEED    random delays of the streams; 0, none
// VGGNET_STAND_IN_NULL    1: replays of graphs, and copies after the first of them, do nothing and take no time
// VGGNET_STAND_IN_FAIL    CALL:N:CODE[,...]: the N-th call of that name gives that cudaError_t. "work": the N-th thing that a
//                         stream executes. An error that ends a card's context stays.
// VGGNET_STAND_IN_BAD     index of a card of which no context can be made
#include <driver_types.h>

#include <cstdint>

namespace stand_in {

int64_t number_in(const char* variable, int64_t otherwise);

int current_card();
void set_current_card(int card);
int count_of_cards();

// The first call for a card makes its context.
cudaError_t make_context(int card);

// Counts a call. What it must give at once: an error asked for, or the one that has ended the card's context.
cudaError_t enter(const char* call);
// Remembers an error for cudaGetLastError, and gives it back.
cudaError_t leave(cudaError_t);
cudaError_t last_error(bool forget);

bool ends_context(cudaError_t);
cudaError_t context_error(int card);
void end_context(int card, cudaError_t);

}  // namespace stand_in
