// What libraries and kernels tell the compiler. Macros alone: kernels are compiled several times.
#pragma once

#if defined(_WIN32)
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

// Unrolls the loop that follows completely, so that its arrays live in registers.
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

// Names that are made of macros' values.
#define JOIN(a, b) a##b
#define TEXT(name) #name
#define NAME(name) TEXT(name)
