#pragma once
// What the addon calls of MPI, as a table of functions. Open MPI and MPICH differ in their binary interface, so each has a
// library of its own with this table (shim.cpp), which is opened after the MPI library itself. One thread makes all calls; they
// return when its rank's part is done. The results are 0 or an error of MPI.

inline constexpr int kMpiTable = 1;  // changes with the table

struct VggnetMpi {
  int table;
  int (*initialise)(int* rank, int* size);
  void (*set_core_is_free)(bool);  // by any thread: whether nothing but these calls is to be done
  // Blocks of `count` floats: block j of `send` goes to rank j, and block i of `receive` comes from rank i.
  int (*exchange)(const float* send, float* receive, int count);
  int (*gather)(const void* send, void* receive, int bytes);  // `bytes` of each rank, to all
  int (*finalise)();
  int (*error_text)(int error, char* text, int size);
  int (*library_text)(char* text, int size);  // before `initialise` too
};

using VggnetMpiTable = const VggnetMpi*();
inline constexpr const char* kMpiTableSymbol = "vggnet_mpi";
