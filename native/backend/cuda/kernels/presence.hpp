#pragma once
namespace vggnet::cuda {

bool runs_on_this_card();  // whether this build has code for the card that the thread has chosen

}  // namespace vggnet::cuda
