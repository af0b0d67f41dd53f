// Which of the kernels that CMakeLists.txt compiles for x86-64 the machine can run.
#pragma once

#if defined(PRUNELIMITS_X86)
namespace prunelimits {
namespace {

enum class InstructionSet { BASELINE, AVX2, AVX512 };

// The machine's best one.
inline InstructionSet instruction_set() {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (!avx2) return InstructionSet::BASELINE;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
  return avx512 ? InstructionSet::AVX512 : InstructionSet::AVX2;
}

}  // namespace
}  // namespace prunelimits
#endif
